use std::fmt;

use heimdall_types::{Rng, Secret};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto;

/// The first byte of everything sealed; another format gets another one.
const VERSION: u8 = 1;

/// The key under which other keys and secrets are sealed at rest (AES-256-GCM).
#[derive(Clone)]
pub struct RootKey(Zeroizing<[u8; 32]>);

/// Why a text is no root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a root key is 32 random bytes in base64: make one with `heimdall keys root`")]
pub struct RootKeyError;

/// Why a sealed thing does not open: wrong root key, wrong context, or changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("sealed data does not open: the root key is another one, or the data was changed")]
pub struct SealError;

impl RootKey {
    /// A new root key.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        rng.fill(key.as_mut());
        Self(key)
    }

    /// Reads 32 bytes of base64 or base64url; white space around them is ignored.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn from_base64(text: &str) -> Result<Self, RootKeyError> {
        let text = text.trim();
        let bytes = crypto::from_base64(text)
            .or_else(|| crypto::from_base64url(text))
            .map(Zeroizing::new);
        let bytes = bytes.ok_or(RootKeyError)?;
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| RootKeyError)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// The text that [`RootKey::from_base64`] reads.
    pub fn to_base64(&self) -> Secret {
        Secret::new(crypto::base64(self.0.as_ref()))
    }

    /// Encrypts `plain`. `context` says what it is and where it belongs, such as `signing-key/<kid>`: sealed data
    /// that is moved elsewhere does not open there.
    pub fn seal(&self, context: &str, plain: &[u8], rng: &dyn Rng) -> Vec<u8> {
        let mut nonce = [0; 12];
        rng.fill(&mut nonce);
        // Beyond 64 GiB the cipher refuses; then nothing is stored, and opening fails.
        let sealed =
            crypto::aes_gcm_seal(&self.0, nonce, context.as_bytes(), plain).unwrap_or_default();
        [&[VERSION], nonce.as_slice(), &sealed].concat()
    }

    /// Decrypts what [`RootKey::seal`] gave for the same context.
    ///
    /// # Errors
    ///
    /// [`SealError`] in every other case.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError)?;
        let (nonce, body) = rest.split_first_chunk::<12>().ok_or(SealError)?;
        if *version != VERSION {
            return Err(SealError);
        }
        crypto::aes_gcm_open(&self.0, *nonce, context.as_bytes(), body)
            .map(Zeroizing::new)
            .ok_or(SealError)
    }

    /// A key for one other purpose, such as `client-secrets`, that tells nothing about the root key.
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(crypto::hmac_sha256(
            self.0.as_ref(),
            format!("heimdall/derive/{purpose}").as_bytes(),
        ))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey([secret])")
    }
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sealed_data_opens_for_its_key_and_context_only(
            plain in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200, bit in 0u8..8, seed in any::<u64>(),
        ) {
            let rng = SeededRng::new(seed);
            let key = RootKey::generate(&rng);
            let sealed = key.seal("a", &plain, &rng);
            prop_assert_eq!(key.open("a", &sealed).unwrap().to_vec(), plain);
            prop_assert_eq!(key.open("b", &sealed), Err(SealError));
            prop_assert_eq!(RootKey::generate(&rng).open("a", &sealed), Err(SealError));
            let mut changed = sealed.clone();
            let at = at % changed.len();
            changed[at] ^= 1 << bit;
            prop_assert_eq!(key.open("a", &changed), Err(SealError));
            prop_assert_eq!(key.open("a", &sealed[..at]), Err(SealError));
        }
    }

    #[test]
    fn the_text_form_goes_round() {
        let key = RootKey::generate(&SeededRng::new(1));
        let again = RootKey::from_base64(&format!("{}\n", key.to_base64().expose())).unwrap();
        assert_eq!(*again.derive("x"), *key.derive("x"));
        assert_ne!(*again.derive("x"), *key.derive("y"));
        for bad in ["", "AAAA", "not base64 at all", &"A".repeat(44)] {
            assert_eq!(
                RootKey::from_base64(bad).map(|_| ()),
                Err(RootKeyError),
                "{bad}"
            );
        }
        assert_eq!(format!("{key:?}"), "RootKey([secret])");
    }
}
