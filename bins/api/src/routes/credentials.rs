//! `…/credentials`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Json, Query};
use heimdall_tenant::input::{CredentialPatch, NewCredential};

use crate::answer::{created, done, shown};
use crate::paging::{PageQuery, listing};
use crate::refusal::{if_match, problem};
use crate::routes::{Answer, With};
use crate::who::Who;

type InApp = web::Path<(String, String)>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/credentials")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/apps/{app}/credentials/{client}")
                .route(web::get().to(show))
                .route(web::patch().to(update))
                .route(web::delete().to(remove)),
        )
        .service(
            web::resource("/apps/{app}/credentials/{client}/secrets")
                .route(web::post().to(add_secret)),
        )
        .service(
            web::resource("/apps/{app}/credentials/{client}/secrets/{secret}")
                .route(web::delete().to(drop_secret)),
        );
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<NewCredential>) -> Answer {
    let made = deps
        .tenants
        .create_credential(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    let location = format!(
        "{}/v1/apps/{app}/credentials/{}",
        deps.prefix, made.credential.client_id
    );
    Ok(created(&made, location, made.credential.version))
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
            .credentials(&who.0, &app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: InApp) -> Answer {
    let credential = deps
        .tenants
        .credential(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&credential, credential.version))
}

async fn update(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    body: Json<CredentialPatch>,
) -> Answer {
    let expected = if_match(&request);
    let changed = deps
        .tenants
        .update_credential(&who.0, &path.0, &path.1, body.0, expected)
        .await
        .map_err(problem)?;
    Ok(shown(&changed, changed.version))
}

async fn remove(deps: With, who: Who, path: InApp, request: HttpRequest) -> Answer {
    deps.tenants
        .delete_credential(&who.0, &path.0, &path.1, if_match(&request))
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn add_secret(deps: With, who: Who, path: InApp) -> Answer {
    let secret = deps
        .tenants
        .add_secret(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(secret))
}

async fn drop_secret(deps: With, who: Who, path: web::Path<(String, String, String)>) -> Answer {
    deps.tenants
        .delete_secret(&who.0, &path.0, &path.1, &path.2)
        .await
        .map_err(problem)?;
    Ok(done())
}
