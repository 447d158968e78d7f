//! Passkeys: what a browser is asked, and whether what it answers holds (Web Authentication Level 3, §7.1 and §7.2).
//!
//! No state and no policy of its own: the caller keeps the challenge and the [`Passkey`], and says what it demands.
//! A challenge is any bytes, so it may carry what is signed: the digest of a decision, beside a nonce.
//!
//! Attestation is not asked for, and an attestation statement is not believed: a passkey proves that the same key
//! answers again, not which device holds it.

mod authenticator;
mod cose;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::crypto;
use authenticator::{Authenticator, attested};
use cose::{ALGORITHMS, holds};

/// Longest credential id, in bytes (Web Authentication Level 3, §4).
pub const MAX_CREDENTIAL_ID: usize = 1_023;
/// How long a browser lets its user look for the device, in milliseconds; only a hint.
const PATIENCE_MS: u32 = 120_000;

/// The site that passkeys belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    name: String,
    origins: Vec<String>,
}

/// Whom a passkey is for, as the device shows it.
#[derive(Debug, Clone, Copy)]
pub struct PasskeyUser<'a> {
    /// An opaque id of 1 to 64 bytes; no mail address (§14.6.1).
    pub id: &'a str,
    /// Tells accounts apart: the mail address.
    pub name: &'a str,
    /// For people.
    pub display_name: &'a str,
}

/// What is kept of a passkey. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// The credential id in base64url.
    pub id: String,
    /// The public key as a JWK.
    pub key: Value,
    /// The device's signature counter at the last use; 0 for devices without one.
    pub counter: u32,
    /// Whether it may be copied to other devices of its owner.
    #[serde(default)]
    pub synced: bool,
    /// How the browser reached the device, for the next [`RelyingParty::request_options`].
    #[serde(default)]
    pub transports: Vec<String>,
}

/// A browser's answer to [`RelyingParty::creation_options`] (`RegistrationResponseJSON`). Members that are not needed
/// are ignored, because browsers add some.
#[derive(Debug, Clone, Deserialize)]
pub struct Registration {
    /// The credential id in base64url.
    pub id: String,
    /// Always `public-key`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the device said.
    pub response: RegistrationParts,
}

/// The device's part of a [`Registration`].
#[derive(Debug, Clone, Deserialize)]
pub struct RegistrationParts {
    /// What the browser saw, as JSON in base64url.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// The new key, as CBOR in base64url.
    #[serde(rename = "attestationObject")]
    pub attestation_object: String,
    /// How the device is reached.
    #[serde(default)]
    pub transports: Vec<String>,
}

/// A browser's answer to [`RelyingParty::request_options`] (`AuthenticationResponseJSON`).
#[derive(Debug, Clone, Deserialize)]
pub struct Assertion {
    /// The credential id in base64url.
    pub id: String,
    /// Always `public-key`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the device said.
    pub response: AssertionParts,
}

/// The device's part of an [`Assertion`].
#[derive(Debug, Clone, Deserialize)]
pub struct AssertionParts {
    /// What the browser saw, as JSON in base64url.
    #[serde(rename = "clientDataJSON")]
    pub client_data: String,
    /// What the device says about itself, in base64url.
    #[serde(rename = "authenticatorData")]
    pub authenticator_data: String,
    /// The signature over both, in base64url.
    pub signature: String,
    /// Whose passkey it is, in base64url; only devices that keep the account give it.
    #[serde(default, rename = "userHandle")]
    pub user_handle: Option<String>,
}

/// What the device must have seen of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Demand {
    /// A touch: enough beside a password.
    #[default]
    Presence,
    /// A PIN, fingerprint or face: where the passkey stands alone.
    Verification,
}

/// What an assertion that holds tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asserted {
    /// Keep it as the passkey's counter.
    pub counter: u32,
    /// Whether the device checked a PIN, fingerprint or face.
    pub verified: bool,
}

/// Why a passkey's answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WebauthnError {
    /// It is not what a browser sends.
    #[error("the passkey's answer is malformed: {0}")]
    Malformed(&'static str),
    /// It answers another question: a registration instead of a login, or another challenge.
    #[error("the passkey answered another question")]
    Challenge,
    /// It was asked by another site, or inside a frame of another one.
    #[error("the passkey was asked by another site")]
    Origin,
    /// The device did not see its owner, or not well enough.
    #[error("the device did not check who uses it")]
    Presence,
    /// A key of a kind that was not asked for.
    #[error("the passkey's key is of a kind that is not accepted")]
    Key,
    /// The signature does not hold.
    #[error("the passkey's signature does not hold")]
    Signature,
    /// The counter did not grow: there is a copy of the device.
    #[error("the passkey's counter went back, as that of a copied device does")]
    Copied,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
    #[serde(default, rename = "topOrigin")]
    top_origin: Option<String>,
}

impl RelyingParty {
    /// The site at this origin, `https://host[:port]`; its host is the id that passkeys are bound to. `None` when the
    /// text is no origin.
    pub fn of_origin(name: impl Into<String>, origin: &str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?.0,
            None => authority
                .split_once(':')
                .map_or(authority, |(host, _)| host),
        };
        let plain = !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']);
        (matches!(scheme, "https" | "http") && plain && !host.is_empty()).then(|| Self {
            id: host.to_ascii_lowercase(),
            name: name.into(),
            origins: vec![origin.to_ascii_lowercase()],
        })
    }

    /// Lets pages of a further origin ask too, such as another port of the same host.
    #[must_use]
    pub fn also(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// The id that passkeys are bound to: a host name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What `navigator.credentials.create` is given as `publicKey`, in the JSON form that
    /// `PublicKeyCredential.parseCreationOptionsFromJSON` reads. `known` are the passkeys the user has already: no
    /// device is registered twice.
    pub fn creation_options(
        &self,
        challenge: &[u8],
        user: PasskeyUser<'_>,
        known: &[Passkey],
    ) -> Value {
        let algorithms: Vec<Value> = ALGORITHMS
            .iter()
            .map(|alg| json!({"type": "public-key", "alg": alg}))
            .collect();
        json!({
            "rp": {"id": self.id, "name": self.name},
            "user": {
                "id": crypto::base64url(user.id.as_bytes()),
                "name": user.name,
                "displayName": user.display_name,
            },
            "challenge": crypto::base64url(challenge),
            "pubKeyCredParams": algorithms,
            "timeout": PATIENCE_MS,
            "excludeCredentials": descriptors(known),
            "authenticatorSelection": {"residentKey": "preferred", "userVerification": "preferred"},
            "attestation": "none",
        })
    }

    /// What `navigator.credentials.get` is given as `publicKey`, in JSON form, to hear one of `passkeys`.
    pub fn request_options(&self, challenge: &[u8], passkeys: &[Passkey], demand: Demand) -> Value {
        json!({
            "challenge": crypto::base64url(challenge),
            "timeout": PATIENCE_MS,
            "rpId": self.id,
            "allowCredentials": descriptors(passkeys),
            "userVerification": match demand {
                Demand::Presence => "preferred",
                Demand::Verification => "required",
            },
        })
    }

    /// The passkey that was made in answer to `challenge` (§7.1).
    ///
    /// # Errors
    /// Whatever does not hold; nothing is believed about the device's maker.
    pub fn register(
        &self,
        challenge: &[u8],
        answer: &Registration,
        demand: Demand,
    ) -> Result<Passkey, WebauthnError> {
        public_key(&answer.kind)?;
        let client_data = decode(&answer.response.client_data, "clientDataJSON")?;
        self.asked(&client_data, "webauthn.create", challenge)?;
        let object = decode(&answer.response.attestation_object, "attestationObject")?;
        let data = authenticator::of_attestation(&object)?;
        let (authenticator, rest) = Authenticator::read(&data)?;
        self.present(&authenticator, demand)?;
        let (id, key) = attested(&authenticator, rest)?;
        if crypto::base64url(id) != answer.id {
            return Err(WebauthnError::Malformed("the ids differ"));
        }
        Ok(Passkey {
            id: answer.id.clone(),
            key,
            counter: authenticator.counter,
            synced: authenticator.can_be_synced(),
            transports: transports(&answer.response.transports),
        })
    }

    /// Whether `passkey` answered `challenge` (§7.2). Keep [`Asserted::counter`], and never accept the same challenge
    /// twice: a device without a counter cannot tell.
    ///
    /// # Errors
    /// Whatever does not hold.
    pub fn check(
        &self,
        challenge: &[u8],
        passkey: &Passkey,
        answer: &Assertion,
        demand: Demand,
    ) -> Result<Asserted, WebauthnError> {
        public_key(&answer.kind)?;
        if answer.id != passkey.id {
            return Err(WebauthnError::Challenge);
        }
        let client_data = decode(&answer.response.client_data, "clientDataJSON")?;
        self.asked(&client_data, "webauthn.get", challenge)?;
        let data = decode(&answer.response.authenticator_data, "authenticatorData")?;
        let (authenticator, _) = Authenticator::read(&data)?;
        self.present(&authenticator, demand)?;
        let signature = decode(&answer.response.signature, "signature")?;
        let message = [data.as_slice(), &crypto::sha256(&client_data)].concat();
        if !holds(&passkey.key, &message, &signature) {
            return Err(WebauthnError::Signature);
        }
        let counts = authenticator.counter != 0 || passkey.counter != 0;
        if counts && authenticator.counter <= passkey.counter {
            return Err(WebauthnError::Copied);
        }
        Ok(Asserted {
            counter: authenticator.counter,
            verified: authenticator.user_verified(),
        })
    }

    // §7.1 steps 7 to 12, §7.2 steps 11 to 15.
    fn asked(&self, client_data: &[u8], kind: &str, challenge: &[u8]) -> Result<(), WebauthnError> {
        let seen: ClientData = serde_json::from_slice(client_data)
            .map_err(|_| WebauthnError::Malformed("clientDataJSON"))?;
        let expected = crypto::base64url(challenge);
        if seen.kind != kind
            || !crypto::constant_time_eq(seen.challenge.as_bytes(), expected.as_bytes())
        {
            return Err(WebauthnError::Challenge);
        }
        let own = self.origins.contains(&seen.origin);
        if !own || seen.cross_origin || seen.top_origin.is_some() {
            return Err(WebauthnError::Origin);
        }
        Ok(())
    }

    fn present(&self, authenticator: &Authenticator, demand: Demand) -> Result<(), WebauthnError> {
        if authenticator.site != crypto::sha256(self.id.as_bytes()) {
            return Err(WebauthnError::Origin);
        }
        let enough = authenticator.user_present()
            && (demand == Demand::Presence || authenticator.user_verified());
        enough.then_some(()).ok_or(WebauthnError::Presence)
    }
}

fn descriptors(passkeys: &[Passkey]) -> Vec<Value> {
    passkeys
        .iter()
        .map(|passkey| {
            json!({"type": "public-key", "id": passkey.id, "transports": passkey.transports})
        })
        .collect()
}

// Hints of the browser, given back to browsers: short words or nothing.
fn transports(given: &[String]) -> Vec<String> {
    let known = ["ble", "hybrid", "internal", "nfc", "smart-card", "usb"];
    known
        .into_iter()
        .filter(|known| given.iter().any(|word| word == known))
        .map(str::to_owned)
        .collect()
}

fn public_key(kind: &str) -> Result<(), WebauthnError> {
    (kind == "public-key")
        .then_some(())
        .ok_or(WebauthnError::Malformed("type"))
}

fn decode(text: &str, what: &'static str) -> Result<Vec<u8>, WebauthnError> {
    crypto::from_base64url(text).ok_or(WebauthnError::Malformed(what))
}

#[cfg(test)]
mod tests;
