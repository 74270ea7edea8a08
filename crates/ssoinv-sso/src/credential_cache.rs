//! Role credentials in `~/.aws/cli/cache`, shared with the AWS CLI in both directions.
//!
//! Names and contents are those of botocore's `SSOCredentialFetcher`. A file is found by session, account and role
//! alone, and doesn't say which portal gave the keys. So [`crate::credential_store`] uses the cache only for sessions
//! whose token isn't another session's. Reading and writing such files is left to `cache_file.rs`.

use std::path::{Path, PathBuf};

use serde_json::json;
use ssoinv_core::secret::Secret;
use ssoinv_profile::{SsoRole, SsoSession};

use crate::cache_file::{self, CacheError, JsonFile, file_name, python_json, read};
use crate::role_credentials::RoleCredentials;
use crate::times::timestamp;

/// The `ProviderType` of credentials from single sign-on.
const SSO: &str = "sso";

/// The cache; its folder is none if there is no home.
#[derive(Clone, Debug)]
pub struct CredentialCache {
    folder: Option<PathBuf>,
}

impl CredentialCache {
    /// Returns the cache below a home directory.
    #[must_use]
    pub fn new(home: Option<&Path>) -> Self {
        Self { folder: home.map(|home| home.join(".aws").join("cli").join("cache")) }
    }

    /// Reads the credentials of a role, expired or not.
    pub(crate) async fn get(&self, role: &SsoRole) -> Option<RoleCredentials> {
        read(&self.path(role)?, |file| {
            (file.text("ProviderType") == Some(SSO)).then_some(())?;
            let keys = file.object("Credentials")?;
            // If the file names an account, it must be the role's.
            let named = keys.text("AccountId");
            named.is_none_or(|named| named == role.account_id.as_str()).then_some(())?;
            Some(RoleCredentials {
                access_key_id: keys.text("AccessKeyId")?.to_owned(),
                secret_access_key: Secret::new(keys.text("SecretAccessKey")?),
                session_token: Some(Secret::new(keys.text("SessionToken")?)),
                expires_at: Some(keys.time("Expiration")?),
                caller_arn: None,
            })
        })
        .await
    }

    /// Writes the credentials of a role. Credentials without expiry, which the portal doesn't give, are not cached.
    pub(crate) async fn store(&self, role: &SsoRole, keys: &RoleCredentials) -> Result<(), CacheError> {
        let path = self.path(role).ok_or(CacheError::NoHome)?;
        let (Some(expires_at), Some(token)) = (keys.expires_at, &keys.session_token) else { return Ok(()) };
        let file = json!({
            "ProviderType": SSO,
            "Credentials": {
                "AccessKeyId": keys.access_key_id,
                "SecretAccessKey": keys.secret_access_key.reveal(),
                "SessionToken": token.reveal(),
                "Expiration": timestamp(expires_at),
                "AccountId": role.account_id.as_str(),
            },
        });
        cache_file::write(&path, &file).await
    }

    /// Removes all credentials from single sign-on, and returns how many there were.
    ///
    /// `aws sso logout` does the same, since the files don't say which session they belong to. What killed processes
    /// left behind is removed, too.
    pub async fn remove_all(&self) -> Result<usize, CacheError> {
        let Some(folder) = &self.folder else { return Ok(0) };
        let is_of_sso = |file: &JsonFile| (file.text("ProviderType") == Some(SSO)).then_some(());
        cache_file::sweep(folder).await?;
        cache_file::remove(folder, is_of_sso).await.map(|removed| removed.len())
    }

    fn path(&self, role: &SsoRole) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(name(&role.session, role.account_id.as_str(), &role.role_name)))
    }
}

/// Returns botocore's `_create_cache_key`: Python's JSON, sorted and without spaces.
fn name(session: &SsoSession, account_id: &str, role_name: &str) -> String {
    let [account_id, role_name, key] = [account_id, role_name, session.cache_key()].map(python_json);
    let which = if session.is_legacy() { "startUrl" } else { "sessionName" };
    // In sorted order, `sessionName` and `startUrl` both follow the other two keys.
    file_name(&format!(r#"{{"accountId":{account_id},"roleName":{role_name},"{which}":{key}}}"#))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;
    use std::time::{Duration, UNIX_EPOCH};

    use ssoinv_profile::Location;

    use super::*;

    fn role(session_name: Option<&str>) -> SsoRole {
        let at = Location { file: Path::new("config").into(), line: 1 };
        let session = SsoSession {
            name: session_name.map(str::to_owned),
            start_url: "https://corp.awsapps.com/start".to_owned(),
            start_url_at: at.clone(),
            sso_region: "eu-west-1".to_owned(),
            sso_region_at: at.clone(),
            scopes: Vec::new(),
            location: at,
        };
        SsoRole {
            session: Arc::new(session),
            account_id: "012345678901".parse().unwrap(),
            role_name: "Audit".to_owned(),
        }
    }

    fn keys() -> RoleCredentials {
        RoleCredentials {
            access_key_id: "ASIA".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: Some(Secret::new("token")),
            expires_at: Some(UNIX_EPOCH + Duration::from_secs(1_767_323_045)),
            caller_arn: None,
        }
    }

    /// The constants come from Python.
    ///
    /// `hashlib.sha1(json.dumps({"roleName": "Audit", "accountId": "012345678901", "sessionName": "corp"},
    /// sort_keys=True, separators=(",", ":")).encode()).hexdigest()`, and with `startUrl`.
    #[test]
    fn names_are_botocores() {
        let name = |role: SsoRole| name(&role.session, role.account_id.as_str(), &role.role_name);
        assert_eq!(name(role(Some("corp"))), "a8a3bed1df02f96b7692dec74881d7716243a1cc.json");
        assert_eq!(name(role(Some("Größe"))), "4c046fd850c2a17282027372619df4bd60938c2a.json");
        assert_eq!(name(role(None)), "0ca69f8af30e27106441c22ec91c6864f2e4ea37.json");
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_only_for_its_role() {
        let home = tempfile::tempdir().unwrap();
        let cache = CredentialCache::new(Some(home.path()));
        assert_eq!(cache.get(&role(Some("corp"))).await, None);
        cache.store(&role(Some("corp")), &keys()).await.unwrap();
        assert_eq!(cache.get(&role(Some("corp"))).await, Some(keys()));
        assert_eq!(cache.get(&role(Some("other"))).await, None);
        assert_eq!(cache.get(&role(None)).await, None);

        let path = cache.path(&role(Some("corp"))).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (part, other) in [("\"sso\"", "\"assume-role\""), ("012345678901", "999999999999")] {
            fs::write(&path, text.replace(part, other)).unwrap();
            assert_eq!(cache.get(&role(Some("corp"))).await, None, "{other}");
        }
        // The form that botocore wrote before it had `AccountId`.
        fs::write(&path, text.replace("AccountId", "Ignored").replace("05Z", "05UTC")).unwrap();
        assert_eq!(cache.get(&role(Some("corp"))).await, Some(keys()));
    }

    #[tokio::test]
    async fn what_other_providers_gave_stays() {
        let home = tempfile::tempdir().unwrap();
        let cache = CredentialCache::new(Some(home.path()));
        assert_eq!(cache.remove_all().await.unwrap(), 0, "there is no folder yet");
        cache.store(&role(Some("corp")), &keys()).await.unwrap();
        cache.store(&role(None), &keys()).await.unwrap();
        let folder = home.path().join(".aws/cli/cache");
        fs::write(folder.join("other.json"), r#"{"Credentials": {"AccessKeyId": "ASIA"}}"#).unwrap();
        fs::write(folder.join("half.json"), r#"{"ProviderType": "sso""#).unwrap();
        assert_eq!(cache.remove_all().await.unwrap(), 2);
        let mut left: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["half.json", "other.json"]);
    }
}
