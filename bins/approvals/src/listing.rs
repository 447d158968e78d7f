//! Lists: `?limit=&cursor=` in, `{data, pagination}` out.

use actix_web::HttpResponse;
pub(crate) use heimdall_server::page_request as wanted;
use heimdall_types::Page;
use serde::Serialize;
use serde_json::json;

/// The answer for a page.
pub(crate) fn listing<T: Serialize>(page: Page<T>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "data": page.data,
        "pagination": {"has_more": page.next_cursor.is_some(), "next_cursor": page.next_cursor},
    }))
}
