use std::io;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pool::Sender;
use super::{Outgoing, Target, UpstreamTls};

pub(super) async fn open(target: Target<'_>, tls: &UpstreamTls) -> io::Result<Sender> {
    let (host, port) = split(target);
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    if !target.tls {
        return handshake1(stream).await;
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = if target.upgrade { &tls.http1 } else { &tls.any };
    let stream = TlsConnector::from(config.clone())
        .connect(name, stream)
        .await?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => handshake2(stream).await,
        _ => handshake1(stream).await,
    }
}

/// Host without brackets, and the port or the scheme's.
fn split(target: Target<'_>) -> (&str, u16) {
    let default = if target.tls { 443 } else { 80 };
    let authority = target.authority;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !port.contains(']') => {
            (host, port.parse().unwrap_or(default))
        }
        _ => (authority, default),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

async fn handshake1<T>(stream: T) -> io::Result<Sender>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .handshake::<_, Outgoing>(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(connection.with_upgrades());
    Ok(Sender::H1(sender))
}

async fn handshake2<T>(stream: T) -> io::Result<Sender>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(LocalSpawn)
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1024)
        .handshake::<_, Outgoing>(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(connection);
    Ok(Sender::H2(sender))
}

/// Runs futures on this thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalSpawn;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalSpawn
where
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_taken_apart() {
        for (authority, tls, want) in [
            ("a.example", false, ("a.example", 80)),
            ("a.example", true, ("a.example", 443)),
            ("a.example:81", true, ("a.example", 81)),
            ("[::1]:81", false, ("::1", 81)),
            ("[::1]", false, ("::1", 80)),
        ] {
            assert_eq!(
                split(Target {
                    tls,
                    authority,
                    upgrade: false
                }),
                want
            );
        }
    }
}
