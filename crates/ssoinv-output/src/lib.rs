//! Station 7: record batches become bytes. One [`Sink`] a format; what they write goes to a [`Destination`] that is
//! handed in, a file or stdout they don't know.
//!
//! [`columns`] says which columns are shown; [`Output`] puts selection, sink and destination together and is what the
//! binary holds; [`target`] opens the files of `--out`. [`sanitize`] is for everything that goes to a terminal,
//! stderr's talk too.
//!
//! A new format is one file with a [`Sink`] and one arm of [`Format`].

mod cell;
pub mod columns;
mod csv;
pub mod error;
mod json;
mod json_path;
mod ndjson;
pub mod output;
pub mod sanitize;
mod table;
pub mod target;
#[cfg(test)]
mod testing;

pub use columns::{Choice, ColumnError, Selection};
pub use error::OutputError;
pub use output::{Destination, Format, Options, Output, Sink};
pub use target::{Target, TargetError};
