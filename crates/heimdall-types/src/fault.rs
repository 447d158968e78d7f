use thiserror::Error;

/// What can go wrong behind a port. A *refusal* (not allowed, not found) is an answer and not in here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// Somebody else changed the same thing first: load it again and decide again.
    #[error("changed by someone else meanwhile")]
    Conflict,
    /// A value that must be unique is taken; names which.
    #[error("`{0}` is taken already")]
    Duplicate(&'static str),
    /// A row that this one needs, or that needs this one, stands in the way; names which.
    #[error("`{0}` stands in the way")]
    Reference(&'static str),
    /// The store cannot be reached, is full or is shutting down; trying again later may help.
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// What was stored cannot be understood.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}
