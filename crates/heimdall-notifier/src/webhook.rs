use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use heimdall_types::{Rng, Secret, Timestamp};
use ring::hmac;
use thiserror::Error;

/// A webhook signing secret in the Standard Webhooks spelling: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone)]
pub struct WebhookSecret {
    text: Secret,
    key: hmac::Key,
}

/// Why a text is no webhook secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a webhook secret is `whsec_` followed by 24 to 64 bytes in base64")]
pub struct SecretError;

impl WebhookSecret {
    /// A new secret of 32 random bytes.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = [0u8; 32];
        rng.fill(&mut bytes);
        Self::from_bytes(&bytes)
    }

    /// Reads `whsec_…`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix("whsec_").ok_or(SecretError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if (24..=64).contains(&bytes.len()) {
            Ok(Self::from_bytes(&bytes))
        } else {
            Err(SecretError)
        }
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let text = Secret::new(format!("whsec_{}", STANDARD.encode(bytes)));
        Self {
            text,
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes),
        }
    }

    /// The secret as it is shown once to whoever registers the endpoint.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    fn sign(&self, message: &str) -> hmac::Tag {
        hmac::sign(&self.key, message.as_bytes())
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// The headers that prove a delivery, made with every live secret (newest first).
///
/// Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp`, `webhook-signature` = `v1,<base64>` a secret, over
/// `id.timestamp.body`; and ours: `x-heimdall-signature: t=<unix>,v1=<hex>` a secret, over `timestamp.body`. The time
/// is that of this try, so a receiver can refuse old ones.
pub fn signature_headers(
    id: &str,
    at: Timestamp,
    body: &str,
    secrets: &[WebhookSecret],
) -> Vec<(&'static str, String)> {
    let seconds = at.seconds();
    let standard: Vec<String> = secrets
        .iter()
        .map(|secret| {
            format!(
                "v1,{}",
                STANDARD.encode(secret.sign(&format!("{id}.{seconds}.{body}")))
            )
        })
        .collect();
    let ours: String = secrets
        .iter()
        .map(|secret| {
            format!(
                ",v1={}",
                hex(secret.sign(&format!("{seconds}.{body}")).as_ref())
            )
        })
        .collect();
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", standard.join(" ")),
        ("x-heimdall-signature", format!("t={seconds}{ours}")),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the Standard Webhooks specification, "Signature scheme".
    #[test]
    fn the_signature_of_the_specifications_example_comes_out() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let headers = signature_headers(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_seconds(1_614_265_330),
            "{\"test\": 2432232314}",
            &[secret],
        );
        assert_eq!(
            headers[2].1,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn two_secrets_give_two_signatures_in_both_headers() {
        let rng = heimdall_types::SeededRng::new(1);
        let pair = [WebhookSecret::generate(&rng), WebhookSecret::generate(&rng)];
        let headers = signature_headers("evt_1", Timestamp::from_seconds(10), "{}", &pair);
        assert_eq!(headers[2].1.split(' ').count(), 2);
        assert_eq!(headers[3].1.matches("v1=").count(), 2);
        assert!(headers[3].1.starts_with("t=10,v1="));
    }

    #[test]
    fn short_and_foreign_secrets_are_refused() {
        assert!(WebhookSecret::parse("whsec_AAAA").is_err());
        assert!(WebhookSecret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_err());
        assert_eq!(
            format!(
                "{:?}",
                WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
            ),
            "WebhookSecret"
        );
    }
}
