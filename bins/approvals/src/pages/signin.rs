use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Form, Problem, Query, same_origin};
use heimdall_tenant::TenantError;
use heimdall_types::Secret;
use serde::Deserialize;
use serde_json::json;

use super::{Desk, PageAnswer, own_path, see_other};
use crate::who::{log_in, no_session, session_cookie};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/login")
                .route(web::get().to(show))
                .route(web::post().to(enter)),
        )
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
        Ok((_, cookie)) => {
            let mut answer = see_other(&next);
            answer
                .add_cookie(&session_cookie(&desk.deps, cookie))
                .map_err(Problem::internal)?;
            Ok(answer)
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
