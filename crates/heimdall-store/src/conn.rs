use diesel::SqliteConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use heimdall_types::{AppId, Fault};

use crate::journal::HeadCache;
use crate::postgres::ThreadRuntime;
use crate::signal::Touched;

/// A PostgreSQL connection with the synchronous face that the queries use; no system library under it.
pub(crate) type PgConnection = AsyncConnectionWrapper<AsyncPgConnection, ThreadRuntime>;

/// On whose behalf a job runs.
///
/// On PostgreSQL row-level security shows a job of an App that App's rows only; on SQLite the queries alone do, and
/// the contract suite runs on both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// For one App: the rule.
    App(AppId),
    /// Across Apps: the outbox, timers, lists of Apps, admin keys, verification.
    System,
}

impl From<AppId> for Scope {
    fn from(app: AppId) -> Self {
        Self::App(app)
    }
}

impl From<&AppId> for Scope {
    fn from(app: &AppId) -> Self {
        Self::App(app.clone())
    }
}

/// What a job works on: an open transaction on one of the databases.
///
/// Queries go through the `query!` macro. A job never begins, commits or rolls back: an `Err` undoes all it wrote.
pub(crate) struct Conn<'a> {
    pub(crate) db: Db<'a>,
    pub(crate) scope: &'a Scope,
    pub(crate) touched: &'a mut Touched,
    pub(crate) head: &'a mut HeadCache,
}

/// The two databases. Only `query!` and the few statements that differ look inside.
pub(crate) enum Db<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// Runs one piece of diesel on whichever database `$c`, a `&mut Conn`, stands for. Inside, `$c` is the connection and
/// `Backend` its backend (for `into_boxed::<Backend>()`).
macro_rules! query {
    ($c:ident => $body:expr) => {
        match &mut $c.db {
            $crate::conn::Db::Sqlite($c) => {
                #[allow(dead_code, reason = "only boxed queries name it")]
                type Backend = ::diesel::sqlite::Sqlite;
                let $c: &mut ::diesel::SqliteConnection = $c;
                $body
            }
            $crate::conn::Db::Postgres($c) => {
                #[allow(dead_code, reason = "only boxed queries name it")]
                type Backend = ::diesel::pg::Pg;
                let $c: &mut $crate::conn::PgConnection = $c;
                $body
            }
        }
    };
}
pub(crate) use query;

/// Why a job was undone.
#[derive(Debug)]
pub(crate) enum JobError {
    /// The job said so.
    Fault(Fault),
    /// The database said so.
    Db(DieselError),
}

/// What a job and its queries give.
pub(crate) type JobResult<T> = Result<T, JobError>;

impl From<Fault> for JobError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<DieselError> for JobError {
    fn from(error: DieselError) -> Self {
        Self::Db(error)
    }
}

impl From<serde_json::Error> for JobError {
    fn from(error: serde_json::Error) -> Self {
        Self::Fault(Fault::Corrupt(error.to_string()))
    }
}

impl From<heimdall_types::IdError> for JobError {
    fn from(error: heimdall_types::IdError) -> Self {
        Self::Fault(Fault::Corrupt(error.to_string()))
    }
}

impl From<JobError> for Fault {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Fault(fault) => fault,
            JobError::Db(DieselError::DatabaseError(kind, info)) => {
                match kind {
                    // A job that has not named the column (see `Named`) lost a race for a row.
                    DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::SerializationFailure => Self::Conflict,
                    DatabaseErrorKind::ForeignKeyViolation
                    | DatabaseErrorKind::RestrictViolation => Self::Reference("row"),
                    _ => Self::Unavailable(info.message().to_owned()),
                }
            }
            JobError::Db(DieselError::NotFound) => Self::Conflict,
            JobError::Db(DieselError::DeserializationError(error)) => {
                Self::Corrupt(error.to_string())
            }
            JobError::Db(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// Says in the caller's words which constraint a statement hit.
pub(crate) trait Named<T> {
    /// A violated unique constraint becomes `Fault::Duplicate(what)`.
    fn unique(self, what: &'static str) -> JobResult<T>;
    /// A violated foreign key becomes `Fault::Reference(what)`.
    fn reference(self, what: &'static str) -> JobResult<T>;
}

impl<T, E: Into<JobError>> Named<T> for Result<T, E> {
    fn unique(self, what: &'static str) -> JobResult<T> {
        self.map_err(|error| match error.into() {
            JobError::Db(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
                Fault::Duplicate(what).into()
            }
            other => other,
        })
    }

    fn reference(self, what: &'static str) -> JobResult<T> {
        self.map_err(|error| match error.into() {
            JobError::Db(DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)) => {
                Fault::Reference(what).into()
            }
            other => other,
        })
    }
}

/// Checks a version: a statement with `version = expected` in its `WHERE` must have hit exactly one row.
pub(crate) fn one(rows: usize) -> JobResult<()> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Fault::Conflict.into())
    }
}
