//! The keys of one file, ready to sign.

use heimdall_token::{Algorithm, CertificateChain, KeyFile, Signer, SigningKey};
use heimdall_types::{Secret, Timestamp};
use serde_json::Value;

/// A key that signs, and what is published of it.
pub struct StoredKey {
    signer: Signer,
    kid: String,
    algorithm: &'static str,
    public: Value,
    validity: Option<(Timestamp, Timestamp)>,
    may_sign: bool,
}

impl StoredKey {
    fn of(key: SigningKey) -> Self {
        let chain = key.certificates();
        Self {
            kid: key.kid().to_owned(),
            algorithm: key.algorithm().as_str(),
            public: key.public().jwk(),
            validity: chain.map(|chain| (chain.not_before(), chain.not_after())),
            may_sign: chain.is_none_or(CertificateChain::allows_signing),
            signer: Signer::new(key),
        }
    }

    /// Its name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The public JWK, with `x5c` where there are certificates.
    pub fn public(&self) -> &Value {
        &self.public
    }

    /// End of validity of its certificates.
    pub fn expires(&self) -> Option<Timestamp> {
        self.validity.map(|(_, until)| until)
    }

    /// Whether its certificate, if it has one, lets it sign now.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn fit_to_sign(&self, now: Timestamp) -> Result<(), String> {
        if let Some((from, until)) = self.validity
            && (now < from || until < now)
        {
            return Err(format!(
                "the certificate of key `{}` is not valid now",
                self.kid
            ));
        }
        if !self.may_sign {
            return Err(format!(
                "the certificate of key `{}` does not allow digital signatures",
                self.kid
            ));
        }
        Ok(())
    }

    /// A JWT over these claims, which are a JSON object.
    pub(crate) fn sign(&self, claims: &str) -> Result<String, String> {
        self.signer
            .sign_json(Some("JWT"), claims)
            .map_err(|error| error.to_string())
    }
}

/// Reads a PEM or JWKS file.
pub(super) fn parse(
    bytes: &[u8],
    password: Option<&str>,
    algorithm: Option<&str>,
) -> Result<Vec<StoredKey>, String> {
    let algorithm = algorithm.and_then(|name| name.parse::<Algorithm>().ok());
    let text = std::str::from_utf8(bytes).map_err(|_| "is no text".to_owned())?;
    let file = KeyFile::parse(text, password.map(Secret::from).as_ref())
        .map_err(|error| error.to_string())?;
    let keys = file
        .into_keys()
        .into_iter()
        .map(|key| with_algorithm(key, algorithm).map(StoredKey::of))
        .collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        Err("holds no key".to_owned())
    } else {
        Ok(keys)
    }
}

/// RSA keys take the algorithm that was asked for; keys of other kinds have only one.
fn with_algorithm(key: SigningKey, algorithm: Option<Algorithm>) -> Result<SigningKey, String> {
    match algorithm {
        Some(algorithm) if key.algorithm().as_str().starts_with("PS") => key
            .with_algorithm(algorithm)
            .map_err(|error| error.to_string()),
        _ => Ok(key),
    }
}
