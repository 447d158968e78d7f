//! Texts that are loaded, and what can be wrong with them.

use std::fmt;

use heimdall_finalizer::settings::{Issue, Issues};

use crate::EnvLookup;
use crate::authenticators::path::wildcard;

/// A text and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// File name or URL, for messages.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// This text with `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:=default}` and `${VAR=default}` replaced,
    /// and with the cuts and changes that shells know: `${VAR:2:3}`, `${VAR#prefix}`, `${VAR/old/new}`, `${VAR^^}`. A
    /// variable that is not set and has no default is nothing; `$$` is a literal `$`; a lone `$` stays.
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
        let dollars = before.len() - before.trim_end_matches('$').len();
        out.push_str(&before.replace("$$", "$"));
        if dollars % 2 == 1 {
            // The last of them makes the one before the brace a dollar.
            out.push('{');
            rest = after;
            continue;
        }
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
    out.push_str(&rest.replace("$$", "$"));
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
    if let Some(name) = inner.strip_prefix('#') {
        return env(name).unwrap_or_default().len().to_string();
    }
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
    // `:+` is here what it is in the Go program: a default.
    for mark in [":-", ":=", ":+"] {
        if let Some(text) = rest.strip_prefix(mark) {
            return set.unwrap_or_else(|| default(text));
        }
    }
    for mark in ["-", "="] {
        if let Some(text) = rest.strip_prefix(mark) {
            return value.unwrap_or_else(|| default(text));
        }
    }
    if rest.is_empty() {
        return value.unwrap_or_default();
    }
    match transformed(&value.unwrap_or_default(), &default(rest)) {
        Some(text) => text,
        None => format!("${{{inner}}}"),
    }
}

/// `${NAME:2:3}`, `${NAME#prefix}`, `${NAME%suffix}`, `${NAME/old/new}`, `${NAME^}` and their like.
fn transformed(value: &str, how: &str) -> Option<String> {
    if let Some(range) = how.strip_prefix(':') {
        return part(value, range);
    }
    if let Some(pattern) = how.strip_prefix("##") {
        return Some(trimmed(value, pattern, End::Front, true));
    }
    if let Some(pattern) = how.strip_prefix('#') {
        return Some(trimmed(value, pattern, End::Front, false));
    }
    if let Some(pattern) = how.strip_prefix("%%") {
        return Some(trimmed(value, pattern, End::Back, true));
    }
    if let Some(pattern) = how.strip_prefix('%') {
        return Some(trimmed(value, pattern, End::Back, false));
    }
    if let Some(change) = how.strip_prefix('/') {
        return Some(replaced(value, change));
    }
    let mut chars = value.chars();
    let first = chars.next().map(String::from).unwrap_or_default();
    Some(match how {
        "^" => format!("{}{}", first.to_uppercase(), chars.as_str()),
        "," => format!("{}{}", first.to_lowercase(), chars.as_str()),
        "^^" => value.to_uppercase(),
        ",," => value.to_lowercase(),
        _ => return None,
    })
}

/// Characters from a place on, as many as there are or as are wanted.
fn part(value: &str, range: &str) -> Option<String> {
    let (from, count) = match range.split_once(':') {
        Some((from, count)) => (from, count.trim().parse().ok()?),
        None => (range, usize::MAX),
    };
    let from = from.trim().parse().ok()?;
    Some(value.chars().skip(from).take(count).collect())
}

#[derive(Clone, Copy)]
enum End {
    Front,
    Back,
}

/// A value without the shortest or longest part at one end that fits a pattern with `*` and `?`.
fn trimmed(value: &str, pattern: &str, end: End, longest: bool) -> String {
    let cuts = (0..=value.len()).filter(|at| value.is_char_boundary(*at));
    let fits = |at: &usize| {
        let (front, back) = value.split_at_checked(*at).unwrap_or((value, ""));
        wildcard(
            match end {
                End::Front => front,
                End::Back => back,
            },
            pattern,
        )
    };
    let mut cuts: Vec<usize> = cuts.filter(fits).collect();
    // The shortest part at the front is the first cut, at the back the last one.
    if longest != matches!(end, End::Back) {
        cuts.reverse();
    }
    let Some((front, back)) = cuts.first().and_then(|at| value.split_at_checked(*at)) else {
        return value.to_owned();
    };
    match end {
        End::Front => back.to_owned(),
        End::Back => front.to_owned(),
    }
}

/// `/old/new` once, `//old/new` everywhere, `/#old/new` at the front, `/%old/new` at the back.
fn replaced(value: &str, change: &str) -> String {
    let (kind, change) = match change.as_bytes().first() {
        Some(kind @ (b'/' | b'#' | b'%')) => (*kind, change.get(1..).unwrap_or_default()),
        _ => (b' ', change),
    };
    let (old, new) = change.split_once('/').unwrap_or((change, ""));
    match kind {
        b'/' => value.replace(old, new),
        b'#' => value
            .strip_prefix(old)
            .map_or_else(|| value.to_owned(), |rest| format!("{new}{rest}")),
        b'%' => value
            .strip_suffix(old)
            .map_or_else(|| value.to_owned(), |rest| format!("{rest}{new}")),
        _ => value.replacen(old, new, 1),
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
            "P" => Some("/a/b.txt".to_owned()),
            "W" => Some("lolo".to_owned()),
            "U" => Some("MIXED".to_owned()),
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
            expanded("$A $5 {{ $x := 1 }} $${A} $$A ${not closed"),
            "$A $5 {{ $x := 1 }} ${A} $A ${not closed"
        );
    }

    #[test]
    fn values_are_cut_and_changed_as_a_shell_does() {
        assert_eq!(
            expanded("${#P}|${P:1}|${P:1:3}|${P:99}|${P#*/}|${P##*/}|${P%/*}|${P%%b*}"),
            "8|a/b.txt|a/b||a/b.txt|b.txt|/a|/a/"
        );
        assert_eq!(
            expanded("${W/o/0}|${W//o/0}|${W/#lo/g}|${W/%lo/g}|${W^}|${W^^}|${U,}|${U,,}"),
            "l0lo|l0l0|glo|log|Lolo|LOLO|mIXED|mixed"
        );
        assert_eq!(expanded("${A:+y}|${B:+y}|${A?x}"), "x|y|${A?x}");
    }
}
