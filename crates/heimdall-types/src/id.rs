use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Rng, Timestamp};

/// Why a text is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an id of this kind is `{prefix}` followed by 26 characters of Crockford base 32")]
pub struct IdError {
    /// The prefix that ids of the wanted kind carry, with its underscore.
    pub prefix: &'static str,
}

fn generate(prefix: &str, now: Timestamp, rng: &dyn Rng) -> Box<str> {
    let mut random = [0u8; 16];
    rng.fill(&mut random);
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let ulid = ulid::Ulid::from_parts(millis, u128::from_be_bytes(random) & ((1 << 80) - 1));
    format!("{prefix}{ulid}").into_boxed_str()
}

fn parse(prefix: &'static str, text: &str) -> Result<Box<str>, IdError> {
    let wrong = IdError { prefix };
    let rest = text.strip_prefix(prefix).ok_or_else(|| wrong.clone())?;
    let ulid = ulid::Ulid::from_str(rest).map_err(|_| wrong.clone())?;
    // One spelling an id: `O` for `0` or lower case would make two texts mean one row.
    (ulid.to_string() == rest).then(|| text.into()).ok_or(wrong)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// A fixed prefix and a ULID, so ids sort by the time they were made.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: `now` gives its order, `rng` its 80 random bits.
            pub fn generate(now: Timestamp, rng: &dyn Rng) -> Self {
                Self(generate($prefix, now, rng))
            }

            /// The whole id with its prefix.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

ids! {
    /// An App: a tenant.
    AppId = "app_";
    /// A user of an App.
    UserId = "usr_";
    /// A role of an App.
    RoleId = "role_";
    /// A service credential; its text is the OAuth 2 `client_id`.
    CredentialId = "cli_";
    /// One secret of a credential.
    SecretId = "sec_";
    /// A login session.
    SessionId = "ses_";
    /// A refresh token family's member.
    RefreshId = "rft_";
    /// A passkey of a user.
    PasskeyId = "pky_";
    /// The `jti` of a token.
    TokenId = "tok_";
    /// An invite.
    InviteId = "inv_";
    /// A webhook endpoint.
    WebhookId = "whk_";
    /// One delivery to a webhook endpoint.
    DeliveryId = "dlv_";
    /// An event of the feed; also the `webhook-id`.
    EventId = "evt_";
    /// An outbox row.
    NoticeId = "ntc_";
    /// A request for roles.
    RequestId = "req_";
    /// An approval.
    ApprovalId = "apv_";
    /// A step of an approval.
    StepId = "stp_";
    /// A signed action link.
    LinkId = "lnk_";
    /// A delegation of votes.
    DelegationId = "dlg_";
    /// A time-boxed role.
    GrantId = "grt_";
    /// A named list of people.
    GroupId = "grp_";
    /// An approval definition.
    DefinitionId = "def_";
    /// A just-in-time template.
    TemplateId = "tpl_";
    /// A just-in-time request.
    JitId = "jit_";
    /// A notification config.
    NotificationConfigId = "ncf_";
    /// An API key's record (the key itself begins with `hak_`).
    ApiKeyId = "key_";
    /// An admin key's record (the key itself begins with `hmk_`).
    AdminKeyId = "adk_";
    /// An application signing key.
    ServiceKeyId = "ask_";
    /// A portal signature key.
    KeyId = "sgk_";
    /// An external approver's account.
    AccountId = "acc_";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRng;

    #[test]
    fn ids_sort_by_time_and_parse_back() {
        let rng = SeededRng::new(1);
        let early = UserId::generate(Timestamp::from_millis(1_000), &rng);
        let late = UserId::generate(Timestamp::from_millis(2_000), &rng);
        assert!(early < late);
        assert_eq!(early.as_str().parse(), Ok(early.clone()));
    }

    #[test]
    fn a_foreign_prefix_a_second_spelling_and_rubbish_are_refused() {
        let id = AppId::generate(Timestamp::from_millis(1_000), &SeededRng::new(1)).to_string();
        assert!(id.parse::<UserId>().is_err());
        assert!(id.to_lowercase().parse::<AppId>().is_err());
        assert!("app_".parse::<AppId>().is_err());
        assert!(format!("{id}0").parse::<AppId>().is_err());
    }
}
