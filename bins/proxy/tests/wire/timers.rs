use std::time::{Duration, Instant};

use super::support::{Proxy, Setup, Upstream, fine};

const QUICK: &str = "{timeout: {read: 1s, idle: 2s}}";

fn drip(proxy: &Proxy, start: &str, byte: &str) -> Duration {
    let begun = Instant::now();
    let mut client = proxy.client();
    client
        .stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    client.send(start);
    while begun.elapsed() < Duration::from_secs(8) {
        client.send(byte);
        let mut space = [0; 64];
        match std::io::Read::read(&mut client.stream, &mut space) {
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            _ => break,
        }
    }
    begun.elapsed()
}

/// C19: whoever is slow loses the connection; others are served meanwhile.
#[test]
fn slow_heads_and_slow_bodies_end_in_time_and_nobody_else_waits() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: QUICK,
            ..Setup::default()
        },
    );
    std::thread::scope(|scope| {
        let head = scope.spawn(|| drip(&proxy, "GET /x HTTP/1.1\r\nHost: a\r\nX: ", "x"));
        let body = scope.spawn(|| {
            drip(
                &proxy,
                "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
                "x",
            )
        });
        for _ in 0..20 {
            assert_eq!(proxy.client().get("/x").status, 200);
        }
        assert!(head.join().unwrap() < Duration::from_secs(5));
        assert!(body.join().unwrap() < Duration::from_secs(6));
    });
}

#[test]
fn idle_connections_are_closed_without_a_word() {
    let upstream = Upstream::start(fine);
    let proxy = Proxy::with(
        upstream.address,
        &Setup {
            serve: QUICK,
            ..Setup::default()
        },
    );
    let (mut fresh, mut used) = (proxy.client(), proxy.client());
    assert_eq!(used.get("/x").status, 200);
    let begun = Instant::now();
    assert!(fresh.closed() && used.closed());
    assert!(
        (1..6).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}
