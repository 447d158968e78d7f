use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::{Proxy, Seen, Setup, Upstream, ask, fine};

const QUICK: &str = "{timeout: {read: 1s}}";

#[test]
fn a_dead_upstream_is_502_and_a_silent_one_504_in_time() {
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = Proxy::with(dead, &Setup::default());
    assert_eq!(
        ask(&proxy, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap()
            .status,
        502
    );

    let silent = Upstream::start(|_, stream| {
        std::io::Read::read(stream, &mut [0; 1]).is_ok_and(|count| count > 0)
    });
    let proxy = Proxy::with(
        silent.address,
        &Setup {
            serve: QUICK,
            ..Setup::default()
        },
    );
    let begun = Instant::now();
    assert_eq!(
        ask(
            &proxy,
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"
        )
        .unwrap()
        .status,
        504
    );
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(silent.seen().len(), 1, "an unsafe request is sent once");
}

fn garbage(_: &Seen, stream: &mut TcpStream) -> bool {
    stream.write_all(b"what?\r\n\r\n").is_ok()
}

#[test]
fn an_upstream_that_speaks_no_http_is_502() {
    let upstream = Upstream::start(garbage);
    let proxy = Proxy::start(&upstream);
    assert_eq!(
        ask(&proxy, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap()
            .status,
        502
    );
    assert_eq!(upstream.seen().len(), 1);
}

/// Answers the first request of a connection and hangs up on the second, after reading it.
fn once(seen: &Seen, stream: &mut TcpStream) -> bool {
    seen.line().contains("/first") && fine(seen, stream)
}

#[test]
fn what_an_upstream_may_have_done_is_not_asked_twice() {
    let upstream = Upstream::start(once);
    let proxy = Proxy::start(&upstream);
    let mut client = proxy.client();
    assert_eq!(client.get("/first").status, 200);
    let posted = client
        .send("POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na")
        .answer()
        .unwrap();
    assert_eq!(posted.status, 502);
    let seen = upstream.take();
    assert_eq!(
        seen.iter()
            .filter(|seen| seen.line().starts_with("POST"))
            .count(),
        1,
        "{seen:?}"
    );
}

fn half(_: &Seen, stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    false
}

#[test]
fn an_answer_that_breaks_off_is_not_made_to_look_complete() {
    let upstream = Upstream::start(half);
    let proxy = Proxy::start(&upstream);
    for _ in 0..2 {
        let mut client = proxy.client();
        let answer = client
            .send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            .answer()
            .unwrap();
        assert_eq!(
            (
                answer.status,
                answer.header("content-length"),
                answer.body.len()
            ),
            (200, Some("100"), 4)
        );
        assert!(client.closed());
    }
    let connections = upstream
        .take()
        .iter()
        .map(|seen| seen.connection)
        .collect::<Vec<_>>();
    assert_ne!(
        connections[0], connections[1],
        "a broken connection is not used again"
    );
}

fn stalling(_: &Seen, stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    std::io::Read::read(stream, &mut [0; 1]).is_ok_and(|count| count > 0)
}

/// F9: an upstream that goes quiet inside its answer holds neither client nor connection for ever.
#[test]
fn an_answer_that_stalls_is_cut_off_in_time() {
    let upstream = Upstream::start(stalling);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: "{timeout: {idle: 1s}}",
            ..Setup::default()
        },
    );
    let begun = Instant::now();
    let mut client = proxy.client();
    let answer = client
        .send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        .answer()
        .unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 4));
    assert!(client.closed());
    assert!(
        (1..5).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

/// The time for an answer runs from the last piece of the request, not from its beginning.
#[test]
fn an_upload_may_take_longer_than_an_answer() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: QUICK,
            ..Setup::default()
        },
    );
    let mut client = proxy.client();
    client.send("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(400));
        client.send(vec![b'x'; 10_000]);
    }
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(upstream.take()[0].body.len(), 60_000);
}

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn counting(_: &Seen, stream: &mut TcpStream) -> bool {
    MOST.fetch_max(RUNNING.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(50));
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    fine(
        &Seen {
            head: String::new(),
            body: Vec::new(),
            connection: 0,
        },
        stream,
    )
}

#[test]
fn an_upstream_gets_no_more_requests_at_once_than_it_is_meant_to() {
    let upstream = Upstream::start(counting);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: "{connections_limit: {max_per_host: 2}}",
            ..Setup::default()
        },
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                assert_eq!(proxy.client().get("/x").status, 200);
            });
        }
    });
    assert_eq!(MOST.load(Ordering::SeqCst), 2);
}

fn slow(_: &Seen, stream: &mut TcpStream) -> bool {
    std::thread::sleep(Duration::from_millis(400));
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
        .is_ok()
}

#[test]
fn running_requests_finish_when_the_service_stops() {
    let upstream = Upstream::start(slow);
    let proxy = Proxy::start(&upstream);
    let address: SocketAddr = proxy.address;
    let mut client = proxy.client();
    client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    while upstream.seen().is_empty() {
        std::thread::yield_now();
    }
    let stopping = std::thread::spawn(move || proxy.stop());
    assert_eq!(client.answer().unwrap().body, b"slow");
    stopping.join().unwrap();
    assert!(
        TcpStream::connect(address).is_err(),
        "nothing listens any more"
    );
}
