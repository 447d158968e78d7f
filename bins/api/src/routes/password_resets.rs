//! `…/password-resets`: a new password for somebody who forgot the present one.

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Edge, Json};
use heimdall_tenant::Caller;
use heimdall_tenant::input::{ResetPassword, ResetQuestion};

use crate::answer::done;
use crate::deps::Deps;
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Perhaps;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/apps/{app}/password-resets").route(web::post().to(ask)))
        .service(
            web::resource("/apps/{app}/password-resets/confirm").route(web::post().to(confirm)),
        );
}

async fn ask(
    deps: With,
    edge: web::Data<Edge>,
    who: Perhaps,
    request: HttpRequest,
    app: web::Path<String>,
    body: Json<ResetQuestion>,
) -> Answer {
    deps.tenants.belongs(&who.0, &app).map_err(problem)?;
    let account = format!("{app}/reset/{}", body.0.email.to_ascii_lowercase());
    edge.counters().login(edge.source_of(&request), &account)?;
    // An App that is absent is no secret, and its answer must not wait for a mail either.
    deps.tenants
        .app(&Caller::System, &app)
        .await
        .map_err(problem)?;
    send_later(&deps, app.into_inner(), body.0.email);
    Ok(HttpResponse::Accepted().finish())
}

/// Looks the account up and mails after the answer has gone, so that its time tells nothing.
pub(crate) fn send_later(deps: &web::Data<Deps>, app: String, email: String) {
    let deps = deps.clone();
    actix_web::rt::spawn(async move {
        if let Err(error) = deps.tenants.ask_password_reset(&app, &email).await {
            tracing::warn!(%error, "a password reset was not written down");
        }
    });
}

async fn confirm(
    deps: With,
    edge: web::Data<Edge>,
    who: Perhaps,
    request: HttpRequest,
    app: web::Path<String>,
    body: Json<ResetPassword>,
) -> Answer {
    deps.tenants.belongs(&who.0, &app).map_err(problem)?;
    let account = format!("{app}/reset/{}", body.0.token.expose());
    edge.counters().login(edge.source_of(&request), &account)?;
    deps.tenants
        .reset_password(&app, body.0.token.expose(), body.0.password)
        .await
        .map_err(problem)?;
    Ok(done())
}
