//! The edge: raw parts become one canonical request, or are refused.

use std::net::IpAddr;

use crate::{HeaderView, Request};

/// The parts of a request as the listener got them.
#[derive(Clone, Copy)]
pub struct RawHead<'a> {
    /// Method.
    pub method: &'a str,
    /// Request target: origin form, or absolute form.
    pub target: &'a str,
    /// `Host` field or `:authority`.
    pub authority: Option<&'a str>,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// Address of the connection.
    pub peer: IpAddr,
    /// Header fields.
    pub headers: &'a (dyn HeaderView + 'a),
}

/// Why a head was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 417, 431 or 501; the connection is to be closed.
    pub status: u16,
    /// For the log.
    pub reason: String,
}

/// Knows the trusted proxies and makes canonical requests.
#[derive(Debug, Clone, Default)]
pub struct Gate {}

impl Gate {
    /// The canonical form of `raw`.
    ///
    /// # Errors
    /// [`Refusal`] for what has no single meaning.
    pub fn admit<'a>(&self, raw: RawHead<'a>) -> Result<Request<'a>, Refusal> {
        let _ = raw;
        Err(Refusal { status: 400, reason: "not yet".into() })
    }
}
