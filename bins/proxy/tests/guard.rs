//! Whatever bytes come, and however they are cut: what the guard lets through has exactly one reading.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

use std::sync::Arc;
use std::time::Duration;

use heimdall_proxy::guard::{ConnState, Guarded, Timers};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SUBSTITUTE: &[u8] = b"OPTIONS * HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// What the library behind the guard reads, and whether the guard refused something.
fn through(bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let state = Arc::new(ConnState::default());
        let mut guarded = Guarded::new(server, state.clone(), Timers::default());
        let mut seen = Vec::new();
        let mut from = 0;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            let to = to.clamp(from, bytes.len());
            client.write_all(&bytes[from..to]).await.unwrap();
            from = to;
            let mut space = vec![0; 4096];
            while let Ok(Ok(count @ 1..)) =
                tokio::time::timeout(Duration::from_millis(1), guarded.read(&mut space)).await
            {
                seen.extend_from_slice(&space[..count]);
            }
        }
        (seen, state.refusal().is_some())
    })
}

/// A reader without any leniency: the requests in `bytes`, or why there is more than one reading of them.
fn strictly(mut bytes: &[u8]) -> Result<usize, String> {
    let mut requests = 0;
    while !bytes.is_empty() {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Err("half a head".into());
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 4..];
        requests += 1;
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default();
        if line.split(' ').count() != 3
            || !line.ends_with("HTTP/1.1") && !line.ends_with("HTTP/1.0")
        {
            return Err(format!("request line {line:?}"));
        }
        let (mut codings, mut lengths, mut hosts) = (0, Vec::new(), 0);
        for line in lines {
            if line.contains(['\r', '\n', '\0']) || line.starts_with([' ', '\t']) {
                return Err(format!("line {line:?}"));
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(format!("no colon in {line:?}"));
            };
            match name.to_ascii_lowercase().replace('_', "-").as_str() {
                "transfer-encoding" if value.trim().eq_ignore_ascii_case("chunked") => codings += 1,
                "transfer-encoding" => return Err(format!("coding {value:?}")),
                "content-length" => lengths.push(
                    value
                        .trim()
                        .parse::<usize>()
                        .map_err(|error| error.to_string())?,
                ),
                "host" => hosts += 1,
                // Nothing is known of the bytes behind it, and none may be passed.
                "upgrade" if !bytes.is_empty() => return Err("bytes behind an upgrade".into()),
                name if name.trim() != name => return Err(format!("name {name:?}")),
                _ => {}
            }
        }
        match (codings, lengths.as_slice(), hosts) {
            (0, [], 1) => {}
            (0, [length], 1) => bytes = bytes.get(*length..).unwrap_or_default(),
            (1, [], 1) => match chunks(bytes)? {
                Some(rest) => bytes = rest,
                None => return Ok(requests),
            },
            other => return Err(format!("{other:?} in {head:?}")),
        }
    }
    Ok(requests)
}

/// What is behind a chunked body; `None` when it is not complete.
fn chunks(mut bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            return Ok(None);
        };
        let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?;
        let digits = line.split(';').next().unwrap_or_default();
        if digits.is_empty()
            || !digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            || line.contains(['\r', '\n'])
        {
            return Err(format!("chunk size {line:?}"));
        }
        let size = usize::from_str_radix(digits, 16).map_err(|error| error.to_string())?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            let end = match bytes.strip_prefix(b"\r\n") {
                Some(rest) => return Ok(Some(rest)),
                None => bytes.windows(4).position(|four| four == b"\r\n\r\n"),
            };
            return Ok(end.map(|end| &bytes[end + 4..]));
        }
        match bytes.get(size..size.saturating_add(2)) {
            Some(b"\r\n") => bytes = &bytes[size + 2..],
            Some(other) => return Err(format!("{other:?} behind a chunk")),
            None => return Ok(None),
        }
    }
}

/// What passed before the request that stands for the refused one.
fn without_refusal(seen: &[u8], refused: bool) -> &[u8] {
    match seen.strip_suffix(SUBSTITUTE) {
        Some(passed) if refused => passed,
        _ => seen,
    }
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: x\r\n",
        "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\nX: y\r\n\r\n",
        "3;a=b\r\nabc\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 03\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer_Encoding: chunked\r\n",
        "Upgrade: foo\r\nConnection: upgrade\r\n",
        "Host: y\r\n",
        "Expect: 100-continue\r\n",
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "\t",
        ":",
        "0x3",
        "HTTP/1.0",
    ]);
    let word = prop_oneof![
        9 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    prop::collection::vec(word, 0..10).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_passes_has_one_reading(bytes in pieces(), cuts in prop::collection::vec(0_usize..200, 0..6)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (whole, refused) = through(&bytes, &[]);
        let (cut, refused_cut) = through(&bytes, &cuts);
        let (whole, cut) = (without_refusal(&whole, refused), without_refusal(&cut, refused_cut));
        // Of a body whose framing breaks, more or less may have passed before that was seen; never a head.
        prop_assert!(whole.starts_with(cut) || cut.starts_with(whole), "cuts change nothing");
        prop_assert_eq!(refused, refused_cut);
        prop_assert_eq!(strictly(cut), strictly(whole));
        prop_assert!(bytes.starts_with(whole), "nothing is made up or left out");
        let read = strictly(whole);
        prop_assert!(read.is_ok(), "{read:?} in {:?}", String::from_utf8_lossy(whole));
    }
}
