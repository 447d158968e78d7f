use heimdall_types::Timestamp;
use serde_json::Value;

use super::{LinkError, Opened, judged, verified};
use crate::link::LinkAction;
use crate::{TokenError, Unverified};

/// How an older system named the claims of its mail links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyNames {
    /// The approval; `approvalId`.
    pub approval_id: String,
    /// The step; `stepId`.
    pub step_id: String,
    /// The approver; `userId`.
    pub user_id: String,
    /// The action; `action`.
    pub action: String,
    /// The end; `exp`.
    pub exp: String,
}

impl Default for LegacyNames {
    fn default() -> Self {
        Self {
            approval_id: "approvalId".into(),
            step_id: "stepId".into(),
            user_id: "userId".into(),
            action: "action".into(),
            exp: "exp".into(),
        }
    }
}

/// A mail link of `/submit-action.html?token=`. It can only be read: new ones are [`ActionLink`](super::ActionLink)s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyLink {
    /// The approval.
    pub approval_id: String,
    /// The step.
    pub step_id: String,
    /// The approver.
    pub user_id: String,
    /// What it does.
    pub action: LinkAction,
    /// Expires at, in seconds.
    pub exp: i64,
}

impl LegacyLink {
    /// Reads a link of the older system, HS256 under its own key.
    ///
    /// # Errors
    ///
    /// Anything that makes it invalid. A `typ` of ours is refused, so that no key serves two kinds of token.
    pub fn open(
        token: &str,
        key: &[u8],
        names: &LegacyNames,
        now: Timestamp,
    ) -> Result<Opened<Self>, LinkError> {
        let token = Unverified::parse(token)?;
        token.refuse_foreign_members()?;
        if token.header("typ").is_some() && token.typ().as_deref() != Some("jwt") {
            return Err(TokenError::Type.into());
        }
        let claims = verified(&token, key)?;
        // Ids were numbers in some releases of the older system.
        let id = |name: &str| match claims.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(Value::Number(number)) if number.is_i64() => Ok(number.to_string()),
            Some(_) => Err(TokenError::Claim(name.to_owned())),
            None => Err(TokenError::Absent(name.to_owned())),
        };
        let action = match id(&names.action)?.to_ascii_lowercase().as_str() {
            "approve" => LinkAction::Approve,
            "consent" => LinkAction::Consent,
            "reject" => LinkAction::Reject,
            "abstain" => LinkAction::Abstain,
            _ => return Err(TokenError::Claim(names.action.clone()).into()),
        };
        let exp = claims
            .moment(&names.exp)?
            .ok_or_else(|| TokenError::Absent(names.exp.clone()))?
            .seconds();
        let link = Self {
            approval_id: id(&names.approval_id)?,
            step_id: id(&names.step_id)?,
            user_id: id(&names.user_id)?,
            action,
            exp,
        };
        Ok(judged(link, exp, now))
    }
}
