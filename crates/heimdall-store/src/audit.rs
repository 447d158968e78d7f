//! The audit: append-only, each row chained to the one before by its hash.

mod records;
mod verify;

use crate::hash;

pub use records::{AuditFilter, AuditRecord, ExportError};
pub use verify::{
    AuditFault, AuditReport, Checkpoint, CheckpointVerifier, Signature, checkpoint_verifier,
};

/// What the hash of a row covers: exactly the stored texts.
pub(crate) struct Content<'a> {
    pub(crate) app_id: Option<&'a str>,
    pub(crate) at: i64,
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) target: &'a str,
    pub(crate) data: &'a str,
}

impl Content<'_> {
    pub(crate) fn hash(&self) -> [u8; 32] {
        hash::of_parts(&[
            b"heimdall audit row 1",
            // An absent App differs from an App without a name.
            self.app_id.map_or(&b"-"[..], |_| b"+"),
            self.app_id.unwrap_or_default().as_bytes(),
            &self.at.to_be_bytes(),
            self.actor.as_bytes(),
            self.action.as_bytes(),
            self.target.as_bytes(),
            self.data.as_bytes(),
        ])
    }
}

/// The chain hash of the row with this number, its predecessor's chain hash and its own content.
pub(crate) fn link(seq: i64, prev: &[u8], content: &[u8]) -> [u8; 32] {
    hash::of_parts(&[b"heimdall audit chain 1", &seq.to_be_bytes(), prev, content])
}

/// What the first row follows.
pub(crate) const GENESIS: [u8; 32] = [0; 32];
