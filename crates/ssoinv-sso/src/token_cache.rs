//! `~/.aws/sso/cache`, shared with the AWS CLI and the SDKs: tokens and client registrations, one JSON file each.
//!
//! Names and contents are botocore's, so that the AWS CLI uses what is written here at once, and the other way round.
//! The CLI writes in place, without lock or rename, so a file may be empty or half there: what doesn't parse is read
//! again after a moment. Here files are written beside their place and renamed. Who uses it: [`crate::token`] and
//! the sign-in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use ssoinv_core::secret::Secret;

use crate::profile::{SsoSession, bare_start_url};

/// How often and after what pause a file that doesn't parse is read again.
const READ_AGAIN: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];

/// The folder, or none where there is no home.
#[derive(Clone, Debug)]
pub struct TokenCache {
    folder: Option<PathBuf>,
}

/// An access token with what can refresh it, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedToken {
    /// `accessToken`.
    pub access_token: Secret,
    /// `expiresAt`.
    pub expires_at: SystemTime,
    /// `refreshToken`, where the service gave one.
    pub refresh_token: Option<Secret>,
    /// `clientId`, `clientSecret` and `registrationExpiresAt`: the client that the token was given to.
    pub client: Option<Client>,
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// `clientId`.
    pub id: String,
    /// `clientSecret`.
    pub secret: Secret,
    /// When the secret ends.
    pub expires_at: SystemTime,
}

/// What the cache holds for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A token of this session, expired or not.
    Token(CachedToken),
    /// A token that belongs to another start URL or region, and what differs.
    Foreign(String),
    /// No file, or none that can be read as a token.
    None,
}

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no home directory.
    #[error("there is no home directory")]
    NoHome,
    /// The folder or the file can't be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl TokenCache {
    /// The cache below a home directory.
    #[must_use]
    pub fn new(home: Option<&Path>) -> Self {
        Self { folder: home.map(|home| home.join(".aws").join("sso").join("cache")) }
    }

    /// Where the token of a session is, whether it is there or not.
    #[must_use]
    pub fn token_path(&self, session: &SsoSession) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(file_name(session.cache_key())))
    }

    /// Reads the token of a session.
    pub async fn token(&self, session: &SsoSession) -> Lookup {
        let Some(path) = self.token_path(session) else { return Lookup::None };
        let found = read(&path, |file| {
            let token = CachedToken::from_file(file)?;
            Some(match file.differs_from(session) {
                Some(difference) => Lookup::Foreign(difference),
                None => Lookup::Token(token),
            })
        });
        found.await.unwrap_or(Lookup::None)
    }

    /// Writes the token of a session.
    pub async fn store_token(&self, session: &SsoSession, token: &CachedToken) -> Result<(), StoreError> {
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
        self.write(self.token_path(session), &file).await
    }

    /// Reads the client that was registered for a session's device codes.
    pub async fn registration(&self, session: &SsoSession) -> Option<Client> {
        let path = self.folder.as_ref()?.join(registration_name(session));
        read(&path, |file| {
            // One for the other flow stands in the same place.
            let grants = file.0.get("grantTypes").and_then(Value::as_array);
            let other = grants.is_some_and(|grants| grants.iter().any(|grant| grant == "authorization_code"));
            (!other).then_some(Client {
                id: file.text("clientId")?.to_owned(),
                secret: Secret::new(file.text("clientSecret")?),
                expires_at: file.time("expiresAt")?,
            })
        })
        .await
    }

    /// Writes the client that was registered for a session's device codes.
    pub async fn store_registration(&self, session: &SsoSession, client: &Client) -> Result<(), StoreError> {
        let mut file = json!({
            "clientId": client.id,
            "clientSecret": client.secret.reveal(),
            "expiresAt": timestamp(client.expires_at),
        });
        if let Some(scopes) = registered_scopes(session) {
            file["scopes"] = json!(scopes);
        }
        let path = self.folder.as_ref().map(|folder| folder.join(registration_name(session)));
        self.write(path, &file).await
    }

    async fn write(&self, path: Option<PathBuf>, file: &Value) -> Result<(), StoreError> {
        let path = path.ok_or(StoreError::NoHome)?;
        let failed = |source| StoreError::Io { path: path.clone(), source };
        let (to, text) = (path.clone(), file.to_string());
        let written = tokio::task::spawn_blocking(move || write_whole(&to, text.as_bytes()));
        written.await.map_err(|error| failed(io::Error::other(error)))?.map_err(failed)
    }
}

/// A file's keys in lower case: they ignore case.
struct File(Map<String, Value>);

impl File {
    /// `None` where the text isn't a JSON object, or not yet a whole one.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let Value::Object(members) = serde_json::from_slice(bytes).ok()? else { return None };
        Some(Self(members))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        let same = |other: &&String| other.eq_ignore_ascii_case(key);
        self.0.get(key).or_else(|| self.0.get(self.0.keys().find(same)?))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str().filter(|text| !text.is_empty())
    }

    fn time(&self, key: &str) -> Option<SystemTime> {
        parse_time(self.text(key)?)
    }

    /// In what a token's file belongs to another session than this.
    ///
    /// A file is found by the session's name alone, which any config file can use; so what isn't said counts as
    /// different. The legacy format's name is made from the start URL, which proves it.
    fn differs_from(&self, session: &SsoSession) -> Option<String> {
        let missing = |key: &str| (!session.is_legacy()).then(|| format!("the file has no `{key}`"));
        match self.text("startUrl") {
            None => missing("startUrl"),
            Some(url) if bare_start_url(url) == bare_start_url(&session.start_url) => None,
            Some(url) => Some(format!("it is for start URL `{url}`, not `{}`", session.start_url)),
        }
        .or_else(|| match self.text("region") {
            None => missing("region"),
            Some(region) if region == session.sso_region => None,
            Some(region) => Some(format!("it is for region `{region}`, not `{}`", session.sso_region)),
        })
    }
}

impl CachedToken {
    fn from_file(file: &File) -> Option<Self> {
        let client = || {
            Some(Client {
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

/// Reads a file with `parse`, again after a moment where it isn't whole; `None` where it isn't there or never is.
async fn read<T>(path: &Path, parse: impl Fn(&File) -> Option<T>) -> Option<T> {
    for pause in READ_AGAIN.into_iter().map(Some).chain([None]) {
        let bytes = tokio::fs::read(path).await.ok()?;
        if let Some(file) = File::parse(&bytes) {
            return parse(&file);
        }
        tokio::time::sleep(pause?).await;
    }
    None
}

/// Writes a file whole: beside its place, for its owner alone, then renamed. Its folder is made where it is missing.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // `tempfile` makes files that only their owner may read.
    let mut file = tempfile::Builder::new().prefix(".ssoinv-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    file.persist(path)?;
    Ok(())
}

/// The name of a token's file: botocore's `SSOTokenLoader`.
fn file_name(key: &str) -> String {
    let hex: Vec<String> = Sha1::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.concat() + ".json"
}

/// The name of a registration's file: botocore's `_registration_cache_key`, the SHA-1 of Python's JSON for what the
/// registration depends on.
fn registration_name(session: &SsoSession) -> String {
    let scopes = registered_scopes(session).map_or_else(
        || "null".to_owned(),
        |scopes| {
            format!("[{}]", scopes.iter().map(|scope| python_json(scope)).collect::<Vec<_>>().join(", "))
        },
    );
    let name = session.name.as_deref().map_or_else(|| "null".to_owned(), python_json);
    file_name(&format!(
        r#"{{"region": {}, "scopes": {scopes}, "session_name": {name}, "startUrl": {}, "tool": "botocore"}}"#,
        python_json(&session.sso_region),
        python_json(&session.start_url),
    ))
}

/// The scopes that a session's client is registered with; the legacy format has none.
pub(crate) fn registered_scopes(session: &SsoSession) -> Option<&[String]> {
    (!session.is_legacy() && !session.scopes.is_empty()).then_some(session.scopes.as_slice())
}

/// A string as Python's `json.dumps` writes it: in ASCII, the rest as UTF-16 escapes.
fn python_json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
            }
        }
    }
    out + "\""
}

/// A time as botocore writes it: `2026-01-02T03:04:05Z`.
pub(crate) fn timestamp(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time as the tools write it: ending in `Z`, in `UTC` (the AWS CLI before 2.1), or in an offset.
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let utc = text.strip_suffix("UTC").map(|text| format!("{}Z", text.trim_end()));
    let text = utc.as_deref().unwrap_or(text);
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .ok()
        .map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::profile::Location;

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
            client: Some(Client {
                id: "id".to_owned(),
                secret: Secret::new("s"),
                expires_at: at(1_775_000_000),
            }),
        }
    }

    /// The constants come from Python: `hashlib.sha1(b"…").hexdigest()`, and for registrations of
    /// `json.dumps({"tool": "botocore", "startUrl": …, "region": …, "scopes": …, "session_name": …}, sort_keys=True)`.
    #[test]
    fn names_are_botocores() {
        assert_eq!(file_name("corp"), "ee0bfd2552fbd840c02cc48b6e823320543c450f.json");
        assert_eq!(
            file_name("https://corp.awsapps.com/start#/"),
            "89299b9a0529ad2f5a9f7b829db1b8f767e655cc.json"
        );
        assert_eq!(
            registration_name(&session(Some("corp"), "https://corp.awsapps.com/start")),
            "787ef34d0a944c01385765faa28b5e67d1c08f33.json"
        );
        assert_eq!(
            registration_name(&session(Some("Größe \"😀\""), "https://corp.awsapps.com/start")),
            "bddcc4d528b1f320a4715d7f4981014356ba834a.json"
        );
        assert_eq!(
            registration_name(&session(None, "https://corp.awsapps.com/start")),
            "3a62fc7fd3ab838419eccab5b58d0124a95b510d.json"
        );
    }

    #[test]
    fn times_of_all_tools() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05UTC",
            "2026-01-02T04:04:05+01:00",
            "2026-01-02T04:04:05+0100",
            "2026-01-02T03:04:05.000Z",
        ] {
            assert_eq!(parse_time(text), Some(at(1_767_323_045)), "{text}");
        }
        for bad in ["", "UTC", "2026-01-02", "2026-01-02T03:04:05", "soon"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
        assert_eq!(timestamp(at(1_767_323_045)), "2026-01-02T03:04:05Z");
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_only_by_its_owner() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        assert_eq!(cache.token(&session).await, Lookup::None);
        cache.store_token(&session, &token()).await.unwrap();
        assert_eq!(cache.token(&session).await, Lookup::Token(token()));
        let bare = CachedToken { refresh_token: None, client: None, ..token() };
        cache.store_token(&session, &bare).await.unwrap();
        assert_eq!(cache.token(&session).await, Lookup::Token(bare));

        let client = token().client.unwrap();
        cache.store_registration(&session, &client).await.unwrap();
        assert_eq!(cache.registration(&session).await, Some(client));

        let folder = home.path().join(".aws/sso/cache");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "nothing is left over");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&cache.token_path(&session).unwrap()), 0o600);
            assert_eq!(mode(&folder), 0o700);
        }
    }

    #[tokio::test]
    async fn a_token_counts_only_for_its_own_start_url_and_region() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let mine = session(Some("corp"), "https://corp.awsapps.com/start");
        cache.store_token(&mine, &token()).await.unwrap();
        for same in [
            "https://corp.awsapps.com/start/",
            "https://corp.awsapps.com/start#/",
            "https://corp.awsapps.com/start#",
        ] {
            assert_eq!(cache.token(&session(Some("corp"), same)).await, Lookup::Token(token()), "{same}");
        }
        let foreign = |lookup| matches!(lookup, Lookup::Foreign(_));
        assert!(foreign(cache.token(&session(Some("corp"), "https://evil.awsapps.com/start")).await));
        let mut elsewhere = mine.clone();
        elsewhere.sso_region = "us-east-1".to_owned();
        assert!(foreign(cache.token(&elsewhere).await));

        let path = cache.token_path(&mine).unwrap();
        std::fs::write(&path, r#"{"accessToken": "a", "expiresAt": "2026-01-02T03:04:05Z"}"#).unwrap();
        assert!(foreign(cache.token(&mine).await), "a name alone proves nothing");
        let legacy = session(None, "https://corp.awsapps.com/start");
        std::fs::rename(&path, cache.token_path(&legacy).unwrap()).unwrap();
        assert!(matches!(cache.token(&legacy).await, Lookup::Token(_)), "the name is the start URL");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_ignore_case_and_half_a_file_is_read_again() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        cache.store_token(&session, &token()).await.unwrap();
        let path = cache.token_path(&session).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();

        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let start = tokio::time::Instant::now();
        assert_eq!(cache.token(&session).await, Lookup::None);
        assert_eq!(start.elapsed(), READ_AGAIN.iter().sum::<Duration>());

        let (writer, text) =
            (path.clone(), whole.replace("accessToken", "AccessToken").replace("startUrl", "starturl"));
        let (token, ()) = tokio::join!(cache.token(&session), async {
            tokio::time::sleep(Duration::from_millis(60)).await;
            std::fs::write(writer, text).unwrap();
        });
        assert!(matches!(token, Lookup::Token(_)), "the second half came in the meantime");
    }

    #[tokio::test]
    async fn without_a_home_nothing_is_kept_and_nothing_breaks() {
        let cache = TokenCache::new(None);
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        assert_eq!(cache.token(&session).await, Lookup::None);
        assert!(matches!(cache.store_token(&session, &token()).await, Err(StoreError::NoHome)));
    }

    #[tokio::test]
    async fn a_registration_for_the_other_flow_does_not_count() {
        let home = tempfile::tempdir().unwrap();
        let cache = TokenCache::new(Some(home.path()));
        let session = session(Some("corp"), "https://corp.awsapps.com/start");
        let client = token().client.unwrap();
        cache.store_registration(&session, &client).await.unwrap();
        let path = home.path().join(".aws/sso/cache").join(registration_name(&session));
        let text = std::fs::read_to_string(&path).unwrap();
        let other = text.replacen('{', r#"{"grantTypes": ["authorization_code", "refresh_token"], "#, 1);
        std::fs::write(&path, other).unwrap();
        assert_eq!(cache.registration(&session).await, None);
    }
}
