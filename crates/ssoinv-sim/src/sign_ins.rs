//! Sign-ins: clients, device codes, authorization codes and tokens, with their expiry. The device flow (RFC 8628) and
//! refreshing (RFC 6749 §6) are here, the authorization code flow in `authorize.rs`. `services/oidc.rs` puts them on
//! the wire, `services/portal.rs` checks the tokens. The time is passed in.

use std::collections::HashMap;
use std::time::Duration;

use crate::approval::{Approval, Decision};
use crate::authorization_code::{AuthorizationCode, AuthorizationPage};
use crate::clients::{Client, ClientMetadata, DEVICE_GRANT};
use crate::errors::ServiceError;
use crate::issuer::Issuer;
use crate::options::Options;

/// The time by which a poll may be early, since timers aren't exact.
const POLL_TOLERANCE: Duration = Duration::from_millis(100);

/// The time by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Milliseconds since 1970.
    pub(crate) ms: i64,
    /// Time since the start.
    pub(crate) running: Duration,
}

#[derive(Debug)]
struct Device {
    client: String,
    session: usize,
    /// True if the code is from the session's own region. Codes of other regions can't be approved.
    at_home: bool,
    user_code: String,
    expires: i64,
    decision: Decision,
    polls: u32,
    last_poll: Option<Duration>,
}

#[derive(Debug)]
struct Token {
    session: usize,
    family: u64,
    expires: i64,
}

#[derive(Debug)]
struct Refresh {
    session: usize,
    /// The number that all tokens of one sign-in share.
    family: u64,
    client: String,
    /// Expiry of the sign-in.
    expires: i64,
}

/// An expiry of tokens after a number of calls.
#[derive(Debug, Clone, Copy)]
struct Countdown {
    calls: u32,
    left: u32,
    times: u32,
}

#[derive(Debug, Default)]
struct SessionState {
    countdown: Option<Countdown>,
    rejects_refresh: bool,
}

/// All clients, codes and tokens.
#[derive(Debug)]
pub(crate) struct SignIns {
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) pages: Vec<AuthorizationPage>,
    pub(crate) codes: HashMap<String, AuthorizationCode>,
    families: u64,
    /// Families of used refresh tokens.
    used: HashMap<String, u64>,
    /// Number of refresh tokens and codes that were used twice.
    reuses: u64,
    devices: HashMap<String, Device>,
    tokens: HashMap<String, Token>,
    refreshes: HashMap<String, Refresh>,
    sessions: Vec<SessionState>,
    pub(crate) approval: Approval,
    pub(crate) token_lifetime: Option<u32>,
    pub(crate) interval: u32,
    pub(crate) device_lifetime: u32,
    pub(crate) code_lifetime: u32,
    sign_in_lifetime: u32,
    registration_lifetime: u32,
}

/// The tokens of a sign-in.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    pub(crate) access_token: String,
    pub(crate) expires_in: u32,
    pub(crate) refresh_token: Option<String>,
    pub(crate) family: u64,
}

/// The credentials of a registered client.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Milliseconds since 1970.
    pub(crate) expires: i64,
}

/// Returns the expiry of something that lives for `seconds` from `now` on.
pub(crate) fn expiry(now: i64, seconds: u32) -> i64 {
    now + i64::from(seconds) * 1000
}

pub(crate) fn reject<T>(status: u16, code: &'static str, message: &str) -> Result<T, ServiceError> {
    Err(ServiceError::new(status, code, message))
}

impl SignIns {
    pub(crate) fn new(sessions: usize, options: &Options) -> Self {
        Self {
            clients: HashMap::new(),
            pages: Vec::new(),
            codes: HashMap::new(),
            families: 0,
            used: HashMap::new(),
            reuses: 0,
            devices: HashMap::new(),
            tokens: HashMap::new(),
            refreshes: HashMap::new(),
            sessions: (0..sessions).map(|_| SessionState::default()).collect(),
            approval: options.approval,
            token_lifetime: options.token_lifetime,
            interval: options.device_interval,
            device_lifetime: options.device_lifetime,
            code_lifetime: options.code_lifetime,
            sign_in_lifetime: options.sign_in_lifetime,
            registration_lifetime: options.registration_lifetime,
        }
    }

    pub(crate) fn register(
        &mut self,
        issuer: &Issuer,
        region: &str,
        metadata: ClientMetadata,
        now: Moment,
    ) -> Registration {
        let (client_id, client_secret) = (issuer.client_id(region), issuer.client_secret());
        let expires = expiry(now.ms, self.registration_lifetime);
        self.clients.insert(client_id.clone(), Client::new(client_secret.clone(), metadata, expires));
        Registration { client_id, client_secret, expires }
    }

    pub(crate) fn client(&self, id: &str, secret: &str, now: Moment) -> Result<&Client, ServiceError> {
        match self.clients.get(id) {
            Some(client) if client.secret == secret && now.ms < client.expires => Ok(client),
            _ => reject(401, "InvalidClientException", "Invalid client provided"),
        }
    }

    pub(crate) fn start(
        &mut self,
        issuer: &Issuer,
        client: (&str, &str),
        session: Option<usize>,
        at_home: bool,
        now: Moment,
    ) -> Result<(String, String), ServiceError> {
        if !self.client(client.0, client.1, now)?.may(DEVICE_GRANT) {
            return reject(400, "UnauthorizedClientException", "Client is not authorized to use device flow");
        }
        let Some(session) = session else {
            return reject(400, "InvalidRequestException", "Invalid start url provided");
        };
        let (code, user_code) = (issuer.device_code(), issuer.user_code());
        let device = Device {
            client: client.0.to_owned(),
            session,
            at_home,
            user_code: user_code.clone(),
            expires: expiry(now.ms, self.device_lifetime),
            decision: Decision::Pending,
            polls: 0,
            last_poll: None,
        };
        self.devices.insert(code.clone(), device);
        Ok((code, user_code))
    }

    /// Decides on a pending device authorization or page, or on all; false if there was none.
    pub(crate) fn decide(&mut self, user_code: Option<&str>, approve: bool) -> bool {
        self.decide_as(user_code, if approve { Decision::Approved } else { Decision::Denied })
    }

    /// Expires pending device codes; pending pages will issue an expired code.
    pub(crate) fn expire_devices(&mut self) -> bool {
        self.decide_as(None, Decision::Expired)
    }

    fn decide_as(&mut self, user_code: Option<&str>, decision: Decision) -> bool {
        let pending =
            self.devices.values_mut().filter(|device| device.decision == Decision::Pending && device.at_home);
        let wanted = pending.filter(|device| user_code.is_none_or(|code| device.user_code == code));
        let devices = wanted.map(|device| device.decision = decision).count();
        let pages = self.pages.iter_mut().filter(|page| page.decision == Decision::Pending);
        let wanted = pages.filter(|page| user_code.is_none_or(|code| page.state == code));
        devices + wanted.map(|page| page.decision = decision).count() > 0
    }

    /// Returns the user codes, and the `state` of pages, that are pending.
    pub(crate) fn pending(&self) -> Vec<String> {
        let devices = self.devices.values().filter(|device| device.decision == Decision::Pending);
        let pages = self.pages.iter().filter(|page| page.decision == Decision::Pending);
        let codes = devices.map(|device| device.user_code.clone());
        codes.chain(pages.map(|page| page.state.clone())).collect()
    }

    /// Returns the number of refresh tokens and codes that were used twice.
    pub(crate) fn reuses(&self) -> u64 {
        self.reuses
    }

    pub(crate) fn reset_reuses(&mut self) {
        self.reuses = 0;
    }

    /// Revokes a sign-in whose token or code was used twice (RFC 9700 §4.14.2).
    pub(crate) fn revoke_reused(&mut self, family: u64) {
        self.reuses += 1;
        self.revoke_family(family);
    }

    /// Revokes all tokens of a sign-in.
    fn revoke_family(&mut self, family: u64) {
        self.tokens.retain(|_, token| token.family != family);
        self.refreshes.retain(|_, refresh| refresh.family != family);
    }

    pub(crate) fn poll(
        &mut self,
        issuer: &Issuer,
        client: (&str, &str),
        code: &str,
        now: Moment,
    ) -> Result<SignIn, ServiceError> {
        let refreshes = self.client(client.0, client.1, now)?.refreshes();
        let (approval, interval) = (self.approval, Duration::from_secs(u64::from(self.interval)));
        let Some(device) = self.devices.get_mut(code).filter(|device| device.client == client.0) else {
            return reject(400, "InvalidGrantException", "Invalid device code provided");
        };
        device.polls += 1;
        // The AWS CLI polls twice before its first pause, and AWS accepts that (logs in aws-cli #5878).
        let early = device.polls > 2
            && device.last_poll.is_some_and(|last| now.running + POLL_TOLERANCE < last + interval);
        device.last_poll = Some(now.running);
        if device.decision == Decision::Pending && device.at_home {
            match approval {
                Approval::AtPoll(number) if device.polls >= number => device.decision = Decision::Approved,
                Approval::Denied => device.decision = Decision::Denied,
                Approval::Expires => device.decision = Decision::Expired,
                Approval::AtPoll(_) | Approval::Manual => {}
            }
        }
        if now.ms >= device.expires {
            return reject(400, "ExpiredTokenException", "Device code has expired");
        }
        match device.decision {
            _ if early => reject(400, "SlowDownException", "Slow down to fetch token"),
            Decision::Pending => {
                reject(400, "AuthorizationPendingException", "Authorization is still pending")
            }
            Decision::Denied => {
                reject(400, "AccessDeniedException", "Resource owner refused to grant authorization")
            }
            Decision::Expired => reject(400, "ExpiredTokenException", "Device code has expired"),
            Decision::Used => reject(400, "InvalidGrantException", "Invalid device code provided"),
            Decision::Approved => {
                device.decision = Decision::Used;
                let session = device.session;
                let expires = expiry(now.ms, self.sign_in_lifetime);
                Ok(self.sign_in(issuer, session, refreshes.then_some(client.0), expires, now))
            }
        }
    }

    pub(crate) fn refresh(
        &mut self,
        issuer: &Issuer,
        client: (&str, &str),
        token: &str,
        now: Moment,
    ) -> Result<SignIn, ServiceError> {
        let refreshes = self.client(client.0, client.1, now)?.refreshes();
        if let Some(&family) = self.used.get(token) {
            self.revoke_reused(family);
        }
        let known = self.refreshes.get(token).filter(|refresh| {
            let rejected = self.sessions[refresh.session].rejects_refresh;
            refreshes && refresh.client == client.0 && now.ms < refresh.expires && !rejected
        });
        let Some((session, family, expires)) =
            known.map(|refresh| (refresh.session, refresh.family, refresh.expires))
        else {
            return reject(400, "InvalidGrantException", "Invalid refresh token provided");
        };
        // Rotation: a refresh token is used once.
        self.refreshes.remove(token);
        self.used.insert(token.to_owned(), family);
        Ok(self.issue_tokens(issuer, (session, family), Some(client.0), expires, now))
    }

    /// Issues the tokens of a new sign-in; with a refresh token if there is a `client`.
    pub(crate) fn sign_in(
        &mut self,
        issuer: &Issuer,
        session: usize,
        client: Option<&str>,
        expires: i64,
        now: Moment,
    ) -> SignIn {
        self.families += 1;
        self.issue_tokens(issuer, (session, self.families), client, expires, now)
    }

    fn issue_tokens(
        &mut self,
        issuer: &Issuer,
        (session, family): (usize, u64),
        client: Option<&str>,
        expires: i64,
        now: Moment,
    ) -> SignIn {
        let lifetime = self.token_lifetime.unwrap_or(if client.is_some() { 3600 } else { 8 * 3600 });
        let left = u32::try_from((expires - now.ms).max(0) / 1000).unwrap_or(u32::MAX);
        let expires_in = lifetime.min(left);
        let access_token = issuer.access_token();
        let token = Token { session, family, expires: expiry(now.ms, expires_in) };
        self.tokens.insert(access_token.clone(), token);
        let refresh_token = client.map(|client| {
            let token = issuer.refresh_token();
            let refresh = Refresh { session, family, client: client.to_owned(), expires };
            self.refreshes.insert(token.clone(), refresh);
            token
        });
        SignIn { access_token, expires_in, refresh_token, family }
    }

    /// Returns the time from which a sign-in of now can't be refreshed any more.
    pub(crate) fn sign_in_expiry(&self, now: Moment) -> i64 {
        expiry(now.ms, self.sign_in_lifetime)
    }

    /// Returns the session of an access token, and counts the call if tokens expire after a number of calls.
    pub(crate) fn check(&mut self, token: &str, now: Moment) -> Option<usize> {
        let session = self.tokens.get(token).filter(|token| now.ms < token.expires)?.session;
        let mut expired = false;
        if let Some(countdown) = &mut self.sessions[session].countdown {
            countdown.left = countdown.left.saturating_sub(1);
            if countdown.left == 0 {
                expired = true;
                countdown.left = countdown.calls;
                countdown.times -= 1;
                if countdown.times == 0 {
                    self.sessions[session].countdown = None;
                }
            }
        }
        if expired {
            self.expire_tokens(Some(session));
            return None;
        }
        Some(session)
    }

    /// Expires the access tokens of a session, or all. Refresh tokens stay valid.
    pub(crate) fn expire_tokens(&mut self, session: Option<usize>) {
        self.tokens.retain(|_, token| session.is_some_and(|session| token.session != session));
    }

    /// Expires a session's access tokens with the `calls`-th portal call from now, and again, `times` times in all.
    pub(crate) fn expire_tokens_after(&mut self, session: Option<usize>, calls: u32, times: u32) {
        let countdown = (calls > 0 && times > 0).then_some(Countdown { calls, left: calls, times });
        for state in self.sessions_of(session) {
            state.countdown = countdown;
        }
    }

    pub(crate) fn reject_refresh(&mut self, session: Option<usize>, reject: bool) {
        for state in self.sessions_of(session) {
            state.rejects_refresh = reject;
        }
    }

    fn sessions_of(&mut self, session: Option<usize>) -> impl Iterator<Item = &mut SessionState> {
        let all = self.sessions.iter_mut().enumerate();
        all.filter(move |(number, _)| session.is_none_or(|wanted| wanted == *number)).map(|(_, state)| state)
    }

    pub(crate) fn expire_registrations(&mut self) {
        self.clients.clear();
    }

    /// Makes an access token expire earlier.
    pub(crate) fn shorten(&mut self, token: &str, expires: i64) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.expires = token.expires.min(expires);
        }
    }

    /// Signs out: revokes all tokens of the token's sign-in.
    pub(crate) fn sign_out(&mut self, token: &str) {
        if let Some(family) = self.tokens.get(token).map(|token| token.family) {
            self.revoke_family(family);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::ACCESS_SCOPE;

    fn at(seconds: u64) -> Moment {
        Moment { ms: i64::try_from(seconds).unwrap() * 1000, running: Duration::from_secs(seconds) }
    }

    struct Flow {
        sign_ins: SignIns,
        issuer: Issuer,
        client: Registration,
    }

    impl Flow {
        fn new(options: &Options, scopes: &[&str]) -> Self {
            let (mut sign_ins, issuer) = (SignIns::new(2, options), Issuer::new());
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let metadata = ClientMetadata { scopes, ..ClientMetadata::default() };
            let client = sign_ins.register(&issuer, "eu-west-1", metadata, at(0));
            Self { sign_ins, issuer, client }
        }

        fn start(&mut self, now: u64) -> (String, String) {
            let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
            self.sign_ins.start(&self.issuer, client, Some(0), true, at(now)).unwrap()
        }

        fn poll(&mut self, code: &str, now: u64) -> Result<SignIn, &'static str> {
            let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
            self.sign_ins.poll(&self.issuer, client, code, at(now)).map_err(|error| error.code)
        }

        fn refresh(&mut self, token: &str, now: u64) -> Result<SignIn, &'static str> {
            let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
            self.sign_ins.refresh(&self.issuer, client, token, at(now)).map_err(|error| error.code)
        }
    }

    #[test]
    fn a_device_code_is_pending_and_then_valid_once() {
        let options = Options { approval: Approval::AtPoll(3), device_interval: 5, ..Options::default() };
        let mut flow = Flow::new(&options, &[ACCESS_SCOPE]);
        let (code, _) = flow.start(0);
        assert_eq!(flow.poll(&code, 0).unwrap_err(), "AuthorizationPendingException");
        assert_eq!(flow.poll(&code, 0).unwrap_err(), "AuthorizationPendingException", "as the AWS CLI does");
        assert_eq!(flow.poll(&code, 2).unwrap_err(), "SlowDownException");
        let signed_in = flow.poll(&code, 7).unwrap();
        assert_eq!(signed_in.expires_in, 3600);
        assert_eq!(flow.sign_ins.check(&signed_in.access_token, at(8)), Some(0));
        assert_eq!(flow.sign_ins.check(&signed_in.access_token, at(7 + 3600)), None, "expired");
        assert_eq!(flow.poll(&code, 20).unwrap_err(), "InvalidGrantException", "used");
        assert_eq!(flow.poll("other", 20).unwrap_err(), "InvalidGrantException");
    }

    #[test]
    fn decisions_and_expiry_of_a_code() {
        let mut flow = Flow::new(&Options { approval: Approval::Manual, ..Options::default() }, &[]);
        let (code, user_code) = flow.start(0);
        assert_eq!(flow.poll(&code, 1).unwrap_err(), "AuthorizationPendingException");
        assert!(!flow.sign_ins.decide(Some("XXXX-XXXX"), true));
        assert!(flow.sign_ins.decide(Some(&user_code), true));
        let signed_in = flow.poll(&code, 3).unwrap();
        assert_eq!(
            (signed_in.refresh_token, signed_in.expires_in),
            (None, 28_800),
            "no scope, no refresh token"
        );
        let (code, _) = flow.start(10);
        assert!(flow.sign_ins.decide(None, false));
        assert_eq!(flow.poll(&code, 11).unwrap_err(), "AccessDeniedException");
        let (code, _) = flow.start(20);
        assert_eq!(flow.poll(&code, 620).unwrap_err(), "ExpiredTokenException");
        let (code, _) = flow.start(700);
        assert!(flow.sign_ins.expire_devices());
        assert_eq!(flow.poll(&code, 701).unwrap_err(), "ExpiredTokenException");
        assert!(flow.sign_ins.pending().is_empty() || flow.sign_ins.pending().len() == 1);
    }

    #[test]
    fn refresh_tokens_rotate_and_expire_with_the_sign_in() {
        let options = Options { sign_in_lifetime: 4000, ..Options::default() };
        let mut flow = Flow::new(&options, &[ACCESS_SCOPE]);
        let (code, _) = flow.start(0);
        let first = flow.poll(&code, 0).unwrap().refresh_token.unwrap();
        let second = flow.refresh(&first, 3000).unwrap();
        assert_eq!(second.expires_in, 1000, "no longer than the sign-in");
        let second = second.refresh_token.unwrap();
        flow.sign_ins.reject_refresh(Some(0), true);
        assert_eq!(flow.refresh(&second, 3002).unwrap_err(), "InvalidGrantException");
        flow.sign_ins.reject_refresh(Some(0), false);
        assert!(flow.refresh(&second, 3003).is_ok());
        let (code, _) = flow.start(5000);
        let third = flow.poll(&code, 5000).unwrap().refresh_token.unwrap();
        assert_eq!(
            flow.refresh(&third, 9000).unwrap_err(),
            "InvalidGrantException",
            "the sign-in has expired"
        );
        let (code, _) = flow.start(9001);
        flow.sign_ins.expire_registrations();
        assert_eq!(flow.poll(&code, 9002).unwrap_err(), "InvalidClientException");
    }

    #[test]
    fn a_reused_refresh_token_revokes_its_sign_in_only() {
        let mut flow = Flow::new(&Options::default(), &[ACCESS_SCOPE]);
        let sign_in = |flow: &mut Flow| {
            let (code, _) = flow.start(0);
            flow.poll(&code, 0).unwrap()
        };
        let (one, other) = (sign_in(&mut flow), sign_in(&mut flow));
        let first = one.refresh_token.unwrap();
        let next = flow.refresh(&first, 1).unwrap();
        assert_eq!(flow.sign_ins.reuses(), 0);
        assert_eq!(flow.refresh(&first, 2).unwrap_err(), "InvalidGrantException");
        assert_eq!(flow.sign_ins.reuses(), 1);
        assert_eq!(flow.sign_ins.check(&next.access_token, at(3)), None);
        assert_eq!(flow.refresh(&next.refresh_token.unwrap(), 3).unwrap_err(), "InvalidGrantException");
        assert_eq!(flow.sign_ins.check(&other.access_token, at(3)), Some(0));
        assert!(flow.refresh(&other.refresh_token.unwrap(), 3).is_ok());
    }

    #[test]
    fn tokens_of_a_session_expire_now_or_with_the_nth_call() {
        let mut flow = Flow::new(&Options::default(), &[ACCESS_SCOPE]);
        let (expires, now) = (flow.sign_ins.sign_in_expiry(at(0)), at(1));
        let token = |flow: &mut Flow, session| {
            flow.sign_ins.sign_in(&flow.issuer, session, None, expires, at(0)).access_token
        };
        let (mine, other) = (token(&mut flow, 0), token(&mut flow, 1));
        flow.sign_ins.expire_tokens_after(Some(0), 3, 2);
        let calls: Vec<bool> = (0..4).map(|_| flow.sign_ins.check(&mine, now).is_some()).collect();
        assert_eq!(calls, [true, true, false, false]);
        assert_eq!(flow.sign_ins.check(&other, now), Some(1));
        let next = token(&mut flow, 0);
        let calls: Vec<bool> = (0..4).map(|_| flow.sign_ins.check(&next, now).is_some()).collect();
        assert_eq!(calls, [true, true, false, false], "twice in all");
        let last = token(&mut flow, 0);
        assert!((0..9).all(|_| flow.sign_ins.check(&last, now).is_some()));
        flow.sign_ins.expire_tokens(None);
        assert_eq!(flow.sign_ins.check(&other, now), None);
    }
}
