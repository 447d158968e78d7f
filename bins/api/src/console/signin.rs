use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use heimdall_server::{Edge, cookie, same_origin};
use heimdall_tenant::input::Login;
use heimdall_tenant::{ADMIN_KEY_PREFIX, Class, TenantError};
use heimdall_types::Secret;
use serde_json::json;

use super::desk::{Desk, Step, dependencies, render, see_other, steps};
use super::fields::Fields;
use super::{COOKIE, Held};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/signin")
                .route(web::get().to(form))
                .route(web::post().to(enter)),
        )
        .route("/signout", web::post().to(leave));
}

async fn form(request: HttpRequest) -> HttpResponse {
    steps!({
        let (deps, console) = dependencies(&request)?;
        Ok(render(
            &deps,
            &console,
            StatusCode::OK,
            "signin.html",
            json!({"wrong": null, "filled_app": "", "filled_email": ""}),
        ))
    })
}

async fn enter(request: HttpRequest, edge: web::Data<Edge>, body: Bytes) -> HttpResponse {
    steps!({
        let (deps, console) = dependencies(&request)?;
        let fields = Fields::read(&body).map_err(|problem| problem.error_response())?;
        let again = |status, wrong: &str| {
            let (app, email) = (
                fields.get("app").unwrap_or_default(),
                fields.get("email").unwrap_or_default(),
            );
            Err(render(
                &deps,
                &console,
                status,
                "signin.html",
                json!({"wrong": wrong, "filled_app": app, "filled_email": email}),
            ))
        };
        if !same_origin(&request) {
            return again(
                StatusCode::FORBIDDEN,
                "Nothing was done. Send the form from this page.",
            );
        }
        let account = format!(
            "{}/{}",
            fields.get("app").unwrap_or_default(),
            fields.get("email").unwrap_or_default().to_ascii_lowercase()
        );
        if edge
            .counters()
            .login(edge.source_of(&request), &account)
            .is_err()
        {
            return again(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts. Wait a minute.",
            );
        }
        let outcome = match fields.get("key") {
            Some(key) => by_key(&deps, key).await,
            None => by_password(&deps, &request, &fields).await,
        };
        let (name, held) = match outcome {
            Ok(known) => known,
            Err(error) if error.class() == Class::Throttled => {
                return again(
                    StatusCode::TOO_MANY_REQUESTS,
                    "Too many attempts. Wait a minute.",
                );
            }
            Err(TenantError::Fault(_)) => {
                return again(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "It did not work this time. Try again.",
                );
            }
            Err(_) => {
                return again(
                    StatusCode::UNAUTHORIZED,
                    "That did not match. Nobody was signed in.",
                );
            }
        };
        let value = console.open(name, held, &*deps.clock, &*deps.rng);
        let mut home = see_other(&format!("{}/console", deps.prefix));
        home.add_cookie(&cookie::session(COOKIE, value, console.encrypted, None))
            .map_err(|error| {
                heimdall_server::Problem::internal(error.to_string()).error_response()
            })?;
        Ok(home)
    })
}

async fn by_key(deps: &crate::Deps, key: &str) -> Result<(String, Held), TenantError> {
    if !key.starts_with(ADMIN_KEY_PREFIX) {
        return Err(TenantError::Unauthenticated);
    }
    deps.tenants.caller(key).await?;
    Ok(("operator".to_owned(), Held::Key(Secret::new(key))))
}

async fn by_password(
    deps: &crate::Deps,
    request: &HttpRequest,
    fields: &Fields,
) -> Result<(String, Held), TenantError> {
    let (app, email) = fields
        .get("app")
        .zip(fields.get("email"))
        .ok_or(TenantError::Unauthenticated)?;
    let login = Login {
        email: email.to_owned(),
        password: Secret::new(fields.raw("password")),
    };
    let agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    let tokens = match deps.tenants.login(app, login, agent).await {
        // Which Apps there are is nobody's business.
        Err(TenantError::NotFound) => return Err(TenantError::Unauthenticated),
        other => other?,
    };
    let held = Held::User {
        app: app.to_owned(),
        access: Secret::new(tokens.access_token),
        refresh: tokens.refresh_token.map(Secret::new),
    };
    Ok((email.to_ascii_lowercase(), held))
}

async fn leave(request: HttpRequest, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, _): (Desk, Fields) = Desk::posted(&request, &body).await?;
        Step::Ok(desk.sign_out())
    })
}
