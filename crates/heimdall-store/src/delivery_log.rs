//! What was delivered to an endpoint, and delivering again.

use diesel::prelude::*;
use heimdall_notifier::Outcome;
use heimdall_types::{
    AppId, DeliveryId, Fault, FeedEvent, Journal, Page, PageRequest, Timestamp, WebhookId,
};
use serde::Serialize;
use serde_json::json;

use crate::conn::{Conn, JobResult, query};
use crate::feed::EventRow;
use crate::journal::{self, Derived, NewDelivery};
use crate::outbox::WAITING;
use crate::schema::foundation::{feed, webhook_deliveries as deliveries, webhooks};
use crate::store::Store;

/// A delivery and how its tries went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryRecord {
    /// Its id.
    pub id: DeliveryId,
    /// The event, also the `webhook-id`.
    pub event_id: String,
    /// The event's type; absent once the feed has forgotten it.
    pub kind: Option<String>,
    /// `waiting`, `delivered` or `dead`.
    pub state: String,
    /// How many tries there were.
    pub attempts: u32,
    /// When it was first due.
    pub first_due: Timestamp,
    /// When it is tried next; absent unless it waits.
    pub next: Option<Timestamp>,
    /// The last tries, oldest first.
    pub history: Vec<Outcome>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = deliveries)]
struct LogRow {
    id: String,
    event_id: String,
    state: String,
    attempts: i64,
    first_due: i64,
    due: i64,
    history: String,
}

impl LogRow {
    fn record(self, kind: Option<String>) -> JobResult<DeliveryRecord> {
        Ok(DeliveryRecord {
            id: self.id.parse()?,
            event_id: self.event_id,
            kind,
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            first_due: Timestamp::from_millis(self.first_due),
            next: (self.state == WAITING).then(|| Timestamp::from_millis(self.due)),
            state: self.state,
            history: serde_json::from_str(&self.history)?,
        })
    }
}

impl Store {
    /// The deliveries to an endpoint, newest first.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn deliveries(
        &self,
        app: &AppId,
        webhook: &WebhookId,
        page: &PageRequest,
    ) -> Result<Page<DeliveryRecord>, Fault> {
        let (own, webhook, page) = (app.clone(), webhook.clone(), page.clone());
        self.read(app, move |c| {
            let rows: Vec<(LogRow, Option<String>)> = query!(c => {
                let mut rows = deliveries::table
                    .left_join(feed::table.on(feed::app_id.eq(deliveries::app_id).and(feed::id.eq(deliveries::event_id))))
                    .filter(deliveries::app_id.eq(own.as_str()).and(deliveries::webhook_id.eq(webhook.as_str())))
                    .into_boxed::<Backend>();
                if let Some(cursor) = &page.cursor {
                    rows = rows.filter(deliveries::id.lt(cursor.key()));
                }
                rows.order(deliveries::id.desc())
                    .limit(i64::from(page.limit) + 1)
                    .select((LogRow::as_select(), feed::kind.nullable()))
                    .load(c)
            })?;
            let records = rows.into_iter().map(|(row, kind)| row.record(kind)).collect::<JobResult<Vec<_>>>()?;
            Ok(Page::cut(records, page.limit, |record| record.id.to_string()))
        })
        .await
    }

    /// Sends a delivery once more, from the first try on; `false` when the endpoint has none with this id.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn redeliver(
        &self,
        app: &AppId,
        webhook: &WebhookId,
        id: &DeliveryId,
        now: Timestamp,
        journal: Journal,
    ) -> Result<bool, Fault> {
        let (own, webhook, id) = (app.clone(), webhook.clone(), id.clone());
        self.write(app, move |c| {
            let there = again(c, &own, &webhook, id.as_str(), now)?;
            if there {
                journal::write(c, &journal)?;
            }
            Ok(there)
        })
        .await
    }

    /// Sends every event since `since` that the endpoint wants, also those it had; returns how many.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn replay(
        &self,
        app: &AppId,
        webhook: &WebhookId,
        since: Timestamp,
        now: Timestamp,
        journal: Journal,
    ) -> Result<u64, Fault> {
        let (own, webhook) = (app.clone(), webhook.clone());
        self.write(app, move |c| {
            let wanted: Option<String> = query!(c => webhooks::table
                .find((own.as_str(), webhook.as_str()))
                .select(webhooks::events)
                .first(c)
                .optional())?;
            let Some(wanted) = wanted else { return Ok(0) };
            let wanted: Vec<String> = serde_json::from_str(&wanted)?;
            let rows: Vec<EventRow> = query!(c => feed::table
                .filter(feed::app_id.eq(own.as_str()).and(feed::at.ge(since.millis())))
                .order(feed::ord)
                .select(EventRow::as_select())
                .load(c))?;
            let mut count = 0;
            for row in rows {
                let event = row.event()?;
                if !journal::wants(&wanted, &event.kind) {
                    continue;
                }
                let id = journal::delivery_id(webhook.as_str(), &event);
                if !again(c, &own, &webhook, id.as_str(), now)? {
                    journal::deliver(c, webhook.as_str(), &event, now)?;
                }
                count += 1;
            }
            journal::write(c, &journal)?;
            Ok(count)
        })
        .await
    }

    /// Queues a delivery of `event` to one endpoint alone; it does not enter the feed.
    ///
    /// # Errors
    /// [`Fault::Reference`] when there is no such endpoint.
    pub async fn deliver_test(
        &self,
        webhook: &WebhookId,
        event: FeedEvent,
        journal: Journal,
    ) -> Result<DeliveryId, Fault> {
        use crate::conn::Named as _;
        let webhook = webhook.clone();
        self.write(&event.app_id.clone(), move |c| {
            let id = DeliveryId::generate(
                event.at,
                &Derived::new(&["test", webhook.as_str(), event.id.as_str()]),
            );
            let body = json!({ "type": event.kind, "data": event.data }).to_string();
            let row = NewDelivery::of(id.as_str(), webhook.as_str(), &event, event.at, Some(&body));
            query!(c => diesel::insert_into(deliveries::table).values(&row).execute(c))
                .reference("webhook")?;
            c.touched.of(Some(&event.app_id)).outbox = true;
            journal::write(c, &journal)?;
            Ok(id)
        })
        .await
    }
}

fn again(
    c: &mut Conn<'_>,
    app: &AppId,
    webhook: &WebhookId,
    id: &str,
    now: Timestamp,
) -> JobResult<bool> {
    let rows = query!(c => diesel::update(
        deliveries::table.find((app.as_str(), id)).filter(deliveries::webhook_id.eq(webhook.as_str())),
    )
    .set((
        deliveries::state.eq(WAITING),
        deliveries::due.eq(now.millis()),
        deliveries::attempts.eq(0),
        deliveries::leased_until.eq(0),
    ))
    .execute(c))?;
    c.touched.of(Some(app)).outbox = true;
    Ok(rows == 1)
}
