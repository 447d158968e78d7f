use std::sync::Arc;

use actix_web::{HttpResponse, web};
use futures_util::future::BoxFuture;
use serde_json::json;

type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// One thing that must work before a process is ready.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    probe: Probe,
}

impl Check {
    /// A check of this name; `probe` answers what is wrong.
    pub fn new<F>(name: &'static str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self {
            name,
            probe: Arc::new(move || Box::pin(probe())),
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// `/healthz` (the process answers), `/readyz` (its checks hold) and `/metrics`.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Vec<Check>,
}

impl Health {
    /// Ready when all of these hold.
    pub fn new(checks: Vec<Check>) -> Self {
        Self { checks }
    }

    /// Adds the three routes.
    pub fn routes(self, config: &mut web::ServiceConfig) {
        let checks = web::Data::new(self.checks);
        config
            .route(
                "/healthz",
                web::get().to(|| async { HttpResponse::Ok().json(json!({"status": "ok"})) }),
            )
            .service(
                web::resource("/readyz")
                    .app_data(checks)
                    .route(web::get().to(ready)),
            )
            .route("/metrics", web::get().to(metrics));
    }
}

// What is wrong goes to the log; the answer names only which check it is.
async fn ready(checks: web::Data<Vec<Check>>) -> HttpResponse {
    let mut states = serde_json::Map::new();
    let mut all = true;
    for check in checks.iter() {
        let outcome = (check.probe)().await;
        if let Err(cause) = &outcome {
            tracing::warn!(check = check.name, cause, "not ready");
        }
        all &= outcome.is_ok();
        states.insert(
            check.name.to_owned(),
            if outcome.is_ok() { "ok" } else { "failing" }.into(),
        );
    }
    let status = if all { "ok" } else { "unavailable" };
    let mut answer = if all {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    answer.json(json!({"status": status, "checks": states}))
}

async fn metrics() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("content-type", "text/plain; version=0.0.4; charset=utf-8"))
        .body(crate::telemetry::render_metrics())
}
