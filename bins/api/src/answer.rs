//! Answers in their few shapes.

use actix_web::HttpResponse;
use actix_web::http::header;
use serde::Serialize;

use crate::refusal::etag;

/// 200 with the version as `ETag`.
pub(crate) fn shown(view: &impl Serialize, version: i64) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::ETAG, etag(version)))
        .json(view)
}

/// 201 with `Location` and the version as `ETag`.
pub(crate) fn created(view: &impl Serialize, location: String, version: i64) -> HttpResponse {
    HttpResponse::Created()
        .insert_header((header::LOCATION, location))
        .insert_header((header::ETAG, etag(version)))
        .json(view)
}

/// 204.
pub(crate) fn done() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
