//! What every Heimdall binary does around its routes.
//!
//! * [`Server`] listens, limits, times out, speaks TLS and drains; [`Edge`] is the one middleware: request id, rate
//!   limit, security headers, access log, metrics.
//! * [`Json`], [`Query`], [`Form`] read input strictly and answer a [`Problem`] that names the field;
//!   [`Bearer`] and [`Authorization`] read credentials.
//! * [`Pages`] renders HTML with messages in several languages, [`assets`] serves the style sheet and scripts,
//!   [`Csrf`] and [`cookie`] protect forms, [`sse`] streams events.
//! * [`program`] is the command line of a service; [`config`] reads YAML, environment and secrets; [`telemetry`] logs and counts; [`Health`] says how it goes.

pub mod assets;
mod authorization;
mod body;
mod clock;
pub mod config;
pub mod cookie;
mod csrf;
mod digest;
mod edge;
mod form;
mod health;
mod json;
mod limits;
mod oauth_error;
mod page;
mod pages;
mod problem;
pub mod program;
mod query;
mod redact;
mod server;
pub mod signals;
mod source;
pub mod sse;
pub mod strict_json;
pub mod telemetry;
pub mod tls;

pub use authorization::{Authorization, Bearer};
pub use body::{BodyLimit, read as read_body};
pub use clock::SystemClock;
pub use csrf::{Csrf, same_origin};
pub use edge::{Edge, PAGE_POLICY, RequestId};
pub use form::{Form, Parameters};
pub use health::{Check, Health};
pub use json::{Json, OptionalJson};
pub use limits::{LimitSettings, Limits};
pub use oauth_error::OAuthError;
pub use page::page_request;
pub use pages::{Pages, PagesBuilder, PagesError};
pub use problem::{FieldError, Problem};
pub use query::Query;
pub use redact::{Redaction, redact_path};
pub use server::{ListenSettings, Running, Server, bind};
pub use source::{Cidr, Sources};
