//! The finalizers: what the upstream service sees of a subject.

mod client_credentials;
mod cookie;
mod header;
mod jwt;

use std::sync::Arc;

use heimdall_template::Engine;
use heimdall_types::{Clock, Rng};

pub use client_credentials::{ClientCredentials, TokenHeader};
pub use cookie::CookieFinalizer;
pub use header::HeaderFinalizer;
pub use jwt::{JwtFinalizer, TokenCache, read_template, read_values};

use crate::keys::KeyStores;
use crate::oauth2::TokenClient;
use crate::ports::Files;
use crate::scope::{Outputs, Scope};
use crate::settings::{Fields, Issues, Node, Strictness};
use crate::{Failure, Http, Scene, Subject};

/// What finalizers are built from and run with. Cheap to clone.
#[derive(Clone)]
pub struct Workshop {
    /// Parses templates.
    pub templates: Engine,
    /// Key stores by path.
    pub keys: KeyStores,
    /// Signed tokens that are still good.
    pub tokens: Arc<TokenCache>,
    /// Fetches and keeps access tokens.
    pub token_client: Arc<TokenClient>,
    /// Files named by the configuration.
    pub files: Arc<dyn Files>,
    /// Sends requests.
    pub http: Arc<dyn Http>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Whether endpoints must be `https`.
    pub tls_required: bool,
}

/// What a step sees.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// The request.
    pub scene: &'a Scene<'a>,
    /// The subject.
    pub subject: &'a Subject,
    /// What earlier steps left.
    pub outputs: &'a Outputs,
}

impl<'a> Sight<'a> {
    /// What a template of a step can name.
    pub fn scope(&self) -> Scope<'a> {
        Scope {
            request: Some(self.scene),
            subject: Some(self.subject),
            outputs: Some(self.outputs),
            ..Scope::default()
        }
    }
}

/// What finalizers set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Header fields in order; a name may come several times.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// Cookies; a name comes once.
    pub cookies: Vec<(Arc<str>, String)>,
}

impl Effects {
    /// Adds a header field.
    pub fn add_header(&mut self, name: &Arc<str>, value: impl Into<Arc<str>>) {
        self.headers.push((name.clone(), value.into()));
    }

    /// Sets a cookie.
    pub fn set_cookie(&mut self, name: &Arc<str>, value: String) {
        match self.cookies.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.cookies.push((name.clone(), value)),
        }
    }
}

/// A finalizer of the catalogue, or one with a rule's overrides.
#[derive(Clone)]
pub enum Finalizer {
    /// Does nothing.
    Noop,
    /// Sets headers.
    Header(HeaderFinalizer),
    /// Sets cookies.
    Cookie(CookieFinalizer),
    /// Signs a JWT.
    Jwt(Box<JwtFinalizer>),
    /// Fetches an access token.
    ClientCredentials(Box<ClientCredentials>),
}

/// Types of finalizers.
pub const FINALIZER_TYPES: [&str; 6] = [
    "noop",
    "header",
    "cookie",
    "cookies",
    "jwt",
    "oauth2_client_credentials",
];

impl Finalizer {
    /// Builds a finalizer of the catalogue. What is wrong goes to `issues`.
    pub fn build(
        kind: &str,
        config: Option<&Node>,
        line: usize,
        path: &str,
        workshop: &Workshop,
        issues: &Issues,
    ) -> Option<Self> {
        if kind == "noop" {
            if let Some(config) = config {
                issues.note(
                    config.line,
                    path,
                    "a `noop` finalizer takes no configuration",
                );
            }
            return Some(Self::Noop);
        }
        let Some(config) = config else {
            issues.note(
                line,
                path,
                format!("a `{kind}` finalizer needs a configuration"),
            );
            return None;
        };
        let fields = Fields::open(config, path, Strictness::CATALOGUE, issues)?;
        match kind {
            "header" => HeaderFinalizer::build(fields, workshop).map(Self::Header),
            "cookie" | "cookies" => CookieFinalizer::build(fields, workshop).map(Self::Cookie),
            "jwt" => JwtFinalizer::build(fields, workshop).map(|jwt| Self::Jwt(Box::new(jwt))),
            "oauth2_client_credentials" => ClientCredentials::build(fields, workshop)
                .map(|flow| Self::ClientCredentials(Box::new(flow))),
            _ => {
                issues.unknown(line, path, kind, FINALIZER_TYPES);
                None
            }
        }
    }

    /// This finalizer with a rule's overrides.
    pub fn overridden(
        &self,
        config: &Node,
        path: &str,
        workshop: &Workshop,
        issues: &Issues,
    ) -> Option<Self> {
        let fields = Fields::open(config, path, Strictness::RULES, issues)?;
        match self {
            Self::Noop => {
                issues.note(
                    config.line,
                    path,
                    "a `noop` finalizer takes no configuration",
                );
                None
            }
            Self::Header(_) => HeaderFinalizer::build(fields, workshop).map(Self::Header),
            Self::Cookie(_) => CookieFinalizer::build(fields, workshop).map(Self::Cookie),
            Self::Jwt(jwt) => jwt
                .overridden(fields, workshop)
                .map(|jwt| Self::Jwt(Box::new(jwt))),
            Self::ClientCredentials(flow) => flow
                .overridden(fields)
                .map(|flow| Self::ClientCredentials(Box::new(flow))),
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// [`Failure`]; the request is to be denied.
    pub async fn apply(
        &self,
        sight: Sight<'_>,
        workshop: &Workshop,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        match self {
            Self::Noop => Ok(()),
            Self::Header(header) => header.apply(sight, effects),
            Self::Cookie(cookie) => cookie.apply(sight, effects),
            Self::Jwt(jwt) => jwt.apply(sight, workshop, effects),
            // Boxed, so that finalizers that ask nobody do not carry room for it.
            Self::ClientCredentials(flow) => Box::pin(flow.apply(workshop, effects)).await,
        }
    }

    /// The header names it could set, in lower case.
    pub fn owned_headers(&self) -> Vec<String> {
        let names: Vec<&str> = match self {
            Self::Noop | Self::Cookie(_) => Vec::new(),
            Self::Header(header) => header.names().collect(),
            Self::Jwt(jwt) => vec![jwt.header_name()],
            Self::ClientCredentials(flow) => vec![flow.header_name()],
        };
        names.into_iter().map(str::to_ascii_lowercase).collect()
    }

    /// The cookie names it could set.
    pub fn owned_cookies(&self) -> Vec<String> {
        match self {
            Self::Cookie(cookie) => cookie.names().map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it may look at the body of the request.
    pub fn reads_body(&self) -> bool {
        match self {
            Self::Header(header) => header.reads_body(),
            Self::Cookie(cookie) => cookie.reads_body(),
            Self::Noop | Self::Jwt(_) | Self::ClientCredentials(_) => false,
        }
    }
}
