//! Lists of expressions, each with what to say when it does not hold.

use std::sync::Arc;

use heimdall_finalizer::settings::{Fields, Strictness};
use heimdall_finalizer::{Failure, Kind};

use crate::expression::{Expression, Facts};

/// All must hold.
#[derive(Clone, Default)]
pub(crate) struct Expressions(Arc<[(Expression, String)]>);

impl Expressions {
    /// Reads an `expressions` member; `None` when there is none, or when it is wrong.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let items = fields.list("expressions")?;
        if items.is_empty() {
            // in a rule an empty list asks for nothing else than the catalogue does
            if fields.strictness() != Strictness::RULES {
                fields.wrong("expressions", "names no expression");
            }
            return None;
        }
        let mut all = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("{}[{index}]", fields.at("expressions"));
            let Some(mut entry) = Fields::open(item, at, fields.strictness(), fields.issues())
            else {
                continue;
            };
            let source = entry.required_text("expression");
            let message = entry.text("message").filter(|message| !message.is_empty());
            let message =
                message.map_or_else(|| format!("expression {} failed", index + 1), str::to_owned);
            if let Some(source) = source {
                match Expression::compile(source) {
                    Ok(expression) => all.push((expression, message)),
                    Err(error) => entry.wrong("expression", error),
                }
            }
            entry.close();
        }
        Some(Self(all.into()))
    }

    pub(super) fn check(&self, facts: &Facts<'_>) -> Result<(), Failure> {
        for (index, (expression, message)) in self.0.iter().enumerate() {
            match expression.holds(facts) {
                Ok(true) => {}
                Ok(false) => return Err(Failure::new(Kind::Authorization, message.as_str())),
                Err(error) => {
                    let message = format!("failed evaluating expression {}: {error}", index + 1);
                    return Err(Failure::new(Kind::Internal, message));
                }
            }
        }
        Ok(())
    }

    pub(super) fn reads_body(&self) -> bool {
        self.0.iter().any(|(expression, _)| expression.reads_body())
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(expression, _)| expression.source())
    }
}
