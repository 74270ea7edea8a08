//! Errors in files of expectations, with the line of each.

use crate::account_file::{FileError, FileLine};

/// An error in a file of expectations.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExpectError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{at}: {error}")]
    Row { at: FileLine, error: RowError },
    #[error("`{file}` names no account and no gap")]
    Empty { file: String },
}

/// An error in a row.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    #[error("`{text}` is nothing that `expect` can be")]
    NoExpectation { text: String },
    #[error("`{column}` is said of no gap")]
    OnlyForGaps { column: &'static str },
    #[error("the gap has no `{column}`")]
    Missing { column: &'static str },
    #[error("the gap is in no account")]
    NoAccount,
    #[error("`{text}` is no pattern of account IDs")]
    NoIdPattern { text: String },
    #[error("`{text}` is no pattern: {reason}")]
    NoPattern { text: String, reason: String },
    #[error("`{text}` is not a day")]
    NoDay { text: String },
    #[error("`{text}` is not the name of a region")]
    NoRegion { text: String, hint: String },
    #[error("there is no table `{text}`")]
    NoTable { text: String, nearest: Option<&'static str> },
}

impl RowError {
    pub(super) fn hint(&self) -> String {
        match self {
            Self::NoExpectation { .. } => {
                "say `gap`, or nothing for an account that should be there".to_owned()
            }
            Self::OnlyForGaps { .. } => "say `gap` in `expect`, or leave it empty".to_owned(),
            Self::Missing { column: "until" } => {
                "say the last day on which it is expected, like `2027-03-31`".to_owned()
            }
            Self::Missing { .. } => "say why nobody need see what is there".to_owned(),
            Self::NoAccount => {
                "say an ID or a pattern in `account_id`, or a pattern in `name`; `*` is every account"
                    .to_owned()
            }
            Self::NoIdPattern { .. } => "a pattern of names goes into `name`".to_owned(),
            Self::NoPattern { .. } => "`*` stands for any text, `?` for one character".to_owned(),
            Self::NoDay { .. } => "write it like `2027-03-31`".to_owned(),
            Self::NoRegion { hint, .. } => hint.clone(),
            Self::NoTable { nearest: Some(near), .. } => format!("did you mean `{near}`?"),
            Self::NoTable { nearest: None, .. } => "`ssoinv tables` shows them".to_owned(),
        }
    }
}
