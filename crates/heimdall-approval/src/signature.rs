//! What counts as a signature that somebody types or draws, and how it is bound to what was signed.
//!
//! The engine takes a yes on a step with a signature only when the signature names the `dig` of its approval. A passkey's
//! signature is made by whoever verified it.

use heimdall_token::crypto;
use serde_json::{Value, json};

use crate::refusal::Refusal;

const LONGEST_NAME: usize = 200;
/// A drawing of a signature is small; this is already generous.
const LARGEST_IMAGE: usize = 256 * 1024;
const MOST_STROKES: usize = 200;
const MOST_POINTS: usize = 20_000;
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// Reads a typed (`{"kind": "typed", "name"}`) or drawn (`{"kind": "drawn", "strokes", "png"}`) signature from outside
/// and binds it to `dig`, the fingerprint of what is signed. Whatever else was sent is dropped.
///
/// # Errors
/// `SignatureRequired` for what is no signature, or one of something else.
pub fn bound(given: &Value, dig: &str) -> Result<Value, Refusal> {
    let text = |member: &str| given.get(member).and_then(Value::as_str);
    // A signature that names what it signs must name this.
    if text("dig").is_some_and(|named| named != dig) {
        return Err(Refusal::SignatureRequired);
    }
    match text("kind") {
        None | Some("typed") => {
            let name = text("name").unwrap_or_default().trim();
            let readable = !name.chars().any(char::is_control);
            if readable && (1..=LONGEST_NAME).contains(&name.chars().count()) {
                return Ok(json!({ "kind": "typed", "name": name, "dig": dig }));
            }
            Err(Refusal::SignatureRequired)
        }
        Some("drawn") => {
            let (strokes, png) = (given.get("strokes"), text("png").unwrap_or_default());
            let image = crypto::from_base64(png).unwrap_or_default();
            let drawn = strokes.is_some_and(are_strokes)
                && image.starts_with(&PNG)
                && image.len() <= LARGEST_IMAGE;
            if drawn {
                return Ok(json!({ "kind": "drawn", "strokes": strokes, "png": png, "dig": dig }));
            }
            Err(Refusal::SignatureRequired)
        }
        Some(_) => Err(Refusal::SignatureRequired),
    }
}

fn are_strokes(strokes: &Value) -> bool {
    let is_point = |point: &Value| {
        point
            .as_array()
            .is_some_and(|pair| pair.len() == 2 && pair.iter().all(Value::is_number))
    };
    let Some(strokes) = strokes.as_array() else {
        return false;
    };
    let points: usize = strokes
        .iter()
        .filter_map(Value::as_array)
        .map(Vec::len)
        .sum();
    let shaped = strokes.iter().all(|stroke| {
        stroke
            .as_array()
            .is_some_and(|points| !points.is_empty() && points.iter().all(is_point))
    });
    (1..=MOST_STROKES).contains(&strokes.len()) && points <= MOST_POINTS && shaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_bound_to_what_is_signed() {
        let signed = bound(&json!({ "name": " Olga ", "extra": 1 }), "d1").unwrap();
        assert_eq!(
            signed,
            json!({ "kind": "typed", "name": "Olga", "dig": "d1" })
        );
        let png = crypto::base64(&PNG);
        let drawn = json!({ "kind": "drawn", "strokes": [[[1, 2], [3, 4]]], "png": png });
        assert_eq!(bound(&drawn, "d1").unwrap()["dig"], "d1");
    }

    #[test]
    fn what_is_no_signature_or_one_of_something_else_is_refused() {
        let png = crypto::base64(&PNG);
        for bad in [
            json!({}),
            json!("Olga"),
            json!({ "name": "  " }),
            json!({ "name": "a".repeat(201) }),
            json!({ "name": "Olga", "dig": "d2" }),
            json!({ "kind": "drawn", "strokes": [], "png": png }),
            json!({ "kind": "drawn", "strokes": [[[1, 2]]], "png": "aGVsbG8=" }),
            json!({ "kind": "drawn", "strokes": [["x"]], "png": png }),
            json!({ "kind": "stamp", "name": "Olga" }),
            json!({ "kind": "passkey", "credential": "c", "dig": "d1" }),
        ] {
            assert_eq!(bound(&bad, "d1"), Err(Refusal::SignatureRequired), "{bad}");
        }
    }
}
