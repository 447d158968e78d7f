use actix_web::{HttpRequest, web};
use heimdall_approval::accounts::{AccountError, Arrival, Callback};
use heimdall_server::{Edge, Problem, Query};
use serde::Deserialize;

use super::{onward, refused, told};
use crate::account;
use crate::pages::{Desk, PageAnswer, see_other};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/account/oauth/{provider}/start", web::get().to(start))
        .route(
            "/account/oauth/{provider}/callback",
            web::get().to(callback),
        );
}

#[derive(Debug, Default, Deserialize)]
struct Where {
    #[serde(default)]
    next: String,
}

// A log-in costs a row, and one at OpenID Connect perhaps a request to the provider.
fn limited(request: &HttpRequest) -> Result<(), Problem> {
    match request.app_data::<web::Data<Edge>>() {
        Some(edge) => edge.counters().link(edge.source_of(request)),
        None => Ok(()),
    }
}

async fn start(
    request: HttpRequest,
    provider: web::Path<String>,
    query: Query<Where>,
) -> PageAnswer {
    let desk = Desk::open(&request)?;
    limited(&request)?;
    let who = account::logged_in(&desk.deps, &request).await?;
    let browser = account::browser(&desk.deps, &request);
    let begun = desk
        .deps
        .accounts
        .begin_oauth(
            &provider,
            onward(&query.0.next),
            who.as_ref(),
            browser.as_deref(),
        )
        .await;
    match begun {
        Ok(begun) => {
            let mut answer = see_other(&begun.location);
            answer
                .add_cookie(&account::browser_cookie(&desk.deps, &begun.browser))
                .map_err(Problem::internal)?;
            Ok(answer)
        }
        Err(AccountError::UnknownProvider) => Ok(desk.not_found().await),
        Err(error) => refused(&desk, error).await,
    }
}

/// Providers add members of their own (`session_state`, `scope`, …): unknown ones are no error here.
#[derive(Debug, Default, Deserialize)]
struct Back {
    code: Option<String>,
    #[serde(default)]
    state: String,
    error: Option<String>,
    iss: Option<String>,
}

async fn callback(
    request: HttpRequest,
    provider: web::Path<String>,
    query: Query<Back>,
) -> PageAnswer {
    let desk = Desk::open(&request)?;
    limited(&request)?;
    let who = account::logged_in(&desk.deps, &request).await?;
    let browser = account::browser(&desk.deps, &request);
    let back = Callback {
        code: query.0.code,
        state: query.0.state,
        error: query.0.error,
        iss: query.0.iss,
    };
    let arrived = desk
        .deps
        .accounts
        .end_oauth(
            &provider,
            back,
            browser.as_deref(),
            who.as_ref(),
            account::agent(&request),
        )
        .await;
    let (mut answer, cookie) = match arrived {
        Ok(Arrival::LoggedIn { cookie, next }) => (
            see_other(onward(&next)),
            Some(account::session_cookie(&desk.deps, &cookie)),
        ),
        Ok(Arrival::Linked { next }) => (see_other(onward(&next)), None),
        Ok(Arrival::Activate { ticket }) => (
            see_other("/account/activate"),
            Some(account::ticket_cookie(&desk.deps, &ticket)),
        ),
        Ok(Arrival::Mailed { email }) => {
            let advice = desk.words.with(
                "We sent a mail to {address}. Open its link in this browser to link the log-in with your account. Until then nothing is linked.",
                &[("address", email.as_str())],
            );
            let status = actix_web::http::StatusCode::OK;
            return Ok(told(&desk, status, "Look into your mailbox", &advice).await);
        }
        Err(AccountError::UnknownProvider) => return Ok(desk.not_found().await),
        Err(error) => return refused(&desk, error).await,
    };
    if let Some(cookie) = cookie {
        answer.add_cookie(&cookie).map_err(Problem::internal)?;
    }
    Ok(answer)
}
