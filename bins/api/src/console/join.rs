//! The page of an invite: what it offers, and the form that accepts it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use heimdall_server::{Edge, same_origin};
use heimdall_tenant::input::Acceptance;
use heimdall_tenant::{Class, TenantError};
use heimdall_types::Secret;
use serde_json::{Value, json};

use super::desk::{dependencies, render, steps};
use super::fields::Fields;
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/invites/{token}")
            .route(web::get().to(offer))
            .route(web::post().to(accept)),
    );
}

async fn offer(
    request: HttpRequest,
    edge: web::Data<Edge>,
    token: web::Path<String>,
) -> HttpResponse {
    steps!({
        edge.counters()
            .link(edge.source_of(&request))
            .map_err(|problem| problem.error_response())?;
        let (deps, console) = dependencies(&request)?;
        let page = |status, context| render(&deps, &console, status, "join.html", context);
        match deps.tenants.preview_invite(&token).await {
            Ok(invite) => Ok(page(
                StatusCode::OK,
                json!({"invite": invite, "joined": null, "over": null, "wrong": null, "typed": ""}),
            )),
            Err(error) => Err(over(error, page)),
        }
    })
}

async fn accept(
    request: HttpRequest,
    edge: web::Data<Edge>,
    token: web::Path<String>,
    body: Bytes,
) -> HttpResponse {
    steps!({
        edge.counters()
            .link(edge.source_of(&request))
            .map_err(|problem| problem.error_response())?;
        let (deps, console) = dependencies(&request)?;
        let fields = Fields::read(&body).map_err(|problem| problem.error_response())?;
        let page = |status, context| render(&deps, &console, status, "join.html", context);
        let invite = deps
            .tenants
            .preview_invite(&token)
            .await
            .map_err(|error| over(error, page))?;
        let typed = fields.get("display_name").unwrap_or_default().to_owned();
        if !same_origin(&request) {
            let wrong = "Nothing was done. Send the form from this page.";
            return Ok(page(
                StatusCode::FORBIDDEN,
                json!({"invite": invite, "joined": null, "over": null, "wrong": wrong, "typed": typed}),
            ));
        }
        let acceptance = Acceptance {
            display_name: typed.clone(),
            password: Secret::new(fields.raw("password")),
            email: invite
                .email
                .is_none()
                .then(|| fields.get("email").unwrap_or_default().to_owned()),
        };
        match deps.tenants.accept_invite(&token, acceptance).await {
            Ok(done) => Ok(page(
                StatusCode::OK,
                json!({"invite": null, "joined": {"app": invite.app_display_name, "email": done.user.email}, "over": null, "wrong": null, "typed": ""}),
            )),
            Err(error) if matches!(error.class(), Class::Gone | Class::NotFound) => {
                Err(over(error, page))
            }
            Err(error) => {
                let wrong = format!("Nothing was done: {error}.");
                let status = problem(error).status();
                Ok(page(
                    status,
                    json!({"invite": invite, "joined": null, "over": null, "wrong": wrong, "typed": typed}),
                ))
            }
        }
    })
}

fn over(error: TenantError, page: impl Fn(StatusCode, Value) -> HttpResponse) -> HttpResponse {
    let advice = match error.class() {
        Class::Gone => {
            "This invite is over: it was used, withdrawn, or has expired. Ask for a new one."
        }
        Class::NotFound => "This address leads nowhere. Check that it is complete.",
        _ => "It did not work this time. Try again in a minute.",
    };
    let status = problem(error).status();
    page(
        status,
        json!({"invite": null, "joined": null, "over": advice, "wrong": null, "typed": ""}),
    )
}
