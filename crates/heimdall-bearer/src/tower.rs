//! The layer for tower.

use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::gate::{self, Gate, Refusal};

/// Lets requests with a good token through, with its `heimdall_token::AccessClaims` among the request's extensions;
/// answers the others 401 or 403 with a challenge and no body.
#[derive(Debug, Clone)]
pub struct BearerLayer {
    gate: Gate,
    permission: Option<String>,
}

impl BearerLayer {
    /// Any good token does.
    pub fn new(gate: Gate) -> Self {
        Self {
            gate,
            permission: None,
        }
    }

    /// The token must carry `permission`.
    #[must_use]
    pub fn holding(mut self, permission: impl Into<String>) -> Self {
        self.permission = Some(permission.into());
        self
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = BearerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BearerService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service that [`BearerLayer`] makes.
#[derive(Debug, Clone)]
pub struct BearerService<S> {
    inner: S,
    layer: BearerLayer,
}

impl<S, B, R> Service<Request<B>> for BearerService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that was asked whether it is ready must be the one that is called.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let layer = self.layer.clone();
        let headers: Vec<Vec<u8>> = request
            .headers()
            .get_all(AUTHORIZATION)
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect();
        async move {
            match judged(&layer, &headers).await {
                Ok(claims) => {
                    request.extensions_mut().insert(claims);
                    inner.call(request).await
                }
                Err(refusal) => Ok(refused(&refusal)),
            }
        }
        .boxed()
    }
}

async fn judged(
    layer: &BearerLayer,
    headers: &[Vec<u8>],
) -> Result<heimdall_token::AccessClaims, Refusal> {
    let claims = layer.gate.admit(headers.iter().map(Vec::as_slice)).await?;
    if let Some(permission) = &layer.permission {
        gate::hold(&claims, permission)?;
    }
    Ok(claims)
}

fn refused<R: Default>(refusal: &Refusal) -> Response<R> {
    let mut answer = Response::new(R::default());
    *answer.status_mut() = refusal.status();
    let challenge = HeaderValue::from_static(refusal.challenge());
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}
