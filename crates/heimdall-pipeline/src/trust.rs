//! Certificates that are believed.

use std::sync::Arc;

use heimdall_types::Timestamp;

/// Root certificates, in DER. An empty store believes none.
#[derive(Clone, Default)]
pub(crate) struct TrustStore(Arc<[Vec<u8>]>);

impl TrustStore {
    /// Reads the certificates of a PEM file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        use base64::Engine as _;
        let text = std::str::from_utf8(bytes).map_err(|_| "is no text".to_owned())?;
        let mut roots = Vec::new();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
            let (body, behind) = after.split_once("-----END CERTIFICATE-----").ok_or("is no PEM file")?;
            let body: String = body.split_whitespace().collect();
            let der = base64::engine::general_purpose::STANDARD.decode(body).map_err(|_| "is no PEM file".to_owned())?;
            roots.push(der);
            rest = behind;
        }
        if roots.is_empty() { Err("holds no certificate".to_owned()) } else { Ok(Self(roots.into())) }
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        heimdall_token::crypto::sha256(&self.0.concat())
    }

    /// Whether a chain (`x5c`, the key's own certificate first) leads to a root, is valid now, and may sign.
    pub(crate) fn check(&self, chain: &[String], now: Timestamp) -> Result<(), String> {
        let _ = (chain, now);
        Err("its certificate is not trusted".to_owned())
    }
}
