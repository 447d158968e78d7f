//! What expressions can name, given only when it is named.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::Value;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use heimdall_finalizer::url::parse_query;
use heimdall_finalizer::{Failure, Kind, Outputs, Scene, Subject, Values, url_of};

use crate::expression::rewrite::SEPARATOR;

/// What expressions can name. A name that is not set is an error.
#[derive(Clone, Copy, Default)]
pub(crate) struct Facts<'a> {
    pub(crate) scene: Option<&'a Scene<'a>>,
    pub(crate) subject: Option<&'a Subject>,
    pub(crate) outputs: Option<&'a Outputs>,
    pub(crate) values: Option<&'a Values>,
    pub(crate) payload: Option<&'a serde_json::Value>,
    pub(crate) failure: Option<&'a Failure>,
    /// What evaluation may still look at.
    pub(crate) fuel: Option<&'a AtomicU64>,
}

/// Elements that one evaluation may look at. A list in an inner macro is looked at for each element of the outer one,
/// so this bounds their product.
pub(super) const FUEL: u64 = 100_000;

/// Kinds of failures as expressions name them.
pub(super) const KINDS: [(&str, &[Kind]); 5] = [
    ("authentication_error", &[Kind::Authentication]),
    ("authorization_error", &[Kind::Authorization]),
    ("communication_error", &[Kind::Communication, Kind::Timeout]),
    ("internal_error", &[Kind::Internal, Kind::Configuration]),
    ("precondition_error", &[Kind::Argument]),
];

impl VariableResolver for Facts<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let value = match variable.strip_prefix('@') {
            Some(place) => self.place(place)?,
            None => self.whole(variable)?,
        };
        let cost = match &value {
            Value::List(items) => items.len(),
            Value::Map(members) => members.map.len(),
            _ => 1,
        };
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let enough = |left: u64| left.checked_sub(cost);
        self.fuel
            .is_none_or(|fuel| {
                fuel.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough)
                    .is_ok()
            })
            .then_some(())?;
        let boxed: Box<dyn Val> = value.try_into().ok()?;
        Some(CowVal::Owned(boxed))
    }
}

impl Facts<'_> {
    /// A whole variable: only for expressions that name it in a way that rewriting does not know.
    fn whole(&self, variable: &str) -> Option<Value> {
        match variable {
            "Subject" => {
                let subject = self.subject?;
                Some(map([
                    ("ID", text(&subject.id)),
                    ("Attributes", members(&subject.attributes)),
                ]))
            }
            "Outputs" => self.outputs.map(members),
            "Values" => self.values.map(|values| {
                map(values
                    .iter()
                    .map(|(name, value)| (name.as_str(), text(value))))
            }),
            "Payload" => self.payload.map(value),
            "Request" => {
                self.scene?;
                let field = |path: &str| self.request(path).unwrap_or(Value::Null);
                let url = ["Scheme", "Host", "Path", "RawPath", "RawQuery", "Captures"];
                let url = map(url.map(|name| (name, field(&format!("URL{SEPARATOR}{name}")))));
                Some(map([
                    ("Method", field("Method")),
                    ("URL", url),
                    ("ClientIPAddresses", field("ClientIPAddresses")),
                ]))
            }
            _ => KINDS
                .iter()
                .find(|(name, _)| *name == variable)
                .map(|(name, _)| text(name)),
        }
    }

    /// A place that rewriting spelt out: a variable and the members that lead to it.
    fn place(&self, place: &str) -> Option<Value> {
        if let Some(place) = place.strip_prefix("has ") {
            return self.has(place).map(Value::Bool);
        }
        let (variable, path) = place.split_once(SEPARATOR).unwrap_or((place, ""));
        match variable {
            "Request" => self.request(path),
            "Error" => {
                let failure = self.failure?;
                match path {
                    "Source" => Some(text(failure.source_name())),
                    "StepID" => Some(text(failure.step())),
                    _ => None,
                }
            }
            "kinds" => self.failure.map(|failure| {
                let is = |kinds: &&[Kind]| kinds.iter().any(|kind| failure.is(*kind));
                list(
                    KINDS
                        .iter()
                        .filter(|(_, kinds)| is(kinds))
                        .map(|(name, _)| text(name)),
                )
            }),
            "Subject" if path == "ID" => self.subject.map(|subject| text(&subject.id)),
            "Subject" if path == "Attributes" => {
                self.subject.map(|subject| members(&subject.attributes))
            }
            "Values" => self.values?.get(path).map(|found| text(found)),
            _ => self.json(variable, path).map(value),
        }
    }

    fn json(&self, variable: &str, path: &str) -> Option<&serde_json::Value> {
        let mut path = path.split(SEPARATOR);
        let mut at = match variable {
            "Subject" => {
                (path.next()? == "Attributes").then_some(())?;
                self.subject?.attributes.get(path.next()?)?
            }
            "Outputs" => self.outputs?.get(path.next()?)?,
            "Payload" => self.payload?.get(path.next()?)?,
            _ => return None,
        };
        for member in path {
            at = at.get(member)?;
        }
        Some(at)
    }

    /// Whether the last member of a place is there; `None` when the way to it is not.
    fn has(&self, place: &str) -> Option<bool> {
        let (parent, member) = place.rsplit_once(SEPARATOR)?;
        let (variable, path) = parent.split_once(SEPARATOR).unwrap_or((parent, ""));
        Some(match (variable, path) {
            ("Request", "URL\u{1f}Captures") => {
                self.scene?.captures.iter().any(|(name, _)| name == member)
            }
            ("Request", _) => self.request(place.split_once(SEPARATOR)?.1).is_some(),
            ("Subject", "") => matches!(member, "ID" | "Attributes"),
            ("Subject", "Attributes") => self.subject?.attributes.contains_key(member),
            ("Outputs", "") => self.outputs?.contains_key(member),
            ("Payload", "") => self.payload?.get(member).is_some(),
            ("Values", "") => self.values?.contains_key(member),
            ("Error", "") => matches!(member, "Source" | "StepID"),
            _ => self.json(variable, path)?.as_object()?.contains_key(member),
        })
    }

    fn request(&self, path: &str) -> Option<Value> {
        let scene = self.scene?;
        let request = scene.request;
        if let Some(name) = path.strip_prefix("Header ") {
            return Some(Value::from(request.header(name)));
        }
        if let Some(name) = path.strip_prefix("Cookie ") {
            return Some(Value::from(request.cookie(name)));
        }
        let mut parts = path.split(SEPARATOR);
        let (first, second, third) = (parts.next()?, parts.next(), parts.next());
        Some(match (first, second, third) {
            ("Method", None, _) => text(&request.method),
            ("ClientIPAddresses", None, _) => {
                list(request.client_ips.iter().map(|address| text(address)))
            }
            ("Body", None, _) => value(scene.body.value()),
            ("Headers", None, _) => {
                let all = request.all_headers();
                Value::Map(
                    HashMap::from_iter(
                        all.into_iter()
                            .map(|(name, value)| (name.to_ascii_lowercase(), value)),
                    )
                    .into(),
                )
            }
            ("URL", Some("Captures"), Some(name)) => scene
                .captures
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| text(value))?,
            ("URL", Some(part), None) => match part {
                "Scheme" => text(&request.scheme),
                "Host" => text(&request.host),
                "Path" => Value::from(url_of(scene).path),
                "RawPath" if scene.path_decoded => text(""),
                "RawPath" => text(&request.path),
                "RawQuery" => text(request.query.as_deref().unwrap_or_default()),
                "Captures" => map(scene
                    .captures
                    .iter()
                    .map(|(name, value)| (name.as_str(), text(value)))),
                "String" => Value::from(url_of(scene).to_string()),
                "Hostname" => Value::from(url_of(scene).hostname().to_owned()),
                "Port" => Value::from(url_of(scene).port().to_owned()),
                "Query" => {
                    let mut all: HashMap<String, Vec<Value>> = HashMap::new();
                    for (name, value) in parse_query(request.query.as_deref().unwrap_or_default()) {
                        all.entry(name).or_default().push(Value::from(value));
                    }
                    let all = all
                        .into_iter()
                        .map(|(name, values)| (name, Value::List(Arc::new(values))));
                    Value::Map(all.collect::<HashMap<_, _>>().into())
                }
                "Fragment" | "Opaque" | "RawFragment" => text(""),
                _ => return None,
            },
            _ => return None,
        })
    }
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    Value::List(Arc::new(items.collect()))
}

fn map<'k>(members: impl IntoIterator<Item = (&'k str, Value)>) -> Value {
    Value::Map(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<HashMap<_, _>>()
            .into(),
    )
}

fn members(members: &serde_json::Map<String, serde_json::Value>) -> Value {
    map(members
        .iter()
        .map(|(name, member)| (name.as_str(), value(member))))
}

/// JSON as the Go program sees it: every number is a double.
fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(string) => text(string),
        serde_json::Value::Array(items) => list(items.iter().map(value)),
        serde_json::Value::Object(object) => members(object),
    }
}
