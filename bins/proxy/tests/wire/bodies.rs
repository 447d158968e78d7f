use std::io::Write;
use std::net::TcpStream;

use super::support::{Proxy, Seen, Upstream, ask, fine};

/// C6: a broken chunk breaks the exchange; the upstream never sees a complete request.
#[test]
fn broken_chunks_end_in_an_error_and_never_in_a_request() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    for body in [
        "0x3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "10000000000000000\r\nabc",
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
    ] {
        let mut client = proxy.client();
        let answer = client.send(format!("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /y HTTP/1.1\r\nHost: a\r\n\r\n")).answer();
        assert!(answer.is_none_or(|answer| answer.status == 400), "{body:?}");
        let seen = upstream.take();
        assert!(
            seen.iter().all(|seen| seen.head.starts_with("LEFTOVER")),
            "{body:?}: {seen:?}"
        );
    }
}

#[test]
fn request_trailers_are_dropped() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let request = "POST /x HTTP/1.1\r\nHost: a\r\nTrailer: X-User-ID\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-User-ID: root\r\n\r\n";
    assert_eq!(ask(&proxy, request).unwrap().status, 200);
    let seen = upstream.take();
    assert_eq!(
        (seen.len(), seen[0].body.as_slice()),
        (1, b"abc".as_slice())
    );
    assert!(seen[0].values("trailer").is_empty());
}

#[test]
fn framing_is_kept_both_ways() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let mut client = proxy.client();
    let large = vec![b'x'; 3_000_000];
    client
        .send(format!(
            "PUT /known HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            large.len()
        ))
        .send(&large);
    assert_eq!(client.answer().unwrap().body, b"fine");
    client.send("PUT /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert_eq!(client.answer().unwrap().body, b"fine");
    let seen = upstream.take();
    assert_eq!(
        (seen[0].values("content-length"), seen[0].body.len()),
        (vec![large.len().to_string()], large.len())
    );
    assert_eq!(
        (seen[1].values("transfer-encoding"), seen[1].body.as_slice()),
        (vec!["chunked".to_owned()], b"hello world".as_slice())
    );
    assert_eq!(
        seen[0].connection, seen[1].connection,
        "the connection to the upstream is kept"
    );
}

/// The client library takes a GET of unknown length for one without a body; the upstream would have waited in vain.
#[test]
fn every_method_keeps_its_body() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let mut client = proxy.client();
    for method in ["GET", "DELETE", "OPTIONS", "QUERY", "POST"] {
        let chunked = format!(
            "{method} /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        let known = format!("{method} /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
        for request in [chunked, known] {
            assert_eq!(client.send(&request).answer().unwrap().status, 200);
            let seen = upstream.take();
            assert_eq!(
                (seen.len(), seen[0].body.as_slice()),
                (1, b"abc".as_slice()),
                "{request}"
            );
            assert!(seen[0].line().starts_with(method));
        }
    }
}

fn trailing(_: &Seen, stream: &mut TcpStream) -> bool {
    stream.write_all(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n").is_ok()
}

#[test]
fn response_trailers_go_on() {
    let upstream = Upstream::start(trailing);
    let proxy = Proxy::start(&upstream);
    let answer = ask(
        &proxy,
        "GET /x HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
    )
    .unwrap();
    assert_eq!(answer.body, b"hi");
    assert!(
        answer.trailers.to_ascii_lowercase().contains("x-sum: 42"),
        "{:?}",
        answer.trailers
    );
}

fn events(_: &Seen, stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n");
    // The rest follows only when the client has gone: an answer that is held back never arrives.
    let mut space = [0; 1];
    std::io::Read::read(stream, &mut space).is_ok_and(|count| count > 0)
}

#[test]
fn events_are_passed_on_at_once_and_a_client_that_leaves_ends_the_exchange() {
    let upstream = Upstream::start(events);
    let proxy = Proxy::start(&upstream);
    let mut client = proxy.client();
    client.send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        client.head().unwrap().header("content-type"),
        Some("text/event-stream")
    );
    assert_eq!(client.chunk().unwrap(), b"data: 1\n");
}

#[test]
fn whoever_asks_before_sending_a_body_is_told_to_go_on_only_after_the_verdict() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &super::support::Setup {
            rules: DENYING,
            ..Default::default()
        },
    );
    let mut client = proxy.client();
    client.send(
        "POST /open HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().status, 100);
    assert_eq!(client.send("abc").answer().unwrap().status, 200);
    assert!(upstream.take()[0].values("expect").is_empty());
    let mut client = proxy.client();
    client.send(
        "POST /shut HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.head().unwrap().status, 401);
    assert!(upstream.seen().is_empty());
}

pub const DENYING: &str = r#"
version: "1alpha4"
name: test
rules:
  - id: open
    match: {routes: [{path: /open}]}
    forward_to: {host: "{UPSTREAM}"}
    execute: [{authenticator: anyone}]
  - id: shut
    match: {routes: [{path: /shut}]}
    forward_to: {host: "{UPSTREAM}"}
    execute: [{authenticator: nobody}]
"#;
