//! Changes to the AWS config file as text.
//!
//! [`apply`] makes [`LineEdit`]s, which cure problems ([`crate::Problem::edits`]). [`unified_diff`] shows the outcome
//! for `patch`, if no line of it [may be secret](may_be_secret). [`add_sso_session`] writes the file: it appends a
//! section.

mod add_sso_session;
pub(crate) mod line_edit;
#[cfg(test)]
mod testing;
mod unified_diff;

pub use self::add_sso_session::{
    Difference, EditError, EditOutcome, add_sso_session, has_sso_session, sso_session_block,
};
pub use self::line_edit::{Change, FileEdit, LineEdit, apply};
pub use self::unified_diff::{may_be_secret, unified_diff};
