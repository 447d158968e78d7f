//! Idempotency keys: the answer of a request is kept for a day, and a repetition gets it again.

use std::time::Duration;

use diesel::prelude::*;
use heimdall_types::{Fault, Timestamp};

use crate::conn::{Conn, JobResult, Scope, query};
use crate::schema::foundation::idempotency;
use crate::store::Store;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

const RUNNING: &str = "running";
const DONE: &str = "done";

/// What is known about an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: the caller runs the request, then says how it ended.
    First,
    /// The first request is being run.
    Running,
    /// The key was used for another request.
    Mismatch,
    /// The answer of the first, as it was handed in (sealed by the caller).
    Done(Vec<u8>),
}

impl Store {
    /// Looks a key up and claims it when it is free. `scope` is who uses it, `fingerprint` the hash of method, path
    /// and body. A claim whose process died stays `Running` until `patience` is over, then a repetition runs anew.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn begin_idempotent(
        &self,
        scope: &str,
        key: &str,
        fingerprint: &[u8],
        now: Timestamp,
        patience: Duration,
    ) -> Result<Repetition, Fault> {
        let (scope, key, fingerprint) = (scope.to_owned(), key.to_owned(), fingerprint.to_owned());
        self.write(Scope::System, move |c| {
            begin(c, &scope, &key, &fingerprint, now, patience)
        })
        .await
    }

    /// Keeps the answer of the request that holds the claim.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn finish_idempotent(
        &self,
        scope: &str,
        key: &str,
        answer: &[u8],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (scope, key, answer) = (scope.to_owned(), key.to_owned(), answer.to_owned());
        self.write(Scope::System, move |c| {
            query!(c => diesel::update(idempotency::table.find((&scope, &key)))
                .set((
                    idempotency::state.eq(DONE),
                    idempotency::answer.eq(&answer),
                    idempotency::expires_at.eq(now.plus(KEPT).millis()),
                ))
                .execute(c))?;
            Ok(())
        })
        .await
    }

    /// Frees a claim whose request changed nothing (a fault): a repetition may try again.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn abandon_idempotent(&self, scope: &str, key: &str) -> Result<(), Fault> {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.write(Scope::System, move |c| {
            query!(c => diesel::delete(idempotency::table.find((&scope, &key)).filter(idempotency::state.eq(RUNNING)))
                .execute(c))?;
            Ok(())
        })
        .await
    }

    /// Drops what is too old to be repeated; returns how many.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn prune_idempotency(&self, now: Timestamp) -> Result<usize, Fault> {
        self.write(Scope::System, move |c| {
            Ok(query!(c => diesel::delete(idempotency::table.filter(idempotency::expires_at.le(now.millis())))
                .execute(c))?)
        })
        .await
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency)]
struct Known {
    fingerprint: Vec<u8>,
    state: String,
    answer: Option<Vec<u8>>,
    expires_at: i64,
}

fn begin(
    c: &mut Conn<'_>,
    scope: &str,
    key: &str,
    fingerprint: &[u8],
    now: Timestamp,
    patience: Duration,
) -> JobResult<Repetition> {
    let known: Option<Known> = query!(c => idempotency::table.find((scope, key)).select(Known::as_select()).first(c).optional())?;
    match known {
        Some(known) if known.expires_at > now.millis() => Ok(if known.fingerprint != fingerprint {
            Repetition::Mismatch
        } else if known.state == DONE {
            Repetition::Done(known.answer.unwrap_or_default())
        } else {
            Repetition::Running
        }),
        old => {
            if old.is_some() {
                query!(c => diesel::delete(idempotency::table.find((scope, key))).execute(c))?;
            }
            let claim = (
                idempotency::scope.eq(scope),
                idempotency::key.eq(key),
                idempotency::fingerprint.eq(fingerprint),
                idempotency::state.eq(RUNNING),
                idempotency::expires_at.eq(now.plus(patience).millis()),
            );
            query!(c => diesel::insert_into(idempotency::table).values(claim).execute(c))?;
            Ok(Repetition::First)
        }
    }
}
