use std::fmt;

use heimdall_types::Timestamp;
use serde_json::Value;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::algorithm::Family;
use crate::crypto::{self, PrivateKey, PublicParts};
use crate::public_key::family_of;
use crate::{Algorithm, CertificateChain, PublicKey};

/// Why a text or a document is no key that this crate works with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not built as such a thing is built.
    #[error("{0}")]
    Shape(&'static str),
    /// A member of the JWK is absent or malformed.
    #[error("member `{0}` of the key is absent or malformed")]
    Member(&'static str),
    /// The algorithm is unknown, or keys for it cannot be generated.
    #[error("the algorithm is unknown or its keys are imported, not generated")]
    Algorithm,
    /// The algorithm belongs to another kind of key.
    #[error("the algorithm belongs to another kind of key")]
    Mismatch,
    /// A kind of key or curve that is not supported.
    #[error("the kind of key is not supported: use RSA, EC P-256, EC P-384 or Ed25519")]
    Unsupported,
    /// An RSA modulus of a size that is not believed or not supported.
    #[error("an RSA key has 2048 to 8192 bits, a private one at most 4096")]
    Size,
    /// A symmetric key where only asymmetric ones are of use.
    #[error("a symmetric key has no place here")]
    Symmetric,
    /// A private key where a public one belongs.
    #[error("the key set gives away a private key")]
    Private,
    /// The key is not meant for signatures.
    #[error("the key is not meant for signatures")]
    Purpose,
    /// ring looked at the private key and refused it.
    #[error("the private key is refused: {0}")]
    Rejected(String),
    /// An encrypted key without a password, or with a wrong one.
    #[error("the private key is encrypted and the password is missing or wrong")]
    Password,
    /// A block of the PEM file that is no key and no certificate.
    #[error("`{0}` blocks are not supported")]
    Block(String),
    /// Two keys of one name.
    #[error("two keys are named `{0}`")]
    Duplicate(String),
    /// There is no key in the file.
    #[error("there is no private key in it")]
    Empty,
    /// A certificate cannot be read, or does not follow from the next one.
    #[error("the certificate chain does not hold: {0}")]
    Certificate(&'static str),
}

/// A private key, parsed once, and the one algorithm that it signs with.
pub struct SigningKey {
    kid: String,
    private: PrivateKey,
    material: Zeroizing<Vec<u8>>,
    public: PublicKey,
    chain: Option<CertificateChain>,
}

impl SigningKey {
    /// Makes a new key for ES256, ES384 or EdDSA.
    ///
    /// Randomness is ring's own: its trait is sealed, so no other source can be handed in.
    ///
    /// # Errors
    ///
    /// [`KeyError::Algorithm`] for RSA and HMAC algorithms.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let material = PrivateKey::generate(algorithm).ok_or(KeyError::Algorithm)?;
        Self::from_pkcs8(algorithm, &material)
    }

    /// Reads unencrypted PKCS#8 DER.
    ///
    /// # Errors
    ///
    /// The key is of another kind than the algorithm, damaged, or (EC) without its public half.
    pub fn from_pkcs8(algorithm: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        if algorithm.is_symmetric() {
            return Err(KeyError::Symmetric);
        }
        let private = PrivateKey::parse(algorithm, der).map_err(KeyError::Rejected)?;
        let parts = private.public();
        let public = PublicKey::from_parts(algorithm, &parts)?;
        let kid = public.thumbprint();
        let public = public.with_kid(kid.clone());
        Ok(Self {
            kid,
            private,
            material: Zeroizing::new(der.to_vec()),
            public,
            chain: None,
        })
    }

    /// Reads PKCS#8 DER of any supported kind. Without `algorithm` the kind decides: ES256, ES384, EdDSA, and for RSA
    /// of 2048, 3072 and 4096 bits PS256, PS384 and PS512.
    pub(crate) fn from_any_pkcs8(
        der: &[u8],
        algorithm: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let mut refused = KeyError::Unsupported;
        for candidate in [
            Algorithm::Es256,
            Algorithm::Es384,
            Algorithm::EdDsa,
            Algorithm::Ps256,
        ] {
            match PrivateKey::parse(candidate, der) {
                Ok(private) => {
                    let parts = private.public();
                    let chosen = match algorithm {
                        Some(wanted) if wanted.family() == family_of(&parts) => wanted,
                        Some(_) => return Err(KeyError::Mismatch),
                        None => default_for(candidate, &parts),
                    };
                    return Self::from_pkcs8(chosen, der);
                }
                Err(reason) if reason == "WrongAlgorithm" => {}
                Err(reason) => refused = KeyError::Rejected(reason),
            }
        }
        Err(refused)
    }

    /// Reads the first private key of a PEM text; see [`KeyFile`](crate::KeyFile) for what it may hold.
    ///
    /// # Errors
    ///
    /// As [`KeyFile::from_pem`](crate::KeyFile::from_pem), and when `algorithm` is for another kind of key.
    pub fn from_pem(
        text: &str,
        password: Option<&str>,
        algorithm: Option<Algorithm>,
    ) -> Result<Self, KeyError> {
        let key = crate::KeyFile::from_pem(text, password)?
            .into_keys()
            .into_iter()
            .next()
            .ok_or(KeyError::Empty)?;
        match algorithm {
            Some(algorithm) => key.with_algorithm(algorithm),
            None => Ok(key),
        }
    }

    /// Reads a private JWK. Its `alg` and `kid` are kept; without `kid` the thumbprint is the name.
    ///
    /// # Errors
    ///
    /// As [`PublicKey::from_jwk`], and when a private member is absent or does not belong to the public ones.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        let bytes = |name: &'static str| {
            let text = jwk.get(name).and_then(Value::as_str);
            text.and_then(crypto::from_base64url)
                .map(Zeroizing::new)
                .ok_or(KeyError::Member(name))
        };
        let mut open = jwk
            .as_object()
            .ok_or(KeyError::Shape("a JWK is a JSON object"))?
            .clone();
        // `key_ops` of a private key says `sign`, which its public half does not do.
        open.retain(|name, _| {
            !["d", "p", "q", "dp", "dq", "qi", "key_ops"].contains(&name.as_str())
        });
        let public = PublicKey::from_jwk(&Value::Object(open))?;
        let der = match public.algorithm().family() {
            Family::Rsa => {
                let mut numbers = vec![crypto::unsigned_integer(&[0])];
                for name in ["n", "e", "d", "p", "q", "dp", "dq", "qi"] {
                    numbers.push(crypto::unsigned_integer(&bytes(name)?));
                }
                let parts: Vec<&[u8]> = numbers.iter().map(|number| number.as_slice()).collect();
                crypto::pkcs8_from_pkcs1(&crypto::sequence(&parts))
            }
            Family::Ed25519 => crypto::pkcs8_from_seed(&bytes("d")?),
            family => {
                let point = [&[4], bytes("x")?.as_slice(), bytes("y")?.as_slice()].concat();
                crypto::pkcs8_from_sec1(family, &crypto::sec1(&bytes("d")?, &point))
                    .ok_or(KeyError::Unsupported)?
            }
        };
        let algorithm = public.declares_algorithm().then(|| public.algorithm());
        let key = Self::from_any_pkcs8(&der, algorithm)?;
        if !key.public.has_same_point(&public) {
            return Err(KeyError::Member("x"));
        }
        Ok(match public.kid() {
            Some(kid) => key.with_kid(kid),
            None => key,
        })
    }

    /// The name that tokens call the key by: the RFC 7638 thumbprint, unless another was given.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The one algorithm it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The certificates that came with it, its own first.
    pub fn certificates(&self) -> Option<&CertificateChain> {
        self.chain.as_ref()
    }

    /// When the first of its certificates expires.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.chain.as_ref().map(CertificateChain::not_after)
    }

    /// The PKCS#8 document, for sealing. Wiped by its owner when dropped.
    pub fn material(&self) -> &[u8] {
        &self.material
    }

    /// Gives the key another name.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = kid.into();
        self.public = self.public.with_kid(self.kid.clone());
        self
    }

    /// Binds the key to another algorithm of its kind, such as RS256 instead of PS256.
    ///
    /// # Errors
    ///
    /// [`KeyError::Mismatch`] when the algorithm is for another kind of key.
    pub fn with_algorithm(self, algorithm: Algorithm) -> Result<Self, KeyError> {
        if algorithm.family() != self.algorithm().family() {
            return Err(KeyError::Mismatch);
        }
        let key = Self::from_pkcs8(algorithm, &self.material)?.with_kid(self.kid);
        Ok(match self.chain {
            Some(chain) => key.with_chain(chain),
            None => key,
        })
    }

    pub(crate) fn with_chain(mut self, chain: CertificateChain) -> Self {
        self.public = self.public.with_chain(chain.der());
        self.chain = Some(chain);
        self
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.private.sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn default_for(candidate: Algorithm, parts: &PublicParts) -> Algorithm {
    let PublicParts::Rsa { n, .. } = parts else {
        return candidate;
    };
    match n.len() {
        0..384 => Algorithm::Ps256,
        384..512 => Algorithm::Ps384,
        _ => Algorithm::Ps512,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_sign_for_their_public_half() {
        for algorithm in Algorithm::ALL {
            match SigningKey::generate(algorithm) {
                Ok(key) => {
                    assert!(algorithm.can_be_generated());
                    assert_eq!(key.kid(), key.public().thumbprint());
                    let signature = key.sign(b"message").unwrap();
                    assert!(key.public().verify(b"message", &signature), "{algorithm}");
                }
                Err(error) => {
                    assert_eq!(error, KeyError::Algorithm);
                    assert!(!algorithm.can_be_generated());
                }
            }
        }
    }

    #[test]
    fn a_key_is_bound_to_its_kind() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        assert!(SigningKey::from_pkcs8(Algorithm::EdDsa, key.material()).is_err());
        assert_eq!(
            SigningKey::from_pkcs8(Algorithm::Hs256, key.material()).unwrap_err(),
            KeyError::Symmetric
        );
        assert_eq!(
            key.with_algorithm(Algorithm::Rs256).unwrap_err(),
            KeyError::Mismatch
        );
    }

    #[test]
    fn the_private_key_is_not_printed() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        assert!(format!("{key:?}").starts_with("SigningKey { kid: \""));
        assert!(!format!("{key:?}").contains("material"));
    }
}
