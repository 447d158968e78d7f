use heimdall_types::Secret;
use pem::Pem;
use pkcs8::EncryptedPrivateKeyInfoRef;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::crypto::{pkcs8_from_pkcs1, pkcs8_from_sec1};
use crate::json;
use crate::{CertificateChain, KeyError, PublicKeys, SigningKey};

/// The private keys of a key store file.
///
/// A PEM file holds PKCS#8 (plain and encrypted), PKCS#1 and SEC1 keys, each with an optional `X-Key-ID` header, and
/// certificates in any order. A key is named by that header, else by the subject key id of its certificate in
/// hexadecimal, else by its RFC 7638 thumbprint.
#[derive(Debug)]
pub struct KeyFile {
    keys: Vec<SigningKey>,
}

impl KeyFile {
    /// Reads a PEM file.
    ///
    /// # Errors
    ///
    /// No key in it, a block that is neither key nor certificate, a wrong password, two keys of one name, a key of an
    /// unsupported kind, a certificate that cannot be read or a chain whose signatures do not hold.
    pub fn from_pem(text: &str, password: Option<&str>) -> Result<Self, KeyError> {
        let blocks = pem::parse_many(text).map_err(|_| KeyError::Shape("the file is not PEM"))?;
        let mut certificates = Vec::new();
        let mut found = Vec::new();
        for block in blocks {
            match block.tag() {
                "CERTIFICATE" => certificates.push(block.into_contents()),
                // Names the curve that the key behind it repeats.
                "EC PARAMETERS" => {}
                _ => {
                    let name = block.headers().get("X-Key-ID").map(str::to_owned);
                    found.push((private_key(block, password)?, name));
                }
            }
        }
        let keys = found
            .into_iter()
            .map(|(key, name)| {
                let chain = CertificateChain::for_key(key.public(), &certificates)?;
                let name = name.or_else(|| chain.as_ref()?.subject_key_id().map(str::to_owned));
                let key = match chain {
                    Some(chain) => key.with_chain(chain),
                    None => key,
                };
                Ok(match name {
                    Some(name) => key.with_kid(name),
                    None => key,
                })
            })
            .collect::<Result<Vec<_>, KeyError>>()?;
        Self::of(keys)
    }

    /// Reads a JWK set with private keys, or one private JWK.
    ///
    /// # Errors
    ///
    /// Not JSON, no key in it, two keys of one name, a key that is not private or of an unsupported kind.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        let document =
            json::parse(text.as_bytes()).map_err(|_| KeyError::Shape("the key set is not JSON"))?;
        let keys = match document.get("keys") {
            Some(Value::Array(keys)) => keys
                .iter()
                .map(SigningKey::from_jwk)
                .collect::<Result<Vec<_>, _>>()?,
            Some(_) => return Err(KeyError::Shape("`keys` is a list")),
            None => vec![SigningKey::from_jwk(&document)?],
        };
        Self::of(keys)
    }

    /// Reads either format.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::from_pem`] and [`KeyFile::from_jwks`].
    pub fn parse(text: &str, password: Option<&Secret>) -> Result<Self, KeyError> {
        if text.trim_start().starts_with('{') {
            Self::from_jwks(text)
        } else {
            Self::from_pem(text, password.map(Secret::expose))
        }
    }

    fn of(keys: Vec<SigningKey>) -> Result<Self, KeyError> {
        if keys.is_empty() {
            return Err(KeyError::Empty);
        }
        for (index, key) in keys.iter().enumerate() {
            if keys
                .iter()
                .skip(index + 1)
                .any(|other| other.kid() == key.kid())
            {
                return Err(KeyError::Duplicate(key.kid().to_owned()));
            }
        }
        Ok(Self { keys })
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The keys, in the order of the file.
    pub fn into_keys(self) -> Vec<SigningKey> {
        self.keys
    }

    /// The key of that name.
    pub fn key(&self, kid: &str) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// Their public halves.
    pub fn public(&self) -> PublicKeys {
        PublicKeys::of(self.keys.iter().map(|key| key.public().clone()))
    }
}

fn private_key(block: Pem, password: Option<&str>) -> Result<SigningKey, KeyError> {
    if block.headers().get("Proc-Type").is_some() {
        return Err(KeyError::Block(format!(
            "encrypted {} (Proc-Type)",
            block.tag()
        )));
    }
    let tag = block.tag().to_owned();
    let der = Zeroizing::new(block.into_contents());
    match tag.as_str() {
        "PRIVATE KEY" => SigningKey::from_any_pkcs8(&der, None),
        "RSA PRIVATE KEY" => SigningKey::from_any_pkcs8(&pkcs8_from_pkcs1(&der), None),
        "EC PRIVATE KEY" => {
            let curves = [
                crate::algorithm::Family::P256,
                crate::algorithm::Family::P384,
            ];
            let mut refused = KeyError::Unsupported;
            for wrapped in curves
                .into_iter()
                .filter_map(|curve| pkcs8_from_sec1(curve, &der))
            {
                match SigningKey::from_any_pkcs8(&wrapped, None) {
                    Ok(key) => return Ok(key),
                    Err(error) => refused = error,
                }
            }
            Err(refused)
        }
        "ENCRYPTED PRIVATE KEY" => {
            let encrypted = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
                .map_err(|_| KeyError::Shape("the encrypted key is not PKCS#8"))?;
            let open = encrypted
                .decrypt(password.ok_or(KeyError::Password)?)
                .map_err(|_| KeyError::Password)?;
            SigningKey::from_any_pkcs8(open.as_bytes(), None)
        }
        _ => Err(KeyError::Block(tag)),
    }
}

#[cfg(test)]
#[path = "key_file/tests.rs"]
mod tests;
