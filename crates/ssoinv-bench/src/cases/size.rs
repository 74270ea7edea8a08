//! Size of the distributed program, and of the crates in it.
//!
//! A crate's size is the sum of the sizes of its functions and constants in the symbol table, by the crate at the
//! beginning of their names: a generic function counts for the crate that defines it, a destructor for the crate of the
//! value. They come from a build of the same profile with symbols.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

use crate::bench::{Bench, report_progress};
use crate::report::{Amount, Line};

const CASE: &str = "size";

/// Crates that get a line of their own.
const SHOWN: usize = 15;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Line>, String> {
    report_progress(&format!("{CASE}: `{}`", bench.dist.display()));
    let size = fs::metadata(&bench.dist).map_err(|error| {
        format!("`{}`: {error}; `cargo build --profile dist -p ssoinv` makes it", bench.dist.display())
    })?;
    let mut whole =
        Line::new(CASE, format!("`{}`, stripped", bench.dist.display()), Amount::bytes(size.len()));
    for (name, bytes) in sections(&read(&bench.dist)?)? {
        whole = whole.detail(&name, bytes);
    }
    let mut lines = vec![whole];
    if let Some(unstripped) = &bench.unstripped {
        let crates = crates(&read(unstripped)?)?;
        let all: u64 = crates.iter().map(|(_, bytes)| bytes).sum();
        lines.push(Line::new(CASE, "of it, functions and constants with a name", Amount::bytes(all)));
        for (name, bytes) in crates.iter().take(SHOWN) {
            lines.push(Line::new(CASE, format!("of these, {name}"), Amount::bytes(*bytes)));
        }
        let rest: u64 = crates.iter().skip(SHOWN).map(|(_, bytes)| bytes).sum();
        lines.push(Line::new(CASE, "of these, the rest", Amount::bytes(rest)));
    }
    Ok(lines)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("`{}`: {error}", path.display()))
}

/// Returns the sizes of a program's loaded sections.
fn sections(program: &[u8]) -> Result<BTreeMap<String, u64>, String> {
    let file = object::File::parse(program).map_err(|error| error.to_string())?;
    let mut sizes = BTreeMap::new();
    for section in file.sections().filter(|section| section.size() > 0 && section.address() > 0) {
        sizes.insert(section.name().unwrap_or("?").to_owned(), section.size());
    }
    Ok(sizes)
}

/// Returns the sizes of the crates, the largest first.
fn crates(program: &[u8]) -> Result<Vec<(String, u64)>, String> {
    let file = object::File::parse(program).map_err(|error| error.to_string())?;
    let mut sizes = BTreeMap::<String, u64>::new();
    // Zero-initialized data takes no room in the file.
    let in_file = |symbol: &object::Symbol<'_, '_>| {
        let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
        section.is_some_and(|section| section.kind() != SectionKind::UninitializedData)
    };
    let mut ranges: Vec<(u64, u64, &str)> = file
        .symbols()
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data) && symbol.size() > 0)
        .filter(in_file)
        .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
        .collect();
    if ranges.is_empty() {
        return Err(
            "the program has no symbols; build it with `--config profile.dist.strip=false`".to_owned()
        );
    }
    // Identical functions share one address, which counts once.
    ranges.sort_unstable();
    ranges.dedup_by_key(|(address, ..)| *address);
    for (_, size, name) in ranges {
        *sizes.entry(crate_of(name)).or_default() += size;
    }
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    Ok(sizes)
}

/// Returns the crate of a symbol.
fn crate_of(symbol: &str) -> String {
    if symbol.starts_with("aws_lc_") {
        return "aws-lc (C and assembly)".to_owned();
    }
    let Ok(name) = rustc_demangle::try_demangle(symbol) else { return "others' C and assembly".to_owned() };
    let name = format!("{name:#}");
    let dropped = name.strip_prefix("core::ptr::drop_in_place").filter(|value| value.contains("::"));
    let name = dropped.map_or(name.as_str(), |value| value.trim_start_matches(['<', ':']));
    // `<&mut dyn core::fmt::Write as …>::f`, `<[alloc::string::String]>::f`, `<aws_sdk_ec2::Client>::f`.
    let words = name.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    let path = words.into_iter().find(|word| word.contains("::") && !word.starts_with("::"));
    path.and_then(|path| path.split("::").next()).unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_has_a_crate() {
        for (symbol, expected) in [
            ("_ZN11aws_sdk_ec26client6Client3new17h0123456789abcdefE", "aws_sdk_ec2"),
            ("_ZN44_$LT$$RF$T$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE", "core"),
            (
                "_ZN4core3ptr49drop_in_place$LT$aws_sdk_ec2..types..Instance$GT$17h0123456789abcdefE",
                "aws_sdk_ec2",
            ),
            ("_RNvMCs1234_7mycrateNtB2_3Foo3bar", "mycrate"),
            ("aws_lc_0_39_0_SHA256", "aws-lc (C and assembly)"),
            ("memcpy", "others' C and assembly"),
        ] {
            assert_eq!(crate_of(symbol), expected, "{symbol}");
        }
    }

    /// The test's own program has symbols.
    #[test]
    fn a_program_has_crates_and_sections() {
        let program = read(&std::env::current_exe().unwrap()).unwrap();
        let crates = crates(&program).unwrap();
        assert!(crates.iter().any(|(name, size)| name == "ssoinv_bench" && *size > 0));
        assert!(crates.is_sorted_by_key(|(_, size)| std::cmp::Reverse(*size)));
        assert!(!sections(&program).unwrap().is_empty());
    }
}
