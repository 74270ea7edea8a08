//! Requests and responses without sockets, so that services can be tested alone. `server.rs` reads and writes them;
//! routing, authentication and the services use them.

use bytes::Bytes;
use hyper::{HeaderMap, Method};

use crate::encoding::percent_decode;
use crate::service::Service;

/// A host name of AWS's and what it stands for. `host_names.rs` makes it from the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsHost {
    pub(crate) name: String,
    pub(crate) service: Service,
    /// None for hosts of a whole partition.
    pub(crate) region: Option<String>,
}

/// A request, with its whole body.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// As sent, not decoded.
    pub(crate) path: String,
    /// As sent, without the question mark.
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The host that the client called through the proxy; none if it called the simulator's own address.
    pub(crate) host: Option<AwsHost>,
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

/// The decoded pairs of a query or a form.
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

    /// Returns true if a name is there twice, which OAuth forbids (RFC 6749 §3.1).
    pub(crate) fn has_repeated(&self) -> bool {
        self.0.iter().enumerate().any(|(at, (name, _))| self.0[..at].iter().any(|(before, _)| before == name))
    }

    /// Returns the values of `Name.1`, `Name.2`, … (the query protocol's lists) in the order of their numbers.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let numbered = self.0.iter().filter_map(|(key, value)| {
            let number = key.strip_prefix(name)?.strip_prefix('.')?.parse::<u32>().ok()?;
            Some((number, value.as_str()))
        });
        let mut numbered: Vec<(u32, &str)> = numbered.collect();
        numbered.sort_unstable();
        numbered.into_iter().map(|(_, value)| value).collect()
    }

    /// Returns EC2's filters: each `Filter.N.Name` with its `Filter.N.Value.M`.
    pub(crate) fn filters(&self) -> Vec<(&str, Vec<&str>)> {
        (1..)
            .map_while(|number| Some((number, self.get(&format!("Filter.{number}.Name"))?)))
            .map(|(number, name)| (name, self.list(&format!("Filter.{number}.Value"))))
            .collect()
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    pub(crate) fn json(status: u16, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("the keys of all response bodies are text");
        Self::new(status, "application/json", body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
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
}
