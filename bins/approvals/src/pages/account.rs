//! The pages of external approvers' own accounts.

mod activate;
mod login;
mod oauth;
mod settings;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::accounts::{AccountError, LoggedIn};
use heimdall_server::Problem;
use serde_json::json;

use super::{Desk, PageAnswer, see_other};
use crate::account;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    login::routes(config);
    activate::routes(config);
    oauth::routes(config);
    settings::routes(config);
}

/// Where a log-in leads when nothing else was asked for.
const HOME: &str = "/account/settings/profile";

/// A path of our own to go to, whatever was asked for.
fn onward(wanted: &str) -> &str {
    match super::own_path(wanted) {
        "/" => HOME,
        own => own,
    }
}

/// A page that needs a log-in; without it the answer is the way there.
async fn owner(request: &HttpRequest) -> Result<Result<(Desk, LoggedIn), HttpResponse>, Problem> {
    let desk = Desk::open(request)?;
    match account::logged_in(&desk.deps, request).await? {
        Some(who) => Ok(Ok((desk, who))),
        None => {
            let query = serde_urlencoded::to_string([("next", request.path())]).unwrap_or_default();
            Ok(Err(see_other(&format!("/account/login?{query}"))))
        }
    }
}

/// A page that says how something went, with one way on.
async fn told(desk: &Desk, status: StatusCode, headline: &str, advice: &str) -> HttpResponse {
    let context = json!({
        "headline": desk.words.t(headline), "advice": desk.words.t(advice),
    });
    desk.page(status, "account-told.html", "", context).await
}

/// The page for what was refused.
async fn refused(desk: &Desk, error: AccountError) -> PageAnswer {
    let (status, headline, advice) = match &error {
        AccountError::ForeignFlow => (
            StatusCode::FORBIDDEN,
            "This log-in was not begun here",
            "Nothing was linked. A log-in works once, for 15 minutes, in the browser in which it began. Begin again.",
        ),
        AccountError::Provider(why) => {
            tracing::warn!(why, "a log-in at a provider failed");
            (
                StatusCode::FORBIDDEN,
                "The log-in did not work",
                "The provider refused it, or what it said could not be believed. Nothing was linked.",
            )
        }
        AccountError::LinkedElsewhere => (
            StatusCode::CONFLICT,
            "This is linked with another already",
            "A log-in belongs to one account, and an account has one log-in of a provider. Nothing was linked.",
        ),
        AccountError::Ended => (
            StatusCode::GONE,
            "This link has ended",
            "It was used, or it is older than an hour. Ask for a new one.",
        ),
        AccountError::OtherBrowser => (
            StatusCode::FORBIDDEN,
            "Open this link in the other browser",
            "It works only in the browser in which you logged in at the provider. If you did not do that, ignore the mail: nothing was linked.",
        ),
        AccountError::Stale => (
            StatusCode::FORBIDDEN,
            "Log in again first",
            "Your log-in is older than ten minutes. Nothing was changed.",
        ),
        AccountError::Fault(fault) => {
            tracing::warn!(%fault, "an account page failed");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "This does not work at the moment",
                "Nothing was changed. Try again in a minute.",
            )
        }
        _ => return Err(account::problem(error)),
    };
    Ok(told(desk, status, headline, advice).await)
}
