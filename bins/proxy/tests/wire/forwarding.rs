use super::support::{Proxy, Setup, Upstream, ask, fine};

/// C1: what an untrusted peer says about where a request came from counts nothing and goes no further.
#[test]
fn forwarding_fields_of_strangers_are_rebuilt() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let request = "GET /x HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Method: DELETE\r\nX-Forwarded-Uri: /admin\r\nForwarded: for=1.1.1.1\r\nX-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n\r\n";
    assert_eq!(ask(&proxy, request).unwrap().status, 200);
    let seen = upstream.take().remove(0);
    assert_eq!(seen.line(), "GET /x HTTP/1.1");
    assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.values("x-forwarded-host"), ["app.example"]);
    assert_eq!(seen.values("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.values("forwarded").len(), 1);
    for name in [
        "x-forwarded-method",
        "x-forwarded-uri",
        "x-original-url",
        "x-rewrite-url",
    ] {
        assert!(seen.values(name).is_empty(), "{name}");
    }
}

/// C3: fields of one connection end with it, those that `Connection` names too.
#[test]
fn hop_by_hop_fields_stay_behind() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let request = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\nX-Kept: 1\r\nX-Kept: 2\r\n\r\n";
    assert_eq!(ask(&proxy, request).unwrap().status, 200);
    let seen = upstream.take().remove(0);
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "te",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
    ] {
        assert!(seen.values(name).is_empty(), "{name}: {}", seen.head);
    }
    assert_eq!(seen.values("x-kept"), ["1", "2"]);
}

/// C8: whatever a path looks like, it is refused or judged as it is sent on.
#[test]
fn the_path_that_was_judged_is_the_path_that_is_sent() {
    const OPEN: &str = r#"
version: "1alpha4"
name: test
rules:
  - id: public
    match: {routes: [{path: "/public/**"}]}
    forward_to: {host: "{UPSTREAM}"}
    execute: [{authenticator: anyone}]
"#;
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            rules: OPEN,
            ..Setup::default()
        },
    );
    for path in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/%2E%2E%2Fadmin",
        "//admin",
        "/public/a;x",
        "/public/%00",
        "/public/.%2e/admin",
        "/public/a//../../admin",
        "/public/x%5c..%5cadmin",
        "/public/%252e%252e/admin",
        "/Public/x",
        "/public/./x",
        "/public/x/",
        "/public/x.",
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/.;/x",
        "/public/%2e.;/admin",
        "/public/..%3b/admin",
        "/public/%2f%2e%2e%2fadmin",
        "/public/..%00/admin",
        "/public/..%ff/admin",
        "/%70ublic/x",
        "/public%2f..%2fadmin",
    ] {
        let answer = ask(&proxy, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).unwrap();
        for seen in upstream.take() {
            let sent = seen.line().split(' ').nth(1).unwrap().to_owned();
            assert!(
                sent.starts_with("/public/")
                    && !sent.contains("..;")
                    && sent.split('/').all(|segment| segment != "..")
                    && !sent.to_ascii_lowercase().contains("%2e"),
                "{path} became {sent}"
            );
            assert_eq!(answer.status, 200);
        }
    }
}

#[test]
fn answers_lose_their_hop_by_hop_fields_and_nothing_else() {
    let upstream = Upstream::start(|_, stream| {
        std::io::Write::write_all(stream, b"HTTP/1.1 201 Created\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok").is_ok()
    });
    let proxy = Proxy::start(&upstream);
    let answer = ask(&proxy, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (201, b"ok".as_slice())
    );
    assert!(answer.header("x-hop").is_none() && answer.header("keep-alive").is_none());
    assert_eq!(
        answer
            .head
            .to_ascii_lowercase()
            .matches("set-cookie:")
            .count(),
        2
    );
}
