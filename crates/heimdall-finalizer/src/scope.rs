//! What a template can name.

use std::collections::BTreeMap;

use heimdall_template::{Mapping, Value};
use serde_json::Map;

use crate::Subject;
use crate::objects::Scene;

/// What earlier steps left, by the id of the step.
pub type Outputs = Map<String, serde_json::Value>;

/// Rendered `values` of a step.
pub type Values = BTreeMap<String, String>;

/// What a template can name. A name that is not set is no value.
#[derive(Clone, Copy, Default)]
pub struct Scope<'a> {
    /// `.Request`
    pub request: Option<&'a Scene<'a>>,
    /// `.Subject`
    pub subject: Option<&'a Subject>,
    /// `.Outputs`
    pub outputs: Option<&'a Outputs>,
    /// `.Values`
    pub values: Option<&'a Values>,
    /// `.AuthenticationData`
    pub credential: Option<&'a str>,
    /// `.TokenIssuer`
    pub issuer: Option<&'a serde_json::Value>,
}

impl Mapping for Scope<'_> {
    fn get<'a>(&'a self, key: &str) -> Option<Value<'a>> {
        match key {
            "Request" => self.request.map(|scene| Value::object(scene)),
            "Subject" => self.subject.map(|subject| Value::object(subject)),
            "Outputs" => self.outputs.map(Value::from),
            "Values" => self.values.map(|values| Value::mapping(values)),
            "AuthenticationData" => self.credential.map(Value::from),
            "TokenIssuer" => self.issuer.map(Value::from),
            _ => None,
        }
    }

    fn entries<'a>(&'a self) -> Vec<(&'a str, Value<'a>)> {
        [
            "Request",
            "Subject",
            "Outputs",
            "Values",
            "AuthenticationData",
            "TokenIssuer",
        ]
        .into_iter()
        .filter_map(|name| Some((name, self.get(name)?)))
        .collect()
    }
}
