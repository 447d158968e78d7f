//! The console: pages for administrators over the same service that the API stands on.
//!
//! Operators sign in with an admin key, users of an App with their password. What they sign in with stays in this
//! process; the browser gets an opaque cookie. Every page asks [`heimdall_tenant::Tenants`], which checks every right.

#![expect(
    clippy::result_large_err,
    reason = "an answer that ends a handler early is as large as one that does not"
)]

mod apps;
mod desk;
mod fields;
mod forgot;
mod join;
mod machines;
mod me;
mod people;
mod records;
mod roles;
mod signin;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use heimdall_server::{Csrf, Pages, PagesError};
use heimdall_token::crypto;
use heimdall_types::{Clock, Rng, Secret, Timestamp};

use crate::deps::Deps;

/// How long a browser stays signed in.
const SESSION: Duration = Duration::from_secs(8 * 3_600);
/// Most browsers at once; the one that would end first makes room.
const MAX_SESSIONS: usize = 10_000;
const COOKIE: &str = "heimdall_console";

macro_rules! embedded {
    ($builder:expr, $($name:literal),* $(,)?) => {
        $builder$(.template($name, include_str!(concat!("../templates/", $name))))*
    };
}

/// Every page, embedded; an operator's folder wins.
///
/// # Errors
/// A page of the folder that is wrong.
pub fn pages(folder: Option<PathBuf>) -> Result<Pages, PagesError> {
    embedded!(
        Pages::builder(),
        "admin-keys.html",
        "app.html",
        "apps.html",
        "audit.html",
        "base.html",
        "credentials.html",
        "forgot.html",
        "invites.html",
        "join.html",
        "keys.html",
        "mark.html",
        "me.html",
        "message.html",
        "once.html",
        "passkey-new.html",
        "reset.html",
        "role.html",
        "roles.html",
        "signin-code.html",
        "signin.html",
        "totp-new.html",
        "user.html",
        "users.html",
        "webhooks.html",
    )
    .messages("en", "{}")
    .folder(folder)
    .build()
}

/// What somebody signed in with.
#[derive(Clone)]
enum Held {
    /// An admin key.
    Key(Secret),
    /// A user's tokens.
    User {
        app: String,
        access: Secret,
        refresh: Option<Secret>,
    },
}

struct Session {
    name: String,
    held: Held,
    ends: Timestamp,
}

/// The sessions of the console and what its pages share.
pub(crate) struct Console {
    sessions: Mutex<HashMap<String, Session>>,
    csrf: Csrf,
    pages: Pages,
    encrypted: bool,
}

impl Console {
    /// The console of these dependencies; `None` when they bring no pages.
    pub(crate) fn new(deps: &Deps) -> Option<web::Data<Self>> {
        let pages = deps.pages.clone()?;
        let key = Secret::new(crypto::hex(&*deps.root_key.derive("console-forms")));
        Some(web::Data::new(Self {
            sessions: Mutex::default(),
            csrf: Csrf::new(&key),
            pages,
            encrypted: deps.base_url.starts_with("https://"),
        }))
    }

    fn open(&self, name: String, held: Held, clock: &dyn Clock, rng: &dyn Rng) -> String {
        let now = clock.now();
        let cookie = crypto::random_token(rng, 32);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| now < session.ends);
        if sessions.len() >= MAX_SESSIONS
            && let Some(first) = sessions
                .iter()
                .min_by_key(|(_, it)| it.ends)
                .map(|(id, _)| id.clone())
        {
            sessions.remove(&first);
        }
        let session = Session {
            name,
            held,
            ends: now.plus(SESSION),
        };
        sessions.insert(crypto::sha256_hex(cookie.as_bytes()), session);
        cookie
    }

    fn find(&self, cookie: &str, now: Timestamp) -> Option<(String, String, Held)> {
        let id = crypto::sha256_hex(cookie.as_bytes());
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(&id).filter(|session| now < session.ends)?;
        Some((id, session.name.clone(), session.held.clone()))
    }

    fn renew(&self, id: &str, held: Held) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get_mut(id) {
            session.held = held;
        }
    }

    fn close(&self, id: &str) {
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}

/// The pages below `{prefix}/console`, and those that mails lead to.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(
        web::scope("/console")
            .configure(signin::routes)
            .configure(me::routes)
            .configure(apps::routes)
            .configure(people::routes)
            .configure(roles::routes)
            .configure(machines::routes)
            .configure(records::routes),
    );
    join::routes(config);
    forgot::routes(config);
}
