//! Decisions for Envoy: `envoy.service.auth.v3.Authorization` over gRPC.

mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use envoy_types::ext_authz::v3::pb::{
    Address, Authorization, AuthorizationServer, CheckRequest, CheckResponse, DeniedHttpResponse,
    HeaderAppendAction, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus, OkHttpResponse,
};
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::google::rpc::Status as Outcome;
use heimdall_pipeline::{Accept, RawHead, Refusal, Respond, Verdict};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::counters::Counters;
use crate::service::Shared;
use crate::shadow;

/// gRPC's `OK` and `PERMISSION_DENIED`: whatever is not the first is a denial to Envoy.
const OK: i32 = 0;
const DENIED: i32 = 7;
/// A check carries the head and at most the part of the body that Envoy buffers.
const MAX_CHECK: usize = 4 * 1024 * 1024;

/// Answers until `stop` says so.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let incoming = wire::arriving(listener, tls);
    let service =
        AuthorizationServer::new(Decisions { shared }).max_decoding_message_size(MAX_CHECK);
    let stopped = async move {
        // A sender that is gone means the same.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    if let Err(error) = Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, stopped)
        .await
    {
        tracing::error!(%error, "the gRPC listener ended");
    }
}

struct Decisions {
    shared: Arc<Shared>,
}

#[tonic::async_trait]
impl Authorization for Decisions {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let begun = Instant::now();
        let live = self.shared.live.load_full();
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let (verdict, rule) = match judge(&live, &self.shared.counters, attributes).await {
            Ok(Verdict::Accept(accept)) => {
                let rule = accept.rule.id.clone();
                (allowed(*accept), rule)
            }
            Ok(Verdict::Respond(respond)) => {
                let rule = respond
                    .rule
                    .as_ref()
                    .map(|rule| rule.id.clone())
                    .unwrap_or_else(|| "".into());
                (denied(*respond), rule)
            }
            // A forward is no answer to a gateway; what cannot be is denied.
            Ok(Verdict::Forward(forward)) => {
                let refusal = Refusal {
                    status: 500,
                    reason: "a gateway cannot be told to forward".to_owned(),
                };
                (denied(live.engine.refuse(&refusal)), forward.rule.id)
            }
            Err(refusal) => (denied(live.engine.refuse(&refusal)), "".into()),
        };
        let status = match &verdict.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => {
                denied.status.as_ref().map_or(403, |status| status.code)
            }
            _ => 200,
        };
        let status = u16::try_from(status).unwrap_or(500);
        self.shared.counters.add(rule, status, begun.elapsed());
        Ok(Response::new(verdict))
    }
}

async fn judge(
    live: &crate::service::Live,
    counters: &Counters,
    attributes: AttributeContext,
) -> Result<Verdict, Refusal> {
    let bad = |reason: &str| Refusal {
        status: 400,
        reason: reason.to_owned(),
    };
    let peer = peer(&attributes);
    let http = attributes
        .request
        .and_then(|request| request.http)
        .ok_or_else(|| bad("no HTTP request in the check"))?;
    let mut headers = http.headers.into_iter().collect::<Vec<_>>();
    headers.retain(|(name, _)| !name.starts_with(':') && name != "host");
    headers
        .iter_mut()
        .for_each(|(name, _)| name.make_ascii_lowercase());
    headers.sort();
    let body = if http.raw_body.is_empty() {
        http.body.into_bytes()
    } else {
        http.raw_body
    };
    let request = live.engine.gate().admit(RawHead {
        method: &http.method,
        target: &http.path,
        authority: Some(&http.host),
        tls: http.scheme == "https",
        peer,
        headers: &headers,
    })?;
    let route = live.rules.find(&request);
    let body = match route.body_limit() {
        Some(limit) if body.len() > limit => {
            return Err(Refusal {
                status: 413,
                reason: "the body is larger than what steps may look at".to_owned(),
            });
        }
        Some(_) => Some(body),
        None => None,
    };
    Ok(shadow::judge(&route, &request, body.as_deref(), counters).await)
}

/// The client's address, as Envoy saw it.
fn peer(attributes: &AttributeContext) -> IpAddr {
    let address = attributes
        .source
        .as_ref()
        .and_then(|source| source.address.as_ref()?.address.as_ref());
    let text = match address {
        Some(Address::SocketAddress(socket)) => socket.address.parse::<IpAddr>().ok(),
        _ => None,
    };
    text.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ip| ip.to_canonical())
}

fn allowed(accept: Accept) -> CheckResponse {
    let set = accept.headers.iter().filter(|(_, value)| !value.is_empty());
    let ok = OkHttpResponse {
        headers: options(set),
        headers_to_remove: accept.remove.to_vec(),
        ..OkHttpResponse::default()
    };
    answer(OK, HttpResponse::OkResponse(ok))
}

fn denied(respond: Respond) -> CheckResponse {
    let code = i32::from(respond.status);
    let denied = DeniedHttpResponse {
        // Whatever the status says, the outcome beside it is a denial.
        status: Some(HttpStatus { code }),
        headers: options(respond.headers.iter()),
        body: respond.body,
    };
    answer(DENIED, HttpResponse::DeniedResponse(denied))
}

fn answer(code: i32, response: HttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(Outcome {
            code,
            ..Outcome::default()
        }),
        http_response: Some(response),
        ..CheckResponse::default()
    }
}

/// The first value of a name replaces what the client sent, further ones stand beside it.
fn options<'a>(pairs: impl Iterator<Item = &'a (Arc<str>, Arc<str>)>) -> Vec<HeaderValueOption> {
    let mut seen = Vec::<String>::new();
    let mut all = Vec::new();
    for (name, value) in pairs {
        let lower = name.to_ascii_lowercase();
        let again = seen.contains(&lower);
        let action = if again {
            HeaderAppendAction::AppendIfExistsOrAdd
        } else {
            HeaderAppendAction::OverwriteIfExistsOrAdd
        };
        seen.push(lower);
        all.push(HeaderValueOption {
            header: Some(HeaderValue {
                key: name.to_string(),
                value: value.to_string(),
                ..HeaderValue::default()
            }),
            append_action: action.into(),
            ..HeaderValueOption::default()
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_of_one_name_stand_beside_each_other() {
        let pairs = [
            ("X-Group".into(), "a".into()),
            ("X-Group".into(), "b".into()),
        ];
        let actions = options(pairs.iter())
            .iter()
            .map(|option| option.append_action)
            .collect::<Vec<_>>();
        assert_eq!(
            actions,
            [
                HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
                HeaderAppendAction::AppendIfExistsOrAdd as i32
            ]
        );
    }
}
