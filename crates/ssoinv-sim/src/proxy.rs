//! The simulator as an HTTPS proxy (CONNECT, RFC 9110 §9.3.6) that stands for AWS's own host names, so that programs can
//! run with the names that they would call. `simulator.rs` starts it; behind the tunnel is `server.rs`.
//!
//! Nothing leaves the machine: names that aren't AWS's are rejected.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::authority::Authority;
use crate::host_faults::{HostFault, HostFaults};
use crate::host_names;
use crate::server::{self, Stream};
use crate::state::State;

/// The longest head of a request to the proxy.
const LONGEST_HEAD: usize = 8192;

/// Serves until the future is dropped. Without host faults in the state there is nothing to serve.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, authority: Arc<Authority>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (state, authority) = (Arc::clone(&state), Arc::clone(&authority));
        tokio::spawn(async move {
            let Some(hosts) = &state.host_faults else { return };
            // An error is a client that went, or that doesn't trust the certificate.
            let _ended = tunnel(stream, &state, hosts, &authority).await;
        });
    }
}

async fn tunnel(
    mut stream: TcpStream,
    state: &Arc<State>,
    hosts: &HostFaults,
    authority: &Authority,
) -> io::Result<()> {
    let Some(name) = read_connect(&mut stream).await? else {
        return reject(&mut stream, "405 Method Not Allowed").await;
    };
    let Some(host) = host_names::resolve(&name) else {
        hosts.record_unknown(name);
        return reject(&mut stream, "403 Forbidden").await;
    };
    match hosts.connect(&name) {
        Some(HostFault::Refused) => return reject(&mut stream, "503 Service Unavailable").await,
        Some(HostFault::Unresolvable) => return reject(&mut stream, "502 Bad Gateway").await,
        // For as long as the client waits.
        Some(HostFault::Silent) => {
            let _gone = stream.read_u8().await;
            return Ok(());
        }
        None => {}
    }
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let stream = authority.acceptor(&name)?.accept(stream).await?;
    server::serve_connection(Stream::Tls(Box::new(stream)), Arc::clone(state), Some(host)).await;
    Ok(())
}

/// Reads the host name of a CONNECT request; none if the request is another one.
async fn read_connect(stream: &mut TcpStream) -> io::Result<Option<String>> {
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

async fn reject(stream: &mut TcpStream, status: &str) -> io::Result<()> {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}
