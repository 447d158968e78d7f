//! TLS for connections that we open.

//! TLS towards others: which authorities are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;

/// Where distributions keep the certificate authorities of the machine.
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A file of authorities holds none or cannot be read.
    #[error("cannot read certificate authorities from `{}`: {cause}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The crypto provider refused the settings.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// TLS for connections that we open: ring, TLS 1.2 and 1.3, no client certificate.
///
/// Trusts the authorities of `authorities` where one is given (`SSL_CERT_FILE`, by custom), else those of the
/// machine, else those that browsers trust.
///
/// # Errors
/// A file that was asked for by name and cannot be read.
pub fn client_config(authorities: Option<&Path>) -> Result<ClientConfig, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = match authorities {
        Some(path) => read(path)?,
        None => system().unwrap_or_else(|| RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        }),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn system() -> Option<RootCertStore> {
    SYSTEM_BUNDLES
        .iter()
        .find_map(|path| read(Path::new(path)).ok())
}

fn read(path: &Path) -> Result<RootCertStore, TlsSetupError> {
    let failed = |cause: String| TlsSetupError::Authorities {
        path: path.to_owned(),
        cause,
    };
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    roots.add_parsable_certificates(found.filter_map(Result::ok));
    if roots.is_empty() {
        Err(failed("no certificate in it".to_owned()))
    } else {
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_asked_for_by_name_must_hold_authorities() {
        assert!(client_config(Some(Path::new("/nonexistent.pem"))).is_err());
        assert!(client_config(Some(Path::new("/dev/null"))).is_err());
        assert!(client_config(None).is_ok());
    }
}
