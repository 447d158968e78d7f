//! The request as templates see it: Go's names over our data.

use std::rc::Rc;

use heimdall_template::{CallError, Object, Url, Value};

use crate::url::{Place, unescape_text};
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
            "URL" => Some(Value::shared_object(Rc::new(url_of(self)))),
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

/// The URL of a request as templates and expressions see it.
pub fn url_of(scene: &Scene<'_>) -> Url {
    let request = scene.request;
    Url {
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
        captures: scene.captures.iter().cloned().collect(),
        ..Url::default()
    }
}
