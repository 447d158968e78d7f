use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::address::{AddressPolicy, Resolver, resolve_checked};

/// The way out to addresses that tenants chose: one connection a request, to an address that was checked after it was
/// resolved, without redirects. Cheap to clone.
#[derive(Clone)]
pub struct Outward {
    tls: Arc<rustls::ClientConfig>,
    resolver: Arc<dyn Resolver>,
    policy: AddressPolicy,
}

impl std::fmt::Debug for Outward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outward")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// An answer whose body was not read yet. Dropping it closes the connection.
pub(crate) struct Reply {
    pub(crate) response: http::Response<Incoming>,
    pub(crate) connection: Connection,
}

/// Drives the exchange as long as it is held.
pub(crate) struct Connection(tokio::task::JoinHandle<Result<(), hyper::Error>>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Outward {
    /// A way that trusts what `tls` trusts and leads only to what `policy` allows.
    pub fn new(
        tls: Arc<rustls::ClientConfig>,
        resolver: Arc<dyn Resolver>,
        policy: AddressPolicy,
    ) -> Self {
        Self {
            tls,
            resolver,
            policy,
        }
    }

    /// Whether `host` leads where requests must not go. A name that does not resolve leads nowhere yet; it is looked at
    /// again at every request.
    pub async fn leads_inward(&self, host: &str, port: u16) -> bool {
        use crate::address::AddressError;
        let found = resolve_checked(self.resolver.as_ref(), host, port, self.policy).await;
        matches!(found, Err(AddressError::NotPublic(_)))
    }

    /// Sends `request`, which has neither target nor `Host` yet, to `url`.
    pub(crate) async fn send(
        &self,
        url: &str,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<Reply, String> {
        let url = Url::parse(url).map_err(|_| "the URL cannot be read".to_owned())?;
        let host = url.host().ok_or("the URL has no host")?;
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        let name = host.to_string();
        let found = resolve_checked(self.resolver.as_ref(), &name, port, self.policy).await;
        let addresses = found.map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| format!("no connection: {}", error.kind()))?;
        let request = address(&url, request)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        match url.scheme() {
            "http" => exchange(stream, request).await,
            "https" => {
                let server = server_name(&host)?;
                let connector = TlsConnector::from(self.tls.clone());
                let secure = connector
                    .connect(server, stream)
                    .await
                    .map_err(|error| format!("TLS: {error}"))?;
                exchange(secure, request).await
            }
            _ => Err("the URL is neither http nor https".to_owned()),
        }
    }
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, String> {
    let name = match host {
        Host::Domain(name) => (*name).to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    ServerName::try_from(name).map_err(|_| "the host cannot be checked by TLS".to_owned())
}

fn address(url: &Url, request: http::request::Builder) -> http::request::Builder {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = url.host_str().unwrap_or_default();
    let authority = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    request
        .uri(path)
        .header(http::header::HOST, authority)
        .header(
            http::header::USER_AGENT,
            concat!("Heimdall/", env!("CARGO_PKG_VERSION")),
        )
}

async fn exchange<S>(stream: S, request: http::Request<Full<Bytes>>) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| format!("the exchange broke: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let connection = Connection(tokio::spawn(connection));
    Ok(Reply {
        response: sender.send_request(request).await.map_err(broken)?,
        connection,
    })
}
