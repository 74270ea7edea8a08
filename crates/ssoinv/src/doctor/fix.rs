//! `doctor --fix`: the edits that cure diagnoses, as a diff for `patch -d / -p1`.
//!
//! Writes no file and invents no value: an edit deletes a duplicate, or inserts a value from the files or from AWS's
//! documentation. A line that may hold a secret is neither changed nor shown.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use ssoinv_profile::Profiles;
use ssoinv_profile::config_edit::{FileEdit, LineEdit, apply, may_be_secret, unified_diff};

use super::step::StepResult;

/// The texts of the files. Line numbers of edits refer to them.
#[derive(Debug)]
pub(crate) struct Texts(BTreeMap<PathBuf, String>);

impl Texts {
    /// Reads the profile files. A file that can't be read any more isn't changed.
    pub(crate) fn of(profiles: &Profiles) -> Self {
        let found = profiles.looked_at().iter().filter(|file| file.found);
        Self(
            found
                .filter_map(|file| Some((file.path.clone(), fs::read_to_string(&file.path).ok()?)))
                .collect(),
        )
    }

    /// Returns whether an edit may be shown: its line exists and holds nothing that looks like a secret.
    fn shows(&self, edit: &FileEdit) -> bool {
        let line =
            self.0.get(&*edit.file).and_then(|text| text.split('\n').nth(edit.edit.line.checked_sub(1)?));
        line.is_some_and(|line| !may_be_secret(line))
    }

    /// Removes the edits of diagnoses that would show a secret.
    pub(crate) fn leave_out_secrets(&self, results: &mut [StepResult]) {
        for diagnosis in results.iter_mut().flat_map(|result| &mut result.diagnoses) {
            // Half of the edits cure nothing.
            if !diagnosis.edits.iter().all(|edit| self.shows(edit)) {
                diagnosis.edits.clear();
            }
        }
    }

    /// Returns the diff; empty if there are no edits.
    pub(crate) fn diff(&self, results: &[StepResult]) -> String {
        let mut edits: BTreeMap<&Path, Vec<LineEdit>> = BTreeMap::new();
        for edit in results.iter().flat_map(|result| &result.diagnoses).flat_map(|diagnosis| &diagnosis.edits)
        {
            let edits = edits.entry(&edit.file).or_default();
            // A problem of an sso-session appears in each of its profiles, and is cured once.
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

/// Returns a file's real path without the root. `patch` changes no file through a symbolic link.
fn below_root(file: &Path) -> String {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let parts = real.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
