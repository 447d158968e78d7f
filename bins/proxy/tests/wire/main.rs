//! What goes over the wire: raw clients, a recording upstream, and the service between them.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

mod bodies;
mod encrypted;
mod endurance;
#[cfg(feature = "envoy-grpc")]
mod envoy;
mod faults;
mod forwarding;
mod heads;
mod program;
mod reload;
mod support;
mod timers;
mod upgrade;
