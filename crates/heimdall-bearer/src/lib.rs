//! Accepts Heimdall's access tokens in other services.
//!
//! A [`Gate`] verifies tokens by the issuer's published keys, with no call to anybody for most requests. Around it lie, each
//! behind a feature, an extractor for actix-web (`actix::Bearer`) and a layer for tower (`tower::BearerLayer`).
//!
//! What a token says was true when it was issued: whoever must know sooner that something was taken away asks the API
//! (`POST …/authorize`) or reads its list of revocations.

#[cfg(feature = "actix")]
pub mod actix;
mod gate;
#[cfg(feature = "tower")]
pub mod tower;

pub use gate::{Gate, Refusal};
