//! What the finalizers need of the world.

use std::time::Duration;

use async_trait::async_trait;
use heimdall_types::Secret;

use crate::settings::Fields;

/// One request to somebody else's endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Method as it goes on the wire.
    pub method: String,
    /// Absolute URL, percent-encoded.
    pub url: String,
    /// Header fields in order. No `Host`, no `Content-Length`: they follow from `url` and `body`.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The whole exchange must be over after this time.
    pub timeout: Duration,
    /// A longer answer is a [`HttpFault::TooLarge`].
    pub max_body: usize,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpResponse {
    /// Status code.
    pub status: u16,
    /// Header fields in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// The first value of a header field, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpFault {
    /// Not over in time.
    #[error("no answer in time")]
    Timeout,
    /// No connection, broken connection, TLS failure, bad URL.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The answer is larger than asked for.
    #[error("answer is too large")]
    TooLarge,
    /// What came back is no HTTP.
    #[error("answer is no HTTP: {0}")]
    Garbage(String),
}

/// Sends one request. Follows no redirect, repeats nothing, caches nothing: the callers decide that.
#[async_trait]
pub trait Http: Send + Sync {
    /// The answer, whatever its status.
    ///
    /// # Errors
    /// [`HttpFault`] when there is none.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault>;
}

/// Waits, for back-off between repeated calls.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Returns after `pause`.
    async fn sleep(&self, pause: Duration);
}

/// A secret member: its text, or, spelt `file:/path`, what stands in that file without the line break at its end.
pub fn read_secret(
    fields: &mut Fields<'_>,
    key: &'static str,
    files: &dyn Files,
) -> Option<Secret> {
    let text = fields.text(key)?;
    let Some(path) = text.strip_prefix("file:") else {
        return Some(text.into());
    };
    let read = files
        .read(path)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "is no text".to_owned()));
    match read {
        Ok(text) => Some(text.trim_end_matches(['\r', '\n']).into()),
        Err(message) => {
            fields.wrong(key, message);
            None
        }
    }
}

/// Reads files that a configuration names (keys, trust stores), once, at load.
pub trait Files: Send + Sync {
    /// The bytes at `path`, or why there are none.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;
}
