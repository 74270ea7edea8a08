//! Small tables for this crate's tests.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use ssoinv_core::table::{Column, RowEncoder};

use crate::{Choice, Destination, Format, Options, Output, Selection};

/// A row with a column of each type.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Thing<'a> {
    pub(crate) arn: Option<&'a str>,
    pub(crate) name: Option<&'a str>,
    pub(crate) size: Option<i64>,
    pub(crate) public: Option<bool>,
    pub(crate) created: Option<i64>,
    pub(crate) tags: Option<&'a str>,
}

pub(crate) fn table<'a>() -> RowEncoder<Thing<'a>> {
    let mut table = RowEncoder::plain(
        "thing",
        "A thing",
        vec![
            Column::text("arn", "Its ARN", |thing: &Thing<'_>, _| thing.arn.map(Cow::from)),
            Column::text("name", "Its name", |thing, _| thing.name.map(Cow::from)),
            Column::integer("size", "Its size", |thing| thing.size),
            Column::boolean("public", "Whether all see it", |thing| thing.public),
            Column::timestamp("created", "Since when it is there", |thing| thing.created),
            Column::json("tags", "Its tags", |_, _, _| {}),
        ],
    );
    Arc::make_mut(&mut table.schema).default_columns = vec![1, 2];
    table
}

pub(crate) fn other_table() -> RowEncoder<&'static str> {
    RowEncoder::plain(
        "other",
        "Another thing",
        vec![
            Column::text("arn", "Its ARN", |arn: &&str, _| Some(Cow::from(*arn))),
            Column::text("colour", "Its colour", |_, _| Some(Cow::from("red"))),
        ],
    )
}

fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(texts.collect::<StringArray>())
}

/// Made by hand, so that the JSON is what the test says.
pub(crate) fn batch(things: &[Thing<'_>]) -> RecordBatch {
    let times: TimestampMillisecondArray = things.iter().map(|thing| thing.created).collect();
    let columns: Vec<ArrayRef> = vec![
        texts(things.iter().map(|thing| thing.arn)),
        texts(things.iter().map(|thing| thing.name)),
        Arc::new(things.iter().map(|thing| thing.size).collect::<Int64Array>()),
        Arc::new(things.iter().map(|thing| thing.public).collect::<BooleanArray>()),
        Arc::new(times.with_timezone("UTC")),
        texts(things.iter().map(|thing| thing.tags)),
    ];
    RecordBatch::try_new(Arc::clone(&table().schema.schema), columns).unwrap()
}

pub(crate) fn other_batch(arns: &[&str]) -> RecordBatch {
    let columns = vec![texts(arns.iter().map(|&arn| Some(arn))), texts(arns.iter().map(|_| Some("red")))];
    RecordBatch::try_new(Arc::clone(&other_table().schema.schema), columns).unwrap()
}

/// A destination that tests can look into.
#[derive(Clone, Default, Debug)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn one(&self) -> Destination {
        Destination::One(Box::new(self.clone()))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `format` makes of the things, which come in batches, in all columns.
pub(crate) fn written(format: Format, options: Options, batches: &[&[Thing<'_>]]) -> String {
    let selections = Selection::of(&[table().schema], Choice::All).unwrap();
    let written = Written::default();
    let mut output = Output::begin(format, options, selections, written.one()).unwrap();
    for things in batches {
        output.write(0, &batch(things)).unwrap();
    }
    output.finish().unwrap();
    written.text()
}

/// Texts that have broken some program or other.
pub(crate) const HOSTILE: &[&str] = &[
    "",
    " ",
    "plain",
    "a,b;c\td",
    "\"quoted\" 'single'",
    "line\nbreak\r\nand\rreturn",
    "=cmd|' /C calc'!A0",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{0}\u{1}\u{7f}\u{85}\u{9b}",
    "right \u{202e}tfel\u{2066}",
    "zero\u{200b}width\u{feff}",
    "日本語 ﷽ 😀 👩\u{200d}💻",
    "back\\slash \\n \\u0041",
    "\u{2028}\u{2029}\u{e0041}",
    "</script><b>&amp;",
    "{\"json\":\"like\"}",
    "null",
];
