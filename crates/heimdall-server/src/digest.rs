//! The two digests that headers and logs need.

/// The first `characters` hexadecimal characters of the SHA-256 of `data`.
pub(crate) fn short_hash(data: &[u8], characters: usize) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    digest
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>()
        .chars()
        .take(characters)
        .collect()
}
