use heimdall_token::webauthn::Passkey;
use heimdall_types::{AppId, PasskeyId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::password::Failures;

/// An authenticator app's secret, sealed under the root key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTotp {
    /// Base64 of the sealed secret.
    pub sealed: String,
    /// When it was offered.
    pub created_at: Timestamp,
    /// The step of the last code that was accepted: it and all before are spent (RFC 6238 §5.2).
    #[serde(default)]
    pub last_step: Option<u64>,
}

/// A passkey as its user knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPasskey {
    /// Its id in paths.
    pub id: PasskeyId,
    /// For people.
    pub name: String,
    /// What a login is checked against.
    pub passkey: Passkey,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last used.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
}

/// A challenge that was answered and must not be answered again while it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentChallenge {
    /// SHA-256 of the challenge, in lower-case hexadecimal.
    pub digest: String,
    /// When it dies by itself.
    pub until: Timestamp,
}

/// What a user shows beside the password. One row a user, so that a code, a recovery code or a challenge is spent by
/// one compare-and-swap, whichever instance sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactors {
    /// The App.
    pub app_id: AppId,
    /// Whose.
    pub user_id: UserId,
    /// The authenticator app, once its first code was seen.
    #[serde(default)]
    pub totp: Option<StoredTotp>,
    /// An authenticator app that was offered and has not shown a code yet.
    #[serde(default)]
    pub offered: Option<StoredTotp>,
    /// Passkeys, oldest first.
    #[serde(default)]
    pub passkeys: Vec<StoredPasskey>,
    /// Keyed hashes of the recovery codes that are left, in lower-case hexadecimal.
    #[serde(default)]
    pub recovery: Vec<String>,
    /// Challenges that were answered.
    #[serde(default)]
    pub spent: Vec<SpentChallenge>,
    /// Wrong answers lately.
    #[serde(default)]
    pub failures: Failures,
    /// Grows with every change.
    #[serde(default)]
    pub version: i64,
}

impl SecondFactors {
    /// Nothing set up.
    pub fn none(app_id: AppId, user_id: UserId) -> Self {
        Self {
            app_id,
            user_id,
            totp: None,
            offered: None,
            passkeys: Vec::new(),
            recovery: Vec::new(),
            spent: Vec::new(),
            failures: Failures::default(),
            version: 0,
        }
    }

    /// Whether a login needs a second step.
    pub fn required(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }

    /// Spends a challenge; `false` when it was spent before.
    pub fn spend(&mut self, digest: String, until: Timestamp, now: Timestamp) -> bool {
        self.spent.retain(|spent| now < spent.until);
        let fresh = self.spent.iter().all(|spent| spent.digest != digest);
        if fresh {
            self.spent.push(SpentChallenge { digest, until });
        }
        fresh
    }

    /// Without a factor, recovery codes recover nothing: they go with the last one.
    pub fn tidy(&mut self) {
        if !self.required() {
            self.recovery.clear();
        }
    }
}
