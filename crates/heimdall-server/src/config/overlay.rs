use serde_json::{Map, Value};

use super::ConfigError;

/// One value laid over the file.
pub(super) struct Layer {
    path: Vec<String>,
    origin: String,
    value: Value,
    /// The text as it was given, where the value may also mean just that.
    literal: Option<String>,
    nested: bool,
}

impl Layer {
    pub(super) fn flag(key: &str, value: Value) -> Self {
        let path = key.split('.').map(str::to_owned).collect();
        Self {
            path,
            origin: format!("flag for `{key}`"),
            value,
            literal: None,
            nested: true,
        }
    }

    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// A variable without `__` may belong to somebody else (`HEIMDALL_HOME`).
    pub(super) fn is_unrelated(&self) -> bool {
        !self.nested
    }

    /// Takes the given text as it is; `false` when it is already so.
    pub(super) fn take_literally(&mut self) -> bool {
        match self.literal.take() {
            Some(text) => {
                self.value = Value::String(text);
                true
            }
            None => false,
        }
    }

    pub(super) fn apply(&self, whole: &mut Value) {
        let mut place = whole;
        for part in &self.path {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(members) = place else {
                return;
            };
            place = members.entry(part.clone()).or_insert(Value::Null);
        }
        *place = self.value.clone();
    }
}

/// The variables that begin with `prefix`: `HEIMDALL_API__LISTEN` is `api.listen`.
pub(super) fn layers(variables: &[(String, String)], prefix: &str) -> Vec<Layer> {
    let mut all: Vec<Layer> = variables
        .iter()
        .filter_map(|(name, text)| {
            let rest = name
                .strip_prefix(prefix)
                .filter(|rest| !rest.is_empty() && !prefix.is_empty())?;
            let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            let value =
                serde_saphyr::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
            let literal = (!value.is_string()).then(|| text.clone());
            Some(Layer {
                nested: path.len() > 1,
                path,
                origin: name.clone(),
                value,
                literal,
            })
        })
        .collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// Takes away members without a value: a section of which every line is commented out is a section left out.
pub(super) fn drop_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

/// Replaces `${NAME}` and `${NAME:-default}` in every text.
pub(super) fn substitute(
    value: &mut Value,
    path: &mut String,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    match value {
        Value::String(text) => {
            *text = replaced(text, lookup).map_err(|name| {
                ConfigError::at(
                    path.as_str(),
                    format!("names the variable `{name}`, which is not set"),
                )
            })?;
            Ok(())
        }
        Value::Array(items) => items.iter_mut().enumerate().try_for_each(|(at, item)| {
            descend(path, &format!("[{at}]"), |path| {
                substitute(item, path, lookup)
            })
        }),
        Value::Object(members) => members.iter_mut().try_for_each(|(name, member)| {
            let part = if path.is_empty() {
                name.clone()
            } else {
                format!(".{name}")
            };
            descend(path, &part, |path| substitute(member, path, lookup))
        }),
        _ => Ok(()),
    }
}

fn descend<R>(
    path: &mut String,
    part: &str,
    inner: impl FnOnce(&mut String) -> Result<R, ConfigError>,
) -> Result<R, ConfigError> {
    let length = path.len();
    path.push_str(part);
    let outcome = inner(path)?;
    path.truncate(length);
    Ok(outcome)
}

fn replaced(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((inner, behind)) = after.split_once('}') else {
            break;
        };
        let (name, fallback) = match inner.split_once(":-") {
            Some((name, fallback)) => (name, Some(fallback)),
            None => (inner, None),
        };
        out.push_str(before);
        let found = lookup(name).or_else(|| fallback.map(str::to_owned));
        out.push_str(&found.ok_or_else(|| name.to_owned())?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}
