//! `/v1/apps/{app}/groups`

use actix_web::{HttpResponse, web};
use heimdall_approval::Approver;
use heimdall_approval::workflows::GroupInput;
use heimdall_server::{Json, Query};
use serde::Deserialize;

use crate::listing::{listing, wanted};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

const PERMISSION: &str = "settings:write";

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/apps/{app}/groups")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/v1/apps/{app}/groups/{id}")
                .route(web::get().to(show))
                .route(web::patch().to(change))
                .route(web::delete().to(delete)),
        );
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<GroupInput>) -> Answer {
    let app = who.app(&deps, &app).await?;
    who.must(PERMISSION)?;
    let group = deps
        .workflows
        .save_group(&app, &who.actor(), None, body.0)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(group))
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
    Ok(listing(
        deps.workflows.groups(&app, &page).await.map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    Ok(HttpResponse::Ok().json(deps.workflows.group(&app, &path.1).await.map_err(problem)?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    name: Option<String>,
    members: Option<Vec<Approver>>,
}

async fn change(
    deps: With,
    who: Who,
    path: web::Path<(String, String)>,
    body: Json<Change>,
) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    let present = deps.workflows.group(&app, &path.1).await.map_err(problem)?;
    let input = GroupInput {
        name: body.0.name.unwrap_or(present.name),
        members: body.0.members.unwrap_or(present.members),
    };
    let group = deps
        .workflows
        .save_group(&app, &who.actor(), Some(&path.1), input)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(group))
}

async fn delete(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app = who.app(&deps, &path.0).await?;
    who.must(PERMISSION)?;
    deps.workflows
        .drop_group(&app, &who.actor(), &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::NoContent().finish())
}
