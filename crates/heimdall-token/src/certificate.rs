use heimdall_types::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as CertifiedKey;

use crate::crypto::{self, PublicParts};
use crate::{KeyError, PublicKey};

/// A longer chain is refused.
const LONGEST: usize = 10;

/// The certificate of a key and those above it, as they stand in `x5c`. Each is signed by the next.
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
            .find(|certificate| certifies(certificate, key))
        else {
            return Ok(None);
        };
        let mut chain = vec![own];
        while let Some(last) = chain.last().copied() {
            if last.issuer() == last.subject() || chain.len() >= LONGEST {
                break;
            }
            let above = parsed.iter().find(|other| {
                other.subject() == last.issuer()
                    && !chain.iter().any(|one| one.as_raw() == other.as_raw())
            });
            let Some(issuer) = above else { break };
            is_issued_by(last, issuer)?;
            chain.push(issuer);
        }
        Ok(Some(Self::of(&chain)))
    }

    fn of(chain: &[&X509Certificate<'_>]) -> Self {
        let not_before = chain
            .iter()
            .map(|one| valid(one).0)
            .max()
            .unwrap_or_default();
        let not_after = chain
            .iter()
            .map(|one| valid(one).1)
            .min()
            .unwrap_or_default();
        let own = chain.first();
        let subject_key_id = own.and_then(|own| {
            own.extensions()
                .iter()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(crypto::hex(id.0)),
                    _ => None,
                })
        });
        let der = chain.iter().map(|one| one.as_raw().to_vec()).collect();
        Self {
            der,
            not_before,
            not_after,
            subject_key_id,
        }
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
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(KeyError::Certificate("a certificate cannot be read")),
    }
}

fn valid(certificate: &X509Certificate<'_>) -> (Timestamp, Timestamp) {
    let validity = certificate.validity();
    let seconds = |at: x509_parser::time::ASN1Time| Timestamp::from_seconds(at.timestamp());
    (seconds(validity.not_before), seconds(validity.not_after))
}

fn is_issued_by(below: &X509Certificate<'_>, above: &X509Certificate<'_>) -> Result<(), KeyError> {
    // Without this any holder of an ordinary certificate could issue further ones (RFC 5280 §6.1.4 (k)).
    if !above.is_ca() {
        return Err(KeyError::Certificate(
            "an issuer is no certificate authority",
        ));
    }
    if below.verify_signature(Some(above.public_key())).is_err() {
        return Err(KeyError::Certificate("a signature is not its issuer's"));
    }
    Ok(())
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
