//! Paths into JSON answers, as `gjson` reads them.
//!
//! Members (`a.b`, `a\\.b`, `a*`), places in lists (`a.0`), their number or all of them (`a.#`, `a.#.b`), queries
//! (`a.#(b=="c").d`, `a.#(b>1)#.d`), modifiers (`@this`, `@keys`, `@flatten`, …), several paths at once (`{a,"x":b.c}`,
//! `[a,b]`) and literals (`!"text"`). A pipe ends what `#` spreads: `a.#.b|0`.

mod modifier;
mod query;

use serde_json::{Map, Value};

/// What a path leads to.
pub(super) fn pick(value: &Value, path: &str) -> Option<Value> {
    if path.is_empty() {
        return None;
    }
    let part = Part::first(path);
    let found = match part.text.as_bytes().first() {
        Some(b'@') if !part.escaped => modifier::apply(value, part.text)?,
        Some(b'!') if !part.escaped => serde_json::from_str(part.text.get(1..)?).ok()?,
        Some(b'{') if !part.escaped => several(value, part.text)?,
        Some(b'[') if !part.escaped => listed(value, part.text)?,
        _ => match (value, part.spread()) {
            (Value::Array(items), true) => {
                let chosen = match part.query() {
                    Some(query) => items
                        .iter()
                        .filter(|item| query::fits(item, query))
                        .cloned()
                        .collect(),
                    None => items.clone(),
                };
                return spread(part, chosen);
            }
            _ => step(value, &part)?,
        },
    };
    match part.rest {
        Some(rest) => pick(&found, rest),
        None => Some(found),
    }
}

/// `#` and `#(…)#`: the rest of the path is followed in each of `items`, up to a pipe.
fn spread(part: Part<'_>, items: Vec<Value>) -> Option<Value> {
    let Some(rest) = part.rest else {
        return Some(match part.query() {
            Some(_) => Value::Array(items),
            None => items.len().into(),
        });
    };
    if part.piped {
        let whole = match part.query() {
            Some(_) => Value::Array(items),
            None => items.len().into(),
        };
        return pick(&whole, rest);
    }
    let (inner, outer) = match pipe(rest) {
        Some(at) => (rest.get(..at)?, rest.get(at + 1..)),
        None => (rest, None),
    };
    let all = Value::Array(items.iter().filter_map(|item| pick(item, inner)).collect());
    match outer {
        Some(outer) => pick(&all, outer),
        None => Some(all),
    }
}

fn step(value: &Value, part: &Part<'_>) -> Option<Value> {
    match value {
        Value::Object(members) => {
            if part.wild() {
                let mut found = members.iter().filter(|(name, _)| wildcard(name, part.text));
                return found.next().map(|(_, found)| found.clone());
            }
            members.get(&*part.name()).cloned()
        }
        Value::Array(items) => match part.text.strip_prefix("#(") {
            Some(query) => {
                let query = query.strip_suffix(')')?;
                items.iter().find(|item| query::fits(item, query)).cloned()
            }
            None => items.get(part.text.parse::<usize>().ok()?).cloned(),
        },
        _ => None,
    }
}

/// `{a,"name":b.c}`: an object of what several paths lead to.
fn several(value: &Value, text: &str) -> Option<Value> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut members = Map::new();
    for one in parts(inner, ',') {
        let (name, path) = named(one);
        if let Some(found) = pick(value, path) {
            members.insert(name, found);
        }
    }
    Some(Value::Object(members))
}

/// `[a,b.c]`: a list of what several paths lead to.
fn listed(value: &Value, text: &str) -> Option<Value> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let found = parts(inner, ',')
        .into_iter()
        .filter_map(|path| pick(value, path));
    Some(Value::Array(found.collect()))
}

/// The name that a member of `{…}` gets: its own, else the last member that its path names.
fn named(one: &str) -> (String, &str) {
    if let [name, path, ..] = parts(one, ':').as_slice()
        && name.starts_with('"')
        && let Ok(own) = serde_json::from_str::<String>(name)
    {
        // The path may hold colons itself.
        let path = one.get(name.len() + 1..).unwrap_or(path);
        return (own, path);
    }
    let mut at = one;
    let mut name = Part::first(at);
    while let Some(rest) = name.rest {
        at = rest;
        name = Part::first(at);
    }
    let plain = !name.text.starts_with(['@', '!', '#', '{', '[']);
    let name = if plain { name.name() } else { "_".to_owned() };
    (name, one)
}

/// The first part of a path.
struct Part<'a> {
    text: &'a str,
    rest: Option<&'a str>,
    /// A pipe stands behind it, not a dot.
    piped: bool,
    /// It begins with a backslash, so that its first character means nothing.
    escaped: bool,
}

impl<'a> Part<'a> {
    fn first(path: &'a str) -> Self {
        let escaped = path.starts_with('\\');
        let end = boundary(path, &['.', '|']);
        // An argument of a modifier may hold dots: it ends with the path or at a pipe.
        let end = match path.split_once(':') {
            Some((name, _)) if path.starts_with('@') && end.is_none_or(|end| name.len() < end) => {
                boundary(path, &['|'])
            }
            _ => end,
        };
        Self {
            text: end.and_then(|end| path.get(..end)).unwrap_or(path),
            rest: end.and_then(|end| path.get(end + 1..)),
            piped: end.is_some_and(|end| path.as_bytes().get(end) == Some(&b'|')),
            escaped,
        }
    }

    fn spread(&self) -> bool {
        self.text == "#" || self.text.starts_with("#(") && self.text.ends_with(")#")
    }

    fn query(&self) -> Option<&'a str> {
        self.text.strip_prefix("#(")?.strip_suffix(")#")
    }

    fn wild(&self) -> bool {
        let mut before = ' ';
        self.text.chars().any(|c| {
            let wild = matches!(c, '*' | '?') && before != '\\';
            before = c;
            wild
        })
    }

    /// The text without its backslashes.
    fn name(&self) -> String {
        let mut name = String::with_capacity(self.text.len());
        let mut chars = self.text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => name.extend(chars.next()),
                _ => name.push(c),
            }
        }
        name
    }
}

/// Where one of `marks` stands outside of brackets and quoted text.
fn boundary(text: &str, marks: &[char]) -> Option<usize> {
    let (mut depth, mut quoted) = (0_usize, false);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 && marks.contains(&c) => return Some(at),
            _ => {}
        }
    }
    None
}

fn pipe(text: &str) -> Option<usize> {
    boundary(text, &['|'])
}

fn parts(text: &str, mark: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = boundary(rest, &[mark]) {
        parts.extend(rest.get(..at));
        rest = rest.get(at + 1..).unwrap_or_default();
    }
    parts.push(rest);
    parts.into_iter().map(str::trim).collect()
}

/// `*` and `?`, in time that grows with the product of the lengths at most.
pub(crate) fn wildcard(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut want, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(want) {
            Some('*') => {
                star = Some((want, at));
                want += 1;
            }
            Some(c) if *c == '?' || text.get(at) == Some(c) => {
                at += 1;
                want += 1;
            }
            _ => match star {
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    want = place + 1;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(want..)
        .unwrap_or_default()
        .iter()
        .all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authenticators::pick::as_text;

    #[test]
    fn paths_lead_through_members_lists_and_queries() {
        let value = json!({"a": {"b": [1, {"c": "x"}]}, "d.e": 7, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}], "z": null});
        let at = |path: &str| pick(&value, path);
        assert_eq!(at("a.b.1.c"), Some(json!("x")));
        assert_eq!(at("d\\.e"), Some(json!(7)));
        assert_eq!(at("list.#.n"), Some(json!(["x", "y"])));
        assert_eq!(at("list.#(n==\"y\").v"), Some(json!(2)));
        assert_eq!(at("list.#(v>0)#.n"), Some(json!(["x", "y"])));
        assert_eq!(at("list.#"), Some(json!(2)));
        assert_eq!(at("list.#.n|0"), Some(json!("x")));
        assert_eq!(at("list.#(v>0)#|#"), Some(json!(2)));
        assert_eq!(at("{z,\"b\":a.b.0,none}"), Some(json!({"z": null, "b": 1})));
        assert_eq!(at("[a.b.0,list.1.n]"), Some(json!([1, "y"])));
        assert_eq!(at("{a.b.0}|@keys"), Some(json!(["0"])));
        assert_eq!(at("list.@reverse.0.n"), Some(json!("y")));
        assert_eq!(at("a.b.#(c=\"x\").c"), Some(json!("x")));
        assert_eq!(at("!\"fixed\""), Some(json!("fixed")));
        assert_eq!(at("@this").as_ref(), Some(&value));
        assert_eq!(at("a.x"), None);
        assert_eq!(at("z"), Some(Value::Null));
        assert_eq!(at("l*t.0.n"), Some(json!("x")));
        assert_eq!(
            (
                as_text(&json!(7)),
                as_text(&json!(true)),
                as_text(&Value::Null)
            ),
            ("7".into(), "true".into(), String::new())
        );
    }
}
