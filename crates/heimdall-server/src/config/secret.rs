use std::borrow::Cow;
use std::path::PathBuf;

use heimdall_types::Secret;
use serde::Deserialize;
use utoipa::openapi::{RefOr, Schema};

use super::ConfigError;

/// A secret of the configuration: the text itself, or `file:PATH`. Printing it shows neither the text nor the file's
/// content.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Secret")]
pub enum SecretSource {
    /// The text itself, perhaps put in from `${NAME}`.
    Inline(Secret),
    /// A file whose content, without line breaks at its end, is the secret.
    File(PathBuf),
}

impl From<Secret> for SecretSource {
    fn from(text: Secret) -> Self {
        match text.expose().strip_prefix("file:") {
            Some(path) => Self::File(PathBuf::from(path)),
            None => Self::Inline(text),
        }
    }
}

impl SecretSource {
    /// The secret; `key` names the setting in the error.
    ///
    /// # Errors
    /// When the file cannot be read or there is nothing in it.
    pub fn read(&self, key: &str) -> Result<Secret, ConfigError> {
        let secret = match self {
            Self::Inline(secret) => secret.clone(),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    ConfigError::at(key, format!("cannot read `{}`: {e}", path.display()))
                })?;
                Secret::new(text.trim_end_matches(['\r', '\n']))
            }
        };
        if secret.expose().is_empty() {
            Err(ConfigError::at(key, "is empty"))
        } else {
            Ok(secret)
        }
    }
}

impl std::fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("[secret]"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl serde::Serialize for SecretSource {
    /// Writes where a secret comes from, never the secret.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl utoipa::PartialSchema for SecretSource {
    fn schema() -> RefOr<Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for SecretSource {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SecretSource")
    }
}
