//! What can go wrong: in the text of a template, while it renders, or because a limit was reached.

use std::fmt;

/// The phase an error belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is no template: nothing was rendered.
    Parse,
    /// The template does not fit its data, or a function refused its arguments.
    Exec,
    /// A limit of the caller was reached.
    Limit(Limit),
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Steps of work, see [`Limits::fuel`](crate::Limits::fuel).
    Fuel,
    /// Bytes of output, see [`Limits::output`](crate::Limits::output).
    Output,
    /// Nested `template` calls, see [`Limits::depth`](crate::Limits::depth).
    Depth,
    /// Bytes that one function may build, see [`Limits::built`](crate::Limits::built).
    Built,
    /// Size of a compiled regular expression, see [`Limits::regex`](crate::Limits::regex).
    Regex,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fuel => "fuel",
            Self::Output => "output",
            Self::Depth => "depth",
            Self::Built => "built",
            Self::Regex => "regex",
        })
    }
}

/// An error with its place in the template.
///
/// `Display` gives one line, `name:line:column: message`; [`Error::excerpt`] gives the source line with a caret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    kind: ErrorKind,
    message: String,
    template: String,
    line: usize,
    column: usize,
    source_line: String,
    width: usize,
    nearest: Option<String>,
}

impl Error {
    /// The phase.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Name of the template the text belongs to.
    pub fn template(&self) -> &str {
        &self.0.template
    }

    /// Line in the text, from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// Column in the line, in characters from 1.
    pub fn column(&self) -> usize {
        self.0.column
    }

    /// The function name closest to an unknown one.
    pub fn nearest(&self) -> Option<&str> {
        self.0.nearest.as_deref()
    }

    /// The line of the template with a caret under the offending text.
    pub fn excerpt(&self) -> String {
        let number = self.0.line.to_string();
        let gutter = " ".repeat(number.len());
        let indent: String = self
            .0
            .source_line
            .chars()
            .take(self.0.column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        format!(
            "{gutter} |\n{number} | {}\n{gutter} | {indent}{}",
            self.0.source_line,
            "^".repeat(self.0.width.max(1))
        )
    }

    pub(crate) fn new(kind: ErrorKind, message: String) -> Self {
        Self(Box::new(Report {
            kind,
            message,
            template: String::new(),
            line: 0,
            column: 0,
            source_line: String::new(),
            width: 0,
            nearest: None,
        }))
    }

    pub(crate) fn suggesting(mut self, nearest: Option<&str>) -> Self {
        self.0.nearest = nearest.map(str::to_owned);
        self
    }

    /// Fills in the place, unless an inner evaluation already did.
    #[cold]
    pub(crate) fn at(mut self, template: &str, source: &str, start: usize, end: usize) -> Self {
        if self.0.line != 0 {
            return self;
        }
        let start = boundary(source, start);
        let before = source.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = source
            .get(line_start..)
            .unwrap_or_default()
            .lines()
            .next()
            .unwrap_or_default();
        let covered = source
            .get(start..boundary(source, end.max(start)))
            .unwrap_or_default();
        let report = &mut *self.0;
        report.template = template.to_owned();
        report.line = before.matches('\n').count() + 1;
        report.column = source
            .get(line_start..start)
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        report.width = covered.lines().next().unwrap_or_default().chars().count();
        report.source_line = clip(line).to_owned();
        self
    }
}

/// The last place at or before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// A minified template may be one line of megabytes; an error shows its beginning only.
fn clip(line: &str) -> &str {
    const LONGEST: usize = 400;
    line.get(..boundary(line, LONGEST)).unwrap_or(line)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        write!(
            f,
            "{}:{}:{}: {}",
            report.template, report.line, report.column, report.message
        )?;
        if let Some(name) = &report.nearest {
            write!(f, "; did you mean `{name}`?")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Why a function or method refused; the engine adds the place.
///
/// One pointer wide: every value that a function gives travels beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError(Box<Refusal>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    kind: ErrorKind,
    message: String,
}

impl CallError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Refusal {
            kind: ErrorKind::Exec,
            message: message.into(),
        }))
    }

    /// Whether a limit was reached, or the arguments refused.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    #[cold]
    pub(crate) fn limit(limit: Limit) -> Self {
        Self(Box::new(Refusal {
            kind: ErrorKind::Limit(limit),
            message: format!("limit `{limit}` reached"),
        }))
    }

    /// Says which function it was; a limit is nobody's fault.
    #[cold]
    pub(crate) fn of_function(mut self, name: &str) -> Self {
        if self.0.kind == ErrorKind::Exec && !name.is_empty() {
            self.0.message = format!("error calling {name}: {}", self.0.message);
        }
        self
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for CallError {}

impl From<String> for CallError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for CallError {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::new(error.0.kind, error.0.message)
    }
}
