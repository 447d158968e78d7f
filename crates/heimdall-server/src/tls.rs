//! TLS for listeners: rustls with ring, key and certificate from PEM files that may be replaced while we run.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where key and certificate lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate and its chain.
    #[schema(value_type = String)]
    pub cert: PathBuf,
    /// PEM file with the private key.
    #[schema(value_type = String)]
    pub key: PathBuf,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("cannot read `{}`: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        cause: String,
    },
    /// Key and certificate do not fit, or the key is of a kind that is not known.
    #[error("key and certificate cannot be used: {0}")]
    Key(#[from] rustls::Error),
}

/// The one crypto provider of every TLS connection here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate in use. New connections take what the last good [`Certificate::reload`] read.
#[derive(Debug)]
pub struct Certificate {
    settings: TlsSettings,
    current: ArcSwap<CertifiedKey>,
    seen: ArcSwap<Seen>,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// A file that cannot be read, or two that do not fit together.
    pub fn open(settings: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        let seen = look(settings);
        let current = ArcSwap::from_pointee(load(settings)?);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            current,
            seen: ArcSwap::from_pointee(seen),
        }))
    }

    /// Reads the files again if one is another than at the last look; tells whether they were. On an error the old
    /// certificate stays, and the files are read again only when they change again.
    ///
    /// # Errors
    /// As [`Certificate::open`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        let now = look(&self.settings);
        if now == **self.seen.load() {
            return Ok(false);
        }
        self.seen.store(Arc::new(now));
        self.current.store(Arc::new(load(&self.settings)?));
        Ok(true)
    }

    /// A server configuration that always shows the present certificate.
    ///
    /// # Errors
    /// When the provider supports none of the protocol versions.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

// What tells one version of the two files from the next. A file that is moved into place may be older than the one
// before, so its time alone is not enough.
type Seen = [Option<(SystemTime, u64, u64)>; 2];

fn look(settings: &TlsSettings) -> Seen {
    [&settings.cert, &settings.key].map(|path| {
        let about = std::fs::metadata(path).ok()?;
        Some((about.modified().ok()?, about.len(), about.ino()))
    })
}

fn load(settings: &TlsSettings) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &Path, cause: rustls_pki_types::pem::Error| TlsError::File {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&settings.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unreadable(&settings.cert, e))?;
    let key =
        PrivateKeyDer::from_pem_file(&settings.key).map_err(|e| unreadable(&settings.key, e))?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_reload_keeps_the_old_certificate() {
        let folder = std::env::temp_dir().join(format!("heimdall-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let settings = TlsSettings {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        std::fs::write(&settings.cert, made.cert.pem()).unwrap();
        std::fs::write(&settings.key, made.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::open(&settings).unwrap();
        assert!(!certificate.reload().unwrap());
        let before = certificate.current.load_full();
        std::fs::write(&settings.cert, "rubbish").unwrap();
        assert!(certificate.reload().is_err());
        assert!(Arc::ptr_eq(&before, &certificate.current.load_full()));
        assert!(!certificate.reload().unwrap(), "once is enough to say so");
        // Moved into place, and older than what was there.
        let draft = folder.join("draft.pem");
        std::fs::write(&draft, made.cert.pem()).unwrap();
        let old = std::fs::File::options().write(true).open(&draft).unwrap();
        old.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        std::fs::rename(&draft, &settings.cert).unwrap();
        assert!(certificate.reload().unwrap());
        assert!(!Arc::ptr_eq(&before, &certificate.current.load_full()));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
