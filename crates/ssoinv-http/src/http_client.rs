//! The one HTTP client that all AWS clients share: TLS, proxies, connection pool.
//!
//! A client that is built by hand reads neither `AWS_CA_BUNDLE` nor the proxy variables. So the proxy variables are read
//! here, from the environment that is passed in, and the bundle is named by the caller.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::pool::{Client, ConnectionPool};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ssoinv_core::env::Env;

use crate::large_bodies::limit_large_bodies;

/// A file of certificates that are trusted instead of the system's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaBundle {
    /// The PEM file.
    pub path: PathBuf,
    /// The source of the path, for messages: `AWS_CA_BUNDLE`, or file and line.
    pub origin: String,
}

/// The reason for which there is no HTTP client.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The file of certificates can't be read.
    #[error("the certificates in `{}` ({}) cannot be read", bundle.path.display(), bundle.origin)]
    UnreadableBundle {
        /// The file.
        bundle: CaBundle,
        /// The reason.
        source: std::io::Error,
    },
    /// The file holds no certificate that TLS can use.
    #[error("`{}` ({}) holds no certificate in PEM form", bundle.path.display(), bundle.origin)]
    NoCertificate {
        /// The file.
        bundle: CaBundle,
    },
    /// The proxy's address isn't valid. Not shown, since it may hold a password.
    #[error("the proxy in `{variable}` is not a URL that starts with http:// or https://")]
    InvalidProxy {
        /// The environment variable.
        variable: &'static str,
    },
    /// The connection pool refused its settings, which is a bug.
    #[error("the HTTP client cannot be built: {reason}")]
    Pool {
        /// The reason.
        reason: String,
    },
}

/// Builds the shared HTTP client.
///
/// `bundle` replaces the system's certificates, as in botocore. Proxies come from `HTTPS_PROXY`, `ALL_PROXY` and
/// `NO_PROXY` of `env`, in upper or lower case; plain HTTP, which only goes to this machine, uses no proxy.
/// `connections` bounds the connections to one host: all accounts share `ec2.<region>`, so it should not be below the
/// number of concurrent calls. `idle` is the time for which an unused connection stays open; if none is given, the
/// client's own default. Large bodies are read a few at a time (`large_bodies.rs`).
pub fn client(
    env: &Env,
    bundle: Option<&CaBundle>,
    connections: NonZeroUsize,
    idle: Option<Duration>,
) -> Result<SharedHttpClient, HttpError> {
    let mut tls = TlsContext::builder();
    if let Some(bundle) = bundle {
        tls = tls.with_trust_store(trusted(bundle)?);
    }
    let broken = |reason: &dyn fmt::Display| HttpError::Pool { reason: reason.to_string() };
    let mut builder = ConnectionPool::builder();
    builder.set_idle_timeout(idle.map(Some));
    let pool = builder
        .max_connections_per_host(connections.get())
        .proxy_config(proxy(env)?)
        .sleep_impl(TokioSleep::new())
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(tls.build().map_err(|error| broken(&error))?)
        .build_https()
        .map_err(|error| broken(&error))?;
    let client = Client::new(&pool).map_err(|error| broken(&error))?;
    Ok(limit_large_bodies(SharedHttpClient::new(client)))
}

/// Reads the certificates of a bundle.
///
/// Certificates that TLS can't use are skipped, as OpenSSL does: bundles of whole distributions hold some.
fn trusted(bundle: &CaBundle) -> Result<TrustStore, HttpError> {
    let unreadable = |source| HttpError::UnreadableBundle { bundle: bundle.clone(), source };
    let text = std::fs::read(&bundle.path).map_err(unreadable)?;
    let mut store = TrustStore::empty();
    let mut found = false;
    for block in pem_blocks(&String::from_utf8_lossy(&text)) {
        let usable = CertificateDer::from_pem_slice(block.as_bytes())
            .is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok());
        if usable {
            store.add_pem_certificate(block.as_bytes());
            found = true;
        }
    }
    if found { Ok(store) } else { Err(HttpError::NoCertificate { bundle: bundle.clone() }) }
}

/// Splits a PEM text into certificates, each with its first and last line (RFC 7468).
fn pem_blocks(text: &str) -> impl Iterator<Item = &str> {
    const END: &str = "-----END CERTIFICATE-----";
    text.match_indices("-----BEGIN CERTIFICATE-----").filter_map(move |(start, _)| {
        let length = text[start..].find(END)?;
        Some(&text[start..start + length + END.len()])
    })
}

/// Reads the proxy for HTTPS from the environment.
fn proxy(env: &Env) -> Result<ProxyConfig, HttpError> {
    let first = |names: &[&'static str]| {
        names
            .iter()
            .find_map(|name| env.get(*name).filter(|value| !value.is_empty()).map(|value| (*name, value)))
    };
    let Some((variable, address)) = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]) else {
        return Ok(ProxyConfig::disabled());
    };
    // As in curl and botocore, an address without a scheme is plain http.
    let url = if address.contains("://") { address.clone() } else { format!("http://{address}") };
    let proxy = ProxyConfig::https(url).map_err(|_| HttpError::InvalidProxy { variable })?;
    Ok(match first(&["no_proxy", "NO_PROXY"]) {
        Some((_, hosts)) => proxy.no_proxy(hosts),
        None => proxy,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// ISRG Root X2, a public root certificate.
    const ROOT: &str = "-----BEGIN CERTIFICATE-----
MIICGzCCAaGgAwIBAgIQQdKd0XLq7qeAwSxs6S+HUjAKBggqhkjOPQQDAzBPMQsw
CQYDVQQGEwJVUzEpMCcGA1UEChMgSW50ZXJuZXQgU2VjdXJpdHkgUmVzZWFyY2gg
R3JvdXAxFTATBgNVBAMTDElTUkcgUm9vdCBYMjAeFw0yMDA5MDQwMDAwMDBaFw00
MDA5MTcxNjAwMDBaME8xCzAJBgNVBAYTAlVTMSkwJwYDVQQKEyBJbnRlcm5ldCBT
ZWN1cml0eSBSZXNlYXJjaCBHcm91cDEVMBMGA1UEAxMMSVNSRyBSb290IFgyMHYw
EAYHKoZIzj0CAQYFK4EEACIDYgAEzZvVn4CDCuwJSvMWSj5cz3es3mcFDR0HttwW
+1qLFNvicWDEukWVEYmO6gbf9yoWHKS5xcUy4APgHoIYOIvXRdgKam7mAHf7AlF9
ItgKbppbd9/w+kHsOdx1ymgHDB/qo0IwQDAOBgNVHQ8BAf8EBAMCAQYwDwYDVR0T
AQH/BAUwAwEB/zAdBgNVHQ4EFgQUfEKWrt5LSDv6kviejM9ti6lyN5UwCgYIKoZI
zj0EAwMDaAAwZQIwe3lORlCEwkSHRhtFcP9Ymd70/aTSVaYgLXTWNLxBo1BfASdW
tL4ndQavEi51mI38AjEAi/V3bNTIZargCyzuFJ0nN6T5U6VR5CmD1/iQMVtCnwr1
/q4AaOeMSQ+2b1tbFfLn
-----END CERTIFICATE-----
";
    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    fn bundle(text: &str) -> (tempfile::NamedTempFile, CaBundle) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.path().to_owned();
        (file, CaBundle { path, origin: "AWS_CA_BUNDLE".to_owned() })
    }

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[tokio::test]
    async fn a_bundle_is_read_and_what_tls_cannot_use_in_it_is_passed_over() {
        let connections = NonZeroUsize::new(4).unwrap();
        let (_file, good) = bundle(&format!("# a comment\n{BROKEN}\n{ROOT}"));
        client(&Env::new(), Some(&good), connections, None).expect("a client");
        let expected = TrustStore::empty().with_pem_certificate(ROOT.trim_end());
        assert_eq!(
            format!("{:?}", trusted(&good).unwrap()),
            format!("{expected:?}"),
            "the bundle and nothing else"
        );
        for text in ["", "no PEM at all", BROKEN, "-----BEGIN CERTIFICATE-----\n"] {
            let (_file, bad) = bundle(text);
            let error = client(&Env::new(), Some(&bad), connections, None).expect_err(text);
            assert!(matches!(error, HttpError::NoCertificate { .. }), "{text}: {error}");
        }
        let gone = CaBundle { path: PathBuf::from("does/not/exist.pem"), origin: "AWS_CA_BUNDLE".to_owned() };
        let error = client(&Env::new(), Some(&gone), connections, None).expect_err("no file");
        assert_eq!(
            error.to_string(),
            "the certificates in `does/not/exist.pem` (AWS_CA_BUNDLE) cannot be read"
        );
    }

    #[test]
    fn proxies_come_from_the_environment_handed_in() {
        assert!(proxy(&env(&[("HTTP_PROXY", "http://p:1"), ("https_proxy", "")])).unwrap().is_disabled());
        for good in ["http://p:3128", "p:3128", "https://user:pw@p"] {
            assert!(
                !proxy(&env(&[("HTTPS_PROXY", good), ("NO_PROXY", "localhost")])).unwrap().is_disabled(),
                "{good}"
            );
        }
        let error = proxy(&env(&[("ALL_PROXY", "socks5://me:secret@p")])).unwrap_err();
        assert!(matches!(error, HttpError::InvalidProxy { variable: "ALL_PROXY" }));
        assert!(!error.to_string().contains("secret"));
    }
}
