use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::program::Program;
use super::support::{Client, RULES, Upstream, fine};

/// F14: without a free descriptor a client is told so at once, the loop does not spin, and afterwards all is well.
#[test]
fn clients_beyond_the_descriptors_are_turned_away() {
    let upstream = Upstream::start(fine);
    let program = Program::start(upstream.address, RULES, "ulimit -n 64;", &[]);
    let mut turned_away = 0;
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut client = program.client();
        client
            .stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        match client.head() {
            Some(answer) => {
                assert_eq!(answer.status, 503);
                turned_away += 1;
            }
            None => held.push(client),
        }
    }
    assert!(turned_away > 100, "{turned_away}");
    let before = program.busy();
    std::thread::sleep(Duration::from_secs(1));
    assert!(
        program.busy() - before < Duration::from_millis(200),
        "the accept loop spins"
    );
    let mut one = held.remove(0);
    one.stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(one.get("/x").status, 200, "those that are in are served");
    drop((one, held));
    let served = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        let mut client = program.client();
        client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        client.answer().is_some_and(|answer| answer.status == 200)
    });
    assert!(served, "there is room again");
}

/// One request a connection; `None` when the service took no connection any more.
fn exchange(program: &Program) -> Option<bool> {
    let stream = TcpStream::connect(program.address).ok()?;
    let mut client = Client::of(stream);
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    Some(
        client
            .answer()
            .is_some_and(|answer| answer.status == 200 && answer.body == b"fine"),
    )
}

/// F15: whoever was let in gets the whole answer.
#[test]
fn no_request_is_lost_when_the_service_is_asked_to_stop() {
    let upstream = Upstream::start(|seen, stream| {
        std::thread::sleep(Duration::from_millis(5));
        fine(seen, stream)
    });
    let mut program = Program::start(upstream.address, RULES, "", &[]);
    let (served, lost, stopped) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    std::thread::scope(|scope| {
        let asking = || {
            // On a connection that stays: each request gets its answer until the service says that it closes.
            let mut client = program.client();
            loop {
                client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
                match client.answer() {
                    Some(answer) if answer.status == 200 && answer.body == b"fine" => {
                        served.fetch_add(1, Ordering::Relaxed);
                        if answer.header("connection") == Some("close") {
                            return;
                        }
                    }
                    // Closed while nothing was running: the request that crossed it was never read.
                    None if stopped.load(Ordering::Relaxed) && client.nothing_came() => return,
                    other => {
                        lost.fetch_add(1, Ordering::Relaxed);
                        panic!("{other:?}");
                    }
                }
            }
        };
        for _ in 0..8 {
            scope.spawn(asking);
        }
        while served.load(Ordering::Relaxed) < 2000 {
            std::thread::yield_now();
        }
        stopped.store(true, Ordering::Relaxed);
        program.signal("TERM");
    });
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    assert!(exchange(&program).is_none(), "nothing listens any more");
    assert!(program.ended_well());
}

/// C19: silent connections cost a socket each and nobody else's time.
#[test]
fn thousands_of_silent_connections_leave_room_for_others() {
    let upstream = Upstream::start(fine);
    let program = Program::start(upstream.address, RULES, "", &[]);
    let mut silent = Vec::new();
    for number in 0..2000 {
        let mut client = program.client();
        if number % 2 == 0 {
            assert_eq!(client.get("/x").status, 200);
        }
        silent.push(client);
    }
    assert_eq!(program.client().get("/x").status, 200);
    assert!(program.resident() < 150, "{} MB", program.resident());
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET http://a/x` in HPACK, static table only.
fn request_block() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x44, 2];
    block.extend(b"/x");
    block.extend([0x41, 1]);
    block.extend(b"a");
    block
}

/// Sends until the service hangs up or `most` bytes are gone; tells whether it hung up.
fn flood(program: &Program, first: &[u8], mut next: impl FnMut(u32) -> Vec<u8>, most: u32) -> bool {
    let mut stream = TcpStream::connect(program.address).unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut space = [0; 65536];
        while let Ok(count @ 1..) = reader.read(&mut space) {
            // GOAWAY is the service's last word.
            if space[..count].windows(4).any(|bytes| bytes == [7, 0, 0, 0]) {
                return true;
            }
        }
        true
    });
    let _ = stream.write_all(&[PREFACE, &frame(4, 0, 0, &[]), first].concat());
    let mut hung_up = false;
    for number in 0..most {
        if stream.write_all(&next(number)).is_err() {
            hung_up = true;
            break;
        }
    }
    drop(stream);
    reading.join().unwrap() && hung_up
}

/// C19: streams that are opened and reset at once (CVE-2023-44487) and header blocks without end (CVE-2024-27316).
#[test]
fn http2_floods_end_and_others_are_served_meanwhile() {
    let upstream = Upstream::start(fine);
    let program = Program::start(upstream.address, RULES, "", &[]);
    std::thread::scope(|scope| {
        let resets = scope.spawn(|| {
            let both = |number: u32| {
                let stream = number * 2 + 1;
                [
                    frame(1, 5, stream, &request_block()),
                    frame(3, 0, stream, &8_u32.to_be_bytes()),
                ]
                .concat()
            };
            flood(&program, &[], both, 200_000)
        });
        let continuations = scope.spawn(|| {
            let first = frame(1, 1, 1, &request_block());
            // A literal field that is never indexed: it has to be kept if anything is.
            let field = [&[0x10, 1][..], b"a", &[127, 129, 1], &[b'b'; 256][..]].concat();
            flood(
                &program,
                &first,
                |_| frame(9, 0, 1, &field.repeat(40)),
                100_000,
            )
        });
        for _ in 0..50 {
            assert_eq!(program.client().get("/x").status, 200);
        }
        assert!(resets.join().unwrap(), "a flood of resets is cut off");
        assert!(
            continuations.join().unwrap(),
            "a block without end is cut off"
        );
    });
    assert!(program.resident() < 100, "{} MB", program.resident());
}
