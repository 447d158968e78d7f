//! Identity-aware proxy and decision service: sockets and files around the verdict engine of `heimdall-pipeline`.
//!
//! [`start`] runs it inside another program (`heimdall up`); the program `heimdall-proxy` is [`commands::main`].

mod access_log;
mod alarm;
pub mod commands;
mod connection;
mod cors;
mod counters;
mod environment;
#[cfg(feature = "envoy-grpc")]
mod envoy;
mod feed;
mod fields;
pub mod guard;
mod key_store;
mod management;
mod rules;
mod run;
mod service;
mod shadow;
mod upstream;
mod workers;

pub use environment::ConfigAt;
pub use feed::{ApiOverHttp, ChangeSource, Feeds};
pub use run::{Deps, Running, Settings, StartError, compile, start};
