//! The api over a real listener, on a store in memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a helper that fails fails its test"
)]

mod client;
mod console;
mod errors;
mod guides;
mod isolation;
mod limits;
mod oauth;
mod once;
mod webhooks;
