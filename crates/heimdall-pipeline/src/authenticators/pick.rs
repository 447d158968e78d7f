//! How a subject is made of an answer.

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{Failure, Kind, Subject};
use serde_json::Value;

use crate::authenticators::path::pick;

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
