use thiserror::Error;

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL names no database that this store knows.
    #[error("the database URL must be `sqlite://PATH` or `postgres://…`: {0}")]
    Url(String),
    /// Another process serves from this file.
    #[error(
        "another Heimdall already serves from `{path}`: stop it first, or send changes through its API; \
         reading commands (`audit verify`, `backup`, lists) work beside it"
    )]
    Locked {
        /// The database file.
        path: String,
    },
    /// The file cannot be used.
    #[error("the database `{path}` cannot be opened: {reason}")]
    Sqlite {
        /// The database file.
        path: String,
        /// What SQLite or the system said.
        reason: String,
    },
    /// The server cannot be reached or refuses.
    #[error("PostgreSQL cannot be used: {0}")]
    Postgres(String),
    /// The role that logged in could go round row-level security.
    #[error(
        "the service must not log in to PostgreSQL as `{role}`, which is {what}: row-level security would not hold it; \
         run `heimdall migrate` as the owner and let the service log in as a role (LOGIN NOINHERIT) that is only a member of \
         `{app}` and `{system}`",
        app = crate::APP_ROLE, system = crate::SYSTEM_ROLE
    )]
    Privileged {
        /// Who logged in.
        role: String,
        /// `a superuser`, `the owner of the tables`, ….
        what: &'static str,
    },
    /// The schema is older than this program and may not be changed from here.
    #[error("the database lacks {0} migration(s) of this version: run `heimdall migrate` first")]
    Outdated(usize),
    /// A migration failed; the database is as it was before it.
    #[error("a migration failed: {0}")]
    Migration(String),
    /// The system gives no thread.
    #[error("no thread could be started: {0}")]
    Thread(String),
}
