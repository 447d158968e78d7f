//! `remote`: asks a policy decision point.

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::Fields;
use heimdall_finalizer::{
    Effects, Failure, HttpResponse, Key, KeyParts, Kind, Scope, Sight, Text, ValueTemplates,
    Values, decode_body, is_token, read_values,
};
use serde_json::{Value, json};

use crate::authorizers::expressions::Expressions;
use crate::endpoint::Endpoint;
use crate::expression::Facts;
use crate::tools::Tools;

#[derive(Clone)]
pub(crate) struct Remote {
    endpoint: Endpoint,
    payload: Option<Text>,
    expressions: Expressions,
    forward: Vec<Arc<str>>,
    cache_ttl: Duration,
    values: ValueTemplates,
}

impl Remote {
    pub(super) fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let endpoint = fields.required("endpoint").and_then(|node| {
            Endpoint::read(
                node,
                &fields.at("endpoint"),
                fields.strictness(),
                tools,
                fields.issues(),
            )
        });
        let payload = tools.text(&mut fields, "payload");
        let no_headers = endpoint
            .as_ref()
            .is_some_and(|endpoint| endpoint.headers.is_empty());
        if no_headers
            && payload
                .as_ref()
                .is_none_or(|payload| payload.source().is_empty())
        {
            fields.issues().note(
                fields.line(),
                fields.path(),
                "`payload` is missing, and the endpoint has no headers",
            );
        }
        let expressions = Expressions::read(&mut fields).unwrap_or_default();
        let forward = forwarded(&mut fields).unwrap_or_default();
        let cache_ttl = fields.duration("cache_ttl").unwrap_or_default();
        let values = read_values(&mut fields, "values", &tools.workshop);
        fields.close();
        Some(Self {
            endpoint: endpoint?,
            payload,
            expressions,
            forward,
            cache_ttl,
            values,
        })
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(payload) = tools.text(&mut fields, "payload") {
            changed.payload = Some(payload);
        }
        if let Some(expressions) = Expressions::read(&mut fields) {
            changed.expressions = expressions;
        }
        if let Some(forward) = forwarded(&mut fields).filter(|forward| !forward.is_empty()) {
            changed.forward = forward;
        }
        if let Some(ttl) = fields.duration("cache_ttl").filter(|ttl| !ttl.is_zero()) {
            changed.cache_ttl = ttl;
        }
        changed.values = self
            .values
            .merged(&read_values(&mut fields, "values", &tools.workshop));
        fields.close();
        Some(changed)
    }

    pub(super) fn forwarded(&self) -> &[Arc<str>] {
        &self.forward
    }

    pub(super) fn reads_body(&self) -> bool {
        self.values.reads_body() || self.payload.as_ref().is_some_and(Text::reads_body)
    }

    pub(super) async fn authorize(
        &self,
        step: &str,
        sight: Sight<'_>,
        tools: &Tools,
        effects: &mut Effects,
    ) -> Result<Option<Value>, Failure> {
        let prepared = self.prepare(sight)?;
        let key = (!self.cache_ttl.is_zero()).then(|| self.key(step, sight, &prepared));
        let known = key.as_ref().and_then(|key| tools.answers.get(key));
        let answer = match known {
            Some(known) => known,
            None => {
                let answer = Arc::new(self.ask(prepared, tools).await?);
                if let Some(key) = key {
                    tools.answers.put(
                        key,
                        answer.clone(),
                        tools.deps.clock.now().plus(self.cache_ttl),
                    );
                }
                answer
            }
        };
        for name in &self.forward {
            let value = answer
                .get("headers")
                .and_then(|headers| headers.get(name.to_ascii_lowercase()));
            if let Some(value) = value
                .and_then(Value::as_str)
                .filter(|value| !value.is_empty())
            {
                effects.add_header(name, value);
            }
        }
        Ok(answer
            .get("payload")
            .filter(|payload| !payload.is_null())
            .cloned())
    }

    fn prepare(&self, sight: Sight<'_>) -> Result<Prepared, Failure> {
        let values = self.values.render(&sight.scope())?;
        let scope = Scope {
            values: Some(&values),
            ..sight.scope()
        };
        let payload = self
            .payload
            .as_ref()
            .map(|payload| payload.render(&scope))
            .transpose()?
            .unwrap_or_default();
        let request = self.endpoint.request(
            &Scope {
                request: None,
                ..scope
            },
            Some(payload),
        )?;
        Ok(Prepared { values, request })
    }

    fn key(&self, step: &str, sight: Sight<'_>, prepared: &Prepared) -> Key {
        let mut key = KeyParts::new("remote").part(step.as_bytes());
        self.endpoint.add_to(&mut key);
        key.add_all(self.expressions.sources().collect::<Vec<_>>().into_iter());
        key.add_all(self.forward.iter().map(|name| &**name));
        key.add(&self.cache_ttl.as_nanos().to_le_bytes());
        add_request(&mut key, &prepared.request);
        key.add(sight.subject.id.as_bytes());
        key.add_map(&sight.subject.attributes);
        for (name, value) in &prepared.values {
            key.add(name.as_bytes());
            key.add(value.as_bytes());
        }
        key.digest()
    }

    async fn ask(&self, prepared: Prepared, tools: &Tools) -> Result<Value, Failure> {
        let answer = tools
            .caller
            .call(&self.endpoint, prepared.request, "authorization endpoint")
            .await?;
        if !(200..300).contains(&answer.status) {
            let message = format!(
                "authorization failed based on received response code: {}",
                answer.status
            );
            return Err(Failure::new(Kind::Authorization, message));
        }
        let payload = payload(&answer)?;
        self.expressions.check(&Facts {
            payload: Some(&payload),
            ..Facts::default()
        })?;
        let headers: serde_json::Map<String, Value> = answer
            .headers
            .iter()
            .rev()
            .filter(|(name, _)| {
                self.forward
                    .iter()
                    .any(|wanted| wanted.eq_ignore_ascii_case(name))
            })
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        Ok(json!({ "headers": headers, "payload": payload }))
    }
}

struct Prepared {
    values: Values,
    request: heimdall_finalizer::HttpRequest,
}

/// Everything of a rendered request.
pub(crate) fn add_request(key: &mut KeyParts, request: &heimdall_finalizer::HttpRequest) {
    key.add(request.method.as_bytes());
    key.add(request.url.as_bytes());
    key.add(&request.body);
    for (name, value) in &request.headers {
        key.add(name.as_bytes());
        key.add(value.as_bytes());
    }
}

/// A decoded answer; nothing for an empty one, text for one of an unknown type.
pub(crate) fn payload(answer: &HttpResponse) -> Result<Value, Failure> {
    if answer.body.is_empty() {
        return Ok(Value::Null);
    }
    match decode_body(
        answer.header("content-type").unwrap_or_default(),
        &answer.body,
    ) {
        Some(decoded) => {
            decoded.map_err(|_| Failure::new(Kind::Internal, "failed to unmarshal response"))
        }
        None => Ok(Value::String(
            String::from_utf8_lossy(&answer.body).into_owned(),
        )),
    }
}

fn forwarded(fields: &mut Fields<'_>) -> Option<Vec<Arc<str>>> {
    let names = fields.texts("forward_response_headers_to_upstream")?;
    for name in &names {
        if !is_token(name) {
            fields.wrong(
                "forward_response_headers_to_upstream",
                format!("`{name}` is no legal header name"),
            );
        }
    }
    Some(names.into_iter().map(Arc::from).collect())
}
