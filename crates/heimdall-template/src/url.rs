//! Go's `url.URL`, for templates and for whoever hands a request to them.

mod escape;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

pub(crate) use escape::{Escaping, escape, query_escape, unescape};

use crate::methods::{expect_args, str_arg};
use crate::value::{Dict, MapType};
use crate::{CallError, List, Map, Object, Text, Value};

/// A URL with Go's fields and methods, and the parts of its path that a rule captured.
///
/// ```
/// use heimdall_template::{Engine, Url, Value};
///
/// let url = Url::parse("https://example.com/a%20b?q=1")?;
/// let template = Engine::default().parse("t", r#"{{ .Path }} {{ .Query.Get "q" }} {{ . }}"#)?;
/// assert_eq!(template.render_to_string(Value::object(&url))?, "/a b 1 https://example.com/a%20b?q=1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Url {
    /// Lower case, without the colon.
    pub scheme: String,
    /// What follows the scheme of a URL such as `mailto:`.
    pub opaque: String,
    /// Name and password.
    pub user: Option<Userinfo>,
    /// Host, with the port if there is one.
    pub host: String,
    /// The decoded path.
    pub path: String,
    /// The path as it was written, when that is not the usual encoding of `path`.
    pub raw_path: String,
    /// Whether a `?` stands there without a query.
    pub force_query: bool,
    /// The query as it was written, without the `?`.
    pub raw_query: String,
    /// The decoded fragment.
    pub fragment: String,
    /// The fragment as it was written, when that is not the usual encoding of `fragment`.
    pub raw_fragment: String,
    /// Whether no host is written before the path.
    pub omit_host: bool,
    /// What a rule captured of the path, by name.
    pub captures: BTreeMap<String, String>,
}

/// The user of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Userinfo {
    /// Decoded.
    pub username: String,
    /// Decoded; `None` when there was no colon.
    pub password: Option<String>,
}

/// A text that is no URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError(pub(crate) String);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a URL: {}", self.0)
    }
}

impl std::error::Error for UrlError {}

impl Url {
    /// Reads a URL as Go's `url.Parse` does.
    ///
    /// # Errors
    /// What Go refuses: control characters, bad escapes, bad hosts and ports.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        parse::parse(text)
    }

    /// The path as it is written in a URL.
    pub fn escaped_path(&self) -> String {
        let fits = !self.raw_path.is_empty()
            && escape::valid(self.raw_path.as_bytes(), Escaping::Path)
            && unescape(&self.raw_path, Escaping::Path)
                .is_ok_and(|path| path == self.path.as_bytes());
        if fits {
            return self.raw_path.clone();
        }
        if self.path == "*" {
            "*".to_owned()
        } else {
            escape(self.path.as_bytes(), Escaping::Path)
        }
    }

    fn escaped_fragment(&self) -> String {
        let fits = !self.raw_fragment.is_empty()
            && escape::valid(self.raw_fragment.as_bytes(), Escaping::Fragment)
            && unescape(&self.raw_fragment, Escaping::Fragment)
                .is_ok_and(|f| f == self.fragment.as_bytes());
        if fits {
            self.raw_fragment.clone()
        } else {
            escape(self.fragment.as_bytes(), Escaping::Fragment)
        }
    }

    /// The host without its port, and without the brackets of an address.
    pub fn hostname(&self) -> &str {
        self.host_and_port().0
    }

    /// The port, empty if there is none.
    pub fn port(&self) -> &str {
        self.host_and_port().1
    }

    fn host_and_port(&self) -> (&str, &str) {
        let host = self.host.as_str();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (name, port),
            _ => (host, ""),
        };
        (
            name.strip_prefix('[')
                .and_then(|name| name.strip_suffix(']'))
                .unwrap_or(name),
            port,
        )
    }

    fn request_uri(&self) -> String {
        let mut uri = if self.opaque.is_empty() {
            self.escaped_path()
        } else {
            self.opaque.clone()
        };
        if self.opaque.is_empty() && uri.is_empty() {
            uri.push('/');
        } else if self.opaque.starts_with("//") {
            uri = format!("{}:{uri}", self.scheme);
        }
        if self.force_query || !self.raw_query.is_empty() {
            uri.push('?');
            uri.push_str(&self.raw_query);
        }
        uri
    }

    fn redacted(&self) -> String {
        let mut url = self.clone();
        if let Some(user) = &mut url.user
            && user.password.is_some()
        {
            user.password = Some("xxxxx".into());
        }
        url.to_string()
    }
}

impl fmt::Display for Userinfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(self.username.as_bytes(), Escaping::User))?;
        match &self.password {
            Some(password) => write!(f, ":{}", escape(password.as_bytes(), Escaping::User)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            let nowhere = self.host.is_empty() && self.user.is_none();
            let somewhere = !self.host.is_empty() || !self.path.is_empty() || self.user.is_some();
            let shown = if nowhere {
                !self.scheme.is_empty() && !self.omit_host
            } else {
                true
            };
            if shown {
                if somewhere {
                    out.push_str("//");
                }
                if let Some(user) = &self.user {
                    out.push_str(&user.to_string());
                    out.push('@');
                }
                out.push_str(&escape(self.host.as_bytes(), Escaping::Host));
            }
            let path = self.escaped_path();
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            // A colon in the first segment would make it a scheme.
            if out.is_empty()
                && path
                    .split('/')
                    .next()
                    .is_some_and(|segment| segment.contains(':'))
            {
                out.push_str("./");
            }
            out.push_str(&path);
        } else {
            out.push_str(&self.opaque);
        }
        if self.force_query || !self.raw_query.is_empty() {
            out.push('?');
            out.push_str(&self.raw_query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&self.escaped_fragment());
        }
        f.write_str(&out)
    }
}

/// The parameters of a query, as Go's `Query` reads them: broken ones are left out.
pub(crate) fn query<'a>(raw: &str) -> Map<'a> {
    let mut parameters: BTreeMap<Text<'a>, Vec<Text<'a>>> = BTreeMap::new();
    for pair in raw
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
    {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Ok(key), Ok(value)) = (
            unescape(key, Escaping::Query),
            unescape(value, Escaping::Query),
        ) {
            parameters
                .entry(Text::from(key))
                .or_default()
                .push(Text::from(value));
        }
    }
    let entries = parameters
        .into_iter()
        .map(|(key, values)| (key, Value::List(List::texts(values))))
        .collect();
    Map::Owned(std::rc::Rc::new(Dict::new(MapType::UrlValues, entries)))
}

impl Object for Url {
    fn type_name(&self) -> &str {
        "*url.URL"
    }

    fn field<'a>(&'a self, name: &str) -> Option<Value<'a>> {
        Some(match name {
            "Scheme" => Value::from(&self.scheme),
            "Opaque" => Value::from(&self.opaque),
            "User" => self
                .user
                .as_ref()
                .map_or(Value::object(&NoUser), |user| Value::object(user)),
            "Host" => Value::from(&self.host),
            "Path" => Value::from(&self.path),
            "RawPath" => Value::from(&self.raw_path),
            "ForceQuery" => Value::Bool(self.force_query),
            "RawQuery" => Value::from(&self.raw_query),
            "Fragment" => Value::from(&self.fragment),
            "RawFragment" => Value::from(&self.raw_fragment),
            "OmitHost" => Value::Bool(self.omit_host),
            "Captures" => Value::mapping(&self.captures),
            _ => return None,
        })
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        let answer = match name {
            "String" => Value::from(self.to_string()),
            "EscapedPath" => Value::from(self.escaped_path()),
            "EscapedFragment" => Value::from(self.escaped_fragment()),
            "Hostname" => Value::from(self.hostname()),
            "Port" => Value::from(self.port()),
            "Query" => Value::Map(query(&self.raw_query)),
            "RequestURI" => Value::from(self.request_uri()),
            "Redacted" => Value::from(self.redacted()),
            "IsAbs" => Value::Bool(!self.scheme.is_empty()),
            _ => return None,
        };
        Some(expect_args(name, args, 0).map(|()| answer))
    }

    fn field_names(&self) -> &[&str] {
        &[
            "Scheme",
            "Opaque",
            "User",
            "Host",
            "Path",
            "Fragment",
            "RawQuery",
            "RawPath",
            "RawFragment",
            "ForceQuery",
            "OmitHost",
            "Captures",
        ]
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Object for Userinfo {
    fn type_name(&self) -> &str {
        "*url.Userinfo"
    }

    fn field<'a>(&'a self, _: &str) -> Option<Value<'a>> {
        None
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        let answer = match name {
            "Username" => Ok(Value::from(&self.username)),
            "String" => Ok(Value::from(self.to_string())),
            "Password" => Err(CallError::new(
                "can't call method Password: it has several results",
            )),
            _ => return None,
        };
        Some(expect_args(name, args, 0).and(answer))
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Go's `nil` of the type `*url.Userinfo`: the user of a URL that names none.
struct NoUser;

impl Object for NoUser {
    fn type_name(&self) -> &str {
        "*url.Userinfo"
    }

    fn field<'a>(&'a self, _: &str) -> Option<Value<'a>> {
        None
    }

    fn call<'a>(&'a self, name: &str, args: &[Value<'a>]) -> Option<Result<Value<'a>, CallError>> {
        let answer = match name {
            "Username" | "String" => Ok(Value::from("")),
            "Password" => Err(CallError::new(
                "can't call method Password: it has several results",
            )),
            _ => return None,
        };
        Some(expect_args(name, args, 0).and(answer))
    }

    fn text(&self) -> Option<String> {
        Some(String::new())
    }

    fn is_nil(&self) -> bool {
        true
    }
}

/// A method of `url.Values`; `None` when it has none of this name.
pub(crate) fn values_method<'a>(
    map: &Map<'a>,
    name: &str,
    args: &[Value<'a>],
) -> Option<Result<Value<'a>, CallError>> {
    let first = |key: &str| match map.get(key) {
        Some(Value::List(list)) => list.get(0),
        _ => None,
    };
    match name {
        "Get" => {
            Some(expect_args(name, args, 1).and_then(|()| {
                Ok(first(str_arg(name, args, 0)?).unwrap_or_else(|| Value::from("")))
            }))
        }
        "Has" => Some(
            expect_args(name, args, 1)
                .and_then(|()| Ok(Value::Bool(map.get(str_arg(name, args, 0)?).is_some()))),
        ),
        "Set" | "Add" | "Del" => Some(Err(CallError::new(format!(
            "can't call method {name}: it has no result"
        )))),
        "Encode" => Some(expect_args(name, args, 0).map(|()| Value::from(encoded(map)))),
        _ => None,
    }
}

fn encoded(map: &Map<'_>) -> String {
    let mut pairs = Vec::new();
    for (key, values) in map.entries() {
        let Value::List(values) = values else {
            continue;
        };
        let key = escape(key.as_bytes(), Escaping::Query);
        for value in values.iter() {
            if let Value::Str(value) = value {
                pairs.push(format!(
                    "{key}={}",
                    escape(value.as_bytes(), Escaping::Query)
                ));
            }
        }
    }
    pairs.join("&")
}
