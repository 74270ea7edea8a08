#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes the snapshots so")]

use expect_test::{Expect, expect};

use super::*;
use crate::sanitize::is_unsafe;
use crate::testing::{HOSTILE, Thing, Written, batch, other_batch, other_table, table, written};
use crate::{Choice, Format, Output, Selection};

const PIPE: Options = Options { header: true, terminal: false, width: None, spreadsheet: false };

fn terminal(width: usize) -> Options {
    Options { terminal: true, width: Some(width), ..PIPE }
}

fn things() -> [Thing<'static>; 3] {
    [
        Thing {
            arn: Some("arn:aws:s3:::prod-payments-archive"),
            name: Some("prod-payments-archive"),
            size: Some(-5),
            public: Some(true),
            created: Some(1_767_323_045_000),
            tags: Some(r#"{"Environment":"production","Owner":"payments@example.com"}"#),
        },
        Thing {
            arn: Some("arn:aws:s3:::日本"),
            name: Some("日本語😀"),
            size: Some(123_456),
            ..Thing::default()
        },
        Thing {
            arn: Some("arn:aws:s3:::x"),
            name: Some("line\nbreak \u{1b}[31m"),
            tags: Some("{}"),
            ..Thing::default()
        },
    ]
}

fn check(options: Options, things: &[Thing<'_>], expected: &Expect) {
    let text = written(Format::Table, options, &[things]);
    expected.assert_eq(&text);
    if let Some(width) = options.width {
        for line in text.lines() {
            assert!(line.width() <= width, "{line}");
        }
    }
}

#[test]
fn wide_terminals_show_all() {
    check(
        terminal(200),
        &things(),
        &expect![[r#"
         arn                                │ name                   │   size │ public │ created              │ tags
        ────────────────────────────────────┼────────────────────────┼────────┼────────┼──────────────────────┼─────────────────────────────────────────────────────────────
         arn:aws:s3:::prod-payments-archive │ prod-payments-archive  │     -5 │ true   │ 2026-01-02T03:04:05Z │ {"Environment":"production","Owner":"payments@example.com"}
         arn:aws:s3:::日本                  │ 日本語😀               │ 123456 │ -      │ -                    │ -
         arn:aws:s3:::x                     │ line\nbreak \u{1b}[31m │      - │ -      │ -                    │ {}
    "#]],
    );
}

#[test]
fn narrower_ones_cut_what_is_not_an_id() {
    check(
        terminal(100),
        &things(),
        &expect![[r#"
         arn                                │ name             │   size │ public │ created     │ tags
        ────────────────────────────────────┼──────────────────┼────────┼────────┼─────────────┼────────────
         arn:aws:s3:::prod-payments-archive │ prod-payments-a… │     -5 │ true   │ 2026-01-02… │ {"Environ…
         arn:aws:s3:::日本                  │ 日本語😀         │ 123456 │ -      │ -           │ -
         arn:aws:s3:::x                     │ line\nbreak \u{… │      - │ -      │ -           │ {}
    "#]],
    );
}

#[test]
fn where_nothing_fits_rows_become_records() {
    check(
        terminal(80),
        &things(),
        &expect![[r#"
        ── 1 ───────────────────────────────────────────────────────────────────────────
        arn      arn:aws:s3:::prod-payments-archive
        name     prod-payments-archive
        size     -5
        public   true
        created  2026-01-02T03:04:05Z
        tags     {"Environment":"production","Owner":"payments@example.com"}
        ── 2 ───────────────────────────────────────────────────────────────────────────
        arn      arn:aws:s3:::日本
        name     日本語😀
        size     123456
        public   -
        created  -
        tags     -
        ── 3 ───────────────────────────────────────────────────────────────────────────
        arn      arn:aws:s3:::x
        name     line\nbreak \u{1b}[31m
        size     -
        public   -
        created  -
        tags     {}
    "#]],
    );
    check(
        terminal(49),
        &things(),
        &expect![[r#"
        ── 1 ────────────────────────────────────────────
        arn      arn:aws:s3:::prod-payments-archive
        name     prod-payments-archive
        size     -5
        public   true
        created  2026-01-02T03:04:05Z
        tags     {"Environment":"production","Owner":"pa…
        ── 2 ────────────────────────────────────────────
        arn      arn:aws:s3:::日本
        name     日本語😀
        size     123456
        public   -
        created  -
        tags     -
        ── 3 ────────────────────────────────────────────
        arn      arn:aws:s3:::x
        name     line\nbreak \u{1b}[31m
        size     -
        public   -
        created  -
        tags     {}
    "#]],
    );
}

#[test]
fn an_id_sticks_out_rather_than_being_cut() {
    let text = written(Format::Table, terminal(40), &[&things()[..1]]);
    expect![[r#"
        ── 1 ───────────────────────────────────
        arn      arn:aws:s3:::prod-payments-archive
        name     prod-payments-archive
        size     -5
        public   true
        created  2026-01-02T03:04:05Z
        tags     {"Environment":"production","O…
    "#]]
    .assert_eq(&text);
}

#[test]
fn a_terminal_without_a_width_is_taken_for_a_usual_one() {
    let usual = written(Format::Table, terminal(80), &[&things()]);
    assert_eq!(written(Format::Table, Options { width: None, ..terminal(80) }, &[&things()]), usual);
    assert_eq!(written(Format::Table, terminal(0), &[&things()]), usual);
    for width in 1..20 {
        assert_eq!(written(Format::Table, terminal(width), &[&things()]).lines().count(), 3 * 7);
    }
}

#[test]
fn a_pipe_gets_aligned_columns_and_all_of_them() {
    check(
        PIPE,
        &things(),
        &expect![[r#"
        arn                                 name                    size    public  created               tags
        arn:aws:s3:::prod-payments-archive  prod-payments-archive   -5      true    2026-01-02T03:04:05Z  {"Environment":"production","Owner":"payments@example.com"}
        arn:aws:s3:::日本                   日本語😀                123456  -       -                     -
        arn:aws:s3:::x                      line\nbreak \u{1b}[31m  -       -       -                     {}
    "#]],
    );
    let empty = Thing { arn: Some("x"), name: Some(""), ..Thing::default() };
    check(
        Options { header: false, ..PIPE },
        &[empty],
        &expect![[r#"
        x    ""    -     -       -        -
    "#]],
    );
}

#[test]
fn without_rows_there_is_the_header() {
    check(
        PIPE,
        &[],
        &expect![[r#"
        arn  name  size  public  created  tags
    "#]],
    );
    check(
        terminal(80),
        &[],
        &expect![[r#"
         arn │ name │ size │ public │ created │ tags
        ─────┼──────┼──────┼────────┼─────────┼──────
    "#]],
    );
    check(Options { header: false, ..PIPE }, &[], &expect![[r#""#]]);
}

#[test]
fn several_tables_have_titles() {
    let tables =
        Selection::of(&[other_table().schema, table().schema, other_table().schema], Choice::Usual).unwrap();
    let written = Written::default();
    let mut output = Output::begin(Format::Table, terminal(40), tables, written.one()).unwrap();
    output.write(0, &other_batch(&["x"])).unwrap();
    output.write(1, &batch(&things())).unwrap();
    output.finish().unwrap();
    expect![[r#"
        other
         arn │ colour
        ─────┼────────
         x   │ red

        thing
         name                   │   size
        ────────────────────────┼────────
         prod-payments-archive  │     -5
         日本語😀               │ 123456
         line\nbreak \u{1b}[31m │      -

        other
         arn │ colour
        ─────┼────────
    "#]]
    .assert_eq(&written.text());
}

#[test]
fn large_tables_leave_as_they_come_and_ids_are_still_whole() {
    let long = "i-0123456789abcdef0123456789";
    let row = |arn| Thing { arn: Some(arn), name: Some("name"), ..Thing::default() };
    let tables = || {
        let columns = ["arn".to_owned(), "name".to_owned()];
        Selection::of(&[table().schema], Choice::Named(&columns)).unwrap()
    };
    for options in [terminal(30), PIPE] {
        let written = Written::default();
        let mut output = Output::begin(Format::Table, options, tables(), written.one()).unwrap();
        output.write(0, &batch(&vec![row("i-1"); MEASURED - 1])).unwrap();
        assert_eq!(written.text(), "", "measured first");
        output.write(0, &batch(&[row("i-2"), row("i-3")])).unwrap();
        let header = if options.terminal { 2 } else { 1 };
        assert_eq!(written.text().lines().count(), header + MEASURED + 1);
        output.write(0, &batch(&[row(long)])).unwrap();
        output.finish().unwrap();
        let text = written.text();
        let last: Vec<&str> = text.lines().rev().take(2).collect();
        if options.terminal {
            assert_eq!(last, [format!(" {long} │ name").as_str(), " i-3 │ name"]);
        } else {
            assert_eq!(last, [format!("{long}  name").as_str(), "i-3  name"]);
        }
    }
}

#[test]
fn a_row_is_a_line_and_nothing_acts_on_a_terminal() {
    for options in [PIPE, terminal(300), terminal(20)] {
        for text in HOSTILE {
            let tags = serde_json::to_string(text).unwrap();
            let thing = Thing { arn: Some("x"), name: Some(text), tags: Some(&tags), ..Thing::default() };
            let text = written(Format::Table, options, &[&[thing]]);
            let lines = match (options.terminal, options.width) {
                (false, _) => 2,
                (true, Some(20)) => 1 + 6,
                (true, _) => 3,
            };
            assert_eq!(text.lines().count(), lines, "{text}");
            assert!(!text.lines().any(|line| line.contains(is_unsafe)), "{text}");
        }
    }
}

#[test]
fn one_long_value_does_not_push_all_others_away() {
    let long = "x".repeat(5_000);
    let things = [
        Thing { arn: Some(&long), name: Some("a"), ..Thing::default() },
        Thing { arn: Some("y"), name: Some("b"), ..Thing::default() },
    ];
    let text = written(Format::Table, PIPE, &[&things]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with(&format!("{long}  a  ")), "nothing is cut");
    assert!(lines[2].len() < 200);
}
