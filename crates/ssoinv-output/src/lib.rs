//! Writes record batches as tables, CSV, JSON and NDJSON.
//!
//! Each format is a [`Sink`] that appends to a buffer; [`Format`] lists them. An [`Output`] puts selected columns
//! ([`columns`]), a sink and a [`Destination`] together; [`target`] opens the files of `--out`. [`sanitize`] is for all
//! text that goes to a terminal, messages on stderr too.
//!
//! A new format is one file with a [`Sink`] and one line for each function of [`Format`].

mod cell;
pub mod columns;
mod csv;
pub mod error;
pub mod format;
mod json;
mod json_path;
mod ndjson;
pub mod output;
pub mod sanitize;
pub mod sink;
mod table;
pub mod target;
#[cfg(test)]
mod testing;

pub use columns::{Choice, ColumnError, Selection};
pub use error::OutputError;
pub use format::Format;
pub use output::{Destination, Output};
pub use sink::{Options, Sink};
pub use target::{Target, TargetError};
