//! The schema's history, embedded. Each step runs in a transaction of its own: a crash leaves it whole or absent.

use diesel::SqliteConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::conn::PgConnection;
use crate::error::OpenError;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

fn failed(error: impl ToString) -> OpenError {
    OpenError::Migration(error.to_string())
}

/// Runs what is missing. The caller holds the file's lock, so nobody else migrates.
pub(crate) fn sqlite(conn: &mut SqliteConnection) -> Result<usize, OpenError> {
    Ok(conn.run_pending_migrations(SQLITE).map_err(failed)?.len())
}

/// For a reader beside a server: the schema must have all that this program knows. More is no harm, because steps only
/// add until every program has learned.
pub(crate) fn known_to_sqlite(conn: &mut SqliteConnection) -> Result<(), OpenError> {
    // A reader cannot create the table of versions, so it asks for the versions itself.
    let applied = conn.applied_migrations().map_err(failed)?;
    let known = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE).map_err(failed)?;
    missing(
        known
            .iter()
            .filter(|step| !applied.contains(&step.name().version()))
            .count(),
    )
}

/// Runs what is missing, as the owner of the tables; instances that start together take turns.
pub(crate) fn postgres(conn: &mut PgConnection) -> Result<usize, OpenError> {
    use diesel::connection::SimpleConnection as _;
    conn.batch_execute("SELECT pg_advisory_lock(7164021)")
        .map_err(failed)?;
    let done = conn
        .run_pending_migrations(POSTGRES)
        .map(|steps| steps.len())
        .map_err(failed);
    conn.batch_execute("SELECT pg_advisory_unlock(7164021)")
        .map_err(failed)?;
    done
}

/// For a service that may not change the schema.
pub(crate) fn known_to_postgres(conn: &mut PgConnection) -> Result<(), OpenError> {
    use diesel::prelude::*;
    let applied = diesel::sql_query("SELECT version FROM __diesel_schema_migrations")
        .load::<Version>(conn)
        .unwrap_or_default();
    let known = MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES).map_err(failed)?;
    missing(
        known
            .iter()
            .filter(|step| {
                !applied
                    .iter()
                    .any(|row| row.version == step.name().version().to_string())
            })
            .count(),
    )
}

#[derive(diesel::QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

fn missing(steps: usize) -> Result<(), OpenError> {
    if steps == 0 {
        Ok(())
    } else {
        Err(OpenError::Outdated(steps))
    }
}
