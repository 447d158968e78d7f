//! Compiled configuration and rules.

use std::sync::Arc;

use heimdall_types::Timestamp;

use crate::{Config, Deps, Gate, LoadErrors, Refusal, Request, Respond, RuleName, Source, Verdict};

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
    pub const ALL: Self =
        Self { ingress_tls: true, egress_tls: true, upstream_tls: true, default_rule: true, trusted_proxies: true };
}

/// The configuration, compiled: mechanisms, keys, caches. Lives as long as the process; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<EngineState>);

struct EngineState {
    gate: Gate,
}

impl Engine {
    /// Compiles a configuration: every mechanism of the catalogue and the default rule.
    ///
    /// # Errors
    /// All that is wrong, each with file, line, key and the nearest known name.
    pub fn new(config: &Config, mode: Mode, relaxed: Relaxed, deps: Deps) -> Result<Self, LoadErrors> {
        let _ = (config, mode, relaxed, deps);
        Ok(Self(Arc::new(EngineState { gate: Gate::default() })))
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

    /// Compiles one rule set. `${VAR}` is expanded by `Source::expanded` before, where the provider allows it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn compile(&self, source: &Source) -> Result<Arc<RuleSet>, LoadErrors> {
        let _ = source;
        Ok(Arc::new(RuleSet { warnings: Vec::new() }))
    }

    /// Puts rule sets together: the index, and the check for conflicts between them.
    ///
    /// # Errors
    /// Conflicts, with both places named.
    pub fn snapshot(&self, sets: &[Arc<RuleSet>]) -> Result<Snapshot, LoadErrors> {
        let _ = sets;
        Ok(Snapshot { engine: self.clone() })
    }

    /// Asks the HTTP rule endpoint number `index` of the configuration, with its authentication, retry and validator.
    ///
    /// # Errors
    /// Unreachable, or an answer that is no rule set text.
    pub async fn fetch_rules(&self, index: usize, etag: Option<&str>) -> Result<Fetched, LoadErrors> {
        let _ = (index, etag);
        Ok(Fetched::Unchanged)
    }

    /// Paths of the key stores to watch.
    pub fn key_stores(&self) -> Vec<String> {
        Vec::new()
    }

    /// A key store file changed: takes the new keys, or keeps the old ones and says why.
    ///
    /// # Errors
    /// What is wrong with the new file; the old keys stay.
    pub fn reload_keys(&self, path: &str, bytes: &[u8]) -> Result<(), LoadErrors> {
        let _ = (path, bytes);
        Ok(())
    }

    /// The key set to publish at `/.well-known/jwks`.
    pub fn jwks(&self) -> Arc<Jwks> {
        Arc::new(Jwks { body: "{\"keys\":[]}".into(), etag: "\"\"".into() })
    }

    /// `kid` and end of validity of each certificate, for a metric.
    pub fn key_expiries(&self) -> Vec<(String, Timestamp)> {
        Vec::new()
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
    /// What is legal but probably not meant.
    pub warnings: Vec<String>,
}

/// All rules at one moment. Put it behind an atomic pointer; one request sees one snapshot.
#[derive(Clone)]
pub struct Snapshot {
    engine: Engine,
}

impl Snapshot {
    /// The rule that takes a request, the default rule, or none.
    pub fn find(&self, request: &Request<'_>) -> Route {
        let _ = request;
        Route { engine: self.engine.clone() }
    }
}

/// A request's rule.
pub struct Route {
    engine: Engine,
}

impl Route {
    /// The rule; `None` when no rule takes the request (then [`Route::judge`] denies).
    pub fn rule(&self) -> Option<&RuleName> {
        None
    }

    /// Most bytes of the body to read before judging; `None` when no step looks at it.
    /// A longer body is to be answered with 413.
    pub fn body_limit(&self) -> Option<usize> {
        None
    }

    /// The verdict. Always one: an error denies.
    pub async fn judge(&self, request: &Request<'_>, body: Option<&[u8]>) -> Verdict {
        let _ = (request, body);
        Verdict::Respond(Box::new(self.engine.refuse(&Refusal { status: 404, reason: "no rule".into() })))
    }

    /// The verdict and how it came about, step by step.
    pub async fn explain(&self, request: &Request<'_>, body: Option<&[u8]>) -> (Verdict, Explanation) {
        (self.judge(request, body).await, Explanation::default())
    }
}

/// How a verdict came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Explanation {
    /// `id` of the rule.
    pub rule: Option<String>,
    /// Where the rule stands.
    pub source: Option<String>,
    /// The path expression that matched.
    pub path: Option<String>,
    /// What the path expression captured.
    pub captures: Vec<(String, String)>,
    /// Each step in order.
    pub steps: Vec<StepReport>,
    /// The verdict of the shadow rule, where one stands beside.
    pub shadow: Option<String>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StepReport {
    /// `authenticator`, `authorizer`, …
    pub stage: String,
    /// Name of the mechanism.
    pub mechanism: String,
    /// `id` of the step.
    pub step: String,
    /// `ok`, `skipped` or the error.
    pub outcome: String,
    /// Microseconds.
    pub micros: u64,
}
