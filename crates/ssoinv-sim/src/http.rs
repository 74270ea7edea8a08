//! A request as it came and a reply as it goes, without sockets, so that services can be tested alone; and the
//! escapes of URLs and XML. Sockets are in `server.rs`.

use std::fmt::Write as _;

use bytes::Bytes;
use hyper::{HeaderMap, Method};

use crate::hosts::Host;

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As sent, not decoded.
    pub(crate) path: String,
    /// As sent, without the question mark.
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The name of AWS's that the client called, and what it stands for; none where it came to this machine as such.
    pub(crate) host: Option<(String, Host)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn query(&self) -> Params {
        Params::parse(&self.raw_query)
    }

    pub(crate) fn form(&self) -> Params {
        Params::parse(&String::from_utf8_lossy(&self.body))
    }

    #[cfg(test)]
    pub(crate) fn example(method: &str, target: &str, headers: &[(&'static str, &str)], body: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = headers.iter().map(|(name, value)| {
            (
                hyper::header::HeaderName::from_static(name),
                hyper::header::HeaderValue::from_str(value).unwrap(),
            )
        });
        Self {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            raw_query: query.to_owned(),
            headers: headers.collect(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            host: None,
        }
    }
}

/// The pairs of a query or a form, decoded.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn parse(text: &str) -> Self {
        let decode =
            |part: &str| String::from_utf8_lossy(&percent_decode(&part.replace('+', " "))).into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a name comes twice, which OAuth forbids (RFC 6749 §3.1).
    pub(crate) fn has_repeated(&self) -> bool {
        self.0.iter().enumerate().any(|(at, (name, _))| self.0[..at].iter().any(|(before, _)| before == name))
    }

    /// Values of `Name.1`, `Name.2`, … (the query protocol's lists).
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let numbered = self.0.iter().filter_map(|(key, value)| {
            let number = key.strip_prefix(name)?.strip_prefix('.')?.parse::<u32>().ok()?;
            Some((number, value.as_str()))
        });
        let mut numbered: Vec<(u32, &str)> = numbered.collect();
        numbered.sort_unstable();
        numbered.into_iter().map(|(_, value)| value).collect()
    }

    /// Filters of EC2: `Filter.N.Name` with `Filter.N.Value.M`.
    pub(crate) fn filters(&self) -> Vec<(&str, Vec<&str>)> {
        (1..)
            .map_while(|number| Some((number, self.get(&format!("Filter.{number}.Name"))?)))
            .map(|(number, name)| (name, self.list(&format!("Filter.{number}.Value"))))
            .collect()
    }
}

/// Decodes `%41`; what is no such escape stays as it is.
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

/// Appends text to an XML document. A CR is written as a reference, since parsers turn a raw one into LF; what
/// XML 1.0 can't hold at all (C0 controls but tab, LF, CR) becomes U+FFFD.
pub(crate) fn push_xml(into: &mut String, text: &str) {
    // Nearly all text is plain, and then there is nothing to look at char by char.
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

/// Appends `<name>value</name>` for numbers and truth values.
pub(crate) fn push_value(into: &mut String, name: &str, value: impl std::fmt::Display) {
    write!(into, "<{name}>{value}</{name}>").expect("writing to a String can't fail");
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    pub(crate) fn json(status: u16, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("what the simulator answers has text for keys");
        Self::new(status, "application/json", body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A place in a list, as the opaque token of its next page. It holds characters that must be escaped in a query,
/// and it fits only the list that gave it.
pub(crate) fn page_token(list: u64, next: usize) -> String {
    format!("eyJ2Ijoy+{next:x}/{:016x}==", crate::rng::of_parts(&[list, next as u64]))
}

/// The place that a token stands for; `None` for one that this list didn't give.
pub(crate) fn page_start(list: u64, token: &str) -> Option<usize> {
    let next = token.strip_prefix("eyJ2Ijoy+")?.split('/').next()?;
    let next = usize::from_str_radix(next, 16).ok()?;
    (page_token(list, next) == token).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_decoded_and_listed_in_number_order() {
        let params =
            Params::parse("V.2=b&V.10=c&V.1=a+%2B&Filter.1.Name=x&Filter.1.Value.1=1&Filter.1.Value.2=2");
        assert_eq!(params.list("V"), ["a +", "b", "c"]);
        assert_eq!(params.filters(), [("x", vec!["1", "2"])]);
        assert_eq!(params.get("none"), None);
        assert!(!params.has_repeated() && Params::parse("a=1&b=2&a=1").has_repeated());
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(percent_decode("%4a%zz%4"), b"J%zz%4");
        assert_eq!(percent_decode("%€"), "%€".as_bytes());
    }

    #[test]
    fn xml_escapes_keep_what_xml_can_hold() {
        let mut text = String::new();
        push_element(&mut text, "v", "<a b=\"c\">&\r\n\t\u{9b}\u{1b}🦀");
        assert_eq!(text, "<v>&lt;a b=&quot;c&quot;&gt;&amp;&#13;\n\t\u{9b}\u{fffd}🦀</v>");
    }

    #[test]
    fn a_page_token_fits_its_own_list_only() {
        let token = page_token(5, 1000);
        assert_eq!(page_start(5, &token), Some(1000));
        assert_eq!(page_start(6, &token), None);
        assert_eq!(page_start(5, "1000"), None);
        assert_eq!(page_start(5, &token.replace("3e8", "3e9")), None);
    }
}
