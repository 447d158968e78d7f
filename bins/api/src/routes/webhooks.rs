//! `…/webhooks`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Json, Query};
use heimdall_tenant::input::{NewWebhook, WebhookPatch};

use crate::answer::{created, done, shown};
use crate::paging::{PageQuery, listing};
use crate::refusal::{if_match, problem};
use crate::routes::{Answer, With};
use crate::who::Who;

type InApp = web::Path<(String, String)>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/webhooks")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/apps/{app}/webhooks/{webhook}")
                .route(web::get().to(show))
                .route(web::patch().to(update))
                .route(web::delete().to(remove)),
        )
        .service(
            web::resource("/apps/{app}/webhooks/{webhook}/secret/rotate")
                .route(web::post().to(rotate)),
        )
        .service(
            web::resource("/apps/{app}/webhooks/{webhook}/enable").route(web::post().to(enable)),
        );
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<NewWebhook>) -> Answer {
    let made = deps
        .tenants
        .create_webhook(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    let location = format!("{}/v1/apps/{app}/webhooks/{}", deps.prefix, made.webhook.id);
    Ok(created(&made, location, made.webhook.version))
}

async fn list(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Answer {
    let page = query.0.request()?;
    Ok(listing(
        &request,
        deps.tenants
            .webhooks(&who.0, &app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: InApp) -> Answer {
    let webhook = deps
        .tenants
        .webhook(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&webhook, webhook.version))
}

async fn update(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    body: Json<WebhookPatch>,
) -> Answer {
    let expected = if_match(&request);
    let webhook = deps
        .tenants
        .update_webhook(&who.0, &path.0, &path.1, body.0, expected)
        .await
        .map_err(problem)?;
    Ok(shown(&webhook, webhook.version))
}

async fn remove(deps: With, who: Who, path: InApp, request: HttpRequest) -> Answer {
    deps.tenants
        .delete_webhook(&who.0, &path.0, &path.1, if_match(&request))
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn rotate(deps: With, who: Who, path: InApp) -> Answer {
    let rotated = deps
        .tenants
        .rotate_webhook_secret(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(rotated))
}

async fn enable(deps: With, who: Who, path: InApp) -> Answer {
    let webhook = deps
        .tenants
        .enable_webhook(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&webhook, webhook.version))
}
