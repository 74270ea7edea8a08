//! The lookups of a profile's resolution: the sections of both files, and the complete sso-sessions.
//!
//! The steps are methods of [`Resolver`] in modules of their own. `resolve` follows botocore's credential providers,
//! `sso` reads what single sign-on needs, and `check` finds the problems that depend on neither.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use ssoinv_core::suggest::nearest;

use crate::credential_source::SsoSession;
use crate::sections::ProfileFiles;

/// Resolves the profiles of two files.
pub(crate) struct Resolver<'a> {
    pub(crate) files: &'a ProfileFiles,
    pub(crate) sessions: &'a BTreeMap<String, Arc<SsoSession>>,
    /// The results of [`Self::nearest_profile`].
    meant: RefCell<BTreeMap<String, Option<String>>>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(files: &'a ProfileFiles, sessions: &'a BTreeMap<String, Arc<SsoSession>>) -> Self {
        Self { files, sessions, meant: RefCell::default() }
    }

    /// Returns the profile that was probably meant.
    ///
    /// Cached: if the common base of many profiles is missing, each of them asks for the same name.
    pub(crate) fn nearest_profile(&self, name: &str) -> Option<String> {
        let ask =
            || nearest(name, self.files.profiles.iter().map(|entry| entry.name.as_str())).map(str::to_owned);
        self.meant.borrow_mut().entry(name.to_owned()).or_insert_with(ask).clone()
    }
}
