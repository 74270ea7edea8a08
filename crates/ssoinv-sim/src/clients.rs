//! Registered clients: their scopes and grants, and where a browser may be sent back to (RFC 8252 §7.3). They are
//! registered in `oidc.rs`; what they then do is in `sign_ins.rs` and `authorize.rs`.

pub(crate) const ACCESS_SCOPE: &str = "sso:account:access";
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const CODE_GRANT: &str = "authorization_code";
pub(crate) const REFRESH_GRANT: &str = "refresh_token";

/// What a client asks to be registered with.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) scopes: Vec<String>,
    /// None means those of the device flow.
    pub(crate) grants: Vec<String>,
    pub(crate) redirect_uris: Vec<String>,
    /// The session whose page it may open.
    pub(crate) issuer: Option<usize>,
}

/// A registered client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) secret: String,
    pub(crate) scopes: Vec<String>,
    grants: Vec<String>,
    redirect_uris: Vec<String>,
    pub(crate) issuer: Option<usize>,
    /// Milliseconds since 1970.
    pub(crate) ends: i64,
}

impl Client {
    pub(crate) fn new(secret: String, asked: Asked, ends: i64) -> Self {
        let Asked { scopes, mut grants, redirect_uris, issuer } = asked;
        if grants.is_empty() {
            grants = [DEVICE_GRANT, REFRESH_GRANT].map(str::to_owned).into();
        }
        Self { secret, scopes, grants, redirect_uris, issuer, ends }
    }

    pub(crate) fn may(&self, grant: &str) -> bool {
        self.grants.iter().any(|own| own == grant)
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// Whether it is given refresh tokens.
    pub(crate) fn refreshes(&self) -> bool {
        self.has_scope(ACCESS_SCOPE) && self.may(REFRESH_GRANT)
    }

    /// Whether a browser may be sent there: to a registered URI, at any port.
    pub(crate) fn takes_back(&self, uri: &str) -> bool {
        let own = self.redirect_uris.iter().filter_map(|own| Loopback::parse(own));
        Loopback::parse(uri)
            .is_some_and(|asked| own.into_iter().any(|own| (own.host, own.path) == (asked.host, asked.path)))
    }
}

/// Whether a native client may register a redirect URI: this machine's, without a port.
pub(crate) fn may_register(uri: &str) -> bool {
    Loopback::parse(uri).is_some_and(|uri| uri.port.is_none())
}

/// A redirect URI of this machine, taken apart.
#[derive(Debug)]
struct Loopback<'a> {
    host: &'a str,
    port: Option<u16>,
    path: &'a str,
}

impl<'a> Loopback<'a> {
    /// Nothing but scheme, host, port and path: a query would mix with the answer's, and a user's name could hide
    /// another host.
    fn parse(uri: &'a str) -> Option<Self> {
        let rest = uri.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)) {
            return None;
        }
        let host =
            ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| authority.starts_with(host))?;
        let port = match &authority[host.len()..] {
            "" => None,
            // `parse` would take a plus sign, too.
            rest => Some(rest.strip_prefix(':').filter(|port| port.starts_with(|c| matches!(c, '1'..='9')))?),
        };
        let port = port.map(str::parse).transpose().ok()?;
        Some(Self { host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(asked: Asked) -> Client {
        Client::new(String::new(), asked, 0)
    }

    #[test]
    fn only_this_machine_without_a_port_is_registered() {
        for good in
            ["http://127.0.0.1/oauth/callback", "http://[::1]/x", "http://localhost", "http://127.0.0.1/"]
        {
            assert!(may_register(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:4000/oauth/callback",
            "http://127.0.0.1:80@evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.12/",
            "http://localhost?x=/",
            "http://127.0.0.1/callback?x=y",
            "http://127.0.0.1/callback#x",
            "http://127.0.0.1/a b",
            "https://127.0.0.1/oauth/callback",
            "https://evil.example/",
            "urn:ietf:wg:oauth:2.0:oob",
            "",
        ] {
            assert!(!may_register(bad), "{bad}");
        }
    }

    #[test]
    fn a_browser_is_sent_to_what_is_registered_at_any_port() {
        let redirect_uris = ["http://127.0.0.1/oauth/callback", "http://[::1]"].map(str::to_owned).into();
        let client = client(Asked { redirect_uris, ..Asked::default() });
        for good in ["", ":1", ":4000", ":65535"].map(|port| format!("http://127.0.0.1{port}/oauth/callback"))
        {
            assert!(client.takes_back(&good), "{good}");
        }
        assert!(client.takes_back("http://[::1]:4000"));
        for bad in [
            "http://127.0.0.1:4000/oauth/callback/",
            "http://127.0.0.1:4000/oauth/callback?x=y",
            "http://127.0.0.1:4000/",
            "http://127.0.0.1:4000",
            "http://127.0.0.1:/oauth/callback",
            "http://127.0.0.1:+80/oauth/callback",
            "http://127.0.0.1:0/oauth/callback",
            "http://127.0.0.1:65536/oauth/callback",
            "http://127.0.0.1:80@evil.example/oauth/callback",
            "https://127.0.0.1/oauth/callback",
            "http://127.0.0.1.evil.example/oauth/callback",
            "http://evil.example:80/oauth/callback",
            "http://localhost/oauth/callback",
            "http://[::1]/oauth/callback",
        ] {
            assert!(!client.takes_back(bad), "{bad}");
        }
    }

    #[test]
    fn who_names_no_grants_has_those_of_the_device_flow() {
        let scopes = vec![ACCESS_SCOPE.to_owned()];
        let device = client(Asked { scopes: scopes.clone(), ..Asked::default() });
        let may = |client: &Client| [DEVICE_GRANT, CODE_GRANT, REFRESH_GRANT].map(|grant| client.may(grant));
        assert_eq!((may(&device), device.refreshes()), ([true, false, true], true));
        let page = client(Asked { scopes, grants: vec![CODE_GRANT.to_owned()], ..Asked::default() });
        assert_eq!((may(&page), page.refreshes()), ([false, true, false], false));
    }
}
