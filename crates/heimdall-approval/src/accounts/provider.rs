use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use form_urlencoded::Serializer;
use heimdall_token::{Policy, RemoteJwks, RemoteJwksSettings, Verifier, crypto};
use heimdall_types::{Clock, Email, Secret, Timestamp};
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::ports::{ProviderHttp, ProviderRequest};
use super::{AccountError, Foundation, ProviderProfile};

/// How long a provider's metadata is believed.
const METADATA_LIFE: Duration = Duration::from_secs(3600);
const LONGEST_SUBJECT: usize = 255;

/// Why a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("provider `{provider}` {reason}")]
pub struct ProviderSettingsError {
    /// Its id.
    pub provider: String,
    /// What to change.
    pub reason: String,
}

/// One provider that external approvers may log in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Stands in addresses and in the mapping: 1 to 32 of `a-z 0-9 -`. Do not change it later.
    pub id: String,
    /// For people.
    pub name: String,
    /// How it speaks.
    pub kind: ProviderKind,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: Secret,
    /// What is asked for; empty for the usual of the kind.
    pub scopes: Vec<String>,
}

/// How a provider speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect Core 1.0 with discovery below this issuer.
    OpenId {
        /// `https://login.example.org`, as it stands in `iss`.
        issuer: String,
    },
    /// OAuth 2.0 (RFC 6749) with an address that tells who logged in.
    OAuth2(OAuth2Endpoints),
    /// Atlassian's OAuth 2.0 (3LO).
    Atlassian(AtlassianEndpoints),
}

/// The three addresses of an OAuth 2.0 provider, and how its profile is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Endpoints {
    /// Where people log in.
    pub authorize: String,
    /// Where a code becomes a token.
    pub token: String,
    /// Where a token becomes a profile, a JSON object.
    pub profile: String,
    /// The members of the profile.
    pub claims: ClaimNames,
    /// The provider gives out verified addresses only, so no claim has to say it.
    pub emails_are_verified: bool,
}

/// How a profile names its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The account's id, unique and never given to another; text or number.
    pub subject: String,
    /// The address.
    pub email: String,
    /// Whether the address is verified.
    pub email_verified: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// The whole name, where there are no parts.
    pub name: String,
}

impl Default for ClaimNames {
    /// Those of OpenID Connect Core 1.0 §5.1.
    fn default() -> Self {
        Self {
            subject: "sub".to_owned(),
            email: "email".to_owned(),
            email_verified: "email_verified".to_owned(),
            first_name: "given_name".to_owned(),
            last_name: "family_name".to_owned(),
            name: "name".to_owned(),
        }
    }
}

/// Atlassian's three addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtlassianEndpoints {
    /// Where people log in.
    pub authorize: String,
    /// Where a code becomes a token.
    pub token: String,
    /// The profile of whoever logged in.
    pub profile: String,
}

impl Default for AtlassianEndpoints {
    fn default() -> Self {
        Self {
            authorize: "https://auth.atlassian.com/authorize".to_owned(),
            token: "https://auth.atlassian.com/oauth/token".to_owned(),
            profile: "https://api.atlassian.com/me".to_owned(),
        }
    }
}

/// What one log-in carries to the provider and back.
pub(super) struct Leg {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) redirect_uri: String,
}

/// A provider at work.
pub(super) struct Provider {
    pub(super) settings: ProviderSettings,
    http: Arc<dyn ProviderHttp>,
    clock: Arc<dyn Clock>,
    metadata: Mutex<Option<(Arc<Metadata>, Timestamp)>>,
}

#[derive(Debug)]
struct Metadata {
    authorize: String,
    token: String,
    userinfo: Option<String>,
    post_secret: bool,
    keys: RemoteJwks,
}

struct Tokens {
    access: Secret,
    id: Option<String>,
}

impl Provider {
    pub(super) fn new(
        settings: ProviderSettings,
        on: &Foundation,
    ) -> Result<Self, ProviderSettingsError> {
        let wrong = |reason: &str| ProviderSettingsError {
            provider: settings.id.clone(),
            reason: reason.to_owned(),
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&settings.id.len()) || !settings.id.chars().all(plain) {
            return Err(wrong("needs an `id` of 1 to 32 of a-z, 0-9 and -"));
        }
        if settings.name.trim().is_empty() {
            return Err(wrong("needs a `name` for people"));
        }
        if settings.client_id.is_empty() || settings.client_secret.expose().is_empty() {
            return Err(wrong("needs `client_id` and `client_secret`"));
        }
        let addresses: Vec<&str> = match &settings.kind {
            ProviderKind::OpenId { issuer } => vec![issuer],
            ProviderKind::OAuth2(at) => vec![&at.authorize, &at.token, &at.profile],
            ProviderKind::Atlassian(at) => vec![&at.authorize, &at.token, &at.profile],
        };
        if let Some(bad) = addresses.into_iter().find(|url| !is_safe(url)) {
            let text =
                format!("has the address `{bad}`: it must be https, or http to this machine");
            return Err(wrong(&text));
        }
        Ok(Self {
            http: Arc::clone(&on.http),
            clock: Arc::clone(&on.clock),
            metadata: Mutex::default(),
            settings,
        })
    }

    /// The address at which somebody logs in.
    pub(super) async fn authorize(&self, leg: &Leg) -> Result<String, AccountError> {
        let (address, usual): (String, &[&str]) = match &self.settings.kind {
            ProviderKind::OpenId { .. } => (
                self.metadata().await?.authorize.clone(),
                &["openid", "email", "profile"],
            ),
            ProviderKind::OAuth2(at) => (at.authorize.clone(), &[]),
            ProviderKind::Atlassian(at) => (at.authorize.clone(), &["read:me"]),
        };
        let scope = if self.settings.scopes.is_empty() {
            usual.join(" ")
        } else {
            self.settings.scopes.join(" ")
        };
        let challenge = crypto::base64url(&crypto::sha256(leg.verifier.as_bytes()));
        let mut query = Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &leg.redirect_uri)
            .append_pair("state", &leg.state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !scope.is_empty() {
            query.append_pair("scope", &scope);
        }
        match &self.settings.kind {
            ProviderKind::OpenId { .. } => {
                query.append_pair("nonce", &leg.nonce);
            }
            ProviderKind::Atlassian(_) => {
                query
                    .append_pair("audience", "api.atlassian.com")
                    .append_pair("prompt", "consent");
            }
            ProviderKind::OAuth2(_) => {}
        }
        let joint = if address.contains('?') { '&' } else { '?' };
        Ok(format!("{address}{joint}{}", query.finish()))
    }

    /// Whether an answer that names this issuer (RFC 9207) came from here.
    pub(super) fn sent_by(&self, issuer: &str) -> bool {
        match &self.settings.kind {
            ProviderKind::OpenId { issuer: own } => own == issuer,
            ProviderKind::OAuth2(_) | ProviderKind::Atlassian(_) => true,
        }
    }

    /// Who it is that came back with this code.
    pub(super) async fn identify(
        &self,
        code: &str,
        leg: &Leg,
    ) -> Result<ProviderProfile, AccountError> {
        let tokens = self.exchange(code, leg).await?;
        match &self.settings.kind {
            ProviderKind::OpenId { issuer } => self.openid_profile(issuer, &tokens, leg).await,
            ProviderKind::OAuth2(at) => {
                let profile = self.fetched(&at.profile, &tokens.access).await?;
                self.read(&profile, &at.claims, at.emails_are_verified)
            }
            ProviderKind::Atlassian(at) => {
                let profile = self.fetched(&at.profile, &tokens.access).await?;
                let names = ClaimNames {
                    subject: "account_id".to_owned(),
                    ..ClaimNames::default()
                };
                let status = profile.get("account_status").and_then(Value::as_str);
                if status.is_some_and(|status| status != "active") {
                    return Err(refused("the account is not active"));
                }
                self.read(&profile, &names, false)
            }
        }
    }

    async fn exchange(&self, code: &str, leg: &Leg) -> Result<Tokens, AccountError> {
        let (id, secret) = (&self.settings.client_id, &self.settings.client_secret);
        let mut pairs = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", leg.redirect_uri.as_str()),
            ("code_verifier", leg.verifier.as_str()),
        ];
        let named = [
            ("client_id", id.as_str()),
            ("client_secret", secret.expose()),
        ];
        let request = match &self.settings.kind {
            // Atlassian reads a JSON object.
            ProviderKind::Atlassian(at) => {
                let members: Map<String, Value> = pairs
                    .into_iter()
                    .chain(named)
                    .map(|(name, value)| (name.to_owned(), json!(value)))
                    .collect();
                let body = Value::Object(members).to_string();
                ProviderRequest {
                    url: at.token.clone(),
                    authorization: None,
                    body: Some(("application/json", body.into())),
                }
            }
            ProviderKind::OAuth2(at) => {
                pairs.extend(named);
                form(at.token.clone(), None, &pairs)
            }
            ProviderKind::OpenId { .. } => {
                let metadata = self.metadata().await?;
                let basic = (!metadata.post_secret).then(|| basic(id, secret));
                if metadata.post_secret {
                    pairs.extend(named);
                }
                form(metadata.token.clone(), basic, &pairs)
            }
        };
        let answer = self.http.ask(request).await?;
        if answer.status != 200 {
            return Err(refused(&format!(
                "the exchange of the code answered {}",
                answer.status
            )));
        }
        let answer: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| refused("the exchange gave no JSON"))?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let bearer = text("token_type").is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        let access = text("access_token").filter(|token| bearer && is_plain(token));
        Ok(Tokens {
            access: access
                .ok_or_else(|| refused("the exchange gave no bearer token"))?
                .into(),
            id: text("id_token").map(str::to_owned),
        })
    }

    async fn fetched(
        &self,
        url: &str,
        access: &Secret,
    ) -> Result<Map<String, Value>, AccountError> {
        let answer = self
            .http
            .ask(ProviderRequest {
                url: url.to_owned(),
                authorization: Some(format!("Bearer {}", access.expose()).into()),
                body: None,
            })
            .await?;
        if answer.status != 200 {
            return Err(refused(&format!("the profile answered {}", answer.status)));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(refused("the profile is no JSON object")),
        }
    }

    // OpenID Connect Core 1.0 §3.1.3.7 and §5.3.2.
    async fn openid_profile(
        &self,
        issuer: &str,
        tokens: &Tokens,
        leg: &Leg,
    ) -> Result<ProviderProfile, AccountError> {
        let metadata = self.metadata().await?;
        let id = tokens
            .id
            .as_deref()
            .ok_or_else(|| refused("the exchange gave no ID token"))?;
        let policy = Policy::new("JWT")
            .any_type()
            .issuer(issuer)
            .audience(&self.settings.client_id)
            .require("sub")
            .require("iat")
            .key_id_optional();
        let claims = metadata
            .keys
            .verify(&Verifier::new(policy), id)
            .await
            .map_err(|error| refused(&format!("the ID token does not hold: {error}")))?;
        if claims.get("nonce").and_then(Value::as_str) != Some(leg.nonce.as_str()) {
            return Err(refused("the ID token is of another log-in"));
        }
        let meant_for_us = |azp: &Value| azp.as_str() == Some(&self.settings.client_id);
        if !claims.get("azp").is_none_or(meant_for_us) {
            return Err(refused("the ID token was given to another client"));
        }
        let mut all = claims.into_map();
        if let (None, Some(userinfo)) = (all.get("email"), &metadata.userinfo) {
            let more = self.fetched(userinfo, &tokens.access).await?;
            if more.get("sub") != all.get("sub") {
                return Err(refused("the user information is of somebody else"));
            }
            for (name, value) in more {
                all.entry(name).or_insert(value);
            }
        }
        self.read(&all, &ClaimNames::default(), false)
    }

    fn read(
        &self,
        profile: &Map<String, Value>,
        names: &ClaimNames,
        verified: bool,
    ) -> Result<ProviderProfile, AccountError> {
        let text = |name: &str| profile.get(name).and_then(Value::as_str);
        let subject = match profile.get(&names.subject) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            _ => String::new(),
        };
        let long = subject.is_empty() || subject.len() > LONGEST_SUBJECT;
        if long || subject.chars().any(|c| c.is_control() || c == '/') {
            return Err(refused("the profile has no usable id"));
        }
        let email = text(&names.email)
            .and_then(|text| text.parse::<Email>().ok())
            .ok_or_else(|| refused("the profile has no usable e-mail address"))?;
        let verified = verified
            || match profile.get(&names.email_verified) {
                Some(Value::Bool(said)) => *said,
                // Some providers write all claims as texts.
                Some(Value::String(said)) => said == "true",
                _ => false,
            };
        let whole = text(&names.name).unwrap_or_default();
        let (first, last) = whole.split_once(' ').unwrap_or((whole, ""));
        Ok(ProviderProfile {
            provider: self.settings.id.clone(),
            subject,
            email,
            verified,
            first_name: tidy(text(&names.first_name).unwrap_or(first)),
            last_name: tidy(text(&names.last_name).unwrap_or(last)),
        })
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, AccountError> {
        let now = self.clock.now();
        let known = self
            .metadata
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((metadata, until)) = &known
            && now < *until
        {
            return Ok(Arc::clone(metadata));
        }
        match (self.discover().await, known) {
            (Ok(metadata), _) => {
                let fresh = (Arc::clone(&metadata), now.plus(METADATA_LIFE));
                *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
                Ok(metadata)
            }
            // What was true an hour ago is better than nobody logging in.
            (Err(_), Some((metadata, _))) => Ok(metadata),
            (Err(error), None) => Err(error),
        }
    }

    async fn discover(&self) -> Result<Arc<Metadata>, AccountError> {
        let ProviderKind::OpenId { issuer } = &self.settings.kind else {
            return Err(refused("it has no metadata"));
        };
        let url = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let answer = self
            .http
            .ask(ProviderRequest {
                url,
                authorization: None,
                body: None,
            })
            .await?;
        if answer.status != 200 {
            return Err(refused(&format!("its metadata answered {}", answer.status)));
        }
        let document: Value =
            serde_json::from_slice(&answer.body).map_err(|_| refused("its metadata is no JSON"))?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err(refused("its metadata is of another issuer"));
        }
        let address = |name: &str| {
            text(name)
                .filter(|url| is_safe(url))
                .map(str::to_owned)
                .ok_or_else(|| refused(&format!("its metadata has no usable `{name}`")))
        };
        let methods = document
            .get("token_endpoint_auth_methods_supported")
            .and_then(Value::as_array);
        let offers = |wanted: &str| {
            methods.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(wanted)))
        };
        let keys = RemoteJwks::new(
            address("jwks_uri")?,
            self.http.clone(),
            Arc::clone(&self.clock),
            RemoteJwksSettings::default(),
        );
        Ok(Arc::new(Metadata {
            authorize: address("authorization_endpoint")?,
            token: address("token_endpoint")?,
            userinfo: address("userinfo_endpoint").ok(),
            post_secret: offers("client_secret_post") && !offers("client_secret_basic"),
            keys,
        }))
    }
}

fn refused(why: &str) -> AccountError {
    AccountError::Provider(why.to_owned())
}

fn form(url: String, authorization: Option<Secret>, pairs: &[(&str, &str)]) -> ProviderRequest {
    let body = Serializer::new(String::new()).extend_pairs(pairs).finish();
    ProviderRequest {
        url,
        authorization,
        body: Some(("application/x-www-form-urlencoded", body.into())),
    }
}

// RFC 6749 §2.3.1: both are form-encoded first.
fn basic(id: &str, secret: &Secret) -> Secret {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret.expose()));
    format!("Basic {}", crypto::base64(pair.as_bytes())).into()
}

fn is_plain(token: &str) -> bool {
    !token.is_empty() && token.len() <= 16 * 1024 && token.bytes().all(|b| b.is_ascii_graphic())
}

/// Over TLS, or to this very machine.
fn is_safe(url: &str) -> bool {
    let clean = url.bytes().all(|b| b.is_ascii_graphic()) && !url.contains(['#', '\\', '"']);
    if let Some(rest) = url.strip_prefix("https://") {
        return clean && !rest.is_empty();
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    clean && matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

fn tidy(name: &str) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).collect();
    clean.trim().chars().take(super::LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_or_this_machine_is_asked() {
        for good in [
            "https://id.example",
            "http://127.0.0.1:9000/x",
            "http://localhost/",
            "http://[::1]:80",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in [
            "http://id.example",
            "https://",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1@evil.example/",
            "ftp://x",
            "https://x/\r\nA: b",
            "https://x/#y",
        ] {
            assert!(!is_safe(bad), "{bad}");
        }
    }
}
