//! `heimdall`: verifies tokens of our own API, locally, and judges by the live authority.

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::{Fields, Node, NodeKind, Strictness};
use heimdall_finalizer::{Failure, Key, KeyParts, Kind, Scene, Scope, Subject};
use heimdall_token::Unverified;
use heimdall_types::Timestamp;
use serde_json::{Map, Value};

use crate::authenticators::assertions::Assertions;
use crate::authenticators::source::Sources;
use crate::authenticators::{Identity, Issued};
use crate::endpoint::Endpoint;
use crate::ports::{Bearer, Liveness, Standing};
use crate::tokens::Verified;
use crate::tools::Tools;

const DEFAULT_TTL: Duration = Duration::from_secs(300);

pub(crate) struct HeimdallAuthenticator {
    keys: Endpoint,
    jwks_ttl: Duration,
    app: Option<String>,
    liveness: Arc<dyn Liveness>,
    sources: Sources,
    fixed: KeyParts,
}

impl HeimdallAuthenticator {
    pub(super) fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let apis = tools.deps.apis.as_ref();
        let api = fields
            .text("api")
            .map(str::to_owned)
            .or_else(|| apis?.default_api());
        let app = fields
            .text("app")
            .filter(|app| !app.is_empty())
            .map(str::to_owned);
        let jwks_ttl = fields.duration("jwks_ttl").unwrap_or(DEFAULT_TTL);
        if api.is_none() {
            fields
                .issues()
                .note(fields.line(), fields.path(), "`api` is missing");
        }
        let keys = api.as_deref().and_then(|api| {
            let node = Node {
                line: fields.line(),
                kind: NodeKind::Text(jwks_url(api)),
            };
            Endpoint::read(
                &node,
                &fields.at("api"),
                Strictness::CATALOGUE,
                tools,
                fields.issues(),
            )
        });
        if apis.is_none() {
            fields.issues().note(
                fields.line(),
                fields.path(),
                "`heimdall` is not available here",
            );
        }
        fields.close();
        let (api, keys) = (
            api?,
            keys?.with_defaults("GET", &[("Accept", "application/json")], tools),
        );
        let liveness = apis?.liveness(&base(&api), app.as_deref());
        let mut fixed = KeyParts::new("heimdall authenticator");
        keys.add_to(&mut fixed);
        fixed.add(app.as_deref().unwrap_or_default().as_bytes());
        Some(Self {
            keys,
            jwks_ttl,
            app,
            liveness,
            sources: Sources::authorization(),
            fixed,
        })
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
        let now = tools.deps.clock.now();
        let key = self.fixed.clone().part(token.as_bytes()).digest();
        let subject = match tools.tokens.known(&key, now) {
            Some(verified) => verified.subject.clone(),
            None => self.verify(&token, key, now, tools).await?,
        };
        self.live(subject).await
    }

    async fn verify(
        &self,
        token: &str,
        key: Key,
        now: Timestamp,
        tools: &Tools,
    ) -> Result<Arc<Subject>, Failure> {
        let refused = |message: &str| Failure::new(Kind::Authentication, message);
        let parsed = Unverified::parse(token)
            .map_err(|error| refused(&error.to_string()).and(Kind::Argument))?;
        if ["crit", "b64", "jku", "jwk", "x5u", "x5c"]
            .iter()
            .any(|member| parsed.header(member).is_some())
        {
            return Err(refused("the header demands what is not known"));
        }
        if parsed.typ().as_deref() != Some("at+jwt") {
            return Err(refused("this is no access token"));
        }
        let kid = parsed
            .kid()
            .ok()
            .flatten()
            .ok_or_else(|| refused("the token names no key"))?;
        let request = self.keys.request(&Scope::default(), None)?;
        let mut source_key = KeyParts::new("jwks");
        self.keys.add_to(&mut source_key);
        let source = tools
            .tokens
            .source(source_key.part(request.url.as_bytes()).digest());
        let (caller, clock) = (&tools.caller, &tools.deps.clock);
        let mut keys = source
            .keys(&self.keys, request.clone(), caller, self.jwks_ttl, clock)
            .await?;
        if keys.named(kid).is_empty()
            && let Some(again) = source
                .keys_again(&self.keys, request, caller, self.jwks_ttl, clock)
                .await?
        {
            keys = again;
        }
        let named = keys.named(kid);
        let key_of_token = match named.as_slice() {
            [one] => one.key.as_ref(),
            _ => None,
        };
        let public = key_of_token.ok_or_else(|| refused("the token's key is not known"))?;
        if !parsed.verify_signature(public, public.algorithm()) {
            return Err(refused("the signature does not hold"));
        }
        let claims: Map<String, Value> = serde_json::from_slice(parsed.payload())
            .map_err(|_| refused("the claims are no JSON object"))?;
        let any = Assertions::default();
        let expires = any
            .check(&claims, now)
            .map_err(|message| refused(&message))?;
        let expires = expires.ok_or_else(|| refused("the token has no end"))?;
        let text = |name: &str| {
            claims
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        let app = text("app_id").ok_or_else(|| refused("the token is of no App"))?;
        if self
            .app
            .as_deref()
            .is_some_and(|wanted| wanted != app && !has_audience(&claims, wanted))
        {
            return Err(refused("the token is of another App"));
        }
        let id = text("sub")
            .ok_or_else(|| refused("the token names nobody"))?
            .to_owned();
        let subject = Arc::new(Subject {
            id,
            attributes: claims,
        });
        let verified = Verified {
            subject: subject.clone(),
            keys: source.clone(),
            version: keys.version(),
        };
        tools
            .tokens
            .keep(key, verified, expires.plus(any.leeway()).min(keys.until()));
        Ok(subject)
    }

    /// The subject with the authority it has now.
    async fn live(&self, subject: Arc<Subject>) -> Result<Identity, Failure> {
        let text = |name: &str| subject.attributes.get(name).and_then(Value::as_str);
        let app = text("app_id").unwrap_or_default();
        let issued_at = subject
            .attributes
            .get("iat")
            .and_then(Value::as_f64)
            .unwrap_or_default();
        let bearer = Bearer {
            app,
            subject: &subject.id,
            session: text("sid"),
            client: text("client_id"),
            issued_at: Timestamp::from_millis((issued_at * 1000.0) as i64),
        };
        let issuer = Some(Issued {
            app: app.into(),
            liveness: self.liveness.clone(),
        });
        let standing = match self.liveness.standing(&bearer) {
            Standing::Unknown => self.liveness.standing_after_news(&bearer).await,
            known => known,
        };
        match standing {
            Standing::Current => Ok(Identity { subject, issuer }),
            Standing::Live { roles, permissions } => {
                let mut changed = (*subject).clone();
                changed
                    .attributes
                    .insert("roles".to_owned(), roles.to_vec().into());
                changed
                    .attributes
                    .insert("permissions".to_owned(), permissions.to_vec().into());
                Ok(Identity {
                    subject: Arc::new(changed),
                    issuer,
                })
            }
            Standing::Revoked => Err(Failure::new(
                Kind::Authentication,
                "the session or its user is revoked",
            )),
            Standing::Unknown => Err(Failure::new(
                Kind::Communication,
                "changes of authorisation have not been heard of lately",
            )),
        }
    }
}

fn has_audience(claims: &Map<String, Value>, app: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(one)) => one == app,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(app)),
        _ => false,
    }
}

/// The base address with its prefix: `/heimdall` where none is named.
fn base(api: &str) -> String {
    let api = api.trim_end_matches('/');
    let has_path = api
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains('/'));
    if has_path {
        api.to_owned()
    } else {
        format!("{api}/heimdall")
    }
}

fn jwks_url(api: &str) -> String {
    format!("{}/v1/.well-known/jwks.json", base(api))
}
