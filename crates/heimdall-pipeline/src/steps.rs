//! The steps of a rule.

use std::sync::Arc;

use heimdall_finalizer::Finalizer;
use heimdall_finalizer::settings::{Fields, Issues, Node, NodeKind, Strictness};

use crate::authenticators::Authenticator;
use crate::authorizers::Authorizer;
use crate::catalogue::{Catalogue, Shelf};
use crate::contextualizers::Contextualizer;
use crate::error_handlers::ErrorHandler;
use crate::expression::Expression;
use crate::tally::StepCounter;
use crate::tools::Tools;

/// A mechanism at its place in a rule.
pub(crate) struct Step<M> {
    /// Name in the catalogue.
    pub(crate) name: Arc<str>,
    /// The step's own name, else that of the mechanism; outputs are known under it.
    pub(crate) id: Arc<str>,
    /// When it runs.
    pub(crate) condition: Option<Expression>,
    /// Authenticators: only when no credential was sent.
    pub(crate) on_absent: bool,
    /// Where it counts.
    pub(crate) counter: StepCounter,
    pub(crate) mechanism: M,
}

/// Between authenticators and finalizers.
pub(crate) enum Middle {
    Authorizer(Authorizer),
    Contextualizer(Contextualizer),
}

/// All steps of a rule, stage by stage; a stage is shared with the default rule where it is inherited.
#[derive(Default, Clone)]
pub(crate) struct Steps {
    pub(crate) authenticators: Arc<[Step<Authenticator>]>,
    pub(crate) middle: Arc<[Step<Middle>]>,
    pub(crate) finalizers: Arc<[Step<Finalizer>]>,
    pub(crate) error_handlers: Arc<[Step<ErrorHandler>]>,
}

const STAGES: [&str; 5] = [
    "authenticator",
    "authorizer",
    "contextualizer",
    "finalizer",
    "error_handler",
];

/// How a mechanism takes a rule's overrides.
type Override<M> = fn(&M, &Node, &str, &Tools, &Issues) -> Option<M>;

struct Reader<'a> {
    rule: Arc<str>,
    tools: &'a Tools,
    issues: &'a Issues,
    ids: Vec<String>,
}

impl Steps {
    /// Reads `execute` and `on_error`; stages that they do not name are those of `inherited`.
    pub(crate) fn read(
        rule: &str,
        fields: &mut Fields<'_>,
        catalogue: &Catalogue,
        tools: &Tools,
        inherited: Option<&Self>,
    ) -> Self {
        let issues = fields.issues();
        let mut reader = Reader {
            rule: rule.into(),
            tools,
            issues,
            ids: Vec::new(),
        };
        let path = fields.at("execute");
        let execute = fields.list("execute").unwrap_or_default();
        let (mut authenticators, mut middle, mut finalizers) = (Vec::new(), Vec::new(), Vec::new());
        for (index, node) in execute.iter().enumerate() {
            let at = format!("{path}[{index}]");
            let Some((stage, mut entry)) = reader.open(node, &at) else {
                continue;
            };
            let order = |wrong: bool, message: &str| {
                if wrong {
                    issues.note(node.line, &at, message);
                }
            };
            match stage {
                "authenticator" => {
                    let late = !middle.is_empty() || !finalizers.is_empty();
                    order(late, "an authenticator stands behind another kind of step");
                    let step = reader.step(
                        &mut entry,
                        stage,
                        &catalogue.authenticators,
                        Authenticator::overridden,
                    );
                    authenticators.extend(step);
                }
                "authorizer" => {
                    order(
                        !finalizers.is_empty(),
                        "an authorizer stands behind a finalizer",
                    );
                    let step = reader.step(
                        &mut entry,
                        stage,
                        &catalogue.authorizers,
                        Authorizer::overridden,
                    );
                    middle.extend(step.map(|step| step.map(Middle::Authorizer)));
                }
                "contextualizer" => {
                    order(
                        !finalizers.is_empty(),
                        "a contextualizer stands behind a finalizer",
                    );
                    let step = reader.step(
                        &mut entry,
                        stage,
                        &catalogue.contextualizers,
                        Contextualizer::overridden,
                    );
                    middle.extend(step.map(|step| step.map(Middle::Contextualizer)));
                }
                "finalizer" => finalizers.extend(reader.step(
                    &mut entry,
                    stage,
                    &catalogue.finalizers,
                    finalizer,
                )),
                _ => issues.note(node.line, &at, "an error handler belongs to `on_error`"),
            }
            entry.close();
        }
        reader.ids.clear();
        let path = fields.at("on_error");
        let mut error_handlers = Vec::new();
        for (index, node) in fields
            .list("on_error")
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let at = format!("{path}[{index}]");
            let Some((stage, mut entry)) = reader.open(node, &at) else {
                continue;
            };
            if stage == "error_handler" {
                error_handlers.extend(reader.step(
                    &mut entry,
                    stage,
                    &catalogue.error_handlers,
                    ErrorHandler::overridden,
                ));
            } else {
                issues.note(node.line, &at, format!("`{stage}` is no error handler"));
                entry.node(stage);
            }
            entry.close();
        }
        let own = Self {
            authenticators: authenticators.into(),
            middle: middle.into(),
            finalizers: finalizers.into(),
            error_handlers: error_handlers.into(),
        };
        match inherited {
            Some(inherited) => own.over(inherited),
            None => own,
        }
    }

    fn over(self, inherited: &Self) -> Self {
        fn pick<T>(own: Arc<[T]>, inherited: &Arc<[T]>) -> Arc<[T]> {
            if own.is_empty() {
                inherited.clone()
            } else {
                own
            }
        }
        Self {
            authenticators: pick(self.authenticators, &inherited.authenticators),
            middle: pick(self.middle, &inherited.middle),
            finalizers: pick(self.finalizers, &inherited.finalizers),
            error_handlers: pick(self.error_handlers, &inherited.error_handlers),
        }
    }

    /// The header names that these steps could set, in lower case, and the cookie names.
    pub(crate) fn owned(&self) -> (Vec<String>, Vec<String>) {
        let mut headers: Vec<String> = Vec::new();
        for step in self.middle.iter() {
            if let Middle::Authorizer(authorizer) = &step.mechanism {
                headers.extend(authorizer.owned_headers());
            }
        }
        headers.extend(
            self.finalizers
                .iter()
                .flat_map(|step| step.mechanism.owned_headers()),
        );
        headers.retain(|name| name != "host");
        headers.sort_unstable();
        headers.dedup();
        let mut cookies: Vec<String> = self
            .finalizers
            .iter()
            .flat_map(|step| step.mechanism.owned_cookies())
            .collect();
        cookies.sort_unstable();
        cookies.dedup();
        (headers, cookies)
    }

    /// Whether any step may look at the body of the request.
    pub(crate) fn reads_body(&self) -> bool {
        self.authenticators
            .iter()
            .any(|step| step.reads_body(Authenticator::reads_body))
            || self
                .middle
                .iter()
                .any(|step| step.reads_body(Middle::reads_body))
            || self
                .finalizers
                .iter()
                .any(|step| step.reads_body(Finalizer::reads_body))
            || self
                .error_handlers
                .iter()
                .any(|step| step.reads_body(ErrorHandler::reads_body))
    }

    /// What is legal but probably not meant.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let fallback = self
            .authenticators
            .iter()
            .skip(1)
            .find(|step| step.mechanism.is_open() && !step.on_absent);
        fallback
            .map(|step| {
                format!(
                    "`{}` lets anybody in whose credential is refused by another authenticator; `on: absent` limits it \
                     to requests without one",
                    step.name
                )
            })
            .into_iter()
            .collect()
    }
}

impl Middle {
    fn reads_body(&self) -> bool {
        match self {
            Self::Authorizer(authorizer) => authorizer.reads_body(),
            Self::Contextualizer(contextualizer) => contextualizer.reads_body(),
        }
    }
}

impl<M> Step<M> {
    fn map<N>(self, to: impl FnOnce(M) -> N) -> Step<N> {
        Step {
            name: self.name,
            id: self.id,
            condition: self.condition,
            on_absent: self.on_absent,
            counter: self.counter,
            mechanism: to(self.mechanism),
        }
    }

    fn reads_body(&self, mechanism: impl FnOnce(&M) -> bool) -> bool {
        self.condition.as_ref().is_some_and(Expression::reads_body) || mechanism(&self.mechanism)
    }
}

fn finalizer(
    own: &Finalizer,
    config: &Node,
    path: &str,
    tools: &Tools,
    issues: &Issues,
) -> Option<Finalizer> {
    own.overridden(config, path, &tools.workshop, issues)
}

impl Reader<'_> {
    /// A step's members, and the one stage that it names.
    fn open<'n>(&self, node: &'n Node, at: &str) -> Option<(&'static str, Fields<'n>)>
    where
        Self: 'n,
    {
        let entry = Fields::open(node, at, Strictness::RULES, self.issues)?;
        let named: Vec<&'static str> = STAGES
            .into_iter()
            .filter(|stage| node.get(stage).is_some())
            .collect();
        match named.as_slice() {
            [one] => Some((one, entry)),
            [] => {
                self.issues.note(
                    node.line,
                    at,
                    format!("names none of {}", STAGES.join(", ")),
                );
                None
            }
            _ => {
                self.issues.note(
                    node.line,
                    at,
                    format!("a step is one thing, not {}", named.join(" and ")),
                );
                None
            }
        }
    }

    fn step<M: Clone>(
        &mut self,
        entry: &mut Fields<'_>,
        stage: &'static str,
        shelf: &Shelf<M>,
        overridden: Override<M>,
    ) -> Option<Step<M>> {
        let reference = entry.node(stage);
        let line = entry.line();
        let id = scalar(entry.node("id"));
        let condition = condition(entry);
        let on_absent = if stage == "authenticator" {
            entry.word("on", &["absent"]).is_some()
        } else {
            false
        };
        let config = entry.node("config");
        let Some(name) = scalar(reference) else {
            entry.wrong(stage, "names no mechanism");
            return None;
        };
        if let Some(id) = &id {
            if self.ids.contains(id) {
                entry.wrong("id", format!("another step is called `{id}`, too"));
            }
            self.ids.push(id.clone());
        }
        let (name, mechanism) = shelf.find(&name, line, &entry.at(stage), self.issues)?;
        let mechanism = match config {
            None => mechanism.clone(),
            Some(config) => match &config.kind {
                NodeKind::Map(members) if members.is_empty() => mechanism.clone(),
                NodeKind::Map(_) => overridden(
                    mechanism,
                    config,
                    &entry.at("config"),
                    self.tools,
                    self.issues,
                )?,
                _ => {
                    entry.wrong(
                        "config",
                        format!("is {}, a map is wanted", config.describe()),
                    );
                    return None;
                }
            },
        };
        let id = id
            .filter(|id| !id.is_empty())
            .map_or_else(|| name.clone(), Arc::from);
        Some(Step {
            name,
            id,
            condition,
            on_absent,
            counter: StepCounter::new(self.rule.clone(), stage),
            mechanism,
        })
    }
}

fn condition(entry: &mut Fields<'_>) -> Option<Expression> {
    let source = entry.text("if")?;
    match Expression::compile(source) {
        Ok(expression) => Some(expression),
        Err(message) => {
            entry.wrong("if", message);
            None
        }
    }
}

/// A name: text, or a number or flag as it is written.
fn scalar(node: Option<&Node>) -> Option<String> {
    match &node?.kind {
        NodeKind::Text(text) => Some(text.clone()),
        NodeKind::Int(number) => Some(number.to_string()),
        NodeKind::Float(number) => Some(number.to_string()),
        NodeKind::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
