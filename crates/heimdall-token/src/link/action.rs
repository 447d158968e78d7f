use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LinkError, Opened, judged, open, sign};
use crate::{SignatureKey, TokenError, Unverified};

/// What a signed link does when it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LinkAction {
    /// Approves the step.
    Approve,
    /// Consents to the step.
    Consent,
    /// Rejects the step.
    Reject,
    /// Abstains.
    Abstain,
    /// Opens the form of a poll.
    Vote,
}

impl LinkAction {
    /// Its name in URLs and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Consent => "consent",
            Self::Reject => "reject",
            Self::Abstain => "abstain",
            Self::Vote => "vote",
        }
    }
}

/// A signed action link (`typ: step-action+jwt`).
///
/// A mail link names its approver in `sub` and needs no login; an API link has no `sub` and needs one. Nothing else is
/// valid, even if well signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionLink {
    /// Who signed it.
    pub iss: String,
    /// Whom it is for: the address of the approvals service.
    pub aud: String,
    /// Unique id; fixed for a mail that is sent again.
    pub jti: String,
    /// Issued at, in seconds.
    pub iat: i64,
    /// Expires at, in seconds.
    pub exp: i64,
    /// The App it belongs to.
    pub host_id: String,
    /// The approval.
    pub approval_id: String,
    /// The step.
    pub step_id: String,
    /// The activation of the step.
    pub act_no: u32,
    /// The epoch of the approval.
    pub epoch: u32,
    /// What it does.
    pub action: LinkAction,
    /// Whether the approver must be logged in.
    pub login_required: bool,
    /// Digest of what is approved.
    pub dig: String,
    /// The approver's opaque id; mail links only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
}

/// What a link token claims about where its key is kept. **Not verified.**
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The name of the key.
    pub kid: String,
    /// The App.
    pub host_id: String,
}

impl ActionLink {
    /// The `typ` of action links.
    pub const TYP: &'static str = "step-action+jwt";

    /// Whether it is a link of a mail; otherwise it came over the API.
    pub fn is_mail(&self) -> bool {
        self.sub.is_some()
    }

    /// Signs it.
    ///
    /// # Errors
    ///
    /// [`LinkError::Contradiction`] for a link that would not open.
    pub fn issue(&self, key: &SignatureKey) -> Result<String, LinkError> {
        self.check()?;
        Ok(sign(Self::TYP, key, self)?)
    }

    /// Where to look for the key; `None` when it is no action link at all.
    pub fn peek(token: &str) -> Option<Peek> {
        let token = Unverified::parse(token).ok()?;
        let host_id = token.claims().ok()?.text("hostId").ok()??.to_owned();
        Some(Peek {
            kid: token.kid().ok()??.to_owned(),
            host_id,
        })
    }

    /// Verifies everything but the time, which it tells.
    ///
    /// # Errors
    ///
    /// Anything that makes it invalid: signature, kind, issuer, audience, host, an unknown or contradicting claim.
    pub fn open(
        token: &str,
        keys: &[SignatureKey],
        host_id: &str,
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Opened<Self>, LinkError> {
        let link: Self = open(Self::TYP, token, keys)?;
        link.check()?;
        if link.iss != issuer {
            return Err(TokenError::Issuer.into());
        }
        if link.aud != audience {
            return Err(TokenError::Audience.into());
        }
        if link.host_id != host_id {
            return Err(LinkError::Contradiction);
        }
        let exp = link.exp;
        Ok(judged(link, exp, now))
    }

    fn check(&self) -> Result<(), LinkError> {
        let one_kind = self.sub.is_none() == self.login_required;
        let named = !self.jti.is_empty() && self.sub.as_deref() != Some("");
        if one_kind && named && 0 <= self.iat && self.iat < self.exp {
            Ok(())
        } else {
            Err(LinkError::Contradiction)
        }
    }
}
