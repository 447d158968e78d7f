//! The client credentials flow of OAuth 2 (RFC 6749 §4.4).

use std::sync::Arc;
use std::time::Duration;

use heimdall_types::{Clock, Secret, Timestamp};
use serde_json::Value;

use crate::cache::{Deadlined, Key, KeyParts};
use crate::flights::Flights;
use crate::settings::Fields;
use crate::url::{Place, encode_query, escape};
use crate::{Failure, Files, Http, HttpFault, HttpRequest, Kind, read_secret};

const TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_ANSWER: usize = 64 * 1024;
/// A token is not given out in its last seconds, so that it is still good when it arrives.
const LEEWAY: Duration = Duration::from_secs(5);

/// How the client tells who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// `Authorization: Basic`, id and secret form-encoded (RFC 6749 §2.3.1).
    BasicAuth,
    /// `client_id` and `client_secret` in the body.
    RequestBody,
}

/// Where a token comes from and for whom.
#[derive(Debug, Clone)]
pub struct Flow {
    /// Token endpoint.
    pub token_url: String,
    /// Client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// How it tells who it is.
    pub method: AuthMethod,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// Longest time in the cache; zero switches the cache off.
    pub cache_ttl: Option<Duration>,
}

/// An access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// Its type as a scheme: `Bearer` however it was spelt.
    pub scheme: String,
    /// When it ends, where the answer tells.
    pub expires: Option<Timestamp>,
}

impl Flow {
    /// Reads the members of a configuration; `header` and anything else is the caller's.
    pub fn read(fields: &mut Fields<'_>, tls_required: bool, files: &dyn Files) -> Option<Self> {
        let token_url = fields.required_text("token_url");
        if let Some(url) = token_url
            && let Err(message) = check_url(url, tls_required)
        {
            fields.wrong("token_url", message);
        }
        let client_id = fields.required_text("client_id");
        let client_secret = fields
            .required_text("client_secret")
            .and_then(|_| read_secret(fields, "client_secret", files));
        let method = match fields.word("auth_method", &["basic_auth", "request_body"]) {
            Some("request_body") => AuthMethod::RequestBody,
            _ => AuthMethod::BasicAuth,
        };
        let scopes = fields.texts("scopes").unwrap_or_default();
        let cache_ttl = fields.duration("cache_ttl");
        Some(Self {
            token_url: token_url?.to_owned(),
            client_id: client_id?.to_owned(),
            client_secret: client_secret?,
            method,
            scopes,
            cache_ttl,
        })
    }

    /// Everything the token depends on.
    pub fn key(&self) -> Key {
        let mut key = KeyParts::new("oauth2");
        key.add(self.token_url.as_bytes());
        key.add(self.client_id.as_bytes());
        key.add(self.client_secret.expose().as_bytes());
        key.add(&[self.method as u8]);
        key.add_all(self.scopes.iter().map(String::as_str));
        key.add(
            &self
                .cache_ttl
                .map_or(u128::MAX, |ttl| ttl.as_nanos())
                .to_le_bytes(),
        );
        key.digest()
    }

    fn request(&self) -> HttpRequest {
        let scope = self.scopes.join(" ");
        let mut pairs = vec![("grant_type", "client_credentials")];
        if !self.scopes.is_empty() {
            pairs.push(("scope", &scope));
        }
        let mut headers = vec![
            (
                "Content-Type".to_owned(),
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("Accept".to_owned(), "application/json".to_owned()),
        ];
        match self.method {
            AuthMethod::RequestBody => {
                pairs.push(("client_id", &self.client_id));
                pairs.push(("client_secret", self.client_secret.expose()));
            }
            AuthMethod::BasicAuth => {
                let id = escape(self.client_id.as_bytes(), Place::Query);
                let secret = escape(self.client_secret.expose().as_bytes(), Place::Query);
                headers.push(("Authorization".to_owned(), basic(&id, &secret)));
            }
        }
        HttpRequest {
            method: "POST".to_owned(),
            url: self.token_url.clone(),
            headers,
            body: encode_query(pairs).into_bytes(),
            timeout: TIMEOUT,
            max_body: LARGEST_ANSWER,
        }
    }

    /// Until when a token may be kept: the shorter of its own life and `cache_ttl`, less the leeway.
    fn keep_until(&self, token: &AccessToken, now: Timestamp) -> Option<Timestamp> {
        if self.cache_ttl == Some(Duration::ZERO) {
            return None;
        }
        let own = token.expires.map(|end| end.minus(LEEWAY));
        let set = self.cache_ttl.map(|ttl| now.plus(ttl));
        match (own, set) {
            (Some(own), Some(set)) => Some(own.min(set)),
            (own, set) => own.or(set),
        }
    }
}

/// The value of `Authorization` for Basic.
pub fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
    )
}

/// Whether a text is the absolute URL of an endpoint. It may hold templates behind the authority.
///
/// # Errors
/// A sentence for the operator.
pub fn check_url(url: &str, tls_required: bool) -> Result<(), String> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| format!("`{url}` is no absolute URL"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if scheme.is_empty() || host.is_empty() {
        return Err(format!("`{url}` is no absolute URL"));
    }
    if tls_required && scheme != "https" {
        return Err("scheme must be https".to_owned());
    }
    Ok(())
}

/// Fetches tokens, keeps them while they are good, and asks once for callers at once.
pub struct TokenClient {
    http: Arc<dyn Http>,
    clock: Arc<dyn Clock>,
    tokens: Deadlined<Arc<AccessToken>>,
    flights: Flights<Key, Result<Arc<AccessToken>, Failure>>,
}

impl TokenClient {
    /// A client with an empty cache.
    pub fn new(http: Arc<dyn Http>, clock: Arc<dyn Clock>) -> Self {
        Self {
            http,
            tokens: Deadlined::new(1_000, clock.clone()),
            clock,
            flights: Flights::default(),
        }
    }

    /// A token, from the cache where one is still good.
    ///
    /// # Errors
    /// [`Kind::Communication`] when there is none; [`Kind::Internal`] when the answer is garbage.
    pub async fn token(&self, flow: &Flow) -> Result<Arc<AccessToken>, Failure> {
        let key = flow.key();
        if let Some(token) = self.tokens.get(&key) {
            return Ok(token);
        }
        let cached = flow.cache_ttl != Some(Duration::ZERO);
        let fetch = || {
            let (http, clock, request) = (self.http.clone(), self.clock.clone(), flow.request());
            async move { fetch(&*http, &*clock, request).await.map(Arc::new) }
        };
        let token = if cached {
            self.flights.join(key.clone(), fetch).await?
        } else {
            fetch().await?
        };
        if let Some(until) = flow.keep_until(&token, self.clock.now()) {
            self.tokens.put(key, token.clone(), until);
        }
        Ok(token)
    }
}

async fn fetch(
    http: &dyn Http,
    clock: &dyn Clock,
    request: HttpRequest,
) -> Result<AccessToken, Failure> {
    let asked = clock.now();
    let answer = http
        .send(request)
        .await
        .map_err(|fault| unreachable(&fault, "token endpoint"))?;
    let parsed: Result<Value, _> = serde_json::from_slice(&answer.body);
    match answer.status {
        200 => {}
        400 => {
            let refusal = parsed
                .ok()
                .filter(Value::is_object)
                .map(|body| rfc6749_error(&body));
            let text = refusal.unwrap_or_else(|| "failed to fetch token".to_owned());
            return Err(Failure::new(Kind::Communication, text));
        }
        status => {
            return Err(Failure::new(
                Kind::Communication,
                format!("unexpected response code: {status}"),
            ));
        }
    }
    let body = parsed
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Failure::new(Kind::Internal, "failed to unmarshal response"))?;
    if body.get("error").is_some() {
        return Err(Failure::new(Kind::Communication, rfc6749_error(&body)));
    }
    let expires = match body.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(number) => match number.as_i64() {
            Some(0) => None,
            Some(seconds) => {
                Some(asked.plus(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
            }
            None => {
                return Err(Failure::new(
                    Kind::Internal,
                    "failed to unmarshal response: `expires_in` is no number",
                ));
            }
        },
    };
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(Failure::new(
            Kind::Internal,
            format!("failed to unmarshal response: `{name}` is no text"),
        )),
    };
    let scheme = text("token_type")?;
    let scheme = ["Bearer", "MAC", "Basic"]
        .into_iter()
        .find(|known| {
            known.eq_ignore_ascii_case(&scheme) || (scheme.is_empty() && *known == "Bearer")
        })
        .map_or(scheme.clone(), str::to_owned);
    let token = text("access_token")?;
    if token.is_empty() || token.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(Failure::new(
            Kind::Communication,
            "the answer holds no usable access token",
        ));
    }
    Ok(AccessToken {
        token,
        scheme,
        expires,
    })
}

fn rfc6749_error(body: &Value) -> String {
    let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("error from oauth2 server: error: {}", member("error"));
    for name in ["error_description", "error_uri"] {
        if !member(name).is_empty() {
            text.push_str(&format!(", {name}: {}", member(name)));
        }
    }
    text
}

/// The failure that a fault of the HTTP port is.
pub fn unreachable(fault: &HttpFault, what: &str) -> Failure {
    match fault {
        HttpFault::Timeout => {
            Failure::new(Kind::Timeout, format!("request to the {what} timed out"))
        }
        other => Failure::new(
            Kind::Communication,
            format!("request to the {what} failed: {other}"),
        ),
    }
}
