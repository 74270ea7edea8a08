//! Resolves a profile by the order of botocore's credential providers.
//!
//! The order is that of `create_credential_resolver` for a named profile: assume-role, web identity, single sign-on,
//! keys in the credentials file, `aws login`, `credential_process`, keys in the config file. The first provider whose
//! key is present decides: if it can't work the profile can't, and no later one is tried. A `source_profile` is
//! resolved in the same order, but keys of its own (or anything else beside them) go before its role.

use ssoinv_core::secret::Secret;
use ssoinv_core::suggest::nearest;
use ssoinv_core::text::quoted_list;

use crate::credential_source::{
    AmbientSource, AssumeRole, CredentialSource, ProfileKind, RoleSource, StaticKeys, WebIdentity,
};
use crate::keys::{meant_as, renaming};
use crate::location::Location;
use crate::names::{MAX_LISTED, RoleArn};
use crate::problem::{Excerpt, Problem, ProblemKind};
use crate::resolver::Resolver;
use crate::sections::{ProfileEntry, SectionGroup};
use crate::settings::Setting;

/// A credential provider of botocore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    AssumeRole,
    WebIdentity,
    Sso,
    KeysInCredentials,
    Login,
    Process,
    KeysInConfig,
}

/// The outcome of resolving a profile.
pub(crate) struct Resolution {
    pub(crate) kind: ProfileKind,
    pub(crate) credentials: CredentialSource,
    /// The profile's own problems on the way.
    pub(crate) problems: Vec<Problem>,
    /// The problem that makes it unusable, and its profile: this one, or one below it.
    blocker: Option<(String, Problem)>,
}

/// The longest chain of roles. AWS sets no limit; a file might have no end.
const MAX_CHAIN: usize = 50;

/// The shortest ARN that botocore sends to STS's `AssumeRole`, from the service's model.
const SHORTEST_ARN: usize = 20;

impl<'a> Resolver<'a> {
    /// Resolves a profile that was named.
    pub(crate) fn resolve(&self, entry: &'a ProfileEntry) -> Resolution {
        let mut resolved = self.resolve_as(entry, false, &mut vec![entry]);
        resolved.problems.extend(ignored_keys(entry, resolved.kind));
        resolved
    }

    fn resolve_as(
        &self,
        entry: &'a ProfileEntry,
        as_source: bool,
        path: &mut Vec<&'a ProfileEntry>,
    ) -> Resolution {
        let mut problems = Vec::new();
        let provider = providers(entry, as_source).first().map(|(provider, ..)| *provider);
        let mut below = None;
        let credentials = match provider {
            None => Some(CredentialSource::None),
            Some(Provider::AssumeRole) => self.assume_role(entry, path, &mut problems, &mut below),
            Some(Provider::WebIdentity) => web_identity(entry, &mut problems),
            Some(Provider::Sso) => self.sso(entry, &mut problems),
            Some(Provider::KeysInCredentials) => {
                static_keys(entry, entry.credentials.as_ref(), &mut problems)
            }
            Some(Provider::KeysInConfig) => static_keys(entry, entry.config.as_ref(), &mut problems),
            Some(Provider::Login) => entry
                .merged
                .value("login_session")
                .map(|session| CredentialSource::Login { session: session.to_owned() }),
            Some(Provider::Process) => process(entry, &mut problems),
        };
        let own = problems.iter().filter(|problem| problem.blocks);
        let own = own.map(|problem| (entry.name.clone(), problem.clone()));
        let blocker = below.into_iter().chain(own).min_by_key(|(_, problem)| problem.severity);
        Resolution {
            kind: match provider {
                None => ProfileKind::None,
                Some(Provider::AssumeRole) => ProfileKind::AssumeRole,
                Some(Provider::WebIdentity) => ProfileKind::WebIdentity,
                Some(Provider::Sso) if entry.merged.get("sso_session").is_some() => ProfileKind::SsoSession,
                Some(Provider::Sso) => ProfileKind::SsoLegacy,
                Some(Provider::KeysInCredentials | Provider::KeysInConfig) => ProfileKind::Static,
                Some(Provider::Login) => ProfileKind::Login,
                Some(Provider::Process) => ProfileKind::CredentialProcess,
            },
            credentials: credentials.filter(|_| blocker.is_none()).unwrap_or(CredentialSource::Unusable),
            problems,
            blocker,
        }
    }

    fn assume_role(
        &self,
        entry: &'a ProfileEntry,
        path: &mut Vec<&'a ProfileEntry>,
        problems: &mut Vec<Problem>,
        below: &mut Option<(String, Problem)>,
    ) -> Option<CredentialSource> {
        let name = &entry.name;
        let text = |key: &str| entry.merged.value(key).map(str::to_owned);
        let role = role_arn(entry, problems);
        if let Some(mfa) = entry.merged.get("mfa_serial") {
            let message =
                format!("profile `{name}` needs an MFA code (`mfa_serial`), and ssoinv does not ask for one");
            let hint = format!(
                "name a profile that has `credential_process = aws configure export-credentials --profile {name} \
                 --format process`, after `aws sts get-caller-identity --profile {name}` has asked for the code"
            );
            let problem = Problem::warning(ProblemKind::MfaNeeded, &mfa.location, message, hint);
            problems.push(problem.blocking());
        }
        let source = self.role_source(entry, path, problems, below);
        Some(CredentialSource::AssumeRole(Box::new(AssumeRole {
            profile: name.clone(),
            role: role?,
            source: source?,
            external_id: text("external_id"),
            role_session_name: text("role_session_name"),
            // botocore ignores values that aren't numbers; the check reports them.
            duration_seconds: entry
                .merged
                .value("duration_seconds")
                .and_then(|text| text.trim().parse().ok()),
            mfa_serial: text("mfa_serial"),
        })))
    }

    fn role_source(
        &self,
        entry: &'a ProfileEntry,
        path: &mut Vec<&'a ProfileEntry>,
        problems: &mut Vec<Problem>,
        below: &mut Option<(String, Problem)>,
    ) -> Option<RoleSource> {
        let (name, label) = (&entry.name, entry.label());
        let named = match named_source(entry) {
            Ok(NamedSource::Profile(named)) => named,
            Ok(NamedSource::Machine(source)) => return Some(RoleSource::Machine(source)),
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        let Some(source) = self.files.profile(&named.value) else {
            let message =
                format!("`source_profile` of profile `{name}` is `{}`, which does not exist", named.value);
            let defined = || self.files.profiles.iter().map(|entry| entry.name.as_str());
            let hint = match self.nearest_profile(&named.value).filter(|meant| meant != name) {
                Some(meant) => {
                    format!(
                        "write `source_profile = {meant}` in `{label}`; there are {}",
                        quoted_list(defined(), MAX_LISTED)
                    )
                }
                None => format!(
                    "define `[profile {}]`; there are {}",
                    named.value,
                    quoted_list(defined(), MAX_LISTED)
                ),
            };
            problems.push(Problem::error(ProblemKind::UnknownSourceProfile, &named.location, message, hint));
            return None;
        };
        // A role over its own profile's keys is no circle: the keys are resolved before the role.
        let own_keys = source.name == *name && has_key(source);
        let circle = path.iter().any(|entry| entry.name == source.name) && !own_keys;
        if circle || path.len() > MAX_CHAIN {
            problems.push(circle_problem(path, source, &named.location));
            return None;
        }
        path.push(source);
        let resolved = self.resolve_as(source, true, path);
        if let Some((root, cause)) = resolved.blocker {
            problems.push(below_problem(name, named, &root, &cause));
            *below = Some((root, cause));
            return None;
        }
        if resolved.credentials == CredentialSource::None {
            let message = format!(
                "`source_profile` of profile `{name}` is `{}`, which has no credentials",
                source.name
            );
            let hint = format!("add keys or single sign-on to `{}`, or name another profile", source.label());
            problems.push(Problem::error(ProblemKind::UnusableSource, &named.location, message, hint));
            return None;
        }
        Some(RoleSource::Profile { name: source.name.clone(), credentials: resolved.credentials })
    }
}

/// Reports the keys of a profile that others override.
fn ignored_keys(entry: &ProfileEntry, kind: ProfileKind) -> Vec<Problem> {
    let all = providers(entry, false);
    let Some((first, winner, _)) = all.first() else { return Vec::new() };
    // A role over the profile's own keys uses both.
    let own_source =
        *first == Provider::AssumeRole && entry.merged.value("source_profile") == Some(entry.name.as_str());
    let used = if own_source { 2 } else { 1 };
    all.iter()
        .skip(used)
        .map(|(_, key, setting)| {
            let message = match (key == winner, all[0].0) {
                (true, Provider::KeysInCredentials) => {
                    format!(
                        "profile `{}` has `{key}` in both files; that of the credentials file counts",
                        entry.name
                    )
                }
                _ => format!(
                    "profile `{}` is of kind `{kind}` by its `{winner}`, so its `{key}` is ignored",
                    entry.name
                ),
            };
            let hint = format!("delete the keys that are not meant from `{}`", entry.label());
            Problem::warning(ProblemKind::IgnoredKeys, &setting.location, message, hint)
        })
        .collect()
}

/// The source that a role's profile names.
enum NamedSource<'a> {
    /// `source_profile`, not looked up yet.
    Profile(&'a Setting),
    /// `credential_source`.
    Machine(AmbientSource),
}

/// Reads `source_profile` or `credential_source`, one of which must be present.
fn named_source(entry: &ProfileEntry) -> Result<NamedSource<'_>, Problem> {
    const SOURCES: [&str; 3] = ["Environment", "Ec2InstanceMetadata", "EcsContainer"];
    let (name, label) = (&entry.name, entry.label());
    let error =
        |location, message, hint| Err(Problem::error(ProblemKind::InvalidSource, location, message, hint));
    match (entry.merged.get("source_profile"), entry.merged.get("credential_source")) {
        (Some(profile), None) => Ok(NamedSource::Profile(profile)),
        (None, Some(source)) => match source.value.as_str() {
            "Environment" => Ok(NamedSource::Machine(AmbientSource::Environment)),
            "Ec2InstanceMetadata" => Ok(NamedSource::Machine(AmbientSource::Ec2InstanceMetadata)),
            "EcsContainer" => Ok(NamedSource::Machine(AmbientSource::EcsContainer)),
            other => {
                let message =
                    format!("`credential_source` of profile `{name}` is `{other}`, which does not exist");
                let hint = match nearest(other, SOURCES) {
                    Some(meant) => format!("write `credential_source = {meant}` in `{label}`"),
                    None => format!("there are {}", quoted_list(SOURCES, MAX_LISTED)),
                };
                error(&source.location, message, hint)
            }
        },
        (Some(profile), Some(source)) => {
            let message = format!("profile `{name}` has both `source_profile` and `credential_source`");
            let hint = format!("delete one of the two from `{label}`");
            let lines = vec![
                Excerpt::setting("source_profile", profile),
                Excerpt::setting("credential_source", source),
            ];
            error(&source.location, message, hint).map_err(|problem| problem.showing(lines))
        }
        (None, None) => {
            let message = format!(
                "profile `{name}` has `role_arn` but neither `source_profile` nor `credential_source`"
            );
            let hint = match meant_as(&entry.merged, "source_profile") {
                Some(key) => format!("rename `{key}` to `source_profile` in `{label}`"),
                None => {
                    format!("add `source_profile = NAME` to `{label}`: the profile that may assume the role")
                }
            };
            let at =
                entry.merged.get("role_arn").map_or_else(|| entry.location(), |role| role.location.clone());
            let cure = meant_as(&entry.merged, "source_profile")
                .and_then(|key| renaming(&entry.merged, key, "source_profile"));
            error(&at, message, hint).map_err(|problem| problem.cured_by(cure))
        }
    }
}

/// Lists the providers that a profile has keys for, in botocore's order, each with its key.
fn providers(entry: &ProfileEntry, as_source: bool) -> Vec<(Provider, &'static str, &Setting)> {
    const KEY_ID: &str = "aws_access_key_id";
    let merged = |key| entry.merged.get(key);
    let token_file = merged("web_identity_token_file");
    let role = merged("role_arn").filter(|_| token_file.is_none() && !(as_source && has_key(entry)));
    let (account, role_name) = (merged("sso_account_id"), merged("sso_role_name"));
    let sso_key = if account.is_some() { "sso_account_id" } else { "sso_role_name" };
    [
        (Provider::AssumeRole, "role_arn", role),
        (Provider::WebIdentity, "web_identity_token_file", token_file.filter(|file| !file.value.is_empty())),
        (Provider::Sso, sso_key, account.or(role_name)),
        (
            Provider::KeysInCredentials,
            KEY_ID,
            entry.credentials.as_ref().and_then(|group| group.settings.get(KEY_ID)),
        ),
        (Provider::Login, "login_session", merged("login_session")),
        (Provider::Process, "credential_process", merged("credential_process")),
        (Provider::KeysInConfig, KEY_ID, entry.config.as_ref().and_then(|group| group.settings.get(KEY_ID))),
    ]
    .into_iter()
    .filter_map(|(provider, key, setting)| Some((provider, key, setting?)))
    .collect()
}

/// Returns whether botocore takes the profile for one with keys of its own.
fn has_key(entry: &ProfileEntry) -> bool {
    ["aws_access_key_id", "aws_secret_access_key"].into_iter().any(|key| entry.merged.get(key).is_some())
}

/// Returns the problem of a profile whose `source_profile` leads to `cause`, a problem of profile `root`.
fn below_problem(name: &str, named: &Setting, root: &str, cause: &Problem) -> Problem {
    let location = named.location.clone();
    // A circle's message names the whole path already.
    if cause.kind == ProblemKind::SourceLoop {
        return Problem { location, ..cause.clone() };
    }
    let message =
        format!("profile `{name}` rests on profile `{root}`, which cannot be used: {}", cause.message);
    let lines = vec![
        Excerpt::setting("source_profile", named),
        Excerpt { location: cause.location.clone(), text: format!("profile `{root}`") },
    ];
    Problem { kind: ProblemKind::UnusableSource, message, location, ..cause.clone() }.showing(lines)
}

fn circle_problem(path: &[&ProfileEntry], source: &ProfileEntry, location: &Location) -> Problem {
    let first = &path[0].name;
    if path.len() > MAX_CHAIN {
        let message = format!(
            "the chain of `source_profile` that starts at profile `{first}` has more than {MAX_CHAIN} links"
        );
        let hint = "shorten the chain: credentials of a chained role live for an hour at most".to_owned();
        return Problem::error(ProblemKind::SourceLoop, location, message, hint);
    }
    let way: Vec<String> = path.iter().chain([&source]).map(|entry| format!("`{}`", entry.name)).collect();
    let message = format!("the `source_profile` of profile `{first}` leads in a circle: {}", way.join(" → "));
    let hint = "let one of them name a profile with keys or single sign-on".to_owned();
    let lines = path
        .iter()
        .filter_map(|entry| Some(Excerpt::setting("source_profile", entry.merged.get("source_profile")?)));
    Problem::error(ProblemKind::SourceLoop, location, message, hint).showing(lines.collect())
}

/// Reads `role_arn`, which may be missing.
fn role_arn(entry: &ProfileEntry, problems: &mut Vec<Problem>) -> Option<RoleArn> {
    let setting = entry.merged.get("role_arn")?;
    let role = RoleArn::parse(&setting.value);
    if role.is_none() {
        let message =
            format!("`role_arn` of profile `{}` is not the ARN of a role: `{}`", entry.name, setting.value);
        let hint = format!("write `role_arn = arn:aws:iam::ACCOUNT:role/NAME` in `{}`", entry.label());
        // botocore sends every ARN that is long enough, and leaves it to STS to refuse it.
        let problem = if setting.value.chars().count() < SHORTEST_ARN {
            Problem::error(ProblemKind::InvalidRoleArn, &setting.location, message, hint)
        } else {
            Problem::warning(ProblemKind::InvalidRoleArn, &setting.location, message, hint).blocking()
        };
        problems.push(problem);
    }
    role
}

fn web_identity(entry: &ProfileEntry, problems: &mut Vec<Problem>) -> Option<CredentialSource> {
    let file = entry.merged.get("web_identity_token_file")?;
    if entry.merged.value("role_arn").is_none_or(str::is_empty) {
        let message = format!("profile `{}` has `web_identity_token_file` but no `role_arn`", entry.name);
        let hint = format!("add `role_arn = arn:aws:iam::ACCOUNT:role/NAME` to `{}`", entry.label());
        problems.push(Problem::error(ProblemKind::IncompleteWebIdentity, &file.location, message, hint));
        return None;
    }
    Some(CredentialSource::WebIdentity(WebIdentity {
        role: role_arn(entry, problems)?,
        token_file: file.value.clone().into(),
        role_session_name: entry.merged.value("role_session_name").map(str::to_owned),
    }))
}

/// Reads the keys of one file: botocore doesn't look for half a pair in the other.
fn static_keys(
    entry: &ProfileEntry,
    group: Option<&SectionGroup>,
    problems: &mut Vec<Problem>,
) -> Option<CredentialSource> {
    let group = group?;
    let key_id = group.settings.get("aws_access_key_id")?;
    let Some(secret) = group.settings.get("aws_secret_access_key") else {
        let elsewhere = match entry.merged.get("aws_secret_access_key") {
            Some(_) => "; the one in the other file does not count",
            None => "",
        };
        let message =
            format!("`{}` has `aws_access_key_id` but no `aws_secret_access_key`{elsewhere}", group.label);
        let hint = format!("add `aws_secret_access_key` below `{}`, or delete the half pair", group.label);
        problems.push(Problem::error(ProblemKind::HalfKeyPair, &key_id.location, message, hint));
        return None;
    };
    for (key, setting) in [("aws_access_key_id", key_id), ("aws_secret_access_key", secret)] {
        if setting.value.is_empty() {
            let message = format!("`{key}` in `{}` is empty", group.label);
            let hint = format!("fill in or delete the keys of `{}`", group.label);
            let problem = Problem::warning(ProblemKind::HalfKeyPair, &setting.location, message, hint);
            problems.push(problem.blocking());
        }
    }
    let token = group.settings.value("aws_security_token").or(group.settings.value("aws_session_token"));
    Some(CredentialSource::Static(StaticKeys {
        access_key_id: key_id.value.clone(),
        secret_access_key: Secret::new(&secret.value),
        session_token: token.map(Secret::new),
    }))
}

fn process(entry: &ProfileEntry, problems: &mut Vec<Problem>) -> Option<CredentialSource> {
    let command = entry.merged.get("credential_process")?;
    // The rules of quoting are Unix's.
    let words = shlex::split(&command.value);
    if command.value.trim().is_empty() || (cfg!(unix) && words.is_none_or(|words| words.is_empty())) {
        let message = format!("`credential_process` of profile `{}` is no command line", entry.name);
        let hint = format!("write a program and its arguments in `{}`, and close each quote", entry.label());
        problems.push(Problem::error(ProblemKind::InvalidValue, &command.location, message, hint));
        return None;
    }
    Some(CredentialSource::Process { command: Secret::new(&command.value) })
}
