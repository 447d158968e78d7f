#![allow(clippy::string_slice)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tokio::time::Instant;

use super::*;

const PLAIN: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

async fn pass(pieces: &[&str]) -> (String, Option<Refusal>) {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let state = Arc::new(ConnState::default());
    let mut guarded = Guarded::new(server, state.clone(), Timers::default());
    let mut seen = Vec::new();
    for piece in pieces {
        client.write_all(piece.as_bytes()).await.unwrap();
        let mut space = [0; 65536];
        while let Ok(Ok(count)) =
            tokio::time::timeout(Duration::from_millis(5), guarded.read(&mut space)).await
        {
            if count == 0 {
                break;
            }
            seen.extend_from_slice(&space[..count]);
        }
    }
    (String::from_utf8(seen).unwrap(), state.refusal())
}

#[tokio::test(start_paused = true)]
async fn good_requests_pass_unchanged_however_they_are_cut() {
    let text = format!(
        "{PLAIN}POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{PLAIN}POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{PLAIN}"
    );
    for cut in 1..text.len() {
        let (seen, refusal) = pass(&[&text[..cut], &text[cut..]]).await;
        assert_eq!((seen.as_str(), refusal), (text.as_str(), None), "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_head_is_replaced_and_nothing_behind_it_is_seen() {
    let (seen, refusal) = pass(&[&format!("{PLAIN}GET /x HTTP/1.1\nHost: x\n\n{PLAIN}")]).await;
    assert_eq!(seen.as_bytes(), [PLAIN.as_bytes(), SUBSTITUTE].concat());
    assert_eq!(refusal.unwrap().status, 400);
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_an_upgrade_are_no_request() {
    let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
    let (seen, _) = pass(&[&format!("{upgrade}{PLAIN}")]).await;
    assert_eq!(seen, upgrade);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_sixteen_kilobytes() {
    let head = |len: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
            "b".repeat(len)
        )
    };
    let spare = head(0).len();
    assert_eq!(pass(&[&head(MAX_HEAD - spare)]).await.1, None);
    assert_eq!(
        pass(&[&head(MAX_HEAD - spare + 1)]).await.1.unwrap().status,
        431
    );
    assert_eq!(
        pass(&["GET / HTTP/1.1\r\nA: ", &"b".repeat(MAX_HEAD)])
            .await
            .1
            .unwrap()
            .status,
        431
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_and_a_slow_body_end_in_time() {
    let second = Duration::from_secs(1);
    let timers = Timers {
        head: Some(5 * second),
        body: Some(5 * second),
        idle: Some(60 * second),
        write: None,
    };
    for (start, text) in [
        ("", "GET"),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
            "a",
        ),
    ] {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut guarded = Guarded::new(server, Arc::default(), timers);
        client.write_all(start.as_bytes()).await.unwrap();
        let begun = Instant::now();
        let drip = tokio::spawn(async move {
            loop {
                if client.write_all(&text.as_bytes()[..1]).await.is_err() {
                    return;
                }
                tokio::time::sleep(second).await;
            }
        });
        let mut all = Vec::new();
        let _ = guarded.read_to_end(&mut all).await;
        assert!(begun.elapsed() < 7 * second, "{:?}", begun.elapsed());
        drip.abort();
    }
}
