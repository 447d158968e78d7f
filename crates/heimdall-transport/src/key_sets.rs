use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use heimdall_token::{FetchedJwks, JwksFetch};
use heimdall_types::Fault;
use http::header;
use http_body_util::{BodyExt, Limited};

use crate::outward::{Outward, Reply};

const TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST_SET: usize = 512 * 1024;

/// Fetches key sets from addresses that tenants chose (`jwks_uri` of a client).
pub struct KeySets(Outward);

impl From<Outward> for KeySets {
    fn from(outward: Outward) -> Self {
        Self(outward)
    }
}

impl KeySets {
    async fn exchange(&self, url: &str) -> Result<FetchedJwks, String> {
        let request = http::Request::builder()
            .header(header::ACCEPT, "application/jwk-set+json, application/json");
        let Reply {
            response,
            connection,
        } = self.0.send(url, request, Bytes::new()).await?;
        if response.status() != http::StatusCode::OK {
            return Err(format!("the answer was {}", response.status().as_u16()));
        }
        let max_age = response
            .headers()
            .get(header::CACHE_CONTROL)
            .and_then(|value| value.to_str().ok())
            .and_then(max_age);
        let body = Limited::new(response.into_body(), LARGEST_SET)
            .collect()
            .await
            .map_err(|_| "the answer broke off or is too large".to_owned())?
            .to_bytes()
            .to_vec();
        drop(connection);
        Ok(FetchedJwks { body, max_age })
    }
}

#[async_trait]
impl JwksFetch for KeySets {
    async fn fetch(&self, url: &str) -> Result<FetchedJwks, Fault> {
        tokio::time::timeout(TIMEOUT, self.exchange(url))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} seconds", TIMEOUT.as_secs())))
            .map_err(Fault::Unavailable)
    }
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let directives = cache_control.split(',').map(str::trim);
    let seconds = directives
        .filter_map(|one| one.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    seconds.1.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::address::{AddressPolicy, SystemResolver};
    use crate::tls::client_config;

    async fn fetched(policy: AddressPolicy, answer: String) -> Result<FetchedJwks, Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut space = [0; 1024];
            let _ = stream.read(&mut space).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        let tls = Arc::new(client_config(None).unwrap());
        KeySets::from(Outward::new(tls, Arc::new(SystemResolver), policy))
            .fetch(&url)
            .await
    }

    #[tokio::test]
    async fn a_set_comes_with_the_time_it_may_be_kept() {
        let answer =
            "HTTP/1.1 200 OK\r\nCache-Control: public, Max-Age=60\r\nContent-Length: 2\r\n\r\n{}";
        let set = fetched(AddressPolicy::Any, answer.to_owned())
            .await
            .unwrap();
        assert_eq!(
            (set.body.as_slice(), set.max_age),
            (b"{}".as_slice(), Some(Duration::from_secs(60)))
        );
    }

    #[tokio::test]
    async fn redirects_floods_and_private_addresses_give_nothing() {
        let moved = "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n";
        assert!(fetched(AddressPolicy::Any, moved.to_owned()).await.is_err());
        let flood = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LARGEST_SET + 1));
        assert!(fetched(AddressPolicy::Any, flood).await.is_err());
        let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert!(
            fetched(AddressPolicy::PublicOnly, good.to_owned())
                .await
                .is_err()
        );
    }
}
