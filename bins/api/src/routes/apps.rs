//! `/v1/apps`

use actix_web::{HttpRequest, web};
use heimdall_server::{Json, Query};
use heimdall_tenant::entity::AppState;
use heimdall_tenant::input::{AppPatch, NewApp};
use serde::Deserialize;

use crate::answer::{created, done, shown};
use crate::paging::{listing, page_request};
use crate::refusal::{if_match, problem};
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/apps/{app}")
                .route(web::get().to(show))
                .route(web::patch().to(update))
                .route(web::delete().to(remove)),
        )
        .service(web::resource("/apps/{app}/suspend").route(web::post().to(suspend)))
        .service(web::resource("/apps/{app}/restore").route(web::post().to(restore)));
}

async fn create(deps: With, who: Who, body: Json<NewApp>) -> Answer {
    let app = deps
        .tenants
        .create_app(&who.0, body.0)
        .await
        .map_err(problem)?;
    Ok(created(
        &app,
        format!("{}/v1/apps/{}", deps.prefix, app.name),
        app.version,
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AppsQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    state: Option<AppState>,
}

async fn list(deps: With, who: Who, request: HttpRequest, query: Query<AppsQuery>) -> Answer {
    let page = page_request(query.0.limit, query.0.cursor.as_deref())?;
    Ok(listing(
        &request,
        deps.tenants
            .apps(&who.0, query.0.state, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, app: web::Path<String>) -> Answer {
    let app = deps.tenants.app(&who.0, &app).await.map_err(problem)?;
    Ok(shown(&app, app.version))
}

async fn update(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    body: Json<AppPatch>,
) -> Answer {
    let app = deps
        .tenants
        .update_app(&who.0, &app, body.0, if_match(&request))
        .await
        .map_err(problem)?;
    Ok(shown(&app, app.version))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purge {
    #[serde(default)]
    pub(crate) purge: bool,
}

async fn remove(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    query: Query<Purge>,
) -> Answer {
    deps.tenants
        .delete_app(&who.0, &app, query.0.purge, if_match(&request))
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn suspend(deps: With, who: Who, app: web::Path<String>) -> Answer {
    let app = deps
        .tenants
        .suspend_app(&who.0, &app)
        .await
        .map_err(problem)?;
    Ok(shown(&app, app.version))
}

async fn restore(deps: With, who: Who, app: web::Path<String>) -> Answer {
    let app = deps
        .tenants
        .restore_app(&who.0, &app)
        .await
        .map_err(problem)?;
    Ok(shown(&app, app.version))
}
