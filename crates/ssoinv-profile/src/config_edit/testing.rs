//! Config files that tests change.

use proptest::prelude::*;

use crate::aws_ini::{self, Section, SyntaxError};

/// Generates config files with all their oddities.
pub(super) fn config_text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "[a-z_]{1,6} ?=[ \t]{0,2}[a-z0-9/:#;]{0,8}",
        1 => "[a-z]{1,4} = [a-z]{1,4}[ \t]{1,2}[#;] ?[a-z =]{0,6}",
        1 => "[ \t]{1,2}[a-z]{1,4} = [a-z]{0,4}",
        1 => "[#;] ?[a-z =]{0,8}",
        1 => "[ \t]{0,2}",
        1 => "\\[(profile|sso-session) [a-z]{1,4}\\]",
    ];
    let lines = proptest::collection::vec((line, prop_oneof![3 => Just("\n"), 1 => Just("\r\n")]), 0..20);
    (any::<bool>(), lines, any::<bool>()).prop_map(|(bom, lines, ends)| {
        let lines: Vec<String> = lines.into_iter().map(|(line, end)| line + end).collect();
        let text = format!("{}[default]\n{}", if bom { "\u{feff}" } else { "" }, lines.concat());
        if ends { text } else { text.trim_end_matches(['\r', '\n']).to_owned() }
    })
}

pub(super) fn sections_of(text: &str) -> Result<Vec<Section>, SyntaxError> {
    aws_ini::read(text.as_bytes())
}
