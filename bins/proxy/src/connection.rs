//! One client connection, from the first byte to the last.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::guard::{ConnState, Guarded, MAX_HEAD, Timers};
use crate::service::{Peer, Service};
use crate::upstream::LocalSpawn;

/// Streams of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 128;
const MAX_BUFFER: usize = 64 * 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);

/// Serves a connection until it ends or, once `stop` says so, until its running requests are answered.
pub(crate) async fn serve(
    service: Rc<Service>,
    stream: TcpStream,
    from: SocketAddr,
    tls: Option<TlsAcceptor>,
    timers: Timers,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let state = Arc::new(ConnState::default());
    let peer = Rc::new(Peer {
        address: from.ip().to_canonical(),
        tls: tls.is_some(),
        state,
    });
    if let Some(acceptor) = tls {
        let accepted = Box::pin(acceptor.accept(stream));
        let Ok(Ok(stream)) = timeout(timers.head.unwrap_or(HANDSHAKE), accepted).await else {
            return;
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Box::pin(serve2(service, peer, stream, timers, stop)).await;
        } else {
            Box::pin(serve1(service, peer, stream, timers, stop)).await;
        }
        return;
    }
    // Until the first byte a connection costs a socket and little more; then only what its protocol needs (boxed).
    let mut start = [0; 14];
    let seen = tokio::select! {
        seen = timeout(timers.idle.unwrap_or(DAY), stream.peek(&mut start)) => seen,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match seen {
        Ok(Ok(count)) if start.get(..count) == Some(b"PRI * HTTP/2.0") => {
            Box::pin(serve2(service, peer, stream, timers, stop)).await
        }
        Ok(Ok(1..)) => Box::pin(serve1(service, peer, stream, timers, stop)).await,
        _ => {}
    }
}

async fn serve1<S>(
    service: Rc<Service>,
    peer: Rc<Peer>,
    stream: S,
    timers: Timers,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(Guarded::new(stream, peer.state.clone(), timers));
    let handler = service_fn(move |request: Request<Incoming>| {
        // Boxed: the library would keep room for it as long as the connection is open.
        let answer = Box::pin(service.clone().serve(peer.clone(), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .half_close(false)
        // The guard has its own timers; the library's would start anew for every byte it is given.
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(io, handler)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn serve2<S>(
    service: Rc<Service>,
    peer: Rc<Peer>,
    stream: S,
    timers: Timers,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let state = peer.state.clone();
    let handler = service_fn(move |request: Request<Incoming>| {
        let answer = Box::pin(service.clone().serve(peer.clone(), request));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http2::Builder::new(LocalSpawn)
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .keep_alive_timeout(Duration::from_secs(10))
        .serve_connection(TokioIo::new(stream), handler);
    let mut connection = pin!(connection);
    let idle = timers.idle.unwrap_or(DAY);
    loop {
        let before = state.served();
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(idle) => if state.running() == 0 && state.served() == before { break },
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(idle, connection).await;
}
