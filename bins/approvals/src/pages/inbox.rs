use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};
use heimdall_server::Query;
use heimdall_types::PageRequest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, PageAnswer};
use crate::refusal::problem;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/inbox", web::get().to(show));
}

#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(default)]
    q: String,
}

async fn show(request: HttpRequest, filter: Query<Filter>) -> PageAnswer {
    let desk = match Desk::of(&request).await? {
        Ok(desk) => desk,
        Err(signin) => return Ok(signin),
    };
    let viewer = desk.viewer()?;
    let page = PageRequest {
        limit: PageRequest::MAX_LIMIT,
        cursor: None,
    };
    let found = desk
        .deps
        .approvals
        .inbox(&viewer.app_id, &viewer.person(), &page)
        .await
        .map_err(problem)?;
    let wanted = filter.0.q.to_lowercase();
    let fits = |text: &str| text.to_lowercase().contains(&wanted);
    let mut rows: Vec<Value> = Vec::new();
    for asked in &found.data {
        if !fits(&asked.requester.name) && !asked.roles.iter().any(|role| fits(&role.name)) {
            continue;
        }
        let stored = desk
            .deps
            .approvals
            .approval(&viewer.app_id, &asked.approval_id)
            .await
            .map_err(problem)?;
        let person = viewer.person();
        let mut row = desk.words.row(asked);
        let own = stored
            .state
            .children(0)
            .filter_map(|index| stored.state.steps.get(index));
        let own: Vec<bool> = own
            .map(|step| {
                step.seats
                    .iter()
                    .any(|s| s.vote.is_none() && person.is(&s.holder))
            })
            .collect();
        if let Some(tags) = row.get_mut("roles").and_then(Value::as_array_mut) {
            for (tag, _) in tags.iter_mut().zip(own).filter(|(_, own)| *own) {
                if let Some(members) = tag.as_object_mut() {
                    members.insert("tone".to_owned(), "own".into());
                }
            }
        }
        rows.push(row);
    }
    let context = json!({"as_of": desk.words.now(), "q": filter.0.q, "rows": rows});
    Ok(desk
        .page(StatusCode::OK, "inbox.html", "inbox", context)
        .await)
}
