//! Finalizers: what the upstream service sees of a subject.
#![allow(missing_docs)]
mod ports;
mod request;

pub use ports::{Http, HttpFault, HttpRequest, HttpResponse, Timer};
pub use request::{HeaderView, Request};
