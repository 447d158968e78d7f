//! Which rule takes a request: hosts, then a tree of path segments, then conditions.
//!
//! A lookup touches the labels of the host and the segments of the path, never all rules. Where a more specific
//! branch holds no rule whose conditions fit, the search goes back to the next less specific one.

mod condition;
mod glob;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use condition::{Conditions, PathParam, Pattern, PatternKind};
use tree::PathTree;
pub(crate) use tree::{PathError, check_path};

use crate::Request;

/// One way into a rule: a host pattern, a path expression, conditions.
pub(crate) struct Entry {
    /// Number of the rule, the caller's.
    pub(crate) rule: usize,
    /// Lower case; `*`, `*.suffix` or a whole host.
    pub(crate) host: String,
    /// Path expression.
    pub(crate) path: Arc<str>,
    /// What else must hold.
    pub(crate) conditions: Arc<Conditions>,
    /// Judged beside another rule, never instead of one.
    pub(crate) shadow: bool,
}

/// All entries, found by host and path.
#[derive(Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    exact: HashMap<String, PathTree>,
    suffix: HashMap<String, PathTree>,
    any: PathTree,
    shadows: bool,
}

/// An entry that takes a request, and what its path expression captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) entry: usize,
    pub(crate) captures: Vec<(String, String)>,
}

impl Index {
    /// Adds an entry.
    pub(crate) fn insert(&mut self, entry: Entry) -> Result<usize, PathError> {
        let number = self.entries.len();
        let tree = match entry.host.strip_prefix("*.") {
            _ if entry.host == "*" => &mut self.any,
            Some(suffix) => self.suffix.entry(suffix.to_owned()).or_default(),
            None => self.exact.entry(entry.host.clone()).or_default(),
        };
        tree.insert(&entry.path, number)?;
        self.shadows |= entry.shadow;
        self.entries.push(entry);
        Ok(number)
    }

    /// Whether any entry belongs to a shadow rule.
    pub(crate) fn has_shadows(&self) -> bool {
        self.shadows
    }

    pub(crate) fn entry(&self, number: usize) -> Option<&Entry> {
        self.entries.get(number)
    }

    /// Entries in one place, in the order they came.
    pub(crate) fn places(&self) -> impl Iterator<Item = &[usize]> {
        let trees = self
            .exact
            .values()
            .chain(self.suffix.values())
            .chain([&self.any]);
        trees.flat_map(PathTree::places)
    }

    /// The first entry that takes a request, the most specific place first; among shadows, or among the others.
    pub(crate) fn find(&self, request: &Request<'_>, shadow: bool) -> Option<Found> {
        self.search(
            &request.host,
            &request.path,
            &mut |number, names, values| {
                let entry = self
                    .entries
                    .get(number)
                    .filter(|entry| entry.shadow == shadow);
                entry.is_some_and(|entry| entry.conditions.hold(request, names, values))
            },
        )
    }

    /// The first entry for a host and a path that `accept` takes.
    pub(crate) fn search(&self, host: &str, path: &str, accept: &mut Accept<'_>) -> Option<Found> {
        if let Some(found) = self
            .exact
            .get(host)
            .and_then(|tree| tree.find(path, accept))
        {
            return Some(found);
        }
        if !self.suffix.is_empty() {
            let mut rest = host;
            while let Some((_, suffix)) = rest.split_once('.') {
                if let Some(found) = self
                    .suffix
                    .get(suffix)
                    .and_then(|tree| tree.find(path, accept))
                {
                    return Some(found);
                }
                rest = suffix;
            }
        }
        self.any.find(path, accept)
    }
}

/// Whether an entry fits, given the names and values that its path expression captured.
pub(crate) type Accept<'a> = dyn FnMut(usize, &[Box<str>], &[&str]) -> bool + 'a;
