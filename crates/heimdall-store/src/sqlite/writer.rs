use std::sync::mpsc::Receiver;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::result::Error as DieselError;
use heimdall_types::Fault;

use super::{Place, Signals, connect};
use crate::conn::Db;
use crate::job::{Job, Verdict};

/// So many jobs share one commit at most.
const BATCH: usize = 256;

/// Runs writing jobs until nobody can send any more: all that wait go into one transaction, each behind a savepoint of
/// its own, and none is answered before the commit is on the disk.
pub(super) fn run(
    jobs: &Receiver<Box<dyn Job>>,
    place: &Place,
    conn: SqliteConnection,
    signals: &Signals,
) {
    let mut conn = Some(conn);
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(next) = jobs.try_recv() else { break };
            batch.push(next);
        }
        batch.retain(|job| job.wanted());
        if batch.is_empty() {
            continue;
        }
        if conn.is_none() {
            conn = connect(place)
                .inspect_err(|error| tracing::error!(error, "the database cannot be opened"))
                .ok();
        }
        let outcome = match &mut conn {
            Some(open) => commit(open, &mut batch),
            None => Err(Fault::Unavailable(
                "the database cannot be opened".to_owned(),
            )),
        };
        if let Err(fault) = &outcome {
            tracing::error!(%fault, jobs = batch.len(), "a commit failed, its jobs were undone");
            // After a failed sync nobody knows what the page cache holds: begin again from the file. A database in
            // memory has no file to begin from.
            if !place.is_memory() {
                conn = None;
            }
        }
        for mut job in batch {
            let touched = job.touched();
            if outcome.is_ok() {
                for committed in touched {
                    // Nobody listens: nothing is kept in memory.
                    let _ = signals.send(committed);
                }
            }
            job.settle(outcome.clone());
        }
    }
}

fn commit(conn: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> Result<(), Fault> {
    let done = transaction(conn, batch);
    done.map_err(|error| {
        // It may be open still (busy, full) or gone already (SQLite undoes it itself on some errors).
        let _ = conn.batch_execute("ROLLBACK");
        Fault::Unavailable(error.to_string())
    })
}

/// An error means that the whole transaction is void, whichever job it came up in.
fn transaction(conn: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> Result<(), DieselError> {
    conn.batch_execute("BEGIN IMMEDIATE")?;
    if let [job] = batch {
        return match job.run(Db::Sqlite(conn)) {
            Verdict::Keep => conn.batch_execute("COMMIT"),
            Verdict::Undo | Verdict::Again | Verdict::Lost => {
                job.touched();
                conn.batch_execute("ROLLBACK")
            }
        };
    }
    for job in batch.iter_mut() {
        conn.batch_execute("SAVEPOINT job")?;
        match job.run(Db::Sqlite(conn)) {
            Verdict::Keep => {}
            Verdict::Undo | Verdict::Again | Verdict::Lost => {
                job.touched();
                conn.batch_execute("ROLLBACK TO job")?;
            }
        }
        // Fails when SQLite undid the whole transaction under the job (disk full): then nothing here may count.
        conn.batch_execute("RELEASE job")?;
    }
    conn.batch_execute("COMMIT")
}
