//! Links audit rows and numbers feed events after their commit, in one order for all instances.

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use heimdall_types::AppId;
use tokio::sync::watch;

use super::connect::Server;
use super::listener;
use crate::audit;
use crate::conn::{Conn, Db, JobResult, PgConnection, Scope, query};
use crate::journal::{HeadCache, head, move_head};
use crate::schema::foundation::{audit as audit_table, feed};
use crate::signal::Touched;

/// Other instances' rows are looked for so often; our own commits poke.
const ROUND: Duration = Duration::from_millis(200);
/// So many rows are linked in one transaction at most.
const BATCH: i64 = 1000;

/// Wakes the chainer.
#[derive(Default)]
pub(super) struct Poke {
    waiting: Mutex<bool>,
    changed: Condvar,
}

impl Poke {
    pub(super) fn now(&self) {
        if let Ok(mut waiting) = self.waiting.lock() {
            *waiting = true;
            self.changed.notify_one();
        }
    }

    fn wait(&self) {
        let Ok(waiting) = self.waiting.lock() else {
            return;
        };
        if let Ok((mut waiting, _)) = self
            .changed
            .wait_timeout_while(waiting, ROUND, |waiting| !*waiting)
        {
            *waiting = false;
        }
    }
}

/// Runs until the store closes. Any number of instances may run it: a lock lets one at a time do the work.
pub(super) fn run(server: &Server, poke: &Poke, closed: &watch::Receiver<bool>) {
    let mut conn: Option<PgConnection> = None;
    let mut full = false;
    while !*closed.borrow() {
        if !full {
            poke.wait();
        }
        if conn.is_none() {
            conn = server.connect().ok();
        }
        let Some(open) = &mut conn else { continue };
        match round(open) {
            Ok(more) => full = more,
            Err(error) => {
                tracing::warn!(?error, "the audit could not be chained, it is tried again");
                (conn, full) = (None, false);
            }
        }
    }
}

#[derive(QueryableByName)]
struct Lease {
    #[diesel(sql_type = Bool)]
    mine: bool,
}

fn round(conn: &mut PgConnection) -> JobResult<bool> {
    conn.batch_execute("BEGIN; SET LOCAL ROLE heimdall_system")?;
    let lease: Lease =
        diesel::sql_query("SELECT pg_try_advisory_xact_lock(7164022) AS mine").get_result(conn)?;
    let mut touched = Touched::default();
    let mut more = false;
    if lease.mine {
        let mut c = Conn {
            db: Db::Postgres(conn),
            scope: &Scope::System,
            touched: &mut touched,
            head: &mut HeadCache::default(),
        };
        more = chain(&mut c)?;
        let Db::Postgres(conn) = c.db else {
            return Ok(false);
        };
        listener::notify_everyone(conn, &c.touched.take())?;
    }
    conn.batch_execute("COMMIT")?;
    Ok(more)
}

/// Links what is unlinked; says whether there may be more.
fn chain(c: &mut Conn<'_>) -> JobResult<bool> {
    let rows: Vec<(i64, Vec<u8>)> = query!(c => audit_table::table
        .filter(audit_table::seq.is_null())
        .order(audit_table::ord)
        .limit(BATCH)
        .select((audit_table::ord, audit_table::content_hash))
        .load(c))?;
    let events: Vec<(i64, String)> = query!(c => feed::table
        .filter(feed::position.is_null())
        .order(feed::ord)
        .limit(BATCH)
        .select((feed::ord, feed::app_id))
        .load(c))?;
    if rows.is_empty() && events.is_empty() {
        return Ok(false);
    }
    let mut head = head(c)?;
    for (ord, content) in &rows {
        head.audit_seq += 1;
        let link = audit::link(head.audit_seq, &head.audit_hash, content).to_vec();
        query!(c => diesel::update(audit_table::table.filter(audit_table::ord.eq(ord)))
            .set((
                audit_table::seq.eq(head.audit_seq),
                audit_table::prev_hash.eq(&head.audit_hash),
                audit_table::chain_hash.eq(&link),
            ))
            .execute(c))?;
        head.audit_hash = link;
    }
    for (ord, app) in &events {
        head.feed_position += 1;
        query!(c => diesel::update(feed::table.filter(feed::ord.eq(ord)))
            .set(feed::position.eq(head.feed_position))
            .execute(c))?;
        if let Ok(app) = app.parse::<AppId>() {
            c.touched.of(Some(&app)).feed = true;
        }
    }
    move_head(c, head)?;
    Ok(rows.len().max(events.len()) as i64 >= BATCH)
}
