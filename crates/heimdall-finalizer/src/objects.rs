//! The request as templates see it: Go's names over our data.

use std::rc::Rc;

use heimdall_template::{CallError, Object, Value};

use crate::url::{Place, parse_query, unescape_text};
use crate::{Body, Request};

/// What a path expression captured.
pub type Captures = [(String, String)];

/// A request with what was found out about it on the way.
pub struct Scene<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// What the path expression captured.
    pub captures: &'a Captures,
    /// The body, where a step looks at it.
    pub body: &'a Body<'a>,
    /// The path is shown decoded (rule with `allow_encoded_slashes: on`).
    pub path_decoded: bool,
}

impl Object for Scene<'_> {
    fn type_name(&self) -> &str {
        "*heimdall.Request"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        match name {
            "Method" => Some(Value::from(&*self.request.method)),
            "URL" => Some(Value::shared_object(Rc::new(Url::of(self)))),
            "ClientIPAddresses" => Some(Value::strings(&self.request.client_ips)),
            _ => None,
        }
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        match name {
            "Header" => {
                Some(argument(name, args).map(|header| Value::from(self.request.header(header))))
            }
            "Cookie" => {
                Some(argument(name, args).map(|cookie| Value::from(self.request.cookie(cookie))))
            }
            "Headers" => Some(Ok(Value::dict(
                self.request
                    .all_headers()
                    .into_iter()
                    .map(|(name, value)| (name.into(), Value::from(value))),
            ))),
            "Body" => Some(Ok(Value::from(self.body.value()))),
            _ => None,
        }
    }

    fn field_names(&self) -> &[&str] {
        &["Method", "URL", "ClientIPAddresses"]
    }
}

fn argument<'v>(method: &str, args: &'v [Value<'_>]) -> Result<&'v str, CallError> {
    match args {
        [one] => one
            .as_str()
            .ok_or_else(|| CallError::new(format!("{method} wants text"))),
        _ => Err(CallError::new(format!(
            "{method} wants one argument, got {}",
            args.len()
        ))),
    }
}

/// Go's `url.URL` with our captures.
#[derive(Debug, Clone)]
pub struct Url {
    scheme: String,
    host: String,
    path: String,
    raw_path: String,
    raw_query: String,
    captures: Vec<(String, String)>,
}

impl Url {
    /// The URL of a request.
    pub fn of(scene: &Scene<'_>) -> Self {
        let request = scene.request;
        Self {
            scheme: request.scheme.clone().into_owned(),
            host: request.host.clone().into_owned(),
            path: unescape_text(&request.path, Place::Path)
                .unwrap_or_default()
                .into_owned(),
            raw_path: if scene.path_decoded {
                String::new()
            } else {
                request.path.clone().into_owned()
            },
            raw_query: request.query.as_deref().unwrap_or_default().to_owned(),
            captures: scene.captures.to_vec(),
        }
    }

    fn escaped_path(&self) -> String {
        if self.raw_path.is_empty() {
            crate::url::escape(self.path.as_bytes(), Place::Path)
        } else {
            self.raw_path.clone()
        }
    }

    /// The whole URL.
    pub fn to_text(&self) -> String {
        let mark = if self.raw_query.is_empty() { "" } else { "?" };
        format!(
            "{}://{}{}{mark}{}",
            self.scheme,
            self.host,
            self.escaped_path(),
            self.raw_query
        )
    }

    /// The decoded path.
    pub fn decoded_path(&self) -> &str {
        &self.path
    }

    /// The port; empty when none is named.
    pub fn port(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => port,
            _ => "",
        }
    }

    /// The host without the port.
    pub fn hostname(&self) -> &str {
        let port = self.port();
        let host = if port.is_empty() {
            self.host.as_str()
        } else {
            self.host
                .strip_suffix(port)
                .and_then(|rest| rest.strip_suffix(':'))
                .unwrap_or_default()
        };
        host.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host)
    }
}

impl Object for Url {
    fn type_name(&self) -> &str {
        "*heimdall.URL"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Scheme" => Value::from(self.scheme.as_str()),
            "Host" => Value::from(self.host.as_str()),
            "Path" => Value::from(self.path.as_str()),
            "RawPath" => Value::from(self.raw_path.as_str()),
            "RawQuery" => Value::from(self.raw_query.as_str()),
            "Opaque" | "Fragment" | "RawFragment" => Value::from(""),
            "User" => Value::Nil,
            "OmitHost" | "ForceQuery" => Value::from(false),
            "Captures" => Value::dict(
                self.captures
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), Value::from(value.as_str()))),
            ),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, name: &str, _args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        Some(Ok(match name {
            "String" => Value::from(self.to_text()),
            "Hostname" => Value::from(self.hostname()),
            "Port" => Value::from(self.port()),
            "EscapedPath" => Value::from(self.escaped_path()),
            "IsAbs" => Value::from(!self.scheme.is_empty()),
            "RequestURI" => {
                let mark = if self.raw_query.is_empty() { "" } else { "?" };
                Value::from(format!("{}{mark}{}", self.escaped_path(), self.raw_query))
            }
            "Redacted" => Value::from(self.to_text()),
            "Query" => Value::shared_object(Rc::new(Query(parse_query(&self.raw_query)))),
            _ => return None,
        }))
    }

    fn field_names(&self) -> &[&str] {
        &[
            "Scheme",
            "Opaque",
            "User",
            "Host",
            "Path",
            "RawPath",
            "OmitHost",
            "ForceQuery",
            "RawQuery",
            "Fragment",
            "RawFragment",
            "Captures",
        ]
    }

    fn text(&self) -> Option<String> {
        Some(self.to_text())
    }
}

struct Query(Vec<(String, String)>);

impl Query {
    fn all(&self, name: &str) -> Vec<Value<'_>> {
        self.0
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| Value::from(value.as_str()))
            .collect()
    }
}

impl Object for Query {
    fn type_name(&self) -> &str {
        "url.Values"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        let all = self.all(name);
        Some(if all.is_empty() {
            Value::Missing
        } else {
            Value::list(all)
        })
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        match name {
            "Get" => Some(argument(name, args).map(|key| {
                let found = self.0.iter().find(|(known, _)| known == key);
                Value::from(found.map_or("", |(_, value)| value.as_str()))
            })),
            "Has" => Some(
                argument(name, args)
                    .map(|key| Value::from(self.0.iter().any(|(known, _)| known == key))),
            ),
            "Encode" => {
                let pairs = self
                    .0
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()));
                Some(Ok(Value::from(crate::url::encode_query(pairs))))
            }
            _ => None,
        }
    }
}
