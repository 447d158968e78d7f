//! The strict guard on the raw HTTP/1 stream: what is not plainly one request is never shown to the HTTP library.
//!
//! HTTP libraries are lenient, each in its own way, and two lenient programs in a row are how requests are smuggled.
//! [`Guarded`] sits between the socket and the library, follows the framing of every request on the connection
//! byte by byte, and lets a head through only after [`head::check`] found exactly one reading of it. A refused head
//! never arrives; in its place the library gets one fixed request, which the service answers with the refusal, so
//! that answers to earlier pipelined requests keep their order.

mod body;
mod clock;
mod head;
mod state;
mod stream;

pub use clock::Timers;
pub use head::{Framing, Head, check};
pub use state::{ConnState, Running};
pub use stream::Guarded;

/// Most bytes a request line and its headers may have.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most header lines a request may have.
pub const MAX_HEADERS: usize = 100;

/// Why a head was refused: the status to answer and a text for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 417 or 431.
    pub status: u16,
    /// What is wrong; for logs and metrics, never shown to the client.
    pub reason: &'static str,
}

impl Refusal {
    pub(crate) const fn bad(reason: &'static str) -> Self {
        Self {
            status: 400,
            reason,
        }
    }

    pub(crate) const fn too_large() -> Self {
        Self {
            status: 431,
            reason: "the head is larger than the limit",
        }
    }
}
