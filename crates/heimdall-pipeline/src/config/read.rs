//! Reading the sections of the configuration.

use std::time::Duration;

use heimdall_finalizer::settings::{Fields, Issue, Issues, Node, NodeKind, Strictness};

use crate::config::{
    Config, Cors, FileSystem, HttpEndpoint, Listener, Log, Providers, RespondCodes, Serve, Tls,
};
use crate::gate::{Network, TrustedProxies};

const CIPHER_SUITES: [&str; 8] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];
const CORS_METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "TRACE", "PATCH",
];

pub(super) fn config(tree: &Node, file: &str, issues: &Issues) -> Option<Config> {
    let empty = Node {
        line: 1,
        kind: NodeKind::Map(Vec::new()),
    };
    let tree = if tree.is_null() { &empty } else { tree };
    let mut fields = Fields::open(tree, "", Strictness::CATALOGUE, issues)?;
    if let Some(version) = fields.text("version")
        && !is_version(version)
    {
        fields.wrong("version", "is no version like `v0.17.0`");
    }
    let mut config = Config {
        file: file.to_owned(),
        metrics: true,
        tracing: true,
        ..Config::default()
    };
    config.serve.listener = defaults(4456);
    config.management = defaults(4457);
    config.serve.max_idle = 100;
    config.serve.max_idle_per_host = 100;
    if let Some(section) = fields.section("serve") {
        serve(section, &mut config);
    }
    if let Some(mut section) = fields.section("management") {
        listener(&mut section, &mut config.management);
        section.close();
    }
    config.log = Log {
        level: "error".to_owned(),
        format: "text".to_owned(),
        access_log: true,
    };
    if let Some(section) = fields.section("log") {
        log(section, &mut config.log);
    }
    if let Some(section) = fields.section("cache") {
        config.no_cache = cache(section, &mut config.unsupported);
    }
    if let Some(mut section) = fields.section("metrics") {
        config.metrics = section.flag("enabled").unwrap_or(true);
        section.close();
    }
    if let Some(mut section) = fields.section("tracing") {
        config.tracing = section.flag("enabled").unwrap_or(true);
        section.word("span_processor", &["simple", "batch"]);
        section.close();
    }
    if let Some(mut section) = fields.section("profiling") {
        section.flag("enabled");
        port(&mut section);
        section.text("host");
        section.close();
    }
    config.mechanisms = fields.node("mechanisms").cloned();
    config.default_rule = fields.node("default_rule").cloned();
    if let Some(section) = fields.section("providers") {
        config.providers = providers(section, &mut config.unsupported);
    }
    config.secrets_reload_enabled = fields.flag("secrets_reload_enabled").unwrap_or(false);
    fields.close();
    Some(config)
}

fn is_version(text: &str) -> bool {
    let numbers = text
        .strip_prefix('v')
        .map(|rest| rest.split(['-', '+']).next().unwrap_or_default());
    numbers.is_some_and(|numbers| {
        let parts: Vec<&str> = numbers.split('.').collect();
        parts.len() == 3
            && parts
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn defaults(port: u16) -> Listener {
    Listener {
        port,
        read_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(120),
        read_limit: 4 << 10,
        write_limit: 4 << 10,
        ..Listener::default()
    }
}

fn port(fields: &mut Fields<'_>) -> Option<u16> {
    let number = fields.integer("port")?;
    match u16::try_from(number) {
        Ok(port) => Some(port),
        Err(_) => {
            fields.wrong("port", "is no port");
            None
        }
    }
}

fn listener(fields: &mut Fields<'_>, listener: &mut Listener) {
    if let Some(host) = fields.text("host") {
        listener.host = host.to_owned();
    }
    if let Some(port) = port(fields) {
        listener.port = port;
    }
    if let Some(mut timeout) = fields.section("timeout") {
        for (key, into) in [
            ("read", &mut listener.read_timeout),
            ("write", &mut listener.write_timeout),
            ("idle", &mut listener.idle_timeout),
        ] {
            if let Some(duration) = timeout.duration(key) {
                *into = duration;
            }
        }
        timeout.close();
    }
    if let Some(mut limit) = fields.section("buffer_limit") {
        for (key, into) in [
            ("read", &mut listener.read_limit),
            ("write", &mut listener.write_limit),
        ] {
            if let Some(size) = size(&mut limit, key) {
                *into = size;
            }
        }
        limit.close();
    }
    listener.cors = fields.section("cors").map(cors);
    listener.tls = fields.section("tls").and_then(tls);
}

/// A number of bytes like `4KB`.
fn size(fields: &mut Fields<'_>, key: &'static str) -> Option<usize> {
    let text = fields.text(key)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let scale = match unit {
        "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        _ => 0,
    };
    let bytes = number
        .parse::<usize>()
        .ok()
        .filter(|_| scale > 0)
        .and_then(|number| number.checked_mul(scale));
    if bytes.is_none() {
        fields.wrong(key, format!("`{text}` is no size like `4KB`"));
    }
    bytes
}

fn cors(mut fields: Fields<'_>) -> Cors {
    let methods = fields.texts("allowed_methods").unwrap_or_default();
    for method in &methods {
        if !CORS_METHODS.contains(&method.as_str()) {
            fields.wrong(
                "allowed_methods",
                format!("`{method}` is none of {}", CORS_METHODS.join(", ")),
            );
        }
    }
    let cors = Cors {
        allowed_origins: fields.texts("allowed_origins").unwrap_or_default(),
        allowed_methods: methods,
        allowed_headers: fields.texts("allowed_headers").unwrap_or_default(),
        exposed_headers: fields.texts("exposed_headers").unwrap_or_default(),
        allow_credentials: fields.flag("allow_credentials").unwrap_or(false),
        max_age: fields.duration("max_age").unwrap_or_default(),
    };
    fields.close();
    cors
}

fn tls(mut fields: Fields<'_>) -> Option<Tls> {
    let mut tls = Tls::default();
    let store = fields.required("key_store").is_some();
    if let (true, Some(mut section)) = (store, fields.section("key_store")) {
        tls.key_store = section.required_text("path").unwrap_or_default().to_owned();
        tls.password = section
            .text("password")
            .filter(|password| !password.is_empty())
            .map(heimdall_types::Secret::from);
        section.close();
    }
    tls.key_id = fields.text("key_id").map(str::to_owned);
    tls.allow_tls12 = fields.word("min_version", &["TLS1.2", "TLS1.3"]) == Some("TLS1.2");
    tls.cipher_suites = fields.texts("cipher_suites").unwrap_or_default();
    for suite in &tls.cipher_suites {
        if !CIPHER_SUITES.contains(&suite.as_str()) {
            fields.wrong("cipher_suites", format!("`{suite}` is not known"));
        }
    }
    fields.close();
    Some(tls)
}

fn serve(mut fields: Fields<'_>, config: &mut Config) {
    listener(&mut fields, &mut config.serve.listener);
    if let Some(mut limit) = fields.section("connections_limit") {
        connections(&mut limit, &mut config.serve);
        limit.close();
    }
    if let Some(entries) = fields.texts("trusted_proxies") {
        let mut networks = Vec::with_capacity(entries.len());
        for entry in &entries {
            match Network::parse(entry) {
                Some(network) => networks.push(network),
                None => fields.wrong(
                    "trusted_proxies",
                    format!("`{entry}` is neither an address nor a network"),
                ),
            }
        }
        config.trusted = TrustedProxies::new(networks);
    }
    if let Some(section) = fields.section("respond") {
        respond(section, &mut config.respond);
    }
    fields.close();
}

fn connections(fields: &mut Fields<'_>, serve: &mut Serve) {
    for (key, into) in [
        ("max_per_host", &mut serve.max_per_host),
        ("max_idle", &mut serve.max_idle),
        ("max_idle_per_host", &mut serve.max_idle_per_host),
    ] {
        if let Some(number) = fields.integer(key) {
            match usize::try_from(number) {
                Ok(number) => *into = number,
                Err(_) => fields.wrong(key, "is negative"),
            }
        }
    }
}

fn respond(mut fields: Fields<'_>, codes: &mut RespondCodes) {
    codes.verbose = fields.flag("verbose").unwrap_or(false);
    if let Some(mut with) = fields.section("with") {
        for (key, into, denial) in [
            ("accepted", &mut codes.accepted, false),
            ("precondition_error", &mut codes.precondition, true),
            ("authentication_error", &mut codes.authentication, true),
            ("authorization_error", &mut codes.authorization, true),
            ("communication_error", &mut codes.communication, true),
            ("internal_error", &mut codes.internal, true),
            ("no_rule_error", &mut codes.no_rule, true),
        ] {
            let Some(mut section) = with.section(key) else {
                continue;
            };
            if let Some(code) = section.integer("code") {
                match u16::try_from(code)
                    .ok()
                    .filter(|code| (200..600).contains(code))
                {
                    Some(code) if denial && code < 300 => {
                        section.wrong(
                            "code",
                            format!("{code} is success; a denial can not be told as one"),
                        );
                    }
                    Some(code) if !denial && code >= 300 => {
                        section.wrong("code", format!("{code} is no success"));
                    }
                    Some(code) => *into = code,
                    None if code == 0 => {}
                    None => section.wrong("code", format!("{code} is no status code")),
                }
            }
            section.close();
        }
        with.close();
    }
    fields.close();
}

fn log(mut fields: Fields<'_>, log: &mut Log) {
    if let Some(level) = fields.word(
        "level",
        &["trace", "debug", "info", "warn", "error", "fatal", "panic"],
    ) {
        log.level = level.to_owned();
    }
    if let Some(format) = fields.word("format", &["gelf", "text"]) {
        log.format = format.to_owned();
    }
    if let Some(flag) = fields.flag("access_log_enabled") {
        log.access_log = flag;
    }
    fields.close();
}

/// Whether there is to be no cache.
fn cache(mut fields: Fields<'_>, unsupported: &mut Vec<Issue>) -> bool {
    let kind = fields.text("type").unwrap_or("in-memory");
    let none = match kind {
        "noop" => true,
        "in-memory" => {
            if let Some(mut config) = fields.section("config") {
                config.text("memory_limit");
                config.integer("entry_limit");
                config.close();
            }
            false
        }
        "redis" | "redis-cluster" | "redis-sentinel" => {
            let message = format!(
                "`{kind}` is not supported; each instance caches in its own memory (`in-memory`)"
            );
            unsupported.push(Issue {
                line: fields.line(),
                key: fields.at("type"),
                message,
                nearest: None,
            });
            redis(&mut fields, kind);
            false
        }
        other => {
            fields.issues().unknown(
                fields.line(),
                &fields.at("type"),
                other,
                ["noop", "in-memory"],
            );
            false
        }
    };
    fields.close();
    none
}

/// The members that a Redis cache can not do without, so that a wrong configuration is told as such.
fn redis(fields: &mut Fields<'_>, kind: &str) {
    let wanted: &[&'static str] = match kind {
        "redis" => &["address"],
        "redis-cluster" => &["nodes"],
        _ => &["nodes", "master"],
    };
    let config = fields.node("config");
    for member in wanted {
        if config.is_none_or(|config| config.get(member).is_none()) {
            fields.wrong("config", format!("`{member}` is missing"));
        }
    }
}

fn providers(mut fields: Fields<'_>, unsupported: &mut Vec<Issue>) -> Providers {
    let file_system = fields.section("file_system").and_then(|mut section| {
        let src = section.required_text("src").map(str::to_owned);
        let watch = section.flag("watch").unwrap_or(false);
        let env_vars_enabled = section.flag("env_vars_enabled").unwrap_or(false);
        section.close();
        Some(FileSystem {
            src: src?,
            watch,
            env_vars_enabled,
        })
    });
    let http_endpoint = fields.section("http_endpoint").map(|mut section| {
        section.required("endpoints");
        let nodes = section.list("endpoints").unwrap_or_default().to_vec();
        if nodes.is_empty() {
            section.wrong("endpoints", "names no endpoint");
        }
        let interval = section
            .duration("watch_interval")
            .filter(|interval| !interval.is_zero());
        section.close();
        HttpEndpoint {
            watch_interval: interval,
            endpoints: nodes.len(),
            nodes,
        }
    });
    for provider in ["cloud_blob", "kubernetes"] {
        if let Some(node) = fields.node(provider) {
            let message = format!(
                "the provider `{provider}` is not supported; use `file_system` or `http_endpoint`"
            );
            unsupported.push(Issue {
                line: node.line,
                key: fields.at(provider),
                message,
                nearest: None,
            });
        }
    }
    fields.close();
    Providers {
        file_system,
        http_endpoint,
    }
}
