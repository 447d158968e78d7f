use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LinkError, Opened, audience_is, judged, open, sign};
use crate::{SignatureKey, TokenError, Unverified};

/// The token of a portal mail (`typ: approval+jwt`): its holder decides on one session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalMail {
    /// Who signed it.
    pub iss: String,
    /// Always [`ApprovalMail::AUDIENCE`].
    #[serde(default = "audience")]
    pub aud: Value,
    /// The approver's opaque id.
    pub sub: String,
    /// The session's number.
    pub sid: i64,
    /// Issued at, in seconds.
    pub iat: i64,
    /// Expires at, in seconds.
    pub exp: i64,
    /// Unique id; fixed for a mail that is sent again.
    pub jti: String,
}

fn audience() -> Value {
    Value::Null
}

impl ApprovalMail {
    /// The `typ` of mail tokens.
    pub const TYP: &'static str = "approval+jwt";
    /// The `aud` of mail tokens.
    pub const AUDIENCE: &'static str = "pending-approvals";

    /// Signs it, with the right `aud` whatever the field holds.
    ///
    /// # Errors
    ///
    /// [`TokenError::Signing`] when it does not become JSON.
    pub fn issue(&self, key: &SignatureKey) -> Result<String, LinkError> {
        Ok(sign(
            Self::TYP,
            key,
            &Self {
                aud: Self::AUDIENCE.into(),
                ..self.clone()
            },
        )?)
    }

    /// Which session it claims to decide; look up its App by this. **Not verified.** `None` when it is no token of
    /// this kind at all.
    pub fn peek(token: &str) -> Option<i64> {
        let token = Unverified::parse(token).ok()?;
        if token.typ().as_deref() != Some(Self::TYP) {
            return None;
        }
        token.claims().ok()?.get("sid")?.as_i64()
    }

    /// Verifies everything but the time, which it tells.
    ///
    /// # Errors
    ///
    /// Anything that makes it invalid: signature, kind, issuer, audience, an unknown claim.
    pub fn open(
        token: &str,
        keys: &[SignatureKey],
        issuer: &str,
        now: Timestamp,
    ) -> Result<Opened<Self>, LinkError> {
        let mail: Self = open(Self::TYP, token, keys)?;
        if mail.iss != issuer {
            return Err(TokenError::Issuer.into());
        }
        if !audience_is(&mail.aud, Self::AUDIENCE) {
            return Err(TokenError::Audience.into());
        }
        if mail.sub.is_empty() || mail.jti.is_empty() || mail.iat >= mail.exp {
            return Err(LinkError::Contradiction);
        }
        let exp = mail.exp;
        Ok(judged(mail, exp, now))
    }
}
