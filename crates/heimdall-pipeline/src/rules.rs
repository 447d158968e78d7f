//! Rule sets.

/// What becomes of encoded slashes in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EncodedSlashes {
    /// Refused.
    #[default]
    Off,
    /// Decoded.
    On,
    /// Kept as they are.
    NoDecode,
}
