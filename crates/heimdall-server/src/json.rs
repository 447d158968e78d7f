use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use crate::{Problem, body, strict_json};

/// A JSON body, read strictly: see [`strict_json::decode`].
///
/// Give `T` `#[serde(deny_unknown_fields)]`. Answers 415 for another content type or a compressed body, 413 over
/// [`crate::BodyLimit`], 400 and 422 naming the field.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            if !body::is_type(&request, &["application/json"]) {
                return Err(Problem::unsupported_media("`application/json`"));
            }
            strict_json::decode(&body::read(&request, &mut payload).await?).map(Self)
        }
        .boxed_local()
    }
}

/// A JSON body that may be left out: an empty body is `None` whatever its content type.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned + 'static> FromRequest for OptionalJson<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            let bytes = body::read(&request, &mut payload).await?;
            if bytes.is_empty() {
                return Ok(Self(None));
            }
            if !body::is_type(&request, &["application/json"]) {
                return Err(Problem::unsupported_media("`application/json`"));
            }
            strict_json::decode(&bytes).map(Some).map(Self)
        }
        .boxed_local()
    }
}
