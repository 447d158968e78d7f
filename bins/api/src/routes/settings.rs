//! `…/settings`, `…/revocations`

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Json, Problem, Query};
use heimdall_tenant::input::SettingsPatch;
use serde::Deserialize;

use crate::answer::shown;
use crate::refusal::{if_match, problem};
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/settings")
                .route(web::get().to(show))
                .route(web::patch().to(update)),
        )
        .service(web::resource("/apps/{app}/revocations").route(web::get().to(revocations)));
}

async fn show(deps: With, who: Who, app: web::Path<String>) -> Answer {
    let (settings, version) = deps
        .tenants
        .app_settings(&who.0, &app)
        .await
        .map_err(problem)?;
    Ok(shown(&settings, version))
}

async fn update(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    body: Json<SettingsPatch>,
) -> Answer {
    let expected = if_match(&request);
    let (settings, version) = deps
        .tenants
        .update_app_settings(&who.0, &app, body.0, expected)
        .await
        .map_err(problem)?;
    Ok(shown(&settings, version))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: i64,
    /// Seconds to wait for news, at most 30.
    #[serde(default)]
    wait: u64,
}

const LONGEST_WAIT: u64 = 30;
const NOTES_AT_ONCE: u32 = 500;

// A long poll: subscribe first, then look, so that nothing falls between the two.
async fn revocations(deps: With, who: Who, app: web::Path<String>, query: Query<Since>) -> Answer {
    let wanted = query.0;
    if wanted.since < 0 {
        return Err(Problem::bad_field("since", "must not be negative"));
    }
    let mut signals = deps.store.subscribe();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wanted.wait.min(LONGEST_WAIT));
    loop {
        let news = deps
            .tenants
            .revocations(&who.0, &app, wanted.since, NOTES_AT_ONCE)
            .await
            .map_err(problem)?;
        if !news.data.is_empty() || wanted.wait == 0 || tokio::time::Instant::now() >= deadline {
            return Ok(HttpResponse::Ok().json(news));
        }
        // Whatever was committed, or the end of patience: look again.
        let _ = tokio::time::timeout_at(deadline, signals.recv()).await;
    }
}
