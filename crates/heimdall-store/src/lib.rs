//! Heimdall's storage: diesel on SQLite (embedded, the default) and on PostgreSQL (without libpq).
//!
//! [`Store`] implements the storage ports of the domain crates. Everything below is for those who add to it.
//!
//! # A slice in four parts
//!
//! **Tables**: `migrations/sqlite/NNNN_slice/up.sql` and the same in `migrations/postgres/` (`BLOB` is `BYTEA` there);
//! columns `TEXT`, `BIGINT` (milliseconds), `BOOLEAN`, `BLOB`; rows of an App have `app_id` first in the primary key.
//! `src/schema/slice.rs` repeats them as `diesel::table!`. Row-level security and the roles' rights follow by
//! themselves from the column `app_id`.
//!
//! **Queries**: plain functions over `&mut Conn`. The diesel expression stands inside `query!`, is written once, and is
//! compiled for both databases. Inside, `c` is the bare connection; `Backend` names its backend for boxed queries.
//!
//! ```ignore
//! use diesel::prelude::*;
//! use crate::conn::{Conn, JobResult, Named, Scope, one, query};
//! use crate::schema::tenant::users;
//!
//! #[derive(Queryable, Selectable)]
//! #[diesel(table_name = users)]
//! struct UserRow { id: String, version: i64, body: String }
//!
//! fn find(c: &mut Conn<'_>, app: &str, id: &str) -> JobResult<Option<UserRow>> {
//!     Ok(query!(c => users::table.find((app, id)).select(UserRow::as_select()).first(c).optional())?)
//! }
//!
//! fn list(c: &mut Conn<'_>, app: &str, after: Option<&str>) -> JobResult<Vec<UserRow>> {
//!     Ok(query!(c => {
//!         let mut q = users::table.filter(users::app_id.eq(app)).into_boxed::<Backend>();
//!         if let Some(after) = after { q = q.filter(users::id.gt(after)); }
//!         q.order(users::id).limit(51).select(UserRow::as_select()).load(c)
//!     })?)
//! }
//!
//! fn rename(c: &mut Conn<'_>, app: &str, id: &str, expected: i64, body: &str) -> JobResult<()> {
//!     let rows = query!(c => diesel::update(users::table.find((app, id)).filter(users::version.eq(expected)))
//!         .set((users::version.eq(expected + 1), users::body.eq(body)))
//!         .execute(c))?;
//!     one(rows) // 0 rows: somebody was faster, `Fault::Conflict`
//! }
//!
//! fn insert(c: &mut Conn<'_>, row: &NewUser<'_>) -> JobResult<()> {
//!     query!(c => diesel::insert_into(users::table).values(row).execute(c)).unique("email")?;
//!     Ok(())
//! }
//! ```
//!
//! **Ports**: `#[async_trait] impl Port for Store`, each method one job. A job is a closure that owns its arguments and
//! may run more than once (PostgreSQL asks for that when transactions collide), so it is `Fn`: borrow inside.
//!
//! ```ignore
//! async fn rename(&self, app: &AppId, id: &UserId, ..) -> Result<(), Fault> {
//!     let (own, id) = (app.clone(), id.clone());
//!     self.write(app, move |c| {
//!         rename(c, own.as_str(), id.as_str(), expected, &body)?;
//!         journal::write(c, &journal)   // audit, feed, deliveries, outbox: same transaction
//!     }).await
//! }
//! ```
//!
//! The first argument is the [`Scope`]: `app` (an `&AppId`) for one App's affairs, `Scope::System` for what crosses
//! Apps. An `Err` undoes the whole job. **After a failed statement return the error**: PostgreSQL refuses everything
//! that follows it in the transaction (use `.on_conflict(..).do_nothing()` instead of trying). Jobs behave as if they
//! ran one after the other, on both databases.
//!
//! **Contract tests**: `async fn claim(store: Store)` in `tests/contract/slice.rs`, one line in `tests/contract.rs`;
//! each runs on memory, on a SQLite file and on a private PostgreSQL.

mod accounts;
mod approval;
mod audit;
mod conn;
mod deliveries;
mod delivery_log;
mod documents;
mod dump;
mod error;
mod feed;
mod hash;
mod idempotency;
mod job;
mod journal;
mod keys;
mod migrations;
mod outbox;
mod portal;
mod postgres;
mod root_lock;
mod schema;
mod signal;
mod sqlite;
mod store;
mod tenant;

pub use audit::{
    AuditFault, AuditFilter, AuditRecord, AuditReport, Checkpoint, CheckpointVerifier, ExportError,
    Signature, checkpoint_verifier,
};
pub use conn::Scope;
pub use delivery_log::DeliveryRecord;
pub use documents::Document;
pub use error::OpenError;
pub use feed::Positioned;
pub use idempotency::Repetition;
pub use root_lock::RootLockError;
pub use signal::Committed;
pub use store::{Store, StoreSettings};

/// The role that transactions of one App take on in PostgreSQL.
pub const APP_ROLE: &str = "heimdall_app";
/// The role that transactions across Apps take on in PostgreSQL.
pub const SYSTEM_ROLE: &str = "heimdall_system";
