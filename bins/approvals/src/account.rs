//! Who is logged in as an external approver: the cookie `heimdall_account`, and what else a browser keeps for a while.

use actix_web::HttpRequest;
use actix_web::cookie::Cookie;
use actix_web::http::header;
use heimdall_approval::accounts::{AccountError, LoggedIn};
use heimdall_server::{Edge, Problem, cookie};
use heimdall_types::Secret;

use crate::deps::Deps;

const SESSION: &str = "heimdall_account";
/// What a log-in at a provider, a parked link and a linking mail are bound to.
const BROWSER: &str = "heimdall_browser";
/// What the activation form is about.
const TICKET: &str = "heimdall_ticket";
const SESSION_SECONDS: i64 = 12 * 3600;
const BROWSER_SECONDS: i64 = 24 * 3600;
const TICKET_SECONDS: i64 = 3600;

/// The owner of the account that is logged in, if any.
pub(crate) async fn logged_in(
    deps: &Deps,
    request: &HttpRequest,
) -> Result<Option<LoggedIn>, Problem> {
    match cookie::read(request, SESSION, encrypted(deps)) {
        Some(value) if !value.is_empty() => deps.accounts.session(&value).await.map_err(problem),
        _ => Ok(None),
    }
}

/// What form tokens of a session are bound to.
pub(crate) fn subject(who: &LoggedIn) -> String {
    format!("account:{}", who.session.hash)
}

/// The user agent, for the list of sessions.
pub(crate) fn agent(request: &HttpRequest) -> &str {
    request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

pub(crate) fn browser(deps: &Deps, request: &HttpRequest) -> Option<String> {
    cookie::read(request, BROWSER, encrypted(deps)).filter(|value| !value.is_empty())
}

pub(crate) fn ticket(deps: &Deps, request: &HttpRequest) -> Option<String> {
    cookie::read(request, TICKET, encrypted(deps)).filter(|value| !value.is_empty())
}

pub(crate) fn session_cookie(deps: &Deps, value: &Secret) -> Cookie<'static> {
    made(deps, SESSION, value, SESSION_SECONDS)
}

pub(crate) fn browser_cookie(deps: &Deps, value: &Secret) -> Cookie<'static> {
    made(deps, BROWSER, value, BROWSER_SECONDS)
}

pub(crate) fn ticket_cookie(deps: &Deps, value: &Secret) -> Cookie<'static> {
    made(deps, TICKET, value, TICKET_SECONDS)
}

pub(crate) fn no_session(deps: &Deps) -> Cookie<'static> {
    cookie::forget(SESSION, encrypted(deps))
}

pub(crate) fn no_ticket(deps: &Deps) -> Cookie<'static> {
    cookie::forget(TICKET, encrypted(deps))
}

fn made(deps: &Deps, name: &'static str, value: &Secret, seconds: i64) -> Cookie<'static> {
    cookie::session(
        name,
        value.expose().to_owned(),
        encrypted(deps),
        Some(seconds),
    )
}

fn encrypted(deps: &Deps) -> bool {
    deps.base_url.starts_with("https://")
}

/// Counts a try of somebody unknown, by source and by address, before anything is looked up.
pub(crate) fn count(request: &HttpRequest, address: &str) -> Result<(), Problem> {
    match request.app_data::<actix_web::web::Data<Edge>>() {
        Some(edge) => edge.counters().login(
            edge.source_of(request),
            &format!("account/{}", address.trim().to_lowercase()),
        ),
        None => Ok(()),
    }
}

/// What no page of its own is made for.
pub(crate) fn problem(error: AccountError) -> Problem {
    match error {
        AccountError::Fault(fault) => fault.into(),
        AccountError::Locked(wait) => Problem::too_many(wait),
        AccountError::Invalid { field, reason } => Problem::unprocessable(field, reason),
        AccountError::UnknownProvider => Problem::not_found(),
        other => Problem::forbidden("refused", other.to_string()),
    }
}
