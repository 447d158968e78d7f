//! `…/webhooks/:id/{deliveries,test,replay}`

use actix_web::{HttpRequest, HttpResponse, web};
use heimdall_notifier::Outcome;
use heimdall_server::{Json, Problem, Query};
use heimdall_store::DeliveryRecord;
use heimdall_tenant::Caller;
use heimdall_tenant::entity::Webhook;
use heimdall_types::{AuditEntry, DeliveryId, EventId, FeedEvent, Journal, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::answer::done;
use crate::paging::{PageQuery, listing};
use crate::refusal::problem;
use crate::routes::{Answer, With};
use crate::who::Who;

type InApp = web::Path<(String, String)>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let base = "/apps/{app}/webhooks/{webhook}";
    config
        .service(web::resource(format!("{base}/deliveries")).route(web::get().to(list)))
        .service(
            web::resource(format!("{base}/deliveries/{{delivery}}/redeliver"))
                .route(web::post().to(redeliver)),
        )
        .service(web::resource(format!("{base}/replay")).route(web::post().to(replay)))
        .service(web::resource(format!("{base}/test")).route(web::post().to(test)));
}

async fn endpoint(
    deps: &With,
    who: &Who,
    app: &str,
    id: &str,
    write: bool,
) -> Result<Webhook, Problem> {
    deps.tenants
        .webhook_for_deliveries(&who.0, app, id, write)
        .await
        .map_err(problem)
}

fn attempt(outcome: &Outcome) -> Value {
    json!({
        "at": outcome.at.to_rfc3339(), "status": outcome.status, "error": outcome.error, "took_ms": outcome.took_ms,
    })
}

fn shown(record: DeliveryRecord) -> Value {
    json!({
        "id": record.id,
        "event_id": record.event_id,
        "type": record.kind,
        "state": record.state,
        "attempts": record.attempts,
        "first_due": record.first_due.to_rfc3339(),
        "next_attempt": record.next.map(Timestamp::to_rfc3339),
        "history": record.history.iter().map(attempt).collect::<Vec<_>>(),
    })
}

async fn list(
    deps: With,
    who: Who,
    path: InApp,
    request: HttpRequest,
    query: Query<PageQuery>,
) -> Answer {
    let webhook = endpoint(&deps, &who, &path.0, &path.1, false).await?;
    let page = query.0.request()?;
    let found = deps
        .store
        .deliveries(&webhook.app_id, &webhook.id, &page)
        .await?;
    Ok(listing(&request, found.map(shown)))
}

fn told(deps: &With, caller: &Caller, webhook: &Webhook, action: &str, data: Value) -> Journal {
    let row = AuditEntry {
        app_id: Some(webhook.app_id.clone()),
        at: deps.clock.now(),
        actor: caller.actor(),
        action: action.to_owned(),
        target: webhook.id.to_string(),
        data,
    };
    Journal {
        audit: vec![row],
        ..Journal::default()
    }
}

async fn redeliver(deps: With, who: Who, path: web::Path<(String, String, String)>) -> Answer {
    let webhook = endpoint(&deps, &who, &path.0, &path.1, true).await?;
    let id: DeliveryId = path.2.parse().map_err(|_| Problem::not_found())?;
    let journal = told(
        &deps,
        &who.0,
        &webhook,
        "webhook.redelivered",
        json!({ "delivery_id": id }),
    );
    let now = deps.clock.now();
    let there = deps
        .store
        .redeliver(&webhook.app_id, &webhook.id, &id, now, journal)
        .await?;
    if there {
        Ok(done())
    } else {
        Err(Problem::not_found())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    since: String,
}

async fn replay(deps: With, who: Who, path: InApp, body: Json<Replay>) -> Answer {
    let webhook = endpoint(&deps, &who, &path.0, &path.1, true).await?;
    let since = Timestamp::parse_rfc3339(&body.0.since)
        .ok_or_else(|| Problem::bad_field("since", "is no RFC 3339 date and time"))?;
    let journal = told(
        &deps,
        &who.0,
        &webhook,
        "webhook.replayed",
        json!({ "since": since.to_rfc3339() }),
    );
    let now = deps.clock.now();
    let count = deps
        .store
        .replay(&webhook.app_id, &webhook.id, since, now, journal)
        .await?;
    Ok(HttpResponse::Ok().json(json!({ "count": count })))
}

async fn test(deps: With, who: Who, path: InApp) -> Answer {
    let webhook = endpoint(&deps, &who, &path.0, &path.1, true).await?;
    let now = deps.clock.now();
    let event = FeedEvent {
        id: EventId::generate(now, &*deps.rng),
        app_id: webhook.app_id.clone(),
        at: now,
        kind: "webhook.test".to_owned(),
        data: json!({ "app_id": webhook.app_id, "webhook_id": webhook.id }),
    };
    let journal = told(&deps, &who.0, &webhook, "webhook.tested", json!({}));
    let id = deps.store.deliver_test(&webhook.id, event, journal).await?;
    Ok(HttpResponse::Created().json(json!({ "id": id })))
}
