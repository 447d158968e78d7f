use std::fmt;

use heimdall_types::{Rng, Secret};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto;

/// The HS256 key under which a portal signs the links of its mails.
///
/// Its text is base64url without padding (`A–Z a–z 0–9 - _`), decodes to at least 256 bytes, and has its unused
/// trailing bits zero, so that one key has one text.
#[derive(Clone)]
pub struct SignatureKey {
    id: String,
    text: Secret,
    bytes: Zeroizing<Vec<u8>>,
}

/// Why a text is no signature key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureKeyError {
    /// Padding, another alphabet, an impossible length, or unused bits that are not zero.
    #[error("a signature key is base64url without padding: only `A-Z a-z 0-9 - _`")]
    Encoding,
    /// Fewer than 256 bytes.
    #[error("a signature key has at least 256 bytes, 342 characters")]
    TooShort,
    /// More than 4096 bytes.
    #[error("a signature key has at most 4096 bytes")]
    TooLong,
}

impl SignatureKey {
    /// The fewest bytes of a key.
    pub const MIN_BYTES: usize = 256;
    /// The most bytes of a key.
    pub const MAX_BYTES: usize = 4096;
    /// How many random bytes [`SignatureKey::generate`] takes.
    pub const GENERATED_BYTES: usize = 384;

    /// Reads a key; `id` becomes the `kid` of what it signs.
    ///
    /// # Errors
    ///
    /// Any text that breaks the rules above.
    pub fn parse(id: impl Into<String>, text: &str) -> Result<Self, SignatureKeyError> {
        if text.len() > Self::MAX_BYTES * 2 {
            return Err(SignatureKeyError::TooLong);
        }
        let bytes = crypto::from_base64url(text)
            .map(Zeroizing::new)
            .ok_or(SignatureKeyError::Encoding)?;
        match bytes.len() {
            0..Self::MIN_BYTES => Err(SignatureKeyError::TooShort),
            Self::MIN_BYTES..=Self::MAX_BYTES => Ok(Self {
                id: id.into(),
                text: Secret::new(text),
                bytes,
            }),
            _ => Err(SignatureKeyError::TooLong),
        }
    }

    /// Makes a key of 384 random bytes.
    pub fn generate(id: impl Into<String>, rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new(vec![0; Self::GENERATED_BYTES]);
        rng.fill(&mut bytes);
        Self {
            id: id.into(),
            text: Secret::new(crypto::base64url(&bytes)),
            bytes,
        }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its text, for sealing and for showing once.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// Tells equal keys of different Apps apart from different ones, without giving the key away.
    pub fn fingerprint(&self) -> String {
        crypto::sha256_hex(&self.bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for SignatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;

    use super::*;

    fn parse(text: &str) -> Result<(), SignatureKeyError> {
        SignatureKey::parse("sgk_1", text).map(|_| ())
    }

    #[test]
    fn three_hundred_and_forty_two_characters_are_the_least() {
        assert_eq!(parse(&"A".repeat(342)), Ok(()));
        assert_eq!(parse(&"A".repeat(340)), Err(SignatureKeyError::TooShort));
        assert_eq!(
            parse(&crypto::base64url(&[7; 255])),
            Err(SignatureKeyError::TooShort)
        );
        assert_eq!(
            parse(&crypto::base64url(&[7; 4097])),
            Err(SignatureKeyError::TooLong)
        );
        assert_eq!(parse(""), Err(SignatureKeyError::TooShort));
    }

    #[test]
    fn other_alphabets_padding_and_stray_bits_are_refused() {
        let long = "A".repeat(341);
        for last in ["+", "/", "=", " ", "\n", "B", "é"] {
            assert_eq!(
                parse(&format!("{long}{last}")),
                Err(SignatureKeyError::Encoding),
                "{last:?}"
            );
        }
        assert_eq!(
            parse(&format!("{}==", "A".repeat(342))),
            Err(SignatureKeyError::Encoding)
        );
    }

    #[test]
    fn generated_keys_read_back_and_are_not_printed() {
        let key = SignatureKey::generate("sgk_1", &SeededRng::new(3));
        let again = SignatureKey::parse("sgk_2", key.text().expose()).unwrap();
        assert_eq!(again.fingerprint(), key.fingerprint());
        assert_eq!(format!("{key:?}"), r#"SignatureKey { id: "sgk_1", .. }"#);
    }
}
