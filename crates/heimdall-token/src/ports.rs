//! What this crate needs from outside.

use std::time::Duration;

use async_trait::async_trait;
use heimdall_types::{Fault, Journal};

use crate::KeyRecord;

/// Where sealed signing keys are kept.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Every key that was not removed, in any order.
    async fn load(&self) -> Result<Vec<KeyRecord>, Fault>;

    /// Writes all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`Fault::Conflict`] when a record has another version than expected, or exists although none was expected.
    async fn apply(&self, transition: KeyTransition) -> Result<(), Fault>;
}

/// What a step in the life of the keys changes.
#[derive(Debug, Clone, Default)]
pub struct KeyTransition {
    /// The records in their new state.
    pub changes: Vec<KeyChange>,
    /// Audit rows and events of it.
    pub journal: Journal,
}

/// One record in its new state.
#[derive(Debug, Clone)]
pub struct KeyChange {
    /// The record; its `version` is the new one. A removed key stays as a record without its sealed part.
    pub record: KeyRecord,
    /// The version it must have now; `None` for a new one.
    pub expected: Option<i64>,
}

/// Where foreign key sets come from.
#[async_trait]
pub trait JwksFetch: Send + Sync {
    /// Fetches a JWK set, in bounded time and at most 512 KiB of it.
    async fn fetch(&self, url: &str) -> Result<FetchedJwks, Fault>;
}

/// A key set as it came.
#[derive(Debug, Clone)]
pub struct FetchedJwks {
    /// The body of a 200 answer.
    pub body: Vec<u8>,
    /// How long the answer said it may be kept.
    pub max_age: Option<Duration>,
}
