//! The digest that headers and logs need.

use heimdall_token::crypto::sha256_hex;

/// The first `characters` hexadecimal characters of the SHA-256 of `data`.
pub(crate) fn short_hash(data: &[u8], characters: usize) -> String {
    let mut hash = sha256_hex(data);
    hash.truncate(characters);
    hash
}
