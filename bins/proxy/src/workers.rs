//! Threads that serve: each has its own runtime, its own connections and its own pool of upstream connections.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use heimdall_server::telemetry::LogFormat;
use heimdall_types::Clock;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use crate::access_log::AccessLog;
use crate::connection;
use crate::guard::Timers;
use crate::service::{Service, Shared};
use crate::upstream::{Pool, UpstreamSettings};

/// Files that stay free for upstreams, rules and logs, out of those this process may open.
const SPARE_FILES: usize = 64;
/// Files that are kept for connections to upstreams, at most a quarter of all.
const UPSTREAM_FILES: usize = 1024;
const OVERLOADED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 1\r\n\r\n";

/// How the workers serve.
#[derive(Clone)]
pub(crate) struct WorkerSettings {
    /// Threads.
    pub(crate) threads: usize,
    /// TLS of the listener.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Timers of client connections.
    pub(crate) timers: Timers,
    /// Where requests are logged.
    pub(crate) access: Option<(LogFormat, Arc<dyn Clock>)>,
    /// Upstreams.
    pub(crate) upstream: UpstreamSettings,
    /// How long running requests get when the service stops.
    pub(crate) grace: Duration,
}

struct Worker {
    inbox: mpsc::UnboundedSender<(TcpStream, SocketAddr)>,
    load: Arc<AtomicUsize>,
}

/// The threads that serve, and the task that feeds them.
pub(crate) struct Workers {
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
    threads: Vec<JoinHandle<()>>,
    access: Option<Arc<AccessLog>>,
}

impl Workers {
    /// Serves what arrives at `listener`.
    ///
    /// # Errors
    /// When a thread or a runtime cannot be made.
    pub(crate) fn start(
        listener: TcpListener,
        shared: Arc<Shared>,
        settings: &WorkerSettings,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        let access = match &settings.access {
            Some((form, _)) => Some(Arc::new(AccessLog::start(*form)?)),
            None => None,
        };
        for number in 0..settings.threads.max(1) {
            let (inbox, connections) = mpsc::unbounded_channel();
            let load = Arc::new(AtomicUsize::new(0));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (shared, settings, count, stopped) = (
                shared.clone(),
                settings.clone(),
                load.clone(),
                stopped.clone(),
            );
            let access = access.clone();
            let thread = std::thread::Builder::new()
                .name(format!("proxy-{number}"))
                .spawn(move || {
                    let lines = access
                        .as_deref()
                        .zip(settings.access.as_ref())
                        .map(|(log, (_, clock))| log.lines(clock.clone()));
                    drop(access);
                    let service = Service::new(shared, Pool::new(settings.upstream.clone()), lines);
                    LocalSet::new().block_on(
                        &runtime,
                        work(connections, service, settings, count, stopped),
                    )
                })?;
            workers.push(Worker { inbox, load });
            threads.push(thread);
        }
        let accepting = tokio::spawn(accept(listener, workers, shared, stopped));
        Ok(Self {
            stop,
            accepting,
            threads,
            access,
        })
    }

    /// One task in place of the threads.
    #[cfg(feature = "envoy-grpc")]
    pub(crate) fn of(
        start: impl FnOnce(watch::Receiver<bool>) -> tokio::task::JoinHandle<()>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self {
            stop,
            accepting: start(stopped),
            threads: Vec::new(),
            access: None,
        }
    }

    /// Takes no new connection, lets running requests finish, and returns when all threads are done.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.accepting.await;
        let (threads, access) = (self.threads, self.access);
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
            if let Some(log) = access.and_then(Arc::into_inner) {
                log.finish();
            }
        })
        .await;
    }
}

async fn accept(
    listener: TcpListener,
    workers: Vec<Worker>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let most = most_connections();
    // Given up for a moment when no file descriptor is left, so that clients are turned away instead of left waiting.
    let mut spare = std::fs::File::open("/dev/null").ok();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let open = workers
            .iter()
            .map(|worker| worker.load.load(Ordering::Relaxed))
            .sum::<usize>();
        shared
            .counters
            .connections
            .store(open as u64, Ordering::Relaxed);
        match accepted {
            Ok((stream, from)) if open < most => {
                let Some(worker) = workers
                    .iter()
                    .min_by_key(|worker| worker.load.load(Ordering::Relaxed))
                else {
                    return;
                };
                worker.load.fetch_add(1, Ordering::Relaxed);
                if let Ok(stream) = stream.into_std() {
                    // The threads outlive this task.
                    let _ = worker.inbox.send((stream, from));
                }
            }
            Ok((stream, _)) => shed(&stream, &shared),
            Err(error) if matches!(error.raw_os_error(), Some(23 | 24)) => {
                drop(spare.take());
                if let Ok(Ok((stream, _))) =
                    tokio::time::timeout(Duration::from_millis(10), listener.accept()).await
                {
                    shed(&stream, &shared);
                }
                spare = std::fs::File::open("/dev/null").ok();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            // The client was gone before it was accepted.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn shed(stream: &tokio::net::TcpStream, shared: &Shared) {
    shared.counters.shed.fetch_add(1, Ordering::Relaxed);
    let _ = stream.try_write(OVERLOADED);
}

/// Each client may need a second connection, to its upstream, but most of many clients are idle. Where that turns out
/// wrong, a request whose upstream gets no descriptor is answered with 503.
fn most_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| {
            line.strip_prefix("Max open files")?
                .split_whitespace()
                .next()?
                .parse::<usize>()
                .ok()
        })
        .unwrap_or(usize::MAX);
    let kept = SPARE_FILES + (files / 4).min(UPSTREAM_FILES);
    files.saturating_sub(kept).max(8)
}

async fn work(
    mut connections: mpsc::UnboundedReceiver<(TcpStream, SocketAddr)>,
    service: Rc<Service>,
    settings: WorkerSettings,
    load: Arc<AtomicUsize>,
    mut stop: watch::Receiver<bool>,
) {
    let open = Rc::new(());
    loop {
        let next = tokio::select! {
            next = connections.recv() => next,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some((stream, from)) = next else { break };
        let done = Done(load.clone());
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
            continue;
        };
        let tls = settings.tls.clone();
        let (service, stop, token) = (service.clone(), stop.clone(), open.clone());
        tokio::task::spawn_local(async move {
            connection::serve(service, stream, from, tls, settings.timers, stop).await;
            drop((done, token));
        });
    }
    let limit = tokio::time::Instant::now() + settings.grace;
    while Rc::strong_count(&open) > 1 && tokio::time::Instant::now() < limit {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

struct Done(Arc<AtomicUsize>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
