use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use crate::{Problem, body, query};

/// A form body (`application/x-www-form-urlencoded`), read as strictly as [`crate::Query`].
#[derive(Debug, Clone)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Form<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            if !body::is_type(&request, &["application/x-www-form-urlencoded"]) {
                return Err(Problem::unsupported_media(
                    "`application/x-www-form-urlencoded`",
                ));
            }
            query::decode(&body::read(&request, &mut payload).await?).map(Self)
        }
        .boxed_local()
    }
}

/// The parameters of an OAuth endpoint, from a form or a JSON object: parameters that are unknown are kept for the
/// caller to ignore (RFC 6749 §3.2), one that is there twice is refused, an empty value counts as absent.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The value of a parameter.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the parameters that `T` knows.
    ///
    /// # Errors
    /// 400 `invalid_request`; it cannot happen when every member of `T` is an optional text.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, crate::OAuthError> {
        let pairs = self.0.into_iter().map(|(name, value)| (name, Text(value)));
        T::deserialize(serde::de::value::MapDeserializer::new(pairs))
            .map_err(|error: Unread| crate::OAuthError::invalid_request(error.to_string()))
    }
}

type Unread = serde::de::value::Error;

/// A value that is there: serde's own readers take a text for no `Some`.
struct Text(String);

impl<'de> serde::de::IntoDeserializer<'de, Unread> for Text {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> serde::Deserializer<'de> for Text {
    type Error = Unread;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_string(self.0)
    }

    fn deserialize_option<V: serde::de::Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl FromRequest for Parameters {
    type Error = crate::OAuthError;
    type Future = LocalBoxFuture<'static, Result<Self, crate::OAuthError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        async move {
            let bytes = body::read(&request, &mut payload).await?;
            let mut pairs = if body::is_type(&request, &["application/x-www-form-urlencoded"]) {
                query::pairs(&bytes)?
            } else if body::is_type(&request, &["application/json"]) {
                json_pairs(&bytes)?
            } else {
                return Err(Problem::unsupported_media(
                    "`application/x-www-form-urlencoded` or `application/json`",
                )
                .into());
            };
            pairs.retain(|(_, value)| !value.is_empty());
            Ok(Self(pairs))
        }
        .boxed_local()
    }
}

// A parameter that we read must not pass for absent because its type is wrong; of the rest the type does not matter.
fn json_pairs(bytes: &[u8]) -> Result<Vec<(String, String)>, Problem> {
    let serde_json::Value::Object(members) = crate::strict_json::parse(bytes)? else {
        return Err(Problem::bad_request(
            "invalid_request",
            "the body must be a JSON object",
        ));
    };
    let mut pairs = Vec::with_capacity(members.len());
    for (name, value) in members {
        match value {
            serde_json::Value::String(text) => pairs.push((name, text)),
            serde_json::Value::Null => {}
            _ if !KNOWN.contains(&name.as_str()) => {}
            _ => return Err(Problem::bad_field(name, "must be a string")),
        }
    }
    Ok(pairs)
}

const KNOWN: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "assertion",
    "scope",
    "refresh_token",
    "token",
    "token_type_hint",
    "resource",
    "audience",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "user_id",
];
