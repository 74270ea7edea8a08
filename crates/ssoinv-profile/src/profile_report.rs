//! A profile as `ssoinv profiles -o json` prints it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::credential_source::ProfileKind;
use crate::problem::{Problem, ProblemSeverity};
use crate::profile::Profile;

/// One profile, without its secrets. Scripts read the fields: only append.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileReport {
    /// The profile's name.
    pub name: String,
    /// The kind.
    pub kind: ProfileKind,
    /// The start of its section.
    pub source: SourceReport,
    /// The account, if the files name it.
    pub account_id: Option<String>,
    /// The role's name.
    pub role_name: Option<String>,
    /// The sso-session that it names.
    pub sso_session: Option<String>,
    /// The region of the Identity Center.
    pub sso_region: Option<String>,
    /// The region to work in.
    pub region: Option<String>,
    /// The keys and values, merged from both files, with secrets as `***`.
    pub settings: BTreeMap<String, String>,
    /// Its problems.
    pub problems: Vec<ProblemReport>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// The file's path.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemReport {
    /// `error` if botocore refuses the profile.
    pub severity: ProblemSeverity,
    /// The problem.
    pub message: String,
    /// The advice.
    pub hint: String,
    /// The file to look at.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
}

impl From<&Profile> for ProfileReport {
    fn from(profile: &Profile) -> Self {
        Self {
            name: profile.name.clone(),
            kind: profile.kind,
            source: SourceReport {
                file: profile.source.file.to_string_lossy().into_owned(),
                line: profile.source.line,
            },
            account_id: profile.account_id.map(|id| id.to_string()),
            role_name: profile.role_name.clone(),
            sso_session: profile.sso_session.clone(),
            sso_region: profile.sso_region.clone(),
            region: profile.region.clone(),
            settings: profile.settings.masked(),
            problems: profile.problems.iter().map(ProblemReport::from).collect(),
        }
    }
}

impl From<&Problem> for ProblemReport {
    fn from(problem: &Problem) -> Self {
        Self {
            severity: problem.severity,
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            file: problem.location.file.to_string_lossy().into_owned(),
            line: problem.location.line,
        }
    }
}
