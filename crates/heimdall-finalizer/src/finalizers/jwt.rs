//! `jwt`: signs who the subject is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use heimdall_types::{Rng, Secret};
use serde_json::value::RawValue;

use crate::cache::{Deadlined, Key, KeyParts};
use crate::finalizers::{Effects, Sight, Workshop};
use crate::keys::{KeyStore, StoredKey};
use crate::scope::Scope;
use crate::settings::Fields;
use crate::template::{Text, ValueTemplates};
use crate::{Failure, Kind, is_token, read_secret};

/// Signed tokens that are still good, with the scheme before them.
pub type TokenCache = Deadlined<Arc<str>>;

const DEFAULT_TTL: Duration = Duration::from_secs(300);
/// A cached token is not given out in its last seconds, so that it is still good when it arrives.
/// What RSA keys may sign with instead of what follows from their size.
const RSA_ALGORITHMS: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
const LEEWAY: Duration = Duration::from_secs(5);
/// Set by us alone.
const OURS: [&str; 6] = ["sub", "iss", "jti", "iat", "nbf", "exp"];

/// Signs a JWT over the subject.
#[derive(Clone)]
pub struct JwtFinalizer {
    issuer: Arc<str>,
    store: Arc<KeyStore>,
    key_id: Option<Arc<str>>,
    ttl: Duration,
    claims: Option<Text>,
    values: ValueTemplates,
    header: Arc<str>,
    scheme: Arc<str>,
    /// The part of the cache key that does not depend on the request.
    fixed: KeyParts,
}

impl JwtFinalizer {
    pub(super) fn build(mut fields: Fields<'_>, workshop: &Workshop) -> Option<Self> {
        fields.required("signer")?;
        let signer = fields
            .section("signer")
            .and_then(|signer| read_signer(signer, workshop));
        let ttl = read_ttl(&mut fields).unwrap_or(DEFAULT_TTL);
        let claims = read_claims(&mut fields, workshop);
        let values = read_values(&mut fields, "values", workshop);
        let mut header = ("Authorization".into(), "Bearer".into());
        if let Some(mut section) = fields.section("header") {
            let name = section.required_text("name");
            if name.is_some_and(|name| !is_token(name)) {
                section.wrong("name", "is no legal header name");
            }
            let scheme = section.text("scheme").unwrap_or_default();
            header = (name.unwrap_or_default().into(), scheme.into());
            section.close();
        }
        fields.close();
        let (issuer, store, key_id) = signer?;
        store.expect_life(ttl);
        Some(
            Self {
                issuer,
                store,
                key_id,
                ttl,
                claims,
                values,
                header: header.0,
                scheme: header.1,
                fixed: KeyParts::default(),
            }
            .with_fixed_key(),
        )
    }

    pub(super) fn overridden(&self, mut fields: Fields<'_>, workshop: &Workshop) -> Option<Self> {
        let mut jwt = self.clone();
        if let Some(ttl) = read_ttl(&mut fields) {
            jwt.ttl = ttl;
        }
        if let Some(claims) = read_claims(&mut fields, workshop) {
            jwt.claims = Some(claims);
        }
        jwt.values = self
            .values
            .merged(&read_values(&mut fields, "values", workshop));
        fields.close();
        jwt.store.expect_life(jwt.ttl);
        Some(jwt.with_fixed_key())
    }

    fn with_fixed_key(mut self) -> Self {
        let mut key = KeyParts::new("jwt")
            .part(self.issuer.as_bytes())
            .part(&self.ttl.as_nanos().to_le_bytes());
        key.add(self.scheme.as_bytes());
        key.add(self.claims.as_ref().map_or("", Text::source).as_bytes());
        for (name, text) in self.values.iter() {
            key.add(name.as_bytes());
            key.add(text.source().as_bytes());
        }
        self.fixed = key;
        self
    }

    pub(super) fn header_name(&self) -> &str {
        &self.header
    }

    pub(super) fn apply(
        &self,
        sight: Sight<'_>,
        workshop: &Workshop,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let signer = self
            .store
            .signer(self.key_id.as_deref())
            .ok_or_else(|| Failure::new(Kind::Internal, "the key store holds no such key"))?;
        if self.ttl <= LEEWAY {
            let token = self.sign(sight, &signer, workshop)?;
            effects.headers.push((self.header.clone(), token));
            return Ok(());
        }
        let key = self.cache_key(sight, &signer);
        let token = match workshop.tokens.get(&key) {
            Some(token) => token,
            None => {
                let token = self.sign(sight, &signer, workshop)?;
                let until = workshop.clock.now().plus(self.ttl).minus(LEEWAY);
                workshop.tokens.put(key, token.clone(), until);
                token
            }
        };
        effects.headers.push((self.header.clone(), token));
        Ok(())
    }

    fn cache_key(&self, sight: Sight<'_>, signer: &StoredKey) -> Key {
        let mut key = self.fixed.clone();
        key.add(signer.kid().as_bytes());
        key.add(signer.algorithm().as_bytes());
        key.add(sight.subject.id.as_bytes());
        if self.claims.is_none() {
            // Nothing else of the request gets into the token.
            return key.key();
        }
        key.add_map(&sight.subject.attributes);
        key.add_map(sight.outputs);
        key.digest()
    }

    fn sign(
        &self,
        sight: Sight<'_>,
        signer: &StoredKey,
        workshop: &Workshop,
    ) -> Result<Arc<str>, Failure> {
        let claims = self.render_claims(sight)?;
        let now = workshop.clock.now().seconds();
        let life = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let mut text = String::with_capacity(256);
        text.push('{');
        for (name, value) in claims
            .iter()
            .filter(|(name, _)| !OURS.contains(&name.as_str()))
        {
            let _ = write!(
                text,
                "{}:{},",
                serde_json::Value::from(name.as_str()),
                value.get()
            );
        }
        let _ = write!(
            text,
            "\"iss\":{},\"sub\":{},\"jti\":\"{}\",\"iat\":{now},\"nbf\":{now},\"exp\":{}}}",
            serde_json::Value::from(&*self.issuer),
            serde_json::Value::from(sight.subject.id.as_str()),
            uuid(&*workshop.rng),
            now.saturating_add(life),
        );
        let token = signer.sign(&text).map_err(|error| {
            Failure::new(Kind::Internal, format!("failed to sign token: {error}"))
        })?;
        Ok(if self.scheme.is_empty() {
            token.into()
        } else {
            format!("{} {token}", self.scheme).into()
        })
    }

    fn render_claims(&self, sight: Sight<'_>) -> Result<BTreeMap<String, Box<RawValue>>, Failure> {
        let Some(template) = &self.claims else {
            return Ok(BTreeMap::new());
        };
        let scope = Scope {
            subject: Some(sight.subject),
            outputs: Some(sight.outputs),
            ..Scope::default()
        };
        let values = self.values.render(&scope)?;
        let rendered = template.render(&Scope {
            values: Some(&values),
            ..scope
        })?;
        serde_json::from_str(&rendered).map_err(|error| {
            Failure::new(
                Kind::Internal,
                format!("claims render to no JSON object: {error}"),
            )
        })
    }
}

/// Issuer, store and name of the key.
type SignerParts = (Arc<str>, Arc<KeyStore>, Option<Arc<str>>);

fn read_signer(mut fields: Fields<'_>, workshop: &Workshop) -> Option<SignerParts> {
    let issuer = fields
        .text("name")
        .filter(|name| !name.is_empty())
        .unwrap_or("heimdall");
    let key_id = fields.text("key_id").filter(|kid| !kid.is_empty());
    let algorithm = fields.word("alg", &RSA_ALGORITHMS);
    let mut store = None;
    if fields.required("key_store").is_some()
        && let Some(mut section) = fields.section("key_store")
    {
        let path = section.required_text("path");
        let password = read_secret(&mut section, "password", &*workshop.files);
        let password = password
            .as_ref()
            .map(Secret::expose)
            .filter(|password| !password.is_empty());
        if let Some(path) = path {
            let opened = workshop
                .keys
                .open(path, password, algorithm, || workshop.files.read(path))
                .and_then(|store| {
                    let key = store.signer(key_id).ok_or_else(|| match key_id {
                        Some(kid) => format!("`{path}` holds no key `{kid}`"),
                        None => format!("`{path}` holds no key"),
                    })?;
                    key.fit_to_sign(workshop.clock.now())?;
                    Ok(store)
                });
            match opened {
                Ok(opened) => store = Some(opened),
                Err(message) => section.wrong("path", message),
            }
        }
        section.close();
    }
    fields.close();
    Some((issuer.into(), store?, key_id.map(Arc::from)))
}

fn read_ttl(fields: &mut Fields<'_>) -> Option<Duration> {
    let ttl = fields.duration("ttl")?;
    if ttl <= Duration::from_secs(1) {
        fields.wrong("ttl", "must be more than 1s");
        return None;
    }
    Some(ttl)
}

fn read_claims(fields: &mut Fields<'_>, workshop: &Workshop) -> Option<Text> {
    read_template(fields, "claims", workshop)
}

/// A template member.
pub fn read_template(
    fields: &mut Fields<'_>,
    key: &'static str,
    workshop: &Workshop,
) -> Option<Text> {
    let source = fields.text(key)?;
    let line = fields.node(key).map_or(0, |node| node.line);
    Text::parse(
        &workshop.templates,
        source,
        line,
        &fields.at(key),
        fields.issues(),
    )
}

/// A `values` member: names to templates.
pub fn read_values(
    fields: &mut Fields<'_>,
    key: &'static str,
    workshop: &Workshop,
) -> ValueTemplates {
    let entries = fields.text_map(key).unwrap_or_default();
    let parsed = entries.into_iter().filter_map(|(name, source, line)| {
        let at = format!("{}.{name}", fields.at(key));
        Some((
            name.to_owned(),
            Text::parse(&workshop.templates, source, line, &at, fields.issues())?,
        ))
    });
    ValueTemplates::new(parsed.collect())
}

fn uuid(rng: &dyn Rng) -> String {
    let mut bytes = [0_u8; 16];
    rng.fill(&mut bytes);
    let mut number = u128::from_be_bytes(bytes);
    // version 4, variant 1 (RFC 9562)
    number = (number & !(0xf << 76)) | (0x4 << 76);
    number = (number & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{number:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    )
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;

    use super::*;

    #[test]
    fn identifiers_are_random_uuids() {
        let rng = SeededRng::new(1);
        let (a, b) = (uuid(&rng), uuid(&rng));
        assert_ne!(a, b);
        assert_eq!((a.len(), a.as_bytes()[14]), (36, b'4'));
        assert!(b"89ab".contains(&a.as_bytes()[19]));
    }
}
