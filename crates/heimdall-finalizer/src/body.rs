//! Decoding of bodies by their content type.

use serde_json::{Map, Value};

use crate::settings::Node;
use crate::url::{parse_query, query_is_sound};
use crate::yaml;

/// Decodes JSON, forms and YAML; `None` when the content type is none of these.
///
/// # Errors
/// Why the body is not what its content type says.
pub fn decode(content_type: &str, bytes: &[u8]) -> Option<Result<Value, String>> {
    if content_type.contains("json") {
        return Some(serde_json::from_slice(bytes).map_err(|error| error.to_string()));
    }
    let text = String::from_utf8_lossy(bytes);
    if content_type.contains("application/x-www-form-urlencoded") {
        return Some(if query_is_sound(&text) {
            Ok(form(&text))
        } else {
            Err("broken form".to_owned())
        });
    }
    content_type.contains("yaml").then(|| {
        yaml::parse(&text)
            .map(|node| to_json(&node))
            .map_err(|issue| issue.message)
    })
}

fn form(text: &str) -> Value {
    let mut members = Map::new();
    for (name, value) in parse_query(text) {
        let list = members
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = list {
            items.push(Value::String(value));
        }
    }
    Value::Object(members)
}

/// The same value as JSON.
pub fn to_json(node: &Node) -> Value {
    use crate::settings::NodeKind;
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Bool(flag) => Value::Bool(*flag),
        NodeKind::Int(number) => Value::from(*number),
        NodeKind::Float(number) => Value::from(*number),
        NodeKind::Text(text) => Value::String(text.clone()),
        NodeKind::List(items) => Value::Array(items.iter().map(to_json).collect()),
        NodeKind::Map(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| (key.clone(), to_json(value)))
                .collect(),
        ),
    }
}
