use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Form, Problem, Query, same_origin};
use heimdall_tenant::TenantError;
use heimdall_tenant::input::SecondProof;
use heimdall_types::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer, own_path, see_other};
use crate::who::{Entry, log_in, log_in_second, no_session, session_cookie};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/login")
                .route(web::get().to(show))
                .route(web::post().to(enter)),
        )
        .route("/login/code", web::post().to(second_step))
        .route("/logout", web::post().to(leave));
}

#[derive(Debug, Default, Deserialize)]
struct Where {
    next: Option<String>,
    app: Option<String>,
}

async fn show(request: HttpRequest, query: Query<Where>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    let next = query.0.next.unwrap_or_default();
    Ok(form(
        &desk,
        StatusCode::OK,
        own_path(&next),
        &query.0.app.unwrap_or_default(),
        "",
        None,
    )
    .await)
}

async fn form(
    desk: &Desk,
    status: StatusCode,
    next: &str,
    app: &str,
    email: &str,
    problem: Option<&str>,
) -> HttpResponse {
    let problem = problem.map(|key| desk.words.t(key));
    let context = json!({"next": next, "app": app, "email": email, "problem": problem});
    desk.page(status, "signin.html", "", context).await
}

#[derive(Debug, Deserialize)]
struct Credentials {
    app: String,
    email: String,
    password: Secret,
    #[serde(default)]
    next: String,
}

async fn enter(request: HttpRequest, given: Form<Credentials>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    if !same_origin(&request) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this form belongs to another site",
        ));
    }
    let given = given.0;
    let next = own_path(&given.next).to_owned();
    match log_in(
        &desk.deps,
        &request,
        &given.app,
        &given.email,
        given.password,
    )
    .await
    {
        Ok(Entry::In(_, cookie)) => entered(&desk, &next, cookie),
        Ok(Entry::SecondStep(step)) => {
            let has = |method: &str| step.mfa_methods.contains(&method);
            let context = json!({
                "mfa_token": step.mfa_token, "app": given.app, "next": next, "problem": null,
                "totp": has("totp"), "recovery": has("recovery_code"),
                "passkey": step.passkey.as_ref().map(Value::to_string),
            });
            Ok(desk
                .page(StatusCode::OK, "signin-code.html", "", context)
                .await)
        }
        Err(TenantError::Fault(fault)) => Err(fault.into()),
        Err(TenantError::Throttled { .. }) => {
            let why = "Too many attempts. Wait a minute and try again.";
            Ok(form(
                &desk,
                StatusCode::TOO_MANY_REQUESTS,
                &next,
                &given.app,
                &given.email,
                Some(why),
            )
            .await)
        }
        // Never which part was wrong.
        Err(_) => {
            let why = "App, e-mail or password is wrong.";
            Ok(form(
                &desk,
                StatusCode::UNAUTHORIZED,
                &next,
                &given.app,
                &given.email,
                Some(why),
            )
            .await)
        }
    }
}

fn entered(desk: &Desk, next: &str, cookie: String) -> PageAnswer {
    let mut answer = see_other(next);
    answer
        .add_cookie(&session_cookie(&desk.deps, cookie))
        .map_err(Problem::internal)?;
    Ok(answer)
}

/// The second form. What it carries besides the proof is only what the page needs to ask once more.
#[derive(Debug, Deserialize)]
struct Second {
    app: String,
    mfa_token: Secret,
    #[serde(default)]
    next: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    recovery_code: String,
    #[serde(default)]
    passkey: String,
    #[serde(default)]
    has_totp: String,
    #[serde(default)]
    has_recovery: String,
    #[serde(default)]
    options: String,
}

async fn second_step(request: HttpRequest, given: Form<Second>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    if !same_origin(&request) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this form belongs to another site",
        ));
    }
    let given = given.0;
    let next = own_path(&given.next).to_owned();
    let filled = |text: &str| (!text.trim().is_empty()).then(|| Secret::new(text.trim()));
    let proof = SecondProof {
        mfa_token: given.mfa_token.clone(),
        code: filled(&given.code),
        recovery_code: filled(&given.recovery_code),
        passkey: serde_json::from_str(&given.passkey).ok(),
    };
    let (status, why) = match log_in_second(&desk.deps, &request, &given.app, proof).await {
        Ok(Entry::In(_, cookie)) => return entered(&desk, &next, cookie),
        Err(TenantError::Fault(fault)) => return Err(fault.into()),
        Err(TenantError::Throttled { .. }) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong codes. Wait a quarter of an hour.",
        ),
        Ok(Entry::SecondStep(_)) | Err(_) => (
            StatusCode::UNAUTHORIZED,
            "That did not match, or you took longer than five minutes. Nobody was signed in.",
        ),
    };
    let context = json!({
        "mfa_token": given.mfa_token.expose(), "app": given.app, "next": next,
        "problem": desk.words.t(why), "totp": !given.has_totp.is_empty(),
        "recovery": !given.has_recovery.is_empty(),
        "passkey": (!given.options.is_empty()).then_some(given.options),
    });
    Ok(desk.page(status, "signin-code.html", "", context).await)
}

#[derive(Debug, Deserialize)]
struct Leaving {
    csrf: String,
}

async fn leave(request: HttpRequest, given: Form<Leaving>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    desk.check(&request, &given.0.csrf)?;
    let mut answer = see_other("/login");
    answer
        .add_cookie(&no_session(&desk.deps))
        .map_err(Problem::internal)?;
    Ok(answer)
}
