//! Certificates of issuers' keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use heimdall_token::TrustStore;
use heimdall_types::Timestamp;

/// Reads the certificates of a PEM file.
pub(crate) fn parse(bytes: &[u8]) -> Result<TrustStore, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is no text".to_owned())?;
    TrustStore::from_pem(text).map_err(|error| error.to_string())
}

/// Whether a chain (`x5c`, the key's own certificate first) is believed.
pub(crate) fn check(store: &TrustStore, chain: &[String], now: Timestamp) -> Result<(), String> {
    let chain = chain
        .iter()
        .map(|one| STANDARD.decode(one))
        .collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| "its certificates can not be read".to_owned())?;
    store.check(&chain, now).map_err(|error| error.to_string())
}

/// What a store depends on, for cache keys.
pub(crate) fn digest(store: &TrustStore) -> [u8; 32] {
    heimdall_token::crypto::sha256(&store.der().concat())
}
