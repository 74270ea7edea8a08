//! The steps about the config and credentials files.
//!
//! Problems that `ssoinv profiles` reports are the same here; each kind belongs to one step.

use std::collections::BTreeMap;

use ssoinv_core::suggest::nearest;
use ssoinv_profile::config_edit::{Change, FileEdit};
use ssoinv_profile::{
    EndpointOrigin, Excerpt, Location, Problem, ProblemKind, Profile, SCOPE, Setting, SsoSession,
    bare_start_url,
};

use super::diagnosis::{Diagnosis, Severity};
use super::facts::Facts;
use super::step::{Step, StepResult};
use crate::sessions::KnownSession;
use crate::text::{region_hint, shell_quoted};

/// Returns the step that a problem belongs to.
fn step_of(problem: &Problem, profile: Option<&Profile>) -> Step {
    use ProblemKind as Kind;
    match problem.kind {
        Kind::Duplicate | Kind::IgnoredSection | Kind::CommentInValue | Kind::MisspeltKey => Step::Files,
        Kind::MixedFormats | Kind::RepeatedKey => Step::Formats,
        Kind::UnknownSession | Kind::IncompleteSession => Step::Sessions,
        Kind::InvalidStartUrl => Step::StartUrls,
        Kind::InvalidRegion => {
            // Either the region of the Identity Center, or the profile's own.
            let own = profile.and_then(|profile| profile.settings.get("region"));
            if own.is_some_and(|own| own.location == problem.location) {
                Step::Regions
            } else {
                Step::StartUrls
            }
        }
        Kind::IncompleteSso
        | Kind::TokenOnly
        | Kind::InvalidAccountId
        | Kind::UnknownSourceProfile
        | Kind::SourceLoop
        | Kind::UnusableSource
        | Kind::InvalidSource
        | Kind::InvalidRoleArn
        | Kind::MfaNeeded
        | Kind::IncompleteWebIdentity
        | Kind::HalfKeyPair
        | Kind::IgnoredKeys
        | Kind::UnknownServices
        | Kind::InsecureEndpoint
        | Kind::SsoInCredentials
        | Kind::InvalidValue => Step::Profiles,
    }
}

/// Returns the problems of a step: of the profiles to check and, unless they were named, of the files.
pub(super) fn problems(facts: &Facts, step: Step) -> StepResult {
    let mut result = StepResult::new(step);
    let of_files = facts.profiles.file_problems().iter().filter(|_| !facts.named);
    for problem in of_files.filter(|problem| step_of(problem, None) == step) {
        result.find(Diagnosis::of_problem(problem));
    }
    for profile in &facts.chosen {
        for problem in profile.problems.iter().filter(|problem| step_of(problem, Some(profile)) == step) {
            result.find(Diagnosis::of_problem(problem).of_profile(&profile.name));
        }
    }
    result
}

pub(super) fn files(facts: &Facts) -> StepResult {
    let mut result = problems(facts, Step::Files);
    result.looked_at = facts.profiles.looked_at().iter().filter(|file| file.found).count();
    if facts.profiles.iter().len() > 0 {
        return result;
    }
    let message = "there is no profile, neither in the config file nor in the credentials file";
    let hint = match facts.profiles.sessions().keys().next() {
        Some(_) => "run `aws configure sso`, which makes one for an account and a role",
        None => "run `ssoinv login --start-url URL --sso-region REGION --write`, then `aws configure sso`",
    };
    let diagnosis = Diagnosis::new(Severity::Error, "no-profile", message, hint);
    let config = facts.profiles.looked_at().first();
    result.find(match config {
        Some(config) => diagnosis.in_file(config.path.clone(), None),
        None => diagnosis,
    });
    result
}

pub(super) fn profiles(facts: &Facts) -> StepResult {
    let mut result = problems(facts, Step::Profiles);
    result.looked_at = facts.chosen.len();
    if let Some((variable, name)) = facts.variable.as_ref().filter(|_| !facts.named)
        && facts.profiles.get(name).is_none()
    {
        let message = format!("`{variable}` names profile `{name}`, which does not exist");
        let hint = match facts.profiles.nearest(name) {
            Some(near) => format!("did you mean `export {variable}={}`?", shell_quoted(near)),
            None => format!("run `unset {variable}`; `ssoinv profiles` lists what exists"),
        };
        result.find(Diagnosis::new(Severity::Error, "unknown-profile", message, hint));
    }
    result
}

pub(super) fn formats(facts: &Facts) -> StepResult {
    let mut result = problems(facts, Step::Formats);
    result.looked_at = facts.chosen.iter().filter(|profile| uses_sso(profile)).count();
    let legacy = facts.sessions.iter().filter(|session| session.known.sso.is_legacy());
    for SessionPair { legacy, session, user } in legacy.filter_map(|legacy| pair(facts, &legacy.known)) {
        let name = session.name.as_deref().unwrap_or_default();
        let message = format!(
            "profile `{}` has its own start URL, which is that of sso-session `{name}`: each needs its own sign-in",
            user.name
        );
        let hint = format!(
            "write `sso_session = {name}` in `[profile {}]`, in place of `sso_start_url` and `sso_region`",
            user.name
        );
        let lines = vec![
            shown(&legacy.start_url_at, "sso_start_url", &legacy.start_url),
            shown(&session.start_url_at, "sso_start_url", &session.start_url),
        ];
        let diagnosis = Diagnosis::new(Severity::Info, "both-formats", message, hint);
        result.find(diagnosis.at_line(&legacy.start_url_at).showing(lines).of_profile(&user.name));
    }
    result
}

struct SessionPair<'a> {
    legacy: &'a SsoSession,
    session: &'a SsoSession,
    /// The profile with its own start URL.
    user: &'a Profile,
}

/// Returns the sso-session with the same start URL as a profile's own.
fn pair<'a>(facts: &'a Facts, legacy: &'a KnownSession) -> Option<SessionPair<'a>> {
    let url = bare_start_url(&legacy.sso.start_url);
    let mut sessions = facts.profiles.sessions().values();
    let session = sessions.find(|session| bare_start_url(&session.start_url) == url)?;
    Some(SessionPair { legacy: &legacy.sso, session, user: legacy.profile.as_deref()? })
}

pub(super) fn sessions(facts: &Facts) -> StepResult {
    let mut result = problems(facts, Step::Sessions);
    let named = facts.sessions.iter().filter(|session| !session.known.sso.is_legacy());
    for sso in named.map(|session| &session.known.sso) {
        result.look();
        result.diagnoses.extend(scope(facts, sso));
    }
    if !facts.named && facts.profiles.iter().len() > 0 {
        for (name, settings) in facts.profiles.session_settings() {
            if facts.profiles.iter().any(|profile| profile.sso_session.as_deref() == Some(name)) {
                continue;
            }
            result.look();
            let message = format!("no profile uses sso-session `{name}`");
            let hint = format!("write `sso_session = {name}` in a profile, or delete `[sso-session {name}]`");
            let diagnosis = Diagnosis::new(Severity::Info, "unused-session", message, hint).of_session(name);
            let keys = ["sso_start_url", "sso_region"].map(|key| settings.get(key));
            result.find(match facts.profiles.sessions().get(name) {
                Some(session) => diagnosis.at_line(&session.location),
                None => diagnosis.at_key(keys),
            });
        }
    }
    result
}

/// Diagnoses an sso-session without the scope that refreshing needs.
///
/// Source: "Access scopes" in the IAM Identity Center user guide.
fn scope(facts: &Facts, sso: &SsoSession) -> Option<Diagnosis> {
    const KEY: &str = "sso_registration_scopes";
    let name = sso.name.as_deref()?;
    let (_, settings) = facts.profiles.session_settings().find(|(known, _)| *known == name)?;
    match settings.get(KEY).filter(|scopes| !scopes.value.is_empty()) {
        None => {
            let message = format!(
                "sso-session `{name}` has no `{KEY}`: not every tool then asks for `{SCOPE}`, which refreshing needs"
            );
            let hint = format!("add `{KEY} = {SCOPE}` to `[sso-session {name}]`");
            let edits = match (settings.get(KEY), settings.get("sso_start_url")) {
                (Some(empty), _) => {
                    one_line(empty, vec![empty.location.edit(Change::SetValue(SCOPE.to_owned()))])
                }
                (None, Some(url)) => vec![url.end().edit(Change::InsertBelow(format!("{KEY} = {SCOPE}")))],
                (None, None) => Vec::new(),
            };
            let diagnosis = Diagnosis::new(Severity::Warning, "no-scope", message, hint);
            Some(diagnosis.at_line(&sso.location).of_session(name).cured_by(edits))
        }
        Some(scopes) if !sso.scopes.iter().any(|scope| scope == SCOPE) => {
            let message = format!(
                "`{KEY}` of sso-session `{name}` lacks `{SCOPE}`: the token opens no account and cannot be refreshed"
            );
            let wanted = format!("{},{SCOPE}", scopes.value.trim_end_matches([',', ' ']));
            let hint = format!("write `{KEY} = {wanted}` in `[sso-session {name}]`");
            let edits = vec![scopes.location.edit(Change::SetValue(wanted))];
            let diagnosis = Diagnosis::new(Severity::Error, "scope-missing", message, hint);
            Some(diagnosis.at_line(&scopes.location).of_session(name).cured_by(one_line(scopes, edits)))
        }
        Some(_) => None,
    }
}

/// Returns the edits if the value has a single line, else none.
fn one_line(setting: &Setting, edits: Vec<FileEdit>) -> Vec<FileEdit> {
    if setting.end() == setting.location { edits } else { Vec::new() }
}

pub(super) fn start_urls(facts: &Facts) -> StepResult {
    let mut result = problems(facts, Step::StartUrls);
    let mut by_url: BTreeMap<&str, Vec<&SsoSession>> = BTreeMap::new();
    let of_profiles = facts.chosen.iter().filter_map(|profile| profile.credentials.session());
    for sso in facts.sessions.iter().map(|session| &session.known.sso).chain(of_profiles) {
        let sessions = by_url.entry(bare_start_url(&sso.start_url)).or_default();
        // Profiles with the same start URL share a token, but may name different regions.
        let is_same = |known: &&SsoSession| {
            (&known.name, &known.start_url, &known.sso_region) == (&sso.name, &sso.start_url, &sso.sso_region)
        };
        if sessions.iter().any(is_same) {
            continue;
        }
        result.look();
        sessions.push(sso);
        if let Some(hint) = region_hint(&sso.sso_region) {
            let message = format!("`sso_region` of {} is `{}`: {hint}", called(sso), sso.sso_region);
            let near = nearest(&sso.sso_region, ssoinv_core::scope::KNOWN_REGIONS.iter().copied());
            let hint = format!(
                "write the region of the Identity Center, such as `sso_region = {}`",
                near.unwrap_or("eu-west-1")
            );
            let diagnosis = Diagnosis::new(Severity::Warning, "unknown-sso-region", message, hint);
            result.find(diagnosis.at_line(&sso.sso_region_at).of_session(sso.cache_key()));
        }
    }
    for sessions in by_url.values() {
        result.diagnoses.extend(differing_regions(sessions));
        result.diagnoses.extend(named_twice(sessions));
    }
    let mut told: Vec<(&str, &str)> = Vec::new();
    for endpoint in &facts.foreign {
        // Many profiles may name the same endpoint.
        if told.contains(&(&endpoint.url, &endpoint.session)) {
            continue;
        }
        told.push((&endpoint.url, &endpoint.session));
        let message = format!(
            "the sign-in and token of `{}` go to `{}`, which is not AWS's",
            endpoint.session, endpoint.url
        );
        let hint = "if you didn't set this, stop here: whoever runs that endpoint gets your token";
        let diagnosis = Diagnosis::new(Severity::Warning, "foreign-endpoint", message, hint);
        let diagnosis = diagnosis.of_session(&endpoint.session);
        result.find(match &endpoint.origin {
            EndpointOrigin::File(location) => diagnosis.at_line(location),
            EndpointOrigin::Variable(name) => {
                Diagnosis { message: format!("{} (`{name}`)", diagnosis.message), ..diagnosis }
            }
        });
    }
    result
}

/// Diagnoses one start URL with several SSO regions. They may be right if the Identity Center is replicated.
fn differing_regions(sessions: &[&SsoSession]) -> Option<Diagnosis> {
    let first = sessions.first()?;
    let other = sessions.iter().find(|other| other.sso_region != first.sso_region)?;
    let message = format!(
        "{} and {} have the same start URL, but `{}` and `{}` as SSO regions",
        called(first),
        called(other),
        first.sso_region,
        other.sso_region
    );
    let hint = "write the region that the dashboard of IAM Identity Center shows in both";
    let lines = [first, other].map(|sso| shown(&sso.sso_region_at, "sso_region", &sso.sso_region));
    let diagnosis = Diagnosis::new(Severity::Warning, "regions-differ", message, hint);
    Some(diagnosis.at_line(&other.sso_region_at).showing(lines.into()).of_session(other.cache_key()))
}

/// Diagnoses several sso-sessions for one start URL: each needs its own sign-in.
fn named_twice(sessions: &[&SsoSession]) -> Option<Diagnosis> {
    let mut named = sessions.iter().filter(|sso| !sso.is_legacy());
    let (first, second) = (named.next()?, named.next()?);
    let message = format!(
        "{} and {} have the same start URL, and each needs its own sign-in",
        called(first),
        called(second)
    );
    let name = first.cache_key();
    let hint = format!("let the profiles of both name one: `sso_session = {name}`");
    let lines = [first, second].map(|sso| shown(&sso.start_url_at, "sso_start_url", &sso.start_url));
    let diagnosis = Diagnosis::new(Severity::Info, "one-start-url", message, hint);
    Some(diagnosis.at_line(&second.start_url_at).showing(lines.into()).of_session(second.cache_key()))
}

/// Returns the name of a session for messages.
pub(super) fn called(sso: &SsoSession) -> String {
    match &sso.name {
        Some(name) => format!("sso-session `{name}`"),
        None => format!("start URL `{}`", sso.start_url),
    }
}

fn shown(location: &Location, key: &str, value: &str) -> Excerpt {
    Excerpt { location: location.clone(), text: format!("{key} = {value}") }
}

fn uses_sso(profile: &Profile) -> bool {
    profile.settings.get("sso_session").is_some() || profile.settings.get("sso_start_url").is_some()
}
