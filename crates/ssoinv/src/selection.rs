//! Selects profiles by name or pattern. An exact name has precedence over a pattern.

use ssoinv_core::name_pattern::NamePattern;
use ssoinv_core::suggest::nearest;

use crate::command_error::CommandError;
use crate::exit_codes::ExitCode;
use crate::settings::ProfileChoice;
use crate::text::shell_quoted;

/// The hint for files without any profile.
pub(crate) const FIRST_PROFILE: &str =
    "`aws configure sso` makes some; `ssoinv --demo buckets --all-profiles` needs none";

/// The selected profiles.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProfileSelection {
    /// Indexes into `names`, in ascending order.
    pub(crate) profiles: Vec<usize>,
    /// True if exactly one profile was named, and not by a pattern: its problems end the command.
    pub(crate) named_alone: bool,
}

/// Selects profiles among `names`, which are in file order. `searched` lists the files for error messages.
pub(crate) fn select(
    choice: &ProfileChoice,
    names: &[&str],
    searched: &[String],
) -> Result<ProfileSelection, CommandError> {
    let find = |name: &str| names.iter().position(|known| *known == name);
    let one = |name: &str, source: Option<&str>| {
        let place = find(name).ok_or_else(|| not_found(name, source, names, searched))?;
        Ok(ProfileSelection { profiles: vec![place], named_alone: true })
    };
    match choice {
        ProfileChoice::All if names.is_empty() => {
            let message = format!("there is no profile in {}", searched.join(" or "));
            Err(CommandError::new(ExitCode::NothingCollected, message).with_hint(FIRST_PROFILE))
        }
        ProfileChoice::All => {
            Ok(ProfileSelection { profiles: (0..names.len()).collect(), named_alone: false })
        }
        ProfileChoice::Variable { name, profile } => one(profile, Some(name)),
        ProfileChoice::Default => one("default", None).map_err(|error| {
            error.with_hint(
                "say which with `--profile NAME`, or `--all-profiles`; `ssoinv profiles` lists them",
            )
        }),
        ProfileChoice::Flag(patterns) => several(patterns, Some("--profile"), names, searched),
    }
}

/// Selects the profiles that match any of `patterns`. `source` is the flag that they come from, if any.
pub(crate) fn several(
    patterns: &[String],
    source: Option<&str>,
    names: &[&str],
    searched: &[String],
) -> Result<ProfileSelection, CommandError> {
    let mut chosen = vec![false; names.len()];
    let mut exact = 0;
    let mut words = 0;
    for typed in patterns {
        // A comma separates names, unless a profile's name has it.
        let parts: Vec<&str> = if names.contains(&typed.as_str()) {
            vec![typed]
        } else {
            typed.split(',').map(str::trim).collect()
        };
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            words += 1;
            if let Some(place) = names.iter().position(|known| *known == part) {
                exact += 1;
                chosen[place] = true;
                continue;
            }
            let pattern = NamePattern::new(part).map_err(|error| CommandError::usage(error.to_string()))?;
            if pattern.name().is_some() {
                return Err(not_found(part, source, names, searched));
            }
            let mut any = false;
            for (name, chosen) in names.iter().zip(&mut chosen) {
                if pattern.matches(name) {
                    *chosen = true;
                    any = true;
                }
            }
            if !any {
                let message = format!("no profile matches `{part}`");
                let error = CommandError::new(ExitCode::NothingCollected, message)
                    .with_details(listed(names, searched));
                return Err(if names.is_empty() { error } else { error.with_hint(MORE) });
            }
        }
    }
    if words == 0 {
        return Err(CommandError::usage(format!("`{}` names no profile", source.unwrap_or("NAME"))));
    }
    let profiles = (0..names.len()).filter(|&place| chosen[place]).collect();
    Ok(ProfileSelection { profiles, named_alone: words == 1 && exact == 1 })
}

fn not_found(name: &str, source: Option<&str>, names: &[&str], searched: &[String]) -> CommandError {
    let from = source.map(|source| format!(" (from {source})")).unwrap_or_default();
    let error = CommandError::usage(format!("there is no profile `{name}`{from}"))
        .with_details(listed(names, searched));
    match nearest(name, names.iter().copied()).map(shell_quoted) {
        Some(near) if source == Some("--profile") => {
            error.with_hint(format!("did you mean `--profile {near}`?"))
        }
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None if names.is_empty() => error,
        None => error.with_hint(MORE),
    }
}

const MORE: &str = "`ssoinv profiles` shows more about each";

/// Lists the existing profiles, at most a screenful.
fn listed(names: &[&str], searched: &[String]) -> Vec<String> {
    const MOST: usize = 12;
    if names.is_empty() {
        return searched.iter().map(|file| format!("{file} has no profile")).collect();
    }
    let mut lines: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    if names.len() > MOST {
        lines.push(format!("and {} more", names.len() - MOST));
    }
    lines.insert(0, "there are:".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["default", "prod-eu", "prod-us", "staging", "odd,name"];

    fn flag(patterns: &[&str]) -> Result<ProfileSelection, CommandError> {
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        select(&ProfileChoice::Flag(patterns), &NAMES, &["~/.aws/config".to_owned()])
    }

    #[test]
    fn names_before_globs_and_file_order_always() {
        let found = |patterns: &[&str]| flag(patterns).expect("found");
        assert_eq!(found(&["staging"]), ProfileSelection { profiles: vec![3], named_alone: true });
        assert_eq!(found(&["prod-*"]), ProfileSelection { profiles: vec![1, 2], named_alone: false });
        assert_eq!(found(&["staging,prod-us", "default"]).profiles, [0, 2, 3]);
        assert_eq!(found(&["odd,name"]).profiles, [4]);
        assert_eq!(found(&["prod-*,prod-eu"]).profiles, [1, 2]);
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let error = flag(&["prod-ue"]).expect_err("no such profile");
        assert_eq!(error.exit, ExitCode::Usage);
        assert_eq!(error.message, "there is no profile `prod-ue` (from --profile)");
        assert_eq!(
            error.details,
            ["there are:", "`default`", "`prod-eu`", "`prod-us`", "`staging`", "`odd,name`"]
        );
        assert_eq!(error.hint.as_deref(), Some("did you mean `--profile prod-eu`?"));
        assert_eq!(flag(&["test-*"]).expect_err("no match").exit, ExitCode::NothingCollected);
        assert_eq!(flag(&[","]).expect_err("nothing").exit, ExitCode::Usage);
        assert_eq!(select(&ProfileChoice::All, &[], &[]).expect_err("none").exit, ExitCode::NothingCollected);
    }

    #[test]
    fn a_variable_names_one_profile_and_is_no_glob() {
        let choice = ProfileChoice::Variable { name: "AWS_PROFILE", profile: "prod-*".to_owned() };
        let error = select(&choice, &NAMES, &[]).expect_err("no glob");
        assert!(error.message.contains("AWS_PROFILE"), "{}", error.message);
    }
}
