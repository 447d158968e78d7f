//! What a request may cost in allocations, over the wire and back: guard, library, verdict, forwarding, answer.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::print_stdout
)]

#[path = "wire/support.rs"]
mod support;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use heimdall_pipeline::Mode;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use support::{Proxy, Setup};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: app.example\r\nUser-Agent: budget\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\n";
const ROUNDS: usize = 200;

/// Answers without allocating, so that all that is counted is ours.
fn frugal_upstream() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut space = [0; 8192];
                while let Ok(1..) = stream.read(&mut space) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine";
                    stream.write_all(answer).unwrap();
                }
            });
        }
    });
    address
}

fn exchange(stream: &mut TcpStream) {
    stream.write_all(REQUEST).unwrap();
    let mut space = [0; 4096];
    let count = stream.read(&mut space).unwrap();
    assert!(space[..count].starts_with(b"HTTP/1.1 200"));
}

fn allocations(proxy: &Proxy) -> usize {
    let mut stream = TcpStream::connect(proxy.address).unwrap();
    for _ in 0..50 {
        exchange(&mut stream);
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        exchange(&mut stream);
    }
    let change = region.change();
    println!(
        "{} allocations, {} of them grown, {} bytes a request",
        change.allocations / ROUNDS,
        change.reallocations / ROUNDS,
        change.bytes_allocated / ROUNDS
    );
    change.allocations / ROUNDS
}

/// One test, because the allocator counts for the whole process.
#[test]
fn a_request_stays_within_its_allocations() {
    let upstream = frugal_upstream();
    let proxy = Proxy::with(upstream, &Setup::default());
    let forwarded = allocations(&proxy);
    drop(proxy);
    let decision = Proxy::with(
        upstream,
        &Setup {
            mode: Mode::Decision,
            ..Setup::default()
        },
    );
    let decided = allocations(&decision);
    assert!(forwarded <= FORWARDED, "{forwarded} allocations to forward");
    assert!(decided <= DECIDED, "{decided} allocations to decide");
}

const FORWARDED: usize = 50;
const DECIDED: usize = 14;
