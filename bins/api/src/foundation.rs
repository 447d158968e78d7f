use std::sync::Arc;

use heimdall_server::config::{ConfigError, SecretSource};
use heimdall_store::{Store, StoreSettings};
use heimdall_token::{RootKey, SystemRng};
use heimdall_types::Secret;

use crate::start::StartError;

/// What every service stands on: the database, and the key that seals what is secret in it.
#[derive(Clone)]
pub struct Foundation {
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// Seals keys and secrets.
    pub root_key: RootKey,
}

impl std::fmt::Debug for Foundation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Foundation")
    }
}

impl Foundation {
    /// Opens the database at `address` with the root key that the operator holds; `manage_schema` as in
    /// [`crate::config::Database`]. The key of the result is the one that seals (see [`Store::unlock`]).
    ///
    /// # Errors
    /// When it cannot be opened, or belongs to another process.
    pub async fn open(
        address: Secret,
        manage_schema: bool,
        root_key: RootKey,
    ) -> Result<Self, StartError> {
        let mut settings = StoreSettings::new(address);
        settings.root_key = Some(Arc::new(root_key.clone()));
        settings.manage_schema = manage_schema;
        // PostgreSQL is reached over a runtime of its own, which must not be entered from this one.
        let store = tokio::task::spawn_blocking(move || Store::open(&settings))
            .await
            .map_err(std::io::Error::other)??;
        let root_key = store.unlock(&root_key, &SystemRng).await?;
        Ok(Self {
            store: Arc::new(store),
            root_key,
        })
    }
}

/// The root key of the configuration.
///
/// # Errors
/// When it is missing, cannot be read, or is none; says how to make one.
pub fn root_key(source: Option<&SecretSource>) -> Result<RootKey, StartError> {
    let advice =
        "is missing; make one with `heimdall keys root > root.key` and name it as `file:root.key`";
    let source = source.ok_or_else(|| ConfigError::at("root_key", advice))?;
    Ok(RootKey::from_base64(
        source.read("root_key")?.expose().trim(),
    )?)
}
