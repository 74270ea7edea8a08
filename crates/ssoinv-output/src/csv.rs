//! CSV: RFC 4180's quoting, UTF-8, LF, a header also where there are no rows.
//!
//! Null is empty and the empty text is `""`, which is why the quoting is done here: no CSV writer tells them apart. Only
//! a row of nothing but one null is `""` too, since readers pass over empty lines.
//!
//! For spreadsheets (`--spreadsheet`): a byte order mark, so that Excel reads UTF-8; CRLF; texts that would be formulas
//! get a leading `'` (OWASP, "CSV injection"); and texts of digits that a spreadsheet would take for a number and change
//! (an account ID's leading zeros, more digits than a number holds) are written as the formula `="001122334455"`. Excel
//! shows that as the bare text and LibreOffice as well where it evaluates formulas; where it doesn't it keeps the cell as
//! text. Quoting alone keeps no zero in either, and a leading `'` or tab stays part of the value for every look-up.

use std::borrow::Cow;

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use crate::cell::Column;
use crate::error::OutputError;
use crate::sanitize::sanitize;
use crate::sink::{Options, Sink};

/// Numbers with more digits are shown as powers of ten by Excel.
const DIGITS_SHOWN: usize = 11;

pub(crate) struct CsvSink {
    options: Options,
}

impl CsvSink {
    pub(crate) fn new(options: Options) -> Self {
        Self { options }
    }

    fn end_row(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.options.spreadsheet { b"\r\n" } else { b"\n" });
    }

    /// Writes an untrusted text as this kind of CSV allows it.
    fn made_safe<'a>(&self, text: Cow<'a, str>) -> Cow<'a, str> {
        let text = if self.options.terminal { Cow::Owned(sanitize(&text).into_owned()) } else { text };
        if !self.options.spreadsheet {
            text
        } else if would_change(&text) {
            Cow::Owned(format!("=\"{text}\""))
        } else if would_calculate(&text) {
            Cow::Owned(format!("'{text}"))
        } else {
            text
        }
    }
}

impl Sink for CsvSink {
    fn begin(&mut self, out: &mut Vec<u8>, several: bool) {
        debug_assert!(!several, "`Output` refuses several tables in one place");
        if self.options.spreadsheet {
            out.extend_from_slice("\u{feff}".as_bytes());
        }
    }

    fn begin_table(&mut self, out: &mut Vec<u8>, _name: &str, schema: &Schema) {
        if self.options.header {
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                field_text(out, &self.made_safe(Cow::Borrowed(field.name())));
            }
            self.end_row(out);
        }
    }

    fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), OutputError> {
        let columns = Column::all(batch)?;
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                match column.text(row) {
                    Some(text) if column.is_text() => field_text(out, &self.made_safe(text)),
                    Some(text) => field_text(out, &text),
                    None if columns.len() == 1 => out.extend_from_slice(b"\"\""),
                    None => {}
                }
            }
            self.end_row(out);
        }
        Ok(())
    }

    fn end_table(&mut self, _out: &mut Vec<u8>) {}

    fn end(&mut self, _out: &mut Vec<u8>) {}
}

/// Appends one field, in quotes where it needs them. Byte by byte: fields are short, and JSON is full of quotes.
fn field_text(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    if !rest.is_empty() && !rest.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(rest);
        return;
    }
    out.push(b'"');
    while let Some(at) = rest.iter().position(|byte| *byte == b'"') {
        let (part, after) = rest.split_at(at + 1);
        out.extend_from_slice(part);
        out.push(b'"');
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Whether a spreadsheet would take the text for a formula: by its first character, white space and what can't be seen
/// aside. The wide forms count in East Asian settings.
fn would_calculate(text: &str) -> bool {
    let unseen = |char: char| char.is_whitespace() || crate::sanitize::is_unsafe(char);
    text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(unseen)
            .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'])
}

/// Whether a spreadsheet would take the text for a number and show another one: `0012`, `123456789012`, `1.10`, `1e5`.
fn would_change(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !text.starts_with(|char: char| char.is_ascii_digit()) {
        return false;
    }
    if digits == text.len() {
        return digits > DIGITS_SHOWN || (digits > 1 && text.starts_with('0'));
    }
    text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sanitize::is_unsafe;
    use crate::testing::{HOSTILE, Thing, Written, batch, table, written};
    use crate::{Choice, Format, Output, Selection};

    const SPREADSHEET: Options = Options { header: true, terminal: false, width: None, spreadsheet: true };

    fn csv(options: Options, things: &[Thing<'_>]) -> String {
        written(Format::Csv, options, &[things])
    }

    /// The records behind the header, as an independent reader reads them.
    fn read(text: &str) -> Vec<Vec<String>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = ::csv::ReaderBuilder::new().has_headers(true).from_reader(text.as_bytes());
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn each_type_has_its_form() {
        let thing = Thing {
            arn: Some("arn:aws:s3:::a"),
            name: Some(""),
            size: Some(-5),
            public: Some(false),
            created: Some(1_767_323_045_120),
            tags: Some(r#"{"A":"x, y"}"#),
        };
        assert_eq!(
            csv(Options::default(), &[thing, Thing::default()]),
            "arn,name,size,public,created,tags\n\
             arn:aws:s3:::a,\"\",-5,false,2026-01-02T03:04:05.120Z,\"{\"\"A\"\":\"\"x, y\"\"}\"\n\
             ,,,,,\n"
        );
    }

    #[test]
    fn there_is_a_header_also_without_rows() {
        let header = "arn,name,size,public,created,tags";
        assert_eq!(csv(Options::default(), &[]), format!("{header}\n"));
        assert_eq!(csv(SPREADSHEET, &[]), format!("\u{feff}{header}\r\n"));
        assert_eq!(csv(Options { header: false, ..Options::default() }, &[]), "");
        let thing = Thing { name: Some("a"), ..Thing::default() };
        assert_eq!(csv(Options { header: false, ..Options::default() }, &[thing]), ",a,,,,\n");
    }

    #[test]
    fn a_row_of_one_null_is_still_a_row() {
        let tables = Selection::of(&[table().schema], Choice::Named(&["name".to_owned()])).unwrap();
        let written = Written::default();
        let mut output = Output::begin(Format::Csv, Options::default(), tables, written.one()).unwrap();
        output.write(0, &batch(&[Thing::default(), Thing { name: Some("a"), ..Thing::default() }])).unwrap();
        assert_eq!(written.text(), "name\n\"\"\na\n");
        assert_eq!(read(&written.text()).len(), 2);
    }

    #[test]
    fn hostile_texts_come_back_as_they_were() {
        for text in HOSTILE {
            let tags = serde_json::to_string(text).unwrap();
            let thing = Thing { arn: Some("x"), name: Some(text), tags: Some(&tags), ..Thing::default() };
            let records = read(&csv(Options::default(), &[thing]));
            assert_eq!(records.len(), 1);
            assert_eq!(records[0][1], *text);
            assert_eq!(records[0][5], tags, "a JSON column's string keeps its quotes");
        }
    }

    #[test]
    fn a_terminal_gets_nothing_raw() {
        let options = Options { terminal: true, ..Options::default() };
        for text in HOSTILE {
            let thing = Thing { arn: Some("x"), name: Some(text), ..Thing::default() };
            let text = csv(options, &[thing]);
            assert_eq!(text.lines().count(), 2);
            assert!(!text.lines().any(|line| line.contains(is_unsafe)), "{text}");
        }
    }

    #[test]
    fn spreadsheets_calculate_nothing() {
        let formulas = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            " =1",
            "\n",
            "\u{ff1d}1",
            "\u{200b}=1",
            "\u{feff}=1",
            "-",
        ];
        for text in formulas {
            let thing = Thing { name: Some(text), size: Some(-5), tags: Some("-7"), ..Thing::default() };
            let records = read(&csv(SPREADSHEET, &[thing]));
            assert_eq!(records[0][1], format!("'{text}"));
            assert_eq!(records[0][2], "-5", "a number of ours is a number");
            assert_eq!(records[0][5], "'-7");
        }
        for text in ["a=1", "1-2", "", "'=1", "arn:aws", "{\"a\":\"=1\"}", "ü"] {
            let thing = Thing { name: Some(text), ..Thing::default() };
            assert_eq!(read(&csv(SPREADSHEET, &[thing]))[0][1], text);
        }
    }

    #[test]
    fn spreadsheets_keep_digits() {
        let kept = ["001122334455", "123456789012", "00", "1.10", "1e5", "12E-3"];
        for text in kept {
            let thing = Thing { name: Some(text), ..Thing::default() };
            let written = csv(SPREADSHEET, &[thing]);
            assert!(written.ends_with(&format!("\r\n,\"=\"\"{text}\"\"\",,,,\r\n")), "{written:?}");
        }
        for text in ["0", "12", "12345678901", "i-0123", "1.2.3", "2026-01-02", "12e"] {
            let thing = Thing { name: Some(text), ..Thing::default() };
            assert_eq!(read(&csv(SPREADSHEET, &[thing]))[0][1], text);
        }
        assert!(!csv(Options::default(), &[Thing { name: Some("007"), ..Thing::default() }]).contains('='));
    }

    #[test]
    fn a_header_is_no_formula_either() {
        let tables = Selection::of(&[table().schema], Choice::Named(&["tags.x".to_owned()])).unwrap();
        let written = Written::default();
        Output::begin(Format::Csv, SPREADSHEET, tables, written.one()).unwrap().finish().unwrap();
        assert_eq!(written.text(), "\u{feff}tags.x\r\n");
        let schema = arrow_schema::Schema::new(vec![arrow_schema::Field::new(
            "=x()",
            arrow_schema::DataType::Utf8,
            true,
        )]);
        let mut out = Vec::new();
        CsvSink::new(SPREADSHEET).begin_table(&mut out, "t", &schema);
        assert_eq!(out, b"'=x()\r\n");
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: String, spreadsheet: bool) {
            let options = Options { spreadsheet, ..Options::default() };
            let thing = Thing { arn: Some("x"), name: Some(&text), ..Thing::default() };
            let records = read(&csv(options, &[thing]));
            prop_assert_eq!(records.len(), 1);
            let cell = records[0][1].as_str();
            let bare = cell.strip_prefix("=\"").and_then(|cell| cell.strip_suffix('"'));
            let back = if cell == text { cell } else { bare.or(cell.strip_prefix('\'')).unwrap_or(cell) };
            prop_assert_eq!(back, &text);
            if spreadsheet && cell.starts_with('=') {
                prop_assert!(bare.is_some_and(|digits| digits.starts_with(|first: char| first.is_ascii_digit())));
            }
        }
    }
}
