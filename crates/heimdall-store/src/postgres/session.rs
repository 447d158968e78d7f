use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel::sql_types::Text;
use heimdall_types::Fault;
use tokio::sync::broadcast;

use super::chainer::Poke;
use super::connect::Server;
use super::{listener, roles};
use crate::conn::{Db, PgConnection};
use crate::job::{Job, Verdict, can_run_again, lost};
use crate::journal::HeadCache;
use crate::signal::Committed;

/// What the jobs of a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// One thread's connection, opened when it is needed and again after it was lost.
pub(super) struct Session {
    server: Arc<Server>,
    access: Access,
    signals: broadcast::Sender<Committed>,
    poke: Arc<Poke>,
    conn: Option<PgConnection>,
    refused_at: Option<Instant>,
}

/// So often a job runs before its collisions are the caller's affair.
const ATTEMPTS: u32 = 12;
/// While the server is away, one connection attempt in this time; jobs in between are refused at once.
const PAUSE: Duration = Duration::from_millis(200);

/// How an attempt ended that did not end the job.
enum Stopped {
    Again,
    Lost(String),
    Failed(Fault),
}

impl Session {
    pub(super) fn new(
        server: Arc<Server>,
        access: Access,
        signals: broadcast::Sender<Committed>,
        poke: Arc<Poke>,
    ) -> Self {
        Self {
            server,
            access,
            signals,
            poke,
            conn: None,
            refused_at: None,
        }
    }

    /// Runs jobs until nobody can send any more.
    pub(super) fn serve(mut self, jobs: &Mutex<Receiver<Box<dyn Job>>>) {
        loop {
            let next = jobs.lock().map(|jobs| jobs.recv());
            let Ok(Ok(mut job)) = next else { return };
            if !job.wanted() {
                continue;
            }
            let outcome = self.finish(&mut *job);
            let touched = job.touched();
            if outcome.is_ok() && self.access == Access::Write {
                for committed in touched {
                    // Nobody listens: nothing is kept in memory.
                    let _ = self.signals.send(committed);
                }
                self.poke.now();
            }
            job.settle(outcome);
        }
    }

    fn finish(&mut self, job: &mut dyn Job) -> Result<(), Fault> {
        let mut losses = 0;
        for attempt in 0..ATTEMPTS {
            match self.attempt(job) {
                Ok(()) => return Ok(()),
                Err(Stopped::Again) => std::thread::sleep(pause(attempt)),
                // Nothing of it was committed, so it may be done again: the connection may only have been stale.
                Err(Stopped::Lost(reason)) => {
                    self.conn = None;
                    losses += 1;
                    if losses > 1 {
                        return Err(Fault::Unavailable(reason));
                    }
                }
                Err(Stopped::Failed(fault)) => return Err(fault),
            }
        }
        Err(Fault::Conflict)
    }

    fn attempt(&mut self, job: &mut dyn Job) -> Result<(), Stopped> {
        let access = self.access;
        let conn = self.connected().map_err(Stopped::Failed)?;
        let id = begin(conn, access, job).map_err(stopped)?;
        match job.run(Db::Postgres(conn), &mut HeadCache::default()) {
            Verdict::Keep => {}
            Verdict::Undo => {
                job.touched();
                if conn.batch_execute("ROLLBACK").is_err() {
                    self.conn = None;
                }
                return Ok(());
            }
            Verdict::Again => {
                conn.batch_execute("ROLLBACK").map_err(stopped)?;
                return Err(Stopped::Again);
            }
            Verdict::Lost => {
                return Err(Stopped::Lost(
                    "the connection to PostgreSQL broke".to_owned(),
                ));
            }
        }
        let touched = job.touched();
        // With the commit in one round trip; heard when, and only if, it succeeds.
        let commit = match listener::message(&touched) {
            Some(message) => format!("SELECT pg_notify('heimdall', {}); COMMIT", quoted(&message)),
            None => "COMMIT".to_owned(),
        };
        job.touch_again(touched);
        match conn.batch_execute(&commit) {
            Ok(()) => Ok(()),
            Err(error) if can_run_again(&error) => {
                let _ = conn.batch_execute("ROLLBACK");
                Err(Stopped::Again)
            }
            Err(error) => self.resolve(&id, &error),
        }
    }

    /// The connection broke while the commit was under way: only the server knows, so it is asked.
    fn resolve(&mut self, id: &str, error: &DieselError) -> Result<(), Stopped> {
        self.conn = None;
        if self.access == Access::Read {
            return Ok(());
        }
        let unknown = || {
            Stopped::Failed(Fault::Unavailable(format!(
                "a commit's outcome is unknown: {error}"
            )))
        };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(8) {
            self.refused_at = None;
            if let Ok(conn) = self.connected() {
                match fate(conn, id) {
                    Ok(Some(fate)) if fate == "committed" => return Ok(()),
                    Ok(Some(fate)) if fate == "aborted" => {
                        return Err(Stopped::Lost(
                            "the transaction was undone with its connection".to_owned(),
                        ));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => return Err(unknown()),
                    Err(_) => self.conn = None,
                }
            }
            std::thread::sleep(PAUSE);
        }
        Err(unknown())
    }

    fn connected(&mut self) -> Result<&mut PgConnection, Fault> {
        if self.conn.is_none() {
            if self.refused_at.is_some_and(|at| at.elapsed() < PAUSE) {
                return Err(Fault::Unavailable("PostgreSQL is away".to_owned()));
            }
            match self.server.connect() {
                Ok(conn) => self.conn = Some(conn),
                Err(reason) => {
                    self.refused_at = Some(Instant::now());
                    return Err(Fault::Unavailable(reason));
                }
            }
        }
        self.conn
            .as_mut()
            .ok_or_else(|| Fault::Unavailable("PostgreSQL is away".to_owned()))
    }
}

#[derive(QueryableByName)]
struct One {
    #[diesel(sql_type = diesel::sql_types::Nullable<Text>)]
    value: Option<String>,
}

/// Begins a transaction in the role of the job's scope; returns its id (of a writing one), by which the server
/// remembers its fate.
fn begin(conn: &mut PgConnection, access: Access, job: &dyn Job) -> Result<String, DieselError> {
    let isolation = match access {
        Access::Read => "REPEATABLE READ READ ONLY",
        Access::Write => "SERIALIZABLE",
    };
    let (role, app) = roles::of(job.scope());
    // One round trip. An id holds letters and digits only, but what is text is quoted all the same.
    conn.batch_execute(&format!(
        "BEGIN ISOLATION LEVEL {isolation}; SET LOCAL ROLE {role}; SET LOCAL heimdall.app_id = {}",
        quoted(app)
    ))?;
    if access == Access::Read {
        return Ok(String::new());
    }
    let row: One =
        diesel::sql_query("SELECT pg_current_xact_id()::text AS value").get_result(conn)?;
    Ok(row.value.unwrap_or_default())
}

/// A text as SQL has it (`standard_conforming_strings` is on since 9.1).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn fate(conn: &mut PgConnection, id: &str) -> Result<Option<String>, DieselError> {
    let row: One = diesel::sql_query("SELECT pg_xact_status($1::text::xid8) AS value")
        .bind::<Text, _>(id)
        .get_result(conn)?;
    Ok(row.value)
}

fn stopped(error: DieselError) -> Stopped {
    if can_run_again(&error) {
        Stopped::Again
    } else if lost(&error) || ended(&error) {
        Stopped::Lost(error.to_string())
    } else {
        Stopped::Failed(Fault::Unavailable(error.to_string()))
    }
}

/// The server said good-bye (shutdown, administrator), or refuses what follows a failed statement.
fn ended(error: &DieselError) -> bool {
    error.to_string().starts_with("terminating connection")
}

/// Grows with the attempts and differs between threads, so that those who collided do not collide again.
fn pause(attempt: u32) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let luck = RandomState::new().hash_one(attempt) % 1000;
    Duration::from_micros((luck + 200) << attempt.min(5))
}
