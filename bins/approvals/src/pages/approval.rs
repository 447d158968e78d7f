//! `/approvals/{id}`: an approval that a program opened, for whoever has a seat in it and for whoever reviews it.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::ports::Requests;
use heimdall_approval::workflows::actions;
use heimdall_approval::{
    Action, ApprovalError, ApprovalState, Ballot, Channel, Level, Person, Refusal, State, Step,
    StepState, signature,
};
use heimdall_server::{Form, Problem};
use heimdall_token::crypto;
use heimdall_types::{ApprovalId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer, see_other, settings};
use crate::refusal::problem;

/// A drawn signature is an image.
const SIGN_PAGE_LIMIT: usize = 512 * 1024;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/approvals/{id}", web::get().to(show))
        .service(
            web::resource("/approvals/{id}/vote")
                .app_data(heimdall_server::BodyLimit(SIGN_PAGE_LIMIT))
                .route(web::post().to(vote)),
        )
        .route(
            "/approvals/{id}/steps/{step}/signatures/{seat}.png",
            web::get().to(drawing),
        );
}

/// An approval that the viewer may look at.
struct Seen {
    id: ApprovalId,
    state: State,
}

async fn seen(desk: &Desk, id: &str) -> Result<Option<Seen>, Problem> {
    let viewer = desk.viewer()?;
    let Ok(id) = id.parse::<ApprovalId>() else {
        return Ok(None);
    };
    let state = match desk.deps.workflows.approval(&viewer.app_id, &id).await {
        Ok(stored) => stored.state,
        Err(ApprovalError::NotFound) => return Ok(None),
        Err(error) => return Err(problem(error)),
    };
    let person = desk.person().await?;
    let seats = state.steps.iter().flat_map(|step| &step.seats);
    let concerned = seats
        .map(|seat| &seat.holder)
        .any(|holder| person.is(holder))
        || state
            .requester()
            .is_some_and(|asked| asked.same_as(&person))
        || settings::may_change(desk).await?;
    Ok(concerned.then_some(Seen { id, state }))
}

macro_rules! seen {
    ($request:expr, $id:expr) => {{
        let desk = match Desk::of($request).await? {
            Ok(desk) => desk,
            Err(signin) => return Ok(signin),
        };
        match seen(&desk, $id).await? {
            Some(found) => (desk, found),
            None => return Ok(desk.not_found().await),
        }
    }};
}

async fn show(request: HttpRequest, id: web::Path<String>) -> PageAnswer {
    let (desk, found) = seen!(&request, &id);
    let store = desk.deps.store.as_ref();
    // Behind a portal request: that has its own page.
    if let Some(asked) = store.request_of(&desk.viewer()?.app_id, &found.id).await? {
        return Ok(see_other(&format!("/requests/{}", asked.id)));
    }
    page(&desk, StatusCode::OK, &found, None).await
}

fn tone(state: &StepState) -> (&'static str, &'static str) {
    match state {
        StepState::Active | StepState::Moderating | StepState::Held(_) => ("wait", "Waiting"),
        StepState::Approved => ("ok", "Approved"),
        StepState::Rejected(_) => ("no", "Rejected"),
        StepState::Waiting => ("", "Not started"),
        StepState::Skipped(_) => ("gone", "Skipped"),
        StepState::Expired => ("gone", "Expired"),
        StepState::Cancelled => ("gone", "Cancelled"),
    }
}

fn votes(desk: &Desk, id: &ApprovalId, step: &Step) -> Vec<Value> {
    let seats = step.seats.iter().enumerate();
    let cast = seats.filter_map(|(seat, held)| Some((seat, held.vote.as_deref()?)));
    let shown = cast.map(|(seat, vote)| {
        let did = match vote.action {
            Action::Approve | Action::Consent => "approved",
            Action::Vote => "voted",
            Action::Reject => "denied",
            Action::Abstain => "abstained",
        };
        let options = vote
            .options
            .iter()
            .filter_map(|index| step.spec.options.get(usize::try_from(*index).ok()?));
        let signed = vote.signature.as_ref().map(|signed| {
            let kind = signed
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or("typed");
            json!({
                "kind": kind, "name": signed.get("name"), "dig": signed.get("dig"),
                "image": format!("/approvals/{id}/steps/{}/signatures/{seat}.png", step.spec.id),
            })
        });
        json!({
            "who": vote.actor.name, "for": vote.on_behalf.as_ref().and_then(|held| held.address()),
            "did": desk.words.t(did), "at": vote.at.to_rfc3339(), "when": desk.words.when(vote.at),
            "comment": vote.comment, "options": options.collect::<Vec<_>>(), "signature": signed,
        })
    });
    shown.collect()
}

/// What the viewer may do on a step now; nothing where a seat of theirs is not open.
fn offered(state: &State, step: &Step, person: &Person) -> Vec<Action> {
    let requester = state.requester().is_some_and(|asked| asked.same_as(person));
    let barred = requester && !step.spec.requester_may_vote;
    let active = matches!(step.state, StepState::Active | StepState::Moderating);
    let mut open = step
        .seats
        .iter()
        .filter(|seat| seat.vote.is_none() && !seat.vacant);
    if barred
        || !active
        || step.spec.kind.is_container()
        || !open.any(|seat| person.is(&seat.holder))
    {
        return Vec::new();
    }
    actions(step)
}

async fn page(desk: &Desk, status: StatusCode, found: &Seen, wrong: Option<String>) -> PageAnswer {
    let (words, viewer) = (&desk.words, desk.viewer()?);
    let (id, state) = (&found.id, &found.state);
    let person = desk.person().await?;
    let mut pad_taken = false;
    let mut steps = Vec::new();
    for step in state
        .steps
        .iter()
        .filter(|step| !step.spec.kind.is_container())
    {
        let (mark, word) = tone(&step.state);
        let choices: Vec<Value> = offered(state, step, &person)
            .into_iter()
            .map(|action| {
                let text = words.t(&format!("step:{}", action.as_str()));
                json!({ "action": action.as_str(), "text": text, "yes": action.is_yes() })
            })
            .collect();
        // The script of the drawing pad knows one pad a page.
        let pad = step.spec.signature && !choices.is_empty() && !pad_taken;
        pad_taken |= pad;
        steps.push(json!({
            "id": step.spec.id, "name": step.spec.name, "tone": mark, "plank": mark, "state_text": words.t(word),
            "votes": votes(desk, id, step), "choices": choices, "signature": step.spec.signature, "pad": pad,
            "options": step.spec.options.iter().enumerate().map(|(index, text)| json!({ "index": index, "text": text })).collect::<Vec<_>>(),
            "poll": step.state == StepState::Active && !step.spec.options.is_empty(),
            "deadline": step.deadline.map(|at| words.when(at)), "deadline_at": step.deadline.map(Timestamp::to_rfc3339),
        }));
    }
    let opening = state.opening.as_deref();
    let data = desk
        .deps
        .workflows
        .shown_data(&viewer.app_id, id, state)
        .await
        .map_err(problem)?;
    let facts = data
        .iter()
        .map(|(title, value)| json!({ "title": title, "value": value }));
    let (mark, word) = match state.state {
        ApprovalState::New | ApprovalState::Open => ("wait", "Waiting"),
        ApprovalState::Approved => ("ok", "Approved"),
        ApprovalState::Rejected => ("no", "Rejected"),
        ApprovalState::Expired => ("gone", "Expired"),
        ApprovalState::Cancelled => ("gone", "Cancelled"),
    };
    let context = json!({
        "id": id, "title": opening.map(|opening| &opening.title), "tone": mark, "state_text": words.t(word),
        "requester": state.requester().map(|asked| &asked.name).filter(|name| !name.is_empty()),
        "external_url": opening.and_then(|opening| opening.external_url.as_ref()), "dig": &*state.dig,
        "asked": words.when(state.opened_at), "asked_at": state.opened_at.to_rfc3339(),
        "facts": facts.collect::<Vec<_>>(), "steps": steps, "pad": pad_taken, "wrong": wrong,
        "signs": state.steps.iter().any(|step| step.spec.signature), "person": viewer.user.display_name,
    });
    Ok(desk.page(status, "approval.html", "inbox", context).await)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cast {
    csrf: String,
    step: String,
    action: String,
    comment: String,
    option: String,
    kind: String,
    typed: String,
    strokes: String,
    png: String,
}

impl Cast {
    fn signature(&self, dig: &str) -> Result<Value, Refusal> {
        let given = match self.kind.as_str() {
            "drawn" => json!({
                "kind": "drawn", "strokes": serde_json::from_str::<Value>(&self.strokes).unwrap_or_default(),
                "png": self.png.strip_prefix("data:image/png;base64,"),
            }),
            _ => json!({ "kind": "typed", "name": self.typed }),
        };
        signature::bound(&given, dig)
    }

    fn ballot(&self, state: &State, step: &Step) -> Result<Ballot, Refusal> {
        let action = match self.action.as_str() {
            "approve" => Action::Approve,
            "consent" => Action::Consent,
            "reject" => Action::Reject,
            "abstain" => Action::Abstain,
            "vote" => Action::Vote,
            _ => return Err(Refusal::WrongAction),
        };
        let signature = if step.spec.signature && action.is_yes() {
            Some(self.signature(&state.dig)?)
        } else {
            None
        };
        let ballot = Ballot {
            options: self.option.parse().into_iter().collect(),
            signature,
            // What was looked at is what is decided.
            round: Some((state.epoch, step.activation)),
            ..Ballot::new(action)
        };
        let comment = Some(self.comment.clone()).filter(|text| !text.trim().is_empty());
        Ok(ballot.comment(comment).by(Channel::Inbox, Level::LoggedIn))
    }
}

async fn vote(request: HttpRequest, id: web::Path<String>, given: Form<Cast>) -> PageAnswer {
    let (desk, found) = seen!(&request, &id);
    desk.check(&request, &given.0.csrf)?;
    let viewer = desk.viewer()?;
    let (app, person) = (&viewer.app_id, viewer.person());
    let Some(step) = found
        .state
        .step_of(&given.0.step)
        .and_then(|index| found.state.steps.get(index))
    else {
        return Ok(desk.not_found().await);
    };
    if desk.deps.store.request_of(app, &found.id).await?.is_some() {
        return Ok(desk.not_found().await);
    }
    let outcome = match given.0.ballot(&found.state, step) {
        Ok(ballot) => {
            desk.deps
                .workflows
                .vote(app, &found.id, &given.0.step, &person, ballot)
                .await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match outcome {
        Ok(_) => Ok(see_other(&format!("/approvals/{}", found.id))),
        Err(ApprovalError::Refused(refusal)) => {
            let status = problem(refusal.clone().into()).status();
            let why = match refusal {
                Refusal::SignatureRequired => desk.words.t("A signature is missing."),
                Refusal::BadOptions => desk.words.t("Choose one of the options."),
                Refusal::CommentRequired | Refusal::CommentRefused => desk
                    .words
                    .t("A comment of 1 to 1,000 characters is needed."),
                other => other.to_string(),
            };
            let wrong = desk
                .words
                .with("Nothing was changed: {why}", &[("why", &why)]);
            let now = seen(&desk, found.id.as_str()).await?.unwrap_or(found);
            page(&desk, status, &now, Some(wrong)).await
        }
        Err(error) => Ok(desk.refused(error).await),
    }
}

async fn drawing(request: HttpRequest, path: web::Path<(String, String, usize)>) -> PageAnswer {
    let (desk, found) = seen!(&request, &path.0);
    let step = found
        .state
        .step_of(&path.1)
        .and_then(|index| found.state.steps.get(index));
    let vote = step.and_then(|step| step.seats.get(path.2)?.vote.as_deref());
    let image = vote
        .and_then(|vote| vote.signature.as_ref()?.get("png")?.as_str())
        .and_then(crypto::from_base64);
    match image {
        Some(image) => Ok(HttpResponse::Ok()
            .content_type("image/png")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("x-content-type-options", "nosniff"))
            .body(image)),
        None => Ok(desk.not_found().await),
    }
}
