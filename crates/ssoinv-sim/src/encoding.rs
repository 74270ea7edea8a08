//! Encodings of texts and bytes on the wire: hexadecimal, percent-encoding, XML. Knows nothing of requests.

use std::fmt::Write as _;

/// Encodes bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Percent-encodes all but the unreserved characters of RFC 3986, as Signature Version 4 wants it.
pub(crate) fn push_percent_encoded(into: &mut String, bytes: &[u8], keep_slash: bool) {
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                into.push(char::from(byte));
            }
            b'/' if keep_slash => into.push('/'),
            _ => write!(into, "%{byte:02X}").expect("writing to a String cannot fail"),
        }
    }
}

/// Decodes `%41`; a `%` without two digits stays as it is.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let value = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(value) = value {
            decoded.push(value);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    decoded
}

/// Appends text to an XML document.
///
/// A CR becomes a reference, since parsers turn a raw CR into LF. Characters that XML 1.0 can't hold (C0 controls but
/// tab, LF, CR) become U+FFFD.
pub(crate) fn push_xml(into: &mut String, text: &str) {
    // Nearly all text is plain ASCII, which is copied in one go.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"')) {
        into.push_str(text);
        return;
    }
    for char in text.chars() {
        match char {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\r' => into.push_str("&#13;"),
            '\t' | '\n' => into.push(char),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => into.push('\u{fffd}'),
            _ => into.push(char),
        }
    }
}

/// Appends `<name>text</name>`.
pub(crate) fn push_element(into: &mut String, name: &str, text: &str) {
    into.push('<');
    into.push_str(name);
    into.push('>');
    push_xml(into, text);
    into.push_str("</");
    into.push_str(name);
    into.push('>');
}

/// Appends `<name>value</name>` for numbers and booleans, which need no escapes.
pub(crate) fn push_value(into: &mut String, name: &str, value: impl std::fmt::Display) {
    write!(into, "<{name}>{value}</{name}>").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(percent_decode("%4a%zz%4"), b"J%zz%4");
        assert_eq!(percent_decode("%€"), "%€".as_bytes());
    }

    #[test]
    fn only_unreserved_characters_stay_plain() {
        let mut text = String::new();
        push_percent_encoded(&mut text, "a/ü ~+".as_bytes(), false);
        push_percent_encoded(&mut text, b"/", true);
        assert_eq!(text, "a%2F%C3%BC%20~%2B/");
    }

    #[test]
    fn xml_escapes_keep_what_xml_can_hold() {
        let mut text = String::new();
        push_element(&mut text, "v", "<a b=\"c\">&\r\n\t\u{9b}\u{1b}🦀");
        assert_eq!(text, "<v>&lt;a b=&quot;c&quot;&gt;&amp;&#13;\n\t\u{9b}\u{fffd}🦀</v>");
    }
}
