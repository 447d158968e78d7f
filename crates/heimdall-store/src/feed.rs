//! The ordered feed of events.

use diesel::prelude::*;
use heimdall_types::{AppId, Fault, FeedEvent, Timestamp};

use crate::conn::{Conn, JobResult, Scope, query};
use crate::schema::foundation::feed;
use crate::store::Store;

/// An event and its place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positioned {
    /// Grows; what a reader gives as `after` to go on behind this event. Without gaps over all Apps together.
    pub position: i64,
    /// The event.
    pub event: FeedEvent,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = feed)]
pub(crate) struct EventRow {
    app_id: String,
    id: String,
    at: i64,
    kind: String,
    data: String,
    position: Option<i64>,
}

impl EventRow {
    pub(crate) fn event(self) -> JobResult<FeedEvent> {
        Ok(FeedEvent {
            id: self.id.parse()?,
            app_id: self.app_id.parse()?,
            at: Timestamp::from_millis(self.at),
            kind: self.kind,
            data: serde_json::from_str(&self.data)?,
        })
    }

    fn positioned(self) -> JobResult<Positioned> {
        Ok(Positioned {
            position: self.position.unwrap_or_default(),
            event: self.event()?,
        })
    }
}

impl Store {
    /// The App's events behind position `after`, oldest first, at most `limit`; of these types only unless `kinds` is
    /// empty. Events appear in the order of their positions: none ever turns up behind a reader's back. Wait for a
    /// [`Committed`](crate::Committed) with `feed` to read on.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn events(
        &self,
        app: &AppId,
        after: i64,
        kinds: &[String],
        limit: u32,
    ) -> Result<Vec<Positioned>, Fault> {
        let (own, kinds) = (app.clone(), kinds.to_vec());
        self.read(app, move |c| {
            let rows: Vec<EventRow> = query!(c => {
                let mut rows = feed::table
                    .filter(feed::app_id.eq(own.as_str()).and(feed::position.gt(after)))
                    .into_boxed::<Backend>();
                if !kinds.is_empty() {
                    rows = rows.filter(feed::kind.eq_any(&kinds));
                }
                rows.order(feed::position).limit(limit.into()).select(EventRow::as_select()).load(c)
            })?;
            rows.into_iter().map(EventRow::positioned).collect()
        })
        .await
    }

    /// The last position that was given out: where a reader begins who wants only what comes.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn feed_end(&self) -> Result<i64, Fault> {
        self.read(
            Scope::System,
            |c| Ok(crate::journal::head(c)?.feed_position),
        )
        .await
    }

    /// Drops events older than `before` that no delivery waits for; the feed promises 30 days. Returns how many went.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn prune_feed(&self, before: Timestamp) -> Result<usize, Fault> {
        self.write(Scope::System, move |c| Ok(prune(c, before)?))
            .await
    }
}

fn prune(c: &mut Conn<'_>, before: Timestamp) -> QueryResult<usize> {
    use crate::schema::foundation::webhook_deliveries as deliveries;
    query!(c => diesel::delete(deliveries::table.filter(
        deliveries::first_due.lt(before.millis()).and(deliveries::state.ne(crate::outbox::WAITING)),
    ))
    .execute(c))?;
    query!(c => {
        let waiting = deliveries::table
            .filter(deliveries::state.eq(crate::outbox::WAITING))
            .select(deliveries::event_id);
        diesel::delete(feed::table.filter(
            feed::at.lt(before.millis()).and(feed::position.is_not_null()).and(feed::id.ne_all(waiting)),
        ))
        .execute(c)
    })
}
