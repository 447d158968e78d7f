//! Go's `fmt`.

use crate::Value;

/// What `%v` gives.
pub(crate) fn display(_value: &Value<'_>) -> String {
    String::new()
}
