use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

/// An error answer of a token endpoint (RFC 6749 §5.2): `{error, error_description}`, never cached.
#[derive(Debug, Clone)]
pub struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl OAuthError {
    /// An answer with this status, error code and description. The description must be printable ASCII
    /// without `"` and `\` (RFC 6749 §5.2); other characters are replaced.
    pub fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            headers: Vec::new(),
        }
    }

    /// 400 `invalid_request`.
    pub fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 400 `invalid_grant`.
    pub fn invalid_grant(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    /// 401 `invalid_client` with the `WWW-Authenticate` that RFC 6749 §5.2 asks for.
    pub fn invalid_client() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "client authentication failed",
        )
        .header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"heimdall\""),
        )
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when to come back, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        match HeaderValue::from_str(&after.as_millis().div_ceil(1000).max(1).to_string()) {
            Ok(value) => self.header(header::RETRY_AFTER, value),
            Err(_) => self,
        }
    }

    /// The code of RFC 6749 §5.2.
    pub fn error(&self) -> &'static str {
        self.error
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.status.as_u16(),
            self.error,
            self.description
        )
    }
}

impl std::error::Error for OAuthError {}

impl ResponseError for OAuthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let plain = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        let description: String = self
            .description
            .chars()
            .map(|c| if plain(c) { c } else { '\'' })
            .collect();
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        answer.insert_header((header::PRAGMA, HeaderValue::from_static("no-cache")));
        for (name, value) in &self.headers {
            answer.append_header((name.clone(), value.clone()));
        }
        answer.json(json!({"error": self.error, "error_description": description}))
    }
}

impl From<crate::Problem> for OAuthError {
    /// What the shared readers refuse (too large, no JSON, a busy store) in the words of a token endpoint.
    fn from(problem: crate::Problem) -> Self {
        let status = problem.status();
        let code = match status.as_u16() {
            401 => return Self::invalid_client(),
            429 | 503 => "temporarily_unavailable",
            500 => "server_error",
            _ => "invalid_request",
        };
        let told = match problem.details().first() {
            Some(first) => format!("{}: {}", first.field, first.reason),
            None => problem.message().to_owned(),
        };
        let answer = problem.error_response();
        let mut error = Self::new(status, code, told);
        if let Some(after) = answer.headers().get(header::RETRY_AFTER) {
            error = error.header(header::RETRY_AFTER, after.clone());
        }
        error
    }
}
