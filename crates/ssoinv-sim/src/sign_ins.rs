//! Device codes and tokens: what a sign-in goes through and when each of them ends. Flow: RFC 8628 and RFC 6749 §6;
//! the other one is in `authorize.rs`, clients are in `clients.rs`. The moment is handed in. On the wire: `oidc.rs`;
//! who uses the tokens: `portal.rs`.

use std::collections::HashMap;
use std::time::Duration;

use crate::authorize::{Code, Page};
use crate::clients::{Asked, Client, DEVICE_GRANT};
use crate::mint::Mint;
use crate::options::{Approval, Options};
use crate::refusal::Refusal;

/// What a poll may come too early by: timers aren't exact.
const POLL_TOLERANCE: Duration = Duration::from_millis(100);

/// Now, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Milliseconds since 1970.
    pub(crate) ms: i64,
    /// Time since the start.
    pub(crate) running: Duration,
}

/// What a person has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
    Expired,
    Used,
}

#[derive(Debug)]
struct Device {
    client: String,
    session: usize,
    /// Whether it was asked for where the session is at home. Else nobody can agree to it.
    at_home: bool,
    user_code: String,
    ends: i64,
    decision: Decision,
    polls: u32,
    last_poll: Option<Duration>,
}

#[derive(Debug)]
struct Token {
    session: usize,
    family: u64,
    ends: i64,
}

#[derive(Debug)]
struct Refresh {
    session: usize,
    /// All that one sign-in has led to.
    family: u64,
    client: String,
    /// End of the sign-in session.
    ends: i64,
}

/// A token's end that was ordered.
#[derive(Debug, Clone, Copy)]
struct Countdown {
    calls: u32,
    left: u32,
    times: u32,
}

#[derive(Debug, Default)]
struct SessionState {
    countdown: Option<Countdown>,
    refuse_refresh: bool,
}

/// Clients, codes and tokens.
#[derive(Debug)]
pub(crate) struct SignIns {
    pub(crate) clients: HashMap<String, Client>,
    pub(crate) pages: Vec<Page>,
    pub(crate) codes: HashMap<String, Code>,
    families: u64,
    /// Refresh tokens that have served, with their family.
    spent: HashMap<String, u64>,
    /// How often one of them, or a code that had served, came again.
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

/// What a sign-in gives.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    pub(crate) access_token: String,
    pub(crate) expires_in: u32,
    pub(crate) refresh_token: Option<String>,
    pub(crate) family: u64,
}

/// A registration.
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Milliseconds since 1970.
    pub(crate) ends: i64,
}

/// The end of what lives so long from now on.
pub(crate) fn end(now: i64, seconds: u32) -> i64 {
    now + i64::from(seconds) * 1000
}

pub(crate) fn refuse<T>(status: u16, code: &'static str, message: &str) -> Result<T, Refusal> {
    Err(Refusal::new(status, code, message))
}

impl SignIns {
    pub(crate) fn new(sessions: usize, options: &Options) -> Self {
        Self {
            clients: HashMap::new(),
            pages: Vec::new(),
            codes: HashMap::new(),
            families: 0,
            spent: HashMap::new(),
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

    pub(crate) fn register(&mut self, mint: &Mint, region: &str, asked: Asked, now: Moment) -> Registration {
        let (client_id, client_secret) = (mint.client_id(region), mint.client_secret());
        let ends = end(now.ms, self.registration_lifetime);
        self.clients.insert(client_id.clone(), Client::new(client_secret.clone(), asked, ends));
        Registration { client_id, client_secret, ends }
    }

    pub(crate) fn client(&self, id: &str, secret: &str, now: Moment) -> Result<&Client, Refusal> {
        match self.clients.get(id) {
            Some(client) if client.secret == secret && now.ms < client.ends => Ok(client),
            _ => refuse(401, "InvalidClientException", "Invalid client provided"),
        }
    }

    pub(crate) fn start(
        &mut self,
        mint: &Mint,
        client: (&str, &str),
        session: Option<usize>,
        at_home: bool,
        now: Moment,
    ) -> Result<(String, String), Refusal> {
        if !self.client(client.0, client.1, now)?.may(DEVICE_GRANT) {
            return refuse(400, "UnauthorizedClientException", "Client is not authorized to use device flow");
        }
        let Some(session) = session else {
            return refuse(400, "InvalidRequestException", "Invalid start url provided");
        };
        let (code, user_code) = (mint.device_code(), mint.user_code());
        let device = Device {
            client: client.0.to_owned(),
            session,
            at_home,
            user_code: user_code.clone(),
            ends: end(now.ms, self.device_lifetime),
            decision: Decision::Pending,
            polls: 0,
            last_poll: None,
        };
        self.devices.insert(code.clone(), device);
        Ok((code, user_code))
    }

    /// Decides for a device authorisation or a page that waits, or for all. True when there was one.
    pub(crate) fn decide(&mut self, user_code: Option<&str>, approve: bool) -> bool {
        self.decide_as(user_code, if approve { Decision::Approved } else { Decision::Denied })
    }

    /// Ends device codes that wait; pages that do will give a code that has ended.
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

    /// User codes, and the `state` of pages, that wait for a person.
    pub(crate) fn pending(&self) -> Vec<String> {
        let devices = self.devices.values().filter(|device| device.decision == Decision::Pending);
        let pages = self.pages.iter().filter(|page| page.decision == Decision::Pending);
        let codes = devices.map(|device| device.user_code.clone());
        codes.chain(pages.map(|page| page.state.clone())).collect()
    }

    /// How often a refresh token or a code came that had served before.
    pub(crate) fn reuses(&self) -> u64 {
        self.reuses
    }

    pub(crate) fn forget_reuses(&mut self) {
        self.reuses = 0;
    }

    /// Ends a sign-in of which somebody has a copy (RFC 9700 §4.14.2).
    pub(crate) fn end_reused(&mut self, family: u64) {
        self.reuses += 1;
        self.end_family(family);
    }

    /// Ends all that one sign-in has led to.
    fn end_family(&mut self, family: u64) {
        self.tokens.retain(|_, token| token.family != family);
        self.refreshes.retain(|_, refresh| refresh.family != family);
    }

    pub(crate) fn poll(
        &mut self,
        mint: &Mint,
        client: (&str, &str),
        code: &str,
        now: Moment,
    ) -> Result<SignIn, Refusal> {
        let refreshes = self.client(client.0, client.1, now)?.refreshes();
        let (approval, interval) = (self.approval, Duration::from_secs(u64::from(self.interval)));
        let Some(device) = self.devices.get_mut(code).filter(|device| device.client == client.0) else {
            return refuse(400, "InvalidGrantException", "Invalid device code provided");
        };
        device.polls += 1;
        // The AWS CLI asks twice before it waits for the first time, and AWS bears with it (logs in aws-cli #5878).
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
        if now.ms >= device.ends {
            return refuse(400, "ExpiredTokenException", "Device code has expired");
        }
        match device.decision {
            _ if early => refuse(400, "SlowDownException", "Slow down to fetch token"),
            Decision::Pending => {
                refuse(400, "AuthorizationPendingException", "Authorization is still pending")
            }
            Decision::Denied => {
                refuse(400, "AccessDeniedException", "Resource owner refused to grant authorization")
            }
            Decision::Expired => refuse(400, "ExpiredTokenException", "Device code has expired"),
            Decision::Used => refuse(400, "InvalidGrantException", "Invalid device code provided"),
            Decision::Approved => {
                device.decision = Decision::Used;
                let session = device.session;
                let ends = end(now.ms, self.sign_in_lifetime);
                Ok(self.sign_in(mint, session, refreshes.then_some(client.0), ends, now))
            }
        }
    }

    pub(crate) fn refresh(
        &mut self,
        mint: &Mint,
        client: (&str, &str),
        token: &str,
        now: Moment,
    ) -> Result<SignIn, Refusal> {
        let refreshes = self.client(client.0, client.1, now)?.refreshes();
        if let Some(&family) = self.spent.get(token) {
            self.end_reused(family);
        }
        let known = self.refreshes.get(token).filter(|refresh| {
            let refused = self.sessions[refresh.session].refuse_refresh;
            refreshes && refresh.client == client.0 && now.ms < refresh.ends && !refused
        });
        let Some((session, family, ends)) =
            known.map(|refresh| (refresh.session, refresh.family, refresh.ends))
        else {
            return refuse(400, "InvalidGrantException", "Invalid refresh token provided");
        };
        // Rotation: a refresh token serves once.
        self.refreshes.remove(token);
        self.spent.insert(token.to_owned(), family);
        Ok(self.tokens_of(mint, (session, family), Some(client.0), ends, now))
    }

    /// A new sign-in's tokens; a refresh token where `client` is given.
    pub(crate) fn sign_in(
        &mut self,
        mint: &Mint,
        session: usize,
        client: Option<&str>,
        ends: i64,
        now: Moment,
    ) -> SignIn {
        self.families += 1;
        self.tokens_of(mint, (session, self.families), client, ends, now)
    }

    fn tokens_of(
        &mut self,
        mint: &Mint,
        (session, family): (usize, u64),
        client: Option<&str>,
        ends: i64,
        now: Moment,
    ) -> SignIn {
        let lifetime = self.token_lifetime.unwrap_or(if client.is_some() { 3600 } else { 8 * 3600 });
        let left = u32::try_from((ends - now.ms).max(0) / 1000).unwrap_or(u32::MAX);
        let expires_in = lifetime.min(left);
        let access_token = mint.access_token();
        self.tokens.insert(access_token.clone(), Token { session, family, ends: end(now.ms, expires_in) });
        let refresh_token = client.map(|client| {
            let token = mint.refresh_token();
            self.refreshes
                .insert(token.clone(), Refresh { session, family, client: client.to_owned(), ends });
            token
        });
        SignIn { access_token, expires_in, refresh_token, family }
    }

    /// When a sign-in of now can't be refreshed any more.
    pub(crate) fn sign_in_end(&self, now: Moment) -> i64 {
        end(now.ms, self.sign_in_lifetime)
    }

    /// The session that an access token is for; counts the call where an end after so many was ordered.
    pub(crate) fn check(&mut self, token: &str, now: Moment) -> Option<usize> {
        let session = self.tokens.get(token).filter(|token| now.ms < token.ends)?.session;
        let mut ended = false;
        if let Some(countdown) = &mut self.sessions[session].countdown {
            countdown.left = countdown.left.saturating_sub(1);
            if countdown.left == 0 {
                ended = true;
                countdown.left = countdown.calls;
                countdown.times -= 1;
                if countdown.times == 0 {
                    self.sessions[session].countdown = None;
                }
            }
        }
        if ended {
            self.end_tokens(Some(session));
            return None;
        }
        Some(session)
    }

    /// Ends the access tokens of a session, or all. Refresh tokens live on.
    pub(crate) fn end_tokens(&mut self, session: Option<usize>) {
        self.tokens.retain(|_, token| session.is_some_and(|session| token.session != session));
    }

    /// Ends a session's access tokens with the `calls`-th portal call from now, and so `times` times.
    pub(crate) fn end_tokens_after(&mut self, session: Option<usize>, calls: u32, times: u32) {
        let countdown = (calls > 0 && times > 0).then_some(Countdown { calls, left: calls, times });
        for state in self.chosen(session) {
            state.countdown = countdown;
        }
    }

    pub(crate) fn refuse_refresh(&mut self, session: Option<usize>, refuse: bool) {
        for state in self.chosen(session) {
            state.refuse_refresh = refuse;
        }
    }

    fn chosen(&mut self, session: Option<usize>) -> impl Iterator<Item = &mut SessionState> {
        let all = self.sessions.iter_mut().enumerate();
        all.filter(move |(number, _)| session.is_none_or(|wanted| wanted == *number)).map(|(_, state)| state)
    }

    pub(crate) fn expire_registrations(&mut self) {
        self.clients.clear();
    }

    /// Ends an access token sooner.
    pub(crate) fn shorten(&mut self, token: &str, ends: i64) {
        if let Some(token) = self.tokens.get_mut(token) {
            token.ends = token.ends.min(ends);
        }
    }

    /// Signs out: the sign-in that the token is of, with its other tokens and whatever could refresh them.
    pub(crate) fn sign_out(&mut self, token: &str) {
        if let Some(family) = self.tokens.get(token).map(|token| token.family) {
            self.end_family(family);
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
        oidc: SignIns,
        mint: Mint,
        client: Registration,
    }

    impl Flow {
        fn new(options: &Options, scopes: &[&str]) -> Self {
            let (mut oidc, mint) = (SignIns::new(2, options), Mint::new());
            let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
            let asked = Asked { scopes, ..Asked::default() };
            let client = oidc.register(&mint, "eu-west-1", asked, at(0));
            Self { oidc, mint, client }
        }

        fn start(&mut self, now: u64) -> (String, String) {
            let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
            self.oidc.start(&self.mint, client, Some(0), true, at(now)).unwrap()
        }

        fn poll(&mut self, code: &str, now: u64) -> Result<SignIn, &'static str> {
            let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
            self.oidc.poll(&self.mint, client, code, at(now)).map_err(|refusal| refusal.code)
        }

        fn refresh(&mut self, token: &str, now: u64) -> Result<SignIn, &'static str> {
            let client = (self.client.client_id.as_str(), self.client.client_secret.as_str());
            self.oidc.refresh(&self.mint, client, token, at(now)).map_err(|refusal| refusal.code)
        }
    }

    #[test]
    fn a_device_code_is_pending_then_good_once() {
        let options = Options { approval: Approval::AtPoll(3), device_interval: 5, ..Options::default() };
        let mut flow = Flow::new(&options, &[ACCESS_SCOPE]);
        let (code, _) = flow.start(0);
        assert_eq!(flow.poll(&code, 0).unwrap_err(), "AuthorizationPendingException");
        assert_eq!(flow.poll(&code, 0).unwrap_err(), "AuthorizationPendingException", "as the AWS CLI does");
        assert_eq!(flow.poll(&code, 2).unwrap_err(), "SlowDownException");
        let signed_in = flow.poll(&code, 7).unwrap();
        assert_eq!(signed_in.expires_in, 3600);
        assert_eq!(flow.oidc.check(&signed_in.access_token, at(8)), Some(0));
        assert_eq!(flow.oidc.check(&signed_in.access_token, at(7 + 3600)), None, "expired");
        assert_eq!(flow.poll(&code, 20).unwrap_err(), "InvalidGrantException", "used");
        assert_eq!(flow.poll("other", 20).unwrap_err(), "InvalidGrantException");
    }

    #[test]
    fn decisions_and_the_end_of_a_code() {
        let mut flow = Flow::new(&Options { approval: Approval::Manual, ..Options::default() }, &[]);
        let (code, user_code) = flow.start(0);
        assert_eq!(flow.poll(&code, 1).unwrap_err(), "AuthorizationPendingException");
        assert!(!flow.oidc.decide(Some("XXXX-XXXX"), true));
        assert!(flow.oidc.decide(Some(&user_code), true));
        let signed_in = flow.poll(&code, 3).unwrap();
        assert_eq!(
            (signed_in.refresh_token, signed_in.expires_in),
            (None, 28_800),
            "no scope, no refresh token"
        );
        let (code, _) = flow.start(10);
        assert!(flow.oidc.decide(None, false));
        assert_eq!(flow.poll(&code, 11).unwrap_err(), "AccessDeniedException");
        let (code, _) = flow.start(20);
        assert_eq!(flow.poll(&code, 620).unwrap_err(), "ExpiredTokenException");
        let (code, _) = flow.start(700);
        assert!(flow.oidc.expire_devices());
        assert_eq!(flow.poll(&code, 701).unwrap_err(), "ExpiredTokenException");
        assert!(flow.oidc.pending().is_empty() || flow.oidc.pending().len() == 1);
    }

    #[test]
    fn refresh_tokens_rotate_and_end_with_the_sign_in() {
        let options = Options { sign_in_lifetime: 4000, ..Options::default() };
        let mut flow = Flow::new(&options, &[ACCESS_SCOPE]);
        let (code, _) = flow.start(0);
        let first = flow.poll(&code, 0).unwrap().refresh_token.unwrap();
        let second = flow.refresh(&first, 3000).unwrap();
        assert_eq!(second.expires_in, 1000, "no longer than the sign-in");
        let second = second.refresh_token.unwrap();
        flow.oidc.refuse_refresh(Some(0), true);
        assert_eq!(flow.refresh(&second, 3002).unwrap_err(), "InvalidGrantException");
        flow.oidc.refuse_refresh(Some(0), false);
        assert!(flow.refresh(&second, 3003).is_ok());
        let (code, _) = flow.start(5000);
        let third = flow.poll(&code, 5000).unwrap().refresh_token.unwrap();
        assert_eq!(flow.refresh(&third, 9000).unwrap_err(), "InvalidGrantException", "the sign-in has ended");
        let (code, _) = flow.start(9001);
        flow.oidc.expire_registrations();
        assert_eq!(flow.poll(&code, 9002).unwrap_err(), "InvalidClientException");
    }

    #[test]
    fn a_refresh_token_that_comes_again_ends_its_sign_in_and_no_other() {
        let mut flow = Flow::new(&Options::default(), &[ACCESS_SCOPE]);
        let sign_in = |flow: &mut Flow| {
            let (code, _) = flow.start(0);
            flow.poll(&code, 0).unwrap()
        };
        let (one, other) = (sign_in(&mut flow), sign_in(&mut flow));
        let first = one.refresh_token.unwrap();
        let next = flow.refresh(&first, 1).unwrap();
        assert_eq!(flow.oidc.reuses(), 0);
        assert_eq!(flow.refresh(&first, 2).unwrap_err(), "InvalidGrantException");
        assert_eq!(flow.oidc.reuses(), 1);
        assert_eq!(flow.oidc.check(&next.access_token, at(3)), None);
        assert_eq!(flow.refresh(&next.refresh_token.unwrap(), 3).unwrap_err(), "InvalidGrantException");
        assert_eq!(flow.oidc.check(&other.access_token, at(3)), Some(0));
        assert!(flow.refresh(&other.refresh_token.unwrap(), 3).is_ok());
    }

    #[test]
    fn tokens_end_now_or_with_the_nth_call_and_only_those_of_the_session() {
        let mut flow = Flow::new(&Options::default(), &[ACCESS_SCOPE]);
        let (ends, now) = (flow.oidc.sign_in_end(at(0)), at(1));
        let token =
            |flow: &mut Flow, session| flow.oidc.sign_in(&flow.mint, session, None, ends, at(0)).access_token;
        let (mine, other) = (token(&mut flow, 0), token(&mut flow, 1));
        flow.oidc.end_tokens_after(Some(0), 3, 2);
        let calls: Vec<bool> = (0..4).map(|_| flow.oidc.check(&mine, now).is_some()).collect();
        assert_eq!(calls, [true, true, false, false]);
        assert_eq!(flow.oidc.check(&other, now), Some(1));
        let next = token(&mut flow, 0);
        let calls: Vec<bool> = (0..4).map(|_| flow.oidc.check(&next, now).is_some()).collect();
        assert_eq!(calls, [true, true, false, false], "it was ordered twice");
        let last = token(&mut flow, 0);
        assert!((0..9).all(|_| flow.oidc.check(&last, now).is_some()));
        flow.oidc.end_tokens(None);
        assert_eq!(flow.oidc.check(&other, now), None);
    }
}
