//! The key under which everything here is sealed and hashed lies here too, sealed under the key that the operator holds;
//! so that the latter can be replaced without touching a single secret.

use std::sync::Arc;

use heimdall_token::{KeyStore, RootKey, crypto};
use heimdall_types::{Actor, AuditEntry, Fault, Journal, Rng, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;

use crate::store::Store;

const KEY: &str = "root-key";
const CONTEXT: &str = "root-key";

/// Why the database stays closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RootLockError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] Fault),
    /// What lies in the database does not open under the key that was given.
    #[error(
        "this is not the root key of this database; after `heimdall keys reseal` only the new one opens it"
    )]
    WrongKey,
}

impl Store {
    /// The key that this database's secrets are sealed under, opened with the one that the operator holds. A database
    /// without keys gets a new one; one of an older release is sealed under the operator's own.
    ///
    /// # Errors
    /// Another root key, or a database that does not answer.
    pub async fn unlock(&self, held: &RootKey, rng: &dyn Rng) -> Result<RootKey, RootLockError> {
        let inner = match self.locked().await? {
            Some((_, sealed)) => opened(held, &sealed)?,
            None if self.is_read_only() || self.holds_keys().await? => held.clone(),
            None => {
                let inner = RootKey::generate(rng);
                let document = sealed(&inner, held, rng);
                let written = self.put_document(None, KEY, None, &document, Journal::default());
                match written.await {
                    Ok(_) => inner,
                    // Another instance was faster: its key counts.
                    Err(Fault::Conflict) => match self.locked().await? {
                        Some((_, sealed)) => opened(held, &sealed)?,
                        None => return Err(Fault::Conflict.into()),
                    },
                    Err(fault) => return Err(fault.into()),
                }
            }
        };
        self.sealed_under(Arc::new(inner.clone()));
        Ok(inner)
    }

    /// From now on the database opens with `next`, and with `held` no more. Instances that run go on running.
    ///
    /// # Errors
    /// Another root key, or somebody else was faster.
    pub async fn relock(
        &self,
        held: &RootKey,
        next: &RootKey,
        rng: &dyn Rng,
        now: Timestamp,
    ) -> Result<(), RootLockError> {
        let (version, inner) = match self.locked().await? {
            Some((version, sealed)) => (Some(version), opened(held, &sealed)?),
            None => (None, held.clone()),
        };
        let mut journal = Journal::default();
        journal.audit.push(AuditEntry {
            app_id: None,
            at: now,
            actor: Actor::System,
            action: "root_key.replaced".to_owned(),
            target: KEY.to_owned(),
            data: json!({}),
        });
        let document = sealed(&inner, next, rng);
        self.put_document(None, KEY, version, &document, journal)
            .await?;
        Ok(())
    }

    async fn locked(&self) -> Result<Option<(i64, Value)>, Fault> {
        let found = self.document(None, KEY).await?;
        Ok(found.map(|document| (document.version, document.body)))
    }

    async fn holds_keys(&self) -> Result<bool, Fault> {
        Ok(!self.load().await?.is_empty())
    }
}

fn sealed(inner: &RootKey, under: &RootKey, rng: &dyn Rng) -> Value {
    let text = inner.to_base64();
    let bytes = under.seal(CONTEXT, text.expose().as_bytes(), rng);
    json!({ "sealed": crypto::base64(&bytes) })
}

fn opened(held: &RootKey, document: &Value) -> Result<RootKey, RootLockError> {
    let open = || {
        let bytes = crypto::from_base64(document.get("sealed")?.as_str()?)?;
        let plain = held.open(CONTEXT, &bytes).ok()?;
        RootKey::from_base64(std::str::from_utf8(&plain).ok()?).ok()
    };
    open().ok_or(RootLockError::WrongKey)
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn the_operators_key_is_replaced_and_what_it_seals_stays() {
        let store = Store::memory().unwrap();
        let rng = SeededRng::new(1);
        let (first, second) = (RootKey::generate(&rng), RootKey::generate(&rng));
        let inner = store.unlock(&first, &rng).await.unwrap();
        let secret = inner.seal("x", b"secret", &rng);
        assert!(
            first.open("x", &secret).is_err(),
            "not under the operator's key"
        );
        store.relock(&first, &second, &rng, NOW).await.unwrap();
        assert!(matches!(
            store.unlock(&first, &rng).await,
            Err(RootLockError::WrongKey)
        ));
        let again = store.unlock(&second, &rng).await.unwrap();
        assert_eq!(again.open("x", &secret).unwrap().as_slice(), b"secret");
        assert!(store.relock(&first, &first, &rng, NOW).await.is_err());
    }
}
