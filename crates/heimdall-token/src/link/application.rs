use heimdall_types::Timestamp;

use super::verified;
use crate::{Claims, TokenError, Unverified};

/// The longest life of an application token, in seconds.
const LONGEST_LIFE: i64 = 300;

/// How far the clock of an application may be off, in seconds.
const LEEWAY: i64 = 10;

/// The token by which an application speaks for one of its users: HS256 under the application's own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationToken {
    /// The application.
    pub iss: String,
    /// The user it speaks for.
    pub sub: String,
    /// Unique id, to be used once.
    pub jti: String,
    /// Issued at, in seconds.
    pub iat: i64,
    /// Expires at, in seconds.
    pub exp: i64,
}

impl ApplicationToken {
    /// Which application it claims to be of; look up its keys by this. **Not verified.**
    pub fn peek(token: &str) -> Option<String> {
        Unverified::parse(token)
            .ok()?
            .claims()
            .ok()?
            .issuer()
            .map(str::to_owned)
    }

    /// Verifies a token against the live keys of one application.
    ///
    /// # Errors
    ///
    /// No key fits, a claim is absent or of the wrong type, it is meant for someone else, it lives longer than five
    /// minutes, or its time is not now.
    pub fn open<K: AsRef<[u8]>>(
        token: &str,
        keys: &[K],
        issuer: &str,
        audience: &str,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let token = Unverified::parse(token)?;
        token.refuse_foreign_members()?;
        if token.header("typ").is_some() && token.typ().as_deref() != Some("jwt") {
            return Err(TokenError::Type);
        }
        let mut refused = TokenError::UnknownKey;
        for key in keys {
            match verified(&token, key.as_ref()) {
                Ok(claims) => return Self::judge(&claims, issuer, audience, now.seconds()),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn judge(claims: &Claims, issuer: &str, audience: &str, now: i64) -> Result<Self, TokenError> {
        let text = |name: &str| match claims.text(name)? {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(TokenError::Absent(name.to_owned())),
        };
        let moment = |name: &str| {
            claims
                .moment(name)?
                .map(Timestamp::seconds)
                .ok_or_else(|| TokenError::Absent(name.to_owned()))
        };
        let token = Self {
            iss: text("iss")?,
            sub: text("sub")?,
            jti: text("jti")?,
            iat: moment("iat")?,
            exp: moment("exp")?,
        };
        if token.iss != issuer {
            return Err(TokenError::Issuer);
        }
        if !claims
            .audience()
            .is_some_and(|meant| meant.contains(&audience))
        {
            return Err(TokenError::Audience);
        }
        if now >= token.exp + LEEWAY {
            return Err(TokenError::Expired);
        }
        if moment("nbf")?.max(token.iat) > now + LEEWAY {
            return Err(TokenError::NotYetValid);
        }
        if token.exp - token.iat > LONGEST_LIFE || token.exp - now > LONGEST_LIFE + LEEWAY {
            return Err(TokenError::Claim("exp".into()));
        }
        Ok(token)
    }
}
