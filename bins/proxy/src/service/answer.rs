use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use heimdall_pipeline::{Accept, Refusal, Respond};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::{Body, Incoming};

use super::Live;
use crate::upstream::Reply;

/// An answer and what is written down about it.
pub(super) struct Answer {
    pub(super) response: Response<Reply>,
    pub(super) rule: Option<Arc<str>>,
    pub(super) reason: String,
    pub(super) close: bool,
}

impl Answer {
    pub(super) fn plain(status: StatusCode, fields: HeaderMap) -> Self {
        let mut response = Response::new(Reply::default());
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        Self {
            response,
            rule: None,
            reason: String::new(),
            close: false,
        }
    }

    pub(super) fn refused(live: &Live, refusal: &Refusal) -> Self {
        Self::responded(live.engine.refuse(refusal))
    }

    pub(super) fn accepted(accept: Accept) -> Self {
        let mut answer = Self::plain(status(accept.status), fields(&accept.headers));
        answer.rule = Some(accept.rule.id);
        answer
    }

    pub(super) fn responded(respond: Respond) -> Self {
        let mut answer = Self::plain(status(respond.status), fields(&respond.headers));
        *answer.response.body_mut() = Reply::full(respond.body);
        answer.rule = respond.rule.map(|rule| rule.id);
        answer.reason = respond.reason;
        answer.close = respond.close;
        answer
    }
}

/// A status that cannot be sent is an error of ours, and an error is never a success.
fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Header fields as the pipeline names them. Those that cannot be sent were refused before; none gets this far.
pub(super) fn fields(pairs: &[(Arc<str>, Arc<str>)]) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(pairs.len() + 2);
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            fields.append(name, value);
        }
    }
    fields
}

/// The whole body, if it is no longer than `limit`.
pub(super) async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    let too_large = || Refusal {
        status: 413,
        reason: "the body is larger than what steps may look at".to_owned(),
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut body = pin!(body);
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| Refusal {
            status: 400,
            reason: format!("broken body: {error}"),
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if all.len() + data.len() > limit {
            return Err(too_large());
        }
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}
