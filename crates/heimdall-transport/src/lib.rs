//! Adapters that speak to the world: SMTP and a mailbox of files, webhooks, HTTP endpoints, OAuth 2 and JWKS.

mod mailbox;
mod smtp;

pub use mailbox::Mailbox;
pub use smtp::{MailSettingsError, Smtp};
