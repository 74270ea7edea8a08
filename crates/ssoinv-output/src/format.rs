//! The registry of formats: names, file endings, sinks.

use crate::sink::{Options, Sink};
use crate::{csv, json, ndjson, table};

/// A format of rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// For people: aligned columns.
    Table,
    /// Comma-separated values, RFC 4180 with LF.
    Csv,
    /// One array of objects; of several tables an object of arrays.
    Json,
    /// One object a line.
    Ndjson,
}

impl Format {
    /// All formats, in the order of help texts.
    pub const ALL: [Self; 4] = [Self::Table, Self::Csv, Self::Json, Self::Ndjson];

    /// Returns the name, as `-o` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }

    /// Returns the format with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Returns the format of a file's ending, given without the dot, in any case.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// Makes the sink that writes the format.
    #[must_use]
    pub fn sink(self, options: Options) -> Box<dyn Sink> {
        match self {
            Self::Table => Box::new(table::TableSink::new(options)),
            Self::Csv => Box::new(csv::CsvSink::new(options)),
            Self::Json => Box::new(json::JsonSink::new(options)),
            Self::Ndjson => Box::new(ndjson::NdjsonSink::new(options)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_name_and_by_ending() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
        assert_eq!(Format::from_name("CSV"), None);
        assert_eq!(Format::from_extension("JSONL"), Some(Format::Ndjson));
        assert_eq!(Format::from_extension("Csv"), Some(Format::Csv));
        assert_eq!(Format::from_extension("table"), None);
    }
}
