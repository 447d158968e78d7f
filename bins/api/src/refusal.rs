//! From a [`TenantError`] to the answer on the wire.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use heimdall_server::{OAuthError, Problem};
use heimdall_tenant::{Class, OAuthCode, TenantError};

/// What most endpoints answer.
pub(crate) fn problem(error: TenantError) -> Problem {
    let code = error.code();
    let message = error.to_string();
    match (error.class(), error) {
        (Class::Unauthenticated, _) => Problem::unauthorized(message),
        (Class::NotFound, _) => Problem::not_found(),
        (_, TenantError::Malformed { field, reason }) => Problem::bad_field(field, reason),
        (_, TenantError::Invalid { field, reason }) => Problem::unprocessable(field, reason),
        (_, TenantError::Taken(field)) => Problem::conflict(code, message).field(field, "is taken"),
        (_, TenantError::Forbidden { missing }) => {
            Problem::forbidden(code, message).extension("missing_permissions", missing)
        }
        (_, TenantError::Throttled { retry_after }) => Problem::too_many(retry_after),
        (_, TenantError::Fault(fault)) => fault.into(),
        (
            _,
            TenantError::OAuth {
                code: OAuthCode::InvalidClient,
                ..
            },
        ) => Problem::unauthorized(message),
        (Class::Forbidden, _) => Problem::forbidden(code, message),
        (Class::Conflict, _) => Problem::conflict(code, message),
        (Class::Gone, _) => Problem::gone(code, message),
        (Class::Precondition, _) => Problem::precondition_failed(),
        (Class::Internal, _) => Problem::internal(message),
        (Class::Unavailable, _) => Problem::unavailable(message),
        _ => Problem::bad_request(code, message),
    }
}

/// What token, introspection and revocation endpoints answer.
pub(crate) fn oauth(error: TenantError) -> OAuthError {
    match error {
        TenantError::OAuth {
            code: OAuthCode::InvalidClient,
            ..
        }
        | TenantError::Unauthenticated => OAuthError::invalid_client(),
        TenantError::OAuth { code, description } => {
            OAuthError::new(StatusCode::BAD_REQUEST, code.as_str(), description)
        }
        TenantError::Forbidden { .. } => OAuthError::new(
            StatusCode::FORBIDDEN,
            "access_denied",
            "the caller may not do this",
        ),
        TenantError::NotFound => OAuthError::new(
            StatusCode::NOT_FOUND,
            "invalid_request",
            "there is nothing here",
        ),
        TenantError::State(told) => {
            OAuthError::new(StatusCode::BAD_REQUEST, "unauthorized_client", told)
        }
        other => problem(other).into(),
    }
}

/// `ETag` of a version.
pub(crate) fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The version that `If-Match` names; `None` without the header or for `*`.
pub(crate) fn if_match(request: &actix_web::HttpRequest) -> Option<i64> {
    let value = request.headers().get(header::IF_MATCH)?;
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return None;
    }
    let version = text
        .strip_prefix('"')
        .and_then(|t| t.strip_suffix('"'))
        .and_then(|t| t.parse::<i64>().ok());
    Some(version.unwrap_or(NO_VERSION))
}

// A tag that we never gave out matches no version; whether the caller may know that is found out first.
const NO_VERSION: i64 = -1;
