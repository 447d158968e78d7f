//! A parsed template.

use std::fmt;
use std::sync::Arc;

use crate::engine::Settings;
use crate::program::Program;
use crate::{Error, Value, parse, render};

/// A template, parsed once, rendered from any thread.
#[derive(Clone)]
pub struct Template {
    settings: Arc<Settings>,
    program: Arc<Program>,
    name: Arc<str>,
}

/// How one render treats what an action gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RenderOptions {
    /// Refuses a carriage return or line feed in the text of one action, unless a literal of the same action has one.
    pub guard_newlines: bool,
    /// What an action without a value prints.
    pub no_value: NoValue,
}

/// What an action without a value prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NoValue {
    /// `<no value>`, as Go does.
    #[default]
    Go,
    /// Nothing.
    Nothing,
    /// An error.
    Refuse,
}

impl RenderOptions {
    /// Refuses line breaks that data brings into the text of an action.
    #[must_use]
    pub fn guard_newlines(mut self, guard: bool) -> Self {
        self.guard_newlines = guard;
        self
    }

    /// What an action without a value prints.
    #[must_use]
    pub fn no_value(mut self, no_value: NoValue) -> Self {
        self.no_value = no_value;
        self
    }
}

impl Template {
    pub(crate) fn parse(settings: Arc<Settings>, sources: &[(&str, &str)]) -> Result<Self, Error> {
        let name = sources
            .first()
            .map(|source| source.0)
            .unwrap_or_default()
            .into();
        let program = Arc::new(parse::parse(&settings, sources)?);
        Ok(Self {
            settings,
            program,
            name,
        })
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// The name given at parsing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Renders into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Exec`](crate::ErrorKind::Exec) or [`ErrorKind::Limit`](crate::ErrorKind::Limit). What was written
    /// before the error stays in `out`.
    pub fn render<'a>(
        &'a self,
        data: impl Into<Value<'a>>,
        out: &mut impl fmt::Write,
    ) -> Result<(), Error> {
        self.render_with(data, out, RenderOptions::default())
    }

    /// Renders into `out` with options.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with<'a>(
        &'a self,
        data: impl Into<Value<'a>>,
        out: &mut impl fmt::Write,
        options: RenderOptions,
    ) -> Result<(), Error> {
        render::render(
            &self.settings,
            &self.program,
            &self.name,
            data.into(),
            out,
            options,
        )
    }

    /// Renders into a new string.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_to_string<'a>(&'a self, data: impl Into<Value<'a>>) -> Result<String, Error> {
        let mut out = String::new();
        self.render(data, &mut out)?;
        Ok(out)
    }
}
