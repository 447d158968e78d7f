//! Templates of a configuration.

use heimdall_template::{Engine, NoValue, RenderOptions, Template, Value};

use crate::scope::{Scope, Values};
use crate::settings::Issues;
use crate::{Failure, Kind};

/// What a missing attribute does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// Renders as nothing.
    #[default]
    Empty,
    /// Refuses the request.
    Error,
}

/// A parsed template and its text.
#[derive(Clone)]
pub struct Text {
    source: String,
    form: Form,
}

#[derive(Clone)]
enum Form {
    /// No action in it.
    Plain,
    Parsed(Template),
}

impl Text {
    /// Parses; what is wrong goes to `issues`.
    pub fn parse(
        engine: &Engine,
        source: &str,
        line: usize,
        key: &str,
        issues: &Issues,
    ) -> Option<Self> {
        if !source.contains("{{") {
            return Some(Self {
                source: source.to_owned(),
                form: Form::Plain,
            });
        }
        match engine.parse(key, source) {
            Ok(template) => Some(Self {
                source: source.to_owned(),
                form: Form::Parsed(template),
            }),
            Err(error) => {
                issues.push(crate::settings::Issue {
                    line: line + error.line().saturating_sub(1),
                    key: key.to_owned(),
                    message: format!("is no template: {}", error.message()),
                    nearest: error.nearest().map(str::to_owned),
                });
                None
            }
        }
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether there is no action in it.
    pub fn is_plain(&self) -> bool {
        matches!(self.form, Form::Plain)
    }

    /// Whether it may look at the body of the request.
    pub fn reads_body(&self) -> bool {
        !self.is_plain() && self.source.contains("Body")
    }

    /// Renders, as Go does.
    ///
    /// # Errors
    /// [`Kind::Internal`], with the place in the template.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, Failure> {
        self.render_with(scope, RenderOptions::default().no_value(NoValue::Nothing))
    }

    /// Renders for a header or cookie: no attribute brings a line break, a missing one does as `on_missing` says.
    ///
    /// # Errors
    /// [`Kind::Internal`], with the place in the template.
    pub fn render_guarded(
        &self,
        scope: &Scope<'_>,
        on_missing: OnMissing,
    ) -> Result<String, Failure> {
        let missing = match on_missing {
            OnMissing::Empty => NoValue::Nothing,
            OnMissing::Error => NoValue::Refuse,
        };
        self.render_with(
            scope,
            RenderOptions::default()
                .guard_newlines(true)
                .no_value(missing),
        )
    }

    /// Renders; a missing attribute does as `on_missing` says.
    ///
    /// # Errors
    /// [`Kind::Internal`], with the place in the template.
    pub fn render_with_missing(
        &self,
        scope: &Scope<'_>,
        on_missing: OnMissing,
    ) -> Result<String, Failure> {
        let missing = match on_missing {
            OnMissing::Empty => NoValue::Nothing,
            OnMissing::Error => NoValue::Refuse,
        };
        self.render_with(scope, RenderOptions::default().no_value(missing))
    }

    fn render_with(&self, scope: &Scope<'_>, options: RenderOptions) -> Result<String, Failure> {
        let Form::Parsed(template) = &self.form else {
            return Ok(self.source.clone());
        };
        let mut out = String::with_capacity(self.source.len() + 64);
        template
            .render_with(Value::mapping(scope), &mut out, options)
            .map_err(|error| {
                Failure::new(
                    Kind::Internal,
                    format!("failed to render template: {error}"),
                )
            })?;
        Ok(out)
    }
}

/// Named templates whose results other templates use as `.Values`.
#[derive(Clone, Default)]
pub struct ValueTemplates(Vec<(String, Text)>);

impl ValueTemplates {
    /// The templates of a `values` member.
    pub fn new(mut texts: Vec<(String, Text)>) -> Self {
        texts.sort_by(|a, b| a.0.cmp(&b.0));
        Self(texts)
    }

    /// These, with those of a rule in their place or beside them.
    #[must_use]
    pub fn merged(&self, over: &Self) -> Self {
        let kept = self
            .0
            .iter()
            .filter(|(name, _)| !over.0.iter().any(|(other, _)| other == name));
        Self::new(kept.chain(&over.0).cloned().collect())
    }

    /// Renders all.
    ///
    /// # Errors
    /// [`Kind::Internal`].
    pub fn render(&self, scope: &Scope<'_>) -> Result<Values, Failure> {
        self.0
            .iter()
            .map(|(name, text)| Ok((name.clone(), text.render(scope)?)))
            .collect()
    }

    /// Names and texts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Text)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text))
    }

    /// Whether any may look at the body of the request.
    pub fn reads_body(&self) -> bool {
        self.0.iter().any(|(_, text)| text.reads_body())
    }
}
