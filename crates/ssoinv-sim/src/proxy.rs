//! The simulator as an HTTPS proxy (RFC 9110 §9.3.6, CONNECT) that stands for AWS's own host names, with certificates of
//! an authority of its own: so programs can be tried with the names that they would call. Nothing leaves the machine:
//! a name that isn't AWS's is refused. What is answered behind it: `server.rs`.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::hosts::Host;
use crate::lock;
use crate::server::{self, Stream};
use crate::state::State;

/// The longest head of a request to the proxy.
const LONGEST_HEAD: usize = 8192;

/// What a host can be made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostFault {
    /// Nobody listens there.
    Refused,
    /// It never answers.
    Silent,
    /// It has no address.
    Unresolvable,
}

/// The authority, and what is wrong with hosts.
pub(crate) struct Proxy {
    authority: CertifiedIssuer<'static, KeyPair>,
    pem: String,
    acceptors: Mutex<HashMap<String, TlsAcceptor>>,
    faults: Mutex<HashMap<String, HostFault>>,
    /// Names that were asked for and refused.
    strangers: Mutex<Vec<String>>,
    /// How often hosts were asked for that something is wrong with.
    in_vain: Mutex<HashMap<String, usize>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("faults", &self.faults).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A new authority.
    pub(crate) fn new() -> io::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "ssoinv-sim");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let authority = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        let pem = authority.pem();
        Ok(Self {
            authority,
            pem,
            acceptors: Mutex::default(),
            faults: Mutex::default(),
            strangers: Mutex::default(),
            in_vain: Mutex::default(),
        })
    }

    /// The authority's certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn set_fault(&self, host: &str, fault: Option<HostFault>) {
        let mut faults = lock(&self.faults);
        match fault {
            Some(fault) => faults.insert(host.to_owned(), fault),
            None => faults.remove(host),
        };
    }

    pub(crate) fn strangers(&self) -> Vec<String> {
        lock(&self.strangers).clone()
    }

    pub(crate) fn in_vain(&self, host: &str) -> usize {
        lock(&self.in_vain).get(host).copied().unwrap_or_default()
    }

    /// TLS with a certificate for this name.
    fn acceptor(&self, name: &str) -> io::Result<TlsAcceptor> {
        if let Some(known) = lock(&self.acceptors).get(name) {
            return Ok(known.clone());
        }
        let params = CertificateParams::new(vec![name.to_owned()]).map_err(io::Error::other)?;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.authority).map_err(io::Error::other)?;
        let chain: Vec<CertificateDer<'static>> =
            vec![certificate.der().clone(), self.authority.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        lock(&self.acceptors).insert(name.to_owned(), acceptor.clone());
        Ok(acceptor)
    }
}

/// Serves until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, proxy: Arc<Proxy>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (state, proxy) = (Arc::clone(&state), Arc::clone(&proxy));
        tokio::spawn(async move {
            // A client that went, or doesn't trust the certificate.
            let _ended = tunnel(stream, state, &proxy).await;
        });
    }
}

async fn tunnel(mut stream: TcpStream, state: Arc<State>, proxy: &Proxy) -> io::Result<()> {
    let Some(name) = connect(&mut stream).await? else {
        return refuse(&mut stream, "405 Method Not Allowed").await;
    };
    let Some(host) = Host::of(&name) else {
        lock(&proxy.strangers).push(name);
        return refuse(&mut stream, "403 Forbidden").await;
    };
    let fault = lock(&proxy.faults).get(&name).copied();
    if fault.is_some() {
        *lock(&proxy.in_vain).entry(name.clone()).or_default() += 1;
    }
    match fault {
        Some(HostFault::Refused) => return refuse(&mut stream, "503 Service Unavailable").await,
        Some(HostFault::Unresolvable) => return refuse(&mut stream, "502 Bad Gateway").await,
        // For as long as the client waits.
        Some(HostFault::Silent) => {
            let _gone = stream.read_u8().await;
            return Ok(());
        }
        None => {}
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let stream = proxy.acceptor(&name)?.accept(stream).await?;
    server::connection(Stream::Tls(Box::new(stream)), state, Some((name, host))).await;
    Ok(())
}

/// The name that a client wants to be connected with; none where it wants anything else.
async fn connect(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD {
            return Ok(None);
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let name = target.and_then(|target| target.strip_suffix(":443"));
    Ok(name.map(str::to_ascii_lowercase))
}

async fn refuse(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
