use actix_web::HttpRequest;
use actix_web::http::header;
use heimdall_token::crypto::{base64url, from_base64url, hmac_sha256, hmac_sha256_matches};
use heimdall_types::Secret;

use crate::Problem;

/// Form tokens bound to a session: an HMAC of the session's id, so a token of another session is worth nothing and
/// nothing has to be stored.
#[derive(Clone)]
pub struct Csrf(Secret);

impl std::fmt::Debug for Csrf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Csrf")
    }
}

impl Csrf {
    /// Tokens under this key; every instance needs the same one.
    pub fn new(key: &Secret) -> Self {
        Self(key.clone())
    }

    /// The hidden field's value for a session.
    pub fn token(&self, session: &str) -> String {
        base64url(&hmac_sha256(
            self.0.expose().as_bytes(),
            subject(session).as_bytes(),
        ))
    }

    /// Checks a posted form: same origin, and the token of this session, compared in constant time.
    ///
    /// # Errors
    /// 403.
    pub fn check(&self, request: &HttpRequest, session: &str, given: &str) -> Result<(), Problem> {
        let given = from_base64url(given).unwrap_or_default();
        let holds = hmac_sha256_matches(
            self.0.expose().as_bytes(),
            subject(session).as_bytes(),
            &given,
        );
        if holds && same_origin(request) {
            return Ok(());
        }
        Err(Problem::forbidden(
            "form_expired",
            "this form is not valid any more, open the page again",
        ))
    }
}

fn subject(session: &str) -> String {
    format!("csrf:{session}")
}

/// Whether a request that changes something was made by a page of this very host. `Origin: null`, another origin and
/// `Sec-Fetch-Site: cross-site` are not; a client that sends neither header (no browser of the last years) is.
pub fn same_origin(request: &HttpRequest) -> bool {
    let text = |name| {
        request
            .headers()
            .get(name)
            .map(|value: &header::HeaderValue| value.to_str().unwrap_or("null"))
    };
    let site = text(header::HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    match text(header::ORIGIN) {
        None => true,
        // Our own pages say `no-referrer`, and with it a browser sends the origin of their forms as `null` (Fetch,
        // "append a request `Origin` header"). No page can forge `Sec-Fetch-Site`, so that one decides then.
        Some("null") => site == Some("same-origin"),
        Some(origin) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text(header::HOST)
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let base = TestRequest::default().insert_header(("host", "a.example"));
        headers
            .iter()
            .fold(base, |r, h| r.insert_header(*h))
            .to_http_request()
    }

    #[test]
    fn a_token_holds_for_its_session_only() {
        let csrf = Csrf::new(&"key".into());
        let token = csrf.token("ses_1");
        assert!(csrf.check(&request(&[]), "ses_1", &token).is_ok());
        assert!(csrf.check(&request(&[]), "ses_2", &token).is_err());
        assert!(csrf.check(&request(&[]), "ses_1", "").is_err());
        assert!(
            csrf.check(&request(&[("origin", "null")]), "ses_1", &token)
                .is_err()
        );
    }

    #[test]
    fn other_origins_are_told_apart() {
        assert!(same_origin(&request(&[("origin", "https://a.example")])));
        assert!(!same_origin(&request(&[("origin", "https://b.example")])));
        assert!(!same_origin(&request(&[
            ("origin", "https://a.example"),
            ("sec-fetch-site", "cross-site")
        ])));
        assert!(same_origin(&request(&[
            ("origin", "null"),
            ("sec-fetch-site", "same-origin")
        ])));
        assert!(!same_origin(&request(&[("origin", "null")])));
    }
}
