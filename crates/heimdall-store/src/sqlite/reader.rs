use std::sync::Mutex;
use std::sync::mpsc::Receiver;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use heimdall_types::Fault;

use super::{Place, connect};
use crate::conn::Db;
use crate::job::Job;
use crate::journal::HeadCache;

/// Runs reading jobs until nobody can send any more. Each sees one snapshot of the database.
pub(super) fn run(jobs: &Mutex<Receiver<Box<dyn Job>>>, place: &Place, conn: SqliteConnection) {
    let mut conn = Some(conn);
    loop {
        let next = jobs.lock().map(|jobs| jobs.recv());
        let Ok(Ok(mut job)) = next else { return };
        if !job.wanted() {
            continue;
        }
        let outcome = match &mut conn {
            Some(open) => snapshot(open, &mut *job),
            None => Err(Fault::Unavailable(
                "the database cannot be opened".to_owned(),
            )),
        };
        if outcome.is_err() {
            tracing::warn!(?outcome, "reading failed, the connection is opened anew");
            conn = connect(place).ok().and_then(|mut fresh| {
                fresh
                    .batch_execute("PRAGMA query_only = ON")
                    .ok()
                    .map(|()| fresh)
            });
        }
        job.settle(outcome);
    }
}

fn snapshot(conn: &mut SqliteConnection, job: &mut dyn Job) -> Result<(), Fault> {
    let unavailable = |error: diesel::result::Error| Fault::Unavailable(error.to_string());
    conn.batch_execute("BEGIN").map_err(unavailable)?;
    job.run(Db::Sqlite(conn), &mut HeadCache::default());
    conn.batch_execute("COMMIT").map_err(unavailable)
}
