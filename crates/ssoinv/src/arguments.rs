//! The arguments of a command as words, so that a kept run can be asked for once more: [`crate::kept_run`].

use std::ffi::{OsStr, OsString};
use std::path::{self, Path};

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};

use crate::cli::{self, Cli};

/// What was typed behind the program's name, less what every command takes: a flag and its value are one word.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed {
    pub(crate) command: String,
    pub(crate) words: Vec<OsString>,
}

/// Parses the process's arguments. Ends the program where they are wrong, or where help is asked for.
pub(crate) fn parse() -> (Cli, Typed) {
    let command = cli::command();
    let matches = command.clone().get_matches();
    let typed = Typed::of(&command, &matches);
    (Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), typed)
}

impl Typed {
    fn of(command: &Command, matches: &ArgMatches) -> Self {
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

    /// The command, to be written down: without `--run`, and with paths that mean the same in any folder. None where a
    /// word is no text.
    pub(crate) fn lasting(&self) -> Option<Vec<String>> {
        let mut lasting = vec![self.command.clone()];
        for word in &self.words {
            let word = word.to_str()?;
            if flag(word) != "--run" {
                lasting.push(anywhere(word));
            }
        }
        Some(lasting)
    }
}

/// The flag of a word: `--out` of `--out=rows.csv`.
pub(crate) fn flag(word: &str) -> &str {
    word.split_once('=').map_or(word, |(flag, _)| flag)
}

/// A word whose path doesn't hang on the current folder.
fn anywhere(word: &str) -> String {
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

/// The words of a command once more, where what is typed now counts for more than what was typed then.
pub(crate) fn again(then: &[String], now: &[String]) -> Vec<String> {
    let typed_now =
        |word: &&String| word.starts_with("--") && now.iter().any(|other| flag(other) == flag(word));
    then.iter().filter(|word| !typed_now(word)).chain(now).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(arguments: &[&str]) -> Vec<String> {
        let command = cli::command();
        let matches =
            command.clone().try_get_matches_from(["ssoinv"].iter().chain(arguments)).expect("arguments");
        Typed::of(&command, &matches).lasting().expect("text")
    }

    #[test]
    fn arguments_become_words_that_mean_the_same() {
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
    fn paths_do_not_hang_on_the_folder() {
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
    fn what_is_typed_now_counts_for_more() {
        let word = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            again(
                &word(&["t", "--out=a", "--region=b", "--region=c", "--wide"]),
                &word(&["--region=d", "--no-input"])
            ),
            word(&["t", "--out=a", "--wide", "--region=d", "--no-input"])
        );
    }
}
