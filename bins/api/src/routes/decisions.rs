//! `…/authorize`, `…/authorize/batch`, `…/verify`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Authorization, Json, Problem};
use heimdall_tenant::input::{Question, Questions, TokenBody};
use heimdall_types::Secret;

use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Perhaps;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/apps/{app}/authorize").route(web::post().to(authorize)))
        .service(web::resource("/apps/{app}/authorize/batch").route(web::post().to(batch)))
        .service(web::resource("/apps/{app}/verify").route(web::post().to(verify)));
}

// The token in the body wins: the header may then be the caller's own.
fn token(request: &HttpRequest, body: Option<Secret>) -> Result<Secret, Problem> {
    if let Some(token) = body {
        return Ok(token);
    }
    match Authorization::of(request)? {
        Some(Authorization::Bearer(token)) => Ok(token),
        _ => Err(Problem::unauthorized(
            "a token is needed, in the header or as `token`",
        )),
    }
}

async fn authorize(
    deps: With,
    request: HttpRequest,
    app: web::Path<String>,
    body: Json<Question>,
) -> Answer {
    let Question {
        permission,
        mut permissions,
        token: given,
    } = body.0;
    permissions.extend(permission);
    let token = token(&request, given)?;
    let decision = deps
        .tenants
        .authorize(&app, &token, &permissions)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(decision))
}

async fn batch(
    deps: With,
    request: HttpRequest,
    app: web::Path<String>,
    body: Json<Questions>,
) -> Answer {
    let token = token(&request, body.0.token)?;
    let decisions = deps
        .tenants
        .authorize_batch(&app, &token, &body.0.permissions)
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "data": decisions })))
}

async fn verify(deps: With, who: Perhaps, app: web::Path<String>, body: Json<TokenBody>) -> Answer {
    deps.tenants.belongs(&who.0, &app).map_err(problem)?;
    Ok(HttpResponse::Ok().json(
        deps.tenants
            .verify(&app, &body.0.token)
            .await
            .map_err(problem)?,
    ))
}
