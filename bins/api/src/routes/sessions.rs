//! `…/sessions`, `…/me/sessions`

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Edge, Json, Problem, Query};
use heimdall_tenant::LoggedIn;
use heimdall_tenant::input::{Login, SecondProof};
use heimdall_tenant::view::SecondStep;
use serde_json::Value;

use crate::answer::done;
use crate::paging::{PageQuery, listing};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::{Perhaps, Who};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/apps/{app}/sessions").route(web::post().to(login)))
        .service(web::resource("/apps/{app}/sessions/mfa").route(web::post().to(second_step)))
        .service(web::resource("/apps/{app}/me/sessions").route(web::get().to(mine)))
        .service(web::resource("/apps/{app}/me/sessions/{session}").route(web::delete().to(end)));
}

async fn login(
    deps: With,
    edge: web::Data<Edge>,
    who: Perhaps,
    request: HttpRequest,
    app: web::Path<String>,
    body: Json<Login>,
) -> Answer {
    deps.tenants.belongs(&who.0, &app).map_err(problem)?;
    // Counted before anything is looked up: known and unknown accounts run into the limit alike.
    let account = format!("{app}/{}", body.0.email.to_ascii_lowercase());
    edge.counters().login(edge.source_of(&request), &account)?;
    let outcome = deps
        .tenants
        .login(&app, body.0, agent(&request))
        .await
        .map_err(problem)?;
    match outcome {
        LoggedIn::Done(tokens) => Ok(HttpResponse::Created().json(tokens)),
        LoggedIn::SecondStep(step) => Err(mfa_required(*step)),
    }
}

fn agent(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::USER_AGENT)?.to_str().ok()
}

// No success: a client that knows nothing of second factors must not take it for a login.
fn mfa_required(step: SecondStep) -> Problem {
    Problem::forbidden("mfa_required", "a second factor is needed")
        .extension("mfa_token", step.mfa_token)
        .extension("mfa_methods", step.mfa_methods)
        .extension("expires_in", step.expires_in)
        .extension("passkey", step.passkey.unwrap_or(Value::Null))
}

async fn second_step(
    deps: With,
    edge: web::Data<Edge>,
    who: Perhaps,
    request: HttpRequest,
    app: web::Path<String>,
    body: Json<SecondProof>,
) -> Answer {
    deps.tenants.belongs(&who.0, &app).map_err(problem)?;
    edge.counters()
        .login(edge.source_of(&request), body.0.mfa_token.expose())?;
    let tokens = deps
        .tenants
        .finish_login(&app, body.0, agent(&request))
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Created().json(tokens))
}

async fn mine(
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
            .my_sessions(&who.0, &app, &page)
            .await
            .map_err(problem)?,
    ))
}

async fn end(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    deps.tenants
        .revoke_my_session(&who.0, &path.0, &path.1)
        .await
        .map_err(problem)?;
    Ok(done())
}
