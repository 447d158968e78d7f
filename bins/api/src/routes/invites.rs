//! `…/invites`, `/v1/invites/:token`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Edge, Json, Query};
use heimdall_tenant::input::{Acceptance, NewInvite};

use crate::answer::{created, done, shown};
use crate::paging::{PageQuery, listing};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

type InApp = web::Path<(String, String)>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/apps/{app}/invites")
                .route(web::post().to(create))
                .route(web::get().to(list)),
        )
        .service(
            web::resource("/apps/{app}/invites/{invite}")
                .route(web::get().to(show))
                .route(web::delete().to(revoke)),
        )
        .service(web::resource("/apps/{app}/invites/{invite}/resend").route(web::post().to(resend)))
        .service(web::resource("/invites/{token}").route(web::get().to(preview)))
        .service(web::resource("/invites/{token}/accept").route(web::post().to(accept)));
}

async fn create(deps: With, who: Who, app: web::Path<String>, body: Json<NewInvite>) -> Answer {
    let made = deps
        .tenants
        .create_invite(&who.0, &app, body.0)
        .await
        .map_err(problem)?;
    let location = format!("{}/v1/apps/{app}/invites/{}", deps.prefix, made.invite.id);
    Ok(created(&made, location, made.invite.version))
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
            .invites(&who.0, &app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn show(deps: With, who: Who, path: InApp) -> Answer {
    let invite = deps
        .tenants
        .invite(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(shown(&invite, invite.version))
}

async fn revoke(deps: With, who: Who, path: InApp) -> Answer {
    deps.tenants
        .revoke_invite(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(done())
}

async fn resend(deps: With, who: Who, path: InApp) -> Answer {
    let invite = deps
        .tenants
        .resend_invite(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(invite))
}

async fn preview(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    token: web::Path<String>,
) -> Answer {
    edge.counters().link(edge.source_of(&request))?;
    Ok(HttpResponse::Ok().json(deps.tenants.preview_invite(&token).await.map_err(problem)?))
}

async fn accept(
    deps: With,
    edge: web::Data<Edge>,
    request: HttpRequest,
    token: web::Path<String>,
    body: Json<Acceptance>,
) -> Answer {
    edge.counters().link(edge.source_of(&request))?;
    Ok(HttpResponse::Created().json(
        deps.tenants
            .accept_invite(&token, body.0)
            .await
            .map_err(problem)?,
    ))
}
