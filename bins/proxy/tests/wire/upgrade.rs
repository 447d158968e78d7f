use std::io::{Read, Write};
use std::net::TcpStream;

use super::support::{Proxy, Seen, Setup, Upstream, ask};

const RULES: &str = r#"
version: "1alpha4"
name: test
rules:
  - id: socket
    match: {routes: [{path: /socket}]}
    forward_to: {host: "{UPSTREAM}", upgrade: [websocket]}
    execute: [{authenticator: anyone}]
  - id: plain
    match: {routes: [{path: /plain}]}
    forward_to: {host: "{UPSTREAM}"}
    execute: [{authenticator: anyone}]
"#;

/// Switches where asked to and then says everything twice.
fn switching(seen: &Seen, stream: &mut TcpStream) -> bool {
    let Some(protocol) = seen.values("upgrade").first().cloned() else {
        return stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
            .is_ok();
    };
    write!(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Accept: x\r\n\r\n").unwrap();
    let mut space = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut space) {
        stream
            .write_all(&[&space[..count], &space[..count]].concat())
            .unwrap();
    }
    false
}

fn request(path: &str, protocol: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Key: k\r\n\r\n"
    )
}

#[test]
fn a_rule_that_allows_it_lets_a_client_leave_http() {
    let upstream = Upstream::start(switching);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            rules: RULES,
            ..Setup::default()
        },
    );
    let mut client = proxy.client();
    client.send(request("/socket", "websocket"));
    let answer = client.head().unwrap();
    assert_eq!(
        (
            answer.status,
            answer.header("upgrade"),
            answer.header("sec-websocket-accept")
        ),
        (101, Some("websocket"), Some("x"))
    );
    assert_eq!(client.send("hello").raw(10), b"hellohello");
    assert_eq!(
        client.send("GET / HTTP/1.1\r\n\r\n").raw(36).len(),
        36,
        "what looks like a request is none in a tunnel"
    );
}

/// C7: without a rule that allows it there is no tunnel, and bytes behind the request are not taken for another one.
#[test]
fn nothing_behind_an_upgrade_that_was_not_allowed_is_a_request() {
    let upstream = Upstream::start(switching);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            rules: RULES,
            ..Setup::default()
        },
    );
    for (path, protocol) in [
        ("/plain", "websocket"),
        ("/socket", "foo"),
        ("/plain", "foo"),
    ] {
        let mut client = proxy.client();
        client
            .send(request(path, protocol))
            .send("GET /plain HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.answer().unwrap().body, b"plain");
        assert!(client.closed());
        let seen = upstream.take();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].values("upgrade").is_empty() && seen[0].values("connection").is_empty());
    }
}

#[test]
fn an_upstream_that_switches_unasked_is_502() {
    let upstream = Upstream::start(|_, stream| {
        stream
            .write_all(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
            )
            .is_ok()
    });
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            rules: RULES,
            ..Setup::default()
        },
    );
    for text in [
        request("/socket", "websocket"),
        "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        assert_eq!(ask(&proxy, text).unwrap().status, 502);
    }
}
