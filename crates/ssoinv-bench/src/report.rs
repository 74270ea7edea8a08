//! The figures of the cases, as a table for people and as JSON.

use std::time::Duration;

use comfy_table::{CellAlignment, Table};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::world::float;

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "unit", content = "amount", rename_all = "snake_case")]
pub(crate) enum Amount {
    Seconds(f64),
    Bytes(f64),
    /// A ratio of two things.
    Times(f64),
    /// A part of 1.
    Share(f64),
    Count(f64),
}

impl Amount {
    pub(crate) fn of(time: Duration) -> Self {
        Self::Seconds(time.as_secs_f64())
    }

    pub(crate) fn bytes(bytes: u64) -> Self {
        Self::Bytes(float(bytes))
    }

    pub(crate) fn count(count: u64) -> Self {
        Self::Count(float(count))
    }

    fn number(self) -> f64 {
        match self {
            Self::Seconds(n) | Self::Bytes(n) | Self::Times(n) | Self::Share(n) | Self::Count(n) => n,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Seconds(n) if n >= 100.0 => format!("{n:.0} s"),
            Self::Seconds(n) if n >= 1.0 => format!("{n:.2} s"),
            Self::Seconds(n) => format!("{:.3} ms", n * 1e3),
            Self::Bytes(n) if n >= 1e9 => format!("{:.2} GB", n / 1e9),
            Self::Bytes(n) => format!("{:.1} MB", n / 1e6),
            Self::Times(n) if n >= 10.0 => format!("{n:.1} ×"),
            Self::Times(n) => format!("{n:.3} ×"),
            Self::Share(n) => format!("{:.2} %", n * 100.0),
            Self::Count(n) => format!("{n:.0}"),
        }
    }
}

/// The target of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    AtMost(Amount),
    AtLeast(Amount),
    /// Of the bound.
    RatioAtMost(f64),
}

impl Target {
    fn text(self) -> String {
        match self {
            Self::AtMost(amount) => format!("≤ {}", amount.text()),
            Self::AtLeast(amount) => format!("≥ {}", amount.text()),
            Self::RatioAtMost(ratio) => format!("≤ {ratio} × bound"),
        }
    }
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) case: &'static str,
    pub(crate) what: String,
    pub(crate) measured: Amount,
    /// The best possible value, by the same run's latency, limits, CPU time and number of calls.
    pub(crate) bound: Option<Amount>,
    pub(crate) target: Option<Target>,
    /// The numbers behind the figure.
    pub(crate) details: Map<String, Value>,
}

/// A line with its ratio to the bound and its result, as in the JSON.
#[derive(Serialize)]
struct LineRecord<'a> {
    #[serde(flatten)]
    line: &'a Line,
    ratio: Option<f64>,
    reached: Option<bool>,
}

impl Line {
    pub(crate) fn new(case: &'static str, what: impl Into<String>, measured: Amount) -> Self {
        Self { case, what: what.into(), measured, bound: None, target: None, details: Map::new() }
    }

    pub(crate) fn bound(mut self, bound: Amount) -> Self {
        self.bound = Some(bound);
        self
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Removes the target, for the small sizes, whose figures mean nothing.
    pub(crate) fn without_target(self) -> Self {
        Self { target: None, ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.bound.map(|bound| self.measured.number() / bound.number())
    }

    /// Returns true if the target is reached; none if there is no target.
    pub(crate) fn reached(&self) -> Option<bool> {
        Some(match self.target? {
            Target::AtMost(most) => self.measured.number() <= most.number(),
            Target::AtLeast(least) => self.measured.number() >= least.number(),
            Target::RatioAtMost(most) => self.ratio()? <= most,
        })
    }
}

/// Returns the table.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["case", "what", "measured", "bound", "ratio", "target", "reached"]);
    for line in lines {
        table.add_row([
            line.case.to_owned(),
            line.what.clone(),
            line.measured.text(),
            line.bound.map(Amount::text).unwrap_or_default(),
            line.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            line.target.map(Target::text).unwrap_or_default(),
            line.reached().map(|reached| if reached { "yes" } else { "NO" }).unwrap_or_default().to_owned(),
        ]);
    }
    for number in [2, 3, 4] {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Returns the lines as JSON.
pub(crate) fn json(lines: &[Line]) -> serde_json::Result<Value> {
    let records = lines.iter().map(|line| LineRecord { line, ratio: line.ratio(), reached: line.reached() });
    serde_json::to_value(records.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(measured: Amount) -> Line {
        Line::new("cached", "time", measured)
    }

    #[test]
    fn a_target_is_reached_or_not() {
        let (two, three) = (Amount::Seconds(2.0), Amount::Seconds(3.0));
        assert_eq!(line(two).target(Target::AtMost(two)).reached(), Some(true));
        assert_eq!(line(three).target(Target::AtMost(two)).reached(), Some(false));
        assert_eq!(line(two).target(Target::AtLeast(three)).reached(), Some(false));
        let bounded = |ratio| line(three).bound(two).target(Target::RatioAtMost(ratio)).reached();
        assert_eq!((bounded(1.5), bounded(1.4)), (Some(true), Some(false)));
        assert_eq!(line(two).reached(), None);
        assert_eq!(line(two).target(Target::RatioAtMost(1.0)).reached(), None, "there is no bound");
    }

    #[test]
    fn json_has_the_details_and_the_result() {
        let line = line(Amount::Seconds(3.0)).bound(Amount::Seconds(2.0)).target(Target::RatioAtMost(1.15));
        let json = json(&[line.detail("calls", 9)]).unwrap();
        assert_eq!(json[0]["measured"], serde_json::json!({"unit": "seconds", "amount": 3.0}));
        assert_eq!((&json[0]["ratio"], &json[0]["reached"]), (&1.5.into(), &false.into()));
        assert_eq!(json[0]["details"]["calls"], 9);
    }

    #[test]
    fn a_missed_target_is_in_the_table() {
        let text = table(&[line(Amount::Share(0.02)).target(Target::AtMost(Amount::Share(0.01)))]);
        assert!(text.lines().last().unwrap().contains("2.00 %"), "{text}");
        assert!(text.contains("≤ 1.00 %") && text.contains(" NO "), "{text}");
    }
}
