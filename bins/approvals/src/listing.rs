//! Lists: `?limit=&cursor=` in, `{data, pagination}` out.

use actix_web::HttpResponse;
use heimdall_server::Problem;
use heimdall_types::{Cursor, Page, PageRequest};
use serde::Serialize;
use serde_json::json;

/// The page that a query asks for.
pub(crate) fn wanted(limit: Option<i64>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
    let limit = match limit {
        None => PageRequest::DEFAULT_LIMIT,
        Some(given) => u32::try_from(given)
            .ok()
            .filter(|limit| (1..=PageRequest::MAX_LIMIT).contains(limit))
            .ok_or_else(|| Problem::bad_field("limit", "must be 1 to 200"))?,
    };
    let cursor = cursor
        .map(Cursor::decode)
        .transpose()
        .map_err(|e| Problem::bad_field("cursor", e.to_string()))?;
    Ok(PageRequest { limit, cursor })
}

/// The answer for a page.
pub(crate) fn listing<T: Serialize>(page: Page<T>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "data": page.data,
        "pagination": {"has_more": page.next_cursor.is_some(), "next_cursor": page.next_cursor},
    }))
}
