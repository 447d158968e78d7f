use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Payload;
use actix_web::http::header;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::Problem;

/// How large a body may be; put another one into `app_data` to change it for a scope or a resource.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub usize);

impl BodyLimit {
    /// 64 KB, for everything that names no other.
    pub const DEFAULT: Self = Self(64 * 1024);
}

// The head has its own timer in the listener; a body that trickles in must not hold a handler either.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Whether the body has this media type; parameters other than `charset=utf-8` are refused.
pub(crate) fn is_type(request: &HttpRequest, wanted: &[&str]) -> bool {
    let Some(Ok(value)) = request
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|v| v.to_str())
    else {
        return false;
    };
    let mut parts = value.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let parameters = parts.filter(|p| !p.is_empty());
    wanted.iter().any(|w| w.eq_ignore_ascii_case(kind)) && parameters.into_iter().all(is_utf8)
}

fn is_utf8(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset")
            && value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

/// Reads the whole body of a request: 415 when it is compressed, 413 over the limit (before anything is parsed), 408 when it
/// trickles in for longer than ten seconds.
///
/// # Errors
/// The three problems above, and 400 when the connection breaks.
pub async fn read(request: &HttpRequest, payload: &mut Payload) -> Result<Bytes, Problem> {
    let limit = request
        .app_data::<BodyLimit>()
        .copied()
        .unwrap_or(BodyLimit::DEFAULT)
        .0;
    if request
        .headers()
        .get(header::CONTENT_ENCODING)
        .is_some_and(|v| v != "identity")
    {
        return Err(Problem::unsupported_media("sent without compression"));
    }
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::too_large(limit));
    }
    let slow = || {
        Problem::new(
            actix_web::http::StatusCode::REQUEST_TIMEOUT,
            "timeout",
            "the body did not arrive in time",
        )
    };
    tokio::time::timeout(BODY_DEADLINE, collect(payload, limit))
        .await
        .map_err(|_| slow())?
}

async fn collect(payload: &mut Payload, limit: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| Problem::bad_request("bad_body", "the body did not arrive whole"))?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
