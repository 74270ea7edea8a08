//! AWS's own host names, in all partitions, through a proxy: which are called, and what becomes of those that fail.

use std::collections::BTreeSet;

use serde_json::Value;
use ssoinv_sim::{Control, HostFault, Options, Organisation, Service, Token};

use crate::support::{World, column, seeded, statuses};
use crate::tests;

tests![
    each_partition_has_its_hosts_and_arns,
    fips_and_dual_stack_hosts,
    sessions_of_two_regions_side_by_side,
    a_host_that_fails_takes_only_its_cells,
    dead_regions_cost_one_connection_in_all_and_are_told_once,
    a_sign_in_service_that_has_no_address,
    an_authority_that_is_not_trusted,
    roles_in_the_partition_of_their_source,
];

const EVERYTHING: &str = "list aws_s3_bucket aws_ec2_instance aws_lambda_function --all-profiles -o json";

/// An account in a partition, with one of each.
fn organisation(region: &str) -> Organisation {
    let json = format!(
        r#"{{
        "regions": ["{region}"],
        "sessions": [{{"name": "corp", "start_url": "https://corp.awsapps.com/start", "region": "{region}"}}],
        "roles": ["Audit"],
        "accounts": [
            {{"id": "111111111111", "name": "hub", "email": "hub@example.com",
              "buckets": [{{"name": "a-bucket", "region": "{region}"}}],
              "instances": {{"{region}": [{{}}]}}, "functions": {{"{region}": [{{}}]}}}},
            {{"id": "222222222222", "name": "prod", "email": "prod@example.com"}}
        ],
        "assumable_roles": [{{"account": "*", "name": "Reader", "trusts": ["111111111111"]}}]
    }}"#
    );
    Organisation::from_json(&json).expect("an organisation")
}

/// The hosts that were called.
fn hosts(world: &World) -> BTreeSet<String> {
    assert_eq!(world.simulator.unknown_hosts(), Vec::<String>::new());
    world.simulator.calls().into_iter().map(|call| call.host).collect()
}

fn set(hosts: &[&str]) -> BTreeSet<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

fn arns(answer: &Value) -> BTreeSet<String> {
    let tables = answer.as_object().expect("tables").values();
    let rows = tables.flat_map(|rows| rows.as_array().expect("rows").clone());
    rows.map(|row| row["arn"].as_str().expect("an ARN").split(':').nth(1).expect("a partition").to_owned())
        .collect()
}

fn each_partition_has_its_hosts_and_arns() {
    for (region, own, partition, suffix) in [
        ("eu-west-1", "us-east-1", "aws", "amazonaws.com"),
        ("us-gov-west-1", "us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("cn-north-1", "cn-northwest-1", "aws-cn", "amazonaws.com.cn"),
    ] {
        let world = World::through_the_proxy(organisation(region), Options::default(), Token::None);
        let run = world.run("login --no-browser").ended(0);
        assert!(!run.stderr.contains("is not AWS's"), "{run:#?}");
        let run = world.run(EVERYTHING).ended(0);
        assert_eq!(arns(&run.json()), set(&[partition]), "{run:#?}");
        world.run("whoami --all-profiles").ended(0);
        world.run("logout").ended(0);
        let regional = ["oidc", "portal.sso", "ec2", "lambda", "sts"].map(|service| (service, region));
        // About a whole account the partition's own region is called.
        let expected = regional.into_iter().chain([("s3", own), ("sts", own)]);
        let expected = expected.map(|(service, region)| format!("{service}.{region}.{suffix}"));
        assert_eq!(hosts(&world), expected.collect());
    }
}

fn fips_and_dual_stack_hosts() {
    for (variable, region, expected) in [
        (
            "AWS_USE_FIPS_ENDPOINT",
            "us-east-1",
            &[
                "portal.sso-fips.us-east-1.amazonaws.com",
                "s3-fips.us-east-1.amazonaws.com",
                "ec2-fips.us-east-1.amazonaws.com",
                "lambda-fips.us-east-1.amazonaws.com",
                "sts-fips.us-east-1.amazonaws.com",
            ][..],
        ),
        (
            "AWS_USE_DUALSTACK_ENDPOINT",
            "eu-west-1",
            &[
                "portal.sso.eu-west-1.api.aws",
                "s3.dualstack.us-east-1.amazonaws.com",
                "ec2.eu-west-1.api.aws",
                "lambda.eu-west-1.api.aws",
                "sts.us-east-1.api.aws",
            ],
        ),
    ] {
        let world = World::through_the_proxy(organisation(region), Options::default(), Token::Good);
        let world = world.variable(variable, "true");
        world.run(EVERYTHING).ended(0);
        assert_eq!(hosts(&world), set(expected));
    }
}

fn sessions_of_two_regions_side_by_side() {
    let json = r#"{
        "regions": ["eu-west-1"],
        "sessions": [
            {"name": "one", "start_url": "https://one.awsapps.com/start", "region": "eu-west-1", "accounts": ["111111111111"]},
            {"name": "two", "start_url": "https://two.awsapps.com/start", "region": "us-east-2", "accounts": ["222222222222"]}
        ],
        "roles": ["Audit"],
        "accounts": [
            {"id": "111111111111", "name": "hub", "email": "hub@example.com"},
            {"id": "222222222222", "name": "prod", "email": "prod@example.com"}
        ]
    }"#;
    let organisation = Organisation::from_json(json).expect("an organisation");
    let world = World::through_the_proxy(organisation, Options::default(), Token::Good);
    world.control(Control::EndTokens { session: Some("two".to_owned()) });
    world.control(Control::RefuseRefresh { session: Some("two".to_owned()), refuse: true });
    let (run, ledger) = world.with_ledger("buckets --all-profiles --no-input");
    run.ended(3);
    assert_eq!(statuses(&ledger), "ok 1, sign_in_expired 1");
    assert!(hosts(&world).is_superset(&set(&[
        "portal.sso.eu-west-1.amazonaws.com",
        "portal.sso.us-east-2.amazonaws.com",
        "oidc.us-east-2.amazonaws.com",
    ])));
}

fn a_host_that_fails_takes_only_its_cells() {
    for fault in [HostFault::Refused, HostFault::Silent, HostFault::Unresolvable] {
        let world = World::through_the_proxy(seeded(3), Options::default(), Token::Good);
        let world = world.variable("AWS_MAX_ATTEMPTS", "1");
        world.control(Control::Host { name: "ec2.us-west-2.amazonaws.com".to_owned(), fault: Some(fault) });
        let arguments = "list aws_ec2_instance aws_lambda_function --all-profiles --region us-east-1,us-west-2 \
            --connect-timeout 1s --attempt-timeout 2s";
        let (run, ledger) = world.with_ledger(arguments);
        run.ended(4);
        assert_eq!(statuses(&ledger), "ok 9, unreachable 3", "{fault:?}");
        let failed: Vec<&Value> = ledger.iter().filter(|cell| cell["status"] == "unreachable").collect();
        assert!(
            failed.iter().all(|cell| cell["region"] == "us-west-2" && cell["table"] == "aws_ec2_instance")
        );
        // The host is back.
        world.control(Control::Host { name: "ec2.us-west-2.amazonaws.com".to_owned(), fault: None });
        assert_eq!(statuses(&world.with_ledger(arguments).1), "ok 12");
    }
}

fn dead_regions_cost_one_connection_in_all_and_are_told_once() {
    for selection in ["--all-profiles", "--all-accounts --role AdministratorAccess"] {
        dead_regions(selection);
    }
}

fn dead_regions(selection: &str) {
    let world = World::through_the_proxy(seeded(20), Options::default(), Token::Good);
    let world = world.variable("AWS_MAX_ATTEMPTS", "2");
    let silent = ["ec2.us-west-2.amazonaws.com", "ec2.eu-west-1.amazonaws.com"];
    let nameless = "lambda.eu-central-1.amazonaws.com";
    for name in silent {
        let name = name.to_owned();
        world.control(Control::Host { name, fault: Some(HostFault::Silent) });
    }
    let name = nameless.to_owned();
    world.control(Control::Host { name, fault: Some(HostFault::Unresolvable) });
    let (run, ledger) = world.with_ledger(&format!(
        "list aws_ec2_instance aws_lambda_function {selection} \
            --region us-east-1,us-west-2,eu-west-1,eu-central-1 --connect-timeout 1s"
    ));
    let run = run.ended(4);
    assert_eq!(statuses(&ledger), "ok 100, unreachable 60");
    for name in silent {
        assert_eq!(world.simulator.failed_connects(name), 1, "{name}: one connection in all");
    }
    assert_eq!(world.simulator.failed_connects(nameless), 2, "as often as AWS_MAX_ATTEMPTS says");
    let asked: u64 = ledger
        .iter()
        .filter(|cell| cell["status"] == "unreachable")
        .map(|cell| cell["calls"].as_u64().expect("a number"))
        .sum();
    assert_eq!(asked, 4, "the other tasks made no call");
    for region in ["us-west-2", "eu-west-1", "eu-central-1"] {
        let told = format!("could not reach region `{region}` in 20 of 20 accounts: ");
        assert_eq!(run.stderr.matches(&told).count(), 1, "{}", run.stderr);
    }
}

fn a_sign_in_service_that_has_no_address() {
    let world = World::through_the_proxy(seeded(1), Options::default(), Token::None);
    let world = world.variable("AWS_MAX_ATTEMPTS", "1");
    let name = "oidc.us-east-1.amazonaws.com".to_owned();
    world.control(Control::Host { name, fault: Some(HostFault::Unresolvable) });
    let run = world.run("login").ended(3).said("error: the sign-in to `acme` failed: ");
    run.said("hint: see that this machine reaches AWS");
}

fn an_authority_that_is_not_trusted() {
    let world = World::through_the_proxy(seeded(1), Options::default(), Token::Good);
    let other = World::through_the_proxy(seeded(1), Options::default(), Token::None);
    let (_, pem) = other.simulator.proxy().expect("a proxy");
    std::fs::write(world.home.path().join("authority.pem"), pem).expect("written");
    let world = world.variable("AWS_MAX_ATTEMPTS", "1");
    let (run, ledger) = world.with_ledger("buckets --all-profiles --no-input");
    run.ended(5);
    assert_eq!(column(&ledger, "status"), ["unreachable"]);
    let run = world
        .run("login")
        .ended(3)
        .said("error: the sign-in to `acme` failed: TLS handshake failed: invalid peer certificate: ");
    run.said("hint: name a PEM file of the authorities to trust with `AWS_CA_BUNDLE`");
    assert_eq!(world.simulator.calls(), []);
}

fn roles_in_the_partition_of_their_source() {
    for (region, organizations) in [
        ("eu-west-1", "organizations.us-east-1.amazonaws.com"),
        ("us-gov-east-1", "organizations.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "organizations.cn-northwest-1.amazonaws.com.cn"),
    ] {
        let world = World::through_the_proxy(organisation(region), Options::default(), Token::Good);
        let (run, ledger) =
            world.with_ledger("buckets --profile hub-Audit --assume-role Reader --account all --no-input");
        run.ended(0);
        assert_eq!(statuses(&ledger), "ok 2");
        assert!(hosts(&world).contains(organizations), "{:?}", hosts(&world));
        assert!(hosts(&world).iter().any(|host| host.starts_with(&format!("sts.{region}."))));
        assert_eq!(world.simulator.count(Service::STS, "AssumeRole"), 2);
    }
}
