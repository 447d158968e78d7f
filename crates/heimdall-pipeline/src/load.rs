//! Texts that are loaded, and what can be wrong with them.

use std::fmt;

use crate::EnvLookup;

/// A text and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name or URL, for messages.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// This text with `${VAR}` and `${VAR:-default}` replaced.
    #[must_use]
    pub fn expanded(self, env: EnvLookup<'_>) -> Self {
        let _ = env;
        self
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadError {
    /// File name or URL.
    pub file: String,
    /// Line, from 1; 0 where none is known.
    pub line: usize,
    /// The key, as a path: `mechanisms.finalizers[2].config.ttl`.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// The known name that was probably meant.
    pub nearest: Option<String>,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line != 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean `{nearest}`?")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with what was loaded; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadErrors(pub Vec<LoadError>);

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadErrors {}
