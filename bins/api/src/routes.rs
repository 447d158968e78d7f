//! A file a group of endpoints: decode, one call, encode.

pub(crate) mod admin_keys;
pub(crate) mod apps;
pub(crate) mod credentials;
pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod discovery;
pub(crate) mod feed;
pub(crate) mod invites;
pub(crate) mod keys;
pub(crate) mod me;
pub(crate) mod oauth;
pub(crate) mod password_resets;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod users;
pub(crate) mod webhooks;

use actix_web::{HttpResponse, web};
use heimdall_server::Problem;

/// What a handler answers.
pub(crate) type Answer = Result<HttpResponse, Problem>;
/// The dependencies, as handlers see them.
pub(crate) type With = web::Data<crate::deps::Deps>;
