//! Texts that only this service can read: cookies and one-time values, sealed under the root key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use heimdall_token::RootKey;
use heimdall_types::Rng;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Seals a value for one purpose.
pub(crate) fn seal<T: Serialize>(
    root: &RootKey,
    purpose: &str,
    value: &T,
    rng: &dyn Rng,
) -> String {
    let plain = serde_json::to_vec(value).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(root.seal(purpose, &plain, rng))
}

/// Opens what [`seal`] made for the same purpose; `None` for anything else.
pub(crate) fn open<T: DeserializeOwned>(root: &RootKey, purpose: &str, text: &str) -> Option<T> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = root.open(purpose, &sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}
