//! Refuses XML that breaks off or is ill-formed, before the SDK makes a result of it.
//!
//! The SDK's decoder takes the end of its input, and whatever it can't read, for the end of the current element: half
//! a response becomes a shorter list without a next page. HTTP reports the missing half only if the length was
//! announced. So the text itself is checked with the SDK's own tokenizer: what the tokenizer can't read would be
//! missing from the result.
//!
//! The tokenizer takes half as long again as the SDK's decoding. So `is_plain_and_complete` looks at the text first
//! and accepts the plain XML that services write, in a fraction of that time. The tokenizer judges everything else.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// An interceptor for every call with an XML response.
///
/// Use: `client.call().customize().interceptor(CompleteXml).send()`.
#[derive(Debug)]
pub struct CompleteXml;

/// The reason for which a response can't be trusted. Quotes nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IncompleteXml {
    /// The text ends before its root element.
    #[error("the response's XML breaks off")]
    BreaksOff,
    /// The text isn't XML.
    #[error("the response's XML is ill-formed")]
    IllFormed,
}

#[dyn_dispatch_hint]
impl Intercept for CompleteXml {
    fn name(&self) -> &'static str {
        "CompleteXml"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.output_or_error().is_err() {
            return Ok(());
        }
        // A parsed body has been read into memory; without its text there is nothing to trust.
        let body = context.response().body().bytes().ok_or(IncompleteXml::BreaksOff)?;
        Ok(check(body)?)
    }
}

/// Checks that `body` is one complete XML element.
fn check(body: &[u8]) -> Result<(), IncompleteXml> {
    let text = std::str::from_utf8(body).map_err(|_| IncompleteXml::IllFormed)?;
    if is_plain_and_complete(body) { Ok(()) } else { check_tokens(text) }
}

/// Does the same with the SDK's tokenizer, for XML of any form.
fn check_tokens(text: &str) -> Result<(), IncompleteXml> {
    let mut open = Vec::new();
    let mut root_ended = false;
    for token in Tokenizer::from(text) {
        let Ok(token) = token else {
            // A tag that is cut in two isn't a tag.
            return Err(if root_ended { IncompleteXml::IllFormed } else { IncompleteXml::BreaksOff });
        };
        match token {
            Token::ElementStart { prefix, local, .. } => open.push((prefix.as_str(), local.as_str())),
            Token::ElementEnd { end: ElementEnd::Close(prefix, local), .. } => {
                if open.pop() != Some((prefix.as_str(), local.as_str())) {
                    return Err(IncompleteXml::IllFormed);
                }
                root_ended = open.is_empty();
            }
            Token::ElementEnd { end: ElementEnd::Empty, .. } => {
                open.pop();
                root_ended = open.is_empty();
            }
            _ => {}
        }
    }
    if root_ended && open.is_empty() { Ok(()) } else { Err(IncompleteXml::BreaksOff) }
}

/// May be part of a name.
const NAME: u8 = 1;
/// May begin a name.
const INITIAL: u8 = 2;
/// May be between two tags.
const TEXT: u8 = 4;
const SPACE: u8 = 8;

/// The kinds of each byte.
///
/// Bytes that need more context for the tokenizer have none: control characters, U+FFFE and U+FFFF (whose first byte
/// is 0xEF), and `>`, which `]]` must not precede.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0_u8;
    loop {
        kinds[byte as usize] = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => NAME | INITIAL | TEXT,
            b'0'..=b'9' | b'-' | b'.' => NAME | TEXT,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE | TEXT,
            b'<' | b'>' | 0..0x20 | 0xef => 0,
            _ => TEXT,
        };
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

/// Splits off the leading bytes that are of `kind`.
fn split(text: &[u8], kind: u8) -> (&[u8], &[u8]) {
    let length = text.iter().position(|byte| KINDS[usize::from(*byte)] & kind == 0);
    text.split_at(length.unwrap_or(text.len()))
}

/// Skips `name="value"`, and returns the rest.
fn after_attribute(text: &[u8]) -> Option<&[u8]> {
    let (name, rest) = split(text, NAME);
    let rest = rest.strip_prefix(b"=\"")?;
    let (value, end) = rest.split_at(rest.iter().position(|byte| *byte == b'"')?);
    let begins = KINDS[usize::from(*name.first()?)] & INITIAL != 0;
    if begins && split(value, TEXT).1.is_empty() { end.get(1..) } else { None }
}

/// Returns whether `body` is surely one complete XML element.
///
/// It may hold elements, attributes in double quotes, text, and in front the declaration that services write. `false`
/// means that the tokenizer has to judge.
fn is_plain_and_complete(body: &[u8]) -> bool {
    const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
    let mut rest = split(body.strip_prefix(DECLARATION).unwrap_or(body), SPACE).1;
    let mut open = Vec::with_capacity(16);
    loop {
        let Some(tag) = rest.strip_prefix(b"<") else { return false };
        if let Some(closing) = tag.strip_prefix(b"/") {
            let name = open.pop().and_then(|name: &[u8]| closing.strip_prefix(name));
            let Some(after) = name.and_then(|rest| rest.strip_prefix(b">")) else { return false };
            rest = after;
        } else {
            let (name, mut after) = split(tag, NAME);
            if name.first().is_none_or(|byte| KINDS[usize::from(*byte)] & INITIAL == 0) {
                return false;
            }
            while let Some(attribute) = after.strip_prefix(b" ") {
                let Some(behind) = after_attribute(attribute) else { return false };
                after = behind;
            }
            if let Some(after) = after.strip_prefix(b">") {
                open.push(name);
                rest = after;
            } else if let Some(after) = after.strip_prefix(b"/>") {
                rest = after;
            } else {
                return false;
            }
        }
        if open.is_empty() {
            return split(rest, SPACE).1.is_empty();
        }
        rest = split(rest, TEXT).1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a:List xmlns:a=\"urn:x\"><Items><Item>caf\u{e9} &amp; x</Item><Empty/>\
                         <Item><![CDATA[<Item>]]></Item><!-- </a:List> --></Items></a:List>";

    const PLAIN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<List xmlns=\"http://x.example/2016-11-15/\">\n    \
                         <Item>caf\u{e9} [&amp;]] x</Item><Empty/></List>";

    #[test]
    fn whole_documents_pass() {
        for text in [WHOLE, PLAIN, "<List/>", "<List></List>\n", "\u{feff}<List/>"] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_the_decoder_would_pass_over_is_refused() {
        for (text, expected) in [
            ("", IncompleteXml::BreaksOff),
            ("<?xml version=\"1.0\"?>", IncompleteXml::BreaksOff),
            ("<List><Item>a</Item>", IncompleteXml::BreaksOff),
            ("<List><Item>a</Item></Lis", IncompleteXml::BreaksOff),
            ("<List><Item>a</List>", IncompleteXml::IllFormed),
            ("<List><Item>a</Item></List><p>", IncompleteXml::IllFormed),
            ("Service Unavailable", IncompleteXml::BreaksOff),
        ] {
            assert_eq!(check(text.as_bytes()), Err(expected), "{text}");
        }
        assert_eq!(check(b"<List>\xff</List>"), Err(IncompleteXml::IllFormed));
    }

    #[test]
    fn what_services_write_is_plain() {
        for text in ["<List/>", "<a b=\"\">\n <c_1-2.3/></a>\n", PLAIN] {
            assert!(is_plain_and_complete(text.as_bytes()), "{text}");
        }
        for text in [
            "<a>x]]></a>",
            "<a>\u{1}</a>",
            "<a>\u{ffff}</a>",
            "<a b=\"1\"c=\"2\"/>",
            "<a b=\"<\"/>",
            "<a></a >",
            "<1/>",
            "<a 1=\"\"/>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a>",
            "",
        ] {
            assert!(!is_plain_and_complete(text.as_bytes()), "{text}");
        }
    }

    /// The parts that texts similar to XML are made of.
    #[rustfmt::skip]
    const PARTS: &[&str] = &[
        "<a>", "</a>", "<b>", "</b>", "<a/>", "<", ">", "/", "</", "/>", " ", "\n", "a", "1", ":", "=",
        "\"", "'", "]]>", "]", " a=\"1\"", " xmlns=\"u:x\"", "&amp;", "\u{1}", "\u{fffe}", "\u{e9}",
        "<!--", "-->", "<?xml ", "?>", "<![CDATA[", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
        "\u{feff}",
    ];

    /// Generates texts that are similar to XML.
    fn nearly_xml() -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(PARTS), 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// The quick check never accepts what the tokenizer refuses.
        #[test]
        fn first_sight_never_lets_pass_what_the_tokenizer_refuses(inner in nearly_xml(), bare in any::<bool>()) {
            let text = if bare { inner } else { format!("<r>{inner}</r>") };
            if is_plain_and_complete(text.as_bytes()) {
                prop_assert_eq!(check_tokens(&text), Ok(()));
            }
        }
    }

    proptest! {
        /// A response that is cut anywhere is refused.
        #[test]
        fn every_cut_is_seen(at in 0..WHOLE.len(), plain_at in 0..PLAIN.len()) {
            prop_assert!(check(&WHOLE.as_bytes()[..at]).is_err());
            prop_assert!(check(&PLAIN.as_bytes()[..plain_at]).is_err());
        }
    }
}
