//! The engine through its public interface.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod api;
mod certificates;
mod errors;
mod language;
mod limits;
mod vectors;
