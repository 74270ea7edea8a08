//! A change to a file as a unified diff that `patch` applies.

use similar::TextDiff;

use crate::aws_ini::BLANK;

/// The number of lines shown around a change, unless one of them may be secret.
const CONTEXT: usize = 3;

/// The words of lines that are not shown around a change. If a line that holds no secret has one, less is shown.
const SECRET: [&str; 8] =
    ["access_key", "token", "secret", "password", "passwd", "credential", "akia", "asia"];

/// Returns the change from `old` to `new` as a unified diff; empty if there is none.
///
/// `name` is the file's path below the folder that `patch -p1` runs in; `patch` needs none if it is given a file.
/// Lines that may be secret aren't shown around a change; the changed lines must not be secret.
#[must_use]
pub fn unified_diff(name: &str, old: &str, new: &str) -> String {
    // Here, as in `patch`, only `\n` ends a line; `similar` would also end one after a `\r`.
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (before, after) = (lines(old), lines(new));
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&before, &after);
    // As much above as below: `patch` takes a hunk with less on one side for one at an end of the file.
    let hides = |context: &usize| {
        let groups = diff.grouped_ops(*context);
        let mut equal = groups.iter().flatten().filter(|op| op.tag() == similar::DiffTag::Equal);
        equal.all(|op| before[op.old_range()].iter().all(|line| !may_be_secret(line)))
    };
    let context = (1..=CONTEXT).rev().find(hides).unwrap_or(0);
    // The file's name can't end a line of the header; a name with spaces ends with a tab.
    let name = name.replace(char::is_control, "?");
    let end = if name.contains(' ') { "\t" } else { "" };
    let header = (format!("a/{name}{end}"), format!("b/{name}{end}"));
    diff.unified_diff().context_radius(context).header(&header.0, &header.1).to_string()
}

/// Returns whether a line may hold a secret, by its words. Some lines that hold none may, too.
#[must_use]
pub fn may_be_secret(line: &str) -> bool {
    // An indented line continues a value above it.
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
