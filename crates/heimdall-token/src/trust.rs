//! Certificates that are believed because an operator says so.

use heimdall_types::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::{CertificateChain, KeyError};

/// A longer chain is an attack.
const LONGEST_CHAIN: usize = 10;

/// Root certificates of an operator. An empty store believes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustStore {
    roots: Vec<Vec<u8>>,
}

impl TrustStore {
    /// Reads the certificates of a PEM file.
    ///
    /// # Errors
    ///
    /// Not PEM, no certificate in it, or one that cannot be read.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let blocks = pem::parse_many(text).map_err(|_| KeyError::Shape("the file is not PEM"))?;
        let roots: Vec<Vec<u8>> = blocks
            .into_iter()
            .filter(|block| block.tag() == "CERTIFICATE")
            .map(pem::Pem::into_contents)
            .collect();
        if roots.is_empty() {
            return Err(KeyError::Empty);
        }
        for root in &roots {
            parse(root)?;
        }
        Ok(Self { roots })
    }

    /// The certificates in DER.
    pub fn der(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// Whether a chain (`x5c`, the key's own certificate first) leads to one of these, is valid at `now`, and its
    /// first certificate may sign.
    ///
    /// # Errors
    ///
    /// [`KeyError::Certificate`] says which of it does not hold.
    pub fn check(&self, chain: &[Vec<u8>], now: Timestamp) -> Result<(), KeyError> {
        let (Some(own), true) = (chain.first(), chain.len() <= LONGEST_CHAIN) else {
            return Err(KeyError::Certificate("the chain is empty or too long"));
        };
        if !may_sign(&parse(own)?) {
            return Err(KeyError::Certificate(
                "it does not allow digital signatures",
            ));
        }
        let mut last = parse(own)?;
        for step in 0..=chain.len() {
            check_validity(&last, now)?;
            if self.roots.iter().any(|root| Some(root) == chain.get(step))
                || self.issued(&last, now)
            {
                return Ok(());
            }
            let Some(above) = chain.get(step + 1) else {
                break;
            };
            let above = parse(above)?;
            if !issues(&above, &last) {
                return Err(KeyError::Certificate("a signature is not its issuer's"));
            }
            last = above;
        }
        Err(KeyError::Certificate("it leads to no trusted certificate"))
    }

    fn issued(&self, certificate: &X509Certificate<'_>, now: Timestamp) -> bool {
        let roots = self.roots.iter().filter_map(|root| parse(root).ok());
        roots
            .into_iter()
            .any(|root| issues(&root, certificate) && check_validity(&root, now).is_ok())
    }
}

impl CertificateChain {
    /// Whether the key's own certificate allows digital signatures: it names no usage, or this one.
    pub fn allows_signing(&self) -> bool {
        self.der()
            .first()
            .and_then(|der| parse(der).ok())
            .is_some_and(|own| may_sign(&own))
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, KeyError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(KeyError::Certificate("a certificate cannot be read")),
    }
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        Ok(None) => true,
        Err(_) => false,
    }
}

fn issues(above: &X509Certificate<'_>, below: &X509Certificate<'_>) -> bool {
    let is_authority = match above.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        // a certificate of the first version has no such extension
        Ok(None) => above.version().0 < 2,
        Err(_) => false,
    };
    is_authority
        && above.subject() == below.issuer()
        && below.verify_signature(Some(above.public_key())).is_ok()
}

fn check_validity(certificate: &X509Certificate<'_>, now: Timestamp) -> Result<(), KeyError> {
    let now = ASN1Time::from_timestamp(now.seconds())
        .map_err(|_| KeyError::Certificate("the time is out of range"))?;
    if certificate.validity().is_valid_at(now) {
        Ok(())
    } else {
        Err(KeyError::Certificate("a certificate is not valid now"))
    }
}
