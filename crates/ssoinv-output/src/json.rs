//! JSON: one array of objects, a row a line; of several tables an object with an array for each, those without rows too.
//!
//! Rows go from Arrow's arrays straight to bytes. JSON columns are copied as they are: their text was made by us, and is
//! valid.

use std::io::Write as _;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use ssoinv_core::json::rfc3339;

use crate::cell::{Cell, Column};
use crate::error::OutputError;
use crate::sanitize::is_unsafe;
use crate::sink::{Options, Sink};

pub(crate) struct JsonSink {
    terminal: bool,
    several: bool,
    /// Tables that have begun.
    tables: usize,
    /// Rows of the table so far.
    rows: usize,
    objects: Objects,
}

impl JsonSink {
    pub(crate) fn new(options: Options) -> Self {
        Self { terminal: options.terminal, several: false, tables: 0, rows: 0, objects: Objects::default() }
    }
}

impl Sink for JsonSink {
    fn begin(&mut self, out: &mut Vec<u8>, several: bool) {
        self.several = several;
        self.tables = 0;
        self.rows = 0;
        out.push(if several { b'{' } else { b'[' });
    }

    fn begin_table(&mut self, out: &mut Vec<u8>, name: &str, schema: &Schema) {
        self.objects = Objects::new(schema, None, self.terminal);
        self.rows = 0;
        if self.several {
            out.extend_from_slice(if self.tables > 0 { b",\n" } else { b"\n" });
            write_text(out, name, self.terminal);
            out.extend_from_slice(b": [");
        }
        self.tables += 1;
    }

    fn rows(&mut self, out: &mut Vec<u8>, batch: &RecordBatch) -> Result<(), OutputError> {
        let mut later = self.rows > 0;
        let before = |out: &mut Vec<u8>| {
            out.extend_from_slice(if later { b",\n" } else { b"\n" });
            later = true;
        };
        self.objects.write(out, batch, before, |_| {})?;
        self.rows += batch.num_rows();
        Ok(())
    }

    fn end_table(&mut self, out: &mut Vec<u8>) {
        if self.several {
            out.extend_from_slice(if self.rows > 0 { b"\n]" } else { b"]" });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.several, self.rows > 0) {
            (true, _) => b"\n}\n",
            (false, true) => b"\n]\n",
            (false, false) => b"]\n",
        });
    }
}

/// Writes rows as objects.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    /// What stands before each value: `{"name":`, `,"size":`.
    keys: Vec<Vec<u8>>,
    terminal: bool,
}

impl Objects {
    /// Objects with the members of `schema`, and first of all a member `table`, where its name is given.
    pub(crate) fn new(schema: &Schema, table: Option<&str>, terminal: bool) -> Self {
        let mut before = vec![b'{'];
        if let Some(table) = table {
            before.extend_from_slice(b"\"table\":");
            write_text(&mut before, table, terminal);
            before.push(b',');
        }
        let mut keys = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let mut key = std::mem::replace(&mut before, vec![b',']);
            write_text(&mut key, field.name(), terminal);
            key.push(b':');
            keys.push(key);
        }
        Self { keys, terminal }
    }

    /// Appends each row of `batch`, between what `before` and `after` append.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        batch: &RecordBatch,
        mut before: impl FnMut(&mut Vec<u8>),
        mut after: impl FnMut(&mut Vec<u8>),
    ) -> Result<(), OutputError> {
        let columns = Column::all(batch)?;
        for row in 0..batch.num_rows() {
            before(out);
            for (key, column) in self.keys.iter().zip(&columns) {
                out.extend_from_slice(key);
                self.value(out, column.cell(row));
            }
            out.push(b'}');
            after(out);
        }
        Ok(())
    }

    fn value(&self, out: &mut Vec<u8>, cell: Cell<'_>) {
        match cell {
            Cell::Text(text) => write_text(out, text, self.terminal),
            Cell::Json(text) => write_json(out, text, self.terminal),
            Cell::Integer(number) => {
                // A vector takes every byte.
                let _infallible = write!(out, "{number}");
            }
            Cell::Float(number) if number.is_finite() => {
                let _infallible = write!(out, "{number}");
            }
            // JSON has no other numbers.
            Cell::Float(_) | Cell::Null => out.extend_from_slice(b"null"),
            Cell::Boolean(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Cell::Timestamp(millis) => match rfc3339(millis) {
                Some(time) => write_text(out, &time, false),
                None => out.extend_from_slice(b"null"),
            },
        }
    }
}

/// Appends a string.
fn write_text(out: &mut Vec<u8>, text: &str, terminal: bool) {
    let start = out.len();
    let written = serde_json::to_writer(&mut *out, text);
    debug_assert!(written.is_ok(), "a vector takes every byte");
    // C0 is escaped by now.
    if terminal && text.contains(is_unsafe) {
        let quoted = String::from_utf8_lossy(&out.split_off(start)).into_owned();
        escape(out, &quoted);
    }
}

/// Appends a JSON text on one line.
fn write_json(out: &mut Vec<u8>, text: &str, terminal: bool) {
    debug_assert!(serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok(), "{text}");
    if terminal && text.contains(is_unsafe) {
        escape(out, text);
    } else if text.contains(['\n', '\r']) {
        // Raw only between values; inside a string they are escaped.
        out.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends a JSON text with what a terminal would act on as `\u…`. Other than white space such characters stand in
/// strings only, where the escape means the same.
fn escape(out: &mut Vec<u8>, json: &str) {
    for char in json.chars() {
        match char {
            '\n' | '\r' | '\t' => out.push(b' '),
            char if is_unsafe(char) => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    let _infallible = write!(out, "\\u{unit:04x}");
                }
            }
            char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{HOSTILE, Thing, Written, batch, other_batch, other_table, table, written};
    use crate::{Choice, Format, Output, Selection};

    const TERMINAL: Options = Options { header: true, terminal: true, width: Some(80), spreadsheet: false };

    fn full() -> Thing<'static> {
        Thing {
            arn: Some("arn:aws:s3:::a"),
            name: Some("a"),
            size: Some(-5),
            public: Some(true),
            created: Some(1_767_323_045_000),
            tags: Some(r#"{"A":"x","B":[1.50,{}]}"#),
        }
    }

    #[test]
    fn rows_are_objects_in_an_array() {
        assert_eq!(
            written(Format::Json, Options::default(), &[&[full()], &[], &[Thing::default()]]),
            "[\n\
             {\"arn\":\"arn:aws:s3:::a\",\"name\":\"a\",\"size\":-5,\"public\":true,\
             \"created\":\"2026-01-02T03:04:05Z\",\"tags\":{\"A\":\"x\",\"B\":[1.50,{}]}},\n\
             {\"arn\":null,\"name\":null,\"size\":null,\"public\":null,\"created\":null,\"tags\":null}\n\
             ]\n"
        );
        assert_eq!(written(Format::Json, Options::default(), &[]), "[]\n");
        assert_eq!(written(Format::Json, Options::default(), &[&[]]), "[]\n");
        assert_eq!(written(Format::Ndjson, Options::default(), &[]), "");
    }

    #[test]
    fn it_parses_whenever_it_is_closed() {
        let selections =
            || Selection::of(&[table().schema, other_table().schema, table().schema], Choice::All).unwrap();
        let batches = [(0, batch(&[full()])), (1, other_batch(&["x", "y"])), (1, other_batch(&["z"]))];
        for closed_after in 0..=batches.len() {
            let written = Written::default();
            let mut output =
                Output::begin(Format::Json, Options::default(), selections(), written.one()).unwrap();
            for (table, batch) in &batches[..closed_after] {
                output.write(*table, batch).unwrap();
            }
            output.finish().unwrap();
            let value: Value = serde_json::from_str(&written.text()).unwrap();
            let others = value["other"].as_array().unwrap().len();
            assert_eq!(others, [0, 0, 2, 3][closed_after]);
        }
    }

    #[test]
    fn several_tables_are_keyed() {
        let tables = Selection::of(&[other_table().schema, table().schema], Choice::All).unwrap();
        let write = |format| {
            let written = Written::default();
            let mut output =
                Output::begin(format, Options::default(), tables.clone(), written.one()).unwrap();
            output.write(0, &other_batch(&["x"])).unwrap();
            output.finish().unwrap();
            written.text()
        };
        assert_eq!(
            write(Format::Json),
            "{\n\"other\": [\n{\"arn\":\"x\",\"colour\":\"red\"}\n],\n\"thing\": []\n}\n"
        );
        assert_eq!(write(Format::Ndjson), "{\"table\":\"other\",\"arn\":\"x\",\"colour\":\"red\"}\n");
    }

    #[test]
    fn hostile_texts_come_back_as_they_were() {
        for options in [Options::default(), TERMINAL] {
            for text in HOSTILE {
                // Control characters escaped, all else raw: what our tables make.
                let tags = json!({ *text: text }).to_string();
                let thing = Thing { name: Some(text), tags: Some(&tags), ..Thing::default() };
                let array: Value =
                    serde_json::from_str(&written(Format::Json, options, &[&[thing]])).unwrap();
                let lines = written(Format::Ndjson, options, &[&[thing]]);
                let line: Value = serde_json::from_str(lines.strip_suffix('\n').unwrap()).unwrap();
                assert_eq!(lines.matches('\n').count(), 1, "{text}");
                for object in [&array[0], &line] {
                    assert_eq!(object["name"], *text);
                    assert_eq!(object["tags"], json!({ *text: text }));
                }
                if options.terminal {
                    assert!(!lines.trim_end().contains(is_unsafe), "{lines}");
                }
            }
        }
    }

    #[test]
    fn json_with_line_breaks_stays_on_its_line() {
        let thing = Thing { tags: Some("{\n\t\"a\": \"x\\ny\"\r\n}"), ..Thing::default() };
        for options in [Options::default(), TERMINAL] {
            let line = written(Format::Ndjson, options, &[&[thing]]);
            assert_eq!(line.matches(['\n', '\r']).count(), 1);
            let value: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["tags"], json!({"a": "x\ny"}));
        }
    }

    #[test]
    fn names_that_users_type_are_escaped() {
        let name = "tags.\"\u{202e}\n".to_owned();
        let tables = Selection::of(&[table().schema], Choice::Named(std::slice::from_ref(&name))).unwrap();
        let written = Written::default();
        let mut output = Output::begin(Format::Ndjson, TERMINAL, tables, written.one()).unwrap();
        output.write(0, &batch(&[Thing::default()])).unwrap();
        let value: Value = serde_json::from_str(&written.text()).unwrap();
        assert_eq!(value, json!({ name.trim(): null }));
        assert!(!written.text().contains('\u{202e}'));
    }

    #[test]
    fn a_time_outside_the_calendar_is_null() {
        let thing = Thing { created: Some(i64::MAX), ..Thing::default() };
        let value: Value =
            serde_json::from_str(&written(Format::Json, Options::default(), &[&[thing]])).unwrap();
        assert_eq!(value[0]["created"], Value::Null);
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text: String, terminal: bool) {
            let options = Options { terminal, ..Options::default() };
            let tags = json!([text]).to_string();
            let thing = Thing { name: Some(&text), tags: Some(&tags), ..Thing::default() };
            let value: Value = serde_json::from_str(&written(Format::Json, options, &[&[thing]])).unwrap();
            prop_assert_eq!(&value[0]["name"], &Value::from(text.clone()));
            prop_assert_eq!(&value[0]["tags"], &json!([text]));
        }
    }
}
