//! `time.Time`.

/// A moment with a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970 in UTC.
    pub(crate) seconds: i64,
    /// Nanoseconds in the second.
    pub(crate) nanos: u32,
}
