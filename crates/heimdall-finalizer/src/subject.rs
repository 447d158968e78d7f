//! Who the request comes from.

use heimdall_template::{Object, Value};
use serde_json::Map;

/// Who the request comes from, as an authenticator made it out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Subject {
    /// Identifier.
    pub id: String,
    /// What else is known.
    pub attributes: Map<String, serde_json::Value>,
}

impl Subject {
    /// A subject of which only the identifier is known.
    pub fn named(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            attributes: Map::new(),
        }
    }
}

impl Object for Subject {
    fn type_name(&self) -> &str {
        "*subject.Subject"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "ID" => Some(Value::from(self.id.as_str())),
            "Attributes" => Some(Value::from(&self.attributes)),
            _ => None,
        }
    }

    fn field_names(&self) -> &[&str] {
        &["ID", "Attributes"]
    }
}
