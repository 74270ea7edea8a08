//! From the sections of the two files to named profiles, sso-sessions and services.
//!
//! Interprets headers, merges sections, and leaves out what AWS's tools leave out. The rules are those of the SDKs'
//! shared cases, and botocore's for names in quotes. Duplicates merge, as in the SDKs, with a warning, since Python's
//! configparser (so the AWS CLI) refuses the whole file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ssoinv_core::suggest::nearest;

use crate::aws_ini::{Property, Section};
use crate::config_edit::line_edit::Change;
use crate::location::Location;
use crate::problem::{Excerpt, Problem, ProblemKind};
use crate::settings::{Setting, Settings};

/// The two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Config,
    Credentials,
}

/// All sections of one name in one file.
#[derive(Debug, Clone)]
pub(crate) struct SectionGroup {
    /// The header as it is in the file: `[profile dev]`.
    pub(crate) label: String,
    /// The line of its first header.
    pub(crate) location: Location,
    pub(crate) settings: Settings,
    pub(crate) problems: Vec<Problem>,
}

/// A profile in the two files.
#[derive(Debug, Clone)]
pub(crate) struct ProfileEntry {
    pub(crate) name: String,
    pub(crate) config: Option<SectionGroup>,
    pub(crate) credentials: Option<SectionGroup>,
    /// Both merged: the credentials file wins.
    pub(crate) merged: Settings,
    /// Problems of ignored sections that would have been part of the profile.
    pub(crate) problems: Vec<Problem>,
}

impl ProfileEntry {
    /// Returns the section that the profile starts with, the config file's first.
    pub(crate) fn main(&self) -> Option<&SectionGroup> {
        self.config.as_ref().or(self.credentials.as_ref())
    }

    /// Returns the header of the section to write a config key to.
    pub(crate) fn label(&self) -> String {
        let quotes = |name: &str| if name.contains([' ', '\t']) { "\"" } else { "" };
        match &self.config {
            Some(group) => group.label.clone(),
            None if self.name == "default" => "[default]".to_owned(),
            None => format!("[profile {q}{}{q}]", self.name, q = quotes(&self.name)),
        }
    }

    /// Returns the start of the profile.
    pub(crate) fn location(&self) -> Location {
        self.main()
            .map_or_else(|| Location { file: Path::new("").into(), line: 0 }, |group| group.location.clone())
    }
}

/// The definitions in the two files.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProfileFiles {
    /// In file order: the config file's first, then those of the credentials file alone.
    pub(crate) profiles: Vec<ProfileEntry>,
    by_name: BTreeMap<String, usize>,
    pub(crate) sessions: BTreeMap<String, SectionGroup>,
    pub(crate) services: BTreeMap<String, SectionGroup>,
    /// Problems that concern no profile.
    pub(crate) problems: Vec<Problem>,
}

impl ProfileFiles {
    /// Interprets the sections of the two files.
    pub(crate) fn new(
        config: Option<(Arc<Path>, Vec<Section>)>,
        credentials: Option<(Arc<Path>, Vec<Section>)>,
    ) -> Self {
        let mut files = Self::default();
        let mut ignored = Vec::new();
        if let Some((path, sections)) = config {
            files.add(FileKind::Config, &path, sections, &mut ignored);
        }
        if let Some((path, sections)) = credentials {
            files.add(FileKind::Credentials, &path, sections, &mut ignored);
        }
        for (name, problem) in ignored {
            match name.and_then(|name| files.by_name.get(&name).copied()) {
                Some(index) => files.profiles[index].problems.push(problem),
                None => files.problems.push(problem),
            }
        }
        for entry in &mut files.profiles {
            for group in [&entry.config, &entry.credentials].into_iter().flatten() {
                entry.merged.extend_from(&group.settings);
            }
        }
        files
    }

    pub(crate) fn profile(&self, name: &str) -> Option<&ProfileEntry> {
        self.by_name.get(name).map(|index| &self.profiles[*index])
    }

    /// Adds a file's sections. Ignored ones go to `ignored`, with the name of the profile that was probably meant.
    fn add(
        &mut self,
        kind: FileKind,
        path: &Arc<Path>,
        sections: Vec<Section>,
        ignored: &mut Vec<(Option<String>, Problem)>,
    ) {
        let mut meanings: Vec<HeaderMeaning> = sections
            .iter()
            .map(|section| meaning(kind, &section.header, &|name| self.profile(name).is_some()))
            .collect();
        let prefixed = HeaderMeaning::Profile { name: "default".to_owned(), prefixed: true };
        if meanings.contains(&prefixed) {
            for meaning in &mut meanings {
                if matches!(meaning, HeaderMeaning::Profile { name, prefixed: false } if name == "default") {
                    *meaning = HeaderMeaning::Ignored {
                        profile: Some("default".to_owned()),
                        why: "`[profile default]` takes its place".to_owned(),
                        hint: "move its keys to `[profile default]`".to_owned(),
                        meant: None,
                    };
                }
            }
        }
        // Renaming a header to one that exists would create a duplicate.
        let mut headers: BTreeSet<String> = sections.iter().map(|section| section.header.clone()).collect();
        for (section, meaning) in sections.into_iter().zip(meanings) {
            let location = Location { file: Arc::clone(path), line: section.line };
            let slot = match meaning {
                HeaderMeaning::Profile { name, .. } => {
                    let index = *self.by_name.entry(name.clone()).or_insert_with(|| {
                        let problems = Vec::new();
                        let merged = Settings::default();
                        self.profiles.push(ProfileEntry {
                            name,
                            config: None,
                            credentials: None,
                            merged,
                            problems,
                        });
                        self.profiles.len() - 1
                    });
                    match kind {
                        FileKind::Config => &mut self.profiles[index].config,
                        FileKind::Credentials => &mut self.profiles[index].credentials,
                    }
                }
                HeaderMeaning::Session(name) => {
                    add_to_map(&mut self.sessions, name, location, section);
                    continue;
                }
                HeaderMeaning::Services(name) => {
                    add_to_map(&mut self.services, name, location, section);
                    continue;
                }
                HeaderMeaning::Foreign => continue,
                HeaderMeaning::Ignored { profile, why, hint, meant } => {
                    let message = format!("section `[{}]` is ignored: {why}", section.header);
                    let cure = meant
                        .filter(|meant| headers.insert(meant.clone()))
                        .map(|meant| location.edit(Change::RenameSection(meant)));
                    let problem = Problem::warning(ProblemKind::IgnoredSection, &location, message, hint);
                    ignored.push((profile, problem.cured_by(cure)));
                    continue;
                }
            };
            match slot {
                Some(group) => group.add_again(&location, section),
                None => *slot = Some(SectionGroup::new(location, section)),
            }
        }
    }
}

fn add_to_map(map: &mut BTreeMap<String, SectionGroup>, name: String, location: Location, section: Section) {
    match map.get_mut(&name) {
        Some(group) => group.add_again(&location, section),
        None => {
            map.insert(name, SectionGroup::new(location, section));
        }
    }
}

impl SectionGroup {
    fn new(location: Location, section: Section) -> Self {
        let mut group = Self {
            label: format!("[{}]", section.header),
            location,
            settings: Settings::default(),
            problems: Vec::new(),
        };
        group.add_properties(section.properties);
        group
    }

    fn add_again(&mut self, location: &Location, section: Section) {
        let label = format!("[{}]", section.header);
        let message =
            format!("`{label}` is there twice; the two are merged, but the AWS CLI refuses the whole file");
        let hint = format!("move the keys of the second `{label}` to the first");
        let shown = vec![
            Excerpt { location: self.location.clone(), text: self.label.clone() },
            Excerpt { location: location.clone(), text: label },
        ];
        self.problems.push(Problem::warning(ProblemKind::Duplicate, location, message, hint).showing(shown));
        self.add_properties(section.properties);
    }

    fn add_properties(&mut self, properties: Vec<Property>) {
        for property in properties {
            let Property { key, value, lines, commented } = property;
            let location = Location { file: Arc::clone(&self.location.file), line: lines[0] };
            let label = &self.label;
            if !is_identifier(&key) {
                // The text isn't quoted: with a `:` for the `=` it would contain the value.
                let message =
                    format!("a line of `{label}` is ignored: what stands before its `=` is not a key");
                let hint = "write the line as `key = value`; keys have no spaces".to_owned();
                self.problems.push(Problem::warning(ProblemKind::MisspeltKey, &location, message, hint));
                continue;
            }
            if commented {
                let message =
                    format!("the AWS CLI takes the comment behind `{key}` in `{label}` as part of the value");
                let hint = "put the comment on a line of its own".to_owned();
                let problem = Problem::warning(ProblemKind::CommentInValue, &location, message, hint);
                self.problems.push(problem.cured_by([location.edit(Change::MoveComment)]));
            }
            let setting = Setting { value, location: location.clone(), lines };
            if let Some(earlier) = self.settings.insert(&key, setting) {
                let message = format!(
                    "`{key}` is there twice in `{label}`; the last counts, but the AWS CLI refuses the whole file"
                );
                let hint = format!("delete one of the two `{key}`");
                // The value that counts stays.
                let cure: Vec<_> = earlier.deletion().collect();
                let shown = vec![
                    Excerpt { location: earlier.location, text: key.clone() },
                    Excerpt { location: location.clone(), text: key },
                ];
                let problem = Problem::warning(ProblemKind::Duplicate, &location, message, hint);
                self.problems.push(problem.showing(shown).cured_by(cure));
            }
        }
    }
}

/// The meaning of a header.
#[derive(Debug, PartialEq, Eq)]
enum HeaderMeaning {
    Profile {
        name: String,
        prefixed: bool,
    },
    Session(String),
    Services(String),
    /// A section of another tool, or an old one of the AWS CLI.
    Foreign,
    Ignored {
        /// The profile that was probably meant.
        profile: Option<String>,
        why: String,
        hint: String,
        /// The header that was meant, if there is no doubt.
        meant: Option<String>,
    },
}

/// The words before a name in the config file.
const PREFIXES: [&str; 3] = ["profile", "sso-session", "services"];

/// Sections of the AWS CLI without a name.
const FOREIGN: [&str; 2] = ["plugins", "preview"];

/// The reason for which a section with such a name is ignored.
const NAME: &str = "its name has characters that AWS's tools don't take";

fn meaning(kind: FileKind, header: &str, is_profile: &dyn Fn(&str) -> bool) -> HeaderMeaning {
    let quoted = header.contains(['"', '\'', '\\']);
    let words: Vec<String> = if quoted {
        shlex::split(header).unwrap_or_default()
    } else {
        header.splitn(2, [' ', '\t']).map(|word| word.trim_matches([' ', '\t']).to_owned()).collect()
    };
    let ignored = |profile: Option<&str>, why: &str, hint: String| HeaderMeaning::Ignored {
        profile: profile.map(str::to_owned),
        why: why.to_owned(),
        hint,
        meant: None,
    };
    let valid = |name: &str| {
        if quoted { !name.trim().is_empty() && !name.contains(char::is_control) } else { is_identifier(name) }
    };
    let instead = |profile: Option<&str>, why: &str, meant: String, sure: bool| HeaderMeaning::Ignored {
        profile: profile.map(str::to_owned),
        why: why.to_owned(),
        hint: format!("write `[{meant}]`"),
        meant: Some(meant).filter(|_| sure),
    };
    match (kind, words.as_slice()) {
        (FileKind::Config, [prefix, name]) if PREFIXES.contains(&prefix.as_str()) => {
            if !valid(name) {
                let hint = match (prefix.as_str(), !quoted && name.contains([' ', '\t'])) {
                    (prefix, true) => format!("put the name in quotes, `[{prefix} \"{name}\"]`, or write it without spaces"),
                    (prefix, false) => {
                        format!("name it with letters, digits and `-_./@:+%` only: `[{prefix} NAME]`")
                    }
                };
                return ignored(None, NAME, hint);
            }
            let name = name.clone();
            match prefix.as_str() {
                "profile" => HeaderMeaning::Profile { name, prefixed: true },
                "sso-session" => HeaderMeaning::Session(name),
                _ => HeaderMeaning::Services(name),
            }
        }
        (FileKind::Config, [name]) if name == "default" => {
            HeaderMeaning::Profile { name: name.clone(), prefixed: false }
        }
        (FileKind::Config, [name]) if FOREIGN.contains(&name.as_str()) => HeaderMeaning::Foreign,
        (FileKind::Config, [name]) => instead(
            Some(name),
            "in the config file a profile's header starts with `profile `",
            format!("profile {header}"),
            valid(name),
        ),
        (FileKind::Config, [prefix, name]) => match nearest(prefix, PREFIXES) {
            Some(meant) => instead(
                (meant == "profile").then_some(name),
                &format!("AWS's tools don't know `{prefix}`"),
                format!("{meant} {name}"),
                // A name in quotes would have to be written otherwise.
                is_identifier(name),
            ),
            None => ignored(
                None,
                "AWS's tools read `[profile NAME]`, `[sso-session NAME]` and `[services NAME]`",
                format!("write `[profile {name}]` if it is a profile"),
            ),
        },
        (FileKind::Config, _) => {
            ignored(None, NAME, "write `[profile NAME]`, with the name in quotes where it has spaces".to_owned())
        }
        (FileKind::Credentials, [name]) if !quoted && is_identifier(name) => {
            HeaderMeaning::Profile { name: name.clone(), prefixed: false }
        }
        (FileKind::Credentials, [prefix, name]) if PREFIXES.contains(&prefix.as_str()) => match prefix.as_str() {
            "profile" => instead(
                Some(name),
                "in the credentials file a profile's header is its name alone",
                name.clone(),
                is_identifier(name),
            ),
            _ => ignored(None, "it belongs in the config file", "move it to the config file".to_owned()),
        },
        // botocore takes the bare header as the name, so a profile in quotes can have its keys here.
        (FileKind::Credentials, _) if is_profile(header) => {
            HeaderMeaning::Profile { name: header.to_owned(), prefixed: false }
        }
        (FileKind::Credentials, _) => ignored(
            None,
            NAME,
            "name it with letters, digits and `-_./@:+%` only, or define `[profile \"NAME\"]` in the config file"
                .to_owned(),
        ),
    }
}

/// Returns whether a name is valid for AWS's tools.
///
/// The SDKs accept ASCII letters and digits and `_-/.%@:+`; botocore also letters, marks and digits of other scripts.
pub(crate) fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-/.%@:+".contains(c) || is_mark(c))
}

/// Returns whether a character is a mark, which Rust doesn't count as a letter.
///
/// Combining accents, and the marks of the scripts of India, Thailand, Laos, Myanmar and Cambodia.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{900}'..='\u{963}' | '\u{966}'..='\u{dff}' | '\u{e31}'..='\u{e4e}'
        | '\u{eb1}'..='\u{ece}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17d3}')
}
