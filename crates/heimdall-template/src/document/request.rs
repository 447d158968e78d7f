//! A request out of a JSON file.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::DocumentError;
use crate::methods::{expect_args, str_arg};
use crate::{CallError, Object, Url, Value};

/// A request as templates see it, made from JSON.
#[derive(Debug, Clone, Default)]
pub struct RequestDocument {
    method: String,
    url: RequestUrl,
    client_ips: Vec<String>,
    /// Several values of a name joined with commas, as templates see them.
    headers: BTreeMap<String, String>,
    body: Json,
}

impl RequestDocument {
    /// Reads `Method`, `URL`, `Captures`, `ClientIPAddresses`, `Headers` and `Body`.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn new(json: &Json) -> Result<Self, DocumentError> {
        let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default();
        let mut url = Url::parse(text("URL")).map_err(|error| DocumentError(error.to_string()))?;
        url.captures = pairs(json.get("Captures"))
            .map(|(name, value)| (name, strings(value).join(",")))
            .collect();
        Ok(Self {
            method: text("Method").to_owned(),
            url: RequestUrl(url),
            client_ips: json
                .get("ClientIPAddresses")
                .map(strings)
                .unwrap_or_default(),
            headers: pairs(json.get("Headers"))
                .map(|(name, value)| (name, strings(value).join(",")))
                .collect(),
            body: json.get("Body").cloned().unwrap_or_default(),
        })
    }

    fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    fn cookie(&self, name: &str) -> &str {
        let cookies = self
            .header("Cookie")
            .split(';')
            .filter_map(|cookie| cookie.trim().split_once('='));
        let value = cookies
            .into_iter()
            .find(|(known, _)| *known == name)
            .map_or("", |(_, value)| value);
        value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .unwrap_or(value)
    }
}

/// The URL of a request: Go's `url.URL` and the captures, which make it a type of its own.
#[derive(Debug, Clone, Default)]
struct RequestUrl(Url);

impl Object for RequestUrl {
    fn type_name(&self) -> &str {
        "*main.URL"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        self.0.field(name)
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        self.0.call(name, args)
    }

    fn field_names(&self) -> &[&str] {
        self.0.field_names()
    }

    fn text(&self) -> Option<String> {
        self.0.text()
    }
}

fn pairs(json: Option<&Json>) -> impl Iterator<Item = (String, &Json)> {
    json.and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value))
}

fn strings(json: &Json) -> Vec<String> {
    match json {
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items
            .iter()
            .filter_map(Json::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

impl Object for RequestDocument {
    fn type_name(&self) -> &str {
        "*main.Request"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "Method" => Some(Value::from(&self.method)),
            "URL" => Some(Value::object(&self.url)),
            "ClientIPAddresses" => Some(Value::strings(&self.client_ips)),
            _ => None,
        }
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        let one = |read: fn(&'a Self, &str) -> &'a str| {
            expect_args(name, args, 1)
                .and_then(|()| Ok(Value::from(read(self, str_arg(name, args, 0)?))))
        };
        match name {
            "Header" => Some(one(Self::header)),
            "Cookie" => Some(one(Self::cookie)),
            "Headers" => Some(expect_args(name, args, 0).map(|()| Value::mapping(&self.headers))),
            "Body" => Some(expect_args(name, args, 0).map(|()| Value::from(&self.body))),
            _ => None,
        }
    }

    fn field_names(&self) -> &[&str] {
        &["Method", "URL", "ClientIPAddresses"]
    }
}
