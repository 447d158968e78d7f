//! PostgreSQL without libpq: threads that each own a connection, a listener, and the chainer.

mod chainer;
mod connect;
mod listener;
mod roles;
mod session;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use diesel_async::async_connection_wrapper::BlockOn;
use heimdall_types::Fault;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, watch};

pub(crate) use connect::Server;
use session::{Access, Session};

use crate::error::OpenError;
use crate::job::Job;
use crate::signal::Committed;
use crate::sqlite::{join, send, spawn};
use crate::store::StoreSettings;

/// Each thread that owns a connection drives it by a small runtime of its own: no hop to another thread on the way.
pub(crate) struct ThreadRuntime;

thread_local! {
    static RUNTIME: std::io::Result<Runtime> = tokio::runtime::Builder::new_current_thread().enable_all().build();
}

impl BlockOn for ThreadRuntime {
    #[expect(
        clippy::panic,
        reason = "without a runtime no connection could have been made on this thread"
    )]
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        RUNTIME.with(|runtime| match runtime {
            Ok(runtime) => runtime.block_on(future),
            Err(error) => panic!("no runtime: {error}"),
        })
    }

    fn get_runtime() -> Self {
        Self
    }
}

/// The threads and their queues.
pub(crate) struct Postgres {
    read: Option<SyncSender<Box<dyn Job>>>,
    write: Option<SyncSender<Box<dyn Job>>>,
    hears: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Postgres {
    /// Connects, checks (or, where allowed, migrates) the schema and the login, and starts the threads.
    pub(crate) fn open(
        settings: &StoreSettings,
        signals: &broadcast::Sender<Committed>,
    ) -> Result<Self, OpenError> {
        let server = Arc::new(Server::parse(settings.url.expose())?);
        prepare(&server, settings)?;
        let (closing, closed) = watch::channel(false);
        let poke = Arc::new(chainer::Poke::default());
        let mut threads = Vec::new();
        let mut pool = |name: &str, access: Access, size: usize| -> Result<_, OpenError> {
            let (queue, jobs) = sync_channel(settings.queue);
            let jobs: Arc<Mutex<Receiver<Box<dyn Job>>>> = Arc::new(Mutex::new(jobs));
            for _ in 0..size.max(1) {
                let session = Session::new(
                    Arc::clone(&server),
                    access,
                    signals.clone(),
                    Arc::clone(&poke),
                );
                let jobs = Arc::clone(&jobs);
                threads.push(spawn(name, move || session.serve(&jobs))?);
            }
            Ok(queue)
        };
        let read = pool("store-reader", Access::Read, settings.readers.unwrap_or(4))?;
        let write = match settings.read_only {
            true => None,
            false => Some(pool(
                "store-writer",
                Access::Write,
                settings.writers.unwrap_or(6),
            )?),
        };
        if !settings.read_only {
            let (server, poke, closed) = (Arc::clone(&server), Arc::clone(&poke), closed.clone());
            threads.push(spawn("store-chainer", move || {
                chainer::run(&server, &poke, &closed)
            })?);
        }
        let (signals, hears) = (signals.clone(), Arc::<AtomicBool>::default());
        let told = Arc::clone(&hears);
        threads.push(spawn("store-listener", move || {
            listener::run(&server, &signals, &told, closed)
        })?);
        Ok(Self {
            hears,
            read: Some(read),
            write,
            closing,
            threads,
        })
    }

    /// Whether what others commit is heard of at this moment.
    pub(crate) fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self, job: Box<dyn Job>) -> Result<(), Fault> {
        let queue = self
            .read
            .as_ref()
            .ok_or_else(|| Fault::Unavailable("closed".to_owned()))?;
        send(queue, job)
    }

    pub(crate) fn write(&self, job: Box<dyn Job>) -> Result<(), Fault> {
        let queue = self
            .write
            .as_ref()
            .ok_or_else(|| Fault::Unavailable("opened for reading only".to_owned()))?;
        send(queue, job)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.read = None;
        self.write = None;
        let _ = self.closing.send(true);
        join(&mut self.threads);
    }
}

/// On a thread of its own: the caller may stand inside a runtime, where nothing may block on another.
fn prepare(server: &Arc<Server>, settings: &StoreSettings) -> Result<(), OpenError> {
    let (server, manage) = (
        Arc::clone(server),
        settings.manage_schema && !settings.read_only,
    );
    // Whoever only looks may be anyone who can.
    let looks = settings.read_only;
    let preparing = std::thread::spawn(move || {
        let mut conn = server.connect().map_err(OpenError::Postgres)?;
        if manage {
            crate::migrations::postgres(&mut conn)?;
            roles::create(&mut conn)?;
        } else {
            if !looks {
                roles::refuse_privileged(&mut conn)?;
            }
            crate::migrations::known_to_postgres(&mut conn)?;
        }
        Ok(())
    });
    preparing
        .join()
        .unwrap_or_else(|_| Err(OpenError::Thread("it panicked while connecting".to_owned())))
}
