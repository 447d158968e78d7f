use std::sync::mpsc::Receiver;

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::result::Error as DieselError;
use heimdall_types::Fault;

use super::{Place, Signals, connect};
use crate::conn::Db;
use crate::job::{Job, Verdict};
use crate::journal::{self, HeadCache};

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
        if conn.is_none() {
            conn = connect(place)
                .inspect_err(|error| tracing::error!(error, "the database cannot be opened"))
                .ok();
        }
        let mut batch = Batch::default();
        let outcome = match &mut conn {
            Some(open) => batch.commit(open, first, jobs),
            None => {
                batch.done.push(first);
                Err(Fault::Unavailable(
                    "the database cannot be opened".to_owned(),
                ))
            }
        };
        if let Err(fault) = &outcome {
            tracing::error!(%fault, jobs = batch.done.len(), "a commit failed, its jobs were undone");
            // After a failed sync nobody knows what the page cache holds: begin again from the file. A database in
            // memory has no file to begin from.
            if !place.is_memory() {
                conn = None;
            }
        }
        batch.settle(&outcome, signals);
    }
}

/// The jobs of one transaction.
#[derive(Default)]
struct Batch {
    done: Vec<Box<dyn Job>>,
    /// Whether something in the transaction is to stay.
    kept: bool,
    head: HeadCache,
}

impl Batch {
    fn commit(
        &mut self,
        conn: &mut SqliteConnection,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
    ) -> Result<(), Fault> {
        self.transaction(conn, first, jobs).map_err(|error| {
            // It may be open still (busy, full) or gone already (SQLite undoes it itself on some errors).
            let _ = conn.batch_execute("ROLLBACK");
            Fault::Unavailable(error.to_string())
        })
    }

    /// An error means that the whole transaction is void, whichever job it came up in.
    fn transaction(
        &mut self,
        conn: &mut SqliteConnection,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
    ) -> Result<(), DieselError> {
        // Whatever fails, the job is in the batch and gets its answer.
        let mut next = Some(first);
        let mut begun = conn.batch_execute("BEGIN IMMEDIATE");
        while let Some(job) = next {
            self.done.push(job);
            std::mem::replace(&mut begun, Ok(()))?;
            self.step(conn)?;
            // Looked for again after each job: who arrives while others run shares their commit.
            next = if self.done.len() < BATCH {
                jobs.try_recv().ok()
            } else {
                None
            };
        }
        journal::flush(conn, &mut self.head)?;
        conn.batch_execute("COMMIT")
    }

    /// Runs the job that came last.
    fn step(&mut self, conn: &mut SqliteConnection) -> Result<(), DieselError> {
        let Some(job) = self.done.last_mut().filter(|job| job.wanted()) else {
            return Ok(());
        };
        if !self.kept {
            return match job.run(Db::Sqlite(conn), &mut self.head) {
                Verdict::Keep => {
                    self.kept = true;
                    Ok(())
                }
                // Nothing else is in the transaction: begin anew instead of keeping a savepoint for it.
                Verdict::Undo | Verdict::Again | Verdict::Lost => {
                    job.touched();
                    self.head = HeadCache::default();
                    conn.batch_execute("ROLLBACK; BEGIN IMMEDIATE")
                }
            };
        }
        conn.batch_execute("SAVEPOINT job")?;
        let before = self.head.clone();
        match job.run(Db::Sqlite(conn), &mut self.head) {
            Verdict::Keep => {}
            Verdict::Undo | Verdict::Again | Verdict::Lost => {
                job.touched();
                self.head = before;
                conn.batch_execute("ROLLBACK TO job")?;
            }
        }
        // Fails when SQLite undid the whole transaction under the job (disk full): then nothing here may count.
        conn.batch_execute("RELEASE job")
    }

    fn settle(self, outcome: &Result<(), Fault>, signals: &Signals) {
        for mut job in self.done {
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
