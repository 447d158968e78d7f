//! SQLite: one thread that writes, a few that read.

mod file;
mod reader;
mod writer;

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use heimdall_types::Fault;

pub(crate) use file::Place;

use crate::error::OpenError;
use crate::job::Job;
use crate::migrations;
use crate::signal::Committed;

type Signals = tokio::sync::broadcast::Sender<Committed>;

/// The threads and their queues.
pub(crate) struct Sqlite {
    write: Option<SyncSender<Box<dyn Job>>>,
    read: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Sqlite {
    /// Opens the database, brings its schema up to date, and starts the threads.
    pub(crate) fn open(
        place: Place,
        read_only: bool,
        readers: usize,
        queue: usize,
        signals: &Signals,
    ) -> Result<Self, OpenError> {
        let mut threads = Vec::new();
        let write = if read_only {
            place.must_exist()?;
            None
        } else {
            let lock = place.lock()?;
            place.create()?;
            let mut conn = connect(&place).map_err(|error| place.unusable(error))?;
            migrations::sqlite(&mut conn)?;
            let (write, jobs) = sync_channel(queue);
            let (signals, place) = (signals.clone(), place.clone());
            threads.push(spawn("store-writer", move || {
                writer::run(&jobs, &place, conn, &signals);
                // Only now may another process have the file: the connection is closed.
                drop(lock);
            })?);
            Some(write)
        };
        // A database in memory belongs to one connection: the writer reads as well.
        let read = if place.is_memory() {
            write.clone()
        } else {
            let (read, jobs) = sync_channel(queue);
            let jobs: Arc<Mutex<Receiver<Box<dyn Job>>>> = Arc::new(Mutex::new(jobs));
            for _ in 0..readers.max(1) {
                let mut conn = connect(&place).map_err(|error| place.unusable(error))?;
                conn.batch_execute("PRAGMA query_only = ON")
                    .map_err(|error| place.unusable(error))?;
                if read_only {
                    migrations::known_to_sqlite(&mut conn)?;
                }
                let (jobs, place) = (Arc::clone(&jobs), place.clone());
                threads.push(spawn("store-reader", move || {
                    reader::run(&jobs, &place, conn)
                })?);
            }
            Some(read)
        };
        Ok(Self {
            write,
            read,
            threads,
        })
    }

    pub(crate) fn write(&self, job: Box<dyn Job>) -> Result<(), Fault> {
        let queue = self
            .write
            .as_ref()
            .ok_or_else(|| Fault::Unavailable("opened for reading only".to_owned()))?;
        send(queue, job)
    }

    pub(crate) fn read(&self, job: Box<dyn Job>) -> Result<(), Fault> {
        let queue = self
            .read
            .as_ref()
            .ok_or_else(|| Fault::Unavailable("closed".to_owned()))?;
        send(queue, job)
    }
}

impl Drop for Sqlite {
    /// Ends the threads after the work that waits, so that the lock is free when the last handle is gone.
    fn drop(&mut self) {
        self.write = None;
        self.read = None;
        join(&mut self.threads);
    }
}

/// Waits for the threads to end, unless it is one of them that drops the last handle.
pub(crate) fn join(threads: &mut Vec<JoinHandle<()>>) {
    let own = std::thread::current().id();
    if threads.iter().any(|thread| thread.thread().id() == own) {
        return;
    }
    for thread in threads.drain(..) {
        let _ = thread.join();
    }
}

pub(crate) fn send(queue: &SyncSender<Box<dyn Job>>, job: Box<dyn Job>) -> Result<(), Fault> {
    queue.try_send(job).map_err(|error| {
        Fault::Unavailable(match error {
            TrySendError::Full(_) => "too much is waiting".to_owned(),
            TrySendError::Disconnected(_) => "closed".to_owned(),
        })
    })
}

pub(crate) fn spawn(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| OpenError::Thread(error.to_string()))
}

/// Opens a connection that survives power loss: WAL with `synchronous = FULL` makes a commit wait for the disk.
fn connect(place: &Place) -> Result<SqliteConnection, String> {
    let mut conn =
        SqliteConnection::establish(&place.address()).map_err(|error| error.to_string())?;
    conn.batch_execute(
        "PRAGMA busy_timeout = 5000;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -2000;",
    )
    .map_err(|error| error.to_string())?;
    Ok(conn)
}
