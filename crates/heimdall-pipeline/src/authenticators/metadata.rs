//! Where an issuer's endpoints lie: configured, or found in its metadata document (RFC 8414, OIDC discovery).

use std::borrow::Cow;
use std::time::Duration;

use heimdall_finalizer::settings::{Fields, NodeKind};
use heimdall_finalizer::{Failure, KeyParts, Kind, Scope};
use serde_json::Value;

use crate::endpoint::{CachePolicy, Endpoint, Resolved};
use crate::tools::Tools;

/// Where an issuer's endpoint lies.
#[derive(Clone)]
pub(super) enum Locator {
    Fixed(Box<Endpoint>),
    Discovered(Box<Discovery>),
}

/// A metadata document.
#[derive(Clone)]
pub(super) struct Discovery {
    document: Endpoint,
    verify_issuer: bool,
    jwks: Resolved,
    introspection: Resolved,
}

/// What an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Keys,
    Introspection,
}

impl Purpose {
    fn member(self) -> &'static str {
        match self {
            Self::Keys => "jwks_uri",
            Self::Introspection => "introspection_endpoint",
        }
    }

    fn defaults(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::Keys => ("GET", &[("Accept", "application/json")]),
            Self::Introspection => (
                "POST",
                &[
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("Accept", "application/json"),
                ],
            ),
        }
    }
}

impl Locator {
    /// Reads the one of `own` and `metadata_endpoint` that is there.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        own: &'static str,
        purpose: Purpose,
        tools: &Tools,
    ) -> Option<Self> {
        let (fixed, metadata) = (fields.node(own), fields.node("metadata_endpoint"));
        match (fixed, metadata) {
            (Some(_), Some(_)) => {
                fields.wrong("metadata_endpoint", format!("excludes `{own}`"));
                None
            }
            (None, None) => {
                fields.issues().note(
                    fields.line(),
                    fields.path(),
                    format!("`{own}` or `metadata_endpoint` is missing"),
                );
                None
            }
            (Some(node), None) => {
                let endpoint = Endpoint::read(
                    node,
                    &fields.at(own),
                    fields.strictness(),
                    tools,
                    fields.issues(),
                )?;
                let (method, headers) = purpose.defaults();
                Some(Self::Fixed(Box::new(
                    endpoint.with_defaults(method, headers, tools),
                )))
            }
            (None, Some(node)) => {
                let at = fields.at("metadata_endpoint");
                let discovery = match &node.kind {
                    NodeKind::Text(_) => {
                        let document =
                            Endpoint::read(node, &at, fields.strictness(), tools, fields.issues())?;
                        Discovery {
                            document,
                            verify_issuer: true,
                            jwks: Resolved::default(),
                            introspection: Resolved::default(),
                        }
                    }
                    _ => Discovery::read(
                        Fields::open(node, at, fields.strictness(), fields.issues())?,
                        tools,
                    )?,
                };
                Some(Self::Discovered(Box::new(discovery.with_defaults(tools))))
            }
        }
    }

    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    pub(super) fn add_to(&self, key: &mut KeyParts) {
        match self {
            Self::Fixed(endpoint) => endpoint.add_to(key),
            Self::Discovered(discovery) => {
                key.add(b"discovered");
                discovery.document.add_to(key);
                key.add(&[u8::from(discovery.verify_issuer)]);
            }
        }
    }

    /// The endpoint, and the issuer that a metadata document names.
    pub(super) async fn find(
        &self,
        purpose: Purpose,
        issuer: Option<&Value>,
        tools: &Tools,
    ) -> Result<(Cow<'_, Endpoint>, Option<String>), Failure> {
        match self {
            Self::Fixed(endpoint) => Ok((Cow::Borrowed(&**endpoint), None)),
            Self::Discovered(discovery) => {
                let (endpoint, issuer) =
                    discovery
                        .find(purpose, issuer, tools)
                        .await
                        .map_err(|cause| {
                            Failure::new(Kind::Internal, "failed retrieving oauth2 server metadata")
                                .caused_by(&cause)
                        })?;
                Ok((Cow::Owned(endpoint), Some(issuer)))
            }
        }
    }
}

impl Discovery {
    fn read(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let document = Endpoint::read_members(&mut fields, tools);
        let verify_issuer = !fields
            .flag("disable_issuer_identifier_verification")
            .unwrap_or(false);
        let (mut jwks, mut introspection) = (Resolved::default(), Resolved::default());
        if let Some(mut section) = fields.section("resolved_endpoints") {
            if let Some(settings) = section.section("jwks_uri") {
                jwks = Resolved::read(settings, tools);
            }
            if let Some(settings) = section.section("introspection_endpoint") {
                introspection = Resolved::read(settings, tools);
            }
            section.close();
        }
        fields.close();
        Some(Self {
            document: document?,
            verify_issuer,
            jwks,
            introspection,
        })
    }

    fn with_defaults(mut self, tools: &Tools) -> Self {
        self.document =
            self.document
                .with_defaults("GET", &[("Accept", "application/json")], tools);
        self.document.cache.get_or_insert(CachePolicy {
            enabled: true,
            default_ttl: Duration::from_secs(1800),
        });
        self
    }

    async fn find(
        &self,
        purpose: Purpose,
        issuer: Option<&Value>,
        tools: &Tools,
    ) -> Result<(Endpoint, String), Failure> {
        let request = self.document.request(
            &Scope {
                issuer,
                ..Scope::default()
            },
            None,
        )?;
        let used = request.url.clone();
        let answer = tools
            .caller
            .call(&self.document, request, "oauth2 server metadata endpoint")
            .await?;
        if !(200..300).contains(&answer.status) {
            return Err(Failure::new(
                Kind::Communication,
                format!("unexpected response code: {}", answer.status),
            ));
        }
        let document: Value = serde_json::from_slice(&answer.body).map_err(|_| {
            Failure::new(
                Kind::Internal,
                "failed to unmarshal received oauth2 server metadata document",
            )
        })?;
        let member = |name: &str| {
            document
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let issuer = member("issuer");
        if self.verify_issuer {
            let expected = expected_issuer(&used);
            if issuer != expected && issuer.strip_suffix('/') != Some(&expected) {
                let message = format!(
                    "expected issuer '{expected}' does not match issuer '{issuer}' from the received metadata"
                );
                return Err(Failure::new(Kind::Configuration, message));
            }
        }
        let url = member(purpose.member());
        if url.is_empty() {
            let message = format!(
                "received server metadata does not contain the required {}",
                purpose.member()
            );
            return Err(Failure::new(Kind::Internal, message));
        }
        if url.contains("{{") {
            let message = format!(
                "received {} contains a template, which is not allowed",
                purpose.member()
            );
            return Err(Failure::new(Kind::Configuration, message));
        }
        let settings = match purpose {
            Purpose::Keys => &self.jwks,
            Purpose::Introspection => &self.introspection,
        };
        let issues = heimdall_finalizer::settings::Issues::default();
        let node = heimdall_finalizer::settings::Node {
            line: 0,
            kind: NodeKind::Text(url),
        };
        let endpoint = Endpoint::read(
            &node,
            purpose.member(),
            heimdall_finalizer::settings::Strictness::CATALOGUE,
            tools,
            &issues,
        )
        .ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                format!("{} can not be used", purpose.member()),
            )
        })?;
        let endpoint = Endpoint {
            retry: settings.retry,
            auth: settings.auth.clone(),
            cache: settings.cache,
            ..endpoint
        };
        let (method, headers) = purpose.defaults();
        Ok((endpoint.with_defaults(method, headers, tools), issuer))
    }
}

/// The issuer that a metadata document at this URL must name.
fn expected_issuer(url: &str) -> String {
    let Some((prefix, suffix)) = url.split_once(".well-known/") else {
        return url.trim_end_matches('/').to_owned();
    };
    // a path behind the document's name is not as RFC 8414 wants it, but found in the wild
    match suffix.trim_end_matches('/').split_once('/') {
        Some((_, path)) => format!("{prefix}{}", path.split('/').next().unwrap_or_default()),
        None => prefix.strip_suffix('/').unwrap_or(prefix).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_follows_from_where_the_document_lies() {
        assert_eq!(
            expected_issuer("https://a/.well-known/openid-configuration"),
            "https://a"
        );
        assert_eq!(
            expected_issuer("https://a/t/.well-known/openid-configuration"),
            "https://a/t"
        );
        assert_eq!(
            expected_issuer("https://a/.well-known/oauth-authorization-server/t"),
            "https://a/t"
        );
    }
}
