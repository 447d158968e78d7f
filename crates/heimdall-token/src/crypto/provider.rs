//! ring behind jsonwebtoken: jsonwebtoken 11 brings no ring backend of its own, but takes one.
//!
//! The provider is process-wide and the first one wins. It is installed at our first verification; when the host
//! application has installed another before, that one stays and verifies for us too: same algorithms, same answers.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as ForeignError, ErrorKind, Result as ForeignResult};
use jsonwebtoken::jwk::{EllipticCurve, ThumbprintHash};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm as Foreign, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::{digest, hmac, signature};

use super::private::{PrivateKey, PublicParts};
use crate::Algorithm;
use crate::algorithm::Family;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory,
    verifier_factory,
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key,
        rsa_pub_components_from_public_key,
        ec_pub_components_from_private_key,
        ed_pub_components_from_private_key,
        compute_digest,
    },
};

/// Makes sure that jsonwebtoken has a provider: ours, unless the host chose one before.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // An error says that the host installed its own first, which is its right.
        let _ = PROVIDER.install_default();
    });
}

/// Whether `signature` (raw, not encoded) is one of `message` by `key` with `algorithm`.
pub(crate) fn verify(
    algorithm: Algorithm,
    key: &DecodingKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    install();
    jsonwebtoken::crypto::verify(
        &super::base64url(signature),
        message,
        key,
        algorithm.foreign(),
    )
    .unwrap_or(false)
}

/// Whether an ECDSA `signature` in ASN.1 form is one of `message` by the uncompressed `point`.
pub(crate) fn verify_ecdsa_asn1(
    algorithm: Algorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    let parameters = match algorithm {
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_ASN1,
        _ => return false,
    };
    signature::UnparsedPublicKey::new(parameters, point)
        .verify(message, signature)
        .is_ok()
}

fn ours(algorithm: Foreign) -> ForeignResult<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .find(|ours| ours.foreign() == algorithm)
        .ok_or_else(|| ErrorKind::UnsupportedAlgorithm.into())
}

struct RingSigner(Algorithm, PrivateKey);

impl Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        self.1.sign(message).ok_or_else(SignatureError::new)
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> Foreign {
        self.0.foreign()
    }
}

fn signer_factory(algorithm: &Foreign, key: &EncodingKey) -> ForeignResult<Box<dyn JwtSigner>> {
    let algorithm = ours(*algorithm)?;
    if key.family() != algorithm.foreign().family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let wrapped;
    // jsonwebtoken hands RSA keys over as PKCS#1, everything else as PKCS#8 or as the bare secret.
    let material = if algorithm.family() == Family::Rsa {
        wrapped = super::pkcs8_from_pkcs1(key.as_bytes());
        wrapped.as_slice()
    } else {
        key.as_bytes()
    };
    let key = PrivateKey::parse(algorithm, material)
        .map_err(|_| ForeignError::from(ErrorKind::InvalidKeyFormat))?;
    Ok(Box::new(RingSigner(algorithm, key)))
}

struct RingVerifier(Algorithm, DecodingKey);

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let Self(algorithm, key) = self;
        let holds = match key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) if algorithm.is_symmetric() => {
                hmac::verify(&hmac::Key::new(mac(*algorithm), bytes), message, signature).is_ok()
            }
            DecodingKeyKind::SecretOrDer(bytes) => public(*algorithm).is_some_and(|verification| {
                signature::UnparsedPublicKey::new(verification, bytes)
                    .verify(message, signature)
                    .is_ok()
            }),
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                rsa(*algorithm).is_some_and(|verification| {
                    signature::RsaPublicKeyComponents { n, e }
                        .verify(verification, message, signature)
                        .is_ok()
                })
            }
        };
        holds.then_some(()).ok_or_else(SignatureError::new)
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Foreign {
        self.0.foreign()
    }
}

fn verifier_factory(algorithm: &Foreign, key: &DecodingKey) -> ForeignResult<Box<dyn JwtVerifier>> {
    let algorithm = ours(*algorithm)?;
    if key.family() != algorithm.foreign().family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier(algorithm, key.clone())))
}

fn mac(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn public(algorithm: Algorithm) -> Option<&'static dyn signature::VerificationAlgorithm> {
    match algorithm {
        Algorithm::Es256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::Es384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDsa => Some(&signature::ED25519),
        _ => rsa(algorithm).map(|parameters| parameters as &dyn signature::VerificationAlgorithm),
    }
}

fn rsa_pub_components_from_private_key(pkcs1: &[u8]) -> ForeignResult<(Vec<u8>, Vec<u8>)> {
    let key = PrivateKey::parse(Algorithm::Rs256, &super::pkcs8_from_pkcs1(pkcs1))
        .map_err(ErrorKind::InvalidRsaKey)?;
    match key.public() {
        PublicParts::Rsa { n, e } => Ok((n, e)),
        _ => Err(ErrorKind::InvalidKeyFormat.into()),
    }
}

// Never asked for by this crate: our RSA keys are held as modulus and exponent.
fn rsa_pub_components_from_public_key(_: &[u8]) -> ForeignResult<(Vec<u8>, Vec<u8>)> {
    Err(ErrorKind::InvalidKeyFormat.into())
}

fn ec_pub_components_from_private_key(
    pkcs8: &[u8],
    algorithm: Foreign,
) -> ForeignResult<(EllipticCurve, Vec<u8>, Vec<u8>)> {
    let key = PrivateKey::parse(ours(algorithm)?, pkcs8)
        .map_err(|_| ForeignError::from(ErrorKind::InvalidEcdsaKey))?;
    match key.public() {
        PublicParts::Ec { crv: "P-384", x, y } => Ok((EllipticCurve::P384, x, y)),
        PublicParts::Ec { x, y, .. } => Ok((EllipticCurve::P256, x, y)),
        _ => Err(ErrorKind::InvalidEcdsaKey.into()),
    }
}

fn ed_pub_components_from_private_key(pkcs8: &[u8], _: &EllipticCurve) -> ForeignResult<Vec<u8>> {
    let key = PrivateKey::parse(Algorithm::EdDsa, pkcs8)
        .map_err(|_| ForeignError::from(ErrorKind::InvalidEddsaKey))?;
    match key.public() {
        PublicParts::Okp { x } => Ok(x),
        _ => Err(ErrorKind::InvalidEddsaKey.into()),
    }
}

fn compute_digest(data: &[u8], hash: ThumbprintHash) -> ForeignResult<Vec<u8>> {
    let algorithm = match hash {
        ThumbprintHash::SHA256 => &digest::SHA256,
        ThumbprintHash::SHA384 => &digest::SHA384,
        ThumbprintHash::SHA512 => &digest::SHA512,
        _ => return Err(ErrorKind::UnsupportedAlgorithm.into()),
    };
    Ok(digest::digest(algorithm, data).as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonwebtoken_signs_and_verifies_through_ring() {
        install();
        let claims = serde_json::json!({ "sub": "usr_1", "exp": 4_102_444_800_i64 });
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa] {
            let key = crate::SigningKey::generate(algorithm).unwrap();
            let encoding = match algorithm {
                Algorithm::EdDsa => EncodingKey::from_ed_der(key.material()),
                _ => EncodingKey::from_ec_der(key.material()),
            };
            let header = jsonwebtoken::Header::new(algorithm.foreign());
            let token = jsonwebtoken::encode(&header, &claims, &encoding).unwrap();
            let (message, encoded) = token.rsplit_once('.').unwrap();
            let signature = super::super::from_base64url(encoded).unwrap();
            assert!(
                key.public().verify(message.as_bytes(), &signature),
                "{algorithm}"
            );
            assert!(
                !key.public().verify(b"something else", &signature),
                "{algorithm}"
            );
        }
    }
}
