//! Tenants, roles, tokens, invites and webhooks over HTTP: the routes around [`heimdall_tenant::Tenants`].
//!
//! [`app`] adds every route to an actix-web application, for [`heimdall_server::Server`] or for a test;
//! [`config::Settings`] is what the binary reads, [`start`] what it does.

mod answer;
mod assembly;
pub mod config;
mod console;
mod deps;
mod foundation;
mod health;
mod idempotent;
mod once;
pub mod openapi;
mod paging;
mod passwords;
mod possession;
mod qr;
mod refusal;
mod routes;
mod start;
mod who;
mod workers;

use actix_web::middleware::from_fn;
use actix_web::web;
use heimdall_server::{Edge, LimitSettings, Limits, Redaction, Sources, assets};

pub use assembly::{KeysAtRest, Options, Outside, assemble};
pub use console::pages;
pub use deps::{Deps, Ring};
pub use foundation::{Foundation, root_key};
pub use health::database_checks;
pub use idempotent::{CallerOf, Idempotency, scope_of_credential};
pub use passwords::HashingPool;
pub use start::{Service, StartError, start};
pub use workers::Workers;

/// Everything below `/heimdall` (or the prefix of `deps`), and the discovery document that lies beside it.
pub fn app(deps: Deps) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static {
    // Before the closure, which every worker runs: they share the sessions.
    let console = console::Console::new(&deps);
    let once = once::middleware(&deps);
    move |config| {
        let prefix = deps.prefix.clone();
        let health = health::health(&deps);
        config.app_data(web::Data::new(deps));
        routes::discovery::at_root(&prefix, config);
        health.clone().routes(config);
        assets::routes(config);
        let v1 = web::scope("/v1")
            .wrap(from_fn(move |request, next| {
                once.clone().once(request, next)
            }))
            .configure(version_1);
        config.service(
            web::scope(&prefix)
                .configure(|config| health.routes(config))
                .configure(openapi::routes)
                .configure(|config| {
                    if let Some(console) = console {
                        config.app_data(console).configure(console::routes);
                    }
                })
                .service(v1),
        );
    }
}

/// As [`app`], for a caller that holds the database itself and needs no key: the command line. Never behind a listener.
pub fn operator_app(deps: Deps) -> impl FnOnce(&mut web::ServiceConfig) + Clone + Send + 'static {
    let routes = app(deps);
    move |config| {
        config.app_data(who::AtTheMachine);
        routes(config);
    }
}

fn version_1(config: &mut web::ServiceConfig) {
    use routes::*;
    for routes in [
        discovery::routes,
        admin_keys::routes,
        apps::routes,
        roles::routes,
        users::routes,
        credentials::routes,
        oauth::routes,
        sessions::routes,
        me::routes,
        password_resets::routes,
        decisions::routes,
        invites::routes,
        webhooks::routes,
        deliveries::routes,
        feed::routes,
        settings::routes,
        keys::routes,
    ] {
        routes(config);
    }
}

/// The edge of this service: its limits, and what of its paths must not be logged.
pub fn edge(limits: &LimitSettings, sources: Sources, encrypted: bool) -> Edge {
    Edge::new("api")
        .limits(Limits::new(limits).into())
        .redact(Redaction::new(&[
            "/v1/invites/*",
            "/invites/*",
            "/password/*/*",
        ]))
        .sources(sources)
        .encrypted(encrypted)
}
