//! Messages, webhook signatures, retry policy and the workers that empty the outbox.
//!
//! A change writes its notices and deliveries in its own transaction. A [`MailWorker`] or [`WebhookWorker`] leases
//! what is due, sends it through a port and records how it went; a crash at any point means a second try with the
//! same `Message-ID` or `webhook-id`, never a loss.

mod mail_worker;
mod message;
mod ports;
mod retry;
mod sanitize;
mod webhook;
mod webhook_worker;

pub use mail_worker::MailWorker;
pub use message::{Language, MessageError, Messages, Rendered};
pub use ports::{
    Answer, DeadLetter, Deliveries, Delivery, Fate, Leased, Mail, Mailer, Outbox, Outcome,
    Particulars, Poster, SendError,
};
pub use retry::{MAIL_SCHEDULE, WEBHOOK_SCHEDULE, delay};
pub use webhook::{SecretError, WebhookSecret, signature_headers};
pub use webhook_worker::WebhookWorker;
