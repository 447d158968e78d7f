//! What must hold besides host and path.

use heimdall_finalizer::url::{has_encoded_slash, unescape_segment};
use regex::{Regex, RegexBuilder};

use crate::Request;
use crate::matching::glob;
use crate::rules::EncodedSlashes;

/// How a pattern is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatternKind {
    Exact,
    Glob,
    Regex,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    source: (PatternKindKey, String),
    form: Form,
}

type PatternKindKey = u8;

#[derive(Debug, Clone)]
enum Form {
    Exact,
    Expression(Regex),
}

/// An expression may not grow beyond this when compiled.
const LARGEST: usize = 1 << 20;

impl Pattern {
    /// Compiles; the engine is linear, so no pattern can hang a request.
    pub(crate) fn new(kind: PatternKind, value: &str, separator: char) -> Result<Self, String> {
        if value.is_empty() && kind != PatternKind::Exact {
            return Err("is empty".to_owned());
        }
        let compile = |expression: &str| {
            RegexBuilder::new(expression)
                .size_limit(LARGEST)
                .build()
                .map(Form::Expression)
                .map_err(|error| {
                    format!(
                        "is no expression: {}",
                        error.to_string().lines().last().unwrap_or_default()
                    )
                })
        };
        let form = match kind {
            PatternKind::Exact => Form::Exact,
            PatternKind::Regex => compile(value)?,
            PatternKind::Glob => compile(&glob::to_regex(value, separator).ok_or("is no glob")?)?,
        };
        Ok(Self {
            source: (kind as u8, value.to_owned()),
            form,
        })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.form {
            Form::Exact => self.source.1 == text,
            Form::Expression(expression) => expression.is_match(text),
        }
    }
}

/// A condition on what a path expression captured.
#[derive(Debug, Clone)]
pub(crate) struct PathParam {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
}

/// What must hold besides host and path. Empty lists hold always.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conditions {
    pub(crate) scheme: Option<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) hosts: Vec<Pattern>,
    pub(crate) params: Vec<PathParam>,
    pub(crate) slashes: EncodedSlashes,
}

impl Conditions {
    pub(crate) fn hold(&self, request: &Request<'_>, names: &[Box<str>], values: &[&str]) -> bool {
        self.scheme
            .as_ref()
            .is_none_or(|scheme| *scheme == request.scheme)
            && (self.methods.is_empty()
                || self.methods.iter().any(|method| *method == request.method))
            && (self.hosts.is_empty() || self.hosts.iter().any(|host| host.matches(&request.host)))
            && self
                .params
                .iter()
                .all(|param| self.param_holds(param, request, names, values))
    }

    fn param_holds(
        &self,
        param: &PathParam,
        request: &Request<'_>,
        names: &[Box<str>],
        values: &[&str],
    ) -> bool {
        let at = names.iter().position(|name| **name == *param.name);
        let Some(value) = at.and_then(|at| values.get(at)) else {
            return false;
        };
        match self.slashes {
            EncodedSlashes::Off => {
                !has_encoded_slash(&request.path) && param.pattern.matches(value)
            }
            EncodedSlashes::On => param.pattern.matches(&unescape_segment(value, true)),
            EncodedSlashes::NoDecode => param.pattern.matches(&unescape_segment(value, false)),
        }
    }

    /// Whether these hold for every request for which `other` hold.
    pub(crate) fn cover(&self, other: &Self) -> bool {
        let scheme = self.scheme.is_none() || self.scheme == other.scheme;
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other
                    .methods
                    .iter()
                    .all(|method| self.methods.contains(method)));
        let hosts = self.hosts.is_empty() || same(&self.hosts, &other.hosts);
        let params = self.params.iter().all(|param| {
            self.slashes == other.slashes
                && other.params.iter().any(|twin| {
                    twin.name == param.name && twin.pattern.source == param.pattern.source
                })
        });
        scheme && methods && hosts && params
    }
}

fn same(a: &[Pattern], b: &[Pattern]) -> bool {
    a.len() == b.len()
        && a.iter()
            .all(|pattern| b.iter().any(|twin| twin.source == pattern.source))
}
