use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use heimdall_token::RootKey;
use heimdall_types::{Fault, Secret};
use tokio::sync::broadcast;

use crate::conn::{Conn, JobResult, Scope};
use crate::error::OpenError;
use crate::job::Typed;
use crate::postgres::Postgres;
use crate::signal::Committed;
use crate::sqlite::{Place, Sqlite};

/// How a [`Store`] is opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StoreSettings {
    /// `sqlite://PATH`, `sqlite::memory:` or `postgres://user:password@host/database?sslmode=…`.
    pub url: Secret,
    /// Only reading: works beside the process that holds the file's lock. Default: no.
    pub read_only: bool,
    /// Threads that read. Default: 3 on SQLite, 4 on PostgreSQL.
    pub readers: Option<usize>,
    /// PostgreSQL only: threads that write. Default: 6.
    pub writers: Option<usize>,
    /// So many jobs wait in each queue; one more is answered [`Fault::Unavailable`] at once. Default: 1024.
    pub queue: usize,
    /// PostgreSQL only: migrate at start and accept a superuser or the owner of the tables as login; its
    /// transactions then take on the two narrow roles, which are created. For development and for `heimdall up`;
    /// SQLite always migrates. Default: no.
    pub manage_schema: bool,
    /// Opens what is sealed at rest and must leave the process: the secrets of webhooks. Default: none, and then no
    /// webhook is delivered.
    pub root_key: Option<Arc<RootKey>>,
}

impl StoreSettings {
    /// The defaults for this database.
    pub fn new(url: impl Into<Secret>) -> Self {
        Self {
            url: url.into(),
            read_only: false,
            readers: None,
            writers: None,
            queue: 1024,
            manage_schema: false,
            root_key: None,
        }
    }
}

/// The database: cheap to clone, usable from any thread, and an implementation of every storage port.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    signals: broadcast::Sender<Committed>,
    root_key: RwLock<Option<Arc<RootKey>>>,
    read_only: bool,
}

enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database, creating or migrating it where the settings allow that. Blocks while it does.
    ///
    /// # Errors
    /// A URL that names no database, a file that another process serves from, a server that cannot be reached, a
    /// login that row-level security would not hold: each in words for the person who starts the program.
    pub fn open(settings: &StoreSettings) -> Result<Self, OpenError> {
        let (signals, _) = broadcast::channel(1024);
        let backend = match parse(settings.url.expose())? {
            Target::Sqlite(place) => {
                let readers = settings.readers.unwrap_or(3);
                Backend::Sqlite(Sqlite::open(
                    place,
                    settings.read_only,
                    readers,
                    settings.queue,
                    &signals,
                )?)
            }
            Target::Postgres => Backend::Postgres(Postgres::open(settings, &signals)?),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                signals,
                root_key: RwLock::new(settings.root_key.clone()),
                read_only: settings.read_only,
            }),
        })
    }

    /// A database in memory, gone with its last handle: for tests.
    ///
    /// # Errors
    /// As [`Store::open`]; in practice none.
    pub fn memory() -> Result<Self, OpenError> {
        Self::open(&StoreSettings::new("sqlite::memory:"))
    }

    /// What is committed from now on. A receiver that lags behind must drop what it keeps.
    pub fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.inner.signals.subscribe()
    }

    /// Whether the database is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self.inner.backend, Backend::Postgres(_))
    }

    /// Whether the database answers: for readiness.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.read(Scope::System, |c| Ok(crate::journal::ping(c)?))
            .await
    }

    /// Whether what others commit is heard of at this moment: for readiness. While it is not, receivers of
    /// [`Store::subscribe`] are told every second that what they keep may be old.
    pub fn hears(&self) -> bool {
        match &self.inner.backend {
            Backend::Sqlite(_) => true,
            Backend::Postgres(postgres) => postgres.hears(),
        }
    }

    pub(crate) fn root_key(&self) -> Option<Arc<RootKey>> {
        let held = self.inner.root_key.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is sealed here opens with this key from now on.
    pub(crate) fn sealed_under(&self, key: Arc<RootKey>) {
        let held = self.inner.root_key.write();
        *held.unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.inner.read_only
    }

    /// Runs a reading job on one snapshot of the database.
    pub(crate) async fn read<T, F>(&self, scope: impl Into<Scope>, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Conn<'_>) -> JobResult<T> + Send + 'static,
    {
        let (job, answer) = Typed::pair(scope.into(), work);
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.read(job)?,
            Backend::Postgres(postgres) => postgres.read(job)?,
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Runs a writing job: all of it is durable when this returns `Ok`, none of it happened when it returns `Err`.
    ///
    /// (One exception no database can spare us: the connection to PostgreSQL breaks during the commit *and* stays
    /// broken. Then the answer is `Unavailable` and the outcome is known only later.)
    pub(crate) async fn write<T, F>(&self, scope: impl Into<Scope>, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Conn<'_>) -> JobResult<T> + Send + 'static,
    {
        let (job, answer) = Typed::pair(scope.into(), work);
        match &self.inner.backend {
            Backend::Sqlite(sqlite) => sqlite.write(job)?,
            Backend::Postgres(postgres) => postgres.write(job)?,
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Fault {
    Fault::Unavailable("the store is closing".to_owned())
}

pub(crate) enum Target {
    Sqlite(Place),
    Postgres,
}

pub(crate) fn parse(url: &str) -> Result<Target, OpenError> {
    if url == "sqlite::memory:" || url == "sqlite://:memory:" {
        return Ok(Target::Sqlite(Place::Memory));
    }
    if let Some(path) = url.strip_prefix("sqlite://") {
        if path.is_empty() {
            return Err(OpenError::Url("the path is missing".to_owned()));
        }
        return Ok(Target::Sqlite(Place::File(PathBuf::from(path))));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Target::Postgres);
    }
    // Never the URL itself: it may hold a password.
    let scheme: String = url.chars().take_while(|c| *c != ':').take(20).collect();
    Err(OpenError::Url(format!("`{scheme}` is neither")))
}
