//! A change to a file as a unified diff that `patch` applies.

use similar::TextDiff;

use crate::aws_ini::BLANK;

/// Lines shown around a change, unless one of them might be secret.
const CONTEXT: usize = 3;

/// Words in lines that are not shown around a change. Also lines that are no secrets may have them: then less is shown,
/// which `patch` doesn't mind.
const SECRET: [&str; 8] =
    ["access_key", "token", "secret", "password", "passwd", "credential", "akia", "asia"];

/// The change from `old` to `new` as a unified diff; empty where there is none.
///
/// `name` is the file's path below the folder that `patch -p1` is run in; a file that `patch` is given needs none. Lines
/// that might be secret aren't shown around a change; what changes itself must not be.
#[must_use]
pub fn unified_diff(name: &str, old: &str, new: &str) -> String {
    // Lines end with `\n` alone here as in `patch`; `similar` would also end one after a `\r`.
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (before, after) = (lines(old), lines(new));
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&before, &after);
    // The same above and below: `patch` takes a hunk with less on one side for one at an end of the file.
    let hides = |context: &usize| {
        let groups = diff.grouped_ops(*context);
        let mut equal = groups.iter().flatten().filter(|op| op.tag() == similar::DiffTag::Equal);
        equal.all(|op| before[op.old_range()].iter().all(|line| !may_be_secret(line)))
    };
    let context = (1..=CONTEXT).rev().find(hides).unwrap_or(0);
    // No line of the header can be ended by a file's name, and one with spaces ends with a tab.
    let name = name.replace(char::is_control, "?");
    let end = if name.contains(' ') { "\t" } else { "" };
    let header = (format!("a/{name}{end}"), format!("b/{name}{end}"));
    diff.unified_diff().context_radius(context).header(&header.0, &header.1).to_string()
}

/// Whether a line of the file may hold a secret, by its words; also lines that hold none may.
#[must_use]
pub fn may_be_secret(line: &str) -> bool {
    // An indented line goes on with a value that stands somewhere above.
    let goes_on = line.starts_with(BLANK) && !line.trim().is_empty();
    let lower = line.to_lowercase();
    goes_on || SECRET.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_diff_with_its_context() {
        let old = "[default]\nregion = a\n[profile x]\n1 = 1\n2 = 2\n3 = 3\nlast = b";
        let new = old.replace("2 = 2\n", "").replace("last = b", "last = c");
        expect![[r#"
            --- a/.aws/config
            +++ b/.aws/config
            @@ -2,6 +2,5 @@
             region = a
             [profile x]
             1 = 1
            -2 = 2
             3 = 3
            -last = b
            \ No newline at end of file
            +last = c
            \ No newline at end of file
        "#]]
        .assert_eq(&unified_diff(".aws/config", old, &new));
        assert_eq!(unified_diff("x", old, old), "");
    }

    #[test]
    fn lines_that_may_be_secret_are_not_shown_around_a_change() {
        for secret in [
            "aws_secret_access_key = hidden",
            "AWS_ACCESS_KEY_ID=AKIAHIDDEN",
            "# aws_session_token = hidden",
            "credential_process = vault --password hidden",
            "  hidden",
        ] {
            let old = format!("[a]\nb = c\n{secret}\nd = e\n1 = 1\n2 = 2\nf = g\nh = i\n");
            let new = old.replace("2 = 2\n", "2 = 3\n");
            let diff = unified_diff("config", &old, &new);
            assert!(!diff.to_lowercase().contains("hidden"), "{diff}");
            assert!(diff.contains(" 1 = 1\n"), "what may be shown is: {diff}");
            let beside = unified_diff("config", &old, &old.replace("d = e\n", ""));
            assert!(
                !beside.to_lowercase().contains("hidden") && beside.contains("@@ -4 +3,0 @@"),
                "{beside}"
            );
        }
    }

    #[test]
    fn no_name_ends_its_line() {
        let diff = unified_diff("my config\n--- x", "a\n", "b\n");
        assert!(diff.starts_with("--- a/my config?--- x\t\n+++ b/my config?--- x\t\n@@"), "{diff}");
    }
}
