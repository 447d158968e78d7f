//! The JSON routes, a file an endpoint group.

mod api_keys;
mod events;
mod grants;
mod groups;
mod jit;
mod key;
mod notification_configs;
mod pending;
mod requests;
pub(crate) mod settings;
mod webapi;

use actix_web::{HttpResponse, web};
use heimdall_server::Problem;

use crate::deps::Deps;

pub(crate) use jit::application;
pub(crate) use key::valid as valid_key;
pub(crate) use pending::mailed;

/// What a handler gives.
pub(crate) type Answer = Result<HttpResponse, Problem>;
/// What a handler stands on.
pub(crate) type With = web::Data<Deps>;

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    for routes in [
        requests::routes,
        grants::routes,
        events::routes,
        pending::routes,
        settings::routes,
        notification_configs::routes,
        api_keys::routes,
        groups::routes,
        jit::routes,
        webapi::routes,
    ] {
        routes(config);
    }
}
