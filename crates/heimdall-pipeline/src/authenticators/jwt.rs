//! `jwt`: verifies tokens with the keys of their issuer.

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{Failure, Key, KeyParts, Kind, Scene, Scope};
use heimdall_token::{Algorithm, TrustStore, Unverified};
use heimdall_types::Timestamp;
use serde_json::{Map, Value};

use crate::authenticators::Identity;
use crate::authenticators::assertions::Assertions;
use crate::authenticators::metadata::{Locator, Purpose};
use crate::authenticators::pick::SubjectPaths;
use crate::authenticators::source::Sources;
use crate::endpoint::Endpoint;
use crate::tokens::{IssuerKey, KeySet, KeySource, Verified};
use crate::tools::Tools;
use crate::trust;

const DEFAULT_TTL: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub(crate) struct JwtAuthenticator {
    locator: Locator,
    assertions: Assertions,
    sources: Sources,
    subject: SubjectPaths,
    cache_ttl: Option<Duration>,
    certificates: Certificates,
    fixed: KeyParts,
}

/// What certificates of issuers' keys must be.
#[derive(Clone)]
enum Certificates {
    Ignored,
    Trusted(TrustStore),
}

impl JwtAuthenticator {
    pub(super) fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let locator = Locator::read(&mut fields, "jwks_endpoint", Purpose::Keys, tools);
        let given = fields.node("assertions").is_some();
        let assertions = fields
            .section("assertions")
            .map(Assertions::read)
            .unwrap_or_default();
        if locator.as_ref().is_some_and(Locator::is_fixed) {
            if !given {
                fields
                    .issues()
                    .note(fields.line(), fields.path(), "`assertions` is missing");
            } else if assertions.issuers.is_empty() {
                fields.wrong(
                    "assertions",
                    "`issuers` is required where a JWKS endpoint is used",
                );
            }
        }
        let sources = match fields.node("jwt_source") {
            Some(node) => Sources::read(
                node,
                &fields.at("jwt_source"),
                fields.strictness(),
                fields.issues(),
            ),
            None => Some(Sources::bearer()),
        };
        let subject = SubjectPaths::read(&mut fields, false);
        let cache_ttl = fields.duration("cache_ttl");
        fields.flag("allow_fallback_on_error");
        let validate = fields.flag("validate_jwk").unwrap_or(true);
        let mut certificates = if validate {
            Certificates::Trusted(TrustStore::default())
        } else {
            Certificates::Ignored
        };
        if let Some(path) = fields.text("trust_store") {
            match tools
                .deps
                .files
                .read(path)
                .and_then(|bytes| trust::parse(&bytes))
            {
                Ok(store) if validate => certificates = Certificates::Trusted(store),
                Ok(_) => {}
                Err(message) => fields.wrong("trust_store", message),
            }
        }
        fields.close();
        let jwt = Self {
            locator: locator?,
            assertions,
            sources: sources?,
            subject: subject?,
            cache_ttl,
            certificates,
            fixed: KeyParts::default(),
        };
        Some(jwt.with_fixed_key())
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(section) = fields.section("assertions") {
            changed.assertions = Assertions::read(section).over(&self.assertions);
        }
        if let Some(ttl) = fields.duration("cache_ttl") {
            changed.cache_ttl = Some(ttl);
        }
        fields.flag("allow_fallback_on_error");
        fields.close();
        Some(changed.with_fixed_key())
    }

    /// Everything a verified token depends on besides the token and the keys.
    fn with_fixed_key(mut self) -> Self {
        let mut key = KeyParts::new("jwt authenticator");
        self.locator.add_to(&mut key);
        self.assertions.add_to(&mut key);
        key.add_all(self.subject.key().into_iter());
        if let Certificates::Trusted(store) = &self.certificates {
            key.add(&trust::digest(store));
        }
        self.fixed = key;
        self
    }

    pub(super) fn reads_body(&self) -> bool {
        self.sources.reads_body()
    }

    pub(super) async fn authenticate(
        &self,
        scene: &Scene<'_>,
        tools: &Tools,
    ) -> Result<Identity, Failure> {
        let token = self.sources.find(scene).map_err(|cause| {
            let failure = Failure::new(Kind::Authentication, "no JWT present").caused_by(&cause);
            if cause.credential_is_absent() {
                failure.for_absent_credential()
            } else {
                failure
            }
        })?;
        let now = tools.deps.clock.now();
        let cached = self.cache_ttl != Some(Duration::ZERO) && !tools.no_cache;
        let known = cached.then(|| self.key(&token));
        if let Some(verified) = known.as_ref().and_then(|key| tools.tokens.known(key, now)) {
            return Ok(Identity {
                subject: verified.subject.clone(),
                issuer: None,
            });
        }
        Box::pin(self.verify(&token, known, tools)).await
    }

    fn key(&self, token: &str) -> Key {
        self.fixed.clone().part(token.as_bytes()).digest()
    }

    async fn verify(
        &self,
        token: &str,
        known: Option<Key>,
        tools: &Tools,
    ) -> Result<Identity, Failure> {
        let malformed = |message: &str| {
            Failure::new(
                Kind::Authentication,
                format!("failed to parse JWT: {message}"),
            )
            .and(Kind::Argument)
        };
        let parsed = Unverified::parse(token).map_err(|error| malformed(&error.to_string()))?;
        let algorithm = parsed
            .algorithm()
            .map_err(|error| malformed(&error.to_string()))?;
        if ["crit", "b64"]
            .iter()
            .any(|member| parsed.header(member).is_some())
        {
            return Err(malformed("the header demands what is not known"));
        }
        let kid = match parsed.header("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.as_str()).filter(|kid| !kid.is_empty()),
            Some(_) => return Err(malformed("`kid` is no text")),
        };
        let claims: Map<String, Value> = serde_json::from_slice(parsed.payload())
            .map_err(|_| Failure::new(Kind::Authentication, "the claims are no JSON object"))?;
        let issuer = claims.get("iss");
        let (endpoint, discovered) = self.locator.find(Purpose::Keys, issuer, tools).await?;
        let assertions = match discovered {
            Some(issuer) if !issuer.is_empty() => self.assertions.clone().over(&Assertions {
                issuers: vec![issuer],
                ..Assertions::default()
            }),
            _ => self.assertions.clone(),
        };
        let request = endpoint.request(
            &Scope {
                issuer,
                ..Scope::default()
            },
            None,
        )?;
        let mut source_key = KeyParts::new("jwks");
        endpoint.add_to(&mut source_key);
        let source = tools
            .tokens
            .source(source_key.part(request.url.as_bytes()).digest());
        let ttl = self.cache_ttl.unwrap_or(DEFAULT_TTL);
        let fetch = Fetch {
            source: &source,
            endpoint: &endpoint,
            request,
            ttl,
            tools,
        };
        let now = tools.deps.clock.now();
        let keys = match kid {
            Some(kid) => {
                self.verify_named(&parsed, algorithm, kid, &fetch, &assertions)
                    .await?
            }
            None => {
                self.verify_unnamed(&parsed, algorithm, &fetch, &assertions)
                    .await?
            }
        };
        let expires = assertions.check(&claims, now).map_err(|message| {
            Failure::new(
                Kind::Authentication,
                format!("access token does not satisfy assertion conditions: {message}"),
            )
        })?;
        let subject = self
            .subject
            .subject(&Value::Object(claims))
            .map_err(|cause| {
                Failure::new(
                    Kind::Internal,
                    "failed to extract subject information from jwt",
                )
                .caused_by(&cause)
            })?;
        let subject = Arc::new(subject);
        if let Some(known) = known {
            let until = expires.map_or(keys.until(), |expires| {
                expires.plus(assertions.leeway()).min(keys.until())
            });
            let verified = Verified {
                subject: subject.clone(),
                keys: source.clone(),
                version: keys.version(),
            };
            tools.tokens.keep(known, verified, until);
        }
        Ok(Identity {
            subject,
            issuer: None,
        })
    }

    async fn verify_named(
        &self,
        token: &Unverified<'_>,
        algorithm: Algorithm,
        kid: &str,
        fetch: &Fetch<'_>,
        assertions: &Assertions,
    ) -> Result<Arc<KeySet>, Failure> {
        let refused = |message: String| Failure::new(Kind::Authentication, message);
        let mut keys = fetch.keys().await?;
        if keys.named(kid).is_empty()
            && let Some(again) = fetch.again().await?
        {
            keys = again;
        }
        let key = match keys.named(kid).as_slice() {
            [one] => *one,
            _ => {
                return Err(refused(format!(
                    "no (unique) key found for the keyID='{kid}' referenced in the JWT"
                )));
            }
        };
        self.certificate_fits(key, fetch.tools.deps.clock.now())
            .map_err(|message| refused(format!("JWK for keyID={kid} is invalid: {message}")))?;
        self.signature_fits(token, algorithm, key, assertions)
            .map_err(refused)?;
        Ok(keys)
    }

    async fn verify_unnamed(
        &self,
        token: &Unverified<'_>,
        algorithm: Algorithm,
        fetch: &Fetch<'_>,
        assertions: &Assertions,
    ) -> Result<Arc<KeySet>, Failure> {
        let keys = fetch.keys().await?;
        let now = fetch.tools.deps.clock.now();
        let fits = |key: &IssuerKey| {
            self.certificate_fits(key, now).is_ok()
                && self
                    .signature_fits(token, algorithm, key, assertions)
                    .is_ok()
        };
        if keys.keys.iter().any(fits) {
            return Ok(keys);
        }
        let message =
            "None of the keys received from the JWKS endpoint could be used to verify the JWT";
        Err(Failure::new(Kind::Authentication, message))
    }

    /// The algorithm is the key's, never the token's.
    fn signature_fits(
        &self,
        token: &Unverified<'_>,
        algorithm: Algorithm,
        key: &IssuerKey,
        assertions: &Assertions,
    ) -> Result<(), String> {
        let declared = key.algorithm.as_deref().unwrap_or_default();
        if declared != algorithm.as_str() {
            return Err(
                "algorithm in the JWT header does not match the algorithm referenced in the key"
                    .to_owned(),
            );
        }
        if !assertions.allows(declared) {
            return Err(format!("{declared} algorithm is not allowed"));
        }
        match &key.key {
            Some(key) if token.verify_signature(key, algorithm) => Ok(()),
            _ => Err("failed to verify JWT signature".to_owned()),
        }
    }

    fn certificate_fits(&self, key: &IssuerKey, now: Timestamp) -> Result<(), String> {
        match &self.certificates {
            Certificates::Trusted(store) if !key.certificates.is_empty() => {
                trust::check(store, &key.certificates, now)
            }
            _ => Ok(()),
        }
    }
}

/// How keys are fetched for one token.
struct Fetch<'a> {
    source: &'a Arc<KeySource>,
    endpoint: &'a Endpoint,
    request: heimdall_finalizer::HttpRequest,
    ttl: Duration,
    tools: &'a Tools,
}

impl Fetch<'_> {
    async fn keys(&self) -> Result<Arc<KeySet>, Failure> {
        let (caller, clock) = (&self.tools.caller, &self.tools.deps.clock);
        self.source
            .keys(self.endpoint, self.request.clone(), caller, self.ttl, clock)
            .await
    }

    async fn again(&self) -> Result<Option<Arc<KeySet>>, Failure> {
        let (caller, clock) = (&self.tools.caller, &self.tools.deps.clock);
        self.source
            .keys_again(self.endpoint, self.request.clone(), caller, self.ttl, clock)
            .await
    }
}
