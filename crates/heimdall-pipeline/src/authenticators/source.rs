//! Where a credential lies in a request.

use heimdall_finalizer::settings::{Fields, Issues, Node, NodeKind, Strictness};
use heimdall_finalizer::url::parse_query;
use heimdall_finalizer::{Failure, Kind, Scene};
use serde_json::Value;

/// Places that are looked at in turn.
#[derive(Debug, Clone)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug, Clone)]
enum Source {
    Header {
        name: String,
        scheme: Option<String>,
    },
    Cookie(String),
    Query(String),
    Body(String),
}

impl Sources {
    /// Where tokens lie by RFC 6750.
    pub(super) fn bearer() -> Self {
        Self(vec![
            Source::Header {
                name: "Authorization".to_owned(),
                scheme: Some("Bearer".to_owned()),
            },
            Source::Query("access_token".to_owned()),
            Source::Body("access_token".to_owned()),
        ])
    }

    /// The `Authorization` header alone.
    pub(super) fn authorization() -> Self {
        Self(vec![Source::Header {
            name: "Authorization".to_owned(),
            scheme: Some("Bearer".to_owned()),
        }])
    }

    pub(super) fn read(
        node: &Node,
        path: &str,
        strictness: Strictness,
        issues: &Issues,
    ) -> Option<Self> {
        let NodeKind::List(items) = &node.kind else {
            issues.note(
                node.line,
                path,
                format!("is {}, a list is wanted", node.describe()),
            );
            return None;
        };
        if items.is_empty() {
            issues.note(node.line, path, "names no source");
        }
        let read =
            |(index, item)| Source::read(item, &format!("{path}[{index}]"), strictness, issues);
        let sources = items
            .iter()
            .enumerate()
            .map(read)
            .collect::<Option<Vec<_>>>()?;
        Some(Self(sources))
    }

    pub(super) fn reads_body(&self) -> bool {
        self.0
            .iter()
            .any(|source| matches!(source, Source::Body(_)))
    }

    /// The first credential that is there.
    pub(super) fn find(&self, scene: &Scene<'_>) -> Result<String, Failure> {
        let mut present = false;
        let mut first = None;
        for source in &self.0 {
            match source.find(scene) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(message) => {
                    present = true;
                    first.get_or_insert(message);
                }
            }
        }
        let message = first.unwrap_or_else(|| "no credential in the request".to_owned());
        let failure = Failure::new(Kind::Argument, message);
        Err(if present {
            failure
        } else {
            failure.for_absent_credential()
        })
    }
}

impl Source {
    fn read(node: &Node, path: &str, strictness: Strictness, issues: &Issues) -> Option<Self> {
        let mut fields = Fields::open(node, path, strictness, issues)?;
        let header = fields.text("header").map(str::to_owned);
        let source = if let Some(name) = header {
            let scheme = fields
                .text("scheme")
                .filter(|scheme| !scheme.is_empty())
                .map(str::to_owned);
            Some(Self::Header { name, scheme })
        } else if let Some(name) = fields.text("cookie") {
            Some(Self::Cookie(name.to_owned()))
        } else if let Some(name) = fields.text("query_parameter") {
            Some(Self::Query(name.to_owned()))
        } else {
            fields
                .text("body_parameter")
                .map(|name| Self::Body(name.to_owned()))
        };
        if source.is_none() {
            fields.issues().note(
                node.line,
                path,
                "names none of header, cookie, query_parameter, body_parameter",
            );
        }
        fields.close();
        source
    }

    /// `Err` when something is there that can not be used.
    fn find(&self, scene: &Scene<'_>) -> Result<Option<String>, String> {
        let trimmed = |text: &str| (!text.is_empty()).then(|| text.trim().to_owned());
        match self {
            Self::Header { name, scheme } => {
                let value = scene.request.header(name);
                let Some(scheme) = scheme else {
                    return Ok(trimmed(&value));
                };
                if value.is_empty() {
                    return Ok(None);
                }
                match value
                    .strip_prefix(scheme.as_str())
                    .filter(|rest| rest.starts_with(' '))
                {
                    Some(rest) => Ok(Some(rest.trim().to_owned())),
                    None => Err(format!(
                        "'{name}' header present, but without required '{scheme}' scheme"
                    )),
                }
            }
            Self::Cookie(name) => Ok(trimmed(&scene.request.cookie(name))),
            Self::Query(name) => {
                let pairs = parse_query(scene.request.query.as_deref().unwrap_or_default());
                Ok(pairs
                    .iter()
                    .find(|(known, _)| known == name)
                    .and_then(|(_, value)| trimmed(value)))
            }
            Self::Body(name) => {
                let Some(entry) = scene.body.value().get(name) else {
                    return Ok(None);
                };
                match entry {
                    Value::String(text) => Ok(Some(text.trim().to_owned())),
                    Value::Array(items) => match items.as_slice() {
                        [Value::String(text)] => Ok(Some(text.trim().to_owned())),
                        [_] => Err(format!("unexpected type for {name} request body parameter")),
                        _ => Err(format!(
                            "{name} request body parameter is present multiple times"
                        )),
                    },
                    _ => Err(format!("unexpected type for {name} request body parameter")),
                }
            }
        }
    }
}
