//! What a token must say.

use std::time::Duration;

use heimdall_finalizer::KeyParts;
use heimdall_finalizer::settings::{Fields, NodeKind};
use heimdall_types::Timestamp;
use serde_json::{Map, Value};

const DEFAULT_LEEWAY: Duration = Duration::from_secs(10);
/// Without `RS*` and `EdDSA`: those must be listed.
const DEFAULT_ALGORITHMS: [&str; 6] = ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

/// What a token must say. Empty lists ask for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Assertions {
    pub(super) issuers: Vec<String>,
    pub(super) audience: Vec<String>,
    pub(super) scopes: Option<Scopes>,
    pub(super) algorithms: Vec<String>,
    pub(super) leeway: Option<Duration>,
}

/// Which scopes, and how they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scopes {
    strategy: Strategy,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Exact,
    Hierarchic,
    Wildcard,
}

impl Assertions {
    pub(super) fn read(mut fields: Fields<'_>) -> Self {
        let assertions = Self {
            issuers: fields.texts("issuers").unwrap_or_default(),
            audience: fields.texts("audience").unwrap_or_default(),
            scopes: scopes(&mut fields),
            algorithms: fields.texts("allowed_algorithms").unwrap_or_default(),
            leeway: fields
                .duration("validity_leeway")
                .filter(|leeway| !leeway.is_zero()),
        };
        for algorithm in &assertions.algorithms {
            if algorithm.eq_ignore_ascii_case("none") {
                fields.wrong("allowed_algorithms", "`none` is no algorithm");
            }
        }
        fields.close();
        assertions
    }

    /// These, and those of `other` where these ask for nothing.
    #[must_use]
    pub(super) fn over(self, other: &Self) -> Self {
        let pick = |own: Vec<String>, other: &Vec<String>| {
            if own.is_empty() { other.clone() } else { own }
        };
        Self {
            issuers: pick(self.issuers, &other.issuers),
            audience: pick(self.audience, &other.audience),
            scopes: self.scopes.or_else(|| other.scopes.clone()),
            algorithms: pick(self.algorithms, &other.algorithms),
            leeway: self.leeway.or(other.leeway),
        }
    }

    pub(super) fn add_to(&self, key: &mut KeyParts) {
        for list in [&self.issuers, &self.audience, &self.algorithms] {
            key.add_all(list.iter().map(String::as_str));
        }
        if let Some(scopes) = &self.scopes {
            key.add(&[scopes.strategy as u8]);
            key.add_all(scopes.values.iter().map(String::as_str));
        }
        key.add(&self.leeway().as_nanos().to_le_bytes());
    }

    pub(super) fn leeway(&self) -> Duration {
        self.leeway.unwrap_or(DEFAULT_LEEWAY)
    }

    pub(super) fn allows(&self, algorithm: &str) -> bool {
        if self.algorithms.is_empty() {
            return DEFAULT_ALGORITHMS.contains(&algorithm);
        }
        self.algorithms.iter().any(|allowed| allowed == algorithm)
    }

    /// Whether claims say what they must; gives the moment they end, where one is told. `exp` may be missing.
    pub(super) fn check(
        &self,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, String> {
        let issuer = text(claims, "iss")?.unwrap_or_default();
        if !self.issuers.is_empty() && !self.issuers.iter().any(|trusted| trusted == issuer) {
            return Err(format!("issuer {issuer} is not trusted"));
        }
        let audience = words(claims, "aud")?;
        if !self.audience.is_empty()
            && !self.audience.iter().any(|wanted| audience.contains(wanted))
        {
            return Err("no expected audience present".to_owned());
        }
        let leeway = self.leeway();
        let expires = moment(claims, "exp")?;
        if expires.is_some_and(|expires| now.minus(leeway).seconds() >= expires.seconds()) {
            return Err("expired".to_owned());
        }
        if moment(claims, "nbf")?.is_some_and(|from| now.plus(leeway).seconds() < from.seconds()) {
            return Err("not yet valid".to_owned());
        }
        if moment(claims, "iat")?
            .is_some_and(|issued| now.plus(leeway).seconds() < issued.seconds())
        {
            return Err("issued in the future".to_owned());
        }
        text(claims, "sub")?;
        text(claims, "jti")?;
        let (scp, scope) = (words(claims, "scp")?, words(claims, "scope")?);
        if let Some(wanted) = &self.scopes {
            wanted.check(if scp.is_empty() { &scope } else { &scp })?;
        }
        Ok(expires)
    }
}

fn scopes(fields: &mut Fields<'_>) -> Option<Scopes> {
    let node = fields.node("scopes")?;
    if matches!(node.kind, NodeKind::List(_)) {
        return Some(Scopes {
            strategy: Strategy::Exact,
            values: fields.texts("scopes")?,
        });
    }
    let mut section = fields.section("scopes")?;
    let strategy = match section.word("matching_strategy", &["exact", "hierarchic", "wildcard"]) {
        Some("hierarchic") => Strategy::Hierarchic,
        Some("wildcard") => Strategy::Wildcard,
        _ => Strategy::Exact,
    };
    section.required("values");
    let values = section.texts("values").unwrap_or_default();
    section.close();
    Some(Scopes { strategy, values })
}

impl Scopes {
    fn check(&self, held: &[String]) -> Result<(), String> {
        let fits = match self.strategy {
            Strategy::Exact => |held: &str, wanted: &str| held == wanted,
            Strategy::Hierarchic => hierarchic,
            Strategy::Wildcard => wildcard,
        };
        match self
            .values
            .iter()
            .find(|wanted| !held.iter().any(|held| fits(held, wanted)))
        {
            Some(missing) => Err(format!("required scope {missing} is missing")),
            None => Ok(()),
        }
    }
}

/// `picture` includes `picture.read`.
fn hierarchic(held: &str, wanted: &str) -> bool {
    held == wanted
        || wanted
            .strip_prefix(held)
            .is_some_and(|rest| rest.starts_with('.'))
}

/// `picture.*` includes `picture.read` and `picture.read.x`; a star stands for at least one character.
fn wildcard(held: &str, wanted: &str) -> bool {
    let (held, wanted): (Vec<&str>, Vec<&str>) =
        (held.split('.').collect(), wanted.split('.').collect());
    if held.len() > wanted.len() || (held.len() < wanted.len() && held.last() != Some(&"*")) {
        return false;
    }
    held.iter()
        .zip(&wanted)
        .all(|(held, wanted)| held == wanted || (*held == "*" && !wanted.is_empty()))
}

/// A claim that is text where it is there at all.
fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> Result<Option<&'c str>, String> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is no text")),
    }
}

/// A claim that is a list of texts, or words between single blanks.
fn words(claims: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            if words.iter().any(String::is_empty) {
                Err(format!("`{name}` has stray blanks"))
            } else {
                Ok(words)
            }
        }
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| format!("`{name}` is no list of texts"))
            })
            .collect(),
        Some(_) => Err(format!("`{name}` is neither text nor a list")),
    }
}

/// Whether every registered claim has a type that it may have. An answer of an endpoint that is not is garbage, not a
/// token that says too little.
pub(super) fn well_formed(claims: &Map<String, Value>) -> bool {
    claims.iter().all(|(name, value)| match name.as_str() {
        "iss" | "sub" | "jti" | "client_id" | "token_type" => value.is_string() || value.is_null(),
        "aud" | "scp" | "scope" => match value {
            Value::String(_) => true,
            Value::Array(items) => items.iter().all(Value::is_string),
            _ => false,
        },
        "exp" | "nbf" | "iat" => value.is_number() || value.is_null(),
        "active" => value.is_boolean() || value.is_null(),
        _ => true,
    })
}

/// The largest number of seconds that is a date (9999-12-31).
const LAST: f64 = 253_402_300_799.0;

/// A claim that is a date; one of the wrong type, none at all in the sense of numbers, or not positive is no date.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, String> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds > 0.0 && seconds <= LAST => {
                Ok(Some(Timestamp::from_seconds(seconds as i64)))
            }
            _ => Err(format!("`{name}` is no date")),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(assertions: &Assertions, claims: Value) -> Result<Option<Timestamp>, String> {
        assertions.check(claims.as_object().unwrap(), Timestamp::from_seconds(1_000))
    }

    #[test]
    fn claims_of_a_wrong_type_are_not_absent() {
        let any = Assertions::default();
        assert!(check(&any, json!({})).is_ok());
        for wrong in [
            json!({"exp": null}),
            json!({"exp": "2000"}),
            json!({"exp": 0}),
            json!({"exp": -1}),
            json!({"exp": 1e308}),
            json!({"iss": 7}),
            json!({"aud": {}}),
            json!({"aud": " a"}),
            json!({"aud": "a  b"}),
            json!({"scope": [1]}),
            json!({"nbf": true}),
        ] {
            assert!(check(&any, wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_have_ten_seconds_of_leeway() {
        let any = Assertions::default();
        assert!(
            check(&any, json!({"exp": 991})).is_ok() && check(&any, json!({"exp": 990})).is_err()
        );
        assert!(
            check(&any, json!({"nbf": 1_010})).is_ok()
                && check(&any, json!({"nbf": 1_011})).is_err()
        );
        assert!(
            check(&any, json!({"iat": 1_010})).is_ok()
                && check(&any, json!({"iat": 1_011})).is_err()
        );
    }

    #[test]
    fn scopes_are_compared_as_the_strategy_says() {
        assert!(
            hierarchic("a", "a.b")
                && hierarchic("a.b", "a.b")
                && !hierarchic("a.b", "a")
                && !hierarchic("a", "ab")
        );
        assert!(
            wildcard("a.*", "a.b")
                && wildcard("a.*", "a.b.c")
                && !wildcard("a.*", "a")
                && !wildcard("a", "a.b")
        );
        assert!(wildcard("*.b", "a.b") && !wildcard("a.*", "a."));
        let exact = Assertions {
            scopes: Some(Scopes {
                strategy: Strategy::Exact,
                values: vec!["r".into()],
            }),
            ..Assertions::default()
        };
        assert!(check(&exact, json!({"scope": "r w"})).is_ok());
        assert!(check(&exact, json!({"scp": ["w"], "scope": "r"})).is_err());
    }
}
