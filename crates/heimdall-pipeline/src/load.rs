//! Texts that are loaded, and what can be wrong with them.

use std::fmt;

use heimdall_finalizer::settings::{Issue, Issues};

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
    /// This text with `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:=default}` and `${VAR=default}` replaced.
    /// A variable that is not set and has no default is nothing; `$${` is a literal `${`; a lone `$` stays.
    #[must_use]
    pub fn expanded(self, env: EnvLookup<'_>) -> Self {
        let text = expand(&self.text, env, 0);
        Self { text, ..self }
    }
}

/// Defaults may hold variables again; nobody nests them deeper.
const DEEPEST: usize = 8;

fn expand(text: &str, env: EnvLookup<'_>, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        match closing(after) {
            Some(end) if depth < DEEPEST => {
                out.push_str(&substitute(
                    after.get(..end).unwrap_or_default(),
                    env,
                    depth,
                ));
                rest = after.get(end + 1..).unwrap_or_default();
            }
            _ => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the brace that closes a substitution stands.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let mut before = b' ';
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' if before == b'$' => open += 1,
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(index);
                }
            }
            b'\n' => return None,
            _ => {}
        }
        before = byte;
    }
    None
}

fn substitute(inner: &str, env: EnvLookup<'_>, depth: usize) -> String {
    let name_end = inner
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    let (name, rest) = inner.split_at_checked(name_end).unwrap_or((inner, ""));
    if name.is_empty() {
        return format!("${{{inner}}}");
    }
    let value = env(name);
    let set = value.clone().filter(|value| !value.is_empty());
    let default = |text: &str| expand(text, env, depth + 1);
    for mark in [":-", ":="] {
        if let Some(text) = rest.strip_prefix(mark) {
            return set.unwrap_or_else(|| default(text));
        }
    }
    for mark in ["-", "="] {
        if let Some(text) = rest.strip_prefix(mark) {
            return value.unwrap_or_else(|| default(text));
        }
    }
    match rest {
        "" => value.unwrap_or_default(),
        "^" | "^^" => value.unwrap_or_default().to_uppercase(),
        "," | ",," => value.unwrap_or_default().to_lowercase(),
        _ => format!("${{{inner}}}"),
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

impl LoadErrors {
    /// One thing, with no line.
    pub fn one(file: &str, message: impl Into<String>) -> Self {
        Self(vec![LoadError {
            file: file.to_owned(),
            line: 0,
            key: String::new(),
            message: message.into(),
            nearest: None,
        }])
    }

    pub(crate) fn from_issue(file: &str, issue: Issue) -> LoadError {
        LoadError {
            file: file.to_owned(),
            line: issue.line,
            key: issue.key,
            message: issue.message,
            nearest: issue.nearest,
        }
    }

    /// `value`, unless something is wrong.
    pub(crate) fn check<T>(file: &str, issues: Issues, value: Option<T>) -> Result<T, Self> {
        let found = issues.into_inner();
        if !found.is_empty() {
            return Err(Self(
                found
                    .into_iter()
                    .map(|issue| Self::from_issue(file, issue))
                    .collect(),
            ));
        }
        value.ok_or_else(|| Self::one(file, "can not be used"))
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let env = |name: &str| match name {
            "A" => Some("x".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        Source {
            name: String::new(),
            text: text.to_owned(),
        }
        .expanded(&env)
        .text
    }

    #[test]
    fn variables_and_defaults_are_replaced() {
        assert_eq!(
            expanded("<${A}|${B}|${B:-y z}|${EMPTY:-d}|${EMPTY-d}|${B:-${A}}>"),
            "<x||y z|d||x>"
        );
    }

    #[test]
    fn dollars_that_are_no_variables_stay() {
        assert_eq!(
            expanded("$A $5 {{ $x := 1 }} $${A} ${not closed"),
            "$A $5 {{ $x := 1 }} ${A} ${not closed"
        );
    }
}
