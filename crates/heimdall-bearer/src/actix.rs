//! The extractor for actix-web.

use std::fmt;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use heimdall_token::AccessClaims;

use crate::gate::{self, Gate, Refusal};

/// The claims of the request's token; a handler that takes it is called only with a good one. The application needs the
/// [`Gate`] as `web::Data`.
#[derive(Debug, Clone)]
pub struct Bearer(pub AccessClaims);

impl Bearer {
    /// Refuses a caller who lacks `permission`.
    ///
    /// # Errors
    /// 403.
    pub fn must(&self, permission: &str) -> Result<(), Refused> {
        gate::hold(&self.0, permission).map_err(Refused)
    }
}

/// A [`Refusal`] as an answer of actix-web: 401 or 403 with a challenge and no body.
#[derive(Debug, Clone)]
pub struct Refused(pub Refusal);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match self.0 {
            Refusal::Missing(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code())
            .insert_header((header::WWW_AUTHENTICATE, self.0.challenge()))
            .finish()
    }
}

impl FromRequest for Bearer {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move {
            let gate = request.app_data::<web::Data<Gate>>().ok_or_else(|| {
                actix_web::error::ErrorInternalServerError("the application has no `Gate`")
            })?;
            let headers = request.headers().get_all(header::AUTHORIZATION);
            let claims = gate.admit(headers.map(|value| value.as_bytes())).await;
            Ok(Self(claims.map_err(Refused)?))
        }
        .boxed_local()
    }
}
