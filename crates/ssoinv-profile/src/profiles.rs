//! All profiles of the two files: reads them once and builds each [`Profile`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ssoinv_core::env::Env;
use ssoinv_core::suggest::nearest;

use crate::aws_ini::{self, Section, SyntaxErrorKind};
use crate::credential_source::{ProfileKind, SsoSession};
use crate::endpoints::{self, ConfiguredEndpoints};
use crate::location::Location;
use crate::names::RoleArn;
use crate::problem::Problem;
use crate::profile::Profile;
use crate::resolve::Resolution;
use crate::resolver::Resolver;
use crate::sections::{ProfileEntry, ProfileFiles, SectionGroup};
use crate::settings::Settings;
use crate::sso;

/// The reason for which the files can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A line that doesn't follow the format.
    #[error("{}:{line}: {what}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The error in the line.
        what: SyntaxErrorKind,
    },
    /// A file that exists but can't be read.
    #[error("cannot read `{}`", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl LoadError {
    /// Returns the file that the error is about.
    #[must_use]
    pub fn file(&self) -> &Path {
        match self {
            Self::Syntax { file, .. } | Self::Read { file, .. } => file,
        }
    }

    /// Returns the advice for the error.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Syntax { what, .. } => what.hint().to_owned(),
            Self::Read { .. } => {
                "make it readable, or name another file with `AWS_CONFIG_FILE` or `AWS_SHARED_CREDENTIALS_FILE`".to_owned()
            }
        }
    }
}

/// A profile file that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFile {
    /// Its path, with `~` expanded.
    pub path: PathBuf,
    /// True if the file exists.
    pub found: bool,
}

/// All profiles, in the order of the files.
///
/// The config file's come first, then those of the credentials file alone.
#[derive(Debug, Clone)]
pub struct Profiles {
    all: Vec<Profile>,
    by_name: BTreeMap<String, usize>,
    sessions: BTreeMap<String, Arc<SsoSession>>,
    session_settings: BTreeMap<String, (Settings, Location)>,
    file_problems: Vec<Problem>,
    looked_at: Vec<ProfileFile>,
}

impl Profiles {
    /// Reads both files.
    ///
    /// They are `~/.aws/config` and `~/.aws/credentials`, or those that `AWS_CONFIG_FILE` and
    /// `AWS_SHARED_CREDENTIALS_FILE` name. A file that doesn't exist is an empty one. Without a home directory, a
    /// path that needs it is skipped.
    pub fn load(home: Option<&Path>, env: &Env) -> Result<Self, LoadError> {
        let mut looked_at = Vec::new();
        let mut load = |path: Option<PathBuf>| -> Result<_, LoadError> {
            let Some(path) = path else { return Ok(None) };
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => Some(bytes),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
                {
                    None
                }
                Err(source) => return Err(LoadError::Read { file: path, source }),
            };
            looked_at.push(ProfileFile { path: path.clone(), found: bytes.is_some() });
            let Some(bytes) = bytes else { return Ok(None) };
            Ok(Some((Arc::from(path.as_path()), read(&path, &bytes)?)))
        };
        let config = load(config_file(home, env))?;
        let named = env.get("AWS_SHARED_CREDENTIALS_FILE").map_or("~/.aws/credentials", String::as_str);
        let credentials = load(expand_home(named, home))?;
        let mut profiles = Self::from_files(&ProfileFiles::new(config, credentials));
        profiles.looked_at = looked_at;
        Ok(profiles)
    }

    /// Reads the bytes of a config file alone, which came from `path`.
    pub(crate) fn of_config(path: &Path, bytes: &[u8]) -> Result<Self, LoadError> {
        Ok(Self::from_files(&ProfileFiles::new(Some((Arc::from(path), read(path, bytes)?)), None)))
    }

    fn from_files(files: &ProfileFiles) -> Self {
        let sessions = sso::sessions(files);
        let resolver = Resolver::new(files, &sessions);
        let profiles: Vec<Profile> = files.profiles.iter().map(|entry| profile(&resolver, entry)).collect();
        let by_name =
            profiles.iter().enumerate().map(|(index, profile)| (profile.name.clone(), index)).collect();
        // Problems of an sso-session are reported with the profiles that use it.
        let used = |name: &str| profiles.iter().any(|profile| profile.sso_session.as_deref() == Some(name));
        let unused = files.sessions.iter().filter(|(name, _)| !used(name)).map(|(_, group)| group);
        let of_groups = unused.chain(files.services.values()).flat_map(|group| &group.problems);
        let file_problems = files.problems.iter().chain(of_groups).cloned().collect();
        let section = |group: &SectionGroup| (group.settings.clone(), group.location.clone());
        let session_settings =
            files.sessions.iter().map(|(name, group)| (name.clone(), section(group))).collect();
        Self { all: profiles, by_name, sessions, session_settings, file_problems, looked_at: Vec::new() }
    }

    /// Iterates over all profiles.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Profile> {
        self.all.iter()
    }

    /// Returns the profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.by_name.get(name).map(|index| &self.all[*index])
    }

    /// Returns the name that was probably meant by one that doesn't exist.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.iter().map(|profile| profile.name.as_str()))
    }

    /// Returns the complete sso-sessions by name, used or not.
    #[must_use]
    pub fn sessions(&self) -> &BTreeMap<String, Arc<SsoSession>> {
        &self.sessions
    }

    /// Iterates over the keys and values of all sso-sessions by name, complete or not.
    pub fn session_settings(&self) -> impl Iterator<Item = (&str, &Settings)> {
        self.session_settings.iter().map(|(name, (settings, _))| (name.as_str(), settings))
    }

    /// Returns the keys and values of an sso-session, complete or not, and the start of its section.
    pub(crate) fn session_section(&self, name: &str) -> Option<(&Settings, &Location)> {
        self.session_settings.get(name).map(|(settings, location)| (settings, location))
    }

    /// Returns the problems of the files that concern no profile, such as sections that AWS's tools ignore.
    #[must_use]
    pub fn file_problems(&self) -> &[Problem] {
        &self.file_problems
    }

    /// Returns the files that were looked for.
    #[must_use]
    pub fn looked_at(&self) -> &[ProfileFile] {
        &self.looked_at
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Section>, LoadError> {
    aws_ini::read(bytes).map_err(|error| LoadError::Syntax {
        file: path.to_owned(),
        line: error.line,
        what: error.what,
    })
}

/// Returns the path of the config file, which needn't exist: `AWS_CONFIG_FILE`, else `~/.aws/config`.
///
/// None if the path needs a home and there is none.
#[must_use]
pub fn config_file(home: Option<&Path>, env: &Env) -> Option<PathBuf> {
    expand_home(env.get("AWS_CONFIG_FILE").map_or("~/.aws/config", String::as_str), home)
}

/// Expands a leading `~`. Returns none if that needs a home and there is none.
fn expand_home(path: &str, home: Option<&Path>) -> Option<PathBuf> {
    match path.strip_prefix('~') {
        Some("") => home.map(Path::to_owned),
        Some(rest) if rest.starts_with(std::path::is_separator) => {
            Some(home?.join(rest.trim_start_matches(std::path::is_separator)))
        }
        _ => Some(PathBuf::from(path)),
    }
}

fn profile(resolver: &Resolver<'_>, entry: &ProfileEntry) -> Profile {
    let settings = entry.merged.clone();
    let services = settings.value("services").and_then(|name| resolver.files.services.get(name));
    let endpoints = ConfiguredEndpoints::new(&settings, services);
    let Resolution { kind, credentials, mut problems, .. } = resolver.resolve(entry);
    problems.extend(resolver.check(entry, kind, &endpoints));
    let credentials_file = entry.credentials.as_ref().map(|group| Arc::clone(&group.location.file));
    problems.sort_by_key(|problem| {
        let second_file = Some(&problem.location.file) == credentials_file.as_ref();
        (problem.severity, second_file, problem.location.line)
    });

    let text = |key: &str| settings.value(key).filter(|value| !value.is_empty()).map(str::to_owned);
    let flag = |key: &str| settings.value(key).map(endpoints::is_true);
    let session = settings.value("sso_session").and_then(|name| resolver.files.sessions.get(name));
    let assumes = matches!(kind, ProfileKind::AssumeRole | ProfileKind::WebIdentity);
    let role_arn = settings.value("role_arn").filter(|_| assumes).and_then(RoleArn::parse);
    let (account_id, role_name) = match (&role_arn, kind) {
        (Some(role), _) => (Some(role.account_id), Some(role.name.clone())),
        (None, ProfileKind::SsoSession | ProfileKind::SsoLegacy) => {
            let of_sso = |key| text(key).or_else(|| session?.settings.value(key).map(str::to_owned));
            (of_sso("sso_account_id").and_then(|id| id.parse().ok()), of_sso("sso_role_name"))
        }
        _ => (None, None),
    };
    Profile {
        name: entry.name.clone(),
        source: entry.location(),
        kind,
        account_id,
        role_name,
        role_arn,
        sso_session: text("sso_session"),
        sso_region: text("sso_region").or_else(|| session?.settings.value("sso_region").map(str::to_owned)),
        region: text("region"),
        ca_bundle: text("ca_bundle").map(PathBuf::from),
        use_fips_endpoint: flag("use_fips_endpoint"),
        use_dualstack_endpoint: flag("use_dualstack_endpoint"),
        credentials,
        endpoints,
        settings,
        problems,
    }
}
