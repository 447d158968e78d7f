//! The request as rules, templates and expressions see it.

use std::borrow::Cow;
use std::net::IpAddr;

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
        self.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_bytes()).collect()
    }

    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_bytes())
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
    /// Effective scheme, `http` or `https`.
    pub scheme: Cow<'a, str>,
    /// Effective authority, lower case, with the port when one was sent.
    pub host: Cow<'a, str>,
    /// Canonical path, still percent-encoded where it must be.
    pub path: Cow<'a, str>,
    /// Query without `?`; `None` when there is none.
    pub query: Option<Cow<'a, str>>,
    /// Addresses the request came through, the client's first.
    pub client_ips: Vec<String>,
    /// Address of the connection.
    pub peer: IpAddr,
    /// Whether `peer` is one of the trusted proxies.
    pub trusted: bool,
    /// Header fields as they came.
    pub headers: &'a (dyn HeaderView + 'a),
}
