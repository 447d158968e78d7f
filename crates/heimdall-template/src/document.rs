//! A JSON file as the data that finalizers see: `Subject` and `Request` are objects, the rest is JSON.

mod request;

use std::collections::BTreeMap;

use serde_json::Value as Json;

pub use request::RequestDocument;

use crate::{Mapping, Object, Value};

/// The data of a render, made from a JSON object.
///
/// `Subject` becomes an object with the fields `ID` and `Attributes`, `Request` one with `Method`, `URL`,
/// `ClientIPAddresses` and the methods `Header`, `Cookie`, `Headers`, `Body`; other members stay as they are.
///
/// ```
/// use heimdall_template::{Document, Engine};
///
/// let document = Document::new(serde_json::json!({"Subject": {"ID": "alice", "Attributes": {"age": 7}}}))?;
/// let template = Engine::default().parse("t", "{{ .Subject.ID }} is {{ .Subject.Attributes.age }}")?;
/// assert_eq!(template.render_to_string(&document)?, "alice is 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Document {
    members: BTreeMap<String, Member>,
}

#[derive(Debug, Clone)]
enum Member {
    Json(Json),
    Subject(Subject),
    Request(Box<RequestDocument>),
}

#[derive(Debug, Clone)]
struct Subject {
    id: String,
    attributes: Json,
}

/// Why a JSON value is no [`Document`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentError(pub(crate) String);

impl std::fmt::Display for DocumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DocumentError {}

impl Document {
    /// Makes the data of a JSON object.
    ///
    /// # Errors
    /// When it is no object, or `Subject` or `Request` have members of other types than they should.
    pub fn new(json: Json) -> Result<Self, DocumentError> {
        let Json::Object(members) = json else {
            return Err(DocumentError("the data are no JSON object".into()));
        };
        let members = members.into_iter().map(|(name, value)| {
            let member = match (name.as_str(), value) {
                ("Subject", Json::Object(mut subject)) => Member::Subject(Subject {
                    id: subject
                        .get("ID")
                        .and_then(Json::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                    attributes: subject.remove("Attributes").unwrap_or(Json::Null),
                }),
                ("Request", value @ Json::Object(_)) => {
                    Member::Request(Box::new(RequestDocument::new(&value)?))
                }
                (_, value) => Member::Json(value),
            };
            Ok((name, member))
        });
        Ok(Self {
            members: members.collect::<Result<_, DocumentError>>()?,
        })
    }
}

impl Member {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Json(json) => Value::from(json),
            Self::Subject(subject) => Value::object(subject),
            Self::Request(request) => Value::object(request.as_ref()),
        }
    }
}

impl<'a> From<&'a Document> for Value<'a> {
    fn from(document: &'a Document) -> Self {
        Value::mapping(document)
    }
}

impl Mapping for Document {
    fn get<'a>(&'a self, key: &str) -> Option<Value<'a>> {
        self.members.get(key).map(Member::value)
    }

    fn entries<'a>(&'a self) -> Vec<(&'a str, Value<'a>)> {
        self.members
            .iter()
            .map(|(name, member)| (name.as_str(), member.value()))
            .collect()
    }
}

impl Object for Subject {
    fn type_name(&self) -> &str {
        "*main.Subject"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "ID" => Some(Value::from(&self.id)),
            "Attributes" => Some(Value::from(&self.attributes)),
            _ => None,
        }
    }

    fn field_names(&self) -> &[&str] {
        &["ID", "Attributes"]
    }
}
