//! Configuration: one YAML file, environment variables over it, flags over both.
//!
//! A program describes its settings as one struct with `#[serde(deny_unknown_fields)]` and
//! `#[derive(utoipa::ToSchema)]`; [`Source::load`] fills it, [`schema`] gives editors a JSON Schema, [`example`] a
//! commented file. `${NAME}` in a text is replaced from the environment; secrets are [`SecretSource`]s and may also be
//! `file:PATH`.

mod locate;
mod overlay;
mod schema;
mod secret;

use std::path::Path;

use heimdall_types::nearest;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

pub use schema::{example, schema};
pub use secret::SecretSource;

/// What is wrong with the configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", self.describe())]
pub struct ConfigError {
    /// The file, or the environment variable or flag, that it stands in.
    pub origin: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<u64>,
    /// The path of the key: `api.listen`.
    pub key: String,
    /// What is wrong.
    pub reason: String,
    /// The known name that was probably meant.
    pub nearest: Option<String>,
}

impl ConfigError {
    /// An error about a key, found after loading.
    pub fn at(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            origin: None,
            line: None,
            key: key.into(),
            reason: reason.into(),
            nearest: None,
        }
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(origin) = &self.origin {
            text.push_str(origin);
            if let Some(line) = self.line {
                text.push_str(&format!(":{line}"));
            }
            text.push_str(": ");
        }
        if !self.key.is_empty() {
            text.push_str(&format!("`{}` ", self.key));
        }
        text.push_str(&self.reason);
        if let Some(nearest) = &self.nearest {
            text.push_str(&format!("; did you mean `{nearest}`?"));
        }
        text
    }
}

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    text: Option<(String, String)>,
    environment: Vec<(String, String)>,
    prefix: &'static str,
    flags: Vec<(String, Value)>,
}

impl Source {
    /// No file, the process's environment with variables that begin with `prefix` (`HEIMDALL_`).
    pub fn environment(prefix: &'static str) -> Self {
        Self {
            environment: std::env::vars().collect(),
            prefix,
            ..Self::default()
        }
    }

    /// These variables instead of the process's.
    #[must_use]
    pub fn with_environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment = variables;
        self
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|cause| ConfigError {
            origin: Some(name.clone()),
            ..ConfigError::at("", format!("cannot be read: {cause}"))
        })?;
        Ok(self.text(&name, &text))
    }

    /// This text as if it were a file of this name.
    #[must_use]
    pub fn text(mut self, name: &str, text: &str) -> Self {
        self.text = Some((name.to_owned(), text.to_owned()));
        self
    }

    /// A flag of the command line: wins over file and environment. `key` is a path such as `api.listen.address`.
    #[must_use]
    pub fn flag(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.flags.push((key.to_owned(), value.into()));
        self
    }

    /// Puts everything together and reads it as `T`.
    ///
    /// # Errors
    /// Broken YAML, an unknown key (with the nearest known name and the line), a wrong value, an environment variable
    /// that is named but not set.
    pub fn load<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let lookup = |name: &str| {
            self.environment
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, v)| v.clone())
        };
        let mut base = match &self.text {
            Some((name, text)) => parse(name, text)?,
            None => Value::Object(serde_json::Map::new()),
        };
        if base.is_null() {
            base = Value::Object(serde_json::Map::new());
        }
        overlay::drop_nulls(&mut base);
        overlay::substitute(&mut base, &mut String::new(), &lookup).map_err(|e| self.locate(e))?;
        let mut layers = overlay::layers(&self.environment, self.prefix);
        layers.extend(
            self.flags
                .iter()
                .map(|(key, value)| overlay::Layer::flag(key, value.clone())),
        );
        self.settle(&base, layers)
    }

    // A variable is text; whether `8080` means a number follows from the field. So: try it as YAML reads it, and
    // where the field wants a text, take the text.
    fn settle<T: DeserializeOwned>(
        &self,
        base: &Value,
        mut layers: Vec<overlay::Layer>,
    ) -> Result<T, ConfigError> {
        for _ in 0..=layers.len() * 2 {
            let mut whole = base.clone();
            layers.iter().for_each(|layer| layer.apply(&mut whole));
            let error = match serde_path_to_error::deserialize::<_, T>(whole) {
                Ok(settings) => return Ok(settings),
                Err(error) => explain(&error.path().to_string(), &error.inner().to_string()),
            };
            let Some(at) = layers.iter().position(|layer| layer.key() == error.key) else {
                return Err(self.locate(error));
            };
            let Some(layer) = layers.get_mut(at) else {
                return Err(error);
            };
            let unknown = error.reason == UNKNOWN;
            // `HEIMDALL_API` may be somebody else's too: a text is never a section.
            let section = error.reason.starts_with(SECTION);
            if (unknown || section) && layer.is_unrelated() {
                layers.remove(at);
            } else if unknown || !layer.take_literally() {
                return Err(ConfigError {
                    origin: Some(layer.origin().to_owned()),
                    ..error
                });
            }
        }
        Err(ConfigError::at("", "the configuration cannot be settled"))
    }

    /// Adds where it stands to an error that was found after loading.
    pub fn found(&self, error: ConfigError) -> ConfigError {
        let layers = overlay::layers(&self.environment, self.prefix);
        match layers.iter().find(|layer| layer.key() == error.key) {
            Some(layer) => ConfigError {
                origin: Some(layer.origin().to_owned()),
                ..error
            },
            None => self.locate(error),
        }
    }

    fn locate(&self, error: ConfigError) -> ConfigError {
        let Some((name, text)) = &self.text else {
            return error;
        };
        ConfigError {
            origin: Some(name.clone()),
            line: locate::line(text, &error.key),
            ..error
        }
    }
}

const UNKNOWN: &str = "is not known here";
const SECTION: &str = "has the wrong type, expected struct";

fn parse(name: &str, text: &str) -> Result<Value, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| ConfigError {
        origin: Some(name.to_owned()),
        line: error.location().map(|at| at.line()),
        ..ConfigError::at(
            "",
            error
                .without_snippet()
                .to_string()
                .lines()
                .next()
                .unwrap_or("is no YAML")
                .to_owned(),
        )
    })
}

fn explain(path: &str, message: &str) -> ConfigError {
    let path = if path == "." { "" } else { path };
    let mut parts = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let given = parts.next().unwrap_or_default();
        let key = crate::strict_json::join(path, given);
        let nearest = nearest(given, parts).map(str::to_owned);
        return ConfigError {
            nearest,
            ..ConfigError::at(key, UNKNOWN)
        };
    }
    if message.starts_with("unknown variant") {
        let given = parts.next().unwrap_or_default().to_owned();
        let known: Vec<&str> = parts.collect();
        let reason = format!(
            "must be one of {}",
            known
                .iter()
                .map(|k| format!("`{k}`"))
                .collect::<Vec<_>>()
                .join(", ")
        );
        return ConfigError {
            nearest: nearest(&given, known).map(str::to_owned),
            ..ConfigError::at(path, reason)
        };
    }
    if message.starts_with("missing field") {
        let key = crate::strict_json::join(path, parts.next().unwrap_or_default());
        return ConfigError::at(key, "is missing");
    }
    // What was found may be a secret; what was expected never is.
    let reason = match message.split_once(", expected ") {
        Some((_, expected)) => format!("has the wrong type, expected {expected}"),
        None => message.to_owned(),
    };
    ConfigError::at(path, reason)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        api: Api,
        root_key: Option<SecretSource>,
        name: String,
    }

    #[derive(Debug, Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Api {
        listen: String,
        workers: u32,
    }

    fn source(text: &str, variables: &[(&str, &str)]) -> Source {
        let variables = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Source {
            prefix: "HEIMDALL_",
            ..Source::default()
        }
        .with_environment(variables)
        .text("h.yaml", text)
    }

    #[test]
    fn flags_win_over_variables_and_those_over_the_file() {
        let source = source(
            "api:\n  listen: a\n  workers: 1\n",
            &[
                ("HEIMDALL_API__WORKERS", "2"),
                ("HEIMDALL_API__LISTEN", "b"),
            ],
        );
        let settings: Settings = source.flag("api.listen", "c").load().unwrap();
        assert_eq!(
            (settings.api.listen.as_str(), settings.api.workers),
            ("c", 2)
        );
    }

    #[test]
    fn an_unknown_key_is_named_with_line_and_neighbour() {
        let error = source("name: x\napi:\n  workers: 1\n  lissten: a\n", &[])
            .load::<Settings>()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "h.yaml:4: `api.lissten` is not known here; did you mean `listen`?"
        );
        let error = source("", &[("HEIMDALL_API__WORKER", "1")])
            .load::<Settings>()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "HEIMDALL_API__WORKER: `api.worker` is not known here; did you mean `workers`?"
        );
        for unrelated in ["HEIMDALL_UNRELATED", "HEIMDALL_API"] {
            let loaded = source("", &[(unrelated, "http://127.0.0.1")]).load::<Settings>();
            assert!(loaded.is_ok(), "{unrelated}");
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_its_line_but_not_shown() {
        let error = source("api:\n  workers: hunter2\n", &[])
            .load::<Settings>()
            .unwrap_err();
        assert_eq!((error.key.as_str(), error.line), ("api.workers", Some(2)));
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(
            source("api: [\n", &[])
                .load::<Settings>()
                .unwrap_err()
                .origin
                .as_deref(),
            Some("h.yaml")
        );
    }

    #[test]
    fn a_number_given_for_a_text_is_its_text() {
        assert_eq!(
            source("", &[("HEIMDALL_NAME", "007")])
                .load::<Settings>()
                .unwrap()
                .name,
            "007"
        );
    }

    #[test]
    fn variables_are_put_in_and_a_missing_one_is_an_error() {
        let loaded: Settings = source("name: a-${X}-${Y:-z}\nroot_key: ${X}\n", &[("X", "1")])
            .load()
            .unwrap();
        assert_eq!(loaded.name, "a-1-z");
        assert!(
            loaded
                .root_key
                .unwrap()
                .read("root_key")
                .unwrap()
                .matches("1")
        );
        let error = source("name: n\napi:\n  listen: ${NOPE}\n", &[])
            .load::<Settings>()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "h.yaml:3: `api.listen` names the variable `NOPE`, which is not set"
        );
    }
}
