//! Problems that don't depend on a profile's credentials: keys without effect, values that can't be right.

use ssoinv_core::suggest::nearest;
use ssoinv_core::text::quoted_list;

use crate::credential_source::ProfileKind;
use crate::endpoints::{ConfiguredEndpoints, EndpointOrigin};
use crate::keys::{misspelt, renaming};
use crate::location::Location;
use crate::names::{MAX_LISTED, is_https_or_loopback, is_url};
use crate::problem::{Problem, ProblemKind};
use crate::resolver::Resolver;
use crate::sections::{ProfileEntry, SectionGroup};
use crate::sso::{mixed_formats, region_problem};

impl Resolver<'_> {
    /// Returns the problems that don't come from resolving the profile's credentials, which gave `kind`.
    pub(crate) fn check(
        &self,
        entry: &ProfileEntry,
        kind: ProfileKind,
        endpoints: &ConfiguredEndpoints,
    ) -> Vec<Problem> {
        let mut problems = entry.problems.clone();
        for group in [&entry.config, &entry.credentials].into_iter().flatten() {
            problems.extend_from_slice(&group.problems);
            problems.extend(misspelt_keys(group));
        }
        if let Some(region) = entry.merged.get("region").filter(|region| !region.value.is_empty()) {
            problems.extend(region_problem("region", &format!("profile `{}`", entry.name), region));
        }
        if let Some(named) = entry.merged.get("sso_session").filter(|_| kind != ProfileKind::SsoSession) {
            problems.extend(self.session_problem(entry, named));
        }
        if kind == ProfileKind::None {
            self.check_without_credentials(entry, &mut problems);
        }
        sso_in_credentials(entry, &mut problems);
        lone_keys(entry, &mut problems);
        odd_values(entry, &mut problems);
        if !endpoints.is_ignored() {
            self.check_services(entry, &mut problems);
            problems.extend(endpoints.iter().filter_map(|endpoint| {
                let EndpointOrigin::File(location) = &endpoint.origin else { return None };
                endpoint_problem(&entry.name, &endpoint.url, location)
            }));
        }
        // Problems of the session are reported with each profile that uses it.
        if let Some(group) = entry.merged.value("sso_session").and_then(|name| self.files.sessions.get(name))
        {
            problems.extend_from_slice(&group.problems);
            problems.extend(misspelt_keys(group));
        }
        problems
    }

    fn check_without_credentials(&self, entry: &ProfileEntry, problems: &mut Vec<Problem>) {
        let name = &entry.name;
        if let Some(secret) = entry.merged.get("aws_secret_access_key") {
            let message = format!("profile `{name}` has `aws_secret_access_key` but no `aws_access_key_id`");
            let hint = "add `aws_access_key_id` beside it, or delete the half pair".to_owned();
            problems.push(Problem::warning(ProblemKind::HalfKeyPair, &secret.location, message, hint));
        }
        let keys = "neither `sso_account_id` nor `sso_role_name`: it gives a sign-in and no credentials";
        let hint = || format!("add `sso_account_id = …` and `sso_role_name = …` to `{}`", entry.label());
        if let Some(named) = entry.merged.get("sso_session") {
            let Some(group) = self.files.sessions.get(&named.value) else { return };
            // The profile's own keys have no reader, so botocore has nothing to refuse.
            let mut mixed = Vec::new();
            mixed_formats(entry, group, &mut mixed);
            problems.extend(mixed.into_iter().map(Problem::harmless));
            let message = format!("profile `{name}` names sso-session `{}` but {keys}", named.value);
            problems.push(Problem::warning(ProblemKind::TokenOnly, &named.location, message, hint()));
        } else if let Some(url) = entry.merged.get("sso_start_url") {
            let message = format!("profile `{name}` has `sso_start_url` but {keys}");
            problems.push(Problem::warning(ProblemKind::TokenOnly, &url.location, message, hint()));
        }
    }

    fn check_services(&self, entry: &ProfileEntry, problems: &mut Vec<Problem>) {
        let Some(named) = entry.merged.get("services") else { return };
        let what = match self.files.services.get(&named.value) {
            Some(group) if group.settings.iter().next().is_some() => return,
            Some(_) => "which is empty",
            None => "which is not defined",
        };
        let defined = || self.files.services.keys().map(String::as_str);
        let message = format!("profile `{}` names services section `{}`, {what}", entry.name, named.value);
        let hint = match nearest(&named.value, defined().filter(|name| *name != named.value)) {
            Some(meant) => {
                format!(
                    "write `services = {meant}` in `{}`; defined are {}",
                    entry.label(),
                    quoted_list(defined(), MAX_LISTED)
                )
            }
            None if self.files.services.contains_key(&named.value) => {
                format!(
                    "add a service below `[services {}]`, or delete `services` from `{}`",
                    named.value,
                    entry.label()
                )
            }
            None => format!("add `[services {}]` to the config file, or delete `services`", named.value),
        };
        problems.push(Problem::error(ProblemKind::UnknownServices, &named.location, message, hint));
    }
}

fn misspelt_keys(group: &SectionGroup) -> impl Iterator<Item = Problem> {
    group.settings.iter().filter_map(|(key, setting)| {
        let meant = misspelt(key)?;
        let message = format!("AWS's tools don't know `{key}` in `{}`; is it `{meant}`?", group.label);
        let hint = format!("rename `{key}` to `{meant}`");
        let problem = Problem::warning(ProblemKind::MisspeltKey, &setting.location, message, hint);
        Some(problem.cured_by(renaming(&group.settings, key, meant)))
    })
}

fn sso_in_credentials(entry: &ProfileEntry, problems: &mut Vec<Problem>) {
    let Some(group) = &entry.credentials else { return };
    if let Some((key, setting)) = group.settings.iter().find(|(key, _)| key.starts_with("sso_")) {
        let message = format!(
            "`{key}` of profile `{}` stands in the credentials file; the AWS CLI reads it there, other tools may not",
            entry.name
        );
        let hint = format!("move the `sso_` keys to `{}` in the config file", entry.label());
        problems.push(Problem::warning(ProblemKind::SsoInCredentials, &setting.location, message, hint));
    }
}

/// Reports keys that have no effect without another one.
fn lone_keys(entry: &ProfileEntry, problems: &mut Vec<Problem>) {
    if entry.merged.get("role_arn").is_none() {
        for key in ["source_profile", "credential_source"] {
            if let Some(setting) = entry.merged.get(key) {
                let message =
                    format!("profile `{}` has `{key}` but no `role_arn`, so it is ignored", entry.name);
                let hint = format!("add `role_arn = arn:aws:iam::ACCOUNT:role/NAME` to `{}`", entry.label());
                problems.push(Problem::warning(ProblemKind::IgnoredKeys, &setting.location, message, hint));
            }
        }
    }
    if let Some(file) = entry.merged.get("web_identity_token_file").filter(|file| file.value.is_empty()) {
        let message =
            format!("`web_identity_token_file` of profile `{}` is empty, so it is ignored", entry.name);
        let hint = format!("write the token's path in `{}`, or delete the key", entry.label());
        problems.push(Problem::warning(ProblemKind::IncompleteWebIdentity, &file.location, message, hint));
    }
}

/// Reports values that botocore reads otherwise than they look.
fn odd_values(entry: &ProfileEntry, problems: &mut Vec<Problem>) {
    for key in ["use_fips_endpoint", "use_dualstack_endpoint", "ignore_configured_endpoint_urls"] {
        let is_switch = |value: &str| ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word));
        if let Some(setting) = entry.merged.get(key).filter(|setting| !is_switch(&setting.value)) {
            let message = format!(
                "`{key}` of profile `{}` is `{}`, which counts as `false`",
                entry.name, setting.value
            );
            let hint = format!("write `{key} = true` or `{key} = false`");
            problems.push(Problem::warning(ProblemKind::InvalidValue, &setting.location, message, hint));
        }
    }
    if let Some(setting) = entry.merged.get("duration_seconds") {
        let message = match setting.value.trim().parse::<u32>() {
            // The range is from AssumeRole's reference.
            Ok(900..=43200) => return,
            Ok(_) => format!("`duration_seconds` of profile `{}` is not 900 to 43200", entry.name),
            Err(_) => {
                format!("`duration_seconds` of profile `{}` is not a number, so it is ignored", entry.name)
            }
        };
        let hint = "write `duration_seconds = 3600`".to_owned();
        problems.push(Problem::warning(ProblemKind::InvalidValue, &setting.location, message, hint));
    }
}

fn endpoint_problem(name: &str, url: &str, location: &Location) -> Option<Problem> {
    let kind = ProblemKind::InsecureEndpoint;
    if !url.contains("://") {
        // botocore finds no host in such a text.
        let message = format!("`endpoint_url` of profile `{name}` is not a URL: `{url}`");
        return Some(Problem::error(
            kind,
            location,
            message,
            format!("write `endpoint_url = https://{url}`"),
        ));
    }
    if !is_url(url) {
        let message = format!("`endpoint_url` of profile `{name}` is no URL with a plain host: `{url}`");
        let hint = "write `endpoint_url = https://HOST`".to_owned();
        return Some(Problem::warning(kind, location, message, hint));
    }
    (!is_https_or_loopback(url)).then(|| {
        let message =
            format!("`endpoint_url` of profile `{name}` would send credentials over plain http: `{url}`");
        let hint = "write an `https` URL; plain `http` is for loopback only".to_owned();
        Problem::warning(kind, location, message, hint)
    })
}
