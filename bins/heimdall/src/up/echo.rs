use std::net::SocketAddr;

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::ListenSettings;
use serde_json::{Value, json};

/// The upstream of the example: answers what it was asked, so that a newcomer sees what the proxy sends on.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PayloadConfig::new(1 << 20))
        .service(web::resource("/{path:.*}").to(echo));
}

async fn echo(request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let headers: Vec<Value> = request
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    HttpResponse::Ok().json(json!({
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

/// One thread on a free port of loopback.
pub(super) fn listening() -> ListenSettings {
    ListenSettings {
        workers: 1,
        ..ListenSettings::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }
}
