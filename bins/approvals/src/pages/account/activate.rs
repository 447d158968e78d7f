use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::accounts::{AccountError, Activated, Activation, NewPerson};
use heimdall_server::{Form, Problem, Query, same_origin};
use heimdall_types::Secret;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{onward, refused, told};
use crate::account;
use crate::pages::{Desk, PageAnswer, see_other};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/account/activate")
            .route(web::get().to(open))
            .route(web::post().to(act)),
    );
}

#[derive(Debug, Default, Deserialize)]
struct Link {
    token: Option<String>,
}

async fn open(request: HttpRequest, link: Query<Link>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    // The token of a mail leaves the address at once: neither history nor a neighbour's glance keeps it.
    if let Some(token) = link.0.token {
        if let Err(error) = desk.deps.accounts.activation(&token).await {
            return refused(&desk, error).await;
        }
        let mut answer = see_other("/account/activate");
        answer
            .add_cookie(&account::ticket_cookie(&desk.deps, &token.into()))
            .map_err(Problem::internal)?;
        return Ok(answer);
    }
    let Some(ticket) = account::ticket(&desk.deps, &request) else {
        return Ok(see_other("/account/login"));
    };
    match desk.deps.accounts.activation(&ticket).await {
        Ok(activation) => Ok(form(&desk, &ticket, &activation, &Filled::default(), None).await),
        Err(error) => refused(&desk, error).await,
    }
}

#[derive(Debug, Default, Deserialize)]
struct Filled {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    password: String,
    #[serde(default)]
    again: Option<String>,
    #[serde(default)]
    link: Option<String>,
}

async fn form(
    desk: &Desk,
    ticket: &str,
    activation: &Activation,
    filled: &Filled,
    wrong: Option<(&str, &str)>,
) -> HttpResponse {
    let (kind, email, profile) = match activation {
        Activation::Unknown(profile) => ("unknown", &profile.email, Some(profile)),
        Activation::Join(email) => ("join", email, None),
        Activation::Confirm(email) => ("confirm", email, None),
        Activation::Password(email) => ("password", email, None),
        Activation::Link(email, profile) => ("link", email, Some(profile)),
    };
    let provider = profile.map(|profile| desk.deps.accounts.provider_name(&profile.provider));
    let first = profile.map(|profile| profile.first_name.as_str());
    let last = profile.map(|profile| profile.last_name.as_str());
    let status = if wrong.is_some() {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::OK
    };
    let context = json!({
        "kind": kind, "email": email, "provider": provider,
        "verified": profile.is_some_and(|profile| profile.verified),
        "their_email": profile.map(|profile| &profile.email),
        "first_name": filled.first_name.as_deref().or(first).unwrap_or_default(),
        "last_name": filled.last_name.as_deref().or(last).unwrap_or_default(),
        "csrf": desk.deps.csrf.token(&subject(ticket)), "problem": wrong_text(desk, wrong),
    });
    desk.page(status, "account-activate.html", "", context)
        .await
}

pub(super) fn wrong_text(desk: &Desk, wrong: Option<(&str, &str)>) -> Value {
    match wrong {
        Some((field, reason)) => {
            json!({ "field": field, "text": desk.words.t(&format!("{field}: {reason}")) })
        }
        None => Value::Null,
    }
}

fn subject(ticket: &str) -> String {
    format!("ticket:{ticket}")
}

async fn act(request: HttpRequest, given: Form<Filled>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    let given = given.0;
    let ticket = account::ticket(&desk.deps, &request);
    let Some(ticket) = ticket.filter(|_| !given.csrf.is_empty()) else {
        return ask(&desk, &request, &given).await;
    };
    desk.deps
        .csrf
        .check(&request, &subject(&ticket), &given.csrf)?;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let new = NewPerson {
        first_name: text(&given.first_name),
        last_name: text(&given.last_name),
        // Where the form asks once, once is enough.
        again: Secret::new(given.again.clone().unwrap_or(given.password.clone())),
        password: Secret::new(given.password.clone()),
        link: given.link.is_some(),
    };
    let browser = account::browser(&desk.deps, &request);
    let done = desk
        .deps
        .accounts
        .activate(&ticket, new, browser.as_deref(), account::agent(&request))
        .await;
    match done {
        Ok(Activated::LoggedIn { cookie, next }) => {
            let mut answer = see_other(onward(&next));
            for cookie in [
                account::session_cookie(&desk.deps, &cookie),
                account::no_ticket(&desk.deps),
            ] {
                answer.add_cookie(&cookie).map_err(Problem::internal)?;
            }
            Ok(answer)
        }
        Ok(Activated::Mailed { email }) => Ok(mailed(&desk, email.as_str()).await),
        Err(AccountError::Invalid { field, reason }) => {
            let activation = desk.deps.accounts.activation(&ticket).await;
            match activation {
                Ok(activation) => {
                    Ok(form(&desk, &ticket, &activation, &given, Some((field, reason))).await)
                }
                Err(error) => refused(&desk, error).await,
            }
        }
        Err(error) => refused(&desk, error).await,
    }
}

/// Somebody without an account, or without a password, asks for a mail. The answer is the same for every address.
async fn ask(desk: &Desk, request: &HttpRequest, given: &Filled) -> PageAnswer {
    if !same_origin(request) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this form belongs to another site",
        ));
    }
    account::count(request, &given.email)?;
    let asked = desk
        .deps
        .accounts
        .ask_for_mail(&given.email, onward(&given.next))
        .await;
    match asked {
        Ok(email) => Ok(mailed(desk, email.as_str()).await),
        Err(AccountError::Invalid { .. }) => {
            let headline = "This is no e-mail address";
            let advice = "Go back and type it again, such as name@example.org.";
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(told(desk, status, headline, advice).await)
        }
        Err(error) => refused(desk, error).await,
    }
}

async fn mailed(desk: &Desk, address: &str) -> HttpResponse {
    let advice = desk.words.with(
        "If mail reaches {address}, a link is on its way. It works for an hour, in this browser.",
        &[("address", address)],
    );
    told(desk, StatusCode::OK, "Look into your mailbox", &advice).await
}
