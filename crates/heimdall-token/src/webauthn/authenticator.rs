use ciborium::Value as Cbor;
use serde_json::Value;

use super::{MAX_CREDENTIAL_ID, WebauthnError, cose};

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const CAN_BE_SYNCED: u8 = 0x08;
const IS_SYNCED: u8 = 0x10;
const HAS_KEY: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;
/// CTAP 2.1 §8: canonical CBOR nests at most four levels; one more for the attestation's own.
const DEPTH: usize = 8;

/// What a device says about itself (§6.1).
pub(super) struct Authenticator {
    pub(super) site: [u8; 32],
    flags: u8,
    pub(super) counter: u32,
}

impl Authenticator {
    /// The fixed part, and what follows it.
    pub(super) fn read(data: &[u8]) -> Result<(Self, &[u8]), WebauthnError> {
        let short = WebauthnError::Malformed("authenticatorData");
        let (site, rest) = data.split_first_chunk::<32>().ok_or(short)?;
        let (flags, rest) = rest.split_first().ok_or(short)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        let read = Self {
            site: *site,
            flags: *flags,
            counter: u32::from_be_bytes(*counter),
        };
        // §6.1.3: what cannot be copied is not copied.
        if read.has(IS_SYNCED) && !read.has(CAN_BE_SYNCED) {
            return Err(short);
        }
        // Nothing may follow that the flags do not announce.
        if !rest.is_empty() && !read.has(HAS_KEY) && !read.has(HAS_EXTENSIONS) {
            return Err(short);
        }
        Ok((read, rest))
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn user_present(&self) -> bool {
        self.has(USER_PRESENT)
    }

    pub(super) fn user_verified(&self) -> bool {
        self.has(USER_VERIFIED)
    }

    pub(super) fn can_be_synced(&self) -> bool {
        self.has(CAN_BE_SYNCED)
    }
}

/// The authenticator data inside an attestation object (§6.5.4).
pub(super) fn of_attestation(object: &[u8]) -> Result<Vec<u8>, WebauthnError> {
    let wrong = WebauthnError::Malformed("attestationObject");
    let mut rest = object;
    let Cbor::Map(members) = next(&mut rest).ok_or(wrong)? else {
        return Err(wrong);
    };
    if !rest.is_empty() {
        return Err(wrong);
    }
    let data = members
        .into_iter()
        .find(|(key, _)| key.as_text() == Some("authData"))
        .and_then(|(_, value)| value.into_bytes().ok());
    data.ok_or(wrong)
}

/// Id and public key of a new passkey, out of what follows the fixed part (§6.5.1).
pub(super) fn attested<'a>(
    authenticator: &Authenticator,
    rest: &'a [u8],
) -> Result<(&'a [u8], Value), WebauthnError> {
    let short = WebauthnError::Malformed("authenticatorData");
    if !authenticator.has(HAS_KEY) {
        return Err(short);
    }
    let (_model, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(short)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > MAX_CREDENTIAL_ID {
        return Err(short);
    }
    let (id, mut rest) = rest.split_at_checked(length).ok_or(short)?;
    let key = next(&mut rest).ok_or(short)?;
    if authenticator.has(HAS_EXTENSIONS) {
        next(&mut rest).ok_or(short)?;
    }
    if !rest.is_empty() {
        return Err(short);
    }
    Ok((id, cose::jwk(&key)?))
}

/// One CBOR item from the front.
fn next(rest: &mut &[u8]) -> Option<Cbor> {
    ciborium::de::from_reader_with_recursion_limit(rest, DEPTH).ok()
}
