use bytes::Bytes;
use heimdall_pipeline::{FailureKind, Forward, Refusal};
use http::request::Parts;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::answer::Answer;
use super::{Live, Peer, Service};
use crate::upstream::{Outgoing, Reply, Target, UpstreamError};

/// Fields of an answer that concern one connection only (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl Service {
    pub(super) async fn forward(
        &self,
        live: &Live,
        peer: &Peer,
        forward: Forward,
        parts: Parts,
        body: Outgoing,
        upgrade: Option<OnUpgrade>,
    ) -> Answer {
        let accept = Accepts::of(&parts);
        let protocol = upgrade.as_ref().and_then(|_| protocol(&forward, &parts));
        let Some(request) = build(&forward, parts, body, protocol.as_ref()) else {
            return Answer::refused(
                live,
                &Refusal {
                    status: 500,
                    reason: "the verdict cannot be sent".to_owned(),
                },
            );
        };
        let tls = match forward.scheme.as_str() {
            "http" => false,
            "https" => true,
            other => {
                return failed(
                    live,
                    &forward,
                    FailureKind::Communication,
                    &format!("unknown scheme `{other}`"),
                    &accept,
                );
            }
        };
        let sent = self
            .pool
            .send(
                Target {
                    tls,
                    authority: &forward.authority,
                    upgrade: protocol.is_some(),
                },
                request,
            )
            .await;
        let response = match sent {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return match tunnel(peer, response, protocol, upgrade) {
                    Some(response) => Answer {
                        response,
                        rule: Some(forward.rule.id),
                        reason: String::new(),
                        close: false,
                    },
                    None => failed(
                        live,
                        &forward,
                        FailureKind::Communication,
                        "the upstream switched to a protocol nobody asked for",
                        &accept,
                    ),
                };
            }
            Ok(response) => response,
            Err(error) => return unanswered(live, &forward, &error, &accept),
        };
        Answer {
            response: strip(response),
            rule: Some(forward.rule.id),
            reason: String::new(),
            close: false,
        }
    }
}

/// What decides in which form the client is told of a failure.
#[derive(Default)]
struct Accepts(Vec<HeaderValue>);

impl Accepts {
    fn of(parts: &Parts) -> Self {
        Self(
            parts
                .headers
                .get_all(header::ACCEPT)
                .iter()
                .cloned()
                .collect(),
        )
    }

    fn texts(&self) -> Vec<(String, String)> {
        let texts = self.0.iter().filter_map(|value| value.to_str().ok());
        texts
            .map(|text| ("accept".to_owned(), text.to_owned()))
            .collect()
    }
}

fn failed(
    live: &Live,
    forward: &Forward,
    kind: FailureKind,
    reason: &str,
    accept: &Accepts,
) -> Answer {
    let mut answer = Answer::responded(live.engine.failed(kind, reason, &accept.texts()));
    answer.rule = Some(forward.rule.id.clone());
    answer
}

fn unanswered(live: &Live, forward: &Forward, error: &UpstreamError, accept: &Accepts) -> Answer {
    tracing::warn!(rule = &*forward.rule.id, upstream = forward.authority, %error, "no answer from the upstream");
    let kind = match error {
        _ if error.is_timeout() => FailureKind::Timeout,
        // The body comes from the client: what broke is the client's request, not the upstream.
        UpstreamError::Broken(cause) if cause.is_user() => FailureKind::Argument,
        _ => FailureKind::Communication,
    };
    let mut answer = failed(live, forward, kind, &error.to_string(), accept);
    answer.close = kind == FailureKind::Argument;
    // Gateways tell an upstream that is slow from one that is down, unless the configuration says what to answer.
    if kind == FailureKind::Timeout && answer.response.status() == StatusCode::BAD_GATEWAY {
        *answer.response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    }
    if matches!(error, UpstreamError::Exhausted)
        && answer.response.status() == StatusCode::BAD_GATEWAY
    {
        *answer.response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    answer
}

/// The request for the upstream: the client's fields that go on, then ours.
fn build(
    forward: &Forward,
    parts: Parts,
    body: Outgoing,
    protocol: Option<&HeaderValue>,
) -> Option<Request<Outgoing>> {
    let mut request = Request::new(body);
    *request.method_mut() = match parts.method.as_str() == forward.method {
        true => parts.method,
        false => Method::from_bytes(forward.method.as_bytes()).ok()?,
    };
    *request.uri_mut() = match parts.uri.path_and_query() {
        Some(same) if same.as_str() == forward.target => Uri::from(same.clone()),
        _ => Uri::from_maybe_shared(Bytes::copy_from_slice(forward.target.as_bytes())).ok()?,
    };
    *request.version_mut() = Version::HTTP_11;
    let mut fields = HeaderMap::with_capacity(parts.headers.len() + forward.headers.len() + 4);
    // Said here because the library takes a GET of unknown length for one without a body.
    if request.body().is_open_ended() {
        fields.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
    fields.insert(header::HOST, HeaderValue::from_str(&forward.host).ok()?);
    let mut last = None;
    for (name, value) in parts.headers {
        if name.is_some() {
            last = name.filter(|name| forward.keeps(name.as_str()) && *name != header::EXPECT);
        }
        if let Some(name) = &last {
            fields.append(name.clone(), value);
        }
    }
    for (name, value) in &forward.headers {
        fields.append(
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(value).ok()?,
        );
    }
    if let Some(protocol) = protocol {
        fields.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(header::UPGRADE, protocol.clone());
    }
    *request.headers_mut() = fields;
    Some(request)
}

/// The protocol to ask the upstream for: one that the client names, in HTTP/1.1, and that the rule allows.
fn protocol(forward: &Forward, parts: &Parts) -> Option<HeaderValue> {
    if parts.version != Version::HTTP_11
        || !names(&parts.headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
    {
        return None;
    }
    let mut values = parts.headers.get_all(header::UPGRADE).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let text = value.to_str().ok()?.trim().to_ascii_lowercase();
    forward.upgrade.contains(&text).then(|| value.clone())
}

/// The names that `Connection` lists.
fn names(fields: &HeaderMap) -> impl Iterator<Item = &str> {
    fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(str::trim))
}

fn strip(mut response: Response<Reply>) -> Response<Reply> {
    let fields = response.headers_mut();
    if fields.contains_key(header::CONNECTION) {
        let nominated = names(fields)
            .filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
            .collect::<Vec<_>>();
        for name in nominated {
            fields.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        fields.remove(name);
    }
    *response.version_mut() = Version::HTTP_11;
    response
}

/// Joins both connections, if the upstream switched to the protocol that was asked for.
fn tunnel(
    peer: &Peer,
    mut response: Response<Reply>,
    protocol: Option<HeaderValue>,
    upgrade: Option<OnUpgrade>,
) -> Option<Response<Reply>> {
    let (protocol, client) = (protocol?, upgrade?);
    let switched = response.headers().get(header::UPGRADE)?;
    if !switched
        .as_bytes()
        .eq_ignore_ascii_case(protocol.as_bytes())
    {
        return None;
    }
    let upstream = hyper::upgrade::on(&mut response);
    let (parts, held) = strip(response).into_parts();
    peer.state.open_tunnel();
    let running = peer.state.begin();
    tokio::task::spawn_local(async move {
        let (Ok(client), Ok(upstream)) = (client.await, upstream.await) else {
            return;
        };
        // Either end may hang up at any time; that is how tunnels end.
        let _ =
            tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream))
                .await;
        drop((running, held));
    });
    let mut response = Response::from_parts(parts, Reply::default());
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, protocol);
    Some(response)
}
