//! Keys and tokens: making, sealing and rotating keys, signing and verifying compact JWS, JWK sets at home and from
//! elsewhere, DPoP proofs, the links of mails, passkeys and one-time codes.
//!
//! The algorithm belongs to the key, never to the token. Nothing here reads a clock, a file or a socket; time is an
//! argument. Randomness is an argument too, except where ring's sealed trait forbids it (key generation, ECDSA).
//!
//! ```
//! use heimdall_token::{Algorithm, Header, Policy, PublicKeys, Signer, SigningKey, Verifier};
//! use heimdall_types::Timestamp;
//!
//! let signer = Signer::new(SigningKey::generate(Algorithm::Es256)?);
//! let claims = serde_json::json!({ "iss": "https://me.example", "aud": "you", "exp": 1_900_000_000 });
//! let token = signer.sign(&Header::typ("JWT"), &claims)?;
//!
//! let keys = PublicKeys::of([signer.key().public().clone()]);
//! let verifier = Verifier::new(Policy::new("JWT").issuer("https://me.example").audience("you"));
//! let verified = verifier.verify(&token, &keys, Timestamp::from_seconds(1_800_000_000))?;
//! assert_eq!(verified.issuer(), Some("https://me.example"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod algorithm;
mod certificate;
mod claims;
pub mod crypto;
pub mod dpop;
mod json;
mod key_file;
mod key_life;
mod key_ring;
pub mod link;
pub mod otp;
pub mod ports;
mod public_key;
mod public_keys;
mod remote_jwks;
mod root_key;
mod signature_key;
mod signer;
mod signing_key;
mod token_error;
mod trust;
mod unverified;
mod verified_tokens;
mod verifier;
pub mod webauthn;

pub use access::{AccessClaims, Confirmation};
pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use certificate::CertificateChain;
pub use claims::Claims;
pub use crypto::SystemRng;
pub use key_file::KeyFile;
pub use key_life::{KeyRecord, KeyState};
pub use key_ring::{KeyInfo, KeyRing, KeyRingError, KeyRingSettings};
pub use ports::{FetchedJwks, JwksFetch, KeyChange, KeyStore, KeyTransition};
pub use public_key::PublicKey;
pub use public_keys::{Jwks, PublicKeys};
pub use remote_jwks::{JwksError, RemoteJwks, RemoteJwksSettings};
pub use root_key::{RootKey, RootKeyError, SealError};
pub use signature_key::{SignatureKey, SignatureKeyError};
pub use signer::{Header, Signer};
pub use signing_key::{KeyError, SigningKey};
pub use token_error::TokenError;
pub use trust::TrustStore;
pub use unverified::Unverified;
pub use verified_tokens::VerifiedTokens;
pub use verifier::{Check, Policy, Verifier};
