//! Who may see what: every transaction takes on one of two roles, and row-level security is forced on every table that
//! has an `app_id`. The login itself has no rights but to take on these roles.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use crate::conn::{PgConnection, Scope};
use crate::error::OpenError;
use crate::{APP_ROLE, SYSTEM_ROLE};

/// The role of a scope and the App it is bound to.
pub(super) fn of(scope: &Scope) -> (&'static str, &str) {
    match scope {
        Scope::App(app) => (APP_ROLE, app.as_str()),
        Scope::System => (SYSTEM_ROLE, ""),
    }
}

/// Creates the roles and sets rights and policies for all tables there are. Run again it changes nothing.
pub(crate) fn create(conn: &mut PgConnection) -> Result<(), OpenError> {
    conn.batch_execute("SELECT pg_advisory_lock(7164021)")
        .map_err(failed)?;
    let done = conn.batch_execute(include_str!("roles.sql")).map_err(|error| {
        OpenError::Postgres(format!(
            "the roles `{APP_ROLE}` and `{SYSTEM_ROLE}` cannot be set up: {error}; a login with CREATEROLE can, or create \
             them beforehand and grant them to the owner of the tables"
        ))
    });
    conn.batch_execute("SELECT pg_advisory_unlock(7164021)")
        .map_err(failed)?;
    done
}

fn failed(error: diesel::result::Error) -> OpenError {
    OpenError::Postgres(error.to_string())
}

#[derive(QueryableByName)]
struct Login {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
    #[diesel(sql_type = Bool)]
    bypass: bool,
    #[diesel(sql_type = Bool)]
    owner: bool,
    #[diesel(sql_type = Bool)]
    member: bool,
}

/// Refuses a login that row-level security would not hold.
pub(super) fn refuse_privileged(conn: &mut PgConnection) -> Result<(), OpenError> {
    let login: Login = diesel::sql_query(
        "SELECT rolname::text AS role, rolsuper AS superuser, rolbypassrls AS bypass, \
         EXISTS (SELECT 1 FROM pg_class c WHERE c.relowner = r.oid AND c.relname = 'audit' AND c.relkind = 'r') AS owner, \
         (SELECT count(*) = 2 FROM pg_roles n WHERE n.rolname IN ($1, $2) AND pg_has_role(r.oid, n.oid, 'MEMBER')) AS member \
         FROM pg_roles r WHERE rolname = session_user",
    )
    .bind::<Text, _>(APP_ROLE)
    .bind::<Text, _>(SYSTEM_ROLE)
    .get_result(conn)
    .map_err(failed)?;
    let what = match login {
        Login {
            superuser: true, ..
        } => "a superuser",
        Login { bypass: true, .. } => "allowed to bypass row-level security",
        Login { owner: true, .. } => "the owner of the tables",
        Login {
            member: false,
            role,
            ..
        } => {
            return Err(OpenError::Postgres(format!(
                "the role `{role}` is no member of `{APP_ROLE}` and `{SYSTEM_ROLE}`: run `heimdall migrate` as the owner, \
                 then GRANT {APP_ROLE}, {SYSTEM_ROLE} TO \"{role}\""
            )));
        }
        _ => return Ok(()),
    };
    Err(OpenError::Privileged {
        role: login.role,
        what,
    })
}
