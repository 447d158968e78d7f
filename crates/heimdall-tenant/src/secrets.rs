use heimdall_token::otp::TotpSecret;
use heimdall_token::{RootKey, crypto};
use heimdall_types::{AppId, InviteId, Rng, SessionId, UserId};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The keys under which bearer secrets are hashed; a stolen database is of no use without the root key.
pub(crate) struct Secrets {
    root: RootKey,
    clients: [u8; 32],
    admin: [u8; 32],
    invites: [u8; 32],
    refresh: [u8; 32],
    resets: [u8; 32],
    recovery: [u8; 32],
}

/// A refresh token, taken apart and found to be one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    pub(crate) session: SessionId,
    pub(crate) generation: i64,
    mac: String,
}

/// What every admin key begins with.
pub const ADMIN_KEY_PREFIX: &str = "hmk_";
const CLIENT_PREFIX: &str = "hcs_";
const INVITE_PREFIX: &str = "hit_";
const RESET_PREFIX: &str = "hpr_";
const REFRESH_PREFIX: &str = "hrt_";
const WEBHOOK_PREFIX: &str = "whsec_";

impl Secrets {
    pub(crate) fn new(root: RootKey) -> Self {
        Self {
            clients: *root.derive("client-secrets"),
            admin: *root.derive("admin-keys"),
            invites: *root.derive("invite-tokens"),
            refresh: *root.derive("refresh-tokens"),
            resets: *root.derive("password-resets"),
            recovery: *root.derive("recovery-codes"),
            root,
        }
    }

    pub(crate) fn new_client_secret(&self, rng: &dyn Rng) -> (String, String) {
        let secret = format!("{CLIENT_PREFIX}{}", crypto::random_token(rng, 32));
        let hash = self.client_hash(&secret);
        (secret, hash)
    }

    pub(crate) fn client_hash(&self, secret: &str) -> String {
        crypto::hex(&crypto::hmac_sha256(&self.clients, secret.as_bytes()))
    }

    pub(crate) fn new_admin_key(&self, rng: &dyn Rng) -> (String, String) {
        let key = format!("{ADMIN_KEY_PREFIX}{}", crypto::random_token(rng, 32));
        let hash = self.admin_hash(&key);
        (key, hash)
    }

    pub(crate) fn admin_hash(&self, key: &str) -> String {
        crypto::hex(&crypto::hmac_sha256(&self.admin, key.as_bytes()))
    }

    /// The token of an invite: a keyed hash over its nonce, so that a mail can be given it when it is sent.
    pub(crate) fn invite_token(&self, id: &InviteId, nonce: &str) -> String {
        let mac = crypto::hmac_sha256(&self.invites, format!("token\n{id}\n{nonce}").as_bytes());
        format!("{INVITE_PREFIX}{}", crypto::base64url(&mac))
    }

    /// The token of a password reset, made in the same way.
    pub(crate) fn reset_token(&self, app: &AppId, user: &UserId, nonce: &str) -> String {
        let named = format!("token\n{app}\n{user}\n{nonce}");
        let mac = crypto::hmac_sha256(&self.resets, named.as_bytes());
        format!("{RESET_PREFIX}{}", crypto::base64url(&mac))
    }

    pub(crate) fn reset_hash(&self, token: &str) -> String {
        crypto::hex(&crypto::hmac_sha256(&self.resets, token.as_bytes()))
    }

    /// A recovery code is compared without its dash and case, as people type it.
    pub(crate) fn recovery_hash(&self, user: &UserId, code: &str) -> String {
        let plain: String = code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let named = format!("{user}\n{plain}");
        crypto::hex(&crypto::hmac_sha256(&self.recovery, named.as_bytes()))
    }

    /// A new recovery code of 50 random bits: `xxxxx-xxxxx`.
    pub(crate) fn new_recovery_code(rng: &dyn Rng) -> String {
        // No letter that reads like a digit or like another letter.
        const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let mut bytes = [0u8; 10];
        rng.fill(&mut bytes);
        let mut code: String = bytes
            .iter()
            .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
            .map(|letter| char::from(*letter))
            .collect();
        code.insert(5, '-');
        code
    }

    pub(crate) fn seal_totp(&self, user: &UserId, secret: &TotpSecret, rng: &dyn Rng) -> String {
        let sealed = self
            .root
            .seal(&format!("totp:{user}"), secret.as_bytes(), rng);
        crypto::base64(&sealed)
    }

    pub(crate) fn open_totp(&self, user: &UserId, sealed: &str) -> Option<TotpSecret> {
        let sealed = crypto::from_base64(sealed)?;
        let bytes = self.root.open(&format!("totp:{user}"), &sealed).ok()?;
        Some(TotpSecret::from_bytes(bytes.to_vec()))
    }

    /// A token that only this installation can read, for state that a caller carries from one step to the next.
    pub(crate) fn seal_step<T: Serialize>(&self, step: &str, state: &T, rng: &dyn Rng) -> String {
        let plain = serde_json::to_vec(state).unwrap_or_default();
        crypto::base64url(&self.root.seal(&format!("step:{step}"), &plain, rng))
    }

    /// What [`Secrets::seal_step`] gave for the same step.
    pub(crate) fn open_step<T: DeserializeOwned>(&self, step: &str, token: &str) -> Option<T> {
        let sealed = crypto::from_base64url(token)?;
        let plain = self.root.open(&format!("step:{step}"), &sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    pub(crate) fn invite_hash(&self, token: &str) -> String {
        crypto::hex(&crypto::hmac_sha256(&self.invites, token.as_bytes()))
    }

    pub(crate) fn refresh_token(
        &self,
        session: &SessionId,
        nonce: &str,
        generation: i64,
    ) -> String {
        format!(
            "{REFRESH_PREFIX}{session}.{generation}.{}",
            self.refresh_mac(session, nonce, generation)
        )
    }

    /// Whether `token` is the one that was given out for its session and generation.
    pub(crate) fn refresh_holds(&self, token: &RefreshToken, nonce: &str) -> bool {
        let mac = self.refresh_mac(&token.session, nonce, token.generation);
        crypto::constant_time_eq(mac.as_bytes(), token.mac.as_bytes())
    }

    fn refresh_mac(&self, session: &SessionId, nonce: &str, generation: i64) -> String {
        crypto::base64url(&crypto::hmac_sha256(
            &self.refresh,
            format!("{session}\n{nonce}\n{generation}").as_bytes(),
        ))
    }

    /// A `whsec_` secret (Standard Webhooks) and its sealed form for the endpoint `id`.
    pub(crate) fn new_webhook_secret(&self, id: &str, rng: &dyn Rng) -> (String, String) {
        let mut key = [0u8; 32];
        rng.fill(&mut key);
        let secret = format!("{WEBHOOK_PREFIX}{}", crypto::base64(&key));
        let sealed = crypto::base64(&self.root.seal(
            &format!("webhook:{id}"),
            secret.as_bytes(),
            rng,
        ));
        (secret, sealed)
    }
}

impl RefreshToken {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(REFRESH_PREFIX)?.split('.');
        let session = parts.next()?.parse().ok()?;
        let generation = parts
            .next()?
            .parse()
            .ok()
            .filter(|generation| *generation >= 0)?;
        let mac = parts.next()?.to_owned();
        parts.next().is_none().then_some(Self {
            session,
            generation,
            mac,
        })
    }
}

#[cfg(test)]
mod tests {
    use heimdall_types::{SeededRng, Timestamp};

    use super::*;

    #[test]
    fn only_our_own_refresh_token_of_that_generation_holds() {
        let rng = SeededRng::new(1);
        let secrets = Secrets::new(RootKey::generate(&rng));
        let session = SessionId::generate(Timestamp::from_millis(1), &rng);
        let text = secrets.refresh_token(&session, "nonce", 3);
        let token = RefreshToken::parse(&text).unwrap();
        assert!(secrets.refresh_holds(&token, "nonce"));
        assert!(!secrets.refresh_holds(&token, "other"));
        assert!(!secrets.refresh_holds(
            &RefreshToken {
                generation: 4,
                ..token.clone()
            },
            "nonce"
        ));
        assert!(!Secrets::new(RootKey::generate(&rng)).refresh_holds(&token, "nonce"));
    }

    #[test]
    fn rubbish_is_no_refresh_token() {
        for bad in [
            "",
            "hrt_",
            "hrt_x.1.y",
            "hrt_ses_00000000000000000000000000.-1.x",
            "hrt_ses_00000000000000000000000000.1",
        ] {
            assert_eq!(RefreshToken::parse(bad), None, "{bad}");
        }
    }
}
