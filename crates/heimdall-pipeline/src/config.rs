//! The configuration file.

mod overlay;
mod read;

use std::time::Duration;

use heimdall_finalizer::settings::{Issue, Issues, Node};
use heimdall_finalizer::yaml;
use heimdall_types::Secret;

use crate::gate::TrustedProxies;
use crate::{LoadErrors, Source};

/// Looks a variable up.
pub type EnvLookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A whole configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The service listener.
    pub serve: Serve,
    /// The management listener.
    pub management: Listener,
    /// Log.
    pub log: Log,
    /// Whether metrics are on (default).
    pub metrics: bool,
    /// Whether traces are on (default).
    pub tracing: bool,
    /// Where rules come from.
    pub providers: Providers,
    /// Whether key stores are watched.
    pub secrets_reload_enabled: bool,
    /// Name of the file, for messages.
    pub file: String,
    pub(crate) respond: RespondCodes,
    pub(crate) trusted: TrustedProxies,
    pub(crate) no_cache: bool,
    /// What the format has and we have not; refused when served, not when only rules are looked at.
    pub(crate) unsupported: Vec<Issue>,
    pub(crate) mechanisms: Option<Node>,
    pub(crate) default_rule: Option<Node>,
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listener {
    /// Address; empty is every address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS.
    pub tls: Option<Tls>,
    /// Time for a whole request to be read.
    pub read_timeout: Duration,
    /// Time for a whole answer to be written.
    pub write_timeout: Duration,
    /// Time between two requests.
    pub idle_timeout: Duration,
    /// Bytes of a request's head (and of a body read by templates).
    pub read_limit: usize,
    /// Bytes of an answer's buffer.
    pub write_limit: usize,
    /// Cross-origin rules.
    pub cors: Option<Cors>,
}

/// The service listener and what only it has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Serve {
    /// The listener.
    pub listener: Listener,
    /// Connections to upstreams; 0 is no limit.
    pub max_per_host: usize,
    /// Idle connections to upstreams; 0 is no limit.
    pub max_idle: usize,
    /// Idle connections to one upstream; 0 is no limit.
    pub max_idle_per_host: usize,
}

/// TLS of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM file with key and certificates.
    pub key_store: String,
    /// Password of the key.
    pub password: Option<Secret>,
    /// Which key of the file.
    pub key_id: Option<String>,
    /// Whether TLS 1.2 is still taken.
    pub allow_tls12: bool,
    /// Names of cipher suites; empty is all.
    pub cipher_suites: Vec<String>,
}

/// Cross-origin rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cors {
    /// Origins; empty is all.
    pub allowed_origins: Vec<String>,
    /// Methods.
    pub allowed_methods: Vec<String>,
    /// Request headers.
    pub allowed_headers: Vec<String>,
    /// Answer headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// Whether cookies go along.
    pub allow_credentials: bool,
    /// How long a preflight holds.
    pub max_age: Duration,
}

/// Log settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `panic`.
    pub level: String,
    /// `text` or `gelf`.
    pub format: String,
    /// Whether there is a line a request.
    pub access_log: bool,
}

/// Where rules come from.
#[derive(Debug, Clone, Default)]
pub struct Providers {
    /// A file or a folder.
    pub file_system: Option<FileSystem>,
    /// URLs that are asked again and again.
    pub http_endpoint: Option<HttpEndpoint>,
}

/// A file or a folder with rule sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileSystem {
    /// Path.
    pub src: String,
    /// Whether changes are followed.
    pub watch: bool,
    /// Whether `${VAR}` is expanded in rule sets.
    pub env_vars_enabled: bool,
}

/// Rule sets over HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpEndpoint {
    /// Time between two looks; `None` looks once.
    pub watch_interval: Option<Duration>,
    /// How many endpoints there are; fetch them with `Engine::fetch_rules(index)`.
    pub endpoints: usize,
    pub(crate) nodes: Vec<Node>,
}

/// Status codes of answers, and whether they say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RespondCodes {
    pub(crate) verbose: bool,
    pub(crate) accepted: u16,
    pub(crate) precondition: u16,
    pub(crate) authentication: u16,
    pub(crate) authorization: u16,
    pub(crate) communication: u16,
    pub(crate) internal: u16,
    pub(crate) no_rule: u16,
}

impl Default for RespondCodes {
    fn default() -> Self {
        Self {
            verbose: false,
            accepted: 200,
            precondition: 400,
            authentication: 401,
            authorization: 403,
            communication: 502,
            internal: 500,
            no_rule: 404,
        }
    }
}

impl Config {
    /// Reads a configuration. `env` looks variables up for `${VAR}`; `overlay` holds variables whose names start with
    /// `prefix` (`HEIMDALLCFG_`), which override keys of the file.
    ///
    /// # Errors
    /// All that is wrong, each with file, line, key and the nearest known name.
    pub fn parse(
        source: &Source,
        env: EnvLookup<'_>,
        overlay: &[(String, String)],
        prefix: &str,
    ) -> Result<Self, LoadErrors> {
        let expanded = source.clone().expanded(env);
        let mut tree = yaml::parse(&expanded.text)
            .map_err(|issue| LoadErrors(vec![LoadErrors::from_issue(&source.name, issue)]))?;
        overlay::apply(&mut tree, overlay, prefix);
        let issues = Issues::default();
        let config = read::config(&tree, &source.name, &issues);
        LoadErrors::check(&source.name, issues, config)
    }
}
