use heimdall_types::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as CertifiedKey;

use crate::crypto::{self, PublicParts};
use crate::{KeyError, PublicKey};

/// The certificate of a key and those above it, as they stand in `x5c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateChain {
    der: Vec<Vec<u8>>,
    not_before: Timestamp,
    not_after: Timestamp,
    subject_key_id: Option<String>,
}

impl CertificateChain {
    /// The chain of `key` among `certificates` in any order; `None` when none of them is for this key.
    pub(crate) fn for_key(
        key: &PublicKey,
        certificates: &[Vec<u8>],
    ) -> Result<Option<Self>, KeyError> {
        let parsed = certificates
            .iter()
            .map(|der| parse(der))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(own) = parsed
            .iter()
            .position(|certificate| certifies(certificate, key))
        else {
            return Ok(None);
        };
        let mut order = vec![own];
        while let Some(last) = order.last().and_then(|index| parsed.get(*index)) {
            if last.issuer() == last.subject() {
                break;
            }
            let above = parsed
                .iter()
                .enumerate()
                .find(|(index, other)| !order.contains(index) && other.subject() == last.issuer());
            let Some((index, issuer)) = above else { break };
            if last.verify_signature(Some(issuer.public_key())).is_err() {
                return Err(KeyError::Certificate("a signature is not its issuer's"));
            }
            order.push(index);
        }
        let chain: Vec<&X509Certificate<'_>> = order
            .iter()
            .filter_map(|index| parsed.get(*index))
            .collect();
        let seconds = |at: x509_parser::time::ASN1Time| Timestamp::from_seconds(at.timestamp());
        let not_before = chain
            .iter()
            .map(|one| seconds(one.validity().not_before))
            .max()
            .unwrap_or_default();
        let not_after = chain
            .iter()
            .map(|one| seconds(one.validity().not_after))
            .min()
            .unwrap_or_default();
        let subject_key_id = chain.first().and_then(|own| {
            own.extensions()
                .iter()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(crypto::hex(id.0)),
                    _ => None,
                })
        });
        let der = order
            .iter()
            .filter_map(|index| certificates.get(*index).cloned())
            .collect();
        Ok(Some(Self {
            der,
            not_before,
            not_after,
            subject_key_id,
        }))
    }

    /// The certificates in DER, the key's own first.
    pub fn der(&self) -> &[Vec<u8>] {
        &self.der
    }

    /// From when on every certificate of the chain is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// When the first certificate of the chain expires.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether every certificate of the chain is valid at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The subject key id of the key's own certificate, in lower-case hexadecimal.
    pub fn subject_key_id(&self) -> Option<&str> {
        self.subject_key_id.as_deref()
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, KeyError> {
    match X509Certificate::from_der(der) {
        Ok((rest, certificate)) if rest.is_empty() => Ok(certificate),
        _ => Err(KeyError::Certificate("a certificate cannot be read")),
    }
}

fn certifies(certificate: &X509Certificate<'_>, key: &PublicKey) -> bool {
    let parts = match certificate.public_key().parsed() {
        Ok(CertifiedKey::EC(point)) => {
            let coordinates = point.data().get(1..).unwrap_or_default();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            let crv = if x.len() == 48 { "P-384" } else { "P-256" };
            PublicParts::Ec {
                crv,
                x: x.to_vec(),
                y: y.to_vec(),
            }
        }
        Ok(CertifiedKey::RSA(rsa)) => PublicParts::Rsa {
            n: rsa
                .modulus
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect(),
            e: rsa
                .exponent
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect(),
        },
        Ok(CertifiedKey::Unknown(bytes)) if bytes.len() == 32 => {
            PublicParts::Okp { x: bytes.to_vec() }
        }
        _ => return false,
    };
    PublicKey::from_parts(key.algorithm(), &parts)
        .is_ok_and(|certified| certified.has_same_point(key))
}
