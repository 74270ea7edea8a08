//! Signature Version 4: the canonical request, the string to sign and the signing key, built from the request on the
//! wire. `authentication.rs` compares the result. Sources: "Signature Version 4 signing process" in the IAM guide and
//! "Authenticating requests" in the S3 reference.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::encoding::{hex, percent_decode, push_percent_encoded};
use crate::http::Request;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    pub(crate) key_id: &'a str,
    /// `20260102`
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) signed_headers: Vec<&'a str>,
    pub(crate) signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the header's value; the error is a message for the caller.
    pub(crate) fn parse(header: &'a str) -> Result<Self, String> {
        let rest = header
            .strip_prefix(ALGORITHM)
            .ok_or_else(|| format!("Unsupported algorithm in Authorization header, expected {ALGORITHM}"))?;
        let part = |name: &str| {
            let found = rest.split(',').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='));
            found.ok_or_else(|| format!("Authorization header requires '{name}' parameter."))
        };
        let credential = part("Credential")?;
        let scope: Vec<&str> = credential.split('/').collect();
        let [key_id, date, region, service, "aws4_request"] = scope[..] else {
            return Err("Credential must have exactly 5 slash-delimited elements, e.g. \
                        keyid/date/region/service/term"
                .to_owned());
        };
        let signed_headers = part("SignedHeaders")?.split(';').collect();
        Ok(Self { key_id, date, region, service, signed_headers, signature: part("Signature")? })
    }

    /// `20260102/eu-west-1/ec2/aws4_request`
    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date, self.region, self.service)
    }
}

pub(crate) fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// Derives the key for one day, region and service, with four HMACs.
pub(crate) fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let day = hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes());
    hmac(&hmac(&hmac(&day, region.as_bytes()), service.as_bytes()), b"aws4_request")
}

pub(crate) fn signature(key: &[u8; 32], string_to_sign: &str) -> String {
    hex(&hmac(key, string_to_sign.as_bytes()))
}

pub(crate) fn string_to_sign(amz_date: &str, scope: &str, canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{amz_date}\n{scope}\n{}", hex(&sha256(canonical_request.as_bytes())))
}

/// Returns the canonical path: for S3 encoded once, for other services normalized and encoded twice.
fn canonical_path(path: &str, s3: bool) -> String {
    let mut canonical = String::with_capacity(path.len());
    if s3 {
        push_percent_encoded(&mut canonical, &percent_decode(path), true);
    } else {
        let mut segments: Vec<&str> = Vec::new();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => {
                    segments.pop();
                }
                other => segments.push(other),
            }
        }
        for segment in &segments {
            canonical.push('/');
            push_percent_encoded(&mut canonical, segment.as_bytes(), false);
        }
        if canonical.is_empty() || path.ends_with('/') {
            canonical.push('/');
        }
    }
    canonical
}

fn canonical_query(raw: &str) -> String {
    let recode = |text: &str| {
        let mut encoded = String::with_capacity(text.len());
        push_percent_encoded(&mut encoded, &percent_decode(text), false);
        encoded
    };
    let mut pairs: Vec<(String, String)> = raw
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (recode(name), recode(value)))
        .collect();
    pairs.sort_unstable();
    let mut query = String::with_capacity(raw.len());
    for (name, value) in &pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(name);
        query.push('=');
        query.push_str(value);
    }
    query
}

/// Returns the canonical request of a request. `payload_hash` is its last line.
pub(crate) fn canonical_request(request: &Request, signed: &[&str], payload_hash: &str, s3: bool) -> String {
    let mut text = String::with_capacity(1024);
    text.push_str(request.method.as_str());
    text.push('\n');
    text.push_str(&canonical_path(&request.path, s3));
    text.push('\n');
    text.push_str(&canonical_query(&request.raw_query));
    text.push('\n');
    for name in signed {
        text.push_str(name);
        text.push(':');
        for (number, value) in request.headers.get_all(*name).iter().enumerate() {
            if number > 0 {
                text.push(',');
            }
            let value = String::from_utf8_lossy(value.as_bytes());
            for (number, word) in value.split_ascii_whitespace().enumerate() {
                if number > 0 {
                    text.push(' ');
                }
                text.push_str(word);
            }
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&signed.join(";"));
    text.push('\n');
    text.push_str(payload_hash);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// ListUsers on 2015-08-30, with each intermediate value of the guide.
    #[test]
    fn the_example_of_the_iam_guide() {
        let request = Request::example(
            "GET",
            "/?Action=ListUsers&Version=2010-05-08",
            &[
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("host", "iam.amazonaws.com"),
                ("x-amz-date", "20150830T123600Z"),
            ],
            "",
        );
        let canonical = canonical_request(&request, &["content-type", "host", "x-amz-date"], EMPTY, false);
        assert_eq!(
            hex(&sha256(canonical.as_bytes())),
            "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
        );
        let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
        let text = string_to_sign("20150830T123600Z", "20150830/us-east-1/iam/aws4_request", &canonical);
        assert_eq!(
            signature(&key, &text),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    fn s3_example(method: &str, target: &str, headers: &[(&'static str, &str)], hash: &str) -> String {
        let mut all = vec![("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z")];
        all.push(("x-amz-content-sha256", hash));
        all.extend(headers);
        let request = Request::example(method, target, &all, "");
        let mut signed: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        signed.sort_unstable();
        let canonical = canonical_request(&request, &signed, hash, true);
        let key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3");
        signature(&key, &string_to_sign("20130524T000000Z", "20130524/us-east-1/s3/aws4_request", &canonical))
    }

    /// A range, a path that must not be encoded twice, a query without a value, a sorted query.
    #[test]
    fn the_examples_of_the_s3_reference() {
        assert_eq!(
            s3_example("GET", "/test.txt", &[("range", "bytes=0-9")], EMPTY),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(
            s3_example(
                "PUT",
                "/test%24file.text",
                &[("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
                "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
        assert_eq!(
            s3_example("GET", "/?lifecycle", &[], EMPTY),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        );
        assert_eq!(
            s3_example("GET", "/?prefix=J&max-keys=2", &[], EMPTY),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn other_services_encode_the_path_once_more() {
        assert_eq!(canonical_path("/a%20b//c/../d/", false), "/a%2520b/d/");
        assert_eq!(canonical_path("/a%20b//c", true), "/a%20b//c");
        assert_eq!(canonical_path("", false), "/");
        assert_eq!(canonical_path("/2015-03-31/functions", false), "/2015-03-31/functions");
    }

    #[test]
    fn query_values_are_sorted_and_encoded_strictly() {
        assert_eq!(canonical_query("b=2&a=x%2fy&a=%7e&flag"), "a=x%2Fy&a=~&b=2&flag=");
    }

    #[test]
    fn an_authorization_header_is_parsed_or_rejected() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                      SignedHeaders=content-type;host, Signature=5d67";
        let parsed = Authorization::parse(header).unwrap();
        assert_eq!((parsed.key_id, parsed.service, parsed.signature), ("AKIDEXAMPLE", "iam", "5d67"));
        assert_eq!(parsed.signed_headers, ["content-type", "host"]);
        assert_eq!(parsed.scope(), "20150830/us-east-1/iam/aws4_request");
        assert!(Authorization::parse("Bearer x").is_err());
        assert!(Authorization::parse(&header.replace("iam/aws4_request", "iam")).is_err());
        assert!(Authorization::parse(&header.replace("Signature=", "Sig=")).is_err());
    }
}
