//! The journal of a decision, written in the decision's own transaction.
//!
//! On SQLite the one writer chains audit rows and numbers feed events at once. On PostgreSQL transactions overlap, so
//! the rows go in with their content hash alone, and the chainer (see `postgres/chainer.rs`) links them after commit.

use diesel::prelude::*;
use heimdall_types::{AuditEntry, DeliveryId, Fault, FeedEvent, Journal, Notice, Rng, Timestamp};

use crate::audit;
use crate::conn::{Conn, Db, JobResult, Scope, query};
use crate::hash;
use crate::schema::foundation::{
    audit as audit_table, feed, journal_head, outbox, webhook_deliveries, webhooks,
};

/// Writes `journal` as part of this job.
///
/// # Errors
/// A journal that tells of events or notices but has no audit row, or, in the scope of an App, one about another App:
/// both are mistakes of the caller and undo the job.
pub(crate) fn write(c: &mut Conn<'_>, journal: &Journal) -> JobResult<()> {
    if journal.is_empty() {
        return Ok(());
    }
    check(c.scope, journal)?;
    match &c.db {
        Db::Sqlite(_) => write_chained(c, journal)?,
        Db::Postgres(_) => write_unchained(c, journal)?,
    }
    for event in &journal.events {
        fan_out(c, event)?;
    }
    for notice in &journal.notices {
        enqueue(c, notice)?;
    }
    c.touched.journal(journal);
    Ok(())
}

fn check(scope: &Scope, journal: &Journal) -> Result<(), Fault> {
    if journal.audit.is_empty() {
        return Err(Fault::Corrupt("a journal without an audit row".to_owned()));
    }
    let Scope::App(own) = scope else {
        return Ok(());
    };
    let foreign = journal
        .audit
        .iter()
        .any(|entry| entry.app_id.as_ref() != Some(own))
        || journal.events.iter().any(|event| event.app_id != *own)
        || journal
            .notices
            .iter()
            .any(|notice| notice.app_id.as_ref() != Some(own));
    if foreign {
        Err(Fault::Corrupt("a journal of another App".to_owned()))
    } else {
        Ok(())
    }
}

/// The ends of the audit chain and of the feed.
#[derive(Debug, Clone, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = journal_head)]
pub(crate) struct Head {
    pub(crate) audit_seq: i64,
    pub(crate) audit_hash: Vec<u8>,
    pub(crate) feed_position: i64,
}

/// On SQLite the ends are written once a commit, not once a job: jobs that share it hand them on.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadCache {
    head: Option<Head>,
    moved: bool,
}

pub(crate) fn head(c: &mut Conn<'_>) -> QueryResult<Head> {
    if let Some(head) = &c.head.head {
        return Ok(head.clone());
    }
    let head: Head = query!(c => journal_head::table.find(1).select(Head::as_select()).first(c))?;
    if let Db::Sqlite(_) = c.db {
        c.head.head = Some(head.clone());
    }
    Ok(head)
}

pub(crate) fn move_head(c: &mut Conn<'_>, head: Head) -> QueryResult<()> {
    match &mut c.db {
        Db::Sqlite(_) => {
            *c.head = HeadCache {
                head: Some(head),
                moved: true,
            }
        }
        Db::Postgres(c) => {
            diesel::update(journal_head::table.find(1))
                .set(&head)
                .execute(&mut **c)?;
        }
    }
    Ok(())
}

/// Writes down what was handed on; the writer does so before it commits.
pub(crate) fn flush(conn: &mut diesel::SqliteConnection, cache: &mut HeadCache) -> QueryResult<()> {
    if let (true, Some(head)) = (cache.moved, &cache.head) {
        diesel::update(journal_head::table.find(1))
            .set(head)
            .execute(conn)?;
        cache.moved = false;
    }
    Ok(())
}

/// For readiness: reads one row that is always there.
pub(crate) fn ping(c: &mut Conn<'_>) -> QueryResult<()> {
    head(c).map(|_| ())
}

#[derive(Insertable)]
#[diesel(table_name = audit_table, treat_none_as_default_value = false)]
struct NewAudit<'a> {
    app_id: Option<&'a str>,
    at: i64,
    actor: String,
    action: &'a str,
    target: &'a str,
    data: String,
    content_hash: Vec<u8>,
    seq: Option<i64>,
    prev_hash: Option<Vec<u8>>,
    chain_hash: Option<Vec<u8>>,
}

impl<'a> NewAudit<'a> {
    fn unchained(entry: &'a AuditEntry) -> JobResult<Self> {
        let (actor, data) = (
            serde_json::to_string(&entry.actor)?,
            serde_json::to_string(&entry.data)?,
        );
        let app_id = entry.app_id.as_ref().map(AsRef::as_ref);
        let content = audit::Content {
            app_id,
            at: entry.at.millis(),
            actor: &actor,
            action: &entry.action,
            target: &entry.target,
            data: &data,
        };
        let content_hash = content.hash().to_vec();
        Ok(Self {
            app_id,
            at: entry.at.millis(),
            action: &entry.action,
            target: &entry.target,
            content_hash,
            actor,
            data,
            seq: None,
            prev_hash: None,
            chain_hash: None,
        })
    }
}

#[derive(Insertable)]
#[diesel(table_name = feed, treat_none_as_default_value = false)]
struct NewEvent<'a> {
    app_id: &'a str,
    id: &'a str,
    at: i64,
    kind: &'a str,
    data: String,
    position: Option<i64>,
}

impl<'a> NewEvent<'a> {
    fn new(event: &'a FeedEvent, position: Option<i64>) -> JobResult<Self> {
        Ok(Self {
            app_id: event.app_id.as_str(),
            id: event.id.as_str(),
            at: event.at.millis(),
            kind: &event.kind,
            data: serde_json::to_string(&event.data)?,
            position,
        })
    }
}

fn write_chained(c: &mut Conn<'_>, journal: &Journal) -> JobResult<()> {
    let mut head = head(c)?;
    for entry in &journal.audit {
        let mut row = NewAudit::unchained(entry)?;
        head.audit_seq += 1;
        let link = audit::link(head.audit_seq, &head.audit_hash, &row.content_hash).to_vec();
        row.seq = Some(head.audit_seq);
        row.prev_hash = Some(std::mem::replace(&mut head.audit_hash, link.clone()));
        row.chain_hash = Some(link);
        query!(c => diesel::insert_into(audit_table::table).values(&row).execute(c))?;
    }
    for event in &journal.events {
        head.feed_position += 1;
        let row = NewEvent::new(event, Some(head.feed_position))?;
        query!(c => diesel::insert_into(feed::table).values(&row).execute(c))?;
        c.touched.of(Some(&event.app_id)).feed = true;
    }
    Ok(move_head(c, head)?)
}

fn write_unchained(c: &mut Conn<'_>, journal: &Journal) -> JobResult<()> {
    let Db::Postgres(pg) = &mut c.db else {
        return Ok(());
    };
    let audit = journal
        .audit
        .iter()
        .map(NewAudit::unchained)
        .collect::<JobResult<Vec<_>>>()?;
    diesel::insert_into(audit_table::table)
        .values(&audit)
        .execute(&mut **pg)?;
    let events = journal
        .events
        .iter()
        .map(|event| NewEvent::new(event, None))
        .collect::<JobResult<Vec<_>>>()?;
    if !events.is_empty() {
        diesel::insert_into(feed::table)
            .values(&events)
            .execute(&mut **pg)?;
    }
    Ok(())
}

#[derive(Insertable)]
#[diesel(table_name = outbox)]
struct NewNotice<'a> {
    id: &'a str,
    app_id: Option<&'a str>,
    kind: &'a str,
    recipient: &'a str,
    data: String,
    due: i64,
    state: &'a str,
    attempts: i64,
    leased_until: i64,
}

fn enqueue(c: &mut Conn<'_>, notice: &Notice) -> JobResult<()> {
    let row = NewNotice {
        id: notice.id.as_str(),
        app_id: notice.app_id.as_ref().map(AsRef::as_ref),
        kind: &notice.kind,
        recipient: &notice.recipient,
        data: serde_json::to_string(&notice.data)?,
        due: notice.due.millis(),
        state: crate::outbox::WAITING,
        attempts: 0,
        leased_until: 0,
    };
    query!(c => diesel::insert_into(outbox::table).values(&row).execute(c))?;
    Ok(())
}

/// One delivery for each enabled endpoint of the App that wants events of this type.
fn fan_out(c: &mut Conn<'_>, event: &FeedEvent) -> JobResult<()> {
    let endpoints: Vec<(String, String)> = query!(c => webhooks::table
        .filter(webhooks::app_id.eq(event.app_id.as_str()).and(webhooks::enabled.eq(true)))
        .select((webhooks::id, webhooks::events))
        .load(c))?;
    for (webhook, wanted) in endpoints {
        let wanted: Vec<String> = serde_json::from_str(&wanted)?;
        if wants(&wanted, &event.kind) {
            deliver(c, &webhook, event, event.at)?;
        }
    }
    Ok(())
}

/// No list means every type; `user.*` means every type of users.
pub(crate) fn wants(wanted: &[String], kind: &str) -> bool {
    wanted.is_empty()
        || wanted.iter().any(|want| match want.strip_suffix('*') {
            Some(family) => kind.starts_with(family),
            None => want == kind,
        })
}

#[derive(Insertable)]
#[diesel(table_name = webhook_deliveries, treat_none_as_default_value = false)]
pub(crate) struct NewDelivery<'a> {
    app_id: &'a str,
    id: &'a str,
    webhook_id: &'a str,
    event_id: &'a str,
    state: &'a str,
    attempts: i64,
    first_due: i64,
    due: i64,
    leased_until: i64,
    history: &'a str,
    body: Option<&'a str>,
}

impl<'a> NewDelivery<'a> {
    pub(crate) fn of(
        id: &'a str,
        webhook: &'a str,
        event: &'a FeedEvent,
        due: Timestamp,
        body: Option<&'a str>,
    ) -> Self {
        Self {
            app_id: event.app_id.as_str(),
            id,
            webhook_id: webhook,
            event_id: event.id.as_str(),
            state: crate::outbox::WAITING,
            attempts: 0,
            first_due: due.millis(),
            due: due.millis(),
            leased_until: 0,
            history: "[]",
            body,
        }
    }
}

/// The id of the one delivery of an event to an endpoint.
pub(crate) fn delivery_id(webhook: &str, event: &FeedEvent) -> DeliveryId {
    DeliveryId::generate(event.at, &Derived::new(&[webhook, event.id.as_str()]))
}

/// Puts one event into the queue of one endpoint.
pub(crate) fn deliver(
    c: &mut Conn<'_>,
    webhook: &str,
    event: &FeedEvent,
    due: Timestamp,
) -> JobResult<()> {
    let id = delivery_id(webhook, event);
    let row = NewDelivery::of(id.as_str(), webhook, event, due, None);
    query!(c => diesel::insert_into(webhook_deliveries::table).values(&row).execute(c))?;
    c.touched.of(Some(&event.app_id)).outbox = true;
    Ok(())
}

/// Ids that follow from what they are for: a job that runs twice makes one row, and none needs luck.
pub(crate) struct Derived([u8; 32]);

impl Derived {
    pub(crate) fn new(from: &[&str]) -> Self {
        let parts: Vec<&[u8]> = from.iter().map(|text| text.as_bytes()).collect();
        Self(hash::of_parts(&parts))
    }
}

impl Rng for Derived {
    fn fill(&self, into: &mut [u8]) {
        for (to, from) in into.iter_mut().zip(self.0.iter().cycle()) {
            *to = *from;
        }
    }
}
