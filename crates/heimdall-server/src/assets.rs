//! Style sheet, mark and scripts, embedded once and served by every binary under `/assets/`.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

use crate::Problem;
use crate::digest::short_hash;

/// One embedded file.
#[derive(Debug, Clone)]
pub struct Asset {
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
    hash: String,
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, body: &'static [u8]) -> Self {
        Self {
            name,
            kind,
            body,
            hash: short_hash(body, 16),
        }
    }
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    const JS: &str = "text/javascript; charset=utf-8";
    vec![
        Asset::new(
            "heimdall.css",
            "text/css; charset=utf-8",
            include_bytes!("../assets/heimdall.css"),
        ),
        Asset::new(
            "heimdall.svg",
            "image/svg+xml",
            include_bytes!("../assets/heimdall.svg"),
        ),
        Asset::new("link.js", JS, include_bytes!("../assets/link.js")),
        Asset::new("live.js", JS, include_bytes!("../assets/live.js")),
        Asset::new("passkey.js", JS, include_bytes!("../assets/passkey.js")),
        Asset::new("sign.js", JS, include_bytes!("../assets/sign.js")),
    ]
});

/// The address of an asset with its version, so that browsers may keep it for good: `/assets/heimdall.css?v=…`.
pub fn url(name: &str) -> String {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => format!("/assets/{}?v={}", asset.name, asset.hash),
        None => format!("/assets/{name}"),
    }
}

/// Adds the route `/assets/{name}`.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/assets/{name}", web::get().to(serve))
        .route("/assets/{name}", web::head().to(serve));
}

async fn serve(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == *name) else {
        return Problem::not_found().error_response();
    };
    let tag = format!("\"{}\"", asset.hash);
    // Only an address that carries the content's own hash can be kept for good.
    let current = request.query_string() == format!("v={}", asset.hash);
    let caching = if current {
        "public, max-age=31536000, immutable"
    } else {
        "public, no-cache"
    };
    let known = request
        .headers()
        .get(header::IF_NONE_MATCH)
        .and_then(|v| v.to_str().ok());
    let unchanged = known.is_some_and(|all| {
        all.split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag || one.trim() == "*")
    });
    let mut answer = if unchanged {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static(caching)));
    if unchanged {
        return answer.finish();
    }
    answer.content_type(asset.kind).body(asset.body)
}

#[cfg(test)]
mod tests {
    use actix_web::{App, test};

    use super::*;

    #[actix_web::test]
    async fn an_asset_is_kept_for_good_by_its_versioned_address_and_checked_by_its_plain_one() {
        let app = test::init_service(App::new().configure(routes)).await;
        let call = async |uri: &str, tag: Option<&str>| {
            let request = test::TestRequest::get().uri(uri);
            let request = tag
                .into_iter()
                .fold(request, |r, t| r.insert_header((header::IF_NONE_MATCH, t)));
            test::call_service(&app, request.to_request()).await
        };
        let versioned = call(&url("heimdall.css"), None).await;
        assert!(
            versioned
                .headers()
                .get(header::CACHE_CONTROL)
                .unwrap()
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        let tag = versioned
            .headers()
            .get(header::ETAG)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let plain = call("/assets/heimdall.css", Some(&tag)).await;
        assert_eq!(plain.status(), 304);
        assert_eq!(call("/assets/../Cargo.toml", None).await.status(), 404);
    }
}
