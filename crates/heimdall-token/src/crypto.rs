//! The one place that touches ring: hashes, MACs, encodings, randomness, and the key pairs behind
//! [`SigningKey`](crate::SigningKey).

mod der;
mod private;
mod provider;

use std::process;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use heimdall_types::Rng;
use ring::rand::SecureRandom;
use ring::{aead, digest, hmac};
use subtle::ConstantTimeEq;

pub(crate) use der::{
    pkcs8_from_pkcs1, pkcs8_from_sec1, pkcs8_from_seed, sec1, sequence, unsigned_integer,
};
pub(crate) use private::{PrivateKey, PublicParts};
pub(crate) use provider::{verify, verify_ecdsa_asn1};

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    /// Fills `into` from the operating system. Ends the process when that has no randomness to give: whatever would
    /// be made instead could be guessed.
    fn fill(&self, into: &mut [u8]) {
        if ring::rand::SystemRandom::new().fill(into).is_err() {
            process::abort();
        }
    }
}

/// SHA-256 of `data`.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    out
}

/// SHA-256 of `data` in lower-case hexadecimal.
pub fn sha256_hex(data: &[u8]) -> String {
    hex(&sha256(data))
}

/// HMAC-SHA-256 of `data`.
pub fn hmac_sha256(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref());
    out
}

/// HMAC-SHA-1 of `data`: only for the one-time codes of RFC 6238, for which it is sound and which every app speaks.
pub(crate) fn hmac_sha1(key: &[u8], data: &[u8]) -> [u8; 20] {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mut out = [0; 20];
    out.copy_from_slice(hmac::sign(&key, data).as_ref());
    out
}

/// Whether `tag` is the HMAC-SHA-256 of `data`, in a time that does not depend on where they differ.
pub fn hmac_sha256_matches(key: &[u8], data: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key), data, tag).is_ok()
}

/// Whether two byte strings are the same, in a time that depends on their lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Lower-case hexadecimal.
pub fn hex(data: &[u8]) -> String {
    use std::fmt::Write;
    data.iter()
        .fold(String::with_capacity(data.len() * 2), |mut out, byte| {
            // Writing into a String cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// Reads hexadecimal of either case; `None` when it is none.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect()
}

/// Base64url without padding (RFC 7515 §2).
pub fn base64url(data: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(data)
}

/// Reads [`base64url`] strictly: no padding, no other alphabet, unused trailing bits zero.
pub fn from_base64url(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Base64 with padding (RFC 4648 §4).
pub fn base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// Reads [`base64()`] strictly.
pub fn from_base64(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// `bytes` random bytes as [`base64url`]: what keys, secrets, nonces and one-time handles are made of.
pub fn random_token(rng: &dyn Rng, bytes: usize) -> String {
    let mut random = zeroize::Zeroizing::new(vec![0; bytes]);
    rng.fill(&mut random);
    base64url(&random)
}

/// AES-256-GCM, `additional` authenticated beside it. `None` only for more data than the cipher takes.
pub(crate) fn aes_gcm_seal(
    key: &[u8; 32],
    nonce: [u8; 12],
    additional: &[u8],
    plain: &[u8],
) -> Option<Vec<u8>> {
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, key).ok()?);
    let mut out = plain.to_vec();
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, aead::Aad::from(additional), &mut out)
        .ok()?;
    Some(out)
}

/// The reverse of [`aes_gcm_seal`]; `None` when anything was changed.
pub(crate) fn aes_gcm_open(
    key: &[u8; 32],
    nonce: [u8; 12],
    additional: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, key).ok()?);
    let mut buffer = sealed.to_vec();
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    let length = key
        .open_in_place(nonce, aead::Aad::from(additional), &mut buffer)
        .ok()?
        .len();
    buffer.truncate(length);
    Some(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_strict() {
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
        assert_eq!(from_hex("00FF10"), Some(vec![0, 255, 16]));
        assert_eq!(from_hex("+1"), None);
        assert_eq!(from_base64url("AA"), Some(vec![0]));
        for bad in ["AB", "AA==", "A+", "A/", "A", "AA\n", " AA"] {
            assert_eq!(from_base64url(bad), None, "{bad:?} decoded");
        }
    }

    #[test]
    fn digests_match_the_published_ones() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        // RFC 4231 §4.3
        let tag = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            hex(&tag),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(hmac_sha256_matches(
            b"Jefe",
            b"what do ya want for nothing?",
            &tag
        ));
        assert!(!hmac_sha256_matches(
            b"jefe",
            b"what do ya want for nothing?",
            &tag
        ));
    }

    #[test]
    fn the_system_gives_new_bytes_each_time() {
        assert_ne!(random_token(&SystemRng, 32), random_token(&SystemRng, 32));
    }
}
