//! Single sign-on: the needs of botocore's `sso` provider, and of the token provider below it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::scope::{AccountId, KNOWN_REGIONS, is_region_name};
use ssoinv_core::suggest::nearest;
use ssoinv_core::text::quoted_list;

use crate::config_edit::line_edit::{Change, FileEdit};
use crate::credential_source::{CredentialSource, SCOPE, SsoRole, SsoSession};
use crate::keys::{meant_as, renaming};
use crate::location::Location;
use crate::names::{MAX_LISTED, bare_start_url, botocore_accepts_region, is_https_or_loopback, is_url};
use crate::problem::{Excerpt, Problem, ProblemKind};
use crate::resolver::Resolver;
use crate::sections::{ProfileEntry, ProfileFiles, SectionGroup};
use crate::settings::{Setting, Settings};

/// Builds the sso-sessions that are complete, used or not.
pub(crate) fn sessions(files: &ProfileFiles) -> BTreeMap<String, Arc<SsoSession>> {
    let session = |(name, group): (&String, &SectionGroup)| {
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
        // The AWS CLI's default for an sso-session; a legacy registration has none.
        scopes: if scopes.is_empty() { vec![SCOPE.to_owned()] } else { scopes },
        location,
    })
}

impl Resolver<'_> {
    /// Reads the account and role of a profile that has `sso_account_id` or `sso_role_name`.
    pub(crate) fn sso(&self, entry: &ProfileEntry, problems: &mut Vec<Problem>) -> Option<CredentialSource> {
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
        // If there is a session, botocore takes the token's keys from its section alone.
        let of_token: Option<&Settings> = match group {
            Some(group) => Some(&group.settings),
            None => Some(&entry.merged),
        };
        let of_token = |key: &str| of_token.and_then(|settings| settings.get(key));
        if let (Some(group), Some(named)) = (group, session_name) {
            problems.extend(self.incomplete_session(entry, named, group));
        }
        let mut keys = missing(["sso_account_id", "sso_role_name"], &|key| setting(key).is_some());
        if group.is_none() {
            keys.extend(missing(TOKEN_KEYS, &|key| of_token(key).is_some()));
        }
        if !keys.is_empty() {
            let message = format!("profile `{name}` is set up for single sign-on but has {}", none_of(&keys));
            let hint = match (meant_as(&entry.merged, keys[0]), keys.contains(&"sso_start_url")) {
                (Some(key), _) => format!("rename `{key}` to `{}` in `{label}`", keys[0]),
                (None, true) => format!(
                    "add `sso_session = NAME` to `{label}`, or run `aws configure sso --profile {name}`"
                ),
                (None, false) => format!("add {} to `{label}`", and_values(&keys)),
            };
            let problem = Problem::error(ProblemKind::IncompleteSso, &entry.location(), message, hint);
            problems.push(problem.cured_by(self.completion(&entry.merged, &keys)));
        }
        let owner = match session_name {
            Some(named) => format!("sso-session `{}`", named.value),
            None => format!("profile `{name}`"),
        };
        if let Some(url) = of_token("sso_start_url") {
            problems.extend(start_url_problem(&owner, url));
        }
        if let Some(region) = of_token("sso_region") {
            problems.extend(region_problem("sso_region", &owner, region));
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

    /// Returns the problem of the sso-session that a profile names, if it has one.
    ///
    /// botocore reads the section whenever it creates a client, even for a profile with other credentials.
    pub(crate) fn session_problem(&self, entry: &ProfileEntry, named: &Setting) -> Option<Problem> {
        match self.files.sessions.get(&named.value) {
            Some(group) => self.incomplete_session(entry, named, group),
            None => Some(self.unknown_session(entry, named)),
        }
    }

    fn incomplete_session(
        &self,
        entry: &ProfileEntry,
        named: &Setting,
        group: &SectionGroup,
    ) -> Option<Problem> {
        let keys = missing(TOKEN_KEYS, &|key| group.settings.get(key).is_some());
        let first = *keys.first()?;
        let message =
            format!("sso-session `{}` of profile `{}` has {}", named.value, entry.name, none_of(&keys));
        let hint = match meant_as(&group.settings, first) {
            Some(key) => format!("rename `{key}` to `{first}` in `{}`", group.label),
            None => format!("add {} to `{}`", and_values(&keys), group.label),
        };
        let problem = Problem::error(ProblemKind::IncompleteSession, &group.location, message, hint);
        Some(problem.cured_by(self.completion(&group.settings, &keys)))
    }

    /// Returns the edits after which `settings` lack none of `keys`, if the files have what is needed.
    ///
    /// That is a misspelt key, or the SSO region that another section gives for the same start URL. Returns no edits
    /// if one of the keys needs a person.
    fn completion(&self, settings: &Settings, keys: &[&str]) -> Vec<FileEdit> {
        let cure = |key: &&str| {
            if let Some(misspelt) = meant_as(settings, key) {
                return renaming(settings, misspelt, key);
            }
            let url = settings.get("sso_start_url").filter(|_| *key == "sso_region")?;
            let region = self.region_of(&url.value)?;
            Some(url.end().edit(Change::InsertBelow(format!("sso_region = {region}"))))
        };
        keys.iter().map(cure).collect::<Option<_>>().unwrap_or_default()
    }

    /// Returns the SSO region of a start URL, if all sections that have both agree.
    fn region_of(&self, start_url: &str) -> Option<&str> {
        let sections = self.files.profiles.iter().map(|entry| &entry.merged);
        let sections = sections.chain(self.files.sessions.values().map(|group| &group.settings));
        let mut regions = sections.filter_map(|settings| {
            let url = settings.value("sso_start_url")?;
            let region = settings.value("sso_region")?;
            (bare_start_url(url) == bare_start_url(start_url) && is_region_name(region)).then_some(region)
        });
        let first = regions.next()?;
        regions.all(|other| other == first).then_some(first)
    }

    /// Returns the problem of an `sso_session` that isn't defined.
    fn unknown_session(&self, entry: &ProfileEntry, named: &Setting) -> Problem {
        let defined = || self.files.sessions.keys().map(String::as_str);
        let message =
            format!("profile `{}` names sso-session `{}`, which is not defined", entry.name, named.value);
        let hint = match (nearest(&named.value, defined()), self.files.sessions.is_empty()) {
            (Some(meant), _) => {
                format!(
                    "write `sso_session = {meant}` in `{}`; defined are {}",
                    entry.label(),
                    quoted_list(defined(), MAX_LISTED)
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
                    quoted_list(defined(), MAX_LISTED)
                )
            }
        };
        Problem::error(ProblemKind::UnknownSession, &named.location, message, hint)
    }
}

/// The keys that a token needs.
const TOKEN_KEYS: [&str; 2] = ["sso_start_url", "sso_region"];

fn missing(keys: [&'static str; 2], has: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
    keys.into_iter().filter(|key| !has(key)).collect()
}

/// Reports keys in both the profile and its session: botocore refuses different values.
pub(crate) fn mixed_formats(entry: &ProfileEntry, group: &SectionGroup, problems: &mut Vec<Problem>) {
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
        let lines = vec![Excerpt::setting(key, ours), Excerpt::setting(key, theirs)];
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
        // The session's section decides on the sign-in, the profile on the account.
        let of_sign_in = TOKEN_KEYS.contains(key) || *key == "sso_registration_scopes";
        problems.push(problem.showing(lines).cured_by(ours.deletion().filter(|_| of_sign_in)));
    }
}

/// Lists names in back-ticks: `a`, `b` and `c`.
fn and(names: &[&str]) -> String {
    and_with(names, |name| format!("`{name}`"))
}

/// Lists what is missing: no `a`, no `b` and no `c`.
fn none_of(names: &[&str]) -> String {
    and_with(names, |name| format!("no `{name}`"))
}

/// Lists keys to be given a value: `a = …` and `b = …`.
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

/// Checks a start URL, which is opened in a browser for a sign-in: it should be `https`.
fn start_url_problem(owner: &str, url: &Setting) -> Option<Problem> {
    let hint =
        || "write the portal's URL, such as `sso_start_url = https://my-org.awsapps.com/start`".to_owned();
    let kind = ProblemKind::InvalidStartUrl;
    if !is_url(&url.value) {
        let message = format!("`sso_start_url` of {owner} is not a URL: `{}`", url.value);
        return Some(Problem::warning(kind, &url.location, message, hint()).blocking());
    }
    (!is_https_or_loopback(&url.value)).then(|| {
        let message = format!("`sso_start_url` of {owner} is not an `https` URL: `{}`", url.value);
        Problem::warning(kind, &url.location, message, hint())
    })
}

/// Checks a region: text that can't be one must not become part of a host name.
pub(crate) fn region_problem(key: &str, owner: &str, region: &Setting) -> Option<Problem> {
    if is_region_name(&region.value) && botocore_accepts_region(&region.value) {
        return None;
    }
    let kind = ProblemKind::InvalidRegion;
    let message = format!("`{key}` of {owner} is not a region: `{}`", region.value);
    let meant = nearest(&region.value, KNOWN_REGIONS.iter().copied()).unwrap_or("eu-west-1");
    let hint = format!("write a region's name, such as `{key} = {meant}`");
    Some(if botocore_accepts_region(&region.value) {
        Problem::warning(kind, &region.location, message, hint).blocking()
    } else {
        Problem::error(kind, &region.location, message, hint)
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
    // Hyphens between the digits leave no doubt; missing digits need a person.
    let cure = (digits.len() == 12 && !only_digits && account.value.lines().count() == 1)
        .then(|| account.location.edit(Change::SetValue(digits)));
    Problem::warning(ProblemKind::InvalidAccountId, &account.location, message, hint)
        .blocking()
        .cured_by(cure)
}
