//! The few DER structures that turn older private key formats into the PKCS#8 that ring reads.

use zeroize::Zeroizing;

use crate::algorithm::Family;

pub(crate) mod oid {
    //! Object identifiers, encoded with tag and length.
    pub(crate) const RSA: &[u8] = &[
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    ];
    pub(crate) const EC: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    pub(crate) const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    pub(crate) const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
    pub(crate) const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
    pub(super) const NULL: &[u8] = &[0x05, 0x00];
}

fn element(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut out = Zeroizing::new(Vec::with_capacity(content.len() + 6));
    out.push(tag);
    match length.as_slice() {
        [] => out.push(0),
        [short] if *short < 0x80 => out.push(*short),
        long => {
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0x7f));
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A SEQUENCE of elements that are encoded already.
pub(crate) fn sequence(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    element(0x30, &Zeroizing::new(parts.concat()))
}

/// An INTEGER that is not negative, from its big-endian bytes.
pub(crate) fn unsigned_integer(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut digits = Zeroizing::new(vec![0]);
    digits.extend(bytes.iter().skip_while(|byte| **byte == 0));
    // The leading zero stays only where the next bit would read as a sign.
    if digits.get(1).is_some_and(|first| *first < 0x80) {
        digits.remove(0);
    }
    element(0x02, &digits)
}

fn wrap(algorithm: &[u8], private_key: &[u8]) -> Zeroizing<Vec<u8>> {
    sequence(&[
        &unsigned_integer(&[0]),
        algorithm,
        &element(0x04, private_key),
    ])
}

/// PKCS#8 around an `RSAPrivateKey` (RFC 8017 appendix A.1.2).
pub(crate) fn pkcs8_from_pkcs1(private_key: &[u8]) -> Zeroizing<Vec<u8>> {
    wrap(&sequence(&[oid::RSA, oid::NULL]), private_key)
}

/// PKCS#8 around an `ECPrivateKey` (RFC 5915); `None` for families without such keys.
pub(crate) fn pkcs8_from_sec1(family: Family, private_key: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let curve = match family {
        Family::P256 => oid::P256,
        Family::P384 => oid::P384,
        Family::Ed25519 | Family::Rsa | Family::Hmac => return None,
    };
    Some(wrap(&sequence(&[oid::EC, curve]), private_key))
}

/// An `ECPrivateKey` from the scalar and the uncompressed point.
pub(crate) fn sec1(scalar: &[u8], point: &[u8]) -> Zeroizing<Vec<u8>> {
    let bits = element(0x03, &[&[0], point].concat());
    sequence(&[
        &unsigned_integer(&[1]),
        &element(0x04, scalar),
        &element(0xa1, &bits),
    ])
}

/// PKCS#8 (version 1) around an Ed25519 seed (RFC 8410 §7).
pub(crate) fn pkcs8_from_seed(seed: &[u8]) -> Zeroizing<Vec<u8>> {
    wrap(&sequence(&[oid::ED25519]), &element(0x04, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_keep_their_sign_and_lengths_grow() {
        assert_eq!(*unsigned_integer(&[0]), [2, 1, 0]);
        assert_eq!(*unsigned_integer(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(*unsigned_integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(element(4, &[7; 200]).get(..3), Some(&[4, 0x81, 200][..]));
        assert_eq!(element(4, &[7; 300]).get(..4), Some(&[4, 0x82, 1, 44][..]));
    }
}
