//! Rule sets: texts become compiled rules.

use std::collections::HashSet;
use std::sync::Arc;

use heimdall_finalizer::settings::{Fields, Issues, Node, Strictness};
use heimdall_finalizer::yaml;

use crate::backend::Backend;
use crate::catalogue::Catalogue;
use crate::matching::{Conditions, PathParam, Pattern, PatternKind, check_path};
use crate::steps::Steps;
use crate::tools::Tools;
use crate::{LoadErrors, Mode, RuleName, RuleSet, Source};

/// What becomes of encoded slashes in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum EncodedSlashes {
    /// Refused.
    #[default]
    Off,
    /// Decoded.
    On,
    /// Kept as they are.
    NoDecode,
}

/// A compiled rule.
pub(crate) struct Rule {
    pub(crate) name: RuleName,
    pub(crate) line: usize,
    pub(crate) entries: Vec<Way>,
    pub(crate) slashes: EncodedSlashes,
    pub(crate) steps: Steps,
    pub(crate) backend: Option<Backend>,
    pub(crate) shadow: bool,
    /// Header names that its steps could set, in lower case.
    pub(crate) owned_headers: Arc<[String]>,
    /// Cookie names that its steps could set.
    pub(crate) owned_cookies: Arc<[String]>,
    pub(crate) reads_body: bool,
}

/// A way into a rule.
pub(crate) struct Way {
    pub(crate) host: String,
    pub(crate) path: Arc<str>,
    pub(crate) conditions: Arc<Conditions>,
}

const VERSION: &str = "1alpha4";
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE",
];

/// What rules are compiled with.
pub(crate) struct Compiler<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) tools: &'a Tools,
    pub(crate) default_rule: Option<&'a Rule>,
}

impl Compiler<'_> {
    /// Compiles a rule set.
    pub(crate) fn rule_set(&self, source: &Source) -> Result<RuleSet, LoadErrors> {
        let tree = yaml::parse(&source.text)
            .map_err(|issue| LoadErrors(vec![LoadErrors::from_issue(&source.name, issue)]))?;
        if tree.is_null() {
            return Ok(RuleSet {
                rules: Vec::new(),
                warnings: Vec::new(),
            });
        }
        let issues = Issues::default();
        let rules = self.rules(&tree, source, &issues);
        let rules = LoadErrors::check(&source.name, issues, rules)?;
        let warnings = rules
            .iter()
            .flat_map(|rule| {
                let at = format!("{}:{}: rule `{}`", source.name, rule.line, rule.name.id);
                rule.steps
                    .warnings()
                    .into_iter()
                    .map(move |warning| format!("{at}: {warning}"))
            })
            .collect();
        Ok(RuleSet {
            rules: rules.into_iter().map(Arc::new).collect(),
            warnings,
        })
    }

    fn rules(&self, tree: &Node, source: &Source, issues: &Issues) -> Option<Vec<Rule>> {
        let mut fields = Fields::open(tree, "", Strictness::RULES, issues)?;
        fields.required("version");
        fields.word("version", &[VERSION]);
        fields.text("name");
        fields.required("rules");
        let items = fields.list("rules").unwrap_or_default();
        if items.is_empty() {
            fields.wrong("rules", "there is no rule");
        }
        fields.close();
        let origin: Arc<str> = source.name.as_str().into();
        let mut seen = HashSet::with_capacity(items.len());
        let mut rules = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("rules[{index}]");
            let Some(rule) = self.rule(item, &at, &origin, issues) else {
                continue;
            };
            if !seen.insert(rule.name.id.clone()) {
                issues.note(
                    item.line,
                    &at,
                    format!("another rule is called `{}`, too", rule.name.id),
                );
            }
            rules.push(rule);
        }
        Some(rules)
    }

    fn rule(&self, node: &Node, at: &str, origin: &Arc<str>, issues: &Issues) -> Option<Rule> {
        let mut fields = Fields::open(node, at, Strictness::RULES, issues)?;
        let id = fields.required_text("id");
        let slashes = match fields.word("allow_encoded_slashes", &["off", "on", "no_decode"]) {
            Some("on") => EncodedSlashes::On,
            Some("no_decode") => EncodedSlashes::NoDecode,
            _ => EncodedSlashes::Off,
        };
        fields.required("match");
        let entries = fields
            .section("match")
            .map(|section| ways(section, slashes))
            .unwrap_or_default();
        fields.required("execute");
        if fields.list("execute").is_some_and(<[Node]>::is_empty) {
            fields.wrong("execute", "there is no step");
        }
        let inherited = self.default_rule.map(|rule| &rule.steps);
        let before = issues.count();
        let steps = Steps::read(
            id.unwrap_or_default(),
            &mut fields,
            self.catalogue,
            self.tools,
            inherited,
        );
        if steps.authenticators.is_empty() && issues.count() == before {
            fields.wrong("execute", "there is no authenticator");
        }
        let tls_required = !self.tools.relaxed.upstream_tls;
        let backend = fields
            .section("forward_to")
            .and_then(|section| Backend::read(section, tls_required));
        if self.tools.mode == Mode::Proxy && fields.node("forward_to").is_none() {
            fields.issues().note(
                node.line,
                at,
                "`forward_to` is missing; proxy mode needs it",
            );
        }
        let shadow = fields.flag("shadow").unwrap_or(false);
        fields.close();
        let name = RuleName {
            id: id?.into(),
            source: origin.clone(),
        };
        Some(Rule::new(
            name, node.line, entries, slashes, steps, backend, shadow,
        ))
    }

    /// Compiles the default rule of a configuration.
    pub(crate) fn default_rule(&self, node: &Node, issues: &Issues) -> Option<Rule> {
        let mut fields = Fields::open(node, "default_rule", Strictness::RULES, issues)?;
        let before = issues.count();
        let steps = Steps::read("default", &mut fields, self.catalogue, self.tools, None);
        if steps.authenticators.is_empty() && issues.count() == before {
            fields.wrong("execute", "there is no authenticator");
        }
        let open = steps
            .authenticators
            .iter()
            .any(|step| step.mechanism.is_open());
        if open && !self.tools.relaxed.default_rule {
            fields.wrong("execute", "the default rule lets anybody in");
        }
        fields.close();
        let name = RuleName {
            id: "default".into(),
            source: "config".into(),
        };
        Some(Rule::new(
            name,
            node.line,
            Vec::new(),
            EncodedSlashes::Off,
            steps,
            None,
            false,
        ))
    }
}

impl Rule {
    fn new(
        name: RuleName,
        line: usize,
        entries: Vec<Way>,
        slashes: EncodedSlashes,
        steps: Steps,
        backend: Option<Backend>,
        shadow: bool,
    ) -> Self {
        let (headers, cookies) = steps.owned();
        let reads_body = steps.reads_body();
        Self {
            name,
            line,
            entries,
            slashes,
            backend,
            shadow,
            owned_headers: headers.into(),
            owned_cookies: cookies.into(),
            reads_body,
            steps,
        }
    }
}

fn ways(mut fields: Fields<'_>, slashes: EncodedSlashes) -> Vec<Way> {
    fields.flag("backtracking_enabled");
    let scheme = fields.word("scheme", &["http", "https"]).map(str::to_owned);
    let methods = methods(&mut fields);
    let (mut hosts, patterns) = hosts(&mut fields);
    if hosts.is_empty() {
        hosts.push("*".to_owned());
    }
    fields.required("routes");
    let path = fields.at("routes");
    let routes = fields.list("routes").unwrap_or_default();
    if routes.is_empty() {
        fields.wrong("routes", "there is no route");
    }
    let mut ways = Vec::with_capacity(routes.len() * hosts.len());
    for (index, node) in routes.iter().enumerate() {
        let at = format!("{path}[{index}]");
        let Some(mut route) = Fields::open(node, at, Strictness::RULES, fields.issues()) else {
            continue;
        };
        let expression = route.required_text("path");
        let params = path_params(&mut route);
        if let Some(Err(error)) = expression.map(check_path) {
            route.wrong("path", error.to_string());
        }
        route.close();
        let conditions = Arc::new(Conditions {
            scheme: scheme.clone(),
            methods: methods.clone(),
            hosts: patterns.clone(),
            params,
            slashes,
        });
        ways.extend(
            expression
                .map(Arc::<str>::from)
                .into_iter()
                .flat_map(|path| {
                    let conditions = &conditions;
                    hosts.iter().map(move |host| Way {
                        host: host.clone(),
                        path: path.clone(),
                        conditions: conditions.clone(),
                    })
                }),
        );
    }
    fields.close();
    ways
}

/// The methods that a list leaves; none for all.
fn methods(fields: &mut Fields<'_>) -> Vec<String> {
    let Some(given) = fields.texts("methods").filter(|given| !given.is_empty()) else {
        return Vec::new();
    };
    if given.iter().any(String::is_empty) {
        fields.wrong("methods", "a method is empty");
    }
    let (minus, plus): (Vec<&String>, Vec<&String>) =
        given.iter().partition(|method| method.starts_with('!'));
    let mut kept: Vec<String> = Vec::new();
    for method in plus {
        if method == "ALL" {
            kept.extend(METHODS.map(str::to_owned));
        } else {
            kept.push(method.clone());
        }
    }
    kept.retain(|method| {
        !minus
            .iter()
            .any(|minus| minus.strip_prefix('!') == Some(method))
    });
    kept.sort_unstable();
    kept.dedup();
    if kept.is_empty() {
        fields.wrong("methods", "the list cancels itself: no method is left");
    }
    kept
}

/// Hosts that the index finds by themselves, and patterns that are tried.
fn hosts(fields: &mut Fields<'_>) -> (Vec<String>, Vec<Pattern>) {
    let path = fields.at("hosts");
    let (mut hosts, mut patterns) = (Vec::new(), Vec::new());
    for (index, node) in fields.list("hosts").unwrap_or_default().iter().enumerate() {
        let at = format!("{path}[{index}]");
        let Some(mut host) = Fields::open(node, at, Strictness::RULES, fields.issues()) else {
            continue;
        };
        host.required("type");
        let kind = host.word("type", &["exact", "wildcard", "glob", "regex"]);
        let value = host.required_text("value");
        if let (Some(kind), Some(value)) = (kind, value) {
            match kind {
                "exact" => hosts.push(value.to_lowercase()),
                "wildcard" => match wildcard(value) {
                    Some(wildcard) => hosts.push(wildcard),
                    None => host.wrong("value", "a wildcard is `*`, or `*.` and a host"),
                },
                _ => {
                    let kind = if kind == "glob" {
                        PatternKind::Glob
                    } else {
                        PatternKind::Regex
                    };
                    match Pattern::new(kind, value, '.') {
                        Ok(pattern) => patterns.push(pattern),
                        Err(message) => host.wrong("value", message),
                    }
                }
            }
        }
        host.close();
    }
    (hosts, patterns)
}

fn wildcard(value: &str) -> Option<String> {
    let rest = value
        .strip_prefix("*.")
        .map(|rest| !rest.is_empty() && !rest.contains('*'));
    (value == "*" || rest == Some(true)).then(|| value.to_lowercase())
}

fn path_params(fields: &mut Fields<'_>) -> Vec<PathParam> {
    let path = fields.at("path_params");
    let mut params = Vec::new();
    for (index, node) in fields
        .list("path_params")
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let at = format!("{path}[{index}]");
        let Some(mut param) = Fields::open(node, at, Strictness::RULES, fields.issues()) else {
            continue;
        };
        let name = param.required_text("name");
        if name == Some("*") {
            param.wrong("name", "an unnamed wildcard has no value to look at");
        }
        param.required("type");
        let kind = param.word("type", &["exact", "glob", "regex"]);
        let value = param.required_text("value");
        if let (Some(name), Some(kind), Some(value)) = (name, kind, value) {
            let kind = match kind {
                "exact" => PatternKind::Exact,
                "glob" => PatternKind::Glob,
                _ => PatternKind::Regex,
            };
            match Pattern::new(kind, value, '/') {
                Ok(pattern) => params.push(PathParam {
                    name: name.to_owned(),
                    pattern,
                }),
                Err(message) => param.wrong("value", message),
            }
        }
        param.close();
    }
    params
}
