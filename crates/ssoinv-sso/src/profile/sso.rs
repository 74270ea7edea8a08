//! Single sign-on: what botocore's `sso` provider and the token provider below it ask of a profile and its sso-session.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::scope::{AccountId, is_region_name};

use super::keys::meant_as;
use super::names::{botocore_accepts_region, is_https_or_loopback, is_url, listed, nearest};
use super::problem::{Location, Problem, ProblemKind};
use super::resolve::{Resolver, shown};
use super::sections::{Entry, Files, Group};
use super::settings::{Setting, Settings};
use super::source::{CredentialSource, SsoRole, SsoSession};

/// The sso-sessions that are complete, whether anybody uses them or not.
pub(super) fn sessions(files: &Files) -> BTreeMap<String, Arc<SsoSession>> {
    let session = |(name, group): (&String, &Group)| {
        let settings = |key: &str| group.settings.get(key);
        Some((name.clone(), Arc::new(session(Some(name), &settings, group.location.clone())?)))
    };
    files.sessions.iter().filter_map(session).collect()
}

fn session<'a>(
    name: Option<&str>,
    settings: &dyn Fn(&str) -> Option<&'a Setting>,
    location: Location,
) -> Option<SsoSession> {
    let (start_url, sso_region) = (settings("sso_start_url")?, settings("sso_region")?);
    let scopes: Vec<String> = settings("sso_registration_scopes")
        .iter()
        .flat_map(|setting| setting.value.split(','))
        .map(|scope| scope.trim().to_owned())
        .filter(|scope| !scope.is_empty())
        .collect();
    Some(SsoSession {
        name: name.map(str::to_owned),
        start_url: start_url.value.clone(),
        start_url_at: start_url.location.clone(),
        sso_region: sso_region.value.clone(),
        sso_region_at: sso_region.location.clone(),
        // The AWS CLI's default for an sso-session; a legacy registration asks for none.
        scopes: if scopes.is_empty() { vec!["sso:account:access".to_owned()] } else { scopes },
        location,
    })
}

impl Resolver<'_> {
    /// The account and role of a profile that has `sso_account_id` or `sso_role_name`.
    pub(super) fn sso(&self, entry: &Entry, problems: &mut Vec<Problem>) -> Option<CredentialSource> {
        let (name, label) = (&entry.name, entry.label());
        let session_name = entry.merged.get("sso_session");
        let group = session_name.map(|named| {
            self.files.sessions.get(&named.value).ok_or_else(|| self.unknown_session(entry, named))
        });
        let group = match group.transpose() {
            Ok(group) => group,
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        if let Some(group) = group {
            mixed_formats(entry, group, problems);
        }
        let setting =
            |key: &str| entry.merged.get(key).or_else(|| group.and_then(|group| group.settings.get(key)));
        // Where there is a session, botocore takes the token's keys from its section alone.
        let of_token: Option<&Settings> = match group {
            Some(group) => Some(&group.settings),
            None => Some(&entry.merged),
        };
        let of_token = |key: &str| of_token.and_then(|settings| settings.get(key));
        let missing = |keys: [&'static str; 2], has: &dyn Fn(&str) -> bool| -> Vec<&'static str> {
            keys.into_iter().filter(|key| !has(key)).collect()
        };
        let token_keys = missing(["sso_start_url", "sso_region"], &|key| of_token(key).is_some());
        if let (Some(group), Some(named), false) = (group, session_name, token_keys.is_empty()) {
            let message =
                format!("sso-session `{}` of profile `{name}` has no {}", named.value, and(&token_keys));
            let hint = match meant_as(&group.settings, token_keys[0]) {
                Some(key) => format!("rename `{key}` to `{}` in `{}`", token_keys[0], group.label),
                None => format!("add {} to `{}`", and_values(&token_keys), group.label),
            };
            problems.push(Problem::error(ProblemKind::IncompleteSession, &group.location, message, hint));
        }
        let mut keys = missing(["sso_account_id", "sso_role_name"], &|key| setting(key).is_some());
        if group.is_none() {
            keys.extend(&token_keys);
        }
        if !keys.is_empty() {
            let message = format!("profile `{name}` is set up for single sign-on but has no {}", and(&keys));
            let hint = match (meant_as(&entry.merged, keys[0]), keys.contains(&"sso_start_url")) {
                (Some(key), _) => format!("rename `{key}` to `{}` in `{label}`", keys[0]),
                (None, true) => format!(
                    "add `sso_session = NAME` to `{label}`, or run `aws configure sso --profile {name}`"
                ),
                (None, false) => format!("add {} to `{label}`", and_values(&keys)),
            };
            problems.push(Problem::error(ProblemKind::IncompleteSso, &entry.location(), message, hint));
        }
        if let Some(url) = of_token("sso_start_url") {
            problems.extend(start_url_problem(url));
        }
        if let Some(region) = of_token("sso_region") {
            problems.extend(region_problem("sso_region", region));
        }
        let account_id = setting("sso_account_id").and_then(|account| {
            let id = account.value.parse::<AccountId>().ok();
            if id.is_none() {
                problems.push(account_id_problem(name, &label, account));
            }
            id
        });
        let role_name = setting("sso_role_name").filter(|role| {
            if role.value.is_empty() {
                let message = format!("`sso_role_name` of profile `{name}` is empty");
                let hint = format!("write the role's name after `sso_role_name =` in `{label}`");
                let problem = Problem::warning(ProblemKind::InvalidValue, &role.location, message, hint);
                problems.push(problem.blocking());
            }
            !role.value.is_empty()
        });
        let session = match session_name {
            Some(named) => self.sessions.get(&named.value).cloned(),
            None => session(None, &of_token, entry.location()).map(Arc::new),
        };
        Some(CredentialSource::Sso(SsoRole {
            session: session?,
            account_id: account_id?,
            role_name: role_name?.value.clone(),
        }))
    }

    /// `sso_session` names what isn't there.
    pub(super) fn unknown_session(&self, entry: &Entry, named: &Setting) -> Problem {
        let defined = || self.files.sessions.keys().map(String::as_str);
        let message =
            format!("profile `{}` names sso-session `{}`, which is not defined", entry.name, named.value);
        let hint = match (nearest(&named.value, defined()), self.files.sessions.is_empty()) {
            (Some(meant), _) => {
                format!(
                    "write `sso_session = {meant}` in `{}`; defined are {}",
                    entry.label(),
                    listed(defined())
                )
            }
            (None, true) => {
                format!(
                    "add `[sso-session {}]` to the config file, or run `aws configure sso-session`",
                    named.value
                )
            }
            (None, false) => {
                format!(
                    "add `[sso-session {}]` to the config file; defined are {}",
                    named.value,
                    listed(defined())
                )
            }
        };
        Problem::error(ProblemKind::UnknownSession, &named.location, message, hint)
    }
}

/// A key in both the profile and its session: botocore refuses where the values differ.
fn mixed_formats(entry: &Entry, group: &Group, problems: &mut Vec<Problem>) {
    let (name, label) = (&entry.name, entry.label());
    let session = group.label.trim_matches(['[', ']']).split_once(' ').map_or("", |(_, name)| name.trim());
    let both: Vec<(&str, &Setting, &Setting)> = group
        .settings
        .iter()
        .filter_map(|(key, theirs)| Some((key, entry.merged.get(key)?, theirs)))
        .collect();
    let keys: Vec<&str> = both.iter().map(|(key, ..)| *key).collect();
    for (key, ours, theirs) in &both {
        let hint = format!("delete {} from `{label}`", and(&keys));
        let lines = vec![shown(key, ours), shown(key, theirs)];
        let problem = if ours.value == theirs.value {
            let message = format!(
                "profile `{name}` repeats `{key}` of sso-session `{session}`; AWS SDKs other than botocore refuse that"
            );
            Problem::warning(ProblemKind::RepeatedKey, &ours.location, message, hint)
        } else {
            let message = format!(
                "profile `{name}` mixes both SSO formats: `{key}` differs from the one of sso-session `{session}`"
            );
            Problem::error(ProblemKind::MixedFormats, &ours.location, message, hint)
        };
        problems.push(problem.showing(lines));
    }
}

/// Names in back-ticks: `a`, `b` and `c`.
fn and(names: &[&str]) -> String {
    and_with(names, |name| format!("`{name}`"))
}

/// The same, each to be given a value.
fn and_values(names: &[&str]) -> String {
    and_with(names, |name| format!("`{name} = …`"))
}

fn and_with(names: &[&str], show: impl Fn(&str) -> String) -> String {
    let shown: Vec<String> = names.iter().map(|name| show(name)).collect();
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => shown.concat(),
    }
}

/// A start URL is opened in a browser and asked for a sign-in, so it is `https`.
fn start_url_problem(url: &Setting) -> Option<Problem> {
    let hint =
        || "write the portal's URL, such as `sso_start_url = https://my-org.awsapps.com/start`".to_owned();
    let kind = ProblemKind::InvalidStartUrl;
    if !is_url(&url.value) {
        let message = format!("`sso_start_url` is not a URL: `{}`", url.value);
        return Some(Problem::warning(kind, &url.location, message, hint()).blocking());
    }
    (!is_https_or_loopback(&url.value)).then(|| {
        let message = format!("`sso_start_url` is not an `https` URL: `{}`", url.value);
        Problem::warning(kind, &url.location, message, hint())
    })
}

/// A region that can't be one must not become part of a host name.
pub(super) fn region_problem(key: &str, region: &Setting) -> Option<Problem> {
    let kind = ProblemKind::InvalidRegion;
    let message = format!("`{key}` is not a region: `{}`", region.value);
    if !botocore_accepts_region(&region.value) {
        let hint = format!("write a region's name, such as `{key} = eu-west-1`");
        return Some(Problem::error(kind, &region.location, message, hint));
    }
    (!is_region_name(&region.value)).then(|| {
        let hint = format!("write `{key} = {}`", region.value.to_lowercase());
        Problem::warning(kind, &region.location, message, hint).blocking()
    })
}

fn account_id_problem(name: &str, label: &str, account: &Setting) -> Problem {
    let digits: String = account.value.chars().filter(char::is_ascii_digit).collect();
    let only_digits = digits.len() == account.value.len();
    let message = if only_digits && !digits.is_empty() {
        format!("`sso_account_id` of profile `{name}` has {} digits and not twelve: `{digits}`", digits.len())
    } else {
        format!("`sso_account_id` of profile `{name}` is not twelve digits: `{}`", account.value)
    };
    let hint = match (digits.len(), only_digits) {
        (9..=11, true) => format!(
            "if a spreadsheet dropped leading zeros, write `sso_account_id = {digits:0>12}` in `{label}`"
        ),
        (12, false) => format!("write `sso_account_id = {digits}` in `{label}`"),
        _ => format!("write the account's twelve digits in `{label}`"),
    };
    Problem::warning(ProblemKind::InvalidAccountId, &account.location, message, hint).blocking()
}
