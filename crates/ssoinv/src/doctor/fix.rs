//! The changes to the files that cure what was found, as a diff that `patch -d / -p1` applies.
//!
//! Nothing is written here, and no value is made up: a change deletes what is said twice, or writes what stands somewhere
//! else or in AWS's documentation. A line that may hold a secret is neither changed nor shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use ssoinv_profile::Profiles;
use ssoinv_profile::config_edit::{FileEdit, LineEdit, apply, may_be_secret, unified_diff};

use super::step::StepResult;

/// The files as they were when they were read: line numbers are theirs.
#[derive(Debug)]
pub(crate) struct Texts(BTreeMap<PathBuf, String>);

impl Texts {
    /// Reads the files that the profiles came from. One that can't be read any more isn't changed.
    pub(crate) fn of(profiles: &Profiles) -> Self {
        let found = profiles.looked_at().iter().filter(|file| file.found);
        Self(
            found
                .filter_map(|file| Some((file.path.clone(), fs::read_to_string(&file.path).ok()?)))
                .collect(),
        )
    }

    /// Whether a change may be shown: its line is there, and holds nothing that looks like a secret.
    fn shows(&self, edit: &FileEdit) -> bool {
        let line =
            self.0.get(&*edit.file).and_then(|text| text.split('\n').nth(edit.edit.line.checked_sub(1)?));
        line.is_some_and(|line| !may_be_secret(line))
    }

    /// Takes away cures that would show a secret, so that what is left can be offered.
    pub(crate) fn leave_out_secrets(&self, results: &mut [StepResult]) {
        for diagnosis in results.iter_mut().flat_map(|result| &mut result.diagnoses) {
            // Half a cure is none.
            if !diagnosis.edits.iter().all(|edit| self.shows(edit)) {
                diagnosis.edits.clear();
            }
        }
    }

    /// The diff; empty where nothing is to be changed.
    pub(crate) fn diff(&self, results: &[StepResult]) -> String {
        let mut edits: BTreeMap<&Path, Vec<LineEdit>> = BTreeMap::new();
        for edit in results.iter().flat_map(|result| &result.diagnoses).flat_map(|diagnosis| &diagnosis.edits)
        {
            let edits = edits.entry(&edit.file).or_default();
            // What is wrong with an sso-session is wrong with each of its profiles, and cured once.
            if !edits.contains(&edit.edit) {
                edits.push(edit.edit.clone());
            }
        }
        let diff_of = |(file, edits): (&Path, Vec<LineEdit>)| {
            let text = self.0.get(file)?;
            Some(unified_diff(&below_root(file), text, &apply(text, &edits)))
        };
        edits.into_iter().filter_map(diff_of).collect()
    }
}

/// A file's path below the root, behind its symlinks: `patch` changes no file through one.
fn below_root(file: &Path) -> String {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let parts = real.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
