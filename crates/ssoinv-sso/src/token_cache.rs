//! Tokens and client registrations in `~/.aws/sso/cache`, shared with the AWS CLI and the SDKs.
//!
//! Names and contents are botocore's, so that tokens that are written here serve the AWS CLI at once, and the other
//! way round. Reading and writing such files is left to `cache_file.rs`. The users are [`crate::token_source`] and
//! the sign-in.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};
use ssoinv_core::secret::Secret;

pub use crate::cache_file::CacheError;
use ssoinv_profile::{SsoSession, bare_start_url};

use crate::cache_file::{self, FileLock, JsonFile, file_name, python_json, read};
use crate::times::timestamp;

/// The cache; its folder is none if there is no home.
#[derive(Clone, Debug)]
pub struct TokenCache {
    folder: Option<PathBuf>,
}

/// An access token with what can refresh it, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedToken {
    /// `accessToken`.
    pub access_token: Secret,
    /// `expiresAt`.
    pub expires_at: SystemTime,
    /// `refreshToken`, if the service gave one.
    pub refresh_token: Option<Secret>,
    /// `clientId`, `clientSecret` and `registrationExpiresAt`: the client that owns the token.
    pub client: Option<ClientRegistration>,
}

/// A registered OAuth client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRegistration {
    /// `clientId`.
    pub id: String,
    /// `clientSecret`.
    pub secret: Secret,
    /// The time at which the secret expires.
    pub expires_at: SystemTime,
}

/// A token with the session that its file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// The file.
    pub path: PathBuf,
    /// `startUrl`; the AWS CLI and all SDKs write it.
    pub start_url: Option<String>,
    /// `region`: the one of its portal. Untrusted text.
    pub region: Option<String>,
    /// The token.
    pub token: CachedToken,
}

impl StoredToken {
    /// Returns whether the token is for this session's start URL and region.
    #[must_use]
    pub fn is_of(&self, session: &SsoSession) -> bool {
        difference(self.start_url.as_deref(), self.region.as_deref(), session).is_none()
    }
}

/// The state of the file of a session's token, for diagnosis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenFile {
    /// There is no home directory.
    NoHome,
    /// No file.
    Missing {
        /// The expected path.
        path: PathBuf,
    },
    /// A file that can't be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A file that isn't a JSON object, nor becomes one in a moment.
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// A JSON object that lacks what a token needs.
    Incomplete {
        /// The file.
        path: PathBuf,
        /// The key that is missing, empty or not a time.
        key: &'static str,
    },
    /// A token, expired or not.
    Token {
        /// The token with its file.
        stored: StoredToken,
        /// The difference to this session, if the token is another session's and must not be used.
        /// one.
        difference: Option<String>,
        /// The permission bits of the file, on systems that have them.
        mode: Option<u32>,
    },
}

/// The flow that a client is registered for (RFC 6749, section 4.1; RFC 8628).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// A page in a browser on this machine, which comes back with a code.
    AuthorizationCode,
    /// A code that is approved in any browser.
    DeviceCode,
}

/// `grant_type` of an authorization code.
pub(crate) const CODE_GRANT: &str = "authorization_code";

/// `grant_type` of a refresh token.
pub(crate) const REFRESH_GRANT: &str = "refresh_token";

/// The cache's content for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenLookup {
    /// A token of this session, expired or not.
    Token(CachedToken),
    /// A token of another start URL or region, and the difference.
    Foreign(String),
    /// No file, or none that is a token.
    None,
}

impl TokenCache {
    /// Returns the cache below a home directory.
    #[must_use]
    pub fn new(home: Option<&Path>) -> Self {
        Self { folder: home.map(|home| home.join(".aws").join("sso").join("cache")) }
    }

    /// Returns the path of a session's token, whether the file exists or not.
    #[must_use]
    pub fn token_path(&self, session: &SsoSession) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(file_name(session.cache_key())))
    }

    /// Reads the token of a session.
    pub async fn token(&self, session: &SsoSession) -> TokenLookup {
        let Some(path) = self.token_path(session) else { return TokenLookup::None };
        let found = read(&path, |file| {
            let token = CachedToken::from_file(file)?;
            Some(match difference(file.text("startUrl"), file.text("region"), session) {
                Some(difference) => TokenLookup::Foreign(difference),
                None => TokenLookup::Token(token),
            })
        });
        found.await.unwrap_or(TokenLookup::None)
    }

    /// Reads all tokens, of all sessions, in the order of the files' names.
    pub async fn all(&self) -> Result<Vec<StoredToken>, CacheError> {
        let Some(folder) = &self.folder else { return Ok(Vec::new()) };
        let mut tokens = Vec::new();
        for path in cache_file::json_files(folder).await? {
            tokens.extend(stored(path).await);
        }
        Ok(tokens)
    }

    /// Reads the token in a session's file, even if it is another session's.
    pub async fn stored(&self, session: &SsoSession) -> Option<StoredToken> {
        stored(self.token_path(session)?).await
    }

    /// Examines the file of a session's token.
    pub async fn examine(&self, session: &SsoSession) -> TokenFile {
        let Some(path) = self.token_path(session) else { return TokenFile::NoHome };
        match tokio::fs::read(&path).await {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return TokenFile::Missing { path },
            Err(error) => return TokenFile::Unreadable { path, reason: error.to_string() },
        }
        let mode = mode(&path).await;
        let found = read(&path, |file| {
            let Some(token) = CachedToken::from_file(file) else {
                let key = if file.text("accessToken").is_none() { "accessToken" } else { "expiresAt" };
                return Some(TokenFile::Incomplete { path: path.clone(), key });
            };
            let text = |key| file.text(key).map(str::to_owned);
            let (start_url, region) = (text("startUrl"), text("region"));
            let difference = difference(start_url.as_deref(), region.as_deref(), session);
            let stored = StoredToken { path: path.clone(), start_url, region, token };
            Some(TokenFile::Token { stored, difference, mode })
        });
        let found = found.await;
        found.unwrap_or(TokenFile::Broken { path })
    }

    /// Removes a token's file.
    pub(crate) async fn remove(&self, stored: &StoredToken) -> Result<(), CacheError> {
        let _lock = cache_file::lock(&stored.path).await?;
        cache_file::remove_file(&stored.path).await.map(|_| ())
    }

    /// Removes what killed processes left in the middle of a write: each file may hold a token.
    pub async fn sweep(&self) -> Result<(), CacheError> {
        match &self.folder {
            Some(folder) => cache_file::sweep(folder).await,
            None => Ok(()),
        }
    }

    /// Takes the lock of a session's token, which all processes share.
    pub(crate) async fn lock(&self, session: &SsoSession) -> Result<FileLock, CacheError> {
        cache_file::lock(&self.token_path(session).ok_or(CacheError::NoHome)?).await
    }

    /// Writes the token of a session, whose lock the caller holds.
    pub(crate) async fn store_token(
        &self,
        session: &SsoSession,
        token: &CachedToken,
        _lock: &FileLock,
    ) -> Result<(), CacheError> {
        let mut file = json!({
            "startUrl": session.start_url,
            "region": session.sso_region,
            "accessToken": token.access_token.reveal(),
            "expiresAt": timestamp(token.expires_at),
        });
        if let Some(client) = &token.client {
            file["clientId"] = json!(client.id);
            file["clientSecret"] = json!(client.secret.reveal());
            file["registrationExpiresAt"] = json!(timestamp(client.expires_at));
        }
        if let Some(refresh) = &token.refresh_token {
            file["refreshToken"] = json!(refresh.reveal());
        }
        let path = self.token_path(session).ok_or(CacheError::NoHome)?;
        cache_file::write(&path, &file).await
    }

    /// Reads the client that is registered for a session and a flow; also one of the AWS CLI's.
    pub async fn registration(&self, session: &SsoSession, grant: Grant) -> Option<ClientRegistration> {
        let found = [self.client(session, grant, OWN).await, self.client(session, grant, SHARED).await];
        found.into_iter().flatten().max_by_key(|client| client.expires_at)
    }

    async fn client(&self, session: &SsoSession, grant: Grant, tool: &str) -> Option<ClientRegistration> {
        let path = self.folder.as_ref()?.join(registration_name(session, tool));
        read(&path, |file| {
            // The AWS CLI keeps both flows' clients in one file, and notes no grants for device codes.
            let grants = file.value("grantTypes").and_then(Value::as_array);
            let with_code = grants.is_some_and(|grants| grants.iter().any(|grant| grant == CODE_GRANT));
            (with_code == (grant == Grant::AuthorizationCode)).then_some(ClientRegistration {
                id: file.text("clientId")?.to_owned(),
                secret: Secret::new(file.text("clientSecret")?),
                expires_at: file.time("expiresAt")?,
            })
        })
        .await
    }

    /// Writes the client that is registered for a session and a flow.
    pub(crate) async fn store_registration(
        &self,
        session: &SsoSession,
        client: &ClientRegistration,
        grant: Grant,
    ) -> Result<(), CacheError> {
        let mut file = json!({
            "clientId": client.id,
            "clientSecret": client.secret.reveal(),
            "expiresAt": timestamp(client.expires_at),
        });
        if let Some(scopes) = registered_scopes(session) {
            file["scopes"] = json!(scopes);
        }
        if grant == Grant::AuthorizationCode {
            file["grantTypes"] = json!([CODE_GRANT, REFRESH_GRANT]);
        }
        let folder = self.folder.as_ref().ok_or(CacheError::NoHome)?;
        cache_file::write(&folder.join(registration_name(session, keeper(grant))), &file).await
    }
}

/// Returns the permission bits of a file, on systems that have them.
async fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Some(tokio::fs::metadata(path).await.ok()?.permissions().mode() & 0o777)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

async fn stored(path: PathBuf) -> Option<StoredToken> {
    let text = |file: &JsonFile, key| file.text(key).map(str::to_owned);
    let parts = read(&path, |file| {
        Some((text(file, "startUrl"), text(file, "region"), CachedToken::from_file(file)?))
    });
    let (start_url, region, token) = parts.await?;
    Some(StoredToken { path, start_url, region, token })
}

/// Returns the difference between a token's file and a session, if the token is another session's.
///
/// A file is found by the session's name alone, which any config file can use; so a missing key counts as different.
/// The legacy format's file name is made from the start URL, which proves it.
fn difference(start_url: Option<&str>, region: Option<&str>, session: &SsoSession) -> Option<String> {
    let missing = |key: &str| (!session.is_legacy()).then(|| format!("the file has no `{key}`"));
    match start_url {
        None => missing("startUrl"),
        Some(url) if bare_start_url(url) == bare_start_url(&session.start_url) => None,
        Some(url) => Some(format!("it is for start URL `{url}`, not `{}`", session.start_url)),
    }
    .or_else(|| match region {
        None => missing("region"),
        Some(region) if region == session.sso_region => None,
        Some(region) => Some(format!("it is for region `{region}`, not `{}`", session.sso_region)),
    })
}

impl CachedToken {
    fn from_file(file: &JsonFile) -> Option<Self> {
        let client = || {
            Some(ClientRegistration {
                id: file.text("clientId")?.to_owned(),
                secret: Secret::new(file.text("clientSecret")?),
                expires_at: file.time("registrationExpiresAt")?,
            })
        };
        Some(Self {
            access_token: Secret::new(file.text("accessToken")?),
            expires_at: file.time("expiresAt")?,
            refresh_token: file.text("refreshToken").map(Secret::new),
            client: client(),
        })
    }
}

/// The `tool` of registrations that are shared with the AWS CLI.
const SHARED: &str = "botocore";

/// The `tool` of registrations that aren't.
const OWN: &str = "ssoinv";

/// Returns the `tool` of the registrations for a flow.
///
/// The service accepts no client for both flows, and AWS CLIs before 2.22 take the shared registration for a device
/// code's, whatever its grants. So registrations for pages are kept apart.
fn keeper(grant: Grant) -> &'static str {
    match grant {
        Grant::AuthorizationCode => OWN,
        Grant::DeviceCode => SHARED,
    }
}

/// Returns the name of a registration's file, botocore's `_registration_cache_key`.
///
/// It is the SHA-1 of Python's JSON for everything that the registration depends on.
fn registration_name(session: &SsoSession, tool: &str) -> String {
    let scopes = registered_scopes(session).map_or_else(
        || "null".to_owned(),
        |scopes| {
            format!("[{}]", scopes.iter().map(|scope| python_json(scope)).collect::<Vec<_>>().join(", "))
        },
    );
    let name = session.name.as_deref().map_or_else(|| "null".to_owned(), python_json);
    file_name(&format!(
        r#"{{"region": {}, "scopes": {scopes}, "session_name": {name}, "startUrl": {}, "tool": {}}}"#,
        python_json(&session.sso_region),
        python_json(&session.start_url),
        python_json(tool),
    ))
}

/// Returns the scopes that a session's client is registered with; the legacy format has none.
pub(crate) fn registered_scopes(session: &SsoSession) -> Option<&[String]> {
    (!session.is_legacy() && !session.scopes.is_empty()).then_some(session.scopes.as_slice())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use ssoinv_profile::Location;

    use super::*;

    fn session(name: Option<&str>, start_url: &str) -> SsoSession {
        let at = Location { file: Path::new("config").into(), line: 1 };
        SsoSession {
            name: name.map(str::to_owned),
            start_url: start_url.to_owned(),
            start_url_at: at.clone(),
            sso_region: "eu-west-1".to_owned(),
            sso_region_at: at.clone(),
            scopes: vec!["sso:account:access".to_owned()],
            location: at,
        }
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn token() -> CachedToken {
        CachedToken {
            access_token: Secret::new("a-token"),
            expires_at: at(1_767_323_045),
            refresh_token: Some(Secret::new("a-refresh-token")),
            client: Some(ClientRegistration {
                id: "id".to_owned(),
                secret: Secret::new("s"),
                expires_at: at(1_775_000_000),
            }),
        }
    }

    /// The constants come from Python.
    ///
    /// `hashlib.sha1(b"…").hexdigest()`, and for registrations of `json.dumps({"tool": "botocore", "startUrl": …,
    /// "region": …, "scopes": …, "session_name": …}, sort_keys=True)`.
    #[test]
    fn names_are_botocores() {
        assert_eq!(file_name("corp"), "ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
        assert_eq!(
            file_name("https://corp.awsapps.com/start#/"),
            "89299b9a0529ad2f5a9f7b829db1b8f767e655cc.json"
        );
        assert_eq!(
            registration_name(&session(Some("corp"), "https://corp.awsapps.com/start"), SHARED),
            "787ef34d0a944c01385765faa28b5e67d1c08f33.json"
        );
        assert_eq!(
            registration_name(&session(Some("Größe \"😀\""), "https://corp.awsapps.com/start"), SHARED),
            "bddcc4d528b1f320a4715d7f4981014356ba834a.json"
        );
        assert_eq!(
            registration_name(&session(None, "https://corp.awsapps.com/start"), SHARED),
            "3a62fc7fd3ab838419eccab5b58d0124a95b510d.json"
        );
    }

    async fn store(cache: &TokenCache, session: &SsoSession, token: &CachedToken) {
        let lock = cache.lock(session).await.unwrap();
        cache.store_token(session, token, &lock).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        assert_eq!(cache.token(&session).await, TokenLookup::None);
        store(&cache, &session, &token()).await;
        assert_eq!(cache.token(&session).await, TokenLookup::Token(token()));
        let bare = CachedToken { refresh_token: None, client: None, ..token() };
        store(&cache, &session, &bare).await;
        assert_eq!(cache.token(&session).await, TokenLookup::Token(bare));
    }

    #[tokio::test]
    async fn a_token_counts_only_for_its_own_start_url_and_region() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let mine = session(Some("corp"), "https://corp.awsapps.com/start");
        store(&cache, &mine, &token()).await;
        for same in [
            "https://corp.awsapps.com/start/",
            "https://corp.awsapps.com/start#/",
            "https://corp.awsapps.com/start#",
        ] {
            assert_eq!(
                cache.token(&session(Some("corp"), same)).await,
                TokenLookup::Token(token()),
                "{same}"
            );
        }
        let foreign = |lookup| matches!(lookup, TokenLookup::Foreign(_));
        assert!(foreign(cache.token(&session(Some("corp"), "https://evil.awsapps.com/start")).await));
        let mut elsewhere = mine.clone();
        elsewhere.sso_region = "us-east-1".to_owned();
        assert!(foreign(cache.token(&elsewhere).await));

        let path = cache.token_path(&mine).unwrap();
        std::fs::write(&path, r#"{"accessToken": "a", "expiresAt": "2026-01-02T03:04:05Z"}"#).unwrap();
        assert!(foreign(cache.token(&mine).await), "a name alone proves nothing");
        let legacy = session(None, "https://corp.awsapps.com/start");
        std::fs::rename(&path, cache.token_path(&legacy).unwrap()).unwrap();
        assert!(matches!(cache.token(&legacy).await, TokenLookup::Token(_)), "the name is the start URL");
    }

    #[tokio::test]
    async fn what_lies_in_a_tokens_place_is_told_apart() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        let path = cache.token_path(&session).unwrap();
        assert_eq!(TokenCache::new(None).examine(&session).await, TokenFile::NoHome);
        assert_eq!(cache.examine(&session).await, TokenFile::Missing { path: path.clone() });

        store(&cache, &session, &token()).await;
        let TokenFile::Token { stored, difference, mode } = cache.examine(&session).await else {
            panic!("no token")
        };
        assert_eq!((stored.token, difference), (token(), None));
        assert_eq!(mode, cfg!(unix).then_some(0o600));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("eu-west-1", "us-east-1")).unwrap();
        let foreign = cache.examine(&session).await;
        assert!(matches!(foreign, TokenFile::Token { difference: Some(_), .. }), "{foreign:?}");

        for (text, key) in [
            (r#"{"expiresAt": "2026-01-02T03:04:05Z"}"#, "accessToken"),
            (r#"{"accessToken": "", "expiresAt": "2026-01-02T03:04:05Z"}"#, "accessToken"),
            (r#"{"accessToken": "a", "expiresAt": "tomorrow"}"#, "expiresAt"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(cache.examine(&session).await, TokenFile::Incomplete { path: path.clone(), key });
        }
        for text in ["", r#"{"accessToken": "a""#, "[]"] {
            std::fs::write(&path, text).unwrap();
            tokio::time::pause();
            assert_eq!(cache.examine(&session).await, TokenFile::Broken { path: path.clone() }, "{text}");
            tokio::time::resume();
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(cache.examine(&session).await, TokenFile::Unreadable { .. }));
    }

    #[tokio::test]
    async fn keys_ignore_case() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        store(&cache, &session, &token()).await;
        let path = cache.token_path(&session).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("accessToken", "AccessToken").replace("startUrl", "starturl");
        std::fs::write(path, text).unwrap();
        assert_eq!(cache.token(&session).await, TokenLookup::Token(token()));
    }

    #[tokio::test]
    async fn without_a_home_nothing_is_kept_and_nothing_breaks() {
        let cache = TokenCache::new(None);
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        assert_eq!(cache.token(&session).await, TokenLookup::None);
        assert!(matches!(cache.lock(&session).await, Err(CacheError::NoHome)));
        let client = token().client.unwrap();
        let stored = cache.store_registration(&session, &client, Grant::DeviceCode).await;
        assert!(matches!(stored, Err(CacheError::NoHome)));
    }

    #[tokio::test]
    async fn a_registration_serves_its_own_flow_and_stands_in_nobodys_way() {
        use Grant::{AuthorizationCode, DeviceCode};
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        let client = token().client.unwrap();
        let other =
            ClientRegistration { id: "other".to_owned(), expires_at: at(1_776_000_000), ..client.clone() };
        cache.store_registration(&session, &client, AuthorizationCode).await.unwrap();
        assert_eq!(cache.registration(&session, AuthorizationCode).await, Some(client.clone()));
        assert_eq!(cache.registration(&session, DeviceCode).await, None);
        let shared = home.path().join(".aws/sso/cache").join(registration_name(&session, SHARED));
        assert!(!shared.exists(), "an older AWS CLI would take it for a device code's");
        cache.store_registration(&session, &other, DeviceCode).await.unwrap();
        assert_eq!(cache.registration(&session, AuthorizationCode).await, Some(client.clone()));
        assert_eq!(cache.registration(&session, DeviceCode).await, Some(other.clone()));

        // A registration of an AWS CLI since 2.22 for a page, which lasts longer.
        let text = std::fs::read_to_string(&shared).unwrap();
        let grants = r#", "grantTypes": ["authorization_code", "refresh_token"]}"#;
        std::fs::write(&shared, text.trim_end().strip_suffix('}').unwrap().to_owned() + grants).unwrap();
        assert_eq!(cache.registration(&session, AuthorizationCode).await, Some(other));
        assert_eq!(cache.registration(&session, DeviceCode).await, None);
    }
}
