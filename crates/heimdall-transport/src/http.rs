use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use heimdall_pipeline::{Http, HttpFault, HttpRequest, HttpResponse};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_IDLE_PER_HOST: usize = 32;
/// A head that is larger is no answer to anything we ask.
const MAX_HEAD: usize = 64 * 1024;

/// An HTTP client for endpoints that the operator configured: pooled, HTTP/1.1 and HTTP/2, TLS verified.
///
/// It sends one request and follows no redirect. Cheap to clone; may be used from any runtime of the process.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HttpClient {
    /// A client that trusts what `tls` trusts.
    pub fn new(tls: rustls::ClientConfig) -> Self {
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(CONNECT_TIMEOUT));
        plain.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(plain);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_HEAD)
            .build(connector);
        Self { client }
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        let max_body = request.max_body;
        let (head, body) = self
            .client
            .request(build(request)?)
            .await
            .map_err(|error| fault(&error))?
            .into_parts();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        Ok(HttpResponse {
            status: head.status.as_u16(),
            headers,
            body: read(body, max_body).await?,
        })
    }
}

#[async_trait]
impl Http for HttpClient {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        tokio::time::timeout(request.timeout, self.exchange(request))
            .await
            .unwrap_or(Err(HttpFault::Timeout))
    }
}

fn build(request: HttpRequest) -> Result<http::Request<Full<Bytes>>, HttpFault> {
    let bad = |cause: &dyn Error| HttpFault::Unreachable(cause.to_string());
    let mut built = http::Request::builder()
        .method(request.method.as_str())
        .uri(request.url.as_str());
    for (name, value) in &request.headers {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|error| bad(&error))?;
        built = built.header(name.as_str(), value);
    }
    built
        .body(Full::from(request.body))
        .map_err(|error| bad(&error))
}

async fn read(mut body: Incoming, max: usize) -> Result<Vec<u8>, HttpFault> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpFault::Garbage(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            if all.len() + data.len() > max {
                return Err(HttpFault::TooLarge);
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(all)
}

fn fault(error: &hyper_util::client::legacy::Error) -> HttpFault {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        if let Some(hyper) = deeper.downcast_ref::<hyper::Error>()
            && hyper.is_parse()
        {
            return HttpFault::Garbage(hyper.to_string());
        }
        cause = deeper;
    }
    HttpFault::Unreachable(cause.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::tls::client_config;

    async fn answering(answer: &'static str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x?y=1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut space = [0; 4096];
                let count = stream.read(&mut space).await.unwrap_or_default();
                let seen = String::from_utf8_lossy(&space[..count]).into_owned();
                let _ = stream
                    .write_all(
                        answer
                            .replace("{seen}", seen.lines().next().unwrap_or_default())
                            .as_bytes(),
                    )
                    .await;
                if answer.is_empty() {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                }
            }
        });
        url
    }

    async fn ask(answer: &'static str) -> Result<HttpResponse, HttpFault> {
        let request = HttpRequest {
            method: "POST".into(),
            url: answering(answer).await,
            headers: vec![("X-A".into(), "b".into())],
            body: b"hello".to_vec(),
            timeout: Duration::from_millis(300),
            max_body: 64,
        };
        HttpClient::new(client_config(None).unwrap())
            .send(request)
            .await
    }

    #[tokio::test]
    async fn an_answer_comes_whole_whatever_its_status() {
        let answer = ask("HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        assert_eq!(
            (
                answer.status,
                answer.header("location"),
                answer.body.as_slice()
            ),
            (302, Some("/y"), b"ok".as_slice())
        );
    }

    #[tokio::test]
    async fn silence_garbage_and_floods_are_told_apart() {
        assert_eq!(ask("").await, Err(HttpFault::Timeout));
        assert!(matches!(
            ask("hello there\r\n\r\n").await,
            Err(HttpFault::Garbage(_))
        ));
        let flood: &'static str =
            Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100)).into_boxed_str());
        assert_eq!(ask(flood).await, Err(HttpFault::TooLarge));
    }
}
