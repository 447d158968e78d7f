//! The management listener: health, keys, metrics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Edge, ListenSettings, Running, Server};
use serde_json::json;

use crate::service::Shared;

/// What the management listener shows.
pub(crate) struct Overview {
    pub(crate) shared: Arc<Shared>,
    /// Whether the last reload failed, so that older rules are in use.
    pub(crate) stale: AtomicBool,
}

pub(crate) fn start(settings: &ListenSettings, overview: Arc<Overview>) -> std::io::Result<Running> {
    let settings = ListenSettings { workers: 1, ..settings.clone() };
    Server::bind(&settings, Edge::new("proxy-management"), move |config| {
        let data = web::Data::from(overview.clone());
        config
            .app_data(data)
            .service(web::resource("/.well-known/health").get(health))
            .service(web::resource(["/.well-known/jwks", "/.well-known/jwks.json"]).get(keys))
            .service(web::resource("/metrics").get(metrics));
    })
}

/// The settings of this listener at another address.
pub(crate) fn listen_at(address: SocketAddr) -> ListenSettings {
    ListenSettings::at(address)
}

async fn health(overview: web::Data<Overview>) -> HttpResponse {
    let mut body = json!({"status": "ok"});
    if overview.stale.load(Ordering::Relaxed)
        && let Some(members) = body.as_object_mut()
    {
        members.insert("rules".to_owned(), json!("the last reload failed; older rules are in use"));
    }
    HttpResponse::Ok().content_type("application/json").body(body.to_string())
}

async fn keys(request: HttpRequest, overview: web::Data<Overview>) -> HttpResponse {
    let document = overview.shared.live.load().engine.jwks();
    let unchanged = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == document.etag);
    let mut answer = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((header::ETAG, document.etag.clone())).insert_header((header::CACHE_CONTROL, "public, max-age=600"));
    if unchanged {
        return answer.finish();
    }
    answer.content_type("application/json").body(document.body.clone())
}

async fn metrics(overview: web::Data<Overview>) -> HttpResponse {
    let mut text = overview.shared.counters.render();
    text.push_str("# HELP heimdall_proxy_certificate_expiry_seconds End of validity of a signing certificate.\n");
    text.push_str("# TYPE heimdall_proxy_certificate_expiry_seconds gauge\n");
    for (kid, expiry) in overview.shared.live.load().engine.key_expiries() {
        let kid = kid.replace(['"', '\\', '\n'], "_");
        text.push_str(&format!("heimdall_proxy_certificate_expiry_seconds{{kid=\"{kid}\"}} {}\n", expiry.seconds()));
    }
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text)
}
