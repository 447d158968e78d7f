use heimdall_types::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::TokenError;

/// The last second of the year 9999: a later `exp` is a mistake or an attack, not a long life.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The claims of a token. Whether they are to be trusted depends on where they came from:
/// [`Verifier::verify`](crate::Verifier::verify) gives verified ones,
/// [`Unverified::claims`](crate::Unverified::claims) does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(crate) fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// `iss`, when it is a text.
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss").and_then(Value::as_str)
    }

    /// `sub`, when it is a text.
    pub fn subject(&self) -> Option<&str> {
        self.get("sub").and_then(Value::as_str)
    }

    /// `jti`, when it is a text.
    pub fn token_id(&self) -> Option<&str> {
        self.get("jti").and_then(Value::as_str)
    }

    /// `aud` as a list, whether it is one text or several; `None` when absent or anything else.
    pub fn audience(&self) -> Option<Vec<&str>> {
        match self.get("aud")? {
            Value::String(one) => Some(vec![one]),
            Value::Array(several) => several.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// `exp`.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.moment("exp").ok().flatten()
    }

    /// `iat`.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.moment("iat").ok().flatten()
    }

    /// A claim of any type.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text.
    ///
    /// # Errors
    ///
    /// [`TokenError::Claim`] when it is there and no text: a wrong type is not an absent claim.
    pub fn text(&self, name: &str) -> Result<Option<&str>, TokenError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenError::Claim(name.to_owned())),
        }
    }

    /// A claim that is a NumericDate (RFC 7519 §2), fractions cut off.
    ///
    /// # Errors
    ///
    /// [`TokenError::Claim`] when it is no number, negative, or beyond the year 9999.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>, TokenError> {
        let wrong = || TokenError::Claim(name.to_owned());
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                let seconds = number.as_f64().ok_or_else(wrong)?;
                if !(0.0..=LAST_SECOND).contains(&seconds) {
                    return Err(wrong());
                }
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "checked to lie between 0 and the year 9999"
                )]
                Ok(Some(Timestamp::from_seconds(seconds as i64)))
            }
            Some(_) => Err(wrong()),
        }
    }

    /// All of them.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// All of them.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// Reads them into a type of your own.
    ///
    /// # Errors
    ///
    /// [`TokenError::Malformed`] when they do not fit.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T, TokenError> {
        serde_json::from_value(Value::Object(self.0))
            .map_err(|_| TokenError::Malformed("the claims do not fit"))
    }
}
