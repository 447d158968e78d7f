//! Whether the subject may.

mod expressions;
mod remote;

use std::sync::Arc;

use heimdall_finalizer::settings::{Fields, Issues, Node, Strictness};
use heimdall_finalizer::{Effects, Failure, Kind, Scope, Sight, ValueTemplates, read_values};
use serde_json::Value;

use crate::answer::Missing;
use crate::authenticators::Identity;
use crate::expression::Facts;
use crate::tools::Tools;
use expressions::Expressions;
pub(crate) use remote::{add_request, payload};

/// An authorizer of the catalogue, or one with a rule's overrides.
#[derive(Clone)]
pub(crate) enum Authorizer {
    Allow,
    Deny,
    Cel(Arc<Cel>),
    Remote(Arc<remote::Remote>),
    Permission(Arc<str>),
    Approval(Arc<str>),
}

pub(crate) const TYPES: [&str; 6] = ["allow", "deny", "cel", "remote", "permission", "approval"];

/// `cel`: expressions over request and subject.
#[derive(Clone)]
pub(crate) struct Cel {
    expressions: Expressions,
    values: ValueTemplates,
}

/// Why an authorizer said no, and what our own ones have to say about it.
pub(crate) struct Denial {
    pub(crate) failure: Failure,
    pub(crate) missing: Option<Missing>,
}

impl From<Failure> for Denial {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            missing: None,
        }
    }
}

impl Authorizer {
    pub(crate) fn build(
        kind: &str,
        config: Option<&Node>,
        line: usize,
        path: &str,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        if let "allow" | "deny" = kind {
            if let Some(config) = config {
                issues.note(
                    config.line,
                    path,
                    format!("an authorizer `{kind}` takes no configuration"),
                );
            }
            return Some(if kind == "allow" {
                Self::Allow
            } else {
                Self::Deny
            });
        }
        let Some(config) = config else {
            issues.note(
                line,
                path,
                format!("an authorizer `{kind}` needs a configuration"),
            );
            return None;
        };
        let mut fields = Fields::open(config, path, Strictness::CATALOGUE, issues)?;
        match kind {
            "cel" => {
                fields.required("expressions");
                let expressions = Expressions::read(&mut fields);
                let values = read_values(&mut fields, "values", &tools.workshop);
                fields.close();
                Some(Self::Cel(Arc::new(Cel {
                    expressions: expressions?,
                    values,
                })))
            }
            "remote" => {
                remote::Remote::build(fields, tools).map(|remote| Self::Remote(Arc::new(remote)))
            }
            "permission" => named(fields, "permission").map(Self::Permission),
            "approval" => named(fields, "role").map(Self::Approval),
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
            Self::Allow | Self::Deny => {
                issues.note(config.line, path, "this authorizer takes no configuration");
                None
            }
            Self::Cel(cel) => {
                let expressions = Expressions::read(&mut fields);
                let values = read_values(&mut fields, "values", &tools.workshop);
                fields.close();
                let expressions = expressions.unwrap_or_else(|| cel.expressions.clone());
                Some(Self::Cel(Arc::new(Cel {
                    expressions,
                    values: cel.values.merged(&values),
                })))
            }
            Self::Remote(remote) => remote
                .overridden(fields, tools)
                .map(|remote| Self::Remote(Arc::new(remote))),
            Self::Permission(_) => named(fields, "permission").map(Self::Permission),
            Self::Approval(_) => named(fields, "role").map(Self::Approval),
        }
    }

    /// Lets the request pass or says why not.
    pub(crate) async fn authorize(
        &self,
        step: &str,
        sight: Sight<'_>,
        identity: &Identity,
        tools: &Tools,
        effects: &mut Effects,
    ) -> Result<Option<Value>, Denial> {
        match self {
            Self::Allow => Ok(None),
            Self::Deny => Err(Failure::new(Kind::Authorization, "denied by authorizer").into()),
            Self::Cel(cel) => {
                let values = cel.values.render(&Scope { ..sight.scope() })?;
                let facts = Facts {
                    scene: Some(sight.scene),
                    subject: Some(sight.subject),
                    outputs: Some(sight.outputs),
                    values: Some(&values),
                    ..Facts::default()
                };
                cel.expressions.check(&facts)?;
                Ok(None)
            }
            Self::Remote(remote) => {
                Ok(Box::pin(remote.authorize(step, sight, tools, effects)).await?)
            }
            Self::Permission(permission) => permitted(identity, permission).map(|()| None),
            Self::Approval(role) => granted(identity, role).map(|()| None),
        }
    }

    /// The header names it could set, in lower case.
    pub(crate) fn owned_headers(&self) -> Vec<String> {
        match self {
            Self::Remote(remote) => remote
                .forwarded()
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it may look at the body of the request.
    pub(crate) fn reads_body(&self) -> bool {
        match self {
            Self::Cel(cel) => cel.expressions.reads_body() || cel.values.reads_body(),
            Self::Remote(remote) => remote.reads_body(),
            _ => false,
        }
    }
}

fn named(mut fields: Fields<'_>, key: &'static str) -> Option<Arc<str>> {
    let name = fields.required_text(key).map(Arc::from);
    fields.close();
    name
}

fn holds(identity: &Identity, list: &str, wanted: &str) -> bool {
    let held = identity
        .subject
        .attributes
        .get(list)
        .and_then(Value::as_array);
    held.is_some_and(|held| held.iter().any(|one| one.as_str() == Some(wanted)))
}

fn permitted(identity: &Identity, permission: &str) -> Result<(), Denial> {
    if holds(identity, "permissions", permission) {
        return Ok(());
    }
    let hints = identity.issuer.as_ref().map(|issued| {
        issued
            .liveness
            .hints_for_permission(&issued.app, permission)
    });
    Err(Denial {
        failure: Failure::new(
            Kind::Authorization,
            format!("permission `{permission}` is missing"),
        ),
        missing: Some(Missing {
            permission: Some(permission.to_owned()),
            role: None,
            hints: hints.unwrap_or_default(),
        }),
    })
}

/// Needs a live grant: a role that is only in an old token is not enough where our API can be asked.
fn granted(identity: &Identity, role: &str) -> Result<(), Denial> {
    if holds(identity, "roles", role) {
        return Ok(());
    }
    let hints = identity
        .issuer
        .as_ref()
        .map(|issued| issued.liveness.hints_for_role(&issued.app, role));
    Err(Denial {
        failure: Failure::new(
            Kind::Authorization,
            format!("a live grant of role `{role}` is missing"),
        ),
        missing: Some(Missing {
            permission: None,
            role: Some(role.to_owned()),
            hints: hints.unwrap_or_default(),
        }),
    })
}
