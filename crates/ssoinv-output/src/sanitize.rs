//! Makes untrusted text safe for a terminal: what would move the cursor, colour, hide or turn round text is shown as an
//! escape that people can read. Names, tags and error messages of AWS's are such text.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with every character that must not reach a terminal raw written as an escape: `\n`, `\t`, `\u{1b}`,
/// `\u{202e}`. One line stays one line. Nothing is copied where nothing is to be done.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_unsafe) else { return Cow::Borrowed(text) };
    let mut safe = String::with_capacity(text.len() + 16);
    safe.push_str(&text[..first]);
    for char in text[first..].chars() {
        match char {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            char if is_unsafe(char) => {
                // A string takes every character.
                let _infallible = write!(safe, "\\u{{{:x}}}", u32::from(char));
            }
            char => safe.push(char),
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal would act on the character instead of showing it, or shows nothing for it:
/// controls (C0, DEL, C1), what changes the direction of text (Unicode Standard Annex 9, 2: explicit formatting), what
/// has no width, separators of lines, and the tags and variation selectors beyond the first plane, which hide text.
#[must_use]
pub fn is_unsafe(char: char) -> bool {
    // Most text is ASCII.
    if char.is_ascii() {
        return char.is_ascii_control();
    }
    matches!(char,
        '\u{80}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_not_touched() {
        for text in ["", "plain", "Zürich €5 日本 😀❤\u{fe0f}", "C:\\n is a path", "e\u{301}"] {
            assert!(matches!(sanitize(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_acts_on_is_shown() {
        assert_eq!(sanitize("a\nb\r\tc"), "a\\nb\\r\\tc");
        assert_eq!(sanitize("\u{1b}[2J\u{7}\u{0}\u{7f}"), "\\u{1b}[2J\\u{7}\\u{0}\\u{7f}");
        assert_eq!(sanitize("\u{9b}31m"), "\\u{9b}31m", "C1's own escape");
        assert_eq!(sanitize("x\u{202e}fdp.exe\u{2066}"), "x\\u{202e}fdp.exe\\u{2066}");
        assert_eq!(
            sanitize("a\u{200b}b\u{feff}c\u{2028}d\u{e0041}"),
            "a\\u{200b}b\\u{feff}c\\u{2028}d\\u{e0041}"
        );
    }

    #[test]
    fn nothing_unsafe_is_left() {
        let every: String = (0..=0x0011_0000).filter_map(char::from_u32).collect();
        let safe = sanitize(&every);
        assert!(!safe.chars().any(is_unsafe));
        assert!(!safe.chars().any(char::is_control));
        let bidi =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        assert!(bidi.chars().all(is_unsafe));
    }
}
