//! The keys that AWS's tools know, to find misspelt ones.

use ssoinv_core::suggest::nearest;

use crate::config_edit::line_edit::{Change, FileEdit};
use crate::settings::Settings;

/// Keys that decide where credentials come from. A misspelt one turns a profile into another, or into none.
const VITAL: [&str; 20] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "credential_process",
    "credential_source",
    "duration_seconds",
    "endpoint_url",
    "external_id",
    "login_session",
    "mfa_serial",
    "region",
    "role_arn",
    "role_session_name",
    "source_profile",
    "sso_account_id",
    "sso_region",
    "sso_registration_scopes",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
];

/// Other keys that resemble a vital one, but mean something else.
///
/// They are from "Settings reference" in the AWS SDKs and Tools Reference Guide, from the AWS CLI's configuration
/// variables, and from well-known tools.
const OTHERS: [&str; 12] = [
    "aws_account_id",
    "aws_security_token",
    "regions",
    "sso_account_name",
    "sso_auto_populated",
    "sso_interactive_auth",
    "sts_regional_endpoints",
    "services",
    "web_identity_token_file",
    "s3_endpoint_url",
    "signing_region",
    "mfa_process",
];

/// Returns the vital key that was probably meant by an unknown one.
pub(crate) fn misspelt(key: &str) -> Option<&'static str> {
    if VITAL.contains(&key) || OTHERS.contains(&key) {
        return None;
    }
    let plain = |key: &str| key.replace(['_', '-', '.'], "");
    if let Some(meant) = VITAL.into_iter().find(|vital| plain(vital) == plain(key)) {
        return Some(meant);
    }
    // Within one family only: another tool's `x_role_arn` is that tool's business.
    let family = |key: &str| key.chars().take(3).collect::<String>();
    let kin = || VITAL.into_iter().filter(|vital| family(vital) == family(key));
    nearest(key, kin()).or_else(|| {
        // `sso_url` omits a word.
        let has_words = |vital: &&str| key.split('_').all(|word| vital.split('_').any(|other| other == word));
        let mut longer = kin().filter(|_| key.contains('_')).filter(has_words);
        longer.next().filter(|_| longer.next().is_none())
    })
}

/// Returns the key in these settings that was probably meant to be `wanted`.
pub(crate) fn meant_as<'a>(settings: &'a Settings, wanted: &str) -> Option<&'a str> {
    settings.iter().map(|(key, _)| key).find(|key| misspelt(key) == Some(wanted))
}

/// Returns the edit that renames a misspelt key.
///
/// None if the right key is present, or another misspelling of it.
pub(crate) fn renaming(settings: &Settings, key: &str, meant: &str) -> Option<FileEdit> {
    let only = settings.get(meant).is_none() && meant_as(settings, meant) == Some(key);
    let setting = settings.get(key).filter(|_| only)?;
    Some(setting.location.edit(Change::RenameKey(meant.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys_are_found_and_others_left_alone() {
        for (key, meant) in [
            ("sso_accountid", Some("sso_account_id")),
            ("sso-account-id", Some("sso_account_id")),
            ("ssoaccountid", Some("sso_account_id")),
            ("sso_account", Some("sso_account_id")),
            ("sso_role", Some("sso_role_name")),
            ("sso_start_uri", Some("sso_start_url")),
            ("sso_url", Some("sso_start_url")),
            ("sso_regin", Some("sso_region")),
            ("sso_session_name", Some("sso_session")),
            ("source_profil", Some("source_profile")),
            ("rolearn", Some("role_arn")),
            ("aws_secret_key", Some("aws_secret_access_key")),
            ("regoin", Some("region")),
            ("credentials_process", Some("credential_process")),
            ("output", None),
            ("cli_pager", None),
            ("retry_mode", None),
            ("max_attempts", None),
            ("ca_bundle", None),
            ("s3", None),
            ("granted_sso_start_url", None),
            ("aws_account_id", None),
            ("sso_account_name", None),
            ("regions", None),
            ("endpoint_discovery_enabled", None),
            ("sso_start_url", None),
        ] {
            assert_eq!(misspelt(key), meant, "{key}");
        }
    }
}
