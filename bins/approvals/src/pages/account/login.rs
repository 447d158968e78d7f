use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::accounts::AccountError;
use heimdall_server::{Form, Problem, Query, same_origin};
use heimdall_types::Secret;
use serde::Deserialize;
use serde_json::json;

use super::{onward, owner, refused};
use crate::account;
use crate::pages::{Desk, PageAnswer, see_other};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/account/login")
                .route(web::get().to(show))
                .route(web::post().to(enter)),
        )
        .route("/account/logout", web::post().to(leave))
        .route("/account", web::get().to(home));
}

async fn home() -> HttpResponse {
    see_other(super::HOME)
}

#[derive(Debug, Default, Deserialize)]
struct Where {
    #[serde(default)]
    next: String,
    #[serde(default)]
    email: String,
}

async fn show(request: HttpRequest, query: Query<Where>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    let next = onward(&query.0.next).to_owned();
    if account::logged_in(&desk.deps, &request).await?.is_some() {
        return Ok(see_other(&next));
    }
    Ok(form(&desk, StatusCode::OK, &next, &query.0.email, None).await)
}

async fn form(
    desk: &Desk,
    status: StatusCode,
    next: &str,
    email: &str,
    problem: Option<&str>,
) -> HttpResponse {
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    let providers = desk.deps.accounts.providers().map(|(id, name)| {
        let href = format!("/account/oauth/{id}/start?{query}");
        json!({ "name": name, "href": href })
    });
    let context = json!({
        "next": next, "waits": next.starts_with("/step-action"), "email": email,
        "providers": providers.collect::<Vec<_>>(), "problem": problem.map(|key| desk.words.t(key)),
    });
    desk.page(status, "account-login.html", "", context).await
}

#[derive(Debug, Deserialize)]
struct Credentials {
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
    let next = onward(&given.next).to_owned();
    let outcome = match account::count(&request, &given.email) {
        Ok(()) => {
            let agent = account::agent(&request);
            desk.deps
                .accounts
                .log_in(&given.email, given.password, agent)
                .await
        }
        Err(_) => Err(AccountError::Locked(std::time::Duration::from_secs(60))),
    };
    let (status, why) = match outcome {
        Ok(value) => {
            let mut answer = see_other(&next);
            answer
                .add_cookie(&account::session_cookie(&desk.deps, &value))
                .map_err(Problem::internal)?;
            return Ok(answer);
        }
        Err(AccountError::Locked(_)) => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong tries. Wait 15 minutes, or log in with a provider.",
        ),
        // Never which part was wrong.
        Err(AccountError::WrongCredentials) => {
            (StatusCode::UNAUTHORIZED, "E-mail or password is wrong.")
        }
        Err(other) => return refused(&desk, other).await,
    };
    Ok(form(&desk, status, &next, &given.email, Some(why)).await)
}

#[derive(Debug, Deserialize)]
struct Leaving {
    csrf: String,
}

async fn leave(request: HttpRequest, given: Form<Leaving>) -> PageAnswer {
    let (desk, who) = match owner(&request).await? {
        Ok(found) => found,
        Err(login) => return Ok(login),
    };
    desk.deps
        .csrf
        .check(&request, &account::subject(&who), &given.0.csrf)?;
    desk.deps
        .accounts
        .log_out(&who)
        .await
        .map_err(account::problem)?;
    let mut answer = see_other("/account/login");
    answer
        .add_cookie(&account::no_session(&desk.deps))
        .map_err(Problem::internal)?;
    Ok(answer)
}
