use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use heimdall_approval::accounts::ports::{ProviderAnswer, ProviderHttp, ProviderRequest};
use heimdall_token::{FetchedJwks, JwksFetch};
use heimdall_types::Fault;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A provider that takes longer has not answered: somebody waits in front of a browser.
const TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 256 * 1024;

/// Asks the providers that external approvers log in with: over verified TLS, in bounded time, following no redirect.
/// Cheap to clone.
#[derive(Clone)]
pub struct ProviderClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl ProviderClient {
    /// A client that trusts what `tls` trusts.
    pub fn new(tls: rustls::ClientConfig) -> Self {
        let mut plain = HttpConnector::new();
        // The addresses come from the configuration, which allows no TLS only for this machine.
        plain.enforce_http(false);
        plain.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(plain);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    async fn send(
        &self,
        request: ProviderRequest,
    ) -> Result<(http::HeaderMap, ProviderAnswer), Fault> {
        let exchange = async {
            let (head, body) = self
                .0
                .request(build(request)?)
                .await
                .map_err(|error| Fault::Unavailable(format!("the provider: {error}")))?
                .into_parts();
            let body = Limited::new(body, LARGEST_ANSWER)
                .collect()
                .await
                .map_err(|_| {
                    Fault::Unavailable("the provider's answer broke off or is too large".into())
                })?
                .to_bytes()
                .to_vec();
            let status = head.status.as_u16();
            Ok((head.headers, ProviderAnswer { status, body }))
        };
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| {
                Err(Fault::Unavailable(
                    "the provider did not answer in time".into(),
                ))
            })
    }
}

fn build(request: ProviderRequest) -> Result<http::Request<Full<Bytes>>, Fault> {
    let mut built = http::Request::builder()
        .uri(&request.url)
        .header(http::header::ACCEPT, "application/json")
        .header(
            http::header::USER_AGENT,
            concat!("heimdall/", env!("CARGO_PKG_VERSION")),
        );
    if let Some(authorization) = &request.authorization {
        let mut value = http::HeaderValue::from_str(authorization.expose())
            .map_err(|_| Fault::Corrupt("a credential that no header can hold".into()))?;
        value.set_sensitive(true);
        built = built.header(http::header::AUTHORIZATION, value);
    }
    let body = match request.body {
        Some((media_type, body)) => {
            built = built
                .method(http::Method::POST)
                .header(http::header::CONTENT_TYPE, media_type);
            Bytes::copy_from_slice(body.expose().as_bytes())
        }
        None => Bytes::new(),
    };
    built
        .body(Full::new(body))
        .map_err(|error| Fault::Unavailable(format!("the provider's address: {error}")))
}

#[async_trait]
impl ProviderHttp for ProviderClient {
    async fn ask(&self, request: ProviderRequest) -> Result<ProviderAnswer, Fault> {
        Ok(self.send(request).await?.1)
    }
}

#[async_trait]
impl JwksFetch for ProviderClient {
    async fn fetch(&self, url: &str) -> Result<FetchedJwks, Fault> {
        let request = ProviderRequest {
            url: url.to_owned(),
            authorization: None,
            body: None,
        };
        let (headers, answer) = self.send(request).await?;
        if answer.status != 200 {
            return Err(Fault::Unavailable(format!(
                "the key set answered {}",
                answer.status
            )));
        }
        let policy = headers
            .get(http::header::CACHE_CONTROL)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let max_age = policy
            .split(',')
            .find_map(|part| part.trim().strip_prefix("max-age="))
            .and_then(|seconds| seconds.parse().ok())
            .map(Duration::from_secs);
        Ok(FetchedJwks {
            body: answer.body,
            max_age,
        })
    }
}
