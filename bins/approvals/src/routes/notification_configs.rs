//! `/v1/apps/{app}/notification-configs`

use actix_web::{HttpResponse, web};
use heimdall_approval::{NotificationConfig, NotificationConfigs, NotificationInput};
use heimdall_server::{Json, Query};
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
            web::resource("/v1/apps/{app}/notification-configs")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/apps/{app}/notification-configs/{id}")
                .route(web::get().to(show))
                .route(web::patch().to(change))
                .route(web::delete().to(delete)),
        );
}

fn configs(deps: &Deps) -> NotificationConfigs {
    NotificationConfigs::new(deps.store.clone(), deps.clock.clone(), deps.rng.clone())
}

fn view(config: &NotificationConfig) -> Value {
    json!({
        "id": config.id, "name": config.name, "recipients": config.recipients,
        "use_for_external_approvals": config.use_for_external_approvals,
    })
}

async fn create(
    deps: With,
    who: Who,
    app: web::Path<String>,
    body: Json<NotificationInput>,
) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let config = configs(&deps)
        .create(&app, &who.actor(), &body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(view(&config)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn list(deps: With, who: Who, app: web::Path<String>, query: Query<PageQuery>) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let page = wanted(query.0.limit, query.0.cursor.as_deref())?;
    let found = configs(&deps).configs(&app, &page).await.map_err(problem)?;
    Ok(listing(found.map(|config| view(&config))))
}

async fn show(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    let config = configs(&deps)
        .config(&app, &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&config)))
}

async fn change(
    deps: With,
    who: Who,
    path: web::Path<(String, String)>,
    body: Json<NotificationInput>,
) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    let config = configs(&deps)
        .change(&app, &who.actor(), &path.1, &body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&config)))
}

async fn delete(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    configs(&deps)
        .delete(&app, &who.actor(), &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}
