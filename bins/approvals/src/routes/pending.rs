//! `/api/pending-approvals`: decisions by the bearer token of a portal mail. Cookies and Basic are never looked at, no
//! cookie is ever set.

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::request::{Request, RequestState};
use heimdall_approval::{Channel, Decision, Level, Person, Verdict};
use heimdall_server::{Authorization, Json, Problem};
use heimdall_token::link::{ApprovalMail, Opened};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::deps::Deps;
use crate::refusal::problem;
use crate::routes::{Answer, With};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/pending-approvals", web::get().to(list))
        .route("/api/pending-approvals/deny", web::post().to(deny))
        .route(
            "/api/pending-approvals/{session}/approve",
            web::post().to(approve),
        );
}

/// A genuine mail token, and what it is about.
pub(crate) struct Mailed {
    pub(crate) request: Request,
    pub(crate) person: Person,
    pub(crate) mail: ApprovalMail,
    pub(crate) expired: bool,
}

/// Opens the token of a portal mail; `None` for everything that is none, whatever the reason.
pub(crate) async fn mailed(deps: &Deps, token: &str) -> Result<Option<Mailed>, Problem> {
    let Some(session) = ApprovalMail::peek(token) else {
        return Ok(None);
    };
    let request = match deps.approvals.session(session).await {
        Ok(request) => request,
        Err(heimdall_approval::ApprovalError::NotFound) => return Ok(None),
        Err(error) => return Err(problem(error)),
    };
    let Ok(opened) = deps.portals.open_mail(&request.app_id, token).await? else {
        return Ok(None);
    };
    let expired = opened.is_expired();
    let (Opened::Live(mail) | Opened::Expired(mail)) = opened;
    let stored = deps
        .approvals
        .approval(&request.app_id, &request.approval_id)
        .await
        .map_err(problem)?;
    let app = request.app_id.to_string();
    let holders = stored
        .state
        .steps
        .iter()
        .flat_map(|step| &step.seats)
        .map(|seat| &seat.holder);
    let Some(holder) = holders
        .into_iter()
        .find(|holder| holder.opaque(&app) == mail.sub)
        .cloned()
    else {
        return Ok(None);
    };
    let name = holder.address().unwrap_or_default().to_owned();
    let person = Person::new(name, [holder]);
    Ok(Some(Mailed {
        request,
        person,
        mail,
        expired,
    }))
}

async fn bearer(deps: &Deps, request: &HttpRequest) -> Result<Mailed, Problem> {
    let refused = || Problem::unauthorized("the bearer token of the mail is needed");
    let Some(Authorization::Bearer(token)) = Authorization::of(request)? else {
        return Err(refused());
    };
    match mailed(deps, token.expose()).await? {
        Some(mailed) if !mailed.expired => Ok(mailed),
        _ => Err(refused()),
    }
}

fn view(mailed: &Mailed) -> Value {
    let request = &mailed.request;
    json!({
        "sessionId": request.session_id, "state": request.state.as_str(),
        "requester": {"name": request.requester.name, "email": request.requester.email},
        "roles": request.roles.iter().map(|role| json!({
            "name": role.name, "description": role.description, "state": role.state.as_str(),
        })).collect::<Vec<_>>(),
        "justification": request.justification, "durationMinutes": request.minutes, "resource": request.resource,
        "createdAt": request.created_at.to_rfc3339(), "expiresAt": request.expires_at.to_rfc3339(),
    })
}

async fn list(deps: With, request: HttpRequest) -> Answer {
    let mailed = bearer(&deps, &request).await?;
    let waiting = mailed.request.state == RequestState::Created;
    let data: Vec<Value> = if waiting {
        vec![view(&mailed)]
    } else {
        Vec::new()
    };
    Ok(HttpResponse::Ok()
        .json(json!({"data": data, "pagination": {"next_cursor": null, "has_more": false}})))
}

async fn approve(deps: With, request: HttpRequest, session: web::Path<String>) -> Answer {
    let mailed = bearer(&deps, &request).await?;
    same_session(&mailed, &session)?;
    decide(&deps, mailed, Verdict::Approve(None)).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Denial {
    session_id: Option<Value>,
    denial_reason: Option<String>,
}

async fn deny(deps: With, request: HttpRequest, body: Result<Json<Denial>, Problem>) -> Answer {
    // Who shows no token hears of nothing else.
    let mailed = bearer(&deps, &request).await?;
    let body = body?;
    let session = match &body.0.session_id {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.clone(),
        None => return Err(Problem::unprocessable("sessionId", "is missing")),
        Some(_) => return Err(Problem::bad_field("sessionId", "is a number or a text")),
    };
    same_session(&mailed, &session)?;
    let reason = body.0.denial_reason.unwrap_or_default();
    decide(&deps, mailed, Verdict::Deny(reason)).await
}

fn same_session(mailed: &Mailed, session: &str) -> Result<(), Problem> {
    if session.parse() == Ok(mailed.mail.sid) {
        return Ok(());
    }
    Err(Problem::forbidden(
        "another_session",
        "the token belongs to another session",
    ))
}

async fn decide(deps: &Deps, mailed: Mailed, verdict: Verdict) -> Answer {
    let decision = Decision {
        person: mailed.person,
        verdict,
        channel: Channel::Bearer,
        level: Level::Mailbox,
        link: Some(mailed.mail.jti),
    };
    let (request, _) = deps
        .approvals
        .decide(&mailed.request, &decision)
        .await
        .map_err(problem)?;
    let answer = json!({"sessionId": request.session_id, "state": request.state.as_str()});
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .json(answer))
}
