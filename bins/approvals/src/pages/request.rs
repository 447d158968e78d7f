use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::request::{Request, RequestState};
use heimdall_approval::{Action, ApprovalError, Channel, Decision, Level, StepState, Verdict};
use heimdall_server::{Form, Problem};
use heimdall_types::RequestId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wording::{role, tone};
use super::{Desk, PageAnswer, own_path, see_other};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/requests/{id}", web::get().to(show))
        .route("/requests/{id}/cancel", web::post().to(cancel))
        .route("/requests/{id}/terminate", web::post().to(terminate))
        .route("/requests/{id}/approve", web::post().to(approve))
        .route("/requests/{id}/deny", web::post().to(deny));
}

async fn show(request: HttpRequest, id: web::Path<String>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    page(&desk, StatusCode::OK, &id, None).await
}

// Its requester, and whoever has or had a seat in it.
async fn visible(desk: &Desk, id: &str) -> Result<Option<Request>, Problem> {
    let viewer = desk.viewer()?;
    let Ok(id) = id.parse::<RequestId>() else {
        return Ok(None);
    };
    let found = match desk.deps.approvals.request(&viewer.app_id, &id).await {
        Ok(found) => found,
        Err(ApprovalError::NotFound) => return Ok(None),
        Err(error) => return Err(problem(error)),
    };
    if found.requester.id == viewer.user.id {
        return Ok(Some(found));
    }
    let stored = desk
        .deps
        .approvals
        .approval(&viewer.app_id, &found.approval_id)
        .await
        .map_err(problem)?;
    let person = desk.person().await?;
    let seated = stored
        .state
        .steps
        .iter()
        .flat_map(|step| &step.seats)
        .any(|seat| person.is(&seat.holder));
    Ok(seated.then_some(found))
}

async fn page(
    desk: &Desk,
    status: StatusCode,
    id: &str,
    note: Option<Value>,
) -> Result<HttpResponse, Problem> {
    let Some(found) = visible(desk, id).await? else {
        return Ok(desk.not_found().await);
    };
    let viewer = desk.viewer()?;
    let stored = desk
        .deps
        .approvals
        .approval(&viewer.app_id, &found.approval_id)
        .await
        .map_err(problem)?;
    let grants = desk
        .deps
        .approvals
        .grants_of(&viewer.app_id, &found.id)
        .await
        .map_err(problem)?;
    let (words, person) = (&desk.words, desk.person().await?);
    let open = found.state == RequestState::Created;
    let mine = found.requester.id == viewer.user.id;
    let mut waiting: Vec<String> = Vec::new();
    let mut can_decide = false;
    let mut steps: Vec<Value> = Vec::new();
    for step in stored
        .state
        .steps
        .iter()
        .filter(|step| step.spec.kind.has_seats())
    {
        let (mark, word) = match &step.state {
            StepState::Active | StepState::Moderating | StepState::Held(_) => ("wait", "Waiting"),
            StepState::Approved => ("ok", "Approved"),
            StepState::Rejected(_) => ("no", "Rejected"),
            StepState::Waiting => ("", "Not started"),
            StepState::Skipped(_) => ("gone", "Skipped"),
            StepState::Expired => ("gone", "Expired"),
            StepState::Cancelled => ("gone", "Cancelled"),
        };
        if step.state == StepState::Active {
            let left = step.seats.iter().filter(|seat| seat.vote.is_none());
            waiting.extend(
                left.clone()
                    .map(|seat| seat.holder.address().unwrap_or("…").to_owned()),
            );
            can_decide |= left.clone().any(|seat| person.is(&seat.holder)) && !mine;
        }
        let votes: Vec<Value> = step
            .votes()
            .map(|(_, vote)| {
                let did = match vote.action {
                    Action::Approve | Action::Consent | Action::Vote => "approved",
                    Action::Reject => "denied",
                    Action::Abstain => "abstained",
                };
                json!({
                    "who": vote.actor.name, "did": words.t(did), "at": vote.at.to_rfc3339(),
                    "when": words.when(vote.at), "comment": vote.comment,
                })
            })
            .collect();
        steps.push(json!({
            "name": step.spec.name, "plank": mark, "tone": mark, "beat": mark == "wait" && open,
            "state_text": words.t(word), "detail": null, "votes": votes,
        }));
    }
    waiting.sort();
    waiting.dedup();
    let ends = grants.iter().map(|grant| grant.ends_at).max();
    let context = json!({
        "id": found.id, "number": found.session_id, "open": open, "mine": mine, "note": note,
        "events": format!("/v1/apps/{}/requests/{}/events", viewer.app_id, found.id),
        "asked_at": found.created_at.to_rfc3339(), "asked": words.when(found.created_at),
        "requester": found.requester.name, "requester_email": found.requester.email,
        "roles": found.roles.iter().map(role).collect::<Vec<_>>(), "duration": words.duration(found.minutes),
        "tone": tone(found.state), "state_text": words.state(found.state),
        "seal": seal(desk, &found, &waiting, ends), "justification": found.justification, "steps": steps,
        "grants": grants.iter().map(|grant| {
            let mark = if grant.state.is_live() { "ok" } else { "gone" };
            let window = [("from", words.when(grant.starts_at)), ("until", words.when(grant.ends_at))];
            let window = window.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>();
            json!({
                "role": grant.role, "plank": mark, "tone": mark, "state_text": words.grant(grant.state),
                "window": words.with("{from} to {until}", &window),
            })
        }).collect::<Vec<_>>(),
        "progress": words.progress(&found), "resource": found.resource,
        "starts": match found.start {
            heimdall_approval::request::Start::OnApproval => words.t("At once, with the last approval"),
            heimdall_approval::request::Start::At(at) => words.when(at),
        },
        "expires_at": found.expires_at.to_rfc3339(), "expires": words.when(found.expires_at),
        "can_decide": can_decide && open, "can_cancel": mine && open,
        "can_end": mine && grants.iter().any(|grant| grant.state.is_live()) && found.state == RequestState::Approved,
    });
    Ok(desk
        .page(
            status,
            "request.html",
            if mine { "access" } else { "inbox" },
            context,
        )
        .await)
}

fn seal(
    desk: &Desk,
    found: &Request,
    waiting: &[String],
    ends: Option<heimdall_types::Timestamp>,
) -> String {
    let words = &desk.words;
    match found.state {
        RequestState::Created => {
            words.with("Waiting for {names}.", &[("names", &waiting.join(", "))])
        }
        RequestState::Approved => {
            let time = ends.map(|at| words.when(at)).unwrap_or_default();
            words.with("Approved. Access lasts until {time}.", &[("time", &time)])
        }
        RequestState::Denied => {
            let reason = found
                .denial
                .as_ref()
                .map(|(reason, _)| reason.as_str())
                .unwrap_or_default();
            words.with("Denied: “{reason}”", &[("reason", reason)])
        }
        RequestState::Canceled => words.t("Cancelled by the requester."),
        RequestState::Expired => words.t("Nobody decided in time."),
        RequestState::Terminated => words.t("Ended early. No access is left."),
    }
}

#[derive(Debug, Deserialize)]
struct Act {
    csrf: String,
    #[serde(default)]
    comment: String,
    #[serde(default, rename = "denialReason")]
    reason: String,
    #[serde(default)]
    back: String,
}

async fn desk_for(
    request: &HttpRequest,
    id: &str,
    csrf: &str,
) -> Result<Result<(Desk, Request), HttpResponse>, Problem> {
    let desk = match Desk::of(request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(Err(signin)),
    };
    desk.check(request, csrf)?;
    match visible(&desk, id).await? {
        Some(found) => Ok(Ok((desk, found))),
        None => Ok(Err(desk.not_found().await)),
    }
}

async fn cancel(request: HttpRequest, id: web::Path<String>, given: Form<Act>) -> PageAnswer {
    let (desk, found) = match desk_for(&request, &id, &given.0.csrf).await? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let viewer = desk.viewer()?;
    if found.requester.id != viewer.user.id {
        return Ok(desk.not_found().await);
    }
    let outcome = desk
        .deps
        .approvals
        .cancel(&found.app_id, &found.id, &viewer.actor())
        .await;
    after(&desk, &found, outcome.map(drop), "").await
}

async fn terminate(request: HttpRequest, id: web::Path<String>, given: Form<Act>) -> PageAnswer {
    let (desk, found) = match desk_for(&request, &id, &given.0.csrf).await? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let viewer = desk.viewer()?;
    if found.requester.id != viewer.user.id {
        return Ok(desk.not_found().await);
    }
    let outcome = desk
        .deps
        .approvals
        .terminate(&found.app_id, &found.id, &viewer.actor())
        .await;
    after(&desk, &found, outcome.map(drop), "").await
}

async fn approve(request: HttpRequest, id: web::Path<String>, given: Form<Act>) -> PageAnswer {
    let comment = Some(given.0.comment.clone()).filter(|text| !text.trim().is_empty());
    decide(&request, &id, &given.0, Verdict::Approve(comment)).await
}

async fn deny(request: HttpRequest, id: web::Path<String>, given: Form<Act>) -> PageAnswer {
    decide(
        &request,
        &id,
        &given.0,
        Verdict::Deny(given.0.reason.clone()),
    )
    .await
}

async fn decide(request: &HttpRequest, id: &str, given: &Act, verdict: Verdict) -> PageAnswer {
    let (desk, found) = match desk_for(request, id, &given.csrf).await? {
        Ok(both) => both,
        Err(answer) => return Ok(answer),
    };
    let decision = Decision {
        person: desk.viewer()?.person(),
        verdict,
        channel: Channel::Inbox,
        level: Level::LoggedIn,
        link: None,
    };
    let outcome = desk.deps.approvals.decide(&found, &decision).await;
    after(&desk, &found, outcome.map(drop), &given.back).await
}

// On to where the viewer came from; a refusal is told on the page of the request.
async fn after(
    desk: &Desk,
    found: &Request,
    outcome: Result<(), ApprovalError>,
    back: &str,
) -> PageAnswer {
    match outcome {
        Ok(()) if back.is_empty() => Ok(see_other(&format!("/requests/{}", found.id))),
        Ok(()) => Ok(see_other(own_path(back))),
        Err(ApprovalError::Fault(fault)) => Err(fault.into()),
        Err(error) => {
            let text = desk
                .words
                .with("Nothing was changed: {why}", &[("why", &error.to_string())]);
            let note = json!({"tone": "no", "text": text});
            page(desk, StatusCode::CONFLICT, found.id.as_str(), Some(note)).await
        }
    }
}
