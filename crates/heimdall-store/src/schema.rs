//! The tables, one module a slice. Columns are those that both databases share: Text, BigInt (milliseconds), Bool and
//! Binary; JSON is kept as Text, so that what was hashed is byte for byte what is stored.

pub(crate) mod accounts;
pub(crate) mod approval;
pub(crate) mod foundation;
pub(crate) mod records;
pub(crate) mod tenant;
