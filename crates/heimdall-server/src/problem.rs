use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};

/// A field that was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// The path of the field: `roles[1]`, `settings.lifetime`.
    pub field: String,
    /// What is wrong with it, without a full stop.
    pub reason: String,
}

/// An error answer: `application/problem+json` (RFC 9457) with the member `error` of our own.
///
/// What the caller sees (status, code, message, fields) and what the log says ([`Problem::because`]) are apart.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

// Boxed, because nearly every function here answers a `Result` that has no problem in it.
#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    details: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    extensions: Map<String, Value>,
}

impl Problem {
    /// A problem with this status, a stable code for programs, and a message for people.
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            message: message.into(),
            details: Vec::new(),
            headers: Vec::new(),
            extensions: Map::new(),
        }))
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 for one field: wrong type, unknown, twice, out of its absolute range.
    pub fn bad_field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::bad_request(
            "invalid_request",
            "the request has a field that cannot be read",
        )
        .field(field, reason)
    }

    /// 401 with `WWW-Authenticate: Bearer`.
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 403: known, but not allowed.
    pub fn forbidden(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// The one 404: byte-identical whether the thing never existed or belongs to another tenant.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
    }

    /// 409: the present state stands in the way.
    pub fn conflict(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 410: it was here once.
    pub fn gone(code: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GONE, code, message)
    }

    /// 412: `If-Match` names another version.
    pub fn precondition_failed() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "the resource was changed meanwhile",
        )
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {limit} bytes"),
        )
    }

    /// 415: the body is in a form that is not read here.
    pub fn unsupported_media(expected: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("the body must be {expected}"),
        )
    }

    /// 422: this field's value is refused, or the field is missing.
    pub fn unprocessable(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "validation_failed",
            "a field is refused",
        )
        .field(field, reason)
    }

    /// 429 with `Retry-After`.
    pub fn too_many(retry_after: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "too many requests, try again later",
        )
        .retry_after(retry_after)
    }

    /// 503 with `Retry-After: 1`. `cause` goes to the log only.
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the service is busy or being restarted",
        )
        .retry_after(Duration::from_secs(1))
        .because(cause)
    }

    /// 500. `cause` goes to the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong here",
        )
        .because(cause)
    }

    /// Names a field and what is wrong with it.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, reason: impl Into<String>) -> Self {
        self.0.details.push(FieldError {
            field: field.into(),
            reason: reason.into(),
        });
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Puts a header in the place of one of the same name.
    #[must_use]
    pub fn replace_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.retain(|(known, _)| *known != name);
        self.header(name, value)
    }

    /// Adds a member of the problem document beside the standard ones.
    #[must_use]
    pub fn extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Says when to come back, in whole seconds and at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        match HeaderValue::from_str(&seconds.to_string()) {
            Ok(value) => self.header(header::RETRY_AFTER, value),
            Err(_) => self,
        }
    }

    /// Writes the true cause to the log, here and once; the caller never sees it.
    #[must_use]
    pub fn because(self, cause: impl fmt::Display) -> Self {
        tracing::error!(status = self.0.status.as_u16(), code = %self.0.code, cause = %cause, "request failed");
        self
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable code, for programs.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The fields that were refused.
    pub fn details(&self) -> &[FieldError] {
        &self.0.details
    }

    /// The document as it is sent.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), "about:blank".into());
        body.insert(
            "title".into(),
            self.0.status.canonical_reason().unwrap_or("Error").into(),
        );
        body.insert("status".into(), self.0.status.as_u16().into());
        body.insert("detail".into(), self.0.message.as_ref().into());
        body.insert(
            "error".into(),
            serde_json::json!({"code": self.0.code, "message": self.0.message, "details": self.0.details}),
        );
        body.extend(self.0.extensions.clone());
        Value::Object(body)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}: {}",
            self.0.status.as_u16(),
            self.0.code,
            self.0.message
        )
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.0.status);
        answer.insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        ));
        for (name, value) in &self.0.headers {
            answer.append_header((name.clone(), value.clone()));
        }
        answer.body(self.body().to_string())
    }
}

impl From<heimdall_types::Fault> for Problem {
    fn from(fault: heimdall_types::Fault) -> Self {
        use heimdall_types::Fault;
        match fault {
            Fault::Conflict => {
                Self::conflict("conflict", "changed by someone else meanwhile, try again")
            }
            Fault::Duplicate(what) => {
                Self::conflict("duplicate", format!("`{what}` is taken already"))
                    .field(what, "is taken already")
            }
            Fault::Reference(what) => {
                Self::conflict("in_use", format!("`{what}` stands in the way"))
            }
            Fault::Unavailable(cause) => Self::unavailable(cause),
            other => Self::internal(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_a_problem_document_with_our_error_member() {
        let problem =
            Problem::unprocessable("email", "is no address").extension("requestable", vec!["a"]);
        assert_eq!(
            problem.body(),
            serde_json::json!({
                "type": "about:blank", "title": "Unprocessable Entity", "status": 422, "detail": "a field is refused",
                "error": {"code": "validation_failed", "message": "a field is refused",
                    "details": [{"field": "email", "reason": "is no address"}]},
                "requestable": ["a"],
            })
        );
    }

    #[test]
    fn a_cause_is_logged_but_never_sent() {
        let answer = Problem::internal("password hunter2").body().to_string();
        assert!(!answer.contains("hunter2"));
    }

    #[test]
    fn retry_after_rounds_up_to_at_least_a_second() {
        let answer = Problem::too_many(Duration::from_millis(1200)).error_response();
        assert_eq!(
            answer
                .headers()
                .get(header::RETRY_AFTER)
                .map(HeaderValue::as_bytes),
            Some(&b"2"[..])
        );
    }
}
