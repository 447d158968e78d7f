//! `generic`: asks an endpoint who a credential belongs to.

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{Failure, Key, KeyParts, Kind, Scene, Scope, Text};
use serde_json::Value;

use crate::authenticators::Identity;
use crate::authenticators::lifespan::LifespanPaths;
use crate::authenticators::pick::SubjectPaths;
use crate::authenticators::source::Sources;
use crate::endpoint::{Endpoint, add_cookie};
use crate::tools::Tools;

#[derive(Clone)]
pub(crate) struct Generic {
    endpoint: Endpoint,
    sources: Sources,
    forward_headers: Vec<String>,
    forward_cookies: Vec<String>,
    payload: Option<Text>,
    subject: SubjectPaths,
    lifespan: Option<LifespanPaths>,
    cache_ttl: Duration,
}

impl Generic {
    pub(super) fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let endpoint = fields.required("identity_info_endpoint").and_then(|node| {
            let at = fields.at("identity_info_endpoint");
            Endpoint::read(node, &at, fields.strictness(), tools, fields.issues())
        });
        let sources = fields
            .required("authentication_data_source")
            .and_then(|node| {
                Sources::read(
                    node,
                    &fields.at("authentication_data_source"),
                    fields.strictness(),
                    fields.issues(),
                )
            });
        let forward_headers = fields.texts("forward_headers").unwrap_or_default();
        let forward_cookies = fields.texts("forward_cookies").unwrap_or_default();
        let payload = tools.text(&mut fields, "payload");
        let subject = SubjectPaths::read(&mut fields, true);
        let lifespan = fields.section("session_lifespan").map(LifespanPaths::read);
        let cache_ttl = fields.duration("cache_ttl").unwrap_or_default();
        fields.flag("allow_fallback_on_error");
        fields.close();
        Some(Self {
            endpoint: endpoint?,
            sources: sources?,
            forward_headers,
            forward_cookies,
            payload,
            subject: subject?,
            lifespan,
            cache_ttl,
        })
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(ttl) = fields.duration("cache_ttl") {
            changed.cache_ttl = ttl;
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
        let credential = self.sources.find(scene).map_err(|cause| {
            let failure = Failure::new(
                Kind::Authentication,
                "failed to get authentication data from request",
            );
            let absent = cause.credential_is_absent();
            let failure = failure.caused_by(&cause);
            if absent {
                failure.for_absent_credential()
            } else {
                failure
            }
        })?;
        let answer = self.answer(scene, &credential, tools).await?;
        Ok(Identity::of(self.subject.subject(&answer).map_err(
            |cause| {
                Failure::new(
                    Kind::Internal,
                    "failed to extract subject information from response",
                )
                .caused_by(&cause)
            },
        )?))
    }

    async fn answer(
        &self,
        scene: &Scene<'_>,
        credential: &str,
        tools: &Tools,
    ) -> Result<Arc<Value>, Failure> {
        let key = (!self.cache_ttl.is_zero()).then(|| self.key(scene, credential));
        if let Some(known) = key.as_ref().and_then(|key| tools.answers.get(key)) {
            return Ok(known);
        }
        let answer = Arc::new(self.ask(scene, credential, tools).await?);
        let now = tools.deps.clock.now();
        let ends = match &self.lifespan {
            Some(lifespan) => lifespan.check(&answer, now)?,
            None => None,
        };
        if let Some(key) = key {
            // a session is not believed in its last seconds, so that it is still alive when it is used
            let own = ends.map(|end| end.minus(Duration::from_secs(10)));
            let until = now.plus(self.cache_ttl);
            tools
                .answers
                .put(key, answer.clone(), own.map_or(until, |own| own.min(until)));
        }
        Ok(answer)
    }

    fn key(&self, scene: &Scene<'_>, credential: &str) -> Key {
        let mut key = KeyParts::new("generic authenticator");
        self.endpoint.add_to(&mut key);
        key.add_all(self.subject.key().into_iter());
        if let Some(lifespan) = &self.lifespan {
            lifespan.add_to(&mut key);
        }
        key.add(&self.cache_ttl.as_nanos().to_le_bytes());
        key.add(self.payload.as_ref().map_or("", Text::source).as_bytes());
        key.add(credential.as_bytes());
        for name in &self.forward_headers {
            key.add(name.as_bytes());
            key.add(scene.request.header(name).as_bytes());
        }
        for name in &self.forward_cookies {
            key.add(name.as_bytes());
            key.add(scene.request.cookie(name).as_bytes());
        }
        key.digest()
    }

    async fn ask(
        &self,
        scene: &Scene<'_>,
        credential: &str,
        tools: &Tools,
    ) -> Result<Value, Failure> {
        let request = {
            let scope = Scope {
                credential: Some(credential),
                ..Scope::default()
            };
            let payload = self
                .payload
                .as_ref()
                .map(|payload| payload.render(&scope))
                .transpose()?;
            let mut request = self.endpoint.request(&scope, payload)?;
            for name in &self.forward_headers {
                let value = scene.request.header(name);
                if !value.is_empty() {
                    request.headers.push((name.clone(), value));
                }
            }
            for name in &self.forward_cookies {
                let value = scene.request.cookie(name);
                if !value.is_empty() {
                    add_cookie(&mut request, name, &value);
                }
            }
            request
        };
        let answer = tools
            .caller
            .call(
                &self.endpoint,
                request,
                "endpoint to get information about the user",
            )
            .await?;
        match answer.status {
            401 | 403 => Err(Failure::new(
                Kind::Authentication,
                "received authentication data rejected",
            )),
            200..300 => Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null)),
            status => Err(Failure::new(
                Kind::Communication,
                format!("unexpected response code: {status}"),
            )),
        }
    }
}
