//! Writes `~/.aws` for a simulator: `config`, tokens in `sso/cache` and role credentials in `cli/cache`, with the AWS
//! CLI's names and formats. Tests, the demo and benchmarks use it through [`Simulator::home`](crate::Simulator::home).

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::json;
use sha1::{Digest, Sha1};

use crate::clients::{ACCESS_SCOPE, CODE_GRANT, ClientMetadata, REFRESH_GRANT};
use crate::clock;
use crate::encoding::hex;
use crate::organisation::{Account, Session};
use crate::state::State;
use crate::sync::lock;

/// The formats of SSO profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `sso_session = NAME` and a section `[sso-session NAME]`.
    #[default]
    SsoSession,
    /// `sso_start_url` and `sso_region` in the profile itself.
    Legacy,
}

/// The flow that a token came from, for which its client is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// Without grant types and redirect URIs, as the AWS CLI registers for device codes.
    #[default]
    DeviceCode,
    /// For authorization codes and refresh tokens.
    AuthorizationCode,
}

/// The lifetime of [`Token::Ending`] in milliseconds. Clients refresh from fifteen minutes before the expiry.
const ENDING: i64 = 10 * 60 * 1000;

/// A token in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Token {
    /// No token: a sign-in is needed.
    #[default]
    None,
    /// Valid; with a refresh token if the format is `SsoSession`.
    Good,
    /// Valid, without a refresh token.
    WithoutRefresh,
    /// Valid for ten minutes; with a refresh token if the format is `SsoSession`.
    Ending,
    /// Expired by its file; with a refresh token.
    Expired,
    /// Expired by its file, without a refresh token.
    ExpiredWithoutRefresh,
}

/// A builder of `~/.aws`. By default it has one profile for each account, with its first role.
#[derive(Debug)]
pub struct Home<'a> {
    state: &'a State,
    format: Format,
    token: Token,
    flow: Flow,
    roles: Option<Vec<String>>,
    every_role: bool,
    accounts: Option<Vec<String>>,
    region: Option<String>,
    endpoint: bool,
    role_credentials: bool,
    text: String,
}

impl<'a> Home<'a> {
    pub(crate) fn new(state: &'a State) -> Self {
        Self {
            state,
            format: Format::default(),
            token: Token::default(),
            flow: Flow::default(),
            roles: None,
            every_role: false,
            accounts: None,
            region: state.organisation.regions().first().cloned(),
            endpoint: true,
            role_credentials: false,
            text: String::new(),
        }
    }

    /// Sets the format of SSO profiles.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Sets the token of each session.
    #[must_use]
    pub fn token(mut self, token: Token) -> Self {
        self.token = token;
        self
    }

    /// Sets the flow that the tokens came from.
    #[must_use]
    pub fn flow(mut self, flow: Flow) -> Self {
        self.flow = flow;
        self
    }

    /// Adds a profile for each of these roles, even if the account doesn't offer them.
    #[must_use]
    pub fn roles(mut self, names: &[&str]) -> Self {
        self.roles = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Adds a profile for each role that an account offers.
    #[must_use]
    pub fn every_role(mut self) -> Self {
        self.every_role = true;
        self
    }

    /// Limits the profiles to these account IDs.
    #[must_use]
    pub fn accounts(mut self, ids: &[&str]) -> Self {
        self.accounts = Some(ids.iter().map(|id| (*id).to_owned()).collect());
        self
    }

    /// Sets the profiles' `region`, which by default is the organisation's first; none leaves it out.
    #[must_use]
    pub fn region(mut self, region: Option<&str>) -> Self {
        self.region = region.map(str::to_owned);
        self
    }

    /// Adds valid role credentials of each profile in `cli/cache`, as the AWS CLI leaves them.
    #[must_use]
    pub fn role_credentials(mut self) -> Self {
        self.role_credentials = true;
        self
    }

    /// Leaves `endpoint_url` out, for tests that set it by a variable.
    #[must_use]
    pub fn without_endpoint(mut self) -> Self {
        self.endpoint = false;
        self
    }

    /// Appends text to `config`.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    fn session_lines(session: &Session) -> String {
        let mut lines = format!("[sso-session {}]\n", session.name);
        _ = writeln!(lines, "sso_start_url = {}", session.start_url);
        _ = writeln!(lines, "sso_region = {}", session.region);
        lines.push_str("sso_registration_scopes = sso:account:access\n\n");
        lines
    }

    fn profile_lines(&self, name: &str, session: &Session, account: &str, role: &str) -> String {
        let mut lines = format!("[profile {name}]\n");
        match self.format {
            Format::SsoSession => _ = writeln!(lines, "sso_session = {}", session.name),
            Format::Legacy => {
                _ = writeln!(lines, "sso_start_url = {}\nsso_region = {}", session.start_url, session.region);
            }
        }
        _ = writeln!(lines, "sso_account_id = {account}\nsso_role_name = {role}");
        if let Some(region) = &self.region {
            _ = writeln!(lines, "region = {region}");
        }
        if self.endpoint {
            _ = writeln!(lines, "endpoint_url = {}", self.state.url);
        }
        lines.push('\n');
        lines
    }

    /// Calls `each` with the name, session, account and role of each profile, session by session.
    fn for_each_profile(&self, mut each: impl FnMut(&str, usize, &Session, &Account, &str)) {
        let organisation = &self.state.organisation;
        let mut names = HashSet::new();
        for (number, session) in organisation.sessions().iter().enumerate() {
            for index in (0..organisation.len()).filter(|index| organisation.reaches(number, *index)) {
                let account = organisation.account(index);
                if self.accounts.as_ref().is_some_and(|ids| !ids.contains(&account.id)) {
                    continue;
                }
                let first = usize::from(!account.roles.is_empty());
                let offered = if self.every_role { &account.roles[..] } else { &account.roles[..first] };
                for role in self.roles.as_deref().unwrap_or(offered) {
                    let mut name = profile_name(&account.name, role);
                    if !names.insert(name.clone()) {
                        // Another session reaches the account, too.
                        name = format!("{name}-{}", session.name);
                    }
                    each(&name, number, session, &account, role);
                }
            }
        }
    }

    /// Returns the text of `config`.
    #[must_use]
    pub fn config(&self) -> String {
        let sessions = self.state.organisation.sessions();
        let mut sections = vec![String::new(); sessions.len()];
        if self.format == Format::SsoSession {
            sections = sessions.iter().map(Self::session_lines).collect();
        }
        self.for_each_profile(|name, number, session, account, role| {
            sections[number].push_str(&self.profile_lines(name, session, &account.id, role));
        });
        sections.push(self.text.clone());
        sections.concat()
    }

    /// Returns name and text of a file of role credentials in the AWS CLI's cache.
    ///
    /// The name is a hash of the keys of botocore's `SSOCredentialFetcher`.
    fn credentials_file(&self, session: &Session, id: &str, role: &str) -> (String, String) {
        let state = self.state;
        let account = state.organisation.find(id).unwrap_or_default();
        let principal = state.role_principal(id, &state.sso_role_name(id, role), role, &session.user);
        let key = state.issue(account, principal, state.role_lifetime(3600));
        let source = match self.format {
            Format::SsoSession => ("sessionName", &session.name),
            Format::Legacy => ("startUrl", &session.start_url),
        };
        // In the order of the keys, and without spaces.
        let hashed = format!(
            r#"{{"accountId":{},"roleName":{},"{}":{}}}"#,
            json!(id),
            json!(role),
            source.0,
            json!(source.1)
        );
        let text = json!({
            "ProviderType": "sso",
            "Credentials": {
                "AccessKeyId": key.id,
                "SecretAccessKey": key.secret,
                "SessionToken": key.token,
                "Expiration": clock::iso(key.expires() / 1000),
                "AccountId": id,
            },
        });
        (format!("{}.json", hex(&Sha1::digest(hashed.as_bytes()))), text.to_string())
    }

    /// Writes `.aws` below `home` and returns the path of `config`.
    pub fn write(&self, home: &Path) -> io::Result<PathBuf> {
        let aws = home.join(".aws");
        fs::create_dir_all(&aws)?;
        let config = aws.join("config");
        fs::write(&config, self.config())?;
        if self.token != Token::None {
            let cache = aws.join("sso").join("cache");
            create_private_folder(&cache)?;
            for (number, session) in self.state.organisation.sessions().iter().enumerate() {
                let key = match self.format {
                    Format::SsoSession => &session.name,
                    Format::Legacy => &session.start_url,
                };
                let name = hex(&Sha1::digest(key.as_bytes()));
                write_private(&cache.join(format!("{name}.json")), &self.token_file(number, session))?;
            }
        }
        if self.role_credentials {
            let cache = aws.join("cli").join("cache");
            create_private_folder(&cache)?;
            let mut files = Vec::new();
            self.for_each_profile(|_, _, session, account, role| {
                files.push(self.credentials_file(session, &account.id, role));
            });
            for (name, text) in files {
                write_private(&cache.join(name), &text)?;
            }
        }
        Ok(config)
    }

    /// Returns the text of a token file in the AWS CLI's cache.
    fn token_file(&self, number: usize, session: &Session) -> String {
        let (state, now) = (self.state, self.state.now());
        let refreshable = self.format == Format::SsoSession
            && matches!(self.token, Token::Good | Token::Ending | Token::Expired);
        let mut sign_ins = lock(&state.sign_ins);
        let scopes = match self.format {
            Format::SsoSession => vec![ACCESS_SCOPE.to_owned()],
            Format::Legacy => Vec::new(),
        };
        let metadata = match self.flow {
            Flow::DeviceCode => ClientMetadata { scopes, ..ClientMetadata::default() },
            Flow::AuthorizationCode => ClientMetadata {
                scopes,
                grants: [CODE_GRANT, REFRESH_GRANT].map(str::to_owned).into(),
                redirect_uris: vec!["http://127.0.0.1/oauth/callback".to_owned()],
                session: Some(number),
            },
        };
        let client = sign_ins.register(&state.issuer, &session.region, metadata, now);
        let expires = sign_ins.sign_in_expiry(now);
        let client_id = refreshable.then_some(client.client_id.as_str());
        let sign_in = sign_ins.sign_in(&state.issuer, number, client_id, expires, now);
        let lifetime = match self.token {
            Token::Expired | Token::ExpiredWithoutRefresh => -60,
            Token::Ending => {
                sign_ins.shorten(&sign_in.access_token, now.ms + ENDING);
                i64::from(sign_in.expires_in).min(ENDING / 1000)
            }
            Token::None | Token::Good | Token::WithoutRefresh => i64::from(sign_in.expires_in),
        };
        drop(sign_ins);
        let mut file = json!({
            "startUrl": session.start_url,
            "region": session.region,
            "accessToken": sign_in.access_token,
            "expiresAt": clock::iso(now.ms / 1000 + lifetime),
            "clientId": client.client_id,
            "clientSecret": client.client_secret,
            "registrationExpiresAt": clock::iso(client.expires / 1000),
        });
        if let Some(token) = sign_in.refresh_token {
            file["refreshToken"] = token.into();
        }
        file.to_string()
    }
}

/// Returns `<account-name>-<role>`, with hyphens for characters that a section's name can't have.
#[must_use]
pub fn profile_name(account: &str, role: &str) -> String {
    let plain = |text: &str| {
        let swapped: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "._+@".contains(c) { c } else { '-' })
            .collect();
        swapped.trim_matches('-').to_owned()
    };
    format!("{}-{}", plain(account), plain(role))
}

#[cfg(unix)]
fn create_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_private_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_names_fit_a_section() {
        assert_eq!(profile_name("shop-prod", "ReadOnlyAccess"), "shop-prod-ReadOnlyAccess");
        assert_eq!(profile_name("  <b>a</b> ", "=cmd+Role@x"), "b-a--b-cmd+Role@x");
    }
}
