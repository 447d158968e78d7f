//! `…/events`, `…/audit`

use actix_web::{HttpResponse, web};
use heimdall_server::{Problem, Query};
use heimdall_types::FeedEvent;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.route("/apps/{app}/events", web::get().to(events));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    #[serde(default)]
    after: i64,
    types: Option<String>,
    limit: Option<i64>,
}

fn limit(given: Option<i64>) -> Result<u32, Problem> {
    Ok(crate::paging::page_request(given, None)?.limit)
}

fn event(position: i64, event: &FeedEvent) -> Value {
    json!({
        "position": position, "id": event.id, "type": event.kind, "at": event.at.to_rfc3339(), "data": event.data,
    })
}

async fn events(deps: With, who: Who, app: web::Path<String>, query: Query<EventsQuery>) -> Answer {
    let app = deps
        .tenants
        .may(&who.0, &app, "events:read")
        .await
        .map_err(problem)?;
    let limit = limit(query.0.limit)?;
    let kinds: Vec<String> = query
        .0
        .types
        .iter()
        .flat_map(|t| t.split(','))
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    let mut rows = deps
        .store
        .events(&app, query.0.after.max(0), &kinds, limit + 1)
        .await?;
    let has_more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let last = rows.last().map_or(query.0.after, |row| row.position);
    let data: Vec<Value> = rows
        .iter()
        .map(|row| event(row.position, &row.event))
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "data": data, "pagination": { "next_cursor": has_more.then(|| last.to_string()), "has_more": has_more }, "after": last,
    })))
}
