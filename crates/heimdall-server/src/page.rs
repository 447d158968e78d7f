use heimdall_types::{Cursor, PageRequest};

use crate::Problem;

/// The part of a list that the parameters `limit` and `cursor` ask for.
///
/// # Errors
/// 400 naming the parameter: a limit outside 1 to 200, a cursor that is none of ours.
pub fn page_request(limit: Option<i64>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
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
        .map_err(|error| Problem::bad_field("cursor", error.to_string()))?;
    Ok(PageRequest { limit, cursor })
}
