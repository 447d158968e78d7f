//! JSON as it should have been: every member once, no NUL, at most 64 deep, numbers that fit; and errors that name
//! the path of the field.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::Problem;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 64;

/// Reads `bytes` into `T`.
///
/// # Errors
/// 400 that names the field for broken syntax, a member that is unknown or there twice, a wrong type, a NUL, a number
/// out of range or too much depth; 422 for a member that is missing or whose value `T` refuses.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    from_value(parse(bytes)?)
}

/// Reads `bytes` into a [`Value`] with the checks that need no type.
///
/// # Errors
/// As [`decode`], without those that need to know the fields.
pub fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let path = RefCell::new(Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Strict {
        path: &path,
        depth: 0,
    }
    .deserialize(&mut reader)
    .and_then(|value| reader.end().map(|()| value))
    .map_err(|error| {
        Problem::bad_field(
            path.borrow().join(".").replace(".[", "["),
            reason(&error.to_string()),
        )
    })
}

/// Turns a checked [`Value`] into `T`.
///
/// # Errors
/// As [`decode`].
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        refusal(
            if path == "." { "" } else { &path },
            &error.inner().to_string(),
        )
    })
}

/// Sorts what serde says into "cannot be read" (400) and "is refused" (422), and names the field.
pub(crate) fn refusal(path: &str, message: &str) -> Problem {
    if let Some(name) = quoted(message, "unknown field `") {
        return Problem::bad_field(join(path, name), "is not known here");
    }
    if let Some(name) = quoted(message, "duplicate field `") {
        return Problem::bad_field(join(path, name), "is there twice");
    }
    if let Some(name) = quoted(message, "missing field `") {
        return Problem::unprocessable(join(path, name), "is missing");
    }
    let unreadable = ["invalid type", "invalid value", "invalid length"]
        .iter()
        .any(|kind| message.starts_with(kind));
    if unreadable {
        Problem::bad_field(path, reason(message))
    } else {
        Problem::unprocessable(path, reason(message))
    }
}

fn quoted<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    message.strip_prefix(before)?.split('`').next()
}

// serde_path_to_error already ends the path with the unknown member's name when the key itself was refused.
pub(crate) fn join(path: &str, name: &str) -> String {
    let there = path == name
        || path
            .strip_suffix(name)
            .is_some_and(|rest| rest.ends_with('.'));
    match path {
        _ if there => path.to_owned(),
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    }
}

// serde echoes the value it found; an answer should not carry arbitrary input back, and a position helps nobody
// who did not write the JSON by hand.
fn reason(message: &str) -> String {
    let short = message.split(" at line ").next().unwrap_or(message);
    match (
        short.strip_prefix("invalid type: "),
        short.split_once(", expected "),
    ) {
        (Some(_), Some((_, expected))) => format!("has the wrong type, expected {expected}"),
        (None, Some((start, expected))) if start.starts_with("invalid value") => {
            format!("is out of range, expected {expected}")
        }
        _ => short.to_owned(),
    }
}

struct Strict<'p> {
    path: &'p RefCell<Vec<String>>,
    depth: usize,
}

impl Strict<'_> {
    fn inner(&self) -> Strict<'_> {
        Strict {
            path: self.path,
            depth: self.depth + 1,
        }
    }

    fn checked_depth<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth < MAX_DEPTH {
            Ok(())
        } else {
            Err(E::custom(format!("is nested deeper than {MAX_DEPTH}")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // 3.0 and 3 are one number (RFC 8259 §6), and an integer to JSON Schema; beyond 2^53 it may be another one.
        if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
            return Ok(Value::Number((value as i64).into()));
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        if value.contains('\0') {
            Err(E::custom("holds a NUL"))
        } else {
            Ok(value.into())
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.checked_depth()?;
        let mut all = Vec::new();
        self.path.borrow_mut().push("[0]".to_owned());
        while let Some(item) = items.next_element_seed(self.inner())? {
            all.push(item);
            if let Some(place) = self.path.borrow_mut().last_mut() {
                *place = format!("[{}]", all.len());
            }
        }
        self.path.borrow_mut().pop();
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.checked_depth()?;
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            // The path is left as it is on an error: it then names the place.
            self.path.borrow_mut().push(name.chars().take(64).collect());
            if name.contains('\0') {
                return Err(A::Error::custom("holds a NUL"));
            }
            if all.contains_key(&name) {
                return Err(A::Error::custom("is there twice"));
            }
            let value = members.next_value_seed(self.inner())?;
            all.insert(name, value);
            self.path.borrow_mut().pop();
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading matters")]
        role: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its reading matters")]
        limits: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading matters")]
        uses: u32,
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = decode::<Outer>(text.as_bytes()).unwrap_err();
        (
            problem.status().as_u16(),
            problem.details()[0].field.clone(),
        )
    }

    #[test]
    fn every_refusal_names_its_field() {
        assert_eq!(refused(r#"{"role":"a","role":"b"}"#), (400, "role".into()));
        assert_eq!(
            refused(r#"{"role":"a","app_id":"b"}"#),
            (400, "app_id".into())
        );
        assert_eq!(refused(r#"{"role":7}"#), (400, "role".into()));
        assert_eq!(refused(r#"{"limits":[]}"#), (422, "role".into()));
        assert_eq!(
            refused(r#"{"role":"a","limits":[{"uses":1},{"uses":-1}]}"#),
            (400, "limits[1].uses".into())
        );
        assert_eq!(
            refused(r#"{"role":"a","limits":[{"uses":1.5}]}"#),
            (400, "limits[0].uses".into())
        );
        assert_eq!(
            refused(r#"{"role":"a","limits":[{"uses":"72"}]}"#),
            (400, "limits[0].uses".into())
        );
        assert_eq!(
            refused(r#"{"role":"a","limits":[{"uses":9223372036854775808}]}"#),
            (400, "limits[0].uses".into())
        );
        assert_eq!(
            refused(r#"{"role":"a","limits":[{"uses":1,"x":2}]}"#),
            (400, "limits[0].x".into())
        );
        assert_eq!(
            refused(r#"{"role":"a","limits":[{"uses":1e400}]}"#),
            (400, "limits[0].uses".into())
        );
        assert_eq!(refused("{\"role\":\"a\\u0000\"}"), (400, "role".into()));
    }

    #[test]
    fn broken_json_is_a_400_whatever_is_broken() {
        let deep = "[".repeat(100_000);
        for bad in [
            "",
            "\u{feff}{}",
            "{",
            "{\"role\":\"\\ud800\"}",
            "{\"role\":\"a\"}x",
            "nul",
            "[]",
            &deep,
        ] {
            assert_eq!(
                decode::<Outer>(bad.as_bytes())
                    .unwrap_err()
                    .status()
                    .as_u16(),
                400,
                "{bad:.20}"
            );
        }
        assert_eq!(
            decode::<Outer>(b"{\"role\":\"\xff\"}")
                .unwrap_err()
                .status()
                .as_u16(),
            400
        );
    }

    #[test]
    fn depth_ends_at_64() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(64).as_bytes()).is_ok());
        assert!(parse(nested(65).as_bytes()).is_err());
    }
}
