use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use heimdall_notifier::{Answer, Poster};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::address::{AddressPolicy, Resolver, resolve_checked};

// Standard Webhooks 1.0, "Timeouts", and what an answer may make us read.
const TIMEOUT: Duration = Duration::from_secs(15);
const LONGEST_ANSWER: usize = 1024;

/// Posts webhooks: one connection a delivery, to an address that was checked after it was resolved, without redirects.
pub struct WebhookPoster {
    tls: Arc<rustls::ClientConfig>,
    resolver: Arc<dyn Resolver>,
    policy: AddressPolicy,
}

impl WebhookPoster {
    /// A poster that trusts what `tls` trusts and connects only to what `policy` allows.
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

    async fn exchange(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Answer, String> {
        let url = Url::parse(url).map_err(|_| "the URL cannot be read".to_owned())?;
        let host = url.host().ok_or("the URL has no host")?;
        let port = url.port_or_known_default().ok_or("the URL has no port")?;
        let name = host.to_string();
        let found = resolve_checked(self.resolver.as_ref(), &name, port, self.policy).await;
        let addresses = found.map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| format!("no connection: {}", error.kind()))?;
        let request = build(&url, headers, body)?;
        match url.scheme() {
            "http" => send(stream, request).await,
            "https" => {
                let server = server_name(&host)?;
                let connector = TlsConnector::from(self.tls.clone());
                let secure = connector
                    .connect(server, stream)
                    .await
                    .map_err(|error| format!("TLS: {error}"))?;
                send(secure, request).await
            }
            _ => Err("the URL is neither http nor https".to_owned()),
        }
    }
}

#[async_trait]
impl Poster for WebhookPoster {
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Answer, String> {
        let outcome = tokio::time::timeout(TIMEOUT, self.exchange(url, headers, body)).await;
        outcome.unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIMEOUT.as_secs())))
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

fn build(
    url: &Url,
    headers: &[(&'static str, String)],
    body: &str,
) -> Result<http::Request<Full<Bytes>>, String> {
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = url.host_str().unwrap_or_default();
    let authority = url
        .port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let mut request = http::Request::post(path)
        .header(http::header::HOST, authority)
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(
            http::header::USER_AGENT,
            concat!("Heimdall/", env!("CARGO_PKG_VERSION")),
        );
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|error| error.to_string())
}

async fn send<S>(stream: S, request: http::Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| format!("the exchange broke: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(broken);
    let answer = match answer {
        Ok(answer) => Ok(read(answer).await),
        Err(error) => Err(error),
    };
    driver.abort();
    answer
}

async fn read(answer: http::Response<Incoming>) -> Answer {
    let status = answer.status().as_u16();
    let retry_after = answer
        .headers()
        .get(http::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let retry_after = retry_after
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    // Read a little so that a well-behaved receiver sees its answer taken; whatever follows is of no interest.
    let _ = Limited::new(answer.into_body(), LONGEST_ANSWER)
        .collect()
        .await;
    Answer {
        status,
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::SystemResolver;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    fn poster(policy: AddressPolicy) -> WebhookPoster {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        WebhookPoster::new(Arc::new(tls), Arc::new(SystemResolver), policy)
    }

    async fn receiver(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&buffer[..read]).into_owned()
        });
        (port, seen)
    }

    #[tokio::test]
    async fn headers_and_body_arrive_and_retry_after_is_read() {
        let (port, seen) =
            receiver("HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n").await;
        let url = format!("http://127.0.0.1:{port}/hook?a=b");
        let answer = poster(AddressPolicy::Any)
            .post(&url, &[("webhook-id", "evt_1".to_owned())], "{}")
            .await
            .unwrap();
        assert_eq!(
            answer,
            Answer {
                status: 503,
                retry_after: Some(Duration::from_secs(7))
            }
        );
        let request = seen.await.unwrap();
        assert!(
            request.starts_with("POST /hook?a=b HTTP/1.1\r\n")
                && request.contains("webhook-id: evt_1"),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_like_any_other() {
        let (port, seen) = receiver(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
        let answer = poster(AddressPolicy::Any)
            .post(&format!("http://127.0.0.1:{port}/"), &[], "{}")
            .await
            .unwrap();
        assert_eq!(answer.status, 302);
        seen.await.unwrap();
    }

    #[tokio::test]
    async fn inward_addresses_are_refused_at_connect_in_any_spelling() {
        for url in [
            "http://127.0.0.1:9/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
        ] {
            let refused = poster(AddressPolicy::PublicOnly)
                .post(url, &[], "{}")
                .await
                .unwrap_err();
            assert!(refused.contains("not a public address"), "{url}: {refused}");
        }
    }
}
