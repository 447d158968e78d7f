//! Endpoints: templated requests with authentication, repetition and an HTTP cache.

mod cache;
mod retry;

use std::sync::Arc;
use std::time::Duration;

use heimdall_finalizer::settings::{Fields, Issues, Node, NodeKind, Strictness};
use heimdall_finalizer::url::{encode_query, parse_query};
use heimdall_finalizer::{
    Failure, Flow, HttpFault, HttpRequest, HttpResponse, KeyParts, Kind, Scope, Text, TokenClient,
    TokenHeader, basic, check_url, is_token, read_secret, unreachable,
};
use heimdall_types::{Clock, Secret};

use crate::endpoint::cache::HttpCache;
use crate::tools::Tools;
use crate::{Deps, Http, Timer};

/// An answer beyond this is refused.
const LARGEST_ANSWER: usize = 1 << 20;
/// No exchange takes longer, repeated or not.
const LONGEST: Duration = Duration::from_secs(30);
const MOST_REDIRECTS: usize = 10;

/// Where to ask, and how.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) url: Text,
    pub(crate) method: Option<String>,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) retry: Option<Retry>,
    pub(crate) auth: Option<Auth>,
    pub(crate) cache: Option<CachePolicy>,
}

/// How long to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) give_up_after: Duration,
    pub(crate) max_delay: Duration,
}

/// Whether and how answers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CachePolicy {
    pub(crate) enabled: bool,
    pub(crate) default_ttl: Duration,
}

/// How we tell an endpoint who we are.
#[derive(Clone)]
pub(crate) enum Auth {
    Basic {
        user: String,
        password: Secret,
    },
    ApiKey {
        place: Place,
        name: String,
        value: Secret,
    },
    ClientCredentials {
        flow: Box<Flow>,
        header: TokenHeader,
    },
}

/// Where an API key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Header,
    Cookie,
    Query,
}

impl Endpoint {
    /// Reads an endpoint: a URL, or a map.
    pub(crate) fn read(
        node: &Node,
        path: &str,
        strictness: Strictness,
        tools: &Tools,
        issues: &Issues,
    ) -> Option<Self> {
        if let NodeKind::Text(url) = &node.kind {
            return Self::at(url, node.line, path, tools, issues);
        }
        let mut fields = Fields::open(node, path, strictness, issues)?;
        let endpoint = Self::read_members(&mut fields, tools);
        fields.close();
        endpoint
    }

    fn at(url: &str, line: usize, path: &str, tools: &Tools, issues: &Issues) -> Option<Self> {
        if let Err(message) = check_url(url, !tools.relaxed.egress_tls) {
            issues.note(line, path, message);
            return None;
        }
        Some(Self {
            url: tools.parse(url, line, path, issues)?,
            method: None,
            headers: Vec::new(),
            retry: None,
            auth: None,
            cache: None,
        })
    }

    /// Reads the members of an endpoint, so that a caller can read its own beside them.
    pub(crate) fn read_members(fields: &mut Fields<'_>, tools: &Tools) -> Option<Self> {
        let url = fields.required_text("url");
        let line = fields.node("url").map_or(0, |node| node.line);
        let endpoint =
            url.and_then(|url| Self::at(url, line, &fields.at("url"), tools, fields.issues()));
        let method = fields
            .text("method")
            .filter(|method| !method.is_empty())
            .map(str::to_owned);
        if method.as_deref().is_some_and(|method| !is_token(method)) {
            fields.wrong("method", "is no method");
        }
        let mut headers = Vec::new();
        for (name, source, line) in fields.text_map("headers").unwrap_or_default() {
            let at = format!("{}.{name}", fields.at("headers"));
            if !is_token(name) {
                fields.issues().note(line, &at, "is no legal header name");
            }
            headers.extend(
                tools
                    .parse(source, line, &at, fields.issues())
                    .map(|text| (name.to_owned(), text)),
            );
        }
        headers.sort_by(|a, b| a.0.cmp(&b.0));
        let settings = Settings::read(fields, tools);
        Some(Self {
            method,
            headers,
            retry: settings.retry,
            auth: settings.auth,
            cache: settings.cache,
            ..endpoint?
        })
    }

    /// This endpoint, with a header and a method where it names none.
    #[must_use]
    pub(crate) fn with_defaults(
        mut self,
        method: &str,
        headers: &[(&str, &str)],
        tools: &Tools,
    ) -> Self {
        self.method.get_or_insert_with(|| method.to_owned());
        for (name, value) in headers {
            if !self
                .headers
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                self.headers.extend(
                    tools
                        .parse(value, 0, name, &Issues::default())
                        .map(|text| ((*name).to_owned(), text)),
                );
            }
        }
        self
    }

    /// Everything a request to it depends on, except templates' data.
    pub(crate) fn add_to(&self, key: &mut KeyParts) {
        key.add(self.url.source().as_bytes());
        key.add(self.method.as_deref().unwrap_or_default().as_bytes());
        key.add_all(
            self.headers
                .iter()
                .flat_map(|(name, text)| [name.as_str(), text.source()])
                .collect::<Vec<_>>()
                .into_iter(),
        );
        match &self.auth {
            None => key.add(b"none"),
            Some(Auth::Basic { user, password }) => {
                key.add_all(["basic", user, password.expose()].into_iter())
            }
            Some(Auth::ApiKey { place, name, value }) => {
                key.add(&[*place as u8]);
                key.add_all(["key", name, value.expose()].into_iter());
            }
            Some(Auth::ClientCredentials { flow, header }) => {
                key.add_all(
                    [
                        "flow",
                        &flow.token_url,
                        &flow.client_id,
                        &flow.scopes.join(" "),
                        &header.name,
                    ]
                    .into_iter(),
                );
            }
        }
    }

    /// Renders the request.
    pub(crate) fn request(
        &self,
        scope: &Scope<'_>,
        body: Option<String>,
    ) -> Result<HttpRequest, Failure> {
        let mut headers = Vec::with_capacity(self.headers.len() + 2);
        for (name, text) in &self.headers {
            let value = text.render(scope)?;
            if value
                .bytes()
                .any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f)
            {
                return Err(Failure::new(
                    Kind::Internal,
                    format!("value of header `{name}` is no legal header value"),
                ));
            }
            headers.push((name.clone(), value));
        }
        let url = self.url.render(scope)?;
        if url.bytes().any(|byte| byte <= 0x20 || byte == 0x7f) {
            return Err(Failure::new(
                Kind::Internal,
                "failed to create a request: the URL holds blanks",
            ));
        }
        check_url(&url, false).map_err(|message| Failure::new(Kind::Internal, message))?;
        Ok(HttpRequest {
            method: self.method.clone().unwrap_or_else(|| "POST".to_owned()),
            url,
            headers,
            body: body.map(String::into_bytes).unwrap_or_default(),
            timeout: LONGEST,
            max_body: LARGEST_ANSWER,
        })
    }
}

struct Settings {
    retry: Option<Retry>,
    auth: Option<Auth>,
    cache: Option<CachePolicy>,
}

impl Settings {
    fn read(fields: &mut Fields<'_>, tools: &Tools) -> Self {
        let retry = fields.section("retry").map(|mut section| {
            let retry = Retry {
                give_up_after: section
                    .duration("give_up_after")
                    .unwrap_or(Duration::from_secs(1)),
                max_delay: section
                    .duration("max_delay")
                    .unwrap_or(Duration::from_millis(100)),
            };
            section.close();
            retry
        });
        let auth = fields
            .section("auth")
            .and_then(|section| Auth::read(section, tools));
        let cache = fields.section("http_cache").map(|mut section| {
            let policy = CachePolicy {
                enabled: section.flag("enabled").unwrap_or(false),
                default_ttl: section.duration("default_ttl").unwrap_or_default(),
            };
            section.close();
            policy
        });
        Self { retry, auth, cache }
    }
}

/// Settings of an endpoint that a metadata document names.
#[derive(Clone, Default)]
pub(crate) struct Resolved {
    pub(crate) retry: Option<Retry>,
    pub(crate) auth: Option<Auth>,
    pub(crate) cache: Option<CachePolicy>,
}

impl Resolved {
    pub(crate) fn read(mut fields: Fields<'_>, tools: &Tools) -> Self {
        let settings = Settings::read(&mut fields, tools);
        fields.close();
        Self {
            retry: settings.retry,
            auth: settings.auth,
            cache: settings.cache,
        }
    }
}

impl Auth {
    fn read(mut fields: Fields<'_>, tools: &Tools) -> Option<Self> {
        let kind = fields.required_text("type");
        fields.required("config");
        let config = fields.section("config");
        let auth = match (kind?, config) {
            ("basic_auth", Some(mut config)) => {
                let user = config.required_text("user").map(str::to_owned);
                let password = config
                    .required_text("password")
                    .and_then(|_| read_secret(&mut config, "password", &*tools.deps.files));
                config.close();
                Some(Self::Basic {
                    user: user?,
                    password: password?,
                })
            }
            ("api_key", Some(mut config)) => {
                config.required("in");
                let place = match config.word("in", &["header", "cookie", "query"]) {
                    Some("header") => Some(Place::Header),
                    Some("cookie") => Some(Place::Cookie),
                    Some(_) => Some(Place::Query),
                    None => None,
                };
                let name = config.required_text("name").map(str::to_owned);
                if place == Some(Place::Header)
                    && name.as_deref().is_some_and(|name| !is_token(name))
                {
                    config.wrong("name", "is no legal header name");
                }
                let value = config
                    .required_text("value")
                    .and_then(|_| read_secret(&mut config, "value", &*tools.deps.files));
                config.close();
                Some(Self::ApiKey {
                    place: place?,
                    name: name?,
                    value: value?,
                })
            }
            ("oauth2_client_credentials", Some(mut config)) => {
                let flow = Flow::read(&mut config, !tools.relaxed.egress_tls, &*tools.deps.files);
                let mut header = TokenHeader::read(&mut config).unwrap_or_default();
                // unlike in the finalizer of that name, a header without a scheme takes the token's own
                header.scheme = header.scheme.filter(|scheme| !scheme.is_empty());
                config.close();
                Some(Self::ClientCredentials {
                    flow: Box::new(flow?),
                    header,
                })
            }
            ("http_message_signatures", _) => {
                fields.wrong("type", "`http_message_signatures` is not supported");
                None
            }
            (other, Some(_)) => {
                let known = ["basic_auth", "api_key", "oauth2_client_credentials"];
                fields
                    .issues()
                    .unknown(fields.line(), &fields.at("type"), other, known);
                None
            }
            (_, None) => None,
        };
        fields.close();
        auth
    }

    async fn apply(&self, request: &mut HttpRequest, tokens: &TokenClient) -> Result<(), Failure> {
        match self {
            Self::Basic { user, password } => {
                set_header(request, "Authorization", basic(user, password.expose()));
            }
            Self::ApiKey {
                place: Place::Header,
                name,
                value,
            } => set_header(request, name, value.expose().to_owned()),
            Self::ApiKey {
                place: Place::Cookie,
                name,
                value,
            } => {
                add_cookie(request, name, value.expose());
            }
            Self::ApiKey {
                place: Place::Query,
                name,
                value,
            } => {
                let (base, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
                let mut pairs = parse_query(query);
                pairs.retain(|(known, _)| known != name);
                pairs.push((name.clone(), value.expose().to_owned()));
                let query = encode_query(
                    pairs
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str())),
                );
                request.url = format!("{base}?{query}");
            }
            Self::ClientCredentials { flow, header } => {
                let token = tokens.token(flow).await.map_err(|cause| {
                    Failure::new(Kind::Internal, "failed to authenticate request").caused_by(&cause)
                })?;
                set_header(
                    request,
                    &header.name,
                    header.value(&token.scheme, &token.token),
                );
            }
        }
        Ok(())
    }
}

/// Replaces a header field.
pub(crate) fn set_header(request: &mut HttpRequest, name: &str, value: String) {
    request
        .headers
        .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    request.headers.push((name.to_owned(), value));
}

/// Adds a cookie to those that are there.
pub(crate) fn add_cookie(request: &mut HttpRequest, name: &str, value: &str) {
    match request
        .headers
        .iter_mut()
        .find(|(known, _)| known.eq_ignore_ascii_case("cookie"))
    {
        Some((_, line)) => line.push_str(&format!("; {name}={value}")),
        None => request
            .headers
            .push(("Cookie".to_owned(), format!("{name}={value}"))),
    }
}

/// Calls endpoints.
pub(crate) struct Caller {
    http: Arc<dyn Http>,
    timer: Arc<dyn Timer>,
    clock: Arc<dyn Clock>,
    tokens: Arc<TokenClient>,
    cache: HttpCache,
}

impl Caller {
    pub(crate) fn new(deps: &Deps, tokens: Arc<TokenClient>) -> Self {
        Self {
            http: deps.http.clone(),
            timer: deps.timer.clone(),
            clock: deps.clock.clone(),
            tokens,
            cache: HttpCache::new(deps.clock.clone()),
        }
    }

    /// Sends a rendered request of an endpoint. `what` names the endpoint in messages.
    pub(crate) async fn call(
        &self,
        endpoint: &Endpoint,
        mut request: HttpRequest,
        what: &str,
    ) -> Result<Arc<HttpResponse>, Failure> {
        if let Some(auth) = &endpoint.auth {
            let own = std::mem::take(&mut request.headers);
            auth.apply(&mut request, &self.tokens).await?;
            // configured headers come after authentication, so that they win
            for (name, value) in own {
                if name.eq_ignore_ascii_case("cookie") {
                    request.headers.push((name, value));
                } else {
                    set_header(&mut request, &name, value);
                }
            }
        }
        let policy = endpoint.cache.filter(|policy| policy.enabled);
        if let Some(answer) = policy.and_then(|_| self.cache.get(&request)) {
            return Ok(answer);
        }
        let answer = self
            .exchange(&request, endpoint.retry)
            .await
            .map_err(|fault| unreachable(&fault, what))?;
        let answer = Arc::new(answer);
        if let Some(policy) = policy {
            self.cache.put(&request, &answer, policy.default_ttl);
        }
        Ok(answer)
    }

    async fn exchange(
        &self,
        request: &HttpRequest,
        retry: Option<Retry>,
    ) -> Result<HttpResponse, HttpFault> {
        match retry {
            Some(retry) => retry::repeat(self, request, retry).await,
            None => self.follow(request.clone()).await,
        }
    }

    /// One exchange, redirects included.
    async fn follow(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        let deadline = self.clock.now().plus(request.timeout);
        for _ in 0..=MOST_REDIRECTS {
            request.timeout = deadline.since(self.clock.now());
            let url = request.url.clone();
            let answer = self.http.send(request.clone()).await?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let Some(location) = answer.header("location") else {
                return Ok(answer);
            };
            request.url = resolve(&url, location)
                .ok_or_else(|| HttpFault::Unreachable("bad redirect".to_owned()))?;
            if origin(&request.url) != origin(&url) {
                request.headers.retain(|(name, _)| {
                    !["authorization", "cookie", "www-authenticate"]
                        .contains(&name.to_ascii_lowercase().as_str())
                });
            }
            let keeps_body = matches!(answer.status, 307 | 308);
            if !keeps_body && request.method != "HEAD" {
                if request.method != "GET" {
                    request.method = "GET".to_owned();
                }
                request.body.clear();
                request
                    .headers
                    .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            }
        }
        Err(HttpFault::Unreachable(
            "stopped after 10 redirects".to_owned(),
        ))
    }
}

fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(start..).unwrap_or_default();
    let end = rest
        .find(['/', '?', '#'])
        .map_or(url.len(), |at| start + at);
    url.get(..end).unwrap_or_default()
}

/// The target of a redirect, relative to where it came from.
fn resolve(base: &str, location: &str) -> Option<String> {
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        let scheme = base.split("://").next()?;
        return Some(format!("{scheme}://{rest}"));
    }
    if location.contains("://") {
        return None;
    }
    let origin = origin(base);
    if location.starts_with('/') {
        return Some(format!("{origin}{location}"));
    }
    let path = base.get(origin.len()..)?.split(['?', '#']).next()?;
    let folder = path
        .rfind('/')
        .and_then(|at| path.get(..=at))
        .unwrap_or("/");
    Some(format!("{origin}{folder}{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_like_links() {
        let base = "http://a.example:80/x/y?q=1";
        assert_eq!(resolve(base, "/z").unwrap(), "http://a.example:80/z");
        assert_eq!(resolve(base, "z").unwrap(), "http://a.example:80/x/z");
        assert_eq!(resolve(base, "//b/c").unwrap(), "http://b/c");
        assert_eq!(resolve(base, "https://b/c").unwrap(), "https://b/c");
        assert!(resolve(base, "file:///etc/passwd").is_none());
        assert_eq!(origin("http://a?x"), "http://a");
    }
}
