//! The built program with its files, signals and the servers around it.
#![allow(
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::print_stderr
)]

mod endpoints;
mod feeds;
mod gateways;
mod keys;
mod providers;
mod rules;
#[path = "../wire/support.rs"]
#[allow(
    dead_code,
    reason = "what the other tests of the wire need stands there as well"
)]
mod support;
mod world;
