//! Role credentials from another STS that checks no signatures (moto's), so that the portal's credentials act in the
//! right account of another server's S3, EC2 and Lambda. `services/portal.rs` calls it.

use std::io;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::encoding::push_percent_encoded;

/// Credentials that the upstream has issued.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: String,
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    push_percent_encoded(&mut encoded, text.as_bytes(), false);
    encoded
}

/// Returns the text of the first element with a name, unescaped as far as credentials need it.
fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim().replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
}

/// Calls `AssumeRole` at `base` (`http://host:port`).
pub(crate) async fn assume_role(
    base: &str,
    partition: &str,
    account: &str,
    role: &str,
    session: &str,
) -> io::Result<Credentials> {
    let problem = |what: &str| io::Error::other(format!("upstream STS: {what}"));
    let host =
        base.strip_prefix("http://").ok_or_else(|| problem("not an http:// URL"))?.trim_end_matches('/');
    let arn = format!("arn:{partition}:iam::{account}:role/{role}");
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName={}",
        encode(&arn),
        encode(&session.replace(|c: char| !c.is_ascii_alphanumeric() && !"_+=,.@-".contains(c), "-")),
    );
    let stream = TcpStream::connect(host).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let request = Request::post("/")
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
        // moto finds the service by the scope, and checks nothing else of the header.
        .header(
            header::AUTHORIZATION,
            "AWS4-HMAC-SHA256 Credential=AKIDUPSTREAM/20260101/us-east-1/sts/aws4_request, \
             SignedHeaders=host, Signature=0",
        )
        .body(Full::new(Bytes::from(form)))
        .map_err(io::Error::other)?;
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    drop(sender);
    driver.abort();
    if !status.is_success() {
        return Err(problem(&format!("status {status}")));
    }
    let xml = String::from_utf8_lossy(&body);
    let found =
        |name: &str| element(&xml, name).ok_or_else(|| problem(&format!("no {name} in its response")));
    Ok(Credentials {
        access_key_id: found("AccessKeyId")?,
        secret_access_key: found("SecretAccessKey")?,
        session_token: found("SessionToken")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_unescaped() {
        let xml = "<A><Key> a&amp;b/+= </Key></A>";
        assert_eq!(element(xml, "Key").as_deref(), Some("a&b/+="));
        assert_eq!(element(xml, "Nothing"), None);
        assert_eq!(encode("arn:aws:iam::1:role/=x"), "arn%3Aaws%3Aiam%3A%3A1%3Arole%2F%3Dx");
    }
}
