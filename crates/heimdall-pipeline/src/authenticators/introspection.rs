//! `oauth2_introspection`: asks the issuer about a token (RFC 7662).

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::url::encode_query;
use heimdall_finalizer::{Failure, Key, KeyParts, Kind, Scene, Scope};
use heimdall_token::Unverified;
use heimdall_types::Timestamp;
use serde_json::{Map, Value};

use crate::authenticators::Identity;
use crate::authenticators::assertions::{Assertions, well_formed};
use crate::authenticators::metadata::{Locator, Purpose};
use crate::authenticators::pick::SubjectPaths;
use crate::authenticators::source::Sources;
use crate::endpoint::Endpoint;
use crate::tools::Tools;

#[derive(Clone)]
pub(crate) struct Introspection {
    locator: Locator,
    assertions: Assertions,
    sources: Sources,
    subject: SubjectPaths,
    cache_ttl: Option<Duration>,
}

impl Introspection {
    pub(super) fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let locator = Locator::read(
            &mut fields,
            "introspection_endpoint",
            Purpose::Introspection,
            tools,
        );
        let assertions = fields
            .section("assertions")
            .map(Assertions::read)
            .unwrap_or_default();
        let sources = match fields.node("token_source") {
            Some(node) => Sources::read(
                node,
                &fields.at("token_source"),
                fields.strictness(),
                fields.issues(),
            ),
            None => Some(Sources::bearer()),
        };
        let subject = SubjectPaths::read(&mut fields, false);
        let cache_ttl = fields.duration("cache_ttl");
        fields.flag("allow_fallback_on_error");
        fields.close();
        Some(Self {
            locator: locator?,
            assertions,
            sources: sources?,
            subject: subject?,
            cache_ttl,
        })
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>, _tools: &Tools) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(section) = fields.section("assertions") {
            changed.assertions = Assertions::read(section).over(&self.assertions);
        }
        if let Some(ttl) = fields.duration("cache_ttl") {
            changed.cache_ttl = Some(ttl);
        }
        fields.flag("allow_fallback_on_error");
        fields.close();
        Some(changed)
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
            let failure =
                Failure::new(Kind::Authentication, "no access token present").caused_by(&cause);
            if cause.credential_is_absent() {
                failure.for_absent_credential()
            } else {
                failure
            }
        })?;
        let answer = self.answer(&token, tools).await?;
        Ok(Identity::of(self.subject.subject(&answer).map_err(
            |cause| {
                let message = "failed to extract subject information from introspection response";
                Failure::new(Kind::Internal, message).caused_by(&cause)
            },
        )?))
    }

    async fn answer(&self, token: &str, tools: &Tools) -> Result<Arc<Value>, Failure> {
        let claims: Option<Map<String, Value>> = Unverified::parse(token)
            .ok()
            .and_then(|parsed| serde_json::from_slice(parsed.payload()).ok());
        let issuer = claims.as_ref().and_then(|claims| claims.get("iss"));
        let (endpoint, discovered) = self
            .locator
            .find(Purpose::Introspection, issuer, tools)
            .await?;
        let form = encode_query([("token", token), ("token_type_hint", "access_token")]);
        let request = endpoint.request(
            &Scope {
                issuer,
                ..Scope::default()
            },
            Some(form),
        )?;
        let cached = self.cache_ttl != Some(Duration::ZERO);
        let key = cached.then(|| self.key(&endpoint, &request.url, token));
        if let Some(known) = key.as_ref().and_then(|key| tools.answers.get(key)) {
            return Ok(known);
        }
        let answer = tools
            .caller
            .call(&endpoint, request, "introspection endpoint")
            .await?;
        if !(200..300).contains(&answer.status) {
            return Err(Failure::new(
                Kind::Communication,
                format!("unexpected response code: {}", answer.status),
            ));
        }
        let garbage = || {
            Failure::new(
                Kind::Internal,
                "failed to unmarshal received introspection response",
            )
        };
        let answer: Value = serde_json::from_slice(&answer.body).map_err(|_| garbage())?;
        let members = answer
            .as_object()
            .filter(|members| well_formed(members))
            .ok_or_else(garbage)?;
        let now = tools.deps.clock.now();
        let expires = self.check(members, discovered, now)?;
        let answer = Arc::new(answer);
        if let (Some(key), Some(until)) = (key, self.keep_until(expires, now)) {
            tools.answers.put(key, answer.clone(), until);
        }
        Ok(answer)
    }

    fn check(
        &self,
        members: &Map<String, Value>,
        discovered: Option<String>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Failure> {
        let refused = |message: String| {
            let message = format!("access token does not satisfy assertion conditions: {message}");
            Failure::new(Kind::Authentication, message)
        };
        if members.get("active") != Some(&Value::Bool(true)) {
            return Err(refused("token is not active".to_owned()));
        }
        let mut assertions = self.assertions.clone();
        // naming the issuer is optional (RFC 7662 §2.2); one that is named must be the one that was asked
        if let (Some(issuer), true) = (
            discovered.filter(|issuer| !issuer.is_empty()),
            members.contains_key("iss"),
        ) {
            assertions = assertions.over(&Assertions {
                issuers: vec![issuer],
                ..Assertions::default()
            });
        }
        assertions.check(members, now).map_err(refused)
    }

    fn key(&self, endpoint: &Endpoint, url: &str, token: &str) -> Key {
        let mut key = KeyParts::new("introspection");
        endpoint.add_to(&mut key);
        self.assertions.add_to(&mut key);
        key.add(
            &self
                .cache_ttl
                .map_or(u128::MAX, |ttl| ttl.as_nanos())
                .to_le_bytes(),
        );
        key.part(url.as_bytes()).part(token.as_bytes()).digest()
    }

    /// The shorter of `cache_ttl` and the token's life less ten seconds; an answer that tells no end is kept for
    /// `cache_ttl` alone.
    fn keep_until(&self, expires: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let own = expires.map(|expires| expires.minus(Duration::from_secs(10)));
        let set = self.cache_ttl.map(|ttl| now.plus(ttl));
        match (own, set) {
            (Some(own), Some(set)) => Some(own.min(set)),
            (own, set) => own.or(set),
        }
    }
}
