//! Adapters that speak to the world: SMTP and a mailbox of files, webhooks, HTTP endpoints, OAuth 2 and JWKS.

pub mod address;
#[cfg(feature = "pipeline")]
mod http;
mod key_sets;
mod mailbox;
mod name_server;
mod outward;
#[cfg(feature = "accounts")]
mod provider;
mod smtp;
pub mod tls;
mod webhook;

#[cfg(feature = "pipeline")]
pub use self::http::HttpClient;
pub use key_sets::KeySets;
pub use mailbox::{Mailbox, StoredMail, read_mail};
pub use name_server::NameServer;
pub use outward::Outward;
#[cfg(feature = "accounts")]
pub use provider::ProviderClient;
pub use smtp::{MailSettingsError, Smtp};
pub use webhook::WebhookPoster;
