//! Compiled configuration and rules.

use std::sync::Arc;

use heimdall_finalizer::settings::{Issues, Strictness};
use heimdall_finalizer::{Failure, Kind, Scope};
use heimdall_types::Timestamp;
use serde_json::json;

use crate::catalogue::Catalogue;
use crate::config::{RespondCodes, Tls};
use crate::endpoint::Endpoint;
use crate::rules::{Compiler, Rule};
use crate::snapshot::Snapshot;
use crate::tools::Tools;
use crate::{Config, Deps, Gate, HeaderView, LoadErrors, Refusal, Respond, Source, StepCount};

/// How verdicts are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Forward to an upstream.
    #[default]
    Proxy,
    /// Answer a gateway over HTTP.
    Decision,
    /// Answer Envoy over gRPC.
    Envoy,
}

/// What was switched off by name on the command line. `Default` is secure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Relaxed {
    /// `--insecure-skip-ingress-tls-enforcement`
    pub ingress_tls: bool,
    /// `--insecure-skip-egress-tls-enforcement`
    pub egress_tls: bool,
    /// `--insecure-skip-upstream-tls-enforcement`
    pub upstream_tls: bool,
    /// `--insecure-skip-secure-default-rule-enforcement`
    pub default_rule: bool,
    /// `--insecure-skip-secure-trusted-proxies-enforcement`
    pub trusted_proxies: bool,
}

impl Relaxed {
    /// `--insecure`
    pub const ALL: Self = Self {
        ingress_tls: true,
        egress_tls: true,
        upstream_tls: true,
        default_rule: true,
        trusted_proxies: true,
    };
}

/// The configuration, compiled: mechanisms, keys, caches. Lives as long as the process; cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<EngineState>);

pub(crate) struct EngineState {
    gate: Gate,
    pub(crate) codes: RespondCodes,
    pub(crate) tools: Tools,
    catalogue: Catalogue,
    pub(crate) default_rule: Option<Arc<Rule>>,
    rule_endpoints: Vec<Endpoint>,
}

/// Kinds of failures that the host finds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The upstream can not be reached, or answers nonsense.
    Communication,
    /// The upstream does not answer in time.
    Timeout,
    /// The request is wrong.
    Argument,
    /// We are wrong.
    Internal,
}

impl Engine {
    /// Compiles a configuration: every mechanism of the catalogue and the default rule.
    ///
    /// # Errors
    /// All that is wrong, each with file, line, key and the nearest known name.
    pub fn new(
        config: &Config,
        mode: Mode,
        relaxed: Relaxed,
        deps: Deps,
    ) -> Result<Self, LoadErrors> {
        let issues = Issues::default();
        enforce(config, relaxed, &issues);
        config
            .unsupported
            .iter()
            .for_each(|issue| issues.push(issue.clone()));
        Self::build(config, mode, relaxed, deps, issues)
    }

    /// Compiles a configuration only to look at rules with it: listeners and providers are not looked at.
    ///
    /// # Errors
    /// As [`Engine::new`], for mechanisms and the default rule.
    pub fn for_rules(
        config: &Config,
        mode: Mode,
        relaxed: Relaxed,
        deps: Deps,
    ) -> Result<Self, LoadErrors> {
        Self::build(config, mode, relaxed, deps, Issues::default())
    }

    fn build(
        config: &Config,
        mode: Mode,
        relaxed: Relaxed,
        deps: Deps,
        issues: Issues,
    ) -> Result<Self, LoadErrors> {
        let tools = Tools::new(deps, mode, relaxed, config.no_cache);
        let catalogue = match &config.mechanisms {
            Some(section) => Catalogue::build(section, &tools, &issues),
            None => Catalogue::default(),
        };
        let compiler = Compiler {
            catalogue: &catalogue,
            tools: &tools,
            default_rule: None,
        };
        let default_rule = config
            .default_rule
            .as_ref()
            .and_then(|node| compiler.default_rule(node, &issues));
        let nodes = config
            .providers
            .http_endpoint
            .as_ref()
            .map(|provider| provider.nodes.as_slice());
        let rule_endpoints = nodes
            .unwrap_or_default()
            .iter()
            .enumerate()
            .filter_map(|(index, node)| {
                let at = format!("providers.http_endpoint.endpoints[{index}]");
                let endpoint = Endpoint::read(node, &at, Strictness::CATALOGUE, &tools, &issues)?;
                Some(endpoint.with_defaults("GET", &[], &tools))
            })
            .collect();
        LoadErrors::check(&config.file, issues, Some(()))?;
        Ok(Self(Arc::new(EngineState {
            gate: Gate::new(config.trusted.clone()),
            codes: config.respond,
            tools,
            catalogue,
            default_rule: default_rule.map(Arc::new),
            rule_endpoints,
        })))
    }

    /// Makes canonical requests.
    pub fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// The answer to a head that the gate, the raw guard or a body limit refused.
    pub fn refuse(&self, refusal: &Refusal) -> Respond {
        Respond {
            rule: None,
            status: refusal.status,
            headers: Vec::new(),
            body: String::new(),
            reason: refusal.reason.clone(),
            kind: "refused",
            close: true,
        }
    }

    /// The answer to something that went wrong outside the pipeline, such as forwarding.
    pub fn failed(&self, kind: FailureKind, reason: &str, headers: &dyn HeaderView) -> Respond {
        let kind = match kind {
            FailureKind::Communication => Kind::Communication,
            FailureKind::Timeout => Kind::Timeout,
            FailureKind::Argument => Kind::Argument,
            FailureKind::Internal => Kind::Internal,
        };
        self.0
            .codes
            .answer(&Failure::new(kind, reason), None, headers)
    }

    /// Compiles one rule set. `${VAR}` is expanded by `Source::expanded` before, where the provider allows it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(&self, source: &Source) -> Result<Arc<RuleSet>, LoadErrors> {
        let state = &self.0;
        let default_rule = state.default_rule.as_deref();
        let compiler = Compiler {
            catalogue: &state.catalogue,
            tools: &state.tools,
            default_rule,
        };
        compiler.rule_set(source).map(Arc::new)
    }

    /// Puts rule sets together: the index, and the check for conflicts between them.
    ///
    /// # Errors
    /// Conflicts, with both places named.
    pub fn snapshot(&self, sets: &[Arc<RuleSet>]) -> Result<Snapshot, LoadErrors> {
        Snapshot::build(self.clone(), sets)
    }

    /// Asks the HTTP rule endpoint number `index` of the configuration, with its authentication, retry and validator.
    ///
    /// # Errors
    /// Unreachable, or an answer that is no rule set text.
    pub async fn fetch_rules(
        &self,
        index: usize,
        etag: Option<&str>,
    ) -> Result<Fetched, LoadErrors> {
        let Some(endpoint) = self.0.rule_endpoints.get(index) else {
            return Err(LoadErrors::one(
                "http_endpoint",
                "there is no such endpoint",
            ));
        };
        let name = endpoint.url.source().to_owned();
        let failed = |message: String| LoadErrors::one(&name, message);
        let mut request = endpoint
            .request(&Scope::default(), None)
            .map_err(|failure| failed(failure.message().to_owned()))?;
        request
            .headers
            .extend(etag.map(|etag| ("If-None-Match".to_owned(), etag.to_owned())));
        let answer = self
            .0
            .tools
            .caller
            .call(endpoint, request, "rule set endpoint")
            .await;
        let answer = answer.map_err(|failure| failed(failure.message().to_owned()))?;
        match answer.status {
            304 => Ok(Fetched::Unchanged),
            404 => Ok(Fetched::Gone),
            200..300 => {
                let text = String::from_utf8(answer.body.clone())
                    .map_err(|_| failed("is no text".to_owned()))?;
                Ok(Fetched::Changed(
                    Source { name, text },
                    answer.header("etag").map(str::to_owned),
                ))
            }
            status => Err(failed(format!("unexpected response code: {status}"))),
        }
    }

    /// Paths of the key stores to watch.
    pub fn key_stores(&self) -> Vec<String> {
        self.0.tools.workshop.keys.paths()
    }

    /// A key store file changed: takes the new keys, or keeps the old ones and says why.
    ///
    /// # Errors
    /// What is wrong with the new file; the old keys stay.
    pub fn reload_keys(&self, path: &str, bytes: &[u8]) -> Result<(), LoadErrors> {
        self.0
            .tools
            .workshop
            .keys
            .reload(path, bytes)
            .map_err(|message| LoadErrors::one(path, message))
    }

    /// The key set to publish at `/.well-known/jwks`.
    pub fn jwks(&self) -> Arc<Jwks> {
        let body = json!({ "keys": self.0.tools.workshop.keys.published() }).to_string();
        let etag = format!(
            "\"{}\"",
            heimdall_token::crypto::sha256_hex(body.as_bytes())
        );
        Arc::new(Jwks { body, etag })
    }

    /// What every step that ran did, for metrics. Counting begins with the engine.
    pub fn step_counts(&self) -> Vec<StepCount> {
        self.0.tools.tallies.counts()
    }

    /// `kid` and end of validity of each certificate, for a metric.
    pub fn key_expiries(&self) -> Vec<(String, Timestamp)> {
        self.0.tools.workshop.keys.expiries()
    }
}

/// What is refused unless it was switched off by name.
fn enforce(config: &Config, relaxed: Relaxed, issues: &Issues) {
    let listeners = [
        ("serve", config.serve.listener.tls.as_ref()),
        ("management", config.management.tls.as_ref()),
    ];
    for (section, tls) in listeners {
        if tls.is_none_or(|tls: &Tls| tls.key_store.is_empty()) && !relaxed.ingress_tls {
            issues.note(0, &format!("{section}.tls"), "is missing; TLS is required");
        }
    }
    if config.trusted.has_everything() && !relaxed.trusted_proxies {
        issues.note(0, "serve.trusted_proxies", "trusts everybody");
    }
}

/// What an HTTP rule endpoint said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The same as before.
    Unchanged,
    /// A rule set, and the validator to send the next time.
    Changed(Source, Option<String>),
    /// 404: the rules are gone.
    Gone,
}

/// A published key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks {
    /// The JSON document.
    pub body: String,
    /// Strong validator, with its quotes.
    pub etag: String,
}

/// A compiled rule set; kept to build the next snapshot without compiling it again.
pub struct RuleSet {
    pub(crate) rules: Vec<Arc<Rule>>,
    /// What is legal but probably not meant.
    pub warnings: Vec<String>,
}

impl RuleSet {
    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
