//! Lists: `?limit=&cursor=` in, `{data, pagination}` and `Link` out.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use heimdall_server::Problem;
pub(crate) use heimdall_server::page_request;
use heimdall_types::{Page, PageRequest};
use serde::{Deserialize, Serialize};

/// What every list understands.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// 1 to 200, 50 by default.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl PageQuery {
    pub(crate) fn request(&self) -> Result<PageRequest, Problem> {
        page_request(self.limit, self.cursor.as_deref())
    }
}

/// Where the list goes on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Pagination {
    /// What `cursor` must be for the next page.
    pub(crate) next_cursor: Option<String>,
    /// Whether there is one.
    pub(crate) has_more: bool,
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Listing<T> {
    /// The rows.
    pub(crate) data: Vec<T>,
    /// Where the list goes on.
    pub(crate) pagination: Pagination,
}

/// The answer for a page; `Link: <…>; rel="next"` repeats the request with the next cursor.
pub(crate) fn listing<T: Serialize>(request: &HttpRequest, page: Page<T>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if let Some(next) = &page.next_cursor {
        let others = request
            .query_string()
            .split('&')
            .filter(|part| !part.is_empty() && !part.starts_with("cursor="));
        let query: Vec<&str> = others.collect();
        let joined = query
            .iter()
            .map(|part| format!("{part}&"))
            .collect::<String>();
        answer.insert_header((
            header::LINK,
            format!("<{}?{joined}cursor={next}>; rel=\"next\"", request.path()),
        ));
    }
    let pagination = Pagination {
        has_more: page.next_cursor.is_some(),
        next_cursor: page.next_cursor,
    };
    answer.json(Listing {
        data: page.data,
        pagination,
    })
}
