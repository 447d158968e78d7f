//! Who the request comes from.

mod assertions;
mod basic;
mod generic;
mod heimdall;
mod introspection;
mod jwt;
mod lifespan;
mod metadata;
pub(crate) mod path;
mod pick;
mod source;

use std::sync::Arc;

use heimdall_finalizer::settings::{Fields, Issues, Node, Strictness};
use heimdall_finalizer::{Failure, Kind, Scene, Subject};

use crate::Liveness;
use crate::tools::Tools;

/// What an authenticator made out.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) subject: Arc<Subject>,
    /// Who can tell more about it, where our own API issued the token.
    pub(crate) issuer: Option<Issued>,
}

/// A token of our own API.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) app: Arc<str>,
    pub(crate) liveness: Arc<dyn Liveness>,
}

impl Identity {
    fn of(subject: Subject) -> Self {
        Self {
            subject: Arc::new(subject),
            issuer: None,
        }
    }
}

/// An authenticator of the catalogue, or one with a rule's overrides.
#[derive(Clone)]
pub(crate) enum Authenticator {
    Anonymous(Identity),
    Unauthorized,
    Basic(basic::BasicAuth),
    Generic(Arc<generic::Generic>),
    Jwt(Arc<jwt::JwtAuthenticator>),
    Introspection(Arc<introspection::Introspection>),
    Heimdall(Arc<heimdall::HeimdallAuthenticator>),
}

pub(crate) const TYPES: [&str; 7] = [
    "anonymous",
    "unauthorized",
    "basic_auth",
    "generic",
    "jwt",
    "oauth2_introspection",
    "heimdall",
];

impl Authenticator {
    pub(crate) fn build(
        kind: &str,
        config: Option<&Node>,
        line: usize,
        path: &str,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        let Some(config) = config else {
            return match kind {
                "anonymous" => Some(Self::anonymous("anonymous")),
                "unauthorized" => Some(Self::Unauthorized),
                "heimdall" => {
                    let empty = Node {
                        line,
                        kind: heimdall_finalizer::settings::NodeKind::Map(Vec::new()),
                    };
                    let fields = Fields::open(&empty, path, Strictness::CATALOGUE, issues)?;
                    heimdall::HeimdallAuthenticator::build(fields, tools)
                        .map(|made| Self::Heimdall(Arc::new(made)))
                }
                _ => {
                    issues.note(
                        line,
                        path,
                        format!("a `{kind}` authenticator needs a configuration"),
                    );
                    None
                }
            };
        };
        if kind == "unauthorized" {
            issues.note(
                config.line,
                path,
                "an `unauthorized` authenticator takes no configuration",
            );
            return None;
        }
        let mut fields = Fields::open(config, path, Strictness::CATALOGUE, issues)?;
        match kind {
            "anonymous" => {
                let subject = fields
                    .text("subject")
                    .filter(|subject| !subject.is_empty())
                    .unwrap_or("anonymous");
                fields.close();
                Some(Self::anonymous(subject))
            }
            "basic_auth" => basic::BasicAuth::build(fields, &*tools.deps.files).map(Self::Basic),
            "generic" => {
                generic::Generic::build(fields, tools).map(|made| Self::Generic(Arc::new(made)))
            }
            "jwt" => {
                jwt::JwtAuthenticator::build(fields, tools).map(|made| Self::Jwt(Arc::new(made)))
            }
            "oauth2_introspection" => introspection::Introspection::build(fields, tools)
                .map(|made| Self::Introspection(Arc::new(made))),
            "heimdall" => heimdall::HeimdallAuthenticator::build(fields, tools)
                .map(|made| Self::Heimdall(Arc::new(made))),
            _ => {
                issues.unknown(line, path, kind, TYPES);
                None
            }
        }
    }

    fn anonymous(subject: &str) -> Self {
        Self::Anonymous(Identity::of(Subject::named(subject)))
    }

    pub(crate) fn overridden(
        &self,
        config: &Node,
        path: &str,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        let mut fields = Fields::open(config, path, Strictness::RULES, issues)?;
        match self {
            Self::Anonymous(_) => {
                let subject = fields.required_text("subject");
                fields.close();
                Some(Self::anonymous(subject?))
            }
            Self::Unauthorized => {
                issues.note(
                    config.line,
                    path,
                    "an `unauthorized` authenticator takes no configuration",
                );
                None
            }
            Self::Basic(basic) => basic.overridden(fields).map(Self::Basic),
            Self::Generic(generic) => generic
                .overridden(fields)
                .map(|made| Self::Generic(Arc::new(made))),
            Self::Jwt(jwt) => jwt.overridden(fields).map(|made| Self::Jwt(Arc::new(made))),
            Self::Introspection(introspection) => introspection
                .overridden(fields, tools)
                .map(|made| Self::Introspection(Arc::new(made))),
            Self::Heimdall(_) => {
                issues.note(
                    config.line,
                    path,
                    "a `heimdall` authenticator can not be reconfigured",
                );
                None
            }
        }
    }

    /// Makes out who the request comes from.
    pub(crate) async fn authenticate(
        &self,
        scene: &Scene<'_>,
        tools: &Tools,
    ) -> Result<Identity, Failure> {
        match self {
            Self::Anonymous(identity) => Ok(identity.clone()),
            Self::Unauthorized => Err(Failure::new(
                Kind::Authentication,
                "denied by authenticator",
            )),
            Self::Basic(basic) => basic.authenticate(scene),
            // What asks somebody else is boxed: a request that does not ask is not to carry room for it.
            Self::Generic(generic) => Box::pin(generic.authenticate(scene, tools)).await,
            Self::Jwt(jwt) => jwt.authenticate(scene, tools).await,
            Self::Introspection(introspection) => {
                Box::pin(introspection.authenticate(scene, tools)).await
            }
            Self::Heimdall(heimdall) => Box::pin(heimdall.authenticate(scene, tools)).await,
        }
    }

    /// Whether it lets anybody in.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Anonymous(_))
    }

    /// Whether it may look at the body of the request.
    pub(crate) fn reads_body(&self) -> bool {
        match self {
            Self::Generic(generic) => generic.reads_body(),
            Self::Jwt(jwt) => jwt.reads_body(),
            Self::Introspection(introspection) => introspection.reads_body(),
            Self::Anonymous(_) | Self::Unauthorized | Self::Basic(_) | Self::Heimdall(_) => false,
        }
    }
}
