use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use crate::{Problem, strict_json};

/// The query string, read strictly: a parameter that is unknown, there twice, no UTF-8 or of the wrong type is a 400
/// that names it; a missing one a 422. Give `T` `#[serde(deny_unknown_fields)]`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(decode(request.query_string().as_bytes()).map(Self))
    }
}

/// Reads `name=value&…` into `T`; used for queries and forms alike.
pub(crate) fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    pairs(text)?;
    let reader = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        let problem = strict_json::refusal(
            if path == "." { "" } else { &path },
            &error.inner().to_string(),
        );
        // A number that does not parse is a custom message of serde_urlencoded: a wrong type all the same.
        if problem.details().iter().any(|d| d.reason == "is missing") || problem.status() == 400 {
            return problem;
        }
        Problem::bad_field(path, "cannot be read")
    })
}

/// The pairs in their order, with the checks that need no type.
pub(crate) fn pairs(text: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let mut all: Vec<(String, String)> = Vec::new();
    for part in text.split(|b| *b == b'&').filter(|part| !part.is_empty()) {
        for (name, value) in form_urlencoded::parse(part) {
            let shown: String = name.chars().take(64).collect();
            // The parser replaces what is no UTF-8; a replaced value must not pass for what was meant.
            if name.contains(['\0', '\u{fffd}']) || value.contains(['\0', '\u{fffd}']) {
                return Err(Problem::bad_field(shown, "is no clean UTF-8"));
            }
            if all.iter().any(|(known, _)| *known == name) {
                return Err(Problem::bad_field(shown, "is there twice"));
            }
            all.push((name.into_owned(), value.into_owned()));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        limit: Option<u32>,
        cursor: Option<String>,
    }

    fn refused(text: &str) -> (u16, String) {
        let problem = decode::<Wanted>(text.as_bytes()).unwrap_err();
        (
            problem.status().as_u16(),
            problem.details()[0].field.clone(),
        )
    }

    #[test]
    fn parameters_are_read_with_their_types() {
        let read: Wanted = decode(b"limit=7&cursor=a%20b").unwrap();
        assert_eq!((read.limit, read.cursor.as_deref()), (Some(7), Some("a b")));
        assert!(decode::<Wanted>(b"").is_ok());
    }

    #[test]
    fn a_refusal_names_the_parameter() {
        assert_eq!(refused("limit=1&limit=2"), (400, "limit".into()));
        assert_eq!(refused("order=up"), (400, "order".into()));
        assert_eq!(refused("cursor=%00"), (400, "cursor".into()));
        assert_eq!(refused("cursor=%ff"), (400, "cursor".into()));
        for bad in [
            "limit=x",
            "limit=-1",
            "limit=1.5",
            "limit=99999999999",
            "limit=",
        ] {
            assert_eq!(refused(bad), (400, "limit".into()), "{bad}");
        }
    }
}
