//! How wide the columns of a table are: on a terminal they fit its width.
//!
//! IDs, ARNs, regions, addresses and numbers are never cut. When the rest must be, the widest columns give first, and names after
//! all others.

use ssoinv_core::table::ColumnType;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for the end of a text that was cut.
const CUT: &str = "…";

/// Columns that may be cut keep this many characters, if they had them.
const LEAST: usize = 10;

/// comfy-table counts in 16 bits.
const MOST: usize = u16::MAX as usize / 2;

/// How much a column may lose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Keeps {
    /// Its values; only a longer header may be cut.
    All,
    /// More than the others: it is what people look for.
    Name,
    /// The date of a time: it ends before the hour.
    Date,
    Start,
}

/// A column's width, and what decides it.
#[derive(Clone, Debug)]
pub(super) struct Width {
    keeps: Keeps,
    header: usize,
    /// The widest value so far.
    values: usize,
}

impl Width {
    pub(super) fn new(name: &str, column_type: ColumnType, header: &str) -> Self {
        let id = ["arn", "id", "region"].contains(&name) || name.ends_with("_id") || name.ends_with("_arn");
        let keeps = match column_type {
            ColumnType::Integer
            | ColumnType::Float
            | ColumnType::Boolean
            | ColumnType::Inet
            | ColumnType::Cidr => Keeps::All,
            _ if id => Keeps::All,
            ColumnType::Timestamp => Keeps::Date,
            _ if matches!(name, "name" | "title") => Keeps::Name,
            ColumnType::Text | ColumnType::Json => Keeps::Start,
        };
        Self { keeps, header: header.width(), values: 0 }
    }

    /// Takes a value into account.
    pub(super) fn measure(&mut self, value: &str) {
        self.values = self.values.max(value.width());
    }

    /// What would show all.
    pub(super) fn natural(&self) -> usize {
        self.values.max(self.header).clamp(1, MOST)
    }

    /// What it can't go below.
    fn least(&self) -> usize {
        let natural = self.natural();
        let least = match self.keeps {
            Keeps::All => self.values.max(LEAST.min(self.header)),
            Keeps::Name | Keeps::Start => LEAST,
            // `2026-01-02…`
            Keeps::Date => 11,
        };
        least.clamp(1, natural)
    }

    pub(super) fn is_never_cut(&self) -> bool {
        self.keeps == Keeps::All
    }
}

/// The widths with which `columns` take at most `available` columns of a terminal, what stands between them aside;
/// `None` where that can't be.
pub(super) fn fit(columns: &[Width], available: usize) -> Option<Vec<usize>> {
    let least: Vec<usize> = columns.iter().map(Width::least).collect();
    if least.iter().sum::<usize>() > available {
        return None;
    }
    // Nothing is wider than the terminal, so that what follows is short.
    let mut widths: Vec<usize> = columns
        .iter()
        .zip(&least)
        .map(|(column, &least)| column.natural().min(available.max(least)))
        .collect();
    let mut excess_left = widths.iter().sum::<usize>().saturating_sub(available);
    for names in [false, true] {
        while excess_left > 0 {
            let gives = |&index: &usize| {
                (columns[index].keeps == Keeps::Name) == names && widths[index] > least[index]
            };
            // Of equally wide ones the last.
            let Some(widest) = (0..columns.len()).filter(gives).max_by_key(|&index| widths[index]) else {
                break;
            };
            // A time is whole, or ends with its date.
            let less = match columns[widest].keeps {
                Keeps::Date => widths[widest] - least[widest],
                _ => 1,
            };
            widths[widest] -= less;
            excess_left = excess_left.saturating_sub(less);
        }
    }
    Some(widths)
}

/// `text` in at most `width` columns, its end replaced by `…` where it is longer.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(CUT.width());
    let mut used = 0;
    let mut before = 0;
    let end = text.char_indices().find_map(|(at, char)| {
        // A variation selector may widen what stands before it (an emoji out of a sign).
        let wide =
            if char == '\u{fe0f}' { 2_usize.saturating_sub(before) } else { char.width().unwrap_or(0) };
        before = wide;
        used += wide;
        (used > room).then_some(at)
    });
    format!("{}{CUT}", &text[..end.unwrap_or(text.len())])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(name: &str, column_type: ColumnType, value: usize) -> Width {
        let mut width = Width::new(name, column_type, name);
        width.measure(&"x".repeat(value));
        width
    }

    #[test]
    fn what_has_room_is_as_wide_as_it_is() {
        let columns = [column("account_id", ColumnType::Text, 12), column("n", ColumnType::Integer, 1)];
        assert_eq!(fit(&columns, 13).unwrap(), [12, 1]);
        assert_eq!(fit(&columns, 200).unwrap(), [12, 1]);
        assert_eq!(fit(&columns, 12), None);
    }

    #[test]
    fn the_widest_gives_first_then_times_and_names_last() {
        let columns = [
            column("account_id", ColumnType::Text, 12),
            column("account_name", ColumnType::Text, 20),
            column("tags", ColumnType::Json, 500),
            column("name", ColumnType::Text, 40),
            column("created", ColumnType::Timestamp, 20),
        ];
        assert_eq!(fit(&columns, 130).unwrap(), [12, 20, 38, 40, 20]);
        assert_eq!(fit(&columns, 90).unwrap(), [12, 14, 13, 40, 11]);
        assert_eq!(fit(&columns, 60).unwrap(), [12, 10, 10, 17, 11]);
        assert_eq!(fit(&columns, 52), None);
    }

    #[test]
    fn a_header_may_be_cut_where_its_values_may_not() {
        let columns = [column("private_ip_address", ColumnType::Inet, 13)];
        assert_eq!(fit(&columns, 18).unwrap(), [18]);
        assert_eq!(fit(&columns, 13).unwrap(), [13]);
        assert_eq!(fit(&columns, 12), None);
    }

    #[test]
    fn texts_are_cut_by_what_is_seen() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(cut("", 0), "");
    }

    proptest! {
        #[test]
        fn cut_text_always_fits(text in "[a日é😀❤\u{301}\u{fe0f}🇩🇪👍🏽 ]{0,20}", width in 1..12_usize) {
            let cut = cut(&text, width);
            prop_assert!(cut.width() <= width, "{cut:?} is {} wide", cut.width());
            prop_assert!(cut == text || cut.ends_with(CUT));
        }

        #[test]
        fn fitting_fits_and_keeps(values in prop::collection::vec((0..4_u8, 0..90_usize), 1..12), available in 1..200_usize) {
            let columns: Vec<Width> = values.iter().map(|&(kind, value)| match kind {
                0 => column("some_id", ColumnType::Text, value),
                1 => column("name", ColumnType::Text, value),
                2 => column("created", ColumnType::Timestamp, value),
                _ => column("description", ColumnType::Text, value),
            }).collect();
            if let Some(widths) = fit(&columns, available) {
                prop_assert!(widths.iter().sum::<usize>() <= available);
                for (width, column) in widths.iter().zip(&columns) {
                    prop_assert!(*width >= column.least() && *width <= column.natural());
                    prop_assert!(!column.is_never_cut() || *width >= column.values);
                }
            }
        }
    }
}
