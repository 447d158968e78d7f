use heimdall_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Header, PublicKeys, Signer, TokenError, Verifier};

/// The key that a token is bound to (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Thumbprint of the DPoP key (RFC 9449 §6.1).
    pub jkt: String,
}

/// The claims of an access token (RFC 9068), times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is meant for: the App's name, and the resources that were asked for.
    #[serde(with = "one_or_many")]
    pub aud: Vec<String>,
    /// The user, or the client that acts for itself.
    pub sub: String,
    /// The same as `sub` for users; machines have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The App.
    pub app_id: String,
    /// The client; `sessions` for logins.
    pub client_id: String,
    /// Issued at.
    pub iat: i64,
    /// Not before.
    pub nbf: i64,
    /// Expires at.
    pub exp: i64,
    /// Unique id.
    pub jti: String,
    /// The login session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Names of the roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Concrete permissions, no wildcard.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The scope that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The key that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Who acts for the subject (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Value>,
}

impl AccessClaims {
    /// The `typ` of access tokens.
    pub const TYP: &'static str = "at+jwt";

    /// Signs them as an access token.
    ///
    /// # Errors
    ///
    /// As [`Signer::sign`].
    pub fn issue(&self, signer: &Signer) -> Result<String, TokenError> {
        signer.sign(&Header::typ(Self::TYP), self)
    }

    /// Verifies an access token; `verifier` brings the policy, whose type should be [`AccessClaims::TYP`].
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`], and [`TokenError::Malformed`] when a claim is absent or of the wrong type.
    pub fn verify(
        verifier: &Verifier,
        token: &str,
        keys: &PublicKeys,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        verifier.verify(token, keys, now)?.deserialize()
    }

    /// When it expires.
    pub fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }
}

mod one_or_many {
    //! RFC 7519 §4.1.3: `aud` is one text or a list of texts.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub(super) fn serialize<S: Serializer>(
        audiences: &[String],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match audiences {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<String>, D::Error> {
        OneOrMany::deserialize(deserializer).map(|found| match found {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Policy, SigningKey};

    fn claims() -> AccessClaims {
        AccessClaims {
            iss: "https://id.example/heimdall".into(),
            aud: vec!["acme".into()],
            sub: "usr_1".into(),
            user_id: Some("usr_1".into()),
            app_id: "app_1".into(),
            client_id: "sessions".into(),
            iat: 1_000,
            nbf: 1_000,
            exp: 1_900,
            jti: "tok_1".into(),
            sid: Some("ses_1".into()),
            roles: vec!["admin".into()],
            permissions: vec!["billing:read".into()],
            scope: None,
            cnf: None,
            act: None,
        }
    }

    #[test]
    fn an_issued_token_verifies_into_the_same_claims() {
        let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let keys = PublicKeys::of([signer.key().public().clone()]);
        let verifier = Verifier::new(
            Policy::new(AccessClaims::TYP)
                .issuer(claims().iss)
                .audience("acme"),
        );
        let token = claims().issue(&signer).unwrap();
        let now = Timestamp::from_seconds(1_500);
        assert_eq!(
            AccessClaims::verify(&verifier, &token, &keys, now),
            Ok(claims())
        );
        let late = Timestamp::from_seconds(1_910);
        assert_eq!(
            AccessClaims::verify(&verifier, &token, &keys, late),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_refused() {
        let signer = Signer::new(SigningKey::generate(Algorithm::Es256).unwrap());
        let keys = PublicKeys::of([signer.key().public().clone()]);
        let verifier = Verifier::new(Policy::new("at+jwt").any_issuer().any_audience());
        let mut wrong = serde_json::to_value(claims()).unwrap();
        wrong["roles"] = "admin".into();
        let token = signer.sign(&Header::typ("at+jwt"), &wrong).unwrap();
        let found = AccessClaims::verify(&verifier, &token, &keys, Timestamp::from_seconds(1_500));
        assert!(matches!(found, Err(TokenError::Malformed(_))));
    }
}
