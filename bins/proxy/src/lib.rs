//! Identity-aware proxy and decision service: sockets and files around the verdict engine of `heimdall-pipeline`.

mod connection;
mod cors;
mod counters;
mod fields;
pub mod guard;
mod service;
mod upstream;
mod workers;
