use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_approval::ports::RequestFilter;
use heimdall_approval::request::{Request, RequestState};
use heimdall_server::{Problem, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer};
use crate::listing::wanted;
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/history", web::get().to(show))
        .route("/history.csv", web::get().to(csv))
        .route("/history.json", web::get().to(as_json));
}

#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    part: String,
    cursor: Option<String>,
}

const STATES: [RequestState; 6] = [
    RequestState::Created,
    RequestState::Approved,
    RequestState::Denied,
    RequestState::Canceled,
    RequestState::Expired,
    RequestState::Terminated,
];

// Own requests, and those of others in which the viewer has or had a seat.
async fn rows(desk: &Desk, filter: &Filter) -> Result<(Vec<Request>, Option<String>), Problem> {
    let viewer = desk.viewer()?;
    let page = wanted(Some(100), filter.cursor.as_deref())?;
    let requester = (filter.part == "asked").then(|| viewer.user.id.clone());
    let narrowed = RequestFilter {
        requester,
        state: RequestState::parse(&filter.state),
    };
    let found = desk
        .deps
        .approvals
        .requests(&viewer.app_id, &narrowed, &page)
        .await
        .map_err(problem)?;
    let (person, wanted) = (viewer.person(), filter.q.to_lowercase());
    let fits = |text: &str| text.to_lowercase().contains(&wanted);
    let mut kept = Vec::new();
    for request in found.data {
        let own = request.requester.id == viewer.user.id;
        let stored = desk
            .deps
            .approvals
            .approval(&viewer.app_id, &request.approval_id)
            .await
            .map_err(problem)?;
        let decided = stored
            .state
            .votes()
            .any(|(_, _, vote)| vote.actor.same_as(&person));
        let part = match filter.part.as_str() {
            "asked" => own,
            "decided" => decided,
            _ => own || decided,
        };
        let named = fits(&request.requester.name)
            || fits(&request.session_id.to_string())
            || request.roles.iter().any(|role| fits(&role.name));
        if part && named {
            kept.push(request);
        }
    }
    Ok((kept, found.next_cursor))
}

async fn show(request: HttpRequest, filter: Query<Filter>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let filter = filter.0;
    let (found, next) = rows(&desk, &filter).await?;
    let query = [
        ("q", &filter.q),
        ("state", &filter.state),
        ("part", &filter.part),
    ];
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    let any = json!({"value": "", "text": desk.words.t("Any"), "chosen": false});
    let states = STATES.iter().map(|state| {
        let chosen = state.as_str() == filter.state;
        json!({"value": state.as_str(), "text": desk.words.state(*state), "chosen": chosen})
    });
    let parts = [("asked", "I asked"), ("decided", "I decided")].map(|(value, text)| {
        json!({"value": value, "text": desk.words.t(text), "chosen": filter.part == value})
    });
    let context = json!({
        "q": filter.q, "filter_query": query, "next": next.map(|cursor| format!("{query}&cursor={cursor}")),
        "states": std::iter::once(any.clone()).chain(states).collect::<Vec<_>>(),
        "parts": std::iter::once(any).chain(parts).collect::<Vec<_>>(),
        "rows": found.iter().map(|request| desk.words.row(request)).collect::<Vec<_>>(),
    });
    Ok(desk
        .page(StatusCode::OK, "history.html", "history", context)
        .await)
}

fn exported(request: &Request) -> Value {
    json!({
        "number": request.session_id, "id": request.id, "requester": request.requester.email,
        "roles": request.roles.iter().map(|role| &role.name).collect::<Vec<_>>(), "state": request.state.as_str(),
        "minutes": request.minutes, "justification": request.justification,
        "asked_at": request.created_at.to_rfc3339(),
    })
}

async fn as_json(request: HttpRequest, filter: Query<Filter>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let (found, _) = rows(&desk, &filter.0).await?;
    let file = (
        "content-disposition",
        "attachment; filename=\"history.json\"",
    );
    Ok(HttpResponse::Ok()
        .insert_header(file)
        .json(found.iter().map(exported).collect::<Vec<_>>()))
}

async fn csv(request: HttpRequest, filter: Query<Filter>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let (found, _) = rows(&desk, &filter.0).await?;
    let mut text = "number,id,requester,roles,state,minutes,justification,asked_at\r\n".to_owned();
    for request in &found {
        let roles = request
            .roles
            .iter()
            .map(|role| role.name.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        let cells = [
            request.session_id.to_string(),
            request.id.to_string(),
            request.requester.email.to_string(),
            roles,
            request.state.as_str().to_owned(),
            request.minutes.to_string(),
            request.justification.clone(),
            request.created_at.to_rfc3339(),
        ];
        text.push_str(&cells.map(|cell| cell_of(&cell)).join(","));
        text.push_str("\r\n");
    }
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((
            "content-disposition",
            "attachment; filename=\"history.csv\"",
        ))
        .body(text))
}

// RFC 4180 quoting; a leading sign would make a spreadsheet run what somebody typed.
fn cell_of(text: &str) -> String {
    let risky = text.starts_with(['=', '+', '-', '@', '\t']);
    format!(
        "\"{}{}\"",
        if risky { "'" } else { "" },
        text.replace('"', "\"\"")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_are_disarmed() {
        assert_eq!(cell_of("a \"b\""), "\"a \"\"b\"\"\"");
        assert_eq!(cell_of("=1+1"), "\"'=1+1\"");
    }
}
