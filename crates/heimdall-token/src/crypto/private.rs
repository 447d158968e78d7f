use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use zeroize::Zeroizing;

use crate::Algorithm;
use crate::algorithm::Family;

/// A private key that ring has parsed and checked, ready to sign.
pub(crate) enum PrivateKey {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(&'static dyn RsaEncoding, RsaKeyPair),
    Hmac(hmac::Key),
}

/// The public half, in the parts that a JWK has.
pub(crate) enum PublicParts {
    Ec {
        crv: &'static str,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Okp {
        x: Vec<u8>,
    },
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Secret,
}

fn ecdsa(family: Family) -> &'static signature::EcdsaSigningAlgorithm {
    match family {
        Family::P384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    }
}

fn rsa(algorithm: Algorithm) -> &'static dyn RsaEncoding {
    match algorithm {
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}

fn mac(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

impl PrivateKey {
    /// A new PKCS#8 document; `None` for algorithms whose keys ring does not make.
    pub(crate) fn generate(algorithm: Algorithm) -> Option<Zeroizing<Vec<u8>>> {
        let rng = SystemRandom::new();
        let document = match algorithm.family() {
            Family::P256 | Family::P384 => {
                EcdsaKeyPair::generate_pkcs8(ecdsa(algorithm.family()), &rng)
            }
            Family::Ed25519 => Ed25519KeyPair::generate_pkcs8(&rng),
            Family::Rsa | Family::Hmac => return None,
        };
        document
            .ok()
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
    }

    /// Parses PKCS#8 DER, or takes the secret itself for HMAC. The error is ring's short reason.
    pub(crate) fn parse(algorithm: Algorithm, material: &[u8]) -> Result<Self, String> {
        let reason = |rejected: ring::error::KeyRejected| rejected.to_string();
        match algorithm.family() {
            family @ (Family::P256 | Family::P384) => {
                EcdsaKeyPair::from_pkcs8(ecdsa(family), material, &SystemRandom::new())
                    .map(Self::Ecdsa)
                    .map_err(reason)
            }
            Family::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(material)
                .map(Self::Ed25519)
                .map_err(reason),
            Family::Rsa => RsaKeyPair::from_pkcs8(material)
                .map(|pair| Self::Rsa(rsa(algorithm), pair))
                .map_err(reason),
            Family::Hmac => Ok(Self::Hmac(hmac::Key::new(mac(algorithm), material))),
        }
    }

    /// Signs; `None` only when the operating system gives no randomness.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .ok()
                .map(|made| made.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::Rsa(encoding, pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut out)
                    .ok()?;
                Some(out)
            }
            Self::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
        }
    }

    pub(crate) fn public(&self) -> PublicParts {
        match self {
            Self::Ecdsa(pair) => {
                // Uncompressed point: 0x04, then both coordinates of equal length (SEC 1 §2.3.3).
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let crv = if x.len() == 48 { "P-384" } else { "P-256" };
                PublicParts::Ec {
                    crv,
                    x: x.to_vec(),
                    y: y.to_vec(),
                }
            }
            Self::Ed25519(pair) => PublicParts::Okp {
                x: pair.public_key().as_ref().to_vec(),
            },
            Self::Rsa(_, pair) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                PublicParts::Rsa {
                    n: parts.n,
                    e: parts.e,
                }
            }
            Self::Hmac(_) => PublicParts::Secret,
        }
    }
}
