use super::support::{Proxy, Setup, Upstream, ask, fine};

const TAIL: &str = "\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.example\r\n\r\n";

/// C4: however `Transfer-Encoding` is disguised, an upstream sees at most the one request that was judged.
#[test]
fn disguised_transfer_codings_never_make_two_requests_of_one() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let names = [
        "Transfer-Encoding",
        "transfer-encoding",
        "Transfer-Encoding ",
        " Transfer-Encoding",
        "Transfer_Encoding",
        "Transfer\tEncoding",
        "Transfer-Encoding\t",
        "X: y\r\nTransfer-Encoding",
        "X: y\nTransfer-Encoding",
        "X: y\rTransfer-Encoding",
        "Transfer-Encoding\0",
        "\u{b}Transfer-Encoding",
        "Transfer Encoding",
        "Transfer-\u{212a}ncoding",
        "TE\r\n :x\r\nTransfer-Encoding",
    ];
    let values = [
        "chunked",
        " chunked",
        "\tchunked",
        "Chunked",
        "CHUNKED",
        "chunked,",
        ", chunked",
        "chunked;x",
        "\"chunked\"",
        "'chunked'",
        "xchunked",
        "chunkedx",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "identity, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: x",
        "\u{b}chunked",
        "chunked\u{b}",
        "\0chunked",
        "chunked\0",
        "chun\rked",
        "\r\n chunked",
        "\n chunked",
        "",
        "chunked\r\n\u{20}",
        "chunked\u{a0}",
        "cow",
    ];
    let mut tried = 0;
    for name in names {
        for value in values {
            for (length, version) in [
                ("", "1.1"),
                ("Content-Length: 5\r\n", "1.1"),
                ("", "1.0"),
                ("Content-Length: 66\r\n", "1.1"),
            ] {
                let head = format!(
                    "POST /judged HTTP/{version}\r\nHost: app.example\r\nConnection: close\r\n{length}{name}:{value}{TAIL}"
                );
                one_request_at_most(&proxy, &upstream, head.as_bytes());
                tried += 1;
            }
        }
    }
    for byte in 0..=u8::MAX {
        for (before, after) in SPOTS {
            let head = [
                b"POST /judged HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n",
                before.as_bytes(),
                &[byte],
                after.as_bytes(),
                TAIL.as_bytes(),
            ]
            .concat();
            one_request_at_most(&proxy, &upstream, &head);
            tried += 1;
        }
    }
    assert_eq!(tried, names.len() * values.len() * 4 + 256 * SPOTS.len());
}

/// Where a single byte may hide a coding.
const SPOTS: [(&str, &str); 7] = [
    ("", "Transfer-Encoding: chunked"),
    ("Transfer", "Encoding: chunked"),
    ("Transfer-Encoding", ": chunked"),
    ("Transfer-Encoding:", "chunked"),
    ("Transfer-Encoding: chun", "ked"),
    ("Transfer-Encoding: chunked", ""),
    ("X: y", "Transfer-Encoding: chunked"),
];

/// Refused with 400, or forwarded as the one request it is; what is behind it is never a request.
fn one_request_at_most(proxy: &Proxy, upstream: &Upstream, head: &[u8]) {
    let shown = String::from_utf8_lossy(head);
    let answer = ask(proxy, head);
    let seen = upstream.take();
    let requests = seen
        .iter()
        .filter(|seen| !seen.head.starts_with("LEFTOVER"))
        .count();
    assert!(requests <= 1, "{shown:?}: {seen:?}");
    assert!(
        seen.iter()
            .all(|seen| seen.line().starts_with("POST /judged ")),
        "{shown:?}: {seen:?}"
    );
    let framed = seen.iter().all(|seen| {
        let (codings, lengths) = (
            seen.values("transfer-encoding"),
            seen.values("content-length"),
        );
        codings.len() + lengths.len() <= 1 && codings.iter().all(|coding| coding == "chunked")
    });
    assert!(framed, "{shown:?}: {seen:?}");
    if requests == 0 {
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{shown:?}");
    }
}

/// C5, C10, C11: what has two readings is answered with 400 and the connection ends.
#[test]
fn ambiguous_heads_are_refused_and_the_connection_closed() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    for head in [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x\\y HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /x HTTP/2.0\r\nHost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = proxy.client();
        let answer = client
            .send(format!("{head}GET /second HTTP/1.1\r\nHost: a\r\n\r\n"))
            .answer();
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{head:?}");
        assert!(client.closed(), "{head:?}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

/// Answers keep their order: the good request before a bad one is served, the one behind it is not.
#[test]
fn a_refusal_waits_for_the_answers_before_it() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let mut client = proxy.client();
    client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\nHost: a\n\nGET /third HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    assert_eq!(client.answer().unwrap().status, 400);
    assert!(client.closed());
    assert_eq!(upstream.seen().len(), 1);
}

/// A head may have 16 KB; the client gets to read the refusal of a larger one, although it is still sending.
#[test]
fn large_heads_are_refused_readably() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let head = |len: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(len)
        )
    };
    assert_eq!(
        ask(&proxy, head(15_000)).unwrap().status,
        404,
        "`/**` does not take `/`"
    );
    assert_eq!(ask(&proxy, head(300_000)).unwrap().status, 431);
    assert_eq!(
        ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n")
            .unwrap()
            .status,
        417
    );
}

/// C11: methods are compared as they are written; none is overridden.
#[test]
fn methods_are_neither_folded_nor_overridden() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::start(&upstream);
    let override_ = "GET /x HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\n\r\n";
    assert_eq!(ask(&proxy, override_).unwrap().status, 200);
    assert!(upstream.take()[0].line().starts_with("GET /x "));
}

/// C15: nothing of the request makes it a health check on the main port.
#[test]
fn a_health_check_is_a_request_like_others() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            rules: super::bodies::DENYING,
            ..Setup::default()
        },
    );
    for path in [
        "/.well-known/health",
        "/healthz",
        "/ping",
        "/metrics",
        "/.well-known/jwks",
    ] {
        for agent in ["kube-probe/1.30", "GoogleHC/1.0", "ELB-HealthChecker/2.0"] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nUser-Agent: {agent}\r\n\r\n");
            assert_eq!(ask(&proxy, request).unwrap().status, 404, "{path} {agent}");
        }
    }
    let probing = "GET /shut HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.30\r\n\r\n";
    assert_eq!(ask(&proxy, probing).unwrap().status, 401);
    assert!(upstream.seen().is_empty());
}
