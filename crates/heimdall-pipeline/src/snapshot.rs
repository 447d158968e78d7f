//! All rules at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::matching::{Entry, Found, Index};
use crate::route::Route;
use crate::rules::Rule;
use crate::{Engine, LoadError, LoadErrors, Request, RuleSet};

/// All rules at one moment. Put it behind an atomic pointer; one request sees one snapshot. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot(Arc<SnapshotState>);

struct SnapshotState {
    engine: Engine,
    rules: Vec<Arc<Rule>>,
    index: Index,
}

impl Snapshot {
    pub(crate) fn build(engine: Engine, sets: &[Arc<RuleSet>]) -> Result<Self, LoadErrors> {
        let rules: Vec<Arc<Rule>> = sets
            .iter()
            .flat_map(|set| set.rules.iter().cloned())
            .collect();
        let mut index = Index::default();
        let mut errors = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            for way in &rule.entries {
                let entry = Entry {
                    rule: number,
                    host: way.host.clone(),
                    path: way.path.clone(),
                    conditions: way.conditions.clone(),
                    shadow: rule.shadow,
                };
                if let Err(error) = index.insert(entry) {
                    errors.push(trouble(rule, format!("`{}`: {error}", way.path)));
                }
            }
        }
        errors.extend(foreign(&index, &rules));
        errors.extend(unreachable(&index, &rules));
        if !errors.is_empty() {
            return Err(LoadErrors(errors));
        }
        Ok(Self(Arc::new(SnapshotState {
            engine,
            rules,
            index,
        })))
    }

    /// The rule that takes a request, the default rule, or none.
    pub fn find(&self, request: &Request<'_>) -> Route {
        let state = &*self.0;
        let route = |found: Found| {
            let entry = state.index.entry(found.entry)?;
            let rule = state.rules.get(entry.rule)?.clone();
            Some(Route::new(
                state.engine.clone(),
                Some(rule),
                Some(entry.path.clone()),
                found.captures,
            ))
        };
        let found = state.index.find(request, false).and_then(route);
        let mut chosen = found.unwrap_or_else(|| {
            Route::new(
                state.engine.clone(),
                state.engine.0.default_rule.clone(),
                None,
                Vec::new(),
            )
        });
        if state.index.has_shadows() {
            chosen.shadow = state
                .index
                .find(request, true)
                .and_then(route)
                .map(Box::new);
        }
        chosen
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.0.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.rules.is_empty()
    }
}

fn trouble(rule: &Rule, message: String) -> LoadError {
    LoadError {
        file: rule.name.source.to_string(),
        line: rule.line,
        key: rule.name.id.to_string(),
        message,
        nearest: None,
    }
}

fn place(rule: &Rule) -> String {
    format!("`{}` ({}:{})", rule.name.id, rule.name.source, rule.line)
}

/// Rules of one place, and of places that are more and less specific, belong into one rule set: nobody's rules may
/// take requests from another's.
fn foreign(index: &Index, rules: &[Arc<Rule>]) -> Vec<LoadError> {
    let first = rules.first().map(|rule| rule.name.source.clone());
    if rules
        .iter()
        .all(|rule| Some(&rule.name.source) == first.as_ref())
    {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for rule in rules {
        for way in &rule.entries {
            let other = index.search(&way.host, &way.path, &mut |number, _, _| {
                let other = index.entry(number).and_then(|entry| rules.get(entry.rule));
                other.is_some_and(|other| other.name.source != rule.name.source)
            });
            let other = other
                .and_then(|found| index.entry(found.entry))
                .and_then(|entry| rules.get(entry.rule));
            if let Some(other) = other {
                errors.push(trouble(
                    rule,
                    format!(
                        "`{}` conflicts with rule {} of another rule set",
                        way.path,
                        place(other)
                    ),
                ));
                break;
            }
        }
    }
    errors
}

/// Rules that never get a request, because an earlier one at each of their places takes all of theirs.
fn unreachable(index: &Index, rules: &[Arc<Rule>]) -> Vec<LoadError> {
    let mut covered: HashMap<usize, (usize, usize)> = HashMap::new();
    for entries in index.places() {
        for (at, later) in entries.iter().enumerate().skip(1) {
            let Some(later) = index.entry(*later) else {
                continue;
            };
            let earlier = entries
                .iter()
                .take(at)
                .filter_map(|number| index.entry(*number))
                .find(|earlier| {
                    earlier.rule != later.rule
                        && earlier.shadow == later.shadow
                        && earlier.conditions.cover(&later.conditions)
                });
            if let Some(earlier) = earlier {
                let (times, _) = covered.entry(later.rule).or_insert((0, earlier.rule));
                *times += 1;
            }
        }
    }
    let dead = |(number, (times, by)): (&usize, &(usize, usize))| {
        let (rule, by) = (rules.get(*number)?, rules.get(*by)?);
        (*times >= rule.entries.len()).then(|| {
            trouble(
                rule,
                format!(
                    "is never reached: rule {} takes everything before it",
                    place(by)
                ),
            )
        })
    };
    let mut errors: Vec<LoadError> = covered.iter().filter_map(dead).collect();
    errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    errors
}
