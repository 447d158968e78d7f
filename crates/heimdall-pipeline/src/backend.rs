//! Where a request goes, and how it looks there.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::url::{Place, encode_query, parse_query, query_is_sound, unescape_text};

use crate::rules::EncodedSlashes;
use crate::verdict::Dropped;
use crate::{Forward, Request, RuleName};

/// `forward_to` of a rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backend {
    host: String,
    forward_host: bool,
    scheme: Option<String>,
    strip: String,
    add: String,
    strip_query: Vec<String>,
    pub(crate) upgrade: Arc<[String]>,
}

const UPGRADES: [&str; 1] = ["websocket"];

impl Backend {
    pub(crate) fn read(mut fields: Fields<'_>, tls_required: bool) -> Option<Self> {
        let host = fields.required_text("host");
        if let Some(host) = host
            && (host.contains('/') || host.contains(['?', '#', '@', ' ']))
        {
            fields.wrong("host", "is a host and a port, no URL");
        }
        let mut backend = Self {
            forward_host: fields.flag("forward_host_header").unwrap_or(true),
            ..Self::default()
        };
        if let Some(mut rewrite) = fields.section("rewrite") {
            let scheme = rewrite.text("scheme").filter(|scheme| !scheme.is_empty());
            if let Some(scheme) = scheme {
                if !matches!(scheme, "http" | "https") {
                    rewrite.wrong("scheme", "is neither `http` nor `https`");
                }
                if tls_required && scheme != "https" {
                    rewrite.wrong("scheme", "must be https");
                }
            }
            backend.scheme = scheme.map(str::to_owned);
            backend.strip = rewrite
                .text("strip_path_prefix")
                .unwrap_or_default()
                .to_owned();
            backend.add = rewrite
                .text("add_path_prefix")
                .unwrap_or_default()
                .to_owned();
            backend.strip_query = rewrite.texts("strip_query_parameters").unwrap_or_default();
            rewrite.close();
        }
        if let Some(upgrade) = fields.texts("upgrade") {
            for protocol in &upgrade {
                if !UPGRADES.contains(&protocol.as_str()) {
                    fields.wrong(
                        "upgrade",
                        format!("`{protocol}` is none of {}", UPGRADES.join(", ")),
                    );
                }
            }
            backend.upgrade = upgrade.into();
        }
        fields.close();
        backend.host = host?.to_owned();
        Some(backend)
    }

    /// The request as the upstream gets it, without the headers that finalizers set.
    pub(crate) fn forward(
        &self,
        request: &Request<'_>,
        slashes: EncodedSlashes,
        rule: RuleName,
    ) -> Forward {
        Forward {
            rule,
            method: request.method.clone().into_owned(),
            scheme: self
                .scheme
                .clone()
                .unwrap_or_else(|| request.scheme.clone().into_owned()),
            authority: self.host.clone(),
            host: if self.forward_host {
                request.own_host.clone().into_owned()
            } else {
                self.host.clone()
            },
            target: self.target(request, slashes),
            headers: forwarding_fields(request),
            upgrade: self.upgrade.clone(),
            dropped: Dropped::default(),
        }
    }

    fn target(&self, request: &Request<'_>, slashes: EncodedSlashes) -> String {
        let decoded;
        let path = if slashes == EncodedSlashes::On {
            decoded = crate::scene::decoded_path(request);
            decoded.as_str()
        } else {
            &*request.path
        };
        let rest = path.strip_prefix(self.strip.as_str()).unwrap_or(path);
        let mut target = String::with_capacity(self.add.len() + rest.len() + 1);
        target.push_str(&self.add);
        target.push_str(rest);
        if !target.starts_with('/') {
            target.insert(0, '/');
        }
        if let Some(query) = request.query.as_deref() {
            let query = self.query(query);
            if !query.is_empty() {
                target.push('?');
                target.push_str(&query);
            }
        }
        target
    }

    fn query(&self, query: &str) -> String {
        if self.strip_query.is_empty() {
            return query.to_owned();
        }
        if !query_is_sound(query) {
            let name = |pair: &str| {
                let name = pair.split('=').next().unwrap_or_default();
                unescape_text(name, Place::Query).map_or_else(|| name.to_owned(), Cow::into_owned)
            };
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| !self.strip_query.contains(&name(pair)))
                .collect();
            return kept.join("&");
        }
        let pairs = parse_query(query);
        let kept = pairs
            .iter()
            .filter(|(name, _)| !self.strip_query.contains(name));
        encode_query(kept.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Shared by all requests: a name is no reason to allocate.
static NAMES: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
    [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "Forwarded",
    ]
    .map(Arc::from)
});

/// The fields that tell an upstream where the request came from.
fn forwarding_fields(request: &Request<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let own_scheme = if request.tls { "https" } else { "http" };
    let seen = |name: &str| {
        request.trusted
            && request
                .headers
                .first(name)
                .is_some_and(|value| !value.is_empty())
    };
    let peer = request.peer.to_canonical();
    let node = if peer.is_ipv6() {
        format!("\"[{peer}]\"")
    } else {
        peer.to_string()
    };
    let entry = format!(
        "for={node};host=\"{}\";proto={own_scheme}",
        request.own_host
    );
    let before = if request.trusted {
        request.headers.values("forwarded")
    } else {
        Vec::new()
    };
    let before = before
        .iter()
        .map(|line| String::from_utf8_lossy(line))
        .collect::<Vec<_>>()
        .join(", ");
    let forwarded = if before.is_empty() {
        entry
    } else {
        format!("{before}, {entry}")
    };
    let host = if seen("x-forwarded-host") {
        &request.host
    } else {
        &request.own_host
    };
    let proto = if seen("x-forwarded-proto") {
        &*request.scheme
    } else {
        own_scheme
    };
    let [for_name, proto_name, host_name, forwarded_name] = &*NAMES;
    vec![
        (for_name.clone(), request.client_ips.join(", ").into()),
        (proto_name.clone(), proto.into()),
        (host_name.clone(), (&**host).into()),
        (forwarded_name.clone(), forwarded.into()),
    ]
}
