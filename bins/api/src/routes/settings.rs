//! `…/settings`, `…/keys`, `…/revocations`

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Json, OptionalJson, Problem, Query};
use heimdall_tenant::input::SettingsPatch;
use heimdall_token::{Algorithm, KeyInfo};
use serde::Deserialize;
use serde_json::{Value, json};

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
        .service(web::resource("/apps/{app}/keys").route(web::get().to(keys)))
        .service(web::resource("/apps/{app}/keys/rotate").route(web::post().to(rotate)))
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
    let expected = if_match(&request)?;
    let (settings, version) = deps
        .tenants
        .update_app_settings(&who.0, &app, body.0, expected)
        .await
        .map_err(problem)?;
    Ok(shown(&settings, version))
}

fn key(info: &KeyInfo) -> Value {
    json!({
        "kid": info.kid,
        "algorithm": info.algorithm,
        "state": info.state,
        "created_at": info.created_at.to_rfc3339(),
        "activates_at": info.activates_at.to_rfc3339(),
        "retired_at": info.retired_at.map(|at| at.to_rfc3339()),
        "removes_at": info.removes_at.map(|at| at.to_rfc3339()),
    })
}

async fn keys(deps: With, who: Who, app: web::Path<String>) -> Answer {
    deps.tenants
        .may(&who.0, &app, "keys:read")
        .await
        .map_err(problem)?;
    let keys: Vec<Value> = deps.keys.keys().iter().map(key).collect();
    Ok(HttpResponse::Ok().json(json!({ "data": keys })))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rotation {
    algorithm: Option<String>,
}

// The keys serve every App, so only an operator may replace them.
async fn rotate(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: OptionalJson<Rotation>,
) -> Answer {
    deps.tenants.operates(&who.0, &app).await.map_err(problem)?;
    let algorithm: Algorithm = match body.0.unwrap_or_default().algorithm {
        None => deps.keys.signer().map_err(Problem::internal)?.algorithm(),
        Some(name) => name
            .parse()
            .map_err(|_| Problem::unprocessable("algorithm", "is not known here"))?,
    };
    let info = deps
        .keys
        .rotate(algorithm, who.0.actor())
        .await
        .map_err(|error| match error {
            heimdall_token::KeyRingError::Store(fault) => fault.into(),
            other => Problem::unprocessable("algorithm", other.to_string()),
        })?;
    Ok(HttpResponse::Created().json(key(&info)))
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
