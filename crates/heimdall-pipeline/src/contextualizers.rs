//! What else is to be known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::{Fields, Issues, Node, Strictness};
use heimdall_finalizer::{
    Failure, Key, KeyParts, Kind, Scope, Sight, Text, ValueTemplates, Values, read_values,
};
use serde_json::{Value, json};

use crate::authorizers::{add_request, payload};
use crate::endpoint::{Endpoint, add_cookie};
use crate::tools::Tools;

const DEFAULT_TTL: Duration = Duration::from_secs(10);

/// A contextualizer of the catalogue, or one with a rule's overrides.
#[derive(Clone)]
pub(crate) enum Contextualizer {
    Generic(Arc<Generic>),
    Map(Arc<Map>),
}

pub(crate) const TYPES: [&str; 2] = ["generic", "map"];

/// `generic`: asks an endpoint.
#[derive(Clone)]
pub(crate) struct Generic {
    endpoint: Endpoint,
    forward_headers: Vec<String>,
    forward_cookies: Vec<String>,
    payload: Option<Text>,
    cache_ttl: Duration,
    continue_on_error: bool,
    values: ValueTemplates,
}

/// `map`: renders templates.
#[derive(Clone)]
pub(crate) struct Map {
    items: ValueTemplates,
    values: ValueTemplates,
}

impl Contextualizer {
    pub(crate) fn build(
        kind: &str,
        config: Option<&Node>,
        line: usize,
        path: &str,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        let Some(config) = config else {
            issues.note(
                line,
                path,
                format!("a contextualizer `{kind}` needs a configuration"),
            );
            return None;
        };
        let mut fields = Fields::open(config, path, Strictness::CATALOGUE, issues)?;
        match kind {
            "generic" => {
                Generic::build(fields, tools).map(|generic| Self::Generic(Arc::new(generic)))
            }
            "map" => {
                fields.required("items");
                let items = read_values(&mut fields, "items", &tools.workshop);
                let values = read_values(&mut fields, "values", &tools.workshop);
                fields.close();
                Some(Self::Map(Arc::new(Map { items, values })))
            }
            _ => {
                issues.unknown(line, path, kind, TYPES);
                None
            }
        }
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
            Self::Generic(generic) => generic
                .overridden(fields, tools)
                .map(|made| Self::Generic(Arc::new(made))),
            Self::Map(map) => {
                let values =
                    map.values
                        .merged(&read_values(&mut fields, "values", &tools.workshop));
                fields.close();
                Some(Self::Map(Arc::new(Map {
                    items: map.items.clone(),
                    values,
                })))
            }
        }
    }

    /// What is found out, to be known under the id of the step.
    pub(crate) async fn contextualize(
        &self,
        step: &str,
        sight: Sight<'_>,
        tools: &Tools,
    ) -> Result<Option<Value>, Failure> {
        match self {
            Self::Map(map) => map.render(sight).map(Some),
            Self::Generic(generic) => Box::pin(generic.ask(step, sight, tools)).await,
        }
    }

    /// Whether the pipeline goes on when it fails.
    pub(crate) fn continues_on_error(&self) -> bool {
        matches!(self, Self::Generic(generic) if generic.continue_on_error)
    }

    /// Whether it may look at the body of the request.
    pub(crate) fn reads_body(&self) -> bool {
        match self {
            Self::Generic(generic) => {
                generic.values.reads_body()
                    || generic.payload.as_ref().is_some_and(Text::reads_body)
            }
            Self::Map(map) => map.items.reads_body() || map.values.reads_body(),
        }
    }
}

impl Map {
    fn render(&self, sight: Sight<'_>) -> Result<Value, Failure> {
        let values = self.values.render(&sight.scope())?;
        let items: BTreeMap<String, String> = self.items.render(&Scope {
            values: Some(&values),
            ..sight.scope()
        })?;
        Ok(json!(items))
    }
}

impl Generic {
    fn build(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let endpoint = fields.required("endpoint").and_then(|node| {
            Endpoint::read(
                node,
                &fields.at("endpoint"),
                fields.strictness(),
                tools,
                fields.issues(),
            )
        });
        let forward_headers = fields.texts("forward_headers").unwrap_or_default();
        let forward_cookies = fields.texts("forward_cookies").unwrap_or_default();
        let payload = tools.text(&mut fields, "payload");
        let cache_ttl = fields.duration("cache_ttl").unwrap_or(DEFAULT_TTL);
        let continue_on_error = fields.flag("continue_pipeline_on_error").unwrap_or(false);
        let values = read_values(&mut fields, "values", &tools.workshop);
        fields.close();
        Some(Self {
            endpoint: endpoint?,
            forward_headers,
            forward_cookies,
            payload,
            cache_ttl,
            continue_on_error,
            values,
        })
    }

    fn overridden(&self, mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let mut changed = self.clone();
        if let Some(names) = fields
            .texts("forward_headers")
            .filter(|names| !names.is_empty())
        {
            changed.forward_headers = names;
        }
        if let Some(names) = fields
            .texts("forward_cookies")
            .filter(|names| !names.is_empty())
        {
            changed.forward_cookies = names;
        }
        if let Some(payload) = tools.text(&mut fields, "payload") {
            changed.payload = Some(payload);
        }
        if let Some(ttl) = fields.duration("cache_ttl") {
            changed.cache_ttl = ttl;
        }
        if let Some(flag) = fields.flag("continue_pipeline_on_error") {
            changed.continue_on_error = flag;
        }
        changed.values = self
            .values
            .merged(&read_values(&mut fields, "values", &tools.workshop));
        fields.close();
        Some(changed)
    }

    async fn ask(
        &self,
        step: &str,
        sight: Sight<'_>,
        tools: &Tools,
    ) -> Result<Option<Value>, Failure> {
        let (values, request) = self.prepare(sight)?;
        let key = (!self.cache_ttl.is_zero()).then(|| self.key(step, sight, &values, &request));
        if let Some(known) = key.as_ref().and_then(|key| tools.answers.get(key)) {
            return Ok(Some((*known).clone()).filter(|known| !known.is_null()));
        }
        let answer = tools
            .caller
            .call(&self.endpoint, request, "contextualizer endpoint")
            .await?;
        if !(200..300).contains(&answer.status) {
            return Err(Failure::new(
                Kind::Communication,
                format!("unexpected response code: {}", answer.status),
            ));
        }
        let found = payload(&answer)?;
        if let Some(key) = key {
            tools.answers.put(
                key,
                Arc::new(found.clone()),
                tools.deps.clock.now().plus(self.cache_ttl),
            );
        }
        Ok(Some(found).filter(|found| !found.is_null()))
    }

    fn prepare(
        &self,
        sight: Sight<'_>,
    ) -> Result<(Values, heimdall_finalizer::HttpRequest), Failure> {
        let values = self.values.render(&sight.scope())?;
        let scope = Scope {
            values: Some(&values),
            ..sight.scope()
        };
        let body = self
            .payload
            .as_ref()
            .map(|payload| payload.render(&scope))
            .transpose()?;
        let mut request = self.endpoint.request(
            &Scope {
                request: None,
                ..scope
            },
            body,
        )?;
        for name in &self.forward_headers {
            let value = sight.scene.request.header(name);
            if !value.is_empty() {
                request.headers.push((name.clone(), value));
            }
        }
        for name in &self.forward_cookies {
            let value = sight.scene.request.cookie(name);
            if !value.is_empty() {
                add_cookie(&mut request, name, &value);
            }
        }
        Ok((values, request))
    }

    fn key(
        &self,
        step: &str,
        sight: Sight<'_>,
        values: &Values,
        request: &heimdall_finalizer::HttpRequest,
    ) -> Key {
        let mut key = KeyParts::new("contextualizer").part(step.as_bytes());
        self.endpoint.add_to(&mut key);
        key.add(&self.cache_ttl.as_nanos().to_le_bytes());
        add_request(&mut key, request);
        key.add(sight.subject.id.as_bytes());
        key.add_map(&sight.subject.attributes);
        for (name, value) in values {
            key.add(name.as_bytes());
            key.add(value.as_bytes());
        }
        key.digest()
    }
}
