//! What the data of a just-in-time request looks like: the part of JSON Schema that a form can show.
//!
//! Either JSON Schema (`{"type": "object", "required": […], "properties": {…}}`) or, shorter, its properties alone with
//! `required` inside each: `{"amount": {"type": "number", "required": true}}`.

use heimdall_types::nearest;
use serde_json::{Map, Value};

use crate::error::ApprovalError;

/// So many members fit on a page that somebody reads.
const MOST_FIELDS: usize = 50;
const TYPES: [&str; 4] = ["string", "number", "integer", "boolean"];
const FORMATS: [&str; 4] = ["date", "date-time", "email", "uri"];

/// What a member of the data may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// Yes or no.
    Boolean,
    /// Anything.
    Any,
}

/// One member of the data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataField {
    /// Its name.
    pub name: String,
    /// What people read instead of the name.
    pub title: String,
    /// What it may be.
    pub kind: FieldKind,
    /// Whether it must be there.
    pub required: bool,
    /// `date`, `date-time`, `email` or `uri`; for people, and for the kind of a form's field.
    pub format: Option<String>,
    /// The only values it may have; empty: any.
    pub choices: Vec<Value>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    longest: Option<u64>,
}

/// The members of the data, in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DataSchema {
    /// The members.
    pub fields: Vec<DataField>,
    /// Whether other members are refused.
    closed: bool,
    /// Whether there is a schema at all.
    given: bool,
}

fn wrong(field: String, reason: impl Into<String>) -> ApprovalError {
    ApprovalError::invalid(field, reason)
}

impl DataSchema {
    /// Reads a schema; `null` is none, and then any data fits.
    ///
    /// # Errors
    /// `Invalid` with the path below `data_schema`.
    pub fn read(schema: &Value) -> Result<Self, ApprovalError> {
        let members = match schema {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => {
                return Err(wrong(
                    "data_schema".to_owned(),
                    "must be an object: a JSON Schema or its properties",
                ));
            }
        };
        // A member called `type` says its type in an object; the schema's own `type` is a word.
        let standard = members.get("type").is_some_and(Value::is_string)
            || members.get("properties").is_some_and(|all| {
                all.as_object()
                    .is_some_and(|all| all.values().any(Value::is_object))
            });
        if standard {
            return Self::standard(members);
        }
        let fields = members
            .iter()
            .map(|(name, rule)| field(&format!("data_schema.{name}"), name, rule, false));
        Self::of(fields.collect::<Result<_, _>>()?, true)
    }

    fn standard(members: &Map<String, Value>) -> Result<Self, ApprovalError> {
        if members.get("type").is_some_and(|kind| kind != "object") {
            return Err(wrong(
                "data_schema.type".to_owned(),
                "must be `object`: data has named members",
            ));
        }
        let none = Map::new();
        let properties = match members.get("properties") {
            None => &none,
            Some(Value::Object(properties)) => properties,
            Some(_) => {
                return Err(wrong(
                    "data_schema.properties".to_owned(),
                    "must be an object",
                ));
            }
        };
        let required: Vec<&str> = match members.get("required") {
            None => Vec::new(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => {
                return Err(wrong(
                    "data_schema.required".to_owned(),
                    "must be a list of names",
                ));
            }
        };
        if let Some(unknown) = required
            .iter()
            .find(|name| !properties.contains_key(**name))
        {
            return Err(wrong(
                "data_schema.required".to_owned(),
                format!("names `{unknown}`, which is no property"),
            ));
        }
        let fields = properties.iter().map(|(name, rule)| {
            let path = format!("data_schema.properties.{name}");
            field(&path, name, rule, required.contains(&name.as_str()))
        });
        let closed = members.get("additionalProperties") == Some(&Value::Bool(false));
        Self::of(fields.collect::<Result<_, _>>()?, closed)
    }

    fn of(fields: Vec<DataField>, closed: bool) -> Result<Self, ApprovalError> {
        if fields.len() > MOST_FIELDS {
            return Err(wrong(
                "data_schema".to_owned(),
                format!("has more than {MOST_FIELDS} members"),
            ));
        }
        Ok(Self {
            fields,
            closed,
            given: true,
        })
    }

    /// Whether the data fits.
    ///
    /// # Errors
    /// `Invalid` with the path below `data`.
    pub fn check(&self, data: &Value) -> Result<(), ApprovalError> {
        if !self.given {
            return Ok(());
        }
        let none = Map::new();
        let data = match data {
            Value::Object(data) => data,
            Value::Null => &none,
            _ => return Err(wrong("data".to_owned(), "must be an object")),
        };
        let known = |name: &str| self.fields.iter().any(|field| field.name == name);
        if self.closed
            && let Some(unknown) = data.keys().find(|name| !known(name))
        {
            let near = nearest(unknown, self.fields.iter().map(|field| field.name.as_str()));
            let hint = near.map_or(String::new(), |near| format!(": did you mean `{near}`?"));
            return Err(wrong(
                format!("data.{unknown}"),
                format!("is not in the template's schema{hint}"),
            ));
        }
        self.fields.iter().try_for_each(|field| field.check(data))
    }

    /// The data as people read it: title and value, the schema's members first, then what else there is.
    pub fn shown(&self, data: &Value) -> Vec<(String, String)> {
        let Some(data) = data.as_object() else {
            return Vec::new();
        };
        let known = self.fields.iter().filter_map(|field| {
            let value = data.get(&field.name)?;
            Some((field.title.clone(), readable(value)))
        });
        let unknown = data
            .iter()
            .filter(|(name, _)| !self.fields.iter().any(|field| field.name == **name))
            .map(|(name, value)| (name.clone(), readable(value)));
        known.chain(unknown).collect()
    }
}

fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

fn field(path: &str, name: &str, rule: &Value, required: bool) -> Result<DataField, ApprovalError> {
    let none = Map::new();
    let (kind, rule) = match rule {
        Value::String(kind) => (Some(kind.as_str()), &none),
        Value::Object(rule) => (rule.get("type").and_then(Value::as_str), rule),
        _ => {
            return Err(wrong(
                path.to_owned(),
                "must say its type, such as `{\"type\": \"string\"}`",
            ));
        }
    };
    let kind = match kind {
        None if rule.contains_key("type") => {
            return Err(wrong(format!("{path}.type"), "must be the name of a type"));
        }
        None => FieldKind::Any,
        Some("string") => FieldKind::Text,
        Some("number") => FieldKind::Number,
        Some("integer") => FieldKind::Integer,
        Some("boolean") => FieldKind::Boolean,
        Some("object" | "array") => FieldKind::Any,
        Some(other) => {
            let known = TYPES.into_iter().chain(["object", "array"]);
            let near = nearest(other, known).unwrap_or("string");
            return Err(wrong(
                format!("{path}.type"),
                format!("`{other}` is no type: did you mean `{near}`?"),
            ));
        }
    };
    let text = |member: &str| rule.get(member).and_then(Value::as_str).map(str::to_owned);
    let format = text("format").filter(|given| FORMATS.contains(&given.as_str()));
    let choices = match rule.get("enum") {
        None => Vec::new(),
        Some(Value::Array(choices)) if !choices.is_empty() => choices.clone(),
        Some(_) => return Err(wrong(format!("{path}.enum"), "must be a list of values")),
    };
    Ok(DataField {
        name: name.to_owned(),
        title: text("title").unwrap_or_else(|| name.to_owned()),
        kind,
        required: required || rule.get("required") == Some(&Value::Bool(true)),
        format,
        choices,
        minimum: rule.get("minimum").and_then(Value::as_f64),
        maximum: rule.get("maximum").and_then(Value::as_f64),
        longest: rule.get("maxLength").and_then(Value::as_u64),
    })
}

impl DataField {
    fn check(&self, data: &Map<String, Value>) -> Result<(), ApprovalError> {
        let path = || format!("data.{}", self.name);
        let value = match data.get(&self.name) {
            None | Some(Value::Null) if self.required => return Err(wrong(path(), "is missing")),
            None | Some(Value::Null) => return Ok(()),
            Some(value) => value,
        };
        let (fits, expected) = match self.kind {
            FieldKind::Text => (value.is_string(), "a string"),
            FieldKind::Number => (value.is_number(), "a number"),
            FieldKind::Integer => (value.is_i64() || value.is_u64(), "an integer"),
            FieldKind::Boolean => (value.is_boolean(), "true or false"),
            FieldKind::Any => (true, ""),
        };
        if !fits {
            return Err(wrong(path(), format!("must be {expected}")));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let all: Vec<String> = self.choices.iter().map(readable).collect();
            return Err(wrong(path(), format!("must be one of {}", all.join(", "))));
        }
        let number = value.as_f64();
        if let (Some(number), Some(least)) = (number, self.minimum)
            && number < least
        {
            return Err(wrong(path(), format!("must be at least {least}")));
        }
        if let (Some(number), Some(most)) = (number, self.maximum)
            && number > most
        {
            return Err(wrong(path(), format!("must be at most {most}")));
        }
        let length = value.as_str().map(|text| text.chars().count() as u64);
        if let (Some(length), Some(longest)) = (length, self.longest)
            && length > longest
        {
            return Err(wrong(
                path(),
                format!("is longer than {longest} characters"),
            ));
        }
        Ok(())
    }
}

/// Puts values of the data into a title: `pay run {{run}}`. One pass, so that data never names further data.
pub(crate) fn titled(title: &str, data: &Value) -> String {
    let mut out = String::with_capacity(title.len());
    let mut rest = title;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else {
            break;
        };
        out.push_str(before);
        match data.get(name.trim()) {
            Some(value) => out.extend(
                readable(value)
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(100),
            ),
            // Not a member: it stays as it was written.
            None => {
                out.push_str("{{");
                out.push_str(name);
                out.push_str("}}");
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    out.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(schema: &Value, data: &Value) -> String {
        DataSchema::read(schema)
            .and_then(|schema| schema.check(data))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn both_ways_to_write_a_schema_check_the_same() {
        let standard = json!({ "type": "object", "required": ["amount"], "additionalProperties": false, "properties": {
            "amount": { "type": "integer", "minimum": 1, "title": "Amount" }, "why": { "type": "string", "maxLength": 3 },
        } });
        let short = json!({ "amount": { "type": "integer", "minimum": 1, "title": "Amount", "required": true },
            "why": { "type": "string", "maxLength": 3 } });
        for schema in [standard, short] {
            let read = DataSchema::read(&schema).unwrap();
            read.check(&json!({ "amount": 7, "why": "abc" })).unwrap();
            assert_eq!(
                read.shown(&json!({ "amount": 7 })),
                [("Amount".to_owned(), "7".to_owned())]
            );
            for (data, said) in [
                (json!({}), "`data.amount`"),
                (json!({ "amount": 1.5 }), "an integer"),
                (json!({ "amount": "7" }), "an integer"),
                (json!({ "amount": 0 }), "at least 1"),
                (json!({ "amount": 1, "why": "abcd" }), "3 characters"),
                (json!({ "amount": 1, "amout": 2 }), "did you mean `amount`"),
                (json!([1]), "`data`"),
            ] {
                let text = refused(&schema, &data);
                assert!(text.contains(said), "{data}: {text}");
            }
        }
    }

    #[test]
    fn a_schema_that_makes_no_sense_says_where() {
        for (schema, said) in [
            (
                json!({ "until": { "type": "dat" } }),
                "`data_schema.until.type`",
            ),
            (json!({ "type": "array" }), "`data_schema.type`"),
            (
                json!({ "type": "object", "required": ["x"], "properties": {} }),
                "no property",
            ),
            (json!([]), "`data_schema`"),
            (json!({ "a": 7 }), "`data_schema.a`"),
        ] {
            let text = refused(&schema, &json!({}));
            assert!(text.contains(said), "{schema}: {text}");
        }
    }

    #[test]
    fn titles_take_values_once() {
        let data = json!({ "run": "{{secret}}", "secret": "s", "n": 120 });
        assert_eq!(
            titled("pay {{run}} of {{ n }} and {{7*7}}", &data),
            "pay {{secret}} of 120 and {{7*7}}"
        );
        assert_eq!(titled("open {{run", &data), "open {{run");
    }
}
