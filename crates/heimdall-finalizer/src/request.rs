//! The request as rules, templates and expressions see it.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use serde_json::Value;

use crate::body;

/// Header fields where they lie: implemented over the header map of whatever server runs the pipeline.
pub trait HeaderView: Sync {
    /// The values of one field in order; `name` is in lower case.
    fn values<'a>(&'a self, name: &str) -> Vec<&'a [u8]>;

    /// The first value of a field; `name` is in lower case.
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.values(name).first().copied()
    }

    /// Every field line in order, names in lower case.
    fn each(&self, visit: &mut dyn FnMut(&str, &[u8]));
}

/// A list of name and value, for tests and small hosts. Names must be in lower case.
impl HeaderView for Vec<(String, String)> {
    fn values<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        self.iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_bytes())
            .collect()
    }

    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_bytes())
    }

    fn each(&self, visit: &mut dyn FnMut(&str, &[u8])) {
        for (name, value) in self {
            visit(name, value.as_bytes());
        }
    }
}

/// A canonical request: what is judged is what is sent.
///
/// Made by `heimdall_pipeline::Gate::admit`, which is the only place where raw parts become one.
#[derive(Clone)]
pub struct Request<'a> {
    /// Effective method.
    pub method: Cow<'a, str>,
    /// Effective scheme: `http`, `https`, or what a trusted proxy says.
    pub scheme: Cow<'a, str>,
    /// Effective authority, lower case, without the default port and without a dot at the end.
    pub host: Cow<'a, str>,
    /// The authority of the connection itself, canonical, whatever a proxy in front says.
    pub own_host: Cow<'a, str>,
    /// Canonical path, still percent-encoded where it must be.
    pub path: Cow<'a, str>,
    /// Query without `?`; `None` when there is none.
    pub query: Option<Cow<'a, str>>,
    /// Addresses the request came through, the client's first.
    pub client_ips: Vec<String>,
    /// Address of the connection.
    pub peer: IpAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Whether `peer` is one of the trusted proxies.
    pub trusted: bool,
    /// Header fields as they came.
    pub headers: &'a (dyn HeaderView + 'a),
}

/// Forwarding fields of somebody who is not trusted are as good as absent.
const ONLY_FROM_TRUSTED: [&str; 7] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-forwarded-method",
];

impl Request<'_> {
    /// The values of a header field joined with commas; empty when there is none. `Host` is the authority.
    pub fn header(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        if name == "host" {
            return self.host.clone().into_owned();
        }
        if !self.trusted && ONLY_FROM_TRUSTED.contains(&name.as_str()) {
            return String::new();
        }
        let values = self.headers.values(&name);
        let mut out = String::new();
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(&String::from_utf8_lossy(value));
        }
        out
    }

    /// The value of the first cookie of a name; empty when there is none.
    pub fn cookie(&self, name: &str) -> String {
        for line in self.headers.values("cookie") {
            let line = String::from_utf8_lossy(line);
            for (known, value) in cookie_pairs(&line) {
                if known == name {
                    return value.to_owned();
                }
            }
        }
        String::new()
    }

    /// All header fields, names as Go spells them, values joined with commas, `Host` among them.
    pub fn all_headers(&self) -> std::collections::BTreeMap<String, String> {
        let mut all = std::collections::BTreeMap::new();
        self.headers.each(&mut |name, value| {
            if !self.trusted && ONLY_FROM_TRUSTED.contains(&name) {
                return;
            }
            let value = String::from_utf8_lossy(value);
            all.entry(canonical_name(name))
                .and_modify(|known: &mut String| {
                    known.push(',');
                    known.push_str(&value);
                })
                .or_insert_with(|| value.into_owned());
        });
        all.insert("Host".to_owned(), self.host.clone().into_owned());
        all
    }

    /// The whole URL.
    pub fn url(&self) -> String {
        let query = self.query.as_deref().unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}://{}{}{mark}{query}", self.scheme, self.host, self.path)
    }
}

/// The pairs of a `Cookie` line, as Go reads them: quotes around a value are taken off, bad pairs are left out.
pub fn cookie_pairs(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split(';').filter_map(|pair| {
        let pair = pair.trim_matches([' ', '\t']);
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = name.trim_matches([' ', '\t']);
        let value = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(value);
        let sound = value
            .bytes()
            .all(|byte| (0x20..0x7f).contains(&byte) && !matches!(byte, b'"' | b';' | b'\\'));
        (!name.is_empty() && is_token(name) && sound).then_some((name, value))
    })
}

/// Whether a text is a token of RFC 9110: a header or cookie name.
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
        })
}

/// A header name as Go spells it: `x-user-id` becomes `X-User-Id`.
pub fn canonical_name(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|c| {
            let out = if upper {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            };
            upper = c == '-';
            out
        })
        .collect()
}

/// The body that templates and expressions see, decoded at most once.
#[derive(Default)]
pub struct Body<'a> {
    bytes: Option<&'a [u8]>,
    content_type: String,
    decoded: OnceLock<Value>,
}

impl<'a> Body<'a> {
    /// A body, or none.
    pub fn new(request: &Request<'_>, bytes: Option<&'a [u8]>) -> Self {
        let content_type = if bytes.is_some() {
            request.header("content-type")
        } else {
            String::new()
        };
        Self {
            bytes,
            content_type,
            decoded: OnceLock::new(),
        }
    }

    /// The decoded body: a map for JSON, YAML and forms, else the text; empty text for none.
    pub fn value(&self) -> &Value {
        self.decoded.get_or_init(|| match self.bytes {
            None => Value::String(String::new()),
            Some([]) => Value::String(String::new()),
            Some(bytes) => body::decode(&self.content_type, bytes)
                .and_then(Result::ok)
                .unwrap_or_else(|| Value::String(String::from_utf8_lossy(bytes).into_owned())),
        })
    }
}
