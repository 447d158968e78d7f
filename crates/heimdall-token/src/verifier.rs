use std::time::Duration;

use heimdall_types::Timestamp;

use crate::unverified::plain_type;
use crate::{Algorithm, Claims, PublicKey, PublicKeys, TokenError, Unverified};

/// What a token must be to be believed. Starts closed: it trusts no issuer and no audience until they are named.
#[derive(Debug, Clone)]
pub struct Policy {
    types: Option<Vec<String>>,
    issuers: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
    algorithms: Option<Vec<Algorithm>>,
    required: Vec<String>,
    leeway: Duration,
    key_id_required: bool,
}

impl Policy {
    /// No clock is further off than this, whatever [`Policy::leeway`] is asked for.
    pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

    /// Takes tokens whose header says `typ`, compared without case and without `application/`.
    ///
    /// Without more it refuses every token: name issuers and audiences, or give them up by
    /// [`Policy::any_issuer`] and [`Policy::any_audience`]. The leeway is 10 s; `exp` and `kid` must be there.
    pub fn new(typ: &str) -> Self {
        Self {
            types: Some(vec![plain_type(typ)]),
            issuers: Some(Vec::new()),
            audiences: Some(Vec::new()),
            algorithms: None,
            required: vec!["exp".into()],
            leeway: Duration::from_secs(10),
            key_id_required: true,
        }
    }

    /// Takes this `typ` too.
    #[must_use]
    pub fn or_type(mut self, typ: &str) -> Self {
        if let Some(types) = &mut self.types {
            types.push(plain_type(typ));
        }
        self
    }

    /// Takes any `typ` and none.
    #[must_use]
    pub fn any_type(mut self) -> Self {
        self.types = None;
        self
    }

    /// Trusts this issuer; call it again for more.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.get_or_insert_default().push(issuer.into());
        self
    }

    /// Takes any issuer: the keys alone decide.
    #[must_use]
    pub fn any_issuer(mut self) -> Self {
        self.issuers = None;
        self
    }

    /// Takes tokens meant for this audience; call it again for more, one of them is enough.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.get_or_insert_default().push(audience.into());
        self
    }

    /// Takes any audience, and none.
    #[must_use]
    pub fn any_audience(mut self) -> Self {
        self.audiences = None;
        self
    }

    /// Takes these algorithms only. The key decides in any case; this narrows it further.
    #[must_use]
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = Some(algorithms.into_iter().collect());
        self
    }

    /// How far clocks may be apart; cut at [`Policy::MAX_LEEWAY`].
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(Self::MAX_LEEWAY);
        self
    }

    /// Demands that this claim be there and not null.
    #[must_use]
    pub fn require(mut self, claim: impl Into<String>) -> Self {
        self.required.push(claim.into());
        self
    }

    /// Takes tokens without `kid` when the key set holds exactly one key.
    #[must_use]
    pub fn key_id_optional(mut self) -> Self {
        self.key_id_required = false;
        self
    }
}

/// One thing that [`Verifier::examine`] looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: `shape`, `header`, `type`, `key`, `signature`, `claims`, `issuer`, `audience`, `time`.
    pub name: &'static str,
    /// Whether it holds.
    pub outcome: Result<(), TokenError>,
}

/// Verifies tokens by a [`Policy`].
///
/// The algorithm comes from the key, never from the token; a key is bound to one. Header members that name another
/// key (`jwk`, `jku`, `x5c`, `x5u`) and every `crit` are refused. A claim of the wrong type is an error, not an absent
/// claim. No input makes it panic.
#[derive(Debug, Clone)]
pub struct Verifier {
    policy: Policy,
}

impl Verifier {
    /// A verifier by this policy.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// Gives the claims of a token that holds.
    ///
    /// # Errors
    ///
    /// The first check that does not hold. [`TokenError::UnknownKey`] says that other keys might help.
    pub fn verify(
        &self,
        token: &str,
        keys: &PublicKeys,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        let token = Unverified::parse(token)?;
        token.refuse_foreign_members()?;
        self.check_type(&token)?;
        let key = self.key(&token, keys)?;
        if !token.verify_signature(key, key.algorithm()) {
            return Err(TokenError::Signature);
        }
        let claims = token.claims()?;
        self.check_claims(&claims, now)?;
        Ok(claims)
    }

    /// Looks at everything and says check by check what holds. For people; services use [`Verifier::verify`].
    pub fn examine(&self, token: &str, keys: &PublicKeys, now: Timestamp) -> Vec<Check> {
        let check = |name, outcome| Check { name, outcome };
        let token = match Unverified::parse(token) {
            Ok(token) => token,
            Err(error) => return vec![check("shape", Err(error))],
        };
        let mut checks = vec![
            check("shape", Ok(())),
            check("header", token.refuse_foreign_members()),
            check("type", self.check_type(&token)),
        ];
        match self.key(&token, keys) {
            Ok(key) => {
                let holds = token.verify_signature(key, key.algorithm());
                checks.push(check("key", Ok(())));
                checks.push(check(
                    "signature",
                    holds.then_some(()).ok_or(TokenError::Signature),
                ));
            }
            Err(error) => checks.push(check("key", Err(error))),
        }
        match token.claims() {
            Ok(claims) => checks.extend([
                check("claims", self.check_shape(&claims)),
                check("issuer", self.check_issuer(&claims)),
                check("audience", self.check_audience(&claims)),
                check("time", self.check_time(&claims, now)),
            ]),
            Err(error) => checks.push(check("claims", Err(error))),
        }
        checks
    }

    /// Checks claims whose signature was verified elsewhere.
    ///
    /// # Errors
    ///
    /// The first check that does not hold.
    pub fn check_claims(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        self.check_shape(claims)?;
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        self.check_time(claims, now)
    }

    fn check_type(&self, token: &Unverified<'_>) -> Result<(), TokenError> {
        let Some(types) = &self.policy.types else {
            return Ok(());
        };
        let typ = token.typ().ok_or(TokenError::Type)?;
        if types.contains(&typ) {
            Ok(())
        } else {
            Err(TokenError::Type)
        }
    }

    fn key<'k>(
        &self,
        token: &Unverified<'_>,
        keys: &'k PublicKeys,
    ) -> Result<&'k PublicKey, TokenError> {
        let claimed = token.algorithm()?;
        let key = match token.kid()? {
            Some(kid) => keys.get(kid).ok_or(TokenError::UnknownKey)?,
            None if self.policy.key_id_required => return Err(TokenError::Header("kid")),
            None => {
                let mut all = keys.iter();
                match (all.next(), all.next()) {
                    (Some(only), None) => only,
                    _ => return Err(TokenError::UnknownKey),
                }
            }
        };
        let allowed = self
            .policy
            .algorithms
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&key.algorithm()));
        if allowed && claimed == key.algorithm() {
            Ok(key)
        } else {
            Err(TokenError::Algorithm)
        }
    }

    fn check_shape(&self, claims: &Claims) -> Result<(), TokenError> {
        for name in ["iss", "sub", "jti"] {
            claims.text(name)?;
        }
        if claims.get("aud").is_some() && claims.audience().is_none() {
            return Err(TokenError::Claim("aud".into()));
        }
        for name in ["exp", "nbf", "iat"] {
            claims.moment(name)?;
        }
        for name in &self.policy.required {
            if claims.get(name).is_none_or(serde_json::Value::is_null) {
                return Err(TokenError::Absent(name.clone()));
            }
        }
        Ok(())
    }

    fn check_issuer(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(trusted) = &self.policy.issuers else {
            return Ok(());
        };
        let issuer = claims.issuer().ok_or(TokenError::Issuer)?;
        if trusted.iter().any(|one| one == issuer) {
            Ok(())
        } else {
            Err(TokenError::Issuer)
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), TokenError> {
        let Some(ours) = &self.policy.audiences else {
            return Ok(());
        };
        let meant = claims.audience().ok_or(TokenError::Audience)?;
        if ours.iter().any(|one| meant.contains(&one.as_str())) {
            Ok(())
        } else {
            Err(TokenError::Audience)
        }
    }

    fn check_time(&self, claims: &Claims, now: Timestamp) -> Result<(), TokenError> {
        let leeway = self.policy.leeway;
        if claims
            .moment("exp")?
            .is_some_and(|exp| now >= exp.plus(leeway))
        {
            return Err(TokenError::Expired);
        }
        for name in ["nbf", "iat"] {
            if claims.moment(name)?.is_some_and(|at| at > now.plus(leeway)) {
                return Err(TokenError::NotYetValid);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "verifier/tests.rs"]
mod tests;
