use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use heimdall_notifier::{Answer, Poster};
use http_body_util::{BodyExt, Limited};

use crate::address::{AddressPolicy, Resolver};
use crate::outward::{Outward, Reply};

// Standard Webhooks 1.0, "Timeouts", and what an answer may make us read.
const TIMEOUT: Duration = Duration::from_secs(15);
const LONGEST_ANSWER: usize = 1024;

/// Posts webhooks: one connection a delivery, to an address that was checked after it was resolved, without redirects.
pub struct WebhookPoster(Outward);

impl WebhookPoster {
    /// A poster that trusts what `tls` trusts and connects only to what `policy` allows.
    pub fn new(
        tls: Arc<rustls::ClientConfig>,
        resolver: Arc<dyn Resolver>,
        policy: AddressPolicy,
    ) -> Self {
        Self(Outward::new(tls, resolver, policy))
    }

    async fn exchange(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Answer, String> {
        let mut request = http::Request::builder()
            .method(http::Method::POST)
            .header(http::header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let body = Bytes::copy_from_slice(body.as_bytes());
        let reply = self.0.send(url, request, body).await?;
        Ok(read(reply).await)
    }
}

impl From<Outward> for WebhookPoster {
    fn from(outward: Outward) -> Self {
        Self(outward)
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

async fn read(reply: Reply) -> Answer {
    let Reply {
        response: answer,
        connection,
    } = reply;
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
    drop(connection);
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
