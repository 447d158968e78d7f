//! Pages of somebody who forgot the password: the question for a mail, and what the mail leads to.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use heimdall_server::{Edge, same_origin};
use heimdall_tenant::{Class, TenantError};
use heimdall_types::Secret;
use serde_json::{Value, json};

use super::desk::{dependencies, render, steps};
use super::fields::Fields;
use crate::refusal::problem;
use crate::routes::password_resets::send_later;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/password")
                .route(web::get().to(question))
                .route(web::post().to(ask)),
        )
        .service(
            web::resource("/password/{app}/{token}")
                .route(web::get().to(form))
                .route(web::post().to(choose)),
        );
}

async fn question(request: HttpRequest) -> HttpResponse {
    steps!({
        let (deps, console) = dependencies(&request)?;
        let query =
            Fields::read(request.query_string().as_bytes()).map_err(|p| p.error_response())?;
        let context = json!({"sent": false, "wrong": null, "filled_app": query.get("app")});
        Ok(render(
            &deps,
            &console,
            StatusCode::OK,
            "forgot.html",
            context,
        ))
    })
}

async fn ask(request: HttpRequest, edge: web::Data<Edge>, body: Bytes) -> HttpResponse {
    steps!({
        let (deps, console) = dependencies(&request)?;
        let fields = Fields::read(&body).map_err(|problem| problem.error_response())?;
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let (app, email) = (text("app"), text("email"));
        let answer = |status, sent: bool, wrong: Option<&str>| {
            let context = json!({"sent": sent, "wrong": wrong, "filled_app": app});
            Ok(render(&deps, &console, status, "forgot.html", context))
        };
        if !same_origin(&request) {
            let wrong = "Nothing was done. Send the form from this page.";
            return answer(StatusCode::FORBIDDEN, false, Some(wrong));
        }
        let account = format!("{app}/reset/{}", email.to_ascii_lowercase());
        let counted = edge.counters().login(edge.source_of(&request), &account);
        if counted.is_err() {
            let wrong = "Too many attempts. Wait a minute.";
            return answer(StatusCode::TOO_MANY_REQUESTS, false, Some(wrong));
        }
        // One answer, whether there is such a user, or such an App, or not.
        send_later(&deps, app.clone(), email);
        answer(StatusCode::OK, true, None)
    })
}

async fn form(
    request: HttpRequest,
    edge: web::Data<Edge>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    steps!({
        edge.counters()
            .link(edge.source_of(&request))
            .map_err(|problem| problem.error_response())?;
        let (deps, console) = dependencies(&request)?;
        let (app, token) = path.into_inner();
        let page = |status, context| render(&deps, &console, status, "reset.html", context);
        match deps.tenants.preview_password_reset(&app, &token).await {
            Ok(()) => Ok(page(StatusCode::OK, shown(&app, None, None))),
            Err(error) => Err(over(&app, error, page)),
        }
    })
}

async fn choose(
    request: HttpRequest,
    edge: web::Data<Edge>,
    path: web::Path<(String, String)>,
    body: Bytes,
) -> HttpResponse {
    steps!({
        edge.counters()
            .link(edge.source_of(&request))
            .map_err(|problem| problem.error_response())?;
        let (deps, console) = dependencies(&request)?;
        let fields = Fields::read(&body).map_err(|problem| problem.error_response())?;
        let (app, token) = path.into_inner();
        let page = |status, context| render(&deps, &console, status, "reset.html", context);
        if !same_origin(&request) {
            let wrong = "Nothing was done. Send the form from this page.";
            return Ok(page(StatusCode::FORBIDDEN, shown(&app, Some(wrong), None)));
        }
        let password = fields.raw("password");
        if password != fields.raw("again") {
            let wrong = "Nothing was done: the two passwords differ.";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(page(status, shown(&app, Some(wrong), None)));
        }
        let outcome = deps
            .tenants
            .reset_password(&app, &token, Secret::new(password))
            .await;
        match outcome {
            Ok(()) => Ok(page(StatusCode::OK, shown(&app, None, Some("done")))),
            Err(error) if matches!(error.class(), Class::Invalid | Class::Malformed) => {
                let wrong = format!("Nothing was done: {error}.");
                let status = problem(error).status();
                Ok(page(status, shown(&app, Some(&wrong), None)))
            }
            Err(error) => Err(over(&app, error, page)),
        }
    })
}

fn shown(app: &str, wrong: Option<&str>, end: Option<&str>) -> Value {
    json!({"app_name": app, "wrong": wrong, "end": end})
}

fn over(
    app: &str,
    error: TenantError,
    page: impl Fn(StatusCode, Value) -> HttpResponse,
) -> HttpResponse {
    let advice = match error.class() {
        Class::Gone => "This link has expired. Ask for a new mail.",
        Class::NotFound => "This link was used already, or is not complete. Ask for a new mail.",
        _ => "It did not work this time. Try again in a minute.",
    };
    let status = problem(error).status();
    page(status, shown(app, None, Some(advice)))
}
