//! OIDC and the portal.

use serde_json::{Value, json};
use ssoinv_sim::{Approval, Control, Options, Organisation, OrganisationSpec, Service, Simulator};

use crate::client::*;

fn code(response: &Response) -> String {
    response.header("x-amzn-errortype").unwrap_or_default().split(':').next().unwrap().to_owned()
}

#[test]
fn a_device_sign_in_reaches_all_accounts() {
    let simulator = start(Organisation::from_spec(OrganisationSpec { accounts: 250, ..small() }));
    let token = sign_in(&simulator, 0);
    let (mut ids, mut sizes, mut target) = (Vec::new(), Vec::new(), "/assignment/accounts".to_owned());
    loop {
        let page = portal(&simulator, &token, &target).json();
        let accounts = page["accountList"].as_array().unwrap();
        sizes.push(accounts.len());
        ids.extend(accounts.iter().map(|account| account["accountId"].as_str().unwrap().to_owned()));
        let Some(next) = page["nextToken"].as_str() else { break };
        target = format!("/assignment/accounts?next_token={}", encoded(next));
    }
    assert_eq!(sizes, [100, 100, 50]);
    let expected: Vec<String> = (0..250).map(|index| simulator.organisation().account(index).id).collect();
    assert_eq!(ids, expected);
}

#[test]
fn the_portal_has_the_real_one_s_errors() {
    let simulator = start(Organisation::from_spec(small()));
    let token = sign_in(&simulator, 0);
    let account = simulator.organisation().account(0).id;
    let refused = |response: Response| {
        (response.status, response.json()["message"].as_str().unwrap().to_owned(), code(&response))
    };
    let unassigned = role_credentials(&simulator, &token, &account, "NoSuchRole");
    assert_eq!(unassigned.json()["__type"], "com.amazonaws.switchboard.portal#ForbiddenException");
    assert_eq!(refused(unassigned), (403, "No access".into(), "ForbiddenException".into()));
    let unknown = role_credentials(&simulator, &token, "999999999999", "ReadOnlyAccess");
    assert_eq!(refused(unknown).0, 403);
    let stranger = role_credentials(&simulator, "other", &account, "ReadOnlyAccess");
    let words = "Session token not found or invalid".to_owned();
    assert_eq!(refused(stranger), (401, words, "UnauthorizedException".into()));
    for size in ["0", "101", "x"] {
        let response = portal(&simulator, &token, &format!("/assignment/accounts?max_result={size}"));
        assert_eq!((response.status, code(&response).as_str()), (400, "InvalidRequestException"), "{size}");
    }
    let response = portal(&simulator, &token, "/assignment/roles?account_id=123");
    assert_eq!(response.status, 400);
    assert_eq!(fetch(&simulator, &Request::get("/assignment/accounts")).status, 401, "no token at all");
}

#[test]
fn roles_come_in_pages() {
    let simulator = start(Organisation::demo());
    let token = sign_in(&simulator, 0);
    let account = simulator.organisation().account(0);
    let first = format!("/assignment/roles?account_id={}&max_result=2", account.id);
    let page = portal(&simulator, &token, &first).json();
    assert_eq!(page["roleList"][1], json!({"roleName": account.roles[1], "accountId": account.id}));
    let next = encoded(page["nextToken"].as_str().unwrap());
    let page = portal(&simulator, &token, &format!("{first}&next_token={next}")).json();
    assert_eq!(page["roleList"].as_array().unwrap().len(), account.roles.len() - 2);
    assert_eq!(page["nextToken"], json!(null));
    // A token of another list doesn't fit.
    assert_eq!(portal(&simulator, &token, &format!("/assignment/accounts?next_token={next}")).status, 400);
}

#[test]
fn sessions_reach_their_own_accounts_only() {
    let simulator = start(Organisation::from_spec(OrganisationSpec { sessions: 2, ..small() }));
    let (one, two) = (sign_in(&simulator, 0), sign_in(&simulator, 1));
    let (first, second) = (simulator.organisation().account(0).id, simulator.organisation().account(1).id);
    assert_eq!(role_credentials(&simulator, &one, &first, "ReadOnlyAccess").status, 200);
    assert_eq!(role_credentials(&simulator, &one, &second, "ReadOnlyAccess").status, 403);
    assert_eq!(role_credentials(&simulator, &two, &second, "ReadOnlyAccess").status, 200);
    simulator.control(Control::EndTokens { session: Some("acme-2".into()) }).unwrap();
    assert_eq!(portal(&simulator, &two, "/assignment/accounts").status, 401);
    assert_eq!(portal(&simulator, &one, "/assignment/accounts").status, 200);
    assert!(simulator.control(Control::EndTokens { session: Some("unknown".into()) }).is_err());
}

#[test]
fn a_device_sign_in_is_decided_on_its_page() {
    let options = Options { approval: Approval::Manual, device_interval: 0, ..Options::default() };
    let simulator = Simulator::start(Organisation::from_spec(small()), options).unwrap();
    let client = register(&simulator, &[]);
    let start_url = "https://acme0.awsapps.com/start/#/";
    let device = start_device(&simulator, &client, start_url).json();
    let pending = poll(&simulator, &client, &device["deviceCode"]);
    assert_eq!((pending.status, code(&pending).as_str()), (400, "AuthorizationPendingException"));
    assert_eq!(pending.json()["error"], "authorization_pending");

    let user_code = device["userCode"].as_str().unwrap();
    assert_eq!(simulator.pending(), [user_code]);
    let page = device["verificationUriComplete"].as_str().unwrap().strip_prefix(simulator.url()).unwrap();
    assert!(fetch(&simulator, &Request::get(page)).text().contains(user_code));
    let decide = |decision: &str| {
        let form = Request {
            target: "/device".into(),
            ..Request::form(&format!("user_code={user_code}&decision={decision}"))
        };
        fetch(&simulator, &form).status
    };
    assert_eq!(decide("approve"), 200);
    assert_eq!(decide("deny"), 404, "decided already");
    let token = poll(&simulator, &client, &device["deviceCode"]).json();
    assert_eq!(
        (&token["refreshToken"], &token["expiresIn"]),
        (&json!(null), &json!(28_800)),
        "no scope was registered"
    );
    let again = poll(&simulator, &client, &device["deviceCode"]);
    assert_eq!(code(&again), "InvalidGrantException");
}

#[test]
fn each_outcome_of_a_device_code_has_its_own_error() {
    for (approval, wanted) in
        [(Approval::Denied, "AccessDeniedException"), (Approval::Expires, "ExpiredTokenException")]
    {
        let simulator =
            Simulator::start(Organisation::from_spec(small()), Options { approval, ..Options::default() })
                .unwrap();
        let client = register(&simulator, &[]);
        let device = start_device(&simulator, &client, "https://acme0.awsapps.com/start").json();
        let response = poll(&simulator, &client, &device["deviceCode"]);
        assert_eq!((response.status, code(&response).as_str()), (400, wanted));
    }
    let options = Options { approval: Approval::Manual, device_interval: 3600, ..Options::default() };
    let simulator = Simulator::start(Organisation::from_spec(small()), options).unwrap();
    let client = register(&simulator, &[]);
    let device = start_device(&simulator, &client, "https://acme0.awsapps.com/start").json();
    // Two at once, as the AWS CLI asks.
    for _ in 0..2 {
        assert_eq!(code(&poll(&simulator, &client, &device["deviceCode"])), "AuthorizationPendingException");
    }
    let hasty = poll(&simulator, &client, &device["deviceCode"]);
    assert_eq!(
        (code(&hasty).as_str(), hasty.json()["error"].as_str()),
        ("SlowDownException", Some("slow_down"))
    );
}

#[test]
fn wrong_clients_scopes_and_grants_are_rejected() {
    let simulator = start(Organisation::from_spec(small()));
    let client = register(&simulator, &[]);
    let response = start_device(&simulator, &client, "https://nowhere.example/start");
    assert_eq!((response.status, code(&response).as_str()), (400, "InvalidRequestException"));
    let wrong = Client { id: client.id.clone(), secret: json!("other") };
    let response = start_device(&simulator, &wrong, "https://acme0.awsapps.com/start");
    assert_eq!((response.status, code(&response).as_str()), (401, "InvalidClientException"));
    let registered = |body| code(&oidc(&simulator, "/client/register", &body));
    assert_eq!(
        registered(json!({"clientName": "x", "clientType": "confidential"})),
        "InvalidClientMetadataException"
    );
    assert_eq!(
        registered(json!({"clientName": "x", "clientType": "public", "scopes": ["everything"]})),
        "InvalidScopeException"
    );
    let body = json!({"clientId": client.id, "clientSecret": client.secret, "grantType": "password"});
    assert_eq!(code(&oidc(&simulator, "/token", &body)), "UnsupportedGrantTypeException");
    simulator.control(Control::ExpireRegistrations {}).unwrap();
    let response = start_device(&simulator, &client, "https://acme0.awsapps.com/start");
    assert_eq!(code(&response), "InvalidClientException");
}

#[test]
fn refreshing_rotates_and_can_be_rejected() {
    let simulator = start(Organisation::from_spec(small()));
    let client = register(&simulator, &["sso:account:access"]);
    let device = start_device(&simulator, &client, "https://acme0.awsapps.com/start").json();
    let first = poll(&simulator, &client, &device["deviceCode"]).json();
    let second = refresh(&simulator, &client, &first["refreshToken"]).json();
    assert_ne!(first["refreshToken"], second["refreshToken"]);
    simulator.control(Control::RefuseRefresh { session: None, refuse: true }).unwrap();
    assert_eq!(refresh(&simulator, &client, &second["refreshToken"]).status, 400);
    simulator.control(Control::RefuseRefresh { session: None, refuse: false }).unwrap();
    let third = refresh(&simulator, &client, &second["refreshToken"]).json();
    let token = third["accessToken"].as_str().unwrap();
    assert_eq!(portal(&simulator, token, "/assignment/accounts").status, 200);
    // One that comes again ends the whole sign-in.
    assert_eq!(simulator.reuses(), 0);
    let old = refresh(&simulator, &client, &first["refreshToken"]);
    assert_eq!((old.status, old.json()["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(simulator.reuses(), 1);
    assert_eq!(portal(&simulator, token, "/assignment/accounts").status, 401);
    assert_eq!(refresh(&simulator, &client, &third["refreshToken"]).status, 400);
}

fn sign_out(simulator: &Simulator, token: &str) -> u16 {
    fetch(simulator, &Request::post("/logout", "").with("x-amz-sso_bearer_token", token)).status
}

#[test]
fn signing_out_revokes_one_sign_in_only() {
    let simulator = start(Organisation::from_spec(small()));
    let client = register(&simulator, &["sso:account:access"]);
    let signed_in = || {
        let device = start_device(&simulator, &client, "https://acme0.awsapps.com/start").json();
        poll(&simulator, &client, &device["deviceCode"]).json()
    };
    let (first, other) = (signed_in(), signed_in());
    let next = refresh(&simulator, &client, &first["refreshToken"]).json();
    let token = |made: &Value| made["accessToken"].as_str().unwrap().to_owned();
    let keys = keys_by(&simulator, &token(&next), 0);
    assert_eq!(sign_out(&simulator, &token(&next)), 200);

    let statuses =
        [&first, &next, &other].map(|made| portal(&simulator, &token(made), "/assignment/accounts").status);
    assert_eq!(statuses, [401, 401, 200]);
    assert_eq!(code(&refresh(&simulator, &client, &next["refreshToken"])), "InvalidGrantException");
    assert_eq!(refresh(&simulator, &client, &other["refreshToken"]).status, 200);
    assert_eq!(caller_identity(&simulator, &keys).status, 200);
    assert_eq!(simulator.reuses(), 0);
}

#[test]
fn a_token_expires_now_with_a_call_or_by_sign_out() {
    let simulator = start(Organisation::from_spec(small()));
    let token = sign_in(&simulator, 0);
    simulator.control(Control::EndTokensAfter { session: None, calls: 3, times: 1 }).unwrap();
    let statuses: Vec<u16> =
        (0..5).map(|_| portal(&simulator, &token, "/assignment/accounts").status).collect();
    assert_eq!(statuses, [200, 200, 401, 401, 401]);

    let token = sign_in(&simulator, 0);
    assert_eq!([sign_out(&simulator, &token), sign_out(&simulator, &token)], [200, 401]);

    simulator.control(Control::TokenLifetime { seconds: Some(0) }).unwrap();
    let token = sign_in(&simulator, 0);
    assert_eq!(portal(&simulator, &token, "/assignment/accounts").status, 401);
    assert_eq!(simulator.count(Service::PORTAL, "Logout"), 2);
}

#[test]
fn every_issued_secret_is_marked_and_recorded() {
    let simulator = start(Organisation::demo());
    let client = register(&simulator, &["sso:account:access"]);
    let device = start_device(&simulator, &client, "https://tidewater.awsapps.com/start").json();
    let token = poll(&simulator, &client, &device["deviceCode"]).json();
    let account = simulator.organisation().account(1);
    let access = token["accessToken"].as_str().unwrap();
    let made = role_credentials(&simulator, access, &account.id, &account.roles[0]).json();
    let secrets = simulator.secrets();
    for secret in [
        &client.secret,
        &device["deviceCode"],
        &token["accessToken"],
        &token["refreshToken"],
        &made["roleCredentials"]["secretAccessKey"],
        &made["roleCredentials"]["sessionToken"],
    ] {
        let secret = secret.as_str().unwrap();
        assert!(secrets.iter().any(|known| known == secret), "{secret}");
    }
    assert!(secrets.iter().all(|secret| secret.contains(ssoinv_sim::SECRET_MARKER)));
    let planted = simulator.organisation().planted();
    assert!(planted.len() > 10 && planted.iter().all(|secret| secrets.contains(secret)));
    let id = made["roleCredentials"]["accessKeyId"].as_str().unwrap().to_owned();
    assert!(!secrets.contains(&id));
    let over_http: Vec<String> =
        serde_json::from_value(fetch(&simulator, &Request::get("/_sim/secrets")).json()).unwrap();
    assert_eq!(over_http, secrets);
}
