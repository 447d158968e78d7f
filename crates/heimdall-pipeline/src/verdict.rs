//! What becomes of a request.

use std::sync::Arc;

/// The answer of [`Route::judge`](crate::Route::judge).
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Proxy mode: send it on.
    Forward(Box<Forward>),
    /// Decision and Envoy mode: let it pass.
    Accept(Box<Accept>),
    /// Answer it ourselves: a denial, a redirect, an error.
    Respond(Box<Respond>),
}

/// How a request goes on to its upstream.
///
/// The host copies each header field of the client for which [`Forward::keeps`] says so, then appends `headers` in
/// order. Hop-by-hop fields, owned names and forwarding fields are taken care of by both.
#[derive(Debug, Clone)]
pub struct Forward {
    /// Rule that matched.
    pub rule: RuleName,
    /// Method to send.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Where to connect: host and port.
    pub authority: String,
    /// Value of the `Host` field (or `:authority`).
    pub host: String,
    /// Request target in origin form.
    pub target: String,
    /// Fields to append, names as the configuration spells them.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Protocols (lower case) that this rule lets a client upgrade to.
    pub upgrade: Arc<[String]>,
    pub(crate) dropped: Dropped,
}

/// What a gateway is told, in decision mode.
#[derive(Debug, Clone)]
pub struct Accept {
    /// Rule that matched.
    pub rule: RuleName,
    /// Status of the answer (`respond.with.accepted`).
    pub status: u16,
    /// Header fields for the upstream, in order. Owned names that got no value are in here with an empty one.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Names the gateway has to take from the client's request (Envoy: `headers_to_remove`).
    pub remove: Arc<[String]>,
}

/// An answer to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// Rule that denied; `None` when no rule was reached.
    pub rule: Option<RuleName>,
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Body; empty for none.
    pub body: String,
    /// Why, for log and metrics; never for the client.
    pub reason: String,
    /// Kind of error, for metrics: `authentication_error`, `authorization_error`, …; `redirect` for redirects.
    pub kind: &'static str,
    /// Whether the connection must not be used again.
    pub close: bool,
}

/// A rule and the rule set it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleName {
    /// `id` of the rule; `default` for the default rule.
    pub id: Arc<str>,
    /// Name of the source (file or URL).
    pub source: Arc<str>,
}

/// The names of the client's header fields that do not go on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dropped {
    pub(crate) owned: Arc<[String]>,
    pub(crate) nominated: Vec<String>,
    pub(crate) cookies: bool,
}

const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authenticate",
    "proxy-authorization",
];

const FORWARDING: [&str; 9] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-forwarded-path",
    "x-original-url",
    "x-rewrite-url",
];

impl Forward {
    /// Whether the client's header field of this name (lower case) goes on. `Host` and framing never do.
    pub fn keeps(&self, name: &str) -> bool {
        if matches!(name, "host" | "content-length")
            || HOP_BY_HOP.contains(&name)
            || FORWARDING.contains(&name)
        {
            return false;
        }
        if self.dropped.cookies && name == "cookie" {
            return false;
        }
        if self.dropped.nominated.iter().any(|known| known == name) {
            return false;
        }
        !owns(&self.dropped.owned, name)
    }
}

impl Verdict {
    /// What it comes to, in a few words.
    pub fn summary(&self) -> String {
        match self {
            Self::Forward(forward) => format!(
                "forward to {}://{}{}",
                forward.scheme, forward.authority, forward.target
            ),
            Self::Accept(accept) => format!("accept with {}", accept.status),
            Self::Respond(respond) => {
                format!("respond with {}: {}", respond.status, respond.reason)
            }
        }
    }
}

/// Whether a name is one of the fields that tell where a request came from; those are set last, by us.
pub(crate) fn is_forwarding(name: &str) -> bool {
    FORWARDING
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether `name` is one of `owned`, also in a spelling that some server folds into it (`X_User_ID`).
pub(crate) fn owns(owned: &[String], name: &str) -> bool {
    owned.iter().any(|known| {
        known.len() == name.len()
            && known
                .bytes()
                .zip(name.bytes())
                .all(|(a, b)| a == b || (b == b'_' && a == b'-') || (b == b'-' && a == b'_'))
    })
}
