//! The management listener: health, keys, metrics.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use heimdall_pipeline::Engine;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::counters::escaped;
use crate::service::Shared;

/// What the management listener shows.
pub(crate) struct Overview {
    pub(crate) shared: Arc<Shared>,
    /// Whether the last reload failed, so that older rules are in use.
    pub(crate) stale: AtomicBool,
}

/// The management listener while it runs.
pub(crate) struct Management {
    address: SocketAddr,
    handle: ServerHandle,
    served: JoinHandle<std::io::Result<()>>,
}

impl Management {
    /// Listens; one thread is plenty for it.
    pub(crate) fn start(
        address: SocketAddr,
        tls: Option<rustls::ServerConfig>,
        overview: Arc<Overview>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || {
            let data = web::Data::from(overview.clone());
            App::new()
                .app_data(data)
                .service(web::resource("/.well-known/health").get(health))
                .service(web::resource(["/.well-known/jwks", "/.well-known/jwks.json"]).get(keys))
                .service(web::resource("/metrics").get(metrics))
        })
        .workers(1)
        .max_connections(512)
        .client_request_timeout(Duration::from_secs(5))
        .keep_alive(Duration::from_secs(75))
        .h1_allow_half_closed(false)
        .shutdown_timeout(1)
        .disable_signals();
        let server = match tls {
            Some(tls) => server.listen_rustls_0_23(listener, tls)?,
            None => server.listen(listener)?,
        };
        let server = server.run();
        let handle = server.handle();
        Ok(Self {
            address,
            handle,
            served: tokio::spawn(server),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(true).await;
        let _ = self.served.await;
    }
}

async fn health(overview: web::Data<Overview>) -> HttpResponse {
    let mut body = json!({"status": "ok"});
    if overview.stale.load(Ordering::Relaxed)
        && let Some(members) = body.as_object_mut()
    {
        members.insert(
            "rules".to_owned(),
            json!("the last reload failed; older rules are in use"),
        );
    }
    HttpResponse::Ok()
        .content_type("application/json")
        .body(body.to_string())
}

async fn keys(request: HttpRequest, overview: web::Data<Overview>) -> HttpResponse {
    let document = overview.shared.live.load().engine.jwks();
    let unchanged = request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == document.etag);
    let mut answer = if unchanged {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer
        .insert_header((header::ETAG, document.etag.clone()))
        .insert_header((header::CACHE_CONTROL, "public, max-age=600"));
    if unchanged {
        return answer.finish();
    }
    answer
        .content_type("application/json")
        .body(document.body.clone())
}

async fn metrics(overview: web::Data<Overview>) -> HttpResponse {
    let mut text = overview.shared.counters.render();
    text.push_str("# HELP heimdall_proxy_certificate_expiry_seconds End of validity of a signing certificate.\n");
    text.push_str("# TYPE heimdall_proxy_certificate_expiry_seconds gauge\n");
    for (kid, expiry) in overview.shared.live.load().engine.key_expiries() {
        let kid = kid.replace(['"', '\\', '\n'], "_");
        text.push_str(&format!(
            "heimdall_proxy_certificate_expiry_seconds{{kid=\"{kid}\"}} {}\n",
            expiry.seconds()
        ));
    }
    steps(&overview.shared.live.load().engine, &mut text);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(text)
}

/// What steps did, by rule, stage and step.
fn steps(engine: &Engine, text: &mut String) {
    text.push_str("# HELP heimdall_proxy_steps_total Steps of rules by what came of them; inherited ones count for the rule `default`.\n");
    text.push_str("# TYPE heimdall_proxy_steps_total counter\n");
    for count in engine.step_counts() {
        let (rule, step) = (escaped(&count.rule), escaped(&count.step));
        for (outcome, times) in [
            ("passed", count.passed),
            ("skipped", count.skipped),
            ("failed", count.failed),
        ] {
            if times > 0 {
                text.push_str(&format!(
                    "heimdall_proxy_steps_total{{rule=\"{rule}\",stage=\"{}\",step=\"{step}\",outcome=\"{outcome}\"}} {times}\n",
                    count.stage
                ));
            }
        }
    }
}
