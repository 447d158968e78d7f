//! Where changes of authorisation come from.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heimdall_pipeline::{Http, HttpRequest};
use heimdall_types::Secret;

const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// Where changes come from: an API over HTTP, or the one in this process.
#[async_trait]
pub trait ChangeSource: Send + Sync {
    /// The base address of the API that is meant when a configuration names none.
    fn default_api(&self) -> Option<String>;

    /// The JSON document of `GET {api}/v1/apps/{app}/revocations?since=`; may wait for news up to `wait`.
    ///
    /// # Errors
    /// A sentence for the log.
    async fn changes(
        &self,
        api: &str,
        app: &str,
        since: i64,
        wait: Duration,
    ) -> Result<Vec<u8>, String>;
}

/// Asks an API over HTTP.
pub struct ApiOverHttp {
    http: Arc<dyn Http>,
    key: Option<Secret>,
}

impl ApiOverHttp {
    /// `key` is an API key that may read roles.
    pub fn new(http: Arc<dyn Http>, key: Option<Secret>) -> Self {
        Self { http, key }
    }
}

#[async_trait]
impl ChangeSource for ApiOverHttp {
    fn default_api(&self) -> Option<String> {
        None
    }

    async fn changes(
        &self,
        api: &str,
        app: &str,
        since: i64,
        wait: Duration,
    ) -> Result<Vec<u8>, String> {
        let mut headers = vec![("Accept".to_owned(), "application/json".to_owned())];
        if let Some(key) = &self.key {
            headers.push((
                "Authorization".to_owned(),
                format!("Bearer {}", key.expose()),
            ));
        }
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: format!(
                "{}/v1/apps/{app}/revocations?since={since}&wait={}",
                api.trim_end_matches('/'),
                wait.as_secs()
            ),
            headers,
            body: Vec::new(),
            timeout: wait + Duration::from_secs(10),
            max_body: MAX_ANSWER,
        };
        let answer = self
            .http
            .send(request)
            .await
            .map_err(|fault| fault.to_string())?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("status {}", answer.status))
        }
    }
}
