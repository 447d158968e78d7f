//! Public keys as devices write them (RFC 9052, RFC 9053), kept as JWK.

use ciborium::Value as Cbor;
use serde_json::{Value, json};

use super::WebauthnError;
use crate::{Algorithm, PublicKey, crypto};

/// What is asked for, best liked first: ES256, EdDSA, ES384, RS256 (RFC 9053, RFC 8812).
pub(super) const ALGORITHMS: [i32; 4] = [-7, -8, -35, -257];

const KTY: i32 = 1;
const ALG: i32 = 3;
const OKP: i128 = 1;
const EC2: i128 = 2;
const RSA: i128 = 3;

/// The key as a JWK that [`PublicKey::from_jwk`] takes: anything else is refused here, not at the next login.
pub(super) fn jwk(key: &Cbor) -> Result<Value, WebauthnError> {
    let members = key.as_map().ok_or(WebauthnError::Key)?;
    let member = |label: i32| {
        members
            .iter()
            .find(|(key, _)| key.as_integer() == Some(label.into()))
            .map(|(_, value)| value)
            .ok_or(WebauthnError::Key)
    };
    let number = |label: i32| {
        let number = member(label)?.as_integer().ok_or(WebauthnError::Key)?;
        Ok::<i128, WebauthnError>(number.into())
    };
    let bytes = |label: i32| {
        let bytes = member(label)?.as_bytes().ok_or(WebauthnError::Key)?;
        Ok::<String, WebauthnError>(crypto::base64url(bytes))
    };
    let jwk = match (number(KTY)?, number(ALG)?) {
        (EC2, -7) if number(-1)? == 1 => {
            json!({"kty": "EC", "crv": "P-256", "x": bytes(-2)?, "y": bytes(-3)?, "alg": "ES256"})
        }
        (EC2, -35) if number(-1)? == 2 => {
            json!({"kty": "EC", "crv": "P-384", "x": bytes(-2)?, "y": bytes(-3)?, "alg": "ES384"})
        }
        (OKP, -8) if number(-1)? == 6 => {
            json!({"kty": "OKP", "crv": "Ed25519", "x": bytes(-2)?, "alg": "EdDSA"})
        }
        (RSA, -257) => json!({"kty": "RSA", "n": bytes(-1)?, "e": bytes(-2)?, "alg": "RS256"}),
        _ => return Err(WebauthnError::Key),
    };
    PublicKey::from_jwk(&jwk).map_err(|_| WebauthnError::Key)?;
    Ok(jwk)
}

/// Whether `signature` is one of `message` by the key of [`jwk`]. ECDSA signatures are ASN.1 here (§6.5.5), not the
/// fixed pair of a JWS.
pub(super) fn holds(jwk: &Value, message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = PublicKey::from_jwk(jwk) else {
        return false;
    };
    match key.algorithm() {
        algorithm @ (Algorithm::Es256 | Algorithm::Es384) => key
            .point()
            .is_some_and(|point| crypto::verify_ecdsa_asn1(algorithm, &point, message, signature)),
        _ => key.verify(message, signature),
    }
}
