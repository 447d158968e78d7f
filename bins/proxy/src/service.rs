//! One request: head, verdict, answer.

mod answer;
mod forward;

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use heimdall_pipeline::{Engine, Mode, RawHead, Refusal, Snapshot, Verdict};
use http::request::Parts;
use http::{Method, Request, Response, Version, header};
use hyper::body::{Body, Incoming};

use crate::access_log::{Entry, Lines};
use crate::cors::CrossOrigin;
use crate::counters::{Counters, Tallies};
use crate::fields::Fields;
use crate::guard::ConnState;
use crate::shadow;
use crate::upstream::{Outgoing, Pool, Reply};
use answer::{Answer, read_body};

/// What judges at one moment: configuration and rules. One request sees one of these.
pub(crate) struct Live {
    /// The compiled configuration.
    pub(crate) engine: Engine,
    /// The rules.
    pub(crate) rules: Snapshot,
    /// Cross-origin rules of the service.
    pub(crate) cors: Option<CrossOrigin>,
}

/// What the workers share.
pub(crate) struct Shared {
    /// Replaced as a whole by every reload.
    pub(crate) live: ArcSwap<Live>,
    /// How verdicts are carried out.
    pub(crate) mode: Mode,
    /// Counters.
    pub(crate) counters: Arc<Counters>,
}

/// A client connection, as far as requests need to know it.
pub(crate) struct Peer {
    /// Address of the other end.
    pub(crate) address: IpAddr,
    /// Whether by TLS.
    pub(crate) tls: bool,
    /// Shared with the guard.
    pub(crate) state: Arc<ConnState>,
}

/// Serves requests in one thread.
pub(crate) struct Service {
    shared: Arc<Shared>,
    pool: Rc<Pool>,
    tallies: RefCell<Tallies>,
    access: Option<Rc<Lines>>,
    nameless: Arc<str>,
}

impl Service {
    /// A service over its thread's pool.
    pub(crate) fn new(shared: Arc<Shared>, pool: Rc<Pool>, access: Option<Rc<Lines>>) -> Rc<Self> {
        let tallies = RefCell::new(Tallies::new(shared.counters.clone()));
        Rc::new(Self {
            shared,
            pool,
            tallies,
            access,
            nameless: "".into(),
        })
    }

    /// Answers one request.
    pub(crate) async fn serve(
        self: Rc<Self>,
        peer: Rc<Peer>,
        request: Request<Incoming>,
    ) -> Response<Reply> {
        let running = peer.state.begin();
        let begun = Instant::now();
        let logged = tracing::enabled!(target: "access", tracing::Level::INFO)
            .then(|| (request.method().clone(), request.uri().clone()));
        let answer = self.answer(&peer, request).await;
        let took = begun.elapsed();
        let status = answer.response.status().as_u16();
        let rule = answer.rule.unwrap_or_else(|| self.nameless.clone());
        if let Some((method, uri)) = logged {
            let entry = Entry {
                method: &method,
                uri: &uri,
                status,
                rule: &rule,
                source: peer.address,
                took,
                reason: &answer.reason,
            };
            match &self.access {
                Some(lines) => lines.note(&entry),
                None => entry.trace(),
            }
        }
        self.tallies.borrow_mut().add(&rule, status, took);
        answer.response.map(|body| body.counted(running))
    }

    async fn answer(&self, peer: &Peer, mut request: Request<Incoming>) -> Answer {
        let live = self.shared.live.load_full();
        if *request.method() == Method::OPTIONS && request.uri() == "*" {
            return self.refused_head(&live, peer);
        }
        let upgrade = request
            .headers()
            .contains_key(header::UPGRADE)
            .then(|| hyper::upgrade::on(&mut request));
        let h1 = request.version() <= Version::HTTP_11;
        let (parts, body) = request.into_parts();
        let cors = live
            .cors
            .as_ref()
            .filter(|_| self.shared.mode == Mode::Proxy);
        if let Some((status, fields)) =
            cors.and_then(|cors| cors.preflight(&parts.method, &parts.headers))
        {
            return Answer::plain(status, fields);
        }
        let granted = cors.map(|cors| cors.fields(&parts.method, &parts.headers));
        // Behind an upgrade request the guard holds everything back, so the connection ends with the answer.
        let last = h1 && upgrade.is_some();
        let mut answer = self.judged(&live, peer, parts, body, upgrade).await;
        let fields = answer.response.headers_mut();
        for (name, value) in granted.into_iter().flatten() {
            if name == header::VARY {
                fields.append(name, value);
            } else {
                fields.insert(name, value);
            }
        }
        if h1
            && (answer.close
                || last && answer.response.status() != http::StatusCode::SWITCHING_PROTOCOLS)
        {
            answer
                .response
                .headers_mut()
                .insert(header::CONNECTION, http::HeaderValue::from_static("close"));
        }
        answer
    }

    async fn judged(
        &self,
        live: &Live,
        peer: &Peer,
        parts: Parts,
        body: Incoming,
        upgrade: Option<hyper::upgrade::OnUpgrade>,
    ) -> Answer {
        let fields = Fields(&parts.headers);
        let request = match admit(live, peer, &parts, &fields) {
            Ok(request) => request,
            Err(refusal) => return Answer::refused(live, &refusal),
        };
        let route = live.rules.find(&request);
        let (read, body) = match route.body_limit() {
            Some(limit) if !body.is_end_stream() => match Box::pin(read_body(body, limit)).await {
                Ok(bytes) => (Some(bytes.clone()), Outgoing::Full(Some(bytes))),
                Err(refusal) => return Answer::refused(live, &refusal),
            },
            Some(_) => (Some(Bytes::new()), Outgoing::Empty),
            None if body.is_end_stream() => (None, Outgoing::Empty),
            None => (None, Outgoing::stream(body)),
        };
        match shadow::judge(&route, &request, read.as_deref(), &self.shared.counters).await {
            Verdict::Forward(forward) => {
                drop(request);
                self.forward(live, peer, *forward, parts, body, upgrade)
                    .await
            }
            Verdict::Accept(accept) => Answer::accepted(*accept),
            Verdict::Respond(respond) => Answer::responded(*respond),
        }
    }

    fn refused_head(&self, live: &Live, peer: &Peer) -> Answer {
        let refusal = peer.state.refusal().unwrap_or(crate::guard::Refusal {
            status: 400,
            reason: "refused",
        });
        self.shared
            .counters
            .refused_heads
            .fetch_add(1, Ordering::Relaxed);
        if refusal.status == 431 {
            self.shared
                .counters
                .large_heads
                .fetch_add(1, Ordering::Relaxed);
            tracing::warn!(peer = %peer.address, reason = refusal.reason, "a request head met the size limit");
        } else {
            tracing::debug!(peer = %peer.address, reason = refusal.reason, "a request head was refused");
        }
        Answer::refused(
            live,
            &Refusal {
                status: refusal.status,
                reason: refusal.reason.to_owned(),
            },
        )
    }
}

fn admit<'a>(
    live: &Live,
    peer: &Peer,
    parts: &'a Parts,
    fields: &'a Fields<'a>,
) -> Result<heimdall_pipeline::Request<'a>, Refusal> {
    let bad = |reason: &str| Refusal {
        status: 400,
        reason: reason.to_owned(),
    };
    let host = match parts.headers.get(header::HOST) {
        Some(host) => Some(host.to_str().map_err(|_| bad("the host is no text"))?),
        None => None,
    };
    let authority = match (parts.version, parts.uri.authority()) {
        (Version::HTTP_2, Some(authority))
            if host.is_some_and(|host| !host.eq_ignore_ascii_case(authority.as_str())) =>
        {
            return Err(bad("`:authority` and `Host` differ"));
        }
        (Version::HTTP_2, Some(authority)) => Some(authority.as_str()),
        _ => host,
    };
    live.engine.gate().admit(RawHead {
        method: parts.method.as_str(),
        target: parts
            .uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str),
        authority,
        tls: peer.tls,
        peer: peer.address,
        headers: fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// The library copies it for every request and keeps room for it in every connection.
    #[test]
    fn a_request_in_flight_is_small() {
        let size = size_of_future(Service::serve);
        assert!(size <= 6400, "{size} bytes");
    }
}
