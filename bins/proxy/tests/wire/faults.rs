use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
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
