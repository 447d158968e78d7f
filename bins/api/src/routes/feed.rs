//! `…/events`, `…/audit`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_server::{Problem, Query};
use heimdall_store::AuditFilter;
use heimdall_types::{FeedEvent, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::paging::{listing, page_request};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/apps/{app}/events").route(web::get().to(events)))
        .service(web::resource("/apps/{app}/audit").route(web::get().to(audit)));
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
    Ok(page_request(given, None)?.limit)
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
    if query.0.after < 0 {
        return Err(Problem::bad_field("after", "must not be negative"));
    }
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
        .events(&app, query.0.after, &kinds, limit + 1)
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    limit: Option<i64>,
    cursor: Option<String>,
    action: Option<String>,
    target: Option<String>,
    actor: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

fn moment(name: &str, given: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let read = |text: String| {
        Timestamp::parse_rfc3339(&text)
            .ok_or_else(|| Problem::bad_field(name, "is no RFC 3339 date and time"))
    };
    given.map(read).transpose()
}

async fn audit(
    deps: With,
    who: Who,
    app: web::Path<String>,
    request: HttpRequest,
    query: Query<AuditQuery>,
) -> Answer {
    let app = deps
        .tenants
        .may(&who.0, &app, "audit:read")
        .await
        .map_err(problem)?;
    let wanted = query.0;
    let page = page_request(wanted.limit, wanted.cursor.as_deref())?;
    let filter = AuditFilter {
        action: wanted.action,
        target: wanted.target,
        actor: wanted.actor,
        since: moment("since", wanted.since)?,
        until: moment("until", wanted.until)?,
    };
    Ok(listing(
        &request,
        deps.store.audit(Some(&app), &filter, &page).await?,
    ))
}
