use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use heimdall_pipeline::Tls;
use heimdall_token::KeyFile;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};

/// Key and certificates of a listener, from one PEM file as the Go program writes them: blocks with headers, encrypted
/// keys, several keys told apart by `X-Key-ID`.
pub(crate) struct KeyStore {
    settings: Tls,
    current: ArcSwapOption<CertifiedKey>,
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyStore")
            .field("path", &self.settings.key_store)
            .finish_non_exhaustive()
    }
}

impl KeyStore {
    pub(crate) fn open(settings: &Tls) -> Result<Arc<Self>, String> {
        let current = ArcSwapOption::from(load(settings)?);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            current,
        }))
    }

    /// Takes what the file holds now; if that is no key store, the old keys stay.
    pub(crate) fn reload(&self) -> Result<(), String> {
        self.current.store(load(&self.settings)?);
        Ok(())
    }

    /// TLS that always shows the present certificate.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, String> {
        let mut provider = rustls::crypto::ring::default_provider();
        if !self.settings.cipher_suites.is_empty() {
            // The names of TLS 1.3 suites have no key exchange in them and may not be chosen in the Go program either.
            provider.cipher_suites.retain(|suite| {
                let name = format!("{:?}", suite.suite());
                name.starts_with("TLS13_") || self.settings.cipher_suites.contains(&name)
            });
        }
        let versions: &[&SupportedProtocolVersion] = if self.settings.allow_tls12 {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        } else {
            &[&rustls::version::TLS13]
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for KeyStore {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.load_full()
    }
}

/// `None` is a key without a certificate: a key store all right, but every handshake fails until one is added.
fn load(settings: &Tls) -> Result<Option<Arc<CertifiedKey>>, String> {
    let path = &settings.key_store;
    let failed = |cause: &dyn fmt::Display| format!("key store `{path}`: {cause}");
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let file = KeyFile::parse(&text, settings.password.as_ref()).map_err(|error| failed(&error))?;
    let key = match settings.key_id.as_ref().filter(|id| !id.is_empty()) {
        Some(id) => file
            .key(id)
            .ok_or_else(|| failed(&format_args!("no key `{id}`")))?,
        None => file.keys().first().ok_or_else(|| failed(&"no key in it"))?,
    };
    let Some(chain) = key.certificates() else {
        tracing::error!(
            path,
            "the key store of a listener has no certificate for its key; no client can connect"
        );
        return Ok(None);
    };
    let chain = chain
        .der()
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.material().to_vec()));
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, private, &provider)
        .map(|key| Some(Arc::new(key)))
        .map_err(|error| failed(&error))
}
