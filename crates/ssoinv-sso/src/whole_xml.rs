//! Refuses XML that breaks off or is ill-formed before anything is made from it.
//!
//! The SDK's decoder takes the end of its input, and whatever it can't read, for the end of the element that it is in:
//! half an answer becomes a shorter list without a next page. HTTP tells of the missing half only where the length was
//! announced, so the text itself is checked, with the tokenizer that the SDK uses: what that one can't read is what
//! would silently be missing.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Goes with every call whose answer is XML: `client.call().customize().interceptor(WholeXml).send()`.
#[derive(Debug)]
pub struct WholeXml;

/// Why an answer can't be trusted. Says nothing of what stands in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotWhole {
    /// The text ends before its root element does.
    #[error("the answer's XML breaks off")]
    BreaksOff,
    /// The text isn't XML.
    #[error("the answer's XML is ill-formed")]
    IllFormed,
}

#[dyn_dispatch_hint]
impl Intercept for WholeXml {
    fn name(&self) -> &'static str {
        "WholeXml"
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
        // Whatever was parsed has been read into memory; without its text there is nothing to trust.
        let body = context.response().body().bytes().ok_or(NotWhole::BreaksOff)?;
        Ok(check(body)?)
    }
}

/// Whether `body` is one XML element, all of it.
fn check(body: &[u8]) -> Result<(), NotWhole> {
    let text = std::str::from_utf8(body).map_err(|_| NotWhole::IllFormed)?;
    let mut open = Vec::new();
    let mut root_ended = false;
    for token in Tokenizer::from(text) {
        let Ok(token) = token else {
            // A tag that is cut in two is no tag.
            return Err(if root_ended { NotWhole::IllFormed } else { NotWhole::BreaksOff });
        };
        match token {
            Token::ElementStart { prefix, local, .. } => open.push((prefix.as_str(), local.as_str())),
            Token::ElementEnd { end: ElementEnd::Close(prefix, local), .. } => {
                if open.pop() != Some((prefix.as_str(), local.as_str())) {
                    return Err(NotWhole::IllFormed);
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
    if root_ended && open.is_empty() { Ok(()) } else { Err(NotWhole::BreaksOff) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a:List xmlns:a=\"urn:x\"><Items><Item>caf\u{e9} &amp; x</Item><Empty/>\
                         <Item><![CDATA[<Item>]]></Item><!-- </a:List> --></Items></a:List>";

    #[test]
    fn whole_documents_pass() {
        for text in [WHOLE, "<List/>", "<List></List>\n", "\u{feff}<List/>"] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_the_decoder_would_pass_over_is_refused() {
        for (text, expected) in [
            ("", NotWhole::BreaksOff),
            ("<?xml version=\"1.0\"?>", NotWhole::BreaksOff),
            ("<List><Item>a</Item>", NotWhole::BreaksOff),
            ("<List><Item>a</Item></Lis", NotWhole::BreaksOff),
            ("<List><Item>a</List>", NotWhole::IllFormed),
            ("<List><Item>a</Item></List><p>", NotWhole::IllFormed),
            ("Service Unavailable", NotWhole::BreaksOff),
        ] {
            assert_eq!(check(text.as_bytes()), Err(expected), "{text}");
        }
        assert_eq!(check(b"<List>\xff</List>"), Err(NotWhole::IllFormed));
    }

    proptest! {
        /// However an answer is cut, it is known to be cut.
        #[test]
        fn every_cut_is_seen(at in 0..WHOLE.len()) {
            prop_assert!(check(&WHOLE.as_bytes()[..at]).is_err());
        }
    }
}
