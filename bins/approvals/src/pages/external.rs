//! The page behind a portal mail: it shows what is asked and decides nothing until its button is pressed.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::request::{Request, RequestState};
use heimdall_approval::{ApprovalError, Channel, Decision, Level, Person, Verdict};
use heimdall_server::{Form, Problem, Query, same_origin};
use heimdall_types::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wording::{role, tone};
use super::{Desk, PageAnswer};
use crate::opaque;
use crate::refusal::problem;
use crate::routes::mailed;

const PURPOSE: &str = "external-approval";
/// A page that lay open for longer must be opened again.
const NONCE_SECONDS: i64 = 30 * 60;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::resource("/external-approval")
            .route(web::get().to(show))
            .route(web::post().to(decide))
            .route(web::method(Method::HEAD).to(neutral))
            .route(web::method(Method::OPTIONS).to(neutral)),
    );
}

// Whoever only looks whether there is something gets nothing to look at.
async fn neutral() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(("cache-control", "no-store"))
        .finish()
}

/// What a page's form carries instead of the token: what was shown, to whom, until when.
#[derive(Serialize, Deserialize)]
struct Shown {
    app: heimdall_types::AppId,
    request: RequestId,
    person: Person,
    jti: String,
    until: Timestamp,
    link_until: Timestamp,
}

#[derive(Debug, Default, Deserialize)]
struct Link {
    #[serde(default)]
    token: String,
}

async fn show(request: HttpRequest, link: Query<Link>) -> PageAnswer {
    let desk = Desk::open(&request)?;
    let Some(mailed) = mailed(&desk.deps, &link.0.token).await? else {
        return Ok(invalid(&desk).await);
    };
    let link_until = Timestamp::from_seconds(mailed.mail.exp);
    if mailed.request.state != RequestState::Created
        || has_voted(&desk, &mailed.request, &mailed.person).await?
    {
        return done(&desk, StatusCode::OK, &mailed.request, &mailed.person).await;
    }
    if mailed.expired {
        let context = json!({"ended": desk.words.when(link_until)});
        return Ok(desk
            .page(StatusCode::GONE, "link-ended.html", "", context)
            .await);
    }
    let shown = Shown {
        app: mailed.request.app_id.clone(),
        request: mailed.request.id.clone(),
        person: mailed.person,
        jti: mailed.mail.jti,
        until: Timestamp::from_seconds(desk.deps.clock.now().seconds() + NONCE_SECONDS),
        link_until,
    };
    form(&desk, StatusCode::OK, &mailed.request, &shown, "", None).await
}

async fn invalid(desk: &Desk) -> HttpResponse {
    desk.page(StatusCode::BAD_REQUEST, "link-invalid.html", "", json!({}))
        .await
}

async fn has_voted(desk: &Desk, request: &Request, person: &Person) -> Result<bool, Problem> {
    let stored = desk
        .deps
        .approvals
        .approval(&request.app_id, &request.approval_id)
        .await
        .map_err(problem)?;
    let open = stored.state.steps.iter().flat_map(|step| &step.seats);
    let open = open
        .filter(|seat| person.is(&seat.holder))
        .any(|seat| seat.vote.is_none());
    Ok(!open)
}

async fn form(
    desk: &Desk,
    status: StatusCode,
    request: &Request,
    shown: &Shown,
    reason: &str,
    problem_text: Option<&str>,
) -> PageAnswer {
    let stored = desk
        .deps
        .approvals
        .approval(&request.app_id, &request.approval_id)
        .await
        .map_err(problem)?;
    let steps = stored
        .state
        .children(0)
        .filter_map(|index| stored.state.steps.get(index));
    let mine = steps.map(|step| {
        step.seats
            .iter()
            .any(|s| s.vote.is_none() && shown.person.is(&s.holder))
    });
    let roles: Vec<Value> = request
        .roles
        .iter()
        .zip(mine)
        .map(|(asked, mine)| {
            let mut tag = role(asked);
            if let Some(members) = tag.as_object_mut() {
                members.insert("mine".to_owned(), mine.into());
            }
            tag
        })
        .collect();
    let nonce = opaque::seal(&desk.deps.root_key, PURPOSE, shown, desk.deps.rng.as_ref());
    let app = desk
        .deps
        .tenants
        .app(&heimdall_tenant::Caller::System, request.app_id.as_str())
        .await;
    let words = &desk.words;
    let context = json!({
        "app": app.map(|app| app.name).unwrap_or_default(), "number": request.session_id,
        "asked_at": request.created_at.to_rfc3339(), "asked": words.when(request.created_at),
        "requester": request.requester.name, "requester_email": request.requester.email, "roles": roles,
        "duration": words.duration(request.minutes), "justification": request.justification,
        "resource": request.resource, "nonce": nonce, "reason": reason,
        "problem": problem_text.map(|key| words.t(key)),
        "does": words.t("Approves what is yours to decide. The requester is told by mail."),
        "approver": shown.person.address(), "until_at": shown.link_until.to_rfc3339(),
        "until": words.when(shown.link_until),
    });
    Ok(desk.page(status, "external.html", "", context).await)
}

#[derive(Debug, Deserialize)]
struct Pressed {
    nonce: String,
    action: String,
    #[serde(default, rename = "denialReason")]
    reason: String,
}

async fn decide(http: HttpRequest, given: Form<Pressed>) -> PageAnswer {
    let desk = Desk::open(&http)?;
    if !same_origin(&http) {
        return Err(Problem::forbidden(
            "cross_origin",
            "this form belongs to another site",
        ));
    }
    let given = given.0;
    let Some(shown) = opaque::open::<Shown>(&desk.deps.root_key, PURPOSE, &given.nonce) else {
        return Ok(invalid(&desk).await);
    };
    let now = desk.deps.clock.now();
    if shown.until <= now || shown.link_until <= now {
        let advice = "Nothing was changed. Open the page again.";
        return Ok(desk
            .error(StatusCode::GONE, "This form is too old", advice)
            .await);
    }
    let request = match desk
        .deps
        .approvals
        .request(&shown.app, &shown.request)
        .await
    {
        Ok(request) => request,
        Err(error) => return Ok(desk.refused(error).await),
    };
    let verdict = match given.action.as_str() {
        "approve" => Verdict::Approve(None),
        "deny" => Verdict::Deny(given.reason.clone()),
        _ => return Err(Problem::bad_field("action", "is `approve` or `deny`")),
    };
    let decision = Decision {
        person: shown.person.clone(),
        verdict,
        channel: Channel::MailLink,
        level: Level::Mailbox,
        link: Some(shown.jti.clone()),
    };
    match desk.deps.approvals.decide(&request, &decision).await {
        Ok((request, _)) => done(&desk, StatusCode::OK, &request, &shown.person).await,
        Err(ApprovalError::Decided(_)) => {
            let fresh = desk
                .deps
                .approvals
                .request(&shown.app, &shown.request)
                .await
                .map_err(problem)?;
            done(&desk, StatusCode::CONFLICT, &fresh, &shown.person).await
        }
        Err(ApprovalError::Invalid { .. }) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            form(
                &desk,
                status,
                &request,
                &shown,
                &given.reason,
                Some("The reason is missing."),
            )
            .await
        }
        Err(error) => Ok(desk.refused(error).await),
    }
}

async fn done(desk: &Desk, status: StatusCode, request: &Request, person: &Person) -> PageAnswer {
    let stored = desk
        .deps
        .approvals
        .approval(&request.app_id, &request.approval_id)
        .await
        .map_err(problem)?;
    let own = stored
        .state
        .votes()
        .filter(|(_, _, vote)| vote.actor.same_as(person))
        .map(|(_, _, vote)| vote)
        .last();
    let words = &desk.words;
    let app = desk
        .deps
        .tenants
        .app(&heimdall_tenant::Caller::System, request.app_id.as_str())
        .await;
    let (seal, mark) = match own {
        Some(vote) => {
            let time = words.when(vote.at);
            let mark = if vote.action.is_yes() { "ok" } else { "no" };
            (
                words.with(
                    "Recorded {time}. You may close this tab.",
                    &[("time", &time)],
                ),
                mark,
            )
        }
        None => {
            let state = words.state(request.state);
            (
                words.with("The request is {state} already.", &[("state", &state)]),
                tone(request.state),
            )
        }
    };
    let mut then: Vec<Value> = Vec::new();
    let mut line = |mark: &str, key: &str| then.push(json!({"tone": mark, "text": words.t(key)}));
    match request.state {
        RequestState::Approved => line("ok", "Access has started and ends by itself."),
        RequestState::Created => line("wait", "Other roles still wait for other approvers."),
        _ => line("gone", "The whole request has ended."),
    }
    line("wait", "The requester gets a mail with the outcome.");
    let context = json!({
        "app": app.map(|app| app.name).unwrap_or_default(), "number": request.session_id,
        "mine": own.is_some(), "approved": own.is_some_and(|vote| vote.action.is_yes()),
        "roles": request.roles.iter().map(|role| &role.name).collect::<Vec<_>>(),
        "requester": request.requester.name, "duration": words.duration(request.minutes), "tone": mark,
        "seal": seal, "then": then,
    });
    Ok(desk.page(status, "external-done.html", "", context).await)
}
