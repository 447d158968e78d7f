use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use heimdall_server::{Edge, cookie, same_origin};
use heimdall_tenant::input::{Login, SecondProof};
use heimdall_tenant::view::{SecondStep, TokenAnswer};
use heimdall_tenant::{ADMIN_KEY_PREFIX, Class, LoggedIn, TenantError};
use heimdall_types::Secret;
use serde_json::{Value, json};

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
        .route("/signin/code", web::post().to(second_step))
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
            Ok(Entry::In(name, held)) => (name, held),
            Ok(Entry::SecondStep(step)) => {
                let (app, email) = (fields.get("app"), fields.get("email"));
                let context = question(&step, app, email, None);
                return Ok(render(
                    &deps,
                    &console,
                    StatusCode::OK,
                    "signin-code.html",
                    context,
                ));
            }
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
        opened(&deps, &console, name, held)
    })
}

/// What a form of the first page leads to.
enum Entry {
    In(String, Held),
    SecondStep(Box<SecondStep>),
}

fn opened(
    deps: &crate::Deps,
    console: &super::Console,
    name: String,
    held: Held,
) -> Step<HttpResponse> {
    let value = console.open(name, held, &*deps.clock, &*deps.rng);
    let mut home = see_other(&format!("{}/console", deps.prefix));
    home.add_cookie(&cookie::session(COOKIE, value, console.encrypted, None))
        .map_err(|error| heimdall_server::Problem::internal(error.to_string()).error_response())?;
    Ok(home)
}

fn question(
    step: &SecondStep,
    app: Option<&str>,
    email: Option<&str>,
    wrong: Option<&str>,
) -> Value {
    let has = |method: &str| step.mfa_methods.contains(&method);
    json!({
        "mfa_token": step.mfa_token, "app_name": app, "email": email, "wrong": wrong,
        "totp": has("totp"), "recovery": has("recovery_code"),
        "passkey": step.passkey.as_ref().map(Value::to_string),
    })
}

async fn second_step(request: HttpRequest, edge: web::Data<Edge>, body: Bytes) -> HttpResponse {
    steps!({
        let (deps, console) = dependencies(&request)?;
        let fields = Fields::read(&body).map_err(|problem| problem.error_response())?;
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let again = |status, wrong: &str| {
            // The same question once more: the token of the first step is still good.
            let context = json!({
                "mfa_token": text("mfa_token"), "app_name": text("app"), "email": text("email"),
                "wrong": wrong, "totp": fields.get("has_totp").is_some(),
                "recovery": fields.get("has_recovery").is_some(), "passkey": fields.get("options"),
            });
            Err(render(&deps, &console, status, "signin-code.html", context))
        };
        if !same_origin(&request) {
            return again(
                StatusCode::FORBIDDEN,
                "Nothing was done. Send the form from this page.",
            );
        }
        let limit = edge
            .counters()
            .login(edge.source_of(&request), &text("mfa_token"));
        if limit.is_err() {
            return again(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many attempts. Wait a minute.",
            );
        }
        let proof = SecondProof {
            mfa_token: Secret::new(text("mfa_token")),
            code: fields.get("code").map(Secret::from),
            recovery_code: fields.get("recovery_code").map(Secret::from),
            passkey: fields
                .get("passkey")
                .and_then(|answer| serde_json::from_str(answer).ok()),
        };
        let (app, email) = (text("app"), text("email"));
        match deps
            .tenants
            .finish_login(&app, proof, agent(&request))
            .await
        {
            Ok(tokens) => opened(
                &deps,
                &console,
                email.to_ascii_lowercase(),
                held(&app, tokens),
            ),
            Err(TenantError::Throttled { .. }) => again(
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong codes. Wait a quarter of an hour.",
            ),
            Err(TenantError::Fault(_)) => again(
                StatusCode::SERVICE_UNAVAILABLE,
                "It did not work this time. Try again.",
            ),
            Err(_) => again(
                StatusCode::UNAUTHORIZED,
                "That did not match, or you took longer than five minutes. Nobody was signed in.",
            ),
        }
    })
}

fn agent(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::USER_AGENT)?.to_str().ok()
}

fn held(app: &str, tokens: TokenAnswer) -> Held {
    Held::User {
        app: app.to_owned(),
        access: Secret::new(tokens.access_token),
        refresh: tokens.refresh_token.map(Secret::new),
    }
}

async fn by_key(deps: &crate::Deps, key: &str) -> Result<Entry, TenantError> {
    if !key.starts_with(ADMIN_KEY_PREFIX) {
        return Err(TenantError::Unauthenticated);
    }
    deps.tenants.caller(key).await?;
    Ok(Entry::In(
        "operator".to_owned(),
        Held::Key(Secret::new(key)),
    ))
}

async fn by_password(
    deps: &crate::Deps,
    request: &HttpRequest,
    fields: &Fields,
) -> Result<Entry, TenantError> {
    let (app, email) = fields
        .get("app")
        .zip(fields.get("email"))
        .ok_or(TenantError::Unauthenticated)?;
    let login = Login {
        email: email.to_owned(),
        password: Secret::new(fields.raw("password")),
    };
    match deps.tenants.login(app, login, agent(request)).await {
        // Which Apps there are is nobody's business.
        Err(TenantError::NotFound) => Err(TenantError::Unauthenticated),
        Err(error) => Err(error),
        Ok(LoggedIn::SecondStep(step)) => Ok(Entry::SecondStep(step)),
        Ok(LoggedIn::Done(tokens)) => Ok(Entry::In(email.to_ascii_lowercase(), held(app, tokens))),
    }
}

async fn leave(request: HttpRequest, body: Bytes) -> HttpResponse {
    steps!({
        let (desk, _): (Desk, Fields) = Desk::posted(&request, &body).await?;
        Step::Ok(desk.sign_out())
    })
}
