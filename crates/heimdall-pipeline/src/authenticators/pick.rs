//! Paths into JSON answers, as `gjson` reads them: members, places in lists, `#`, queries, and `@this`.

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{Failure, Kind, Subject};
use serde_json::Value;

/// How a subject is made of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SubjectPaths {
    id: String,
    attributes: String,
}

impl SubjectPaths {
    /// Reads a `subject` member; without one, `sub` is the identifier.
    pub(super) fn read(fields: &mut Fields<'_>, required: bool) -> Option<Self> {
        if required {
            fields.required("subject")?;
        }
        let mut paths = Self {
            id: "sub".to_owned(),
            attributes: "@this".to_owned(),
        };
        if let Some(mut section) = fields.section("subject") {
            let id = if required {
                section.required_text("id")
            } else {
                section.text("id").filter(|id| !id.is_empty())
            };
            if let Some(id) = id {
                paths.id = id.to_owned();
            }
            if let Some(attributes) = section
                .text("attributes")
                .filter(|attributes| !attributes.is_empty())
            {
                paths.attributes = attributes.to_owned();
            }
            section.close();
        }
        Some(paths)
    }

    pub(super) fn key(&self) -> [&str; 2] {
        [&self.id, &self.attributes]
    }

    /// The subject that an answer describes.
    pub(super) fn subject(&self, answer: &Value) -> Result<Subject, Failure> {
        let wrong =
            |message: String| Failure::new(Kind::Internal, message).and(Kind::Configuration);
        let id = pick(answer, &self.id)
            .map(|found| as_text(&found))
            .unwrap_or_default();
        if id.is_empty() {
            return Err(wrong(format!(
                "could not extract subject identifier using '{}' template",
                self.id
            )));
        }
        match pick(answer, &self.attributes) {
            Some(Value::Object(attributes)) => Ok(Subject { id, attributes }),
            None | Some(Value::Null) => Err(wrong(format!(
                "could not extract attributes using '{}' template",
                self.attributes
            ))),
            Some(_) => Err(wrong("attributes are no object".to_owned())),
        }
    }
}

/// A value as text: a string's own, anything else as JSON; nothing is empty.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a path leads to.
pub(super) fn pick(value: &Value, path: &str) -> Option<Value> {
    if path.is_empty() {
        return None;
    }
    let (head, rest) = split(path);
    let found = step(value, &head)?;
    match rest {
        None => Some(found),
        Some(rest) => {
            if let (Value::Array(items), "#") = (&found, head.as_str()) {
                return Some(Value::Array(
                    items.iter().filter_map(|item| pick(item, rest)).collect(),
                ));
            }
            if let (Value::Array(items), true) =
                (&found, head.starts_with("#(") && head.ends_with(")#"))
            {
                return Some(Value::Array(
                    items.iter().filter_map(|item| pick(item, rest)).collect(),
                ));
            }
            pick(&found, rest)
        }
    }
}

/// The first part of a path and the rest; a backslash takes a dot's meaning away, parentheses hold theirs.
fn split(path: &str) -> (String, Option<&str>) {
    let mut head = String::new();
    let mut depth = 0_usize;
    let mut chars = path.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => head.extend(chars.next().map(|(_, c)| c)),
            '(' => {
                depth += 1;
                head.push(c);
            }
            ')' => {
                depth = depth.saturating_sub(1);
                head.push(c);
            }
            '.' | '|' if depth == 0 => return (head, path.get(at + 1..)),
            _ => head.push(c),
        }
    }
    (head, None)
}

fn step(value: &Value, head: &str) -> Option<Value> {
    match head {
        "@this" => return Some(value.clone()),
        "@keys" => {
            return value
                .as_object()
                .map(|object| object.keys().cloned().map(Value::String).collect());
        }
        "@values" => {
            return value
                .as_object()
                .map(|object| Value::Array(object.values().cloned().collect()));
        }
        "@reverse" => {
            return value
                .as_array()
                .map(|items| Value::Array(items.iter().rev().cloned().collect()));
        }
        _ => {}
    }
    match value {
        Value::Object(members) => match members.get(head) {
            Some(found) => Some(found.clone()),
            None if head.contains(['*', '?']) => members
                .iter()
                .find(|(name, _)| wildcard(name, head))
                .map(|(_, found)| found.clone()),
            None => None,
        },
        Value::Array(items) => {
            if head == "#" {
                return Some(value.clone());
            }
            if let Some(query) = head.strip_prefix("#(") {
                let all = query.ends_with(")#");
                let query = query
                    .strip_suffix(")#")
                    .or_else(|| query.strip_suffix(')'))?;
                let mut fitting = items.iter().filter(|item| fits(item, query)).cloned();
                return if all {
                    Some(Value::Array(fitting.collect()))
                } else {
                    fitting.next()
                };
            }
            items.get(head.parse::<usize>().ok()?).cloned()
        }
        _ => None,
    }
}

fn fits(item: &Value, query: &str) -> bool {
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

/// `*` and `?`, in time that grows with the product of the lengths at most.
fn wildcard(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut want, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(want) {
            Some('*') => {
                star = Some((want, at));
                want += 1;
            }
            Some(c) if *c == '?' || text.get(at) == Some(c) => {
                at += 1;
                want += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    want = place + 1;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(want..)
        .unwrap_or_default()
        .iter()
        .all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_members_lists_and_queries() {
        let value = json!({"a": {"b": [1, {"c": "x"}]}, "d.e": 7, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "z": null});
        let at = |path: &str| pick(&value, path);
        assert_eq!(at("a.b.1.c"), Some(json!("x")));
        assert_eq!(at("d\\.e"), Some(json!(7)));
        assert_eq!(at("list.#.n"), Some(json!(["x", "y"])));
        assert_eq!(at("list.#(n==\"y\").v"), Some(json!(2)));
        assert_eq!(at("list.#(v>0)#.n"), Some(json!(["x", "y"])));
        assert_eq!(at("@this").as_ref(), Some(&value));
        assert_eq!(at("a.x"), None);
        assert_eq!(at("z"), Some(Value::Null));
        assert_eq!(at("l*t.0.n"), Some(json!("x")));
        assert_eq!(
            (
                as_text(&json!(7)),
                as_text(&json!(true)),
                as_text(&Value::Null)
            ),
            ("7".into(), "true".into(), String::new())
        );
    }
}
