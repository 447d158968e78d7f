//! The queue of webhook deliveries.

use async_trait::async_trait;
use diesel::prelude::*;
use heimdall_notifier::{Deliveries, Delivery, Fate, Outcome};
use heimdall_token::{RootKey, crypto};
use heimdall_types::{
    Actor, AppId, AuditEntry, EventId, Fault, FeedEvent, Journal, Secret, Timestamp,
};
use serde_json::json;
use serde_json::value::RawValue;

use crate::conn::{Conn, JobError, JobResult, Scope, query};
use crate::journal::{self, Derived};
use crate::outbox::{DEAD, WAITING};
use crate::schema::foundation::{feed, webhook_deliveries as deliveries, webhooks};
use crate::store::Store;

const DELIVERED: &str = "delivered";
/// So many tries are kept with a delivery.
const HISTORY: usize = 20;

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct DeliveryRow {
    app_id: String,
    id: String,
    webhook_id: String,
    event_id: String,
    attempts: i64,
    first_due: i64,
    body: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = webhooks)]
struct Endpoint {
    url: String,
    secrets: String,
}

#[async_trait]
impl Deliveries for Store {
    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Fault> {
        // Most times nothing waits; asking a reader keeps the writer out of it.
        if self
            .read(Scope::System, move |c| Ok(free_endpoints(c, now, 1)?))
            .await?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        let root = self.root_key();
        self.write(Scope::System, move |c| {
            let mut taken = Vec::new();
            for (app, webhook) in free_endpoints(c, now, limit)? {
                let Some(row) = first_due(c, &app, &webhook, now)? else {
                    continue;
                };
                query!(c => diesel::update(deliveries::table.find((&row.app_id, &row.id)))
                    .set(deliveries::leased_until.eq(until.millis()))
                    .execute(c))?;
                let fate = match complete(c, &row, root.as_deref(), now) {
                    Ok(Some(delivery)) => {
                        taken.push(delivery);
                        continue;
                    }
                    Ok(None) => "the endpoint or the event is gone",
                    // One endpoint that cannot be served must not hold up the others.
                    Err(JobError::Fault(Fault::Corrupt(what))) => {
                        tracing::error!(webhook = row.webhook_id, what, "a delivery is given up");
                        "the endpoint's secret cannot be opened"
                    }
                    Err(error) => return Err(error),
                };
                give_up(c, &row, fate, now)?;
            }
            Ok(taken)
        })
        .await
    }

    async fn record(
        &self,
        delivery: &Delivery,
        outcome: &Outcome,
        fate: Fate,
    ) -> Result<(), Fault> {
        let (delivery, outcome) = (delivery.clone(), outcome.clone());
        self.write(&delivery.app_id.clone(), move |c| {
            let key = (delivery.app_id.as_str(), delivery.id.as_str());
            let history: Option<String> = query!(c => deliveries::table
                .find(key)
                .select(deliveries::history)
                .first(c)
                .optional())?;
            // The endpoint was deleted meanwhile, and its deliveries with it.
            let Some(history) = history else {
                return Ok(());
            };
            let mut history: Vec<Outcome> = serde_json::from_str(&history)?;
            history.push(outcome.clone());
            let surplus = history.len().saturating_sub(HISTORY);
            let history = serde_json::to_string(history.get(surplus..).unwrap_or_default())?;
            let (state, due) = match fate {
                Fate::Delivered => (DELIVERED, outcome.at),
                Fate::Again(at) => (WAITING, at),
                Fate::Dead | Fate::Disable => (DEAD, outcome.at),
            };
            query!(c => diesel::update(deliveries::table.find(key))
                .set((
                    deliveries::state.eq(state),
                    deliveries::due.eq(due.millis()),
                    deliveries::attempts.eq(deliveries::attempts + 1),
                    deliveries::leased_until.eq(0),
                    deliveries::history.eq(&history),
                ))
                .execute(c))?;
            if fate == Fate::Disable {
                disable(c, &delivery, &outcome)
            } else {
                Ok(())
            }
        })
        .await
    }
}

/// Endpoints with something due and nothing under way, those that waited longest first.
fn free_endpoints(
    c: &mut Conn<'_>,
    now: Timestamp,
    limit: u32,
) -> QueryResult<Vec<(String, String)>> {
    let now = now.millis();
    let busy: Vec<String> = query!(c => deliveries::table
        .filter(deliveries::state.eq(WAITING).and(deliveries::leased_until.gt(now)))
        .select(deliveries::webhook_id)
        .load(c))?;
    query!(c => deliveries::table
        .filter(deliveries::state.eq(WAITING).and(deliveries::due.le(now)))
        .filter(deliveries::webhook_id.ne_all(&busy))
        .group_by((deliveries::app_id, deliveries::webhook_id))
        .order(diesel::dsl::min(deliveries::due))
        .limit(limit.into())
        .select((deliveries::app_id, deliveries::webhook_id))
        .load(c))
}

fn first_due(
    c: &mut Conn<'_>,
    app: &str,
    webhook: &str,
    now: Timestamp,
) -> QueryResult<Option<DeliveryRow>> {
    query!(c => deliveries::table
        .filter(deliveries::app_id.eq(app).and(deliveries::webhook_id.eq(webhook)))
        .filter(deliveries::state.eq(WAITING).and(deliveries::due.le(now.millis())))
        .order((deliveries::due, deliveries::id))
        .select(DeliveryRow::as_select())
        .first(c)
        .optional())
}

/// What the worker needs to send it; `None` when endpoint or event are gone, or the endpoint was disabled.
fn complete(
    c: &mut Conn<'_>,
    row: &DeliveryRow,
    root: Option<&RootKey>,
    now: Timestamp,
) -> JobResult<Option<Delivery>> {
    let endpoint: Option<Endpoint> = query!(c => webhooks::table
        .find((&row.app_id, &row.webhook_id))
        .filter(webhooks::enabled.eq(true))
        .select(Endpoint::as_select())
        .first(c)
        .optional())?;
    let body = match &row.body {
        Some(body) => Some(body.clone()),
        None => body_of_event(c, row)?,
    };
    let (Some(endpoint), Some(body)) = (endpoint, body) else {
        return Ok(None);
    };
    Ok(Some(Delivery {
        id: row.id.parse()?,
        app_id: row.app_id.parse()?,
        webhook_id: row.webhook_id.parse()?,
        event_id: row.event_id.parse()?,
        secrets: secrets(&row.webhook_id, &endpoint.secrets, root, now)?,
        url: endpoint.url,
        body,
        attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
        first_due: Timestamp::from_millis(row.first_due),
    }))
}

fn give_up(c: &mut Conn<'_>, row: &DeliveryRow, why: &str, now: Timestamp) -> JobResult<()> {
    let outcome = Outcome {
        at: now,
        status: None,
        error: Some(why.to_owned()),
        took_ms: 0,
    };
    let history = serde_json::to_string(&[outcome])?;
    query!(c => diesel::update(deliveries::table.find((&row.app_id, &row.id)))
        .set((deliveries::state.eq(DEAD), deliveries::leased_until.eq(0), deliveries::history.eq(&history)))
        .execute(c))?;
    Ok(())
}

fn body_of_event(c: &mut Conn<'_>, row: &DeliveryRow) -> JobResult<Option<String>> {
    let event: Option<(String, String)> = query!(c => feed::table
        .filter(feed::app_id.eq(&row.app_id).and(feed::id.eq(&row.event_id)))
        .select((feed::kind, feed::data))
        .first(c)
        .optional())?;
    let Some((kind, data)) = event else {
        return Ok(None);
    };
    // The stored text goes in as it is: the same bytes at every try.
    let data = RawValue::from_string(data)?;
    Ok(Some(serde_json::to_string(&Body {
        kind: &kind,
        data: &data,
    })?))
}

#[derive(serde::Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a RawValue,
}

#[derive(serde::Deserialize)]
struct Sealed {
    sealed: String,
    until: Option<Timestamp>,
}

/// The secrets that count at this moment, newest first.
fn secrets(
    webhook: &str,
    sealed: &str,
    root: Option<&RootKey>,
    now: Timestamp,
) -> Result<Vec<Secret>, Fault> {
    let unreadable =
        || Fault::Corrupt("the secret of a webhook cannot be opened with this root key".to_owned());
    let root = root.ok_or_else(|| {
        Fault::Unavailable("the store was opened without the root key".to_owned())
    })?;
    let sealed: Vec<Sealed> = serde_json::from_str(sealed).map_err(|_| unreadable())?;
    sealed
        .iter()
        .filter(|secret| secret.until.is_none_or(|until| now < until))
        .map(|secret| {
            let bytes = crypto::from_base64(&secret.sealed).ok_or_else(unreadable)?;
            let plain = root
                .open(&format!("webhook:{webhook}"), &bytes)
                .map_err(|_| unreadable())?;
            std::str::from_utf8(&plain)
                .map(Secret::from)
                .map_err(|_| unreadable())
        })
        .collect()
}

fn disable(c: &mut Conn<'_>, delivery: &Delivery, outcome: &Outcome) -> JobResult<()> {
    let (app, webhook) = (&delivery.app_id, delivery.webhook_id.as_str());
    let body: Option<String> = query!(c => webhooks::table
        .find((app.as_str(), webhook))
        .filter(webhooks::enabled.eq(true))
        .select(webhooks::body)
        .first(c)
        .optional())?;
    let Some(body) = body else {
        return Ok(());
    };
    let body = with_reason(&body, outcome)?;
    query!(c => diesel::update(webhooks::table.find((app.as_str(), webhook)))
        .set((
            webhooks::enabled.eq(false),
            webhooks::body.eq(&body),
            webhooks::version.eq(webhooks::version + 1),
        ))
        .execute(c))?;
    journal::write(c, &disabled(app, webhook, delivery, outcome))
}

// What whoever looks at the endpoint wants to know first.
fn with_reason(body: &str, outcome: &Outcome) -> JobResult<String> {
    let reason = match outcome.status {
        Some(410) => "it answered 410 (gone)",
        _ => "every delivery failed for days",
    };
    let mut stored: serde_json::Map<String, serde_json::Value> = serde_json::from_str(body)?;
    stored.insert("disabled_reason".to_owned(), reason.into());
    Ok(serde_json::to_string(&stored)?)
}

fn disabled(app: &AppId, webhook: &str, delivery: &Delivery, outcome: &Outcome) -> Journal {
    let data = json!({
        "app_id": app.as_str(), "webhook_id": webhook, "delivery_id": delivery.id.as_str(),
        "status": outcome.status, "attempts": delivery.attempts + 1,
    });
    let luck = Derived::new(&["disabled", delivery.id.as_str()]);
    Journal {
        audit: vec![AuditEntry {
            app_id: Some(app.clone()),
            at: outcome.at,
            actor: Actor::System,
            action: "webhook.disabled".to_owned(),
            target: webhook.to_owned(),
            data: data.clone(),
        }],
        events: vec![FeedEvent {
            id: EventId::generate(outcome.at, &luck),
            app_id: app.clone(),
            at: outcome.at,
            kind: "webhook.disabled".to_owned(),
            data,
        }],
        notices: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use heimdall_types::{DeliveryId, SeededRng};

    use super::*;
    use crate::store::StoreSettings;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const UNTIL: Timestamp = Timestamp::from_millis(1_800_000_040_000);

    struct World {
        store: Store,
        app: AppId,
    }

    impl World {
        async fn with(endpoints: &'static [(&'static str, &'static str)]) -> Self {
            let rng = SeededRng::new(3);
            let root = RootKey::generate(&rng);
            let app = AppId::generate(NOW, &rng);
            let mut settings = StoreSettings::new("sqlite::memory:");
            settings.root_key = Some(Arc::new(root.clone()));
            let world = Self {
                store: Store::open(&settings).unwrap(),
                app,
            };
            for (seed, (host, events)) in (0..).zip(endpoints) {
                let id =
                    heimdall_types::WebhookId::generate(NOW, &SeededRng::new(seed)).to_string();
                let seal = |text: &str| {
                    crypto::base64(&root.seal(&format!("webhook:{id}"), text.as_bytes(), &rng))
                };
                let secrets = json!([{"sealed": seal("whsec_new")}, {"sealed": seal("whsec_old"), "until": NOW.plus(Duration::from_secs(5))}]);
                let (app, url, secrets) = (
                    world.app.clone(),
                    format!("https://{host}/"),
                    secrets.to_string(),
                );
                world
                    .store
                    .write(&world.app, move |c| {
                        let row = (
                            webhooks::app_id.eq(app.as_str()),
                            webhooks::id.eq(&id),
                            webhooks::version.eq(1),
                            webhooks::url.eq(&url),
                            webhooks::events.eq(events),
                            webhooks::enabled.eq(true),
                            webhooks::secrets.eq(&secrets),
                            webhooks::body.eq("{}"),
                        );
                        Ok(query!(c => diesel::insert_into(webhooks::table).values(row).execute(c))?)
                    })
                    .await
                    .unwrap();
            }
            world
        }

        async fn happen(&self, n: u64, kind: &str) {
            let at = NOW.minus(Duration::from_millis(10 - n));
            let (app, id) = (self.app.clone(), EventId::generate(at, &SeededRng::new(n)));
            let event = FeedEvent {
                id,
                app_id: app.clone(),
                at,
                kind: kind.to_owned(),
                data: json!({"b": 1, "a": n}),
            };
            let entry = AuditEntry {
                app_id: Some(app),
                at,
                actor: Actor::System,
                action: kind.to_owned(),
                target: String::new(),
                data: json!({}),
            };
            let journal = Journal {
                audit: vec![entry],
                events: vec![event],
                notices: vec![],
            };
            self.store
                .write(&self.app, move |c| journal::write(c, &journal))
                .await
                .unwrap();
        }

        async fn lease(&self, now: Timestamp) -> Vec<Delivery> {
            Deliveries::lease(&self.store, now, UNTIL, 10)
                .await
                .unwrap()
        }
    }

    fn outcome(status: u16) -> Outcome {
        Outcome {
            at: NOW,
            status: Some(status),
            error: None,
            took_ms: 3,
        }
    }

    #[tokio::test]
    async fn an_endpoint_gets_the_events_it_asked_for_one_at_a_time() {
        let world = World::with(&[
            ("all", "[]"),
            ("users", r#"["user.*"]"#),
            ("roles", r#"["role.created"]"#),
        ])
        .await;
        world.happen(1, "user.created").await;
        world.happen(2, "user.updated").await;
        let first = world.lease(NOW).await;
        let mut urls: Vec<_> = first.iter().map(|delivery| delivery.url.as_str()).collect();
        urls.sort_unstable();
        assert_eq!(urls, ["https://all/", "https://users/"]);
        assert!(
            world.lease(NOW).await.is_empty(),
            "what is under way holds its endpoint"
        );
        assert_eq!(
            first[0].body,
            r#"{"type":"user.created","data":{"a":1,"b":1}}"#
        );
        assert_eq!(
            first[0]
                .secrets
                .iter()
                .map(Secret::expose)
                .collect::<Vec<_>>(),
            ["whsec_new", "whsec_old"]
        );
        for delivery in &first {
            Deliveries::record(&world.store, delivery, &outcome(200), Fate::Delivered)
                .await
                .unwrap();
        }
        let second = world.lease(NOW.plus(Duration::from_secs(6))).await;
        assert_eq!(second.len(), 2);
        assert_ne!(second[0].event_id, first[0].event_id);
        assert_eq!(second[0].secrets.len(), 1, "the old secret has ended");
        assert_eq!(
            world.lease(UNTIL).await.len(),
            2,
            "a lease that ran out is taken again"
        );
    }

    #[tokio::test]
    async fn a_failed_delivery_keeps_its_ids_and_bytes_and_a_disabled_endpoint_gets_no_more() {
        let world = World::with(&[("one", "[]")]).await;
        world.happen(1, "user.created").await;
        let first = world.lease(NOW).await.remove(0);
        let later = NOW.plus(Duration::from_secs(5));
        Deliveries::record(&world.store, &first, &outcome(500), Fate::Again(later))
            .await
            .unwrap();
        assert!(world.lease(NOW).await.is_empty());
        let again = world.lease(later).await.remove(0);
        assert_eq!(
            (&again.id, &again.event_id, &again.body, again.attempts),
            (&first.id, &first.event_id, &first.body, 1)
        );
        Deliveries::record(&world.store, &again, &outcome(410), Fate::Disable)
            .await
            .unwrap();
        world.happen(2, "user.updated").await;
        assert!(world.lease(UNTIL).await.is_empty());
        let kinds: Vec<_> = world
            .store
            .events(&world.app, 0, &[], 10)
            .await
            .unwrap()
            .into_iter()
            .map(|e| e.event.kind)
            .collect();
        assert_eq!(kinds, ["user.created", "webhook.disabled", "user.updated"]);
    }

    #[tokio::test]
    async fn an_endpoint_whose_secret_cannot_be_opened_holds_up_no_other() {
        let world = World::with(&[("one", "[]"), ("two", "[]")]).await;
        let spoiled = world
            .store
            .write(&world.app, |c| {
                Ok(query!(c => diesel::update(webhooks::table.filter(webhooks::url.eq("https://one/")))
                    .set(webhooks::secrets.eq(r#"[{"sealed":"AAAA"}]"#))
                    .execute(c))?)
            })
            .await;
        assert_eq!(spoiled, Ok(1));
        world.happen(1, "user.created").await;
        let leased = world.lease(NOW).await;
        assert_eq!(leased.len(), 1);
        assert_eq!(leased[0].url, "https://two/");
    }

    #[tokio::test]
    async fn what_was_delivered_is_shown_and_can_be_sent_again() {
        let world = World::with(&[("one", r#"["user.*"]"#)]).await;
        world.happen(1, "user.created").await;
        world.happen(2, "role.created").await;
        let first = world.lease(NOW).await.remove(0);
        let (store, app, webhook) = (&world.store, &world.app, &first.webhook_id);
        Deliveries::record(&world.store, &first, &outcome(200), Fate::Delivered)
            .await
            .unwrap();
        let page = heimdall_types::PageRequest::first();
        let shown = store.deliveries(app, webhook, &page).await.unwrap().data;
        assert_eq!(
            (shown.len(), shown[0].state.as_str(), shown[0].history.len()),
            (1, "delivered", 1)
        );
        assert_eq!(shown[0].kind.as_deref(), Some("user.created"));

        assert!(
            store
                .redeliver(app, webhook, &first.id, NOW, Journal::default())
                .await
                .unwrap()
        );
        let again = world.lease(NOW).await.remove(0);
        assert_eq!(
            (&again.event_id, &again.body),
            (&first.event_id, &first.body)
        );
        Deliveries::record(&world.store, &again, &outcome(200), Fate::Delivered)
            .await
            .unwrap();
        let strange = DeliveryId::generate(NOW, &SeededRng::new(77));
        assert!(
            !store
                .redeliver(app, webhook, &strange, NOW, Journal::default())
                .await
                .unwrap()
        );

        assert_eq!(
            store
                .replay(app, webhook, Timestamp::default(), NOW, Journal::default())
                .await
                .unwrap(),
            1
        );
        assert_eq!(world.lease(NOW).await.len(), 1);
        let test = FeedEvent {
            id: EventId::generate(NOW, &SeededRng::new(9)),
            app_id: app.clone(),
            at: NOW,
            kind: "webhook.test".to_owned(),
            data: json!({}),
        };
        store
            .deliver_test(webhook, test.clone(), Journal::default())
            .await
            .unwrap();
        assert_eq!(
            store
                .deliveries(app, webhook, &page)
                .await
                .unwrap()
                .data
                .len(),
            2
        );
        assert_eq!(
            store.events(app, 0, &[], 10).await.unwrap().len(),
            2,
            "the test is no event"
        );
        let nowhere = heimdall_types::WebhookId::generate(NOW, &SeededRng::new(5));
        assert_eq!(
            store.deliver_test(&nowhere, test, Journal::default()).await,
            Err(Fault::Reference("webhook"))
        );
    }

    #[test]
    fn ids_of_deliveries_follow_from_endpoint_and_event() {
        let id = |from: &[&str]| DeliveryId::generate(NOW, &Derived::new(from));
        assert_eq!(id(&["whk_1", "evt_1"]), id(&["whk_1", "evt_1"]));
        assert_ne!(id(&["whk_1", "evt_1"]), id(&["whk_1e", "vt_1"]));
    }
}
