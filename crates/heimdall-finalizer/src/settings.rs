//! Configuration as a tree that remembers its lines, and readers that name what is wrong with it.

use std::cell::RefCell;
use std::time::Duration;

use heimdall_types::nearest;
use serde_json::Value;

use crate::duration::{Grammar, parse_duration};

/// A value of a configuration and the line it stands on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Line, from 1; 0 where none is known.
    pub line: usize,
    /// The value.
    pub kind: NodeKind,
}

/// The value of a [`Node`].
#[derive(Debug, Clone, PartialEq, Default)]
pub enum NodeKind {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// A node without a line.
    pub fn from_json(value: &Value) -> Self {
        let kind = match value {
            Value::Null => NodeKind::Null,
            Value::Bool(flag) => NodeKind::Bool(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => NodeKind::Int(whole),
                None => NodeKind::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => NodeKind::Text(text.clone()),
            Value::Array(items) => NodeKind::List(items.iter().map(Self::from_json).collect()),
            Value::Object(members) => NodeKind::Map(
                members
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value)))
                    .collect(),
            ),
        };
        Self { line: 0, kind }
    }

    /// The member of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            NodeKind::Map(members) => members
                .iter()
                .find(|(known, _)| known == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// Whether this is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, NodeKind::Null)
    }

    /// What it is, for messages.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "a flag",
            NodeKind::Int(_) | NodeKind::Float(_) => "a number",
            NodeKind::Text(_) => "text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a map",
        }
    }
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// Line, from 1; 0 where none is known.
    pub line: usize,
    /// The key as a path.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// The known name that was probably meant.
    pub nearest: Option<String>,
}

/// Collects what is wrong, so that all of it is told at once.
#[derive(Debug, Default)]
pub struct Issues(RefCell<Vec<Issue>>);

impl Issues {
    /// Notes something.
    pub fn note(&self, line: usize, key: &str, message: impl Into<String>) {
        self.push(Issue {
            line,
            key: key.to_owned(),
            message: message.into(),
            nearest: None,
        });
    }

    /// Notes an unknown name.
    pub fn unknown<'k>(
        &self,
        line: usize,
        key: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let message = format!(
            "unknown {}",
            if key.is_empty() {
                format!("`{name}`")
            } else {
                format!("name `{name}`")
            }
        );
        let nearest = nearest(name, known).map(str::to_owned);
        self.push(Issue {
            line,
            key: key.to_owned(),
            message,
            nearest,
        });
    }

    /// Notes a whole issue.
    pub fn push(&self, issue: Issue) {
        self.0.borrow_mut().push(issue);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Takes them.
    pub fn into_inner(self) -> Vec<Issue> {
        self.0.into_inner()
    }
}

/// How strictly a configuration is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strictness {
    /// Which durations are taken.
    pub durations: Grammar,
    /// Whether a member that is nothing counts as absent (rule sets) or as a wrong type (configuration).
    pub null_is_absent: bool,
}

impl Strictness {
    /// How the configuration file is read.
    pub const CATALOGUE: Self = Self {
        durations: Grammar::OneUnit,
        null_is_absent: false,
    };
    /// How rule sets are read.
    pub const RULES: Self = Self {
        durations: Grammar::Go,
        null_is_absent: true,
    };
}

/// Reads the members of one map, and knows at the end which ones nobody asked for.
pub struct Fields<'a> {
    members: &'a [(String, Node)],
    line: usize,
    path: String,
    strictness: Strictness,
    issues: &'a Issues,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens a map; anything else is an issue.
    pub fn open(
        node: &'a Node,
        path: impl Into<String>,
        strictness: Strictness,
        issues: &'a Issues,
    ) -> Option<Self> {
        let path = path.into();
        match &node.kind {
            NodeKind::Map(members) => Some(Self {
                members,
                line: node.line,
                path,
                strictness,
                issues,
                asked: Vec::new(),
            }),
            _ => {
                issues.note(
                    node.line,
                    &path,
                    format!("is {}, a map is wanted", node.describe()),
                );
                None
            }
        }
    }

    /// The collector.
    pub fn issues(&self) -> &'a Issues {
        self.issues
    }

    /// How strictly this is read.
    pub fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// Line of the map.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Path of the map.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path of a member.
    pub fn at(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Notes what is wrong with a member.
    pub fn wrong(&self, key: &str, message: impl Into<String>) {
        let line = self
            .members
            .iter()
            .find(|(known, _)| known == key)
            .map_or(self.line, |(_, node)| node.line);
        self.issues.note(line, &self.at(key), message);
    }

    /// A member, whatever it is.
    pub fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        let node = self
            .members
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, node)| node)?;
        (!(self.strictness.null_is_absent && node.is_null())).then_some(node)
    }

    /// A member that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<&'a Node> {
        let node = self.node(key);
        if node.is_none() {
            self.issues
                .note(self.line, &self.path, format!("`{key}` is missing"));
        }
        node
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl Fn(&'a Node) -> Option<T>,
    ) -> Option<T> {
        let node = self.node(key)?;
        let value = read(node);
        if value.is_none() {
            self.issues.note(
                node.line,
                &self.at(key),
                format!("is {}, {wanted} is wanted", node.describe()),
            );
        }
        value
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        self.typed(key, "text", |node| match &node.kind {
            NodeKind::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A text that must be there and not be empty.
    pub fn required_text(&mut self, key: &'static str) -> Option<&'a str> {
        self.required(key)?;
        let text = self.text(key)?;
        if text.is_empty() {
            self.wrong(key, "is empty");
            return None;
        }
        Some(text)
    }

    /// One of a few words.
    pub fn word(&mut self, key: &'static str, known: &[&'static str]) -> Option<&'static str> {
        let text = self
            .text(key)
            // In rule sets an empty word is one that is not there.
            .filter(|text| !(text.is_empty() && self.strictness.null_is_absent))?;
        let found = known.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.issues.push(Issue {
                line: self
                    .members
                    .iter()
                    .find(|(name, _)| name == key)
                    .map_or(self.line, |(_, node)| node.line),
                key: self.at(key),
                message: format!("`{text}` is none of {}", known.join(", ")),
                nearest: nearest(text, known.iter().copied()).map(str::to_owned),
            });
        }
        found
    }

    /// A flag.
    pub fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "`true` or `false`", |node| match node.kind {
            NodeKind::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    /// A whole number.
    pub fn integer(&mut self, key: &'static str) -> Option<i64> {
        self.typed(key, "a whole number", |node| match node.kind {
            NodeKind::Int(number) => Some(number),
            NodeKind::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                Some(number as i64)
            }
            _ => None,
        })
    }

    /// A duration.
    pub fn duration(&mut self, key: &'static str) -> Option<Duration> {
        let node = self.node(key)?;
        match (&node.kind, self.strictness.durations) {
            (NodeKind::Text(text), grammar) => match parse_duration(text, grammar) {
                Ok(duration) => Some(duration),
                Err(message) => {
                    self.wrong(key, message);
                    None
                }
            },
            // a bare number in a rule set is a count of nanoseconds, as there
            (NodeKind::Int(nanos), Grammar::Go) => {
                Some(Duration::from_nanos(u64::try_from(*nanos).unwrap_or(0)))
            }
            _ => {
                self.wrong(
                    key,
                    format!("is {}, a duration like `5s` is wanted", node.describe()),
                );
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let node = self.node(key)?;
        let NodeKind::List(items) = &node.kind else {
            self.wrong(key, format!("is {}, a list is wanted", node.describe()));
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match &item.kind {
                NodeKind::Text(text) => texts.push(text.clone()),
                _ => self.issues.note(
                    item.line,
                    &format!("{}[{index}]", self.at(key)),
                    format!("is {}, text is wanted", item.describe()),
                ),
            }
        }
        Some(texts)
    }

    /// A map of texts, in the order of the file.
    pub fn text_map(&mut self, key: &'static str) -> Option<Vec<(&'a str, &'a str, usize)>> {
        let node = self.node(key)?;
        let NodeKind::Map(members) = &node.kind else {
            self.wrong(key, format!("is {}, a map is wanted", node.describe()));
            return None;
        };
        let mut texts = Vec::with_capacity(members.len());
        for (name, value) in members {
            match &value.kind {
                NodeKind::Text(text) => texts.push((name.as_str(), text.as_str(), value.line)),
                NodeKind::Null if self.strictness.null_is_absent => {
                    texts.push((name.as_str(), "", value.line));
                }
                _ => self.issues.note(
                    value.line,
                    &format!("{}.{name}", self.at(key)),
                    format!("is {}, text is wanted", value.describe()),
                ),
            }
        }
        Some(texts)
    }

    /// The items of a list.
    pub fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        self.typed(key, "a list", |node| match &node.kind {
            NodeKind::List(items) => Some(items.as_slice()),
            _ => None,
        })
    }

    /// The members of a map below.
    pub fn section(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let node = self.node(key)?;
        let path = self.at(key);
        Fields::open(node, path, self.strictness, self.issues)
    }

    /// Refuses every member that was not asked for.
    pub fn close(self) {
        for (name, node) in self.members {
            if !self.asked.contains(&name.as_str()) {
                let known = nearest(name, self.asked.iter().copied()).map(str::to_owned);
                self.issues.push(Issue {
                    line: node.line,
                    key: self.at(name),
                    message: "unknown key".to_owned(),
                    nearest: known,
                });
            }
        }
    }
}
