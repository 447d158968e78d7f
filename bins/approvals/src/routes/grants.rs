//! `/v1/apps/{app}/grants`

use actix_web::{HttpResponse, web};
use heimdall_approval::ports::GrantFilter;
use heimdall_approval::request::Grant;
use heimdall_server::{Problem, Query};
use heimdall_types::{GrantId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::listing::{listing, wanted};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/v1/apps/{app}/grants", web::get().to(list))
        .route("/v1/apps/{app}/grants/{id}/revoke", web::post().to(revoke));
}

fn view(grant: &Grant) -> Value {
    json!({
        "id": grant.id, "user_id": grant.user_id, "role": grant.role, "state": grant.state.as_str(),
        "starts_at": grant.starts_at.to_rfc3339(), "ends_at": grant.ends_at.to_rfc3339(),
        "request_id": grant.request_id,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    user: Option<String>,
    active: Option<bool>,
    limit: Option<i64>,
    cursor: Option<String>,
}

async fn list(deps: With, who: Who, app: web::Path<String>, query: Query<ListQuery>) -> Answer {
    let app_id = who.app(&deps, &app).await?;
    let query = query.0;
    let asked = match &query.user {
        Some(text) => Some(
            text.parse::<UserId>()
                .map_err(|e| Problem::bad_field("user", e.to_string()))?,
        ),
        None => None,
    };
    let user = if who.may("approvals:read") {
        asked
    } else {
        let own = who.user().cloned();
        if own.is_none() || (asked.is_some() && asked != own) {
            who.must("approvals:read")?;
        }
        own
    };
    let page = wanted(query.limit, query.cursor.as_deref())?;
    let filter = GrantFilter {
        user,
        active: query.active,
    };
    let found = deps
        .approvals
        .grants(&app_id, &filter, &page)
        .await
        .map_err(problem)?;
    Ok(listing(found.map(|grant| view(&grant))))
}

async fn revoke(deps: With, who: Who, path: web::Path<(String, String)>) -> Answer {
    let app_id = who.app(&deps, &path.0).await?;
    let id: GrantId = path.1.parse().map_err(|_| Problem::not_found())?;
    // Without the right to take from others, one's own may be given back.
    let own = if who.may("approvals:write") {
        None
    } else {
        who.user().cloned()
    };
    if own.is_none() {
        who.must("approvals:write")?;
    }
    let grant = deps
        .approvals
        .revoke(&app_id, &id, own.as_ref(), &who.actor())
        .await
        .map_err(problem)?;
    Ok(HttpResponse::Ok().json(view(&grant)))
}
