//! Registered OAuth clients: their scopes, grants and redirect URIs (RFC 8252 §7.3). `services/oidc.rs` registers them,
//! `sign_ins.rs` keeps them.

pub(crate) const ACCESS_SCOPE: &str = "sso:account:access";
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(crate) const CODE_GRANT: &str = "authorization_code";
pub(crate) const REFRESH_GRANT: &str = "refresh_token";

/// The parameters of RegisterClient.
#[derive(Debug, Default)]
pub(crate) struct ClientMetadata {
    pub(crate) scopes: Vec<String>,
    /// Empty means the grants of the device flow.
    pub(crate) grants: Vec<String>,
    pub(crate) redirect_uris: Vec<String>,
    /// The session whose page the client may open: that of its issuer URL.
    pub(crate) session: Option<usize>,
}

/// A registered client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) secret: String,
    pub(crate) scopes: Vec<String>,
    grants: Vec<String>,
    redirect_uris: Vec<String>,
    pub(crate) session: Option<usize>,
    /// Milliseconds since 1970.
    pub(crate) expires: i64,
}

impl Client {
    pub(crate) fn new(secret: String, metadata: ClientMetadata, expires: i64) -> Self {
        let ClientMetadata { scopes, mut grants, redirect_uris, session } = metadata;
        if grants.is_empty() {
            grants = [DEVICE_GRANT, REFRESH_GRANT].map(str::to_owned).into();
        }
        Self { secret, scopes, grants, redirect_uris, session, expires }
    }

    pub(crate) fn may(&self, grant: &str) -> bool {
        self.grants.iter().any(|own| own == grant)
    }

    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own == scope)
    }

    /// Returns true if the client's sign-ins have refresh tokens.
    pub(crate) fn refreshes(&self) -> bool {
        self.has_scope(ACCESS_SCOPE) && self.may(REFRESH_GRANT)
    }

    /// Returns true for a registered redirect URI, at any port.
    pub(crate) fn may_redirect_to(&self, uri: &str) -> bool {
        let own = self.redirect_uris.iter().filter_map(|own| Loopback::parse(own));
        Loopback::parse(uri)
            .is_some_and(|given| own.into_iter().any(|own| (own.host, own.path) == (given.host, given.path)))
    }
}

/// Returns true for a redirect URI that native clients may register: a loopback address without a port.
pub(crate) fn may_register(uri: &str) -> bool {
    Loopback::parse(uri).is_some_and(|uri| uri.port.is_none())
}

/// The parts of a loopback redirect URI.
#[derive(Debug)]
struct Loopback<'a> {
    host: &'a str,
    port: Option<u16>,
    path: &'a str,
}

impl<'a> Loopback<'a> {
    /// Parses a URI of scheme, host, port and path.
    ///
    /// Others are rejected: a query would mix with the response's, and a user name could hide another host.
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
            // `parse` would accept a plus sign, too.
            rest => Some(rest.strip_prefix(':').filter(|port| port.starts_with(|c| matches!(c, '1'..='9')))?),
        };
        let port = port.map(str::parse).transpose().ok()?;
        Some(Self { host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(metadata: ClientMetadata) -> Client {
        Client::new(String::new(), metadata, 0)
    }

    #[test]
    fn only_loopback_without_a_port_is_registered() {
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
    fn a_registered_uri_may_have_any_port() {
        let redirect_uris = ["http://127.0.0.1/oauth/callback", "http://[::1]"].map(str::to_owned).into();
        let client = client(ClientMetadata { redirect_uris, ..ClientMetadata::default() });
        for good in ["", ":1", ":4000", ":65535"].map(|port| format!("http://127.0.0.1{port}/oauth/callback"))
        {
            assert!(client.may_redirect_to(&good), "{good}");
        }
        assert!(client.may_redirect_to("http://[::1]:4000"));
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
            assert!(!client.may_redirect_to(bad), "{bad}");
        }
    }

    #[test]
    fn the_device_flow_is_the_default() {
        let scopes = vec![ACCESS_SCOPE.to_owned()];
        let device = client(ClientMetadata { scopes: scopes.clone(), ..ClientMetadata::default() });
        let may = |client: &Client| [DEVICE_GRANT, CODE_GRANT, REFRESH_GRANT].map(|grant| client.may(grant));
        assert_eq!((may(&device), device.refreshes()), ([true, false, true], true));
        let page = client(ClientMetadata {
            scopes,
            grants: vec![CODE_GRANT.to_owned()],
            ..ClientMetadata::default()
        });
        assert_eq!((may(&page), page.refreshes()), ([false, true, false], false));
    }
}
