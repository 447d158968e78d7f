//! `#(…)`: which items of a list fit.

use serde_json::Value;

use super::{pick, wildcard};
use crate::authenticators::pick::as_text;

/// Whether an item fits `path symbol value`, or has what a bare path names.
pub(super) fn fits(item: &Value, query: &str) -> bool {
    for symbol in ["==", "!=", "<=", ">=", "!%", "%", "<", ">", "="] {
        let Some((path, wanted)) = query.split_once(symbol) else {
            continue;
        };
        let found = if path.trim().is_empty() {
            Some(item.clone())
        } else {
            pick(item, path.trim())
        };
        let Some(found) = found else { return false };
        let wanted = wanted.trim();
        let wanted =
            serde_json::from_str(wanted).unwrap_or_else(|_| Value::String(wanted.to_owned()));
        let order = match (found.as_f64(), wanted.as_f64()) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => Some(as_text(&found).cmp(&as_text(&wanted))),
        };
        return match symbol {
            "==" | "=" => {
                found == wanted || (found.as_f64().is_some() && found.as_f64() == wanted.as_f64())
            }
            "!=" => found != wanted,
            "%" => wildcard(&as_text(&found), &as_text(&wanted)),
            "!%" => !wildcard(&as_text(&found), &as_text(&wanted)),
            "<" => order.is_some_and(std::cmp::Ordering::is_lt),
            "<=" => order.is_some_and(std::cmp::Ordering::is_le),
            ">" => order.is_some_and(std::cmp::Ordering::is_gt),
            _ => order.is_some_and(std::cmp::Ordering::is_ge),
        };
    }
    pick(item, query).is_some()
}
