//! `/v1/api-keys`

use actix_web::{HttpResponse, web};
use heimdall_approval::workflows::{ApiKey, ApiKeyChange, ApiKeyInput, Privilege};
use heimdall_server::{Json, Problem, Query};
use heimdall_tenant::Caller;
use heimdall_types::{AppId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::deps::Deps;
use crate::listing::{listing, wanted};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

const PERMISSION: &str = "settings:write";

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/api-keys")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/api-keys/{id}")
                .route(web::get().to(show))
                .route(web::patch().to(change))
                .route(web::delete().to(delete)),
        );
}

fn view(key: &ApiKey) -> Value {
    json!({
        "id": key.id, "app": key.app_id, "name": key.name, "privileges": key.privileges,
        "not_before": key.not_before.map(Timestamp::to_rfc3339), "not_after": key.not_after.map(Timestamp::to_rfc3339),
        "addresses": key.addresses, "created_at": key.created_at.to_rfc3339(),
    })
}

// The App that is named, or the caller's own.
async fn app_of(deps: &Deps, who: &Who, named: Option<&str>) -> Result<AppId, Problem> {
    who.must(PERMISSION)?;
    match (named, &who.0) {
        (Some(app), _) => who.app(deps, app).await,
        (None, Caller::Principal(principal)) => Ok(principal.app_id.clone()),
        (None, _) => Err(Problem::unprocessable(
            "app",
            "is missing: an operator names the App",
        )),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    app: Option<String>,
    name: String,
    privileges: Vec<Privilege>,
    not_before: Option<String>,
    not_after: Option<String>,
    #[serde(default)]
    addresses: Vec<String>,
}

async fn create(deps: With, who: Who, body: Json<NewKey>) -> Answer {
    let NewKey {
        app,
        name,
        privileges,
        not_before,
        not_after,
        addresses,
    } = body.0;
    let app = app_of(&deps, &who, app.as_deref()).await?;
    let input = ApiKeyInput {
        name,
        privileges,
        not_before,
        not_after,
        addresses,
    };
    let (key, secret) = deps
        .workflows
        .create_api_key(&app, &who.actor(), input)
        .await
        .map_err(problem)?;
    let mut shown = view(&key);
    if let Some(members) = shown.as_object_mut() {
        members.insert("key".to_owned(), secret.expose().into());
    }
    Ok(HttpResponse::Created()
        .insert_header(("cache-control", "no-store"))
        .json(shown))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    app: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn list(deps: With, who: Who, query: Query<ListQuery>) -> Answer {
    let app = app_of(&deps, &who, query.0.app.as_deref()).await?;
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    Ok(listing(
        deps.workflows
            .api_keys(&app, &page)
            .await
            .map_err(problem)?
            .map(|key| view(&key)),
    ))
}

// Keys are looked up in one App; an operator, who has none, is told apart by the key's own.
async fn found(deps: &Deps, who: &Who, id: &str) -> Result<(AppId, ApiKey), Problem> {
    who.must(PERMISSION)?;
    let app = match &who.0 {
        Caller::Principal(principal) => principal.app_id.clone(),
        _ => deps
            .workflows
            .api_key_app(id)
            .await?
            .ok_or_else(Problem::not_found)?,
    };
    let key = deps
        .workflows
        .api_key_record(&app, id)
        .await
        .map_err(problem)?;
    Ok((app, key))
}

async fn show(deps: With, who: Who, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(view(&found(&deps, &who, &id).await?.1)))
}

async fn change(deps: With, who: Who, id: web::Path<String>, body: Json<ApiKeyChange>) -> Answer {
    let (app, _) = found(&deps, &who, &id).await?;
    let key = deps
        .workflows
        .change_api_key(&app, &who.actor(), &id, body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&key)))
}

async fn delete(deps: With, who: Who, id: web::Path<String>) -> Answer {
    let (app, _) = found(&deps, &who, &id).await?;
    deps.workflows
        .drop_api_key(&app, &who.actor(), &id)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}
