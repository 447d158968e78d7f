//! Cross-origin resource sharing in proxy mode (WHATWG Fetch, "CORS protocol").

use heimdall_pipeline::Cors;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};

/// What a configuration allows other origins.
#[derive(Debug, Clone)]
pub(crate) struct CrossOrigin {
    origins: Vec<Origin>,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Option<HeaderValue>,
    credentials: bool,
    max_age: Option<HeaderValue>,
}

#[derive(Debug, Clone)]
enum Origin {
    Any,
    Exact(String),
    Around(String, String),
}

impl Origin {
    fn parse(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.split_once('*') {
            Some(("", "")) => Self::Any,
            Some((start, end)) => Self::Around(start.to_owned(), end.to_owned()),
            None => Self::Exact(text),
        }
    }

    fn takes(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(known) => known == origin,
            Self::Around(start, end) => {
                origin.len() >= start.len() + end.len()
                    && origin.starts_with(start.as_str())
                    && origin.ends_with(end.as_str())
            }
        }
    }
}

impl CrossOrigin {
    /// Reads the configuration. No origins means any, no methods means `GET`, `HEAD` and `POST`.
    pub(crate) fn new(config: &Cors) -> Self {
        let mut origins = config
            .allowed_origins
            .iter()
            .map(|origin| Origin::parse(origin))
            .collect::<Vec<_>>();
        if origins.is_empty() {
            origins.push(Origin::Any);
        }
        let mut methods = config
            .allowed_methods
            .iter()
            .map(|method| method.to_ascii_uppercase())
            .collect::<Vec<_>>();
        if methods.is_empty() {
            methods = ["GET", "POST", "HEAD"].map(str::to_owned).to_vec();
        }
        let seconds = config.max_age.as_secs();
        Self {
            origins,
            methods,
            headers: config
                .allowed_headers
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            exposed: (!config.exposed_headers.is_empty())
                .then(|| HeaderValue::from_str(&config.exposed_headers.join(", ")).ok())
                .flatten(),
            credentials: config.allow_credentials,
            max_age: (seconds > 0).then(|| HeaderValue::from(seconds)),
        }
    }

    /// The answer to a preflight, if the request is one. It asks no rule: it says nothing about the resource.
    pub(crate) fn preflight(
        &self,
        method: &Method,
        request: &HeaderMap,
    ) -> Option<(StatusCode, HeaderMap)> {
        let wanted = request.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        if *method != Method::OPTIONS {
            return None;
        }
        let mut answer = HeaderMap::new();
        answer.insert(
            header::VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        );
        let asked = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let allowed = wanted.to_str().is_ok_and(|method| {
            method == "OPTIONS" || self.methods.iter().any(|known| known == method)
        }) && asked.is_none_or(|names| self.takes_headers(names));
        if let Some(origin) = self.origin(request).filter(|_| allowed) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, wanted.clone());
            if let Some(names) = asked.filter(|names| !names.is_empty()) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
            self.add_credentials(&mut answer);
            if let Some(age) = &self.max_age {
                answer.insert(header::ACCESS_CONTROL_MAX_AGE, age.clone());
            }
        }
        Some((StatusCode::NO_CONTENT, answer))
    }

    /// The fields that every answer to this request gets; they replace those of the upstream.
    pub(crate) fn fields(
        &self,
        method: &Method,
        request: &HeaderMap,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut answer = HeaderMap::new();
        answer.append(header::VARY, HeaderValue::from_static("Origin"));
        let allowed =
            *method == Method::OPTIONS || self.methods.iter().any(|known| known == method.as_str());
        if let Some(origin) = self.origin(request).filter(|_| allowed) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            self.add_credentials(&mut answer);
            if let Some(exposed) = &self.exposed {
                answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
        answer
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)))
            .collect()
    }

    fn origin(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let value = request.get(header::ORIGIN)?;
        let origin = value.to_str().ok()?.to_ascii_lowercase();
        if self
            .origins
            .iter()
            .any(|known| matches!(known, Origin::Any))
        {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins
            .iter()
            .any(|known| known.takes(&origin))
            .then(|| value.clone())
    }

    fn takes_headers(&self, names: &HeaderValue) -> bool {
        let all = self.headers.iter().any(|known| known == "*");
        names.to_str().is_ok_and(|names| {
            names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .all(|name| {
                    all || name.eq_ignore_ascii_case("origin")
                        || self
                            .headers
                            .iter()
                            .any(|known| known.eq_ignore_ascii_case(name))
                })
        })
    }

    fn add_credentials(&self, answer: &mut HeaderMap) {
        if self.credentials {
            answer.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_exactly_or_around_one_star() {
        let origin = Origin::parse("https://*.example");
        assert!(
            origin.takes("https://a.example")
                && !origin.takes("https://a.example.evil")
                && !origin.takes("https://.exampl")
        );
        assert!(Origin::parse("https://ok.example").takes("https://ok.example"));
    }
}
