use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use heimdall_token::crypto::from_base64;
use heimdall_types::Secret;

use crate::Problem;

/// What the one `Authorization` header holds. Tokens in a query are never looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authorization {
    /// `Bearer TOKEN`.
    Bearer(Secret),
    /// `DPoP TOKEN` (RFC 9449 §7.1).
    Dpop(Secret),
    /// `Basic`: user and password, percent-decoded as RFC 6749 §2.3.1 has it.
    Basic {
        /// The user, for us the `client_id`.
        user: String,
        /// The password, for us the `client_secret`.
        password: Secret,
    },
}

impl Authorization {
    /// Reads the header; `None` without one.
    ///
    /// # Errors
    /// 400 for two `Authorization` headers or one that cannot be read, 401 for a scheme that is not known here.
    pub fn of(request: &HttpRequest) -> Result<Option<Self>, Problem> {
        let mut all = request.headers().get_all(header::AUTHORIZATION);
        let Some(value) = all.next() else {
            return Ok(None);
        };
        if all.next().is_some() {
            return Err(Problem::bad_request(
                "two_credentials",
                "there is more than one `Authorization` header",
            ));
        }
        let unreadable = || {
            Problem::bad_request(
                "bad_authorization",
                "the `Authorization` header cannot be read",
            )
        };
        let text = value.to_str().map_err(|_| unreadable())?.trim();
        let (scheme, rest) = text.split_once(' ').ok_or_else(unreadable)?;
        let rest = rest.trim();
        if rest.is_empty() || rest.contains([' ', ',']) {
            return Err(unreadable());
        }
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Ok(Some(Self::Bearer(Secret::new(rest)))),
            "dpop" => Ok(Some(Self::Dpop(Secret::new(rest)))),
            "basic" => basic(rest).map(Some).ok_or_else(unreadable),
            _ => Err(Problem::unauthorized(
                "this authorization scheme is not known here",
            )),
        }
    }
}

fn basic(encoded: &str) -> Option<Authorization> {
    let text = String::from_utf8(from_base64(encoded)?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Authorization::Basic {
        user: form_decoded(user)?,
        password: Secret::new(form_decoded(password)?),
    })
}

// RFC 6749 §2.3.1 wants both parts form-encoded before they go into Basic. A `+` inside our own ids and secrets
// does not occur, so decoding never changes one that was sent plainly.
fn form_decoded(text: &str) -> Option<String> {
    let one_name = text.replace('&', "%26").replace('=', "%3D");
    let (decoded, _) = form_urlencoded::parse(one_name.as_bytes()).next()?;
    Some(decoded.into_owned())
}

/// A bearer token that must be there.
///
/// Answers 401 without one (also when there is only `Basic`), 400 for two `Authorization` headers.
#[derive(Debug, Clone)]
pub struct Bearer(pub Secret);

impl FromRequest for Bearer {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match Authorization::of(request) {
            Ok(Some(Authorization::Bearer(token))) => Ok(Self(token)),
            Ok(_) => Err(Problem::unauthorized("a bearer token is needed")),
            Err(problem) => Err(problem),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<Authorization>, u16> {
        let request = values.iter().fold(TestRequest::default(), |r, v| {
            r.append_header(("authorization", *v))
        });
        Authorization::of(&request.to_http_request()).map_err(|p| p.status().as_u16())
    }

    #[test]
    fn one_header_is_read_whatever_the_case_of_its_scheme() {
        assert_eq!(
            read(&["bEaReR abc"]),
            Ok(Some(Authorization::Bearer("abc".into())))
        );
        assert_eq!(
            read(&["DPoP abc"]),
            Ok(Some(Authorization::Dpop("abc".into())))
        );
        let basic = Authorization::Basic {
            user: "cli_1".into(),
            password: "a:b/c".into(),
        };
        assert_eq!(read(&["Basic Y2xpXzE6YSUzQWIlMkZj"]), Ok(Some(basic)));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn two_headers_or_rubbish_are_a_400_and_a_foreign_scheme_a_401() {
        assert_eq!(read(&["Bearer a", "Bearer a"]), Err(400));
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Basic !!",
            "Basic YQ==",
            "Bearer a, Basic b",
        ] {
            assert_eq!(read(&[bad]), Err(400), "{bad}");
        }
        assert_eq!(read(&["Negotiate abc"]), Err(401));
    }
}
