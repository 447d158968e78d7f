use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use heimdall_approval::request::Request;
use heimdall_approval::{Person, State, Step, StepState};
use heimdall_server::{Problem, Query};
use heimdall_types::{ApprovalId, PageRequest, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/inbox", web::get().to(show));
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Filter {
    q: String,
    source: String,
    sort: String,
}

/// A row, and by what rows are ordered.
struct Row {
    asked: Timestamp,
    ends: Timestamp,
    shown: Value,
}

async fn show(request: HttpRequest, filter: Query<Filter>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let filter = filter.0;
    let (person, own) = (desk.person().await?, desk.viewer()?.person());
    let mut rows = Vec::new();
    if matches!(filter.source.as_str(), "" | "portal") {
        rows.extend(requests(&desk, &person, &own).await?);
    }
    if matches!(filter.source.as_str(), "" | "program") {
        rows.extend(approvals(&desk, &person, &own).await?);
    }
    let wanted = filter.q.to_lowercase();
    rows.retain(|row| row.fits(&wanted));
    match filter.sort.as_str() {
        "newest" => rows.sort_by_key(|row| std::cmp::Reverse(row.asked)),
        _ => rows.sort_by_key(|row| row.ends),
    }
    let option = |chosen: &str, (value, text): (&str, &str)| json!({ "value": value, "text": desk.words.t(text), "chosen": chosen == value });
    let sources = [("", "Any"), ("portal", "Portal"), ("program", "Program")];
    let sorts = [("", "Ends first"), ("newest", "Newest first")];
    let context = json!({
        "as_of": desk.words.now(), "q": filter.q, "rows": rows.into_iter().map(|row| row.shown).collect::<Vec<_>>(),
        "sources": sources.map(|one| option(&filter.source, one)),
        "sorts": sorts.map(|one| option(&filter.sort, one)),
    });
    Ok(desk
        .page(StatusCode::OK, "inbox.html", "inbox", context)
        .await)
}

impl Row {
    fn fits(&self, wanted: &str) -> bool {
        let has = |value: Option<&Value>| {
            value
                .and_then(Value::as_str)
                .is_some_and(|text| text.to_lowercase().contains(wanted))
        };
        let roles = self.shown.get("roles").and_then(Value::as_array);
        has(self.shown.get("requester"))
            || has(self.shown.get("title"))
            || roles.is_some_and(|all| all.iter().any(|role| has(role.get("name"))))
    }
}

/// Whose open seat the viewer sits in for, when it is not their own.
fn delegated<'a>(
    mut steps: impl Iterator<Item = &'a Step>,
    person: &Person,
    own: &Person,
) -> Option<String> {
    let open = |step: &&Step| step.state == StepState::Active;
    let seats: Vec<_> = steps
        .by_ref()
        .filter(open)
        .flat_map(|step| &step.seats)
        .filter(|seat| seat.vote.is_none())
        .collect();
    if seats.iter().any(|seat| own.is(&seat.holder)) {
        return None;
    }
    let other = seats.iter().find(|seat| person.is(&seat.holder))?;
    other.holder.address().map(str::to_owned)
}

async fn requests(desk: &Desk, person: &Person, own: &Person) -> Result<Vec<Row>, Problem> {
    let viewer = desk.viewer()?;
    let page = PageRequest {
        limit: PageRequest::MAX_LIMIT,
        cursor: None,
    };
    let found = desk
        .deps
        .approvals
        .inbox(&viewer.app_id, person, &page)
        .await;
    let mut rows = Vec::new();
    for asked in found.map_err(problem)?.data {
        let stored = desk
            .deps
            .approvals
            .approval(&viewer.app_id, &asked.approval_id)
            .await;
        let state = stored.map_err(problem)?.state;
        rows.push(of_request(desk, &asked, &state, person, own));
    }
    Ok(rows)
}

fn of_request(desk: &Desk, asked: &Request, state: &State, person: &Person, own: &Person) -> Row {
    let mut shown = desk.words.row(asked);
    let children = state.children(0).filter_map(|index| state.steps.get(index));
    let mine = children.map(|step| {
        step.seats
            .iter()
            .any(|seat| seat.vote.is_none() && person.is(&seat.holder))
    });
    let tags = shown.get_mut("roles").and_then(Value::as_array_mut);
    for (tag, _) in tags
        .into_iter()
        .flatten()
        .zip(mine)
        .filter(|(_, mine)| *mine)
    {
        if let Some(members) = tag.as_object_mut() {
            members.insert("tone".to_owned(), "own".into());
        }
    }
    if let Some(members) = shown.as_object_mut() {
        let behalf = delegated(state.steps.iter(), person, own);
        members.insert("delegated".to_owned(), json!(behalf));
        let signs = state.steps.iter().any(|step| step.spec.signature);
        members.insert("link".to_owned(), json!(format!("/requests/{}", asked.id)));
        members.insert("direct".to_owned(), json!(!signs));
        members.insert("sign".to_owned(), json!(signs));
        members.insert("planks".to_owned(), json!([]));
        members.insert("title".to_owned(), Value::Null);
        members.insert("source".to_owned(), desk.words.t("Portal").into());
    }
    Row {
        asked: asked.created_at,
        ends: asked.expires_at,
        shown,
    }
}

async fn approvals(desk: &Desk, person: &Person, own: &Person) -> Result<Vec<Row>, Problem> {
    let viewer = desk.viewer()?;
    let page = PageRequest {
        limit: PageRequest::MAX_LIMIT,
        cursor: None,
    };
    let found = desk
        .deps
        .workflows
        .waiting(&viewer.app_id, person, &page)
        .await;
    let mut rows = Vec::new();
    for (id, state) in found.map_err(problem)?.data {
        let data = desk
            .deps
            .workflows
            .shown_data(&viewer.app_id, &id, &state)
            .await;
        rows.push(of_approval(
            desk,
            &id,
            &state,
            &data.map_err(problem)?,
            (person, own),
        ));
    }
    Ok(rows)
}

fn of_approval(
    desk: &Desk,
    id: &ApprovalId,
    state: &State,
    data: &[(String, String)],
    (person, own): (&Person, &Person),
) -> Row {
    let opening = state.opening.as_deref();
    let leaves = || state.steps.iter().filter(|step| step.spec.kind.has_seats());
    let planks = leaves().map(|step| match step.state {
        StepState::Approved => "ok",
        StepState::Rejected(_) => "no",
        StepState::Active | StepState::Moderating => "wait",
        _ => "",
    });
    let done = leaves()
        .filter(|step| step.state.has_ended())
        .count()
        .to_string();
    let all = leaves().count().to_string();
    let deadline = state.steps.iter().filter_map(|step| step.deadline).min();
    let why: Vec<String> = data
        .iter()
        .take(4)
        .map(|(title, value)| format!("{title}: {value}"))
        .collect();
    let signs = leaves().any(|step| step.state == StepState::Active && step.spec.signature);
    let shown = json!({
        "requester": state.requester().map(|asked| &asked.name), "title": opening.map(|opening| &opening.title),
        "roles": [], "planks": planks.collect::<Vec<_>>(), "duration": desk.words.t("Once"), "justification": why.join(", "),
        "progress": desk.words.with("{done} of {all} steps", &[("done", &done), ("all", &all)]),
        "asked": desk.words.when(state.opened_at), "asked_at": state.opened_at.to_rfc3339(), "number": "",
        "link": format!("/approvals/{id}"), "direct": false, "sign": signs, "source": desk.words.t("Program"),
        "delegated": delegated(state.steps.iter(), person, own),
    });
    Row {
        asked: state.opened_at,
        ends: deadline.unwrap_or_else(|| Timestamp::from_millis(i64::MAX)),
        shown,
    }
}
