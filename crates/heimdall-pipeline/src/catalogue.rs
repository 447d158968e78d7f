//! The mechanisms of a configuration, by name.

use std::collections::HashMap;
use std::sync::Arc;

use heimdall_finalizer::Finalizer;
use heimdall_finalizer::settings::{Fields, Issues, Node, NodeKind, Strictness};
use heimdall_types::nearest;

use crate::authenticators::Authenticator;
use crate::authorizers::Authorizer;
use crate::contextualizers::Contextualizer;
use crate::error_handlers::ErrorHandler;
use crate::tools::Tools;
use crate::{authenticators, authorizers, contextualizers, error_handlers};

/// The mechanisms of a configuration, by name.
#[derive(Default)]
pub(crate) struct Catalogue {
    pub(crate) authenticators: Shelf<Authenticator>,
    pub(crate) authorizers: Shelf<Authorizer>,
    pub(crate) contextualizers: Shelf<Contextualizer>,
    pub(crate) finalizers: Shelf<Finalizer>,
    pub(crate) error_handlers: Shelf<ErrorHandler>,
}

/// Mechanisms of one kind.
pub(crate) struct Shelf<M>(HashMap<Arc<str>, M>);

impl<M> Default for Shelf<M> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<M> Shelf<M> {
    /// A mechanism and its name; an unknown one is an issue.
    pub(crate) fn find(
        &self,
        name: &str,
        line: usize,
        at: &str,
        issues: &Issues,
    ) -> Option<(Arc<str>, &M)> {
        let found = self
            .0
            .get_key_value(name)
            .map(|(name, mechanism)| (name.clone(), mechanism));
        if found.is_none() {
            issues.push(heimdall_finalizer::settings::Issue {
                line,
                key: at.to_owned(),
                message: format!("no mechanism `{name}` in the catalogue"),
                nearest: nearest(name, self.0.keys().map(|known| &**known)).map(str::to_owned),
            });
        }
        found
    }
}

type Build<M> = fn(&str, Option<&Node>, usize, &str, &Tools, &Issues) -> Option<M>;

fn finalizer(
    kind: &str,
    config: Option<&Node>,
    line: usize,
    path: &str,
    tools: &Tools,
    issues: &Issues,
) -> Option<Finalizer> {
    Finalizer::build(kind, config, line, path, &tools.workshop, issues)
}

impl Catalogue {
    /// Builds every mechanism of a `mechanisms` section.
    pub(crate) fn build(section: &Node, tools: &Tools, issues: &Issues) -> Self {
        let mut catalogue = Self::default();
        let Some(mut fields) = Fields::open(section, "mechanisms", Strictness::CATALOGUE, issues)
        else {
            return catalogue;
        };
        fields.required("authenticators");
        catalogue.authenticators = shelf(
            &mut fields,
            "authenticators",
            &authenticators::TYPES,
            Authenticator::build,
            tools,
        );
        catalogue.authorizers = shelf(
            &mut fields,
            "authorizers",
            &authorizers::TYPES,
            Authorizer::build,
            tools,
        );
        catalogue.contextualizers = shelf(
            &mut fields,
            "contextualizers",
            &contextualizers::TYPES,
            Contextualizer::build,
            tools,
        );
        catalogue.finalizers = shelf(
            &mut fields,
            "finalizers",
            &heimdall_finalizer::FINALIZER_TYPES,
            finalizer,
            tools,
        );
        catalogue.error_handlers = shelf(
            &mut fields,
            "error_handlers",
            &error_handlers::TYPES,
            ErrorHandler::build,
            tools,
        );
        fields.close();
        catalogue
    }
}

fn shelf<M>(
    fields: &mut Fields<'_>,
    key: &'static str,
    types: &[&'static str],
    build: Build<M>,
    tools: &Tools,
) -> Shelf<M> {
    let mut shelf = Shelf::default();
    let issues = fields.issues();
    let path = fields.at(key);
    for (index, item) in fields.list(key).unwrap_or_default().iter().enumerate() {
        let at = format!("{path}[{index}]");
        let Some(mut entry) = Fields::open(item, at.as_str(), Strictness::CATALOGUE, issues) else {
            continue;
        };
        let id = entry.required_text("id");
        entry.required("type");
        let kind = entry.word("type", types);
        let config = entry.node("config");
        entry.close();
        let (Some(id), Some(kind)) = (id, kind) else {
            continue;
        };
        if let Some(config) = config.filter(|config| !matches!(config.kind, NodeKind::Map(_))) {
            issues.note(
                config.line,
                &format!("{at}.config"),
                format!("is {}, a map is wanted", config.describe()),
            );
            continue;
        }
        let Some(mechanism) = build(
            kind,
            config,
            item.line,
            &format!("{at}.config"),
            tools,
            issues,
        ) else {
            continue;
        };
        if shelf.0.insert(id.into(), mechanism).is_some() {
            issues.note(
                item.line,
                &at,
                format!("there are two mechanisms `{id}` of this kind"),
            );
        }
    }
    shelf
}
