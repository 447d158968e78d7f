//! The portal and its programs: people ask for access, others decide by mail link, bearer token or inbox.
//!
//! [`app`] adds every route to an actix-web application; [`Workers`] sends the mails and ends what ends by itself.

mod account;
mod conditions;
pub mod config;
mod deps;
mod external;
mod listing;
mod once;
mod opaque;
pub mod openapi;
mod pages;
mod particulars;
mod refusal;
mod role_book;
mod routes;
mod scanners;
mod smtp;
mod start;
mod who;
mod workers;

use actix_web::middleware::from_fn;
use actix_web::web;
use heimdall_server::{Edge, Health, LimitSettings, Limits, Redaction, Sources, assets};

pub use deps::{Assembly, AssemblyError, Deps, assemble};
pub use external::{External, Legacy};
pub use smtp::StoredMailer;
pub use start::{Service, start};
pub use workers::{Workers, mailer};

/// Everything of the approvals service, at the root of its address.
pub fn app(deps: Deps) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static {
    let once = once::middleware(&deps);
    move |config| {
        let health = Health::new(heimdall_api::database_checks(&deps.store));
        config.app_data(web::Data::new(deps));
        health.routes(config);
        assets::routes(config);
        openapi::routes(config);
        pages::routes(config);
        // Last, because it takes every path that is left.
        config.service(
            web::scope("")
                .wrap(from_fn(move |request, next| {
                    once.clone().once(request, next)
                }))
                .configure(routes::routes)
                .default_service(web::to(pages::missing)),
        );
    }
}

/// The edge of this service: its limits, and what of its paths must not be logged.
pub fn edge(limits: &LimitSettings, sources: Sources, encrypted: bool) -> Edge {
    Edge::new("approvals")
        .limits(Limits::new(limits).into())
        .redact(Redaction::new(&[]))
        .sources(sources)
        .encrypted(encrypted)
}
