//! The arguments of a command as words, so that a saved run can be repeated.
//!
//! [`crate::commands`] records them, [`crate::saved_run`] writes them into a run's manifest, and `ssoinv resume` merges
//! them with what is typed then.

use std::ffi::{OsStr, OsString};
use std::path::{self, Path};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

/// A verb and the arguments typed after it, without the global ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedArgs {
    pub(crate) command: String,
    /// Positional values, and flags as one word each: `--out=rows.csv`.
    pub(crate) words: Vec<OsString>,
}

impl RecordedArgs {
    /// Records the arguments that `matches` found on the command line of `command`.
    pub(crate) fn new(command: &Command, matches: &ArgMatches) -> Self {
        let Some((name, matches)) = matches.subcommand() else { return Self::default() };
        let mut words = Vec::new();
        for arg in command.find_subcommand(name).into_iter().flat_map(Command::get_arguments) {
            let id = arg.get_id().as_str();
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let values = matches.get_raw(id).into_iter().flatten();
            match arg.get_long() {
                Some(long) if arg.get_action().takes_values() => words.extend(values.map(|value| {
                    let mut word = OsString::from(format!("--{long}="));
                    word.push(value);
                    word
                })),
                Some(long) => words.push(format!("--{long}").into()),
                None => words.extend(values.map(OsStr::to_owned)),
            }
        }
        Self { command: name.to_owned(), words }
    }

    /// Returns the words for a manifest: without `--run`, and with absolute paths. None if a word isn't UTF-8.
    pub(crate) fn to_manifest(&self) -> Option<Vec<String>> {
        let mut words = vec![self.command.clone()];
        for word in &self.words {
            let word = word.to_str()?;
            if flag(word) != "--run" {
                words.push(with_absolute_path(word));
            }
        }
        Some(words)
    }
}

/// Returns the flag of a word: `--out` of `--out=rows.csv`.
pub(crate) fn flag(word: &str) -> &str {
    word.split_once('=').map_or(word, |(flag, _)| flag)
}

/// Returns a word with its path made absolute.
fn with_absolute_path(word: &str) -> String {
    let Some((flag, value)) = word.split_once('=') else { return word.to_owned() };
    let is_path = match flag {
        "--out" | "--coverage" => true,
        "--account" | "--exclude-account" | "--expect" => Path::new(value).is_file(),
        _ => false,
    };
    match path::absolute(value) {
        Ok(absolute) if is_path => format!("{flag}={}", absolute.display()),
        _ => word.to_owned(),
    }
}

/// Merges recorded words with words typed now; a flag typed now replaces the recorded one.
pub(crate) fn merge(recorded: &[String], typed: &[String]) -> Vec<String> {
    let is_replaced =
        |word: &&String| word.starts_with("--") && typed.iter().any(|other| flag(other) == flag(word));
    recorded.iter().filter(|word| !is_replaced(word)).chain(typed).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands;

    fn words(arguments: &[&str]) -> Vec<String> {
        let command = commands::command();
        let matches =
            command.clone().try_get_matches_from(["ssoinv"].iter().chain(arguments)).expect("arguments");
        RecordedArgs::new(&command, &matches).to_manifest().expect("text")
    }

    #[test]
    fn recorded_words_parse_to_the_same_arguments() {
        let typed = [
            "-v",
            "list",
            "-r",
            "eu-west-1,us-east-1",
            "b",
            "--every-role",
            "a",
            "--run",
            "x",
            "-p",
            "p q",
            "-q",
        ];
        let found = words(&typed[1..typed.len() - 1]);
        let expected =
            ["list", "b", "a", "--profile=p q", "--region=eu-west-1", "--region=us-east-1", "--every-role"];
        assert_eq!(found, expected);
        assert_eq!(words(&found.iter().map(String::as_str).collect::<Vec<_>>()), expected);
        assert_eq!(words(&["buckets", "--concurrency", "3"]), ["buckets", "--concurrency=3"]);
    }

    #[test]
    fn recorded_paths_are_absolute() {
        let found =
            words(&["buckets", "--out", "rows.csv", "--account=1", "--all-accounts", "--columns=Cargo.toml"]);
        let here = path::absolute("rows.csv").expect("a folder").display().to_string();
        assert!(found.contains(&format!("--out={here}")), "{found:?}");
        assert!(
            found.contains(&"--account=1".to_owned()) && found.contains(&"--columns=Cargo.toml".to_owned())
        );
        let file = path::absolute("Cargo.toml").expect("a folder").display().to_string();
        let found = words(&["buckets", "--all-accounts", "--account=Cargo.toml"]);
        assert!(found.contains(&format!("--account={file}")), "{found:?}");
    }

    #[test]
    fn a_flag_typed_now_replaces_the_recorded_one() {
        let word = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            merge(
                &word(&["t", "--out=a", "--region=b", "--region=c", "--wide"]),
                &word(&["--region=d", "--no-input"])
            ),
            word(&["t", "--out=a", "--wide", "--region=d", "--no-input"])
        );
    }
}
