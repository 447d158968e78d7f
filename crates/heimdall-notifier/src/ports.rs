//! What the notifier needs from outside: an outbox, a way to send, and the particulars of a notice.

use std::time::Duration;

use async_trait::async_trait;
use heimdall_types::{
    AppId, DeliveryId, EventId, Fault, Notice, NoticeId, Page, PageRequest, Secret, Timestamp,
    WebhookId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// A notice that this worker may send until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The notice.
    pub notice: Notice,
    /// How many tries there were before this one.
    pub attempts: u32,
}

/// A notice that will not be tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The notice.
    pub notice: Notice,
    /// How many tries there were.
    pub attempts: u32,
    /// When it was given up.
    pub at: Timestamp,
    /// Why, in words fit for an administrator.
    pub error: String,
}

/// The notices that wait: written in the transaction of the change that caused them.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes up to `limit` due notices that nobody holds and holds them until `until`.
    /// Two workers never hold the same notice at once; a lease that ran out may be taken by another.
    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Leased>, Fault>;
    /// The notice was accepted by the server; it leaves the outbox.
    async fn sent(&self, id: &NoticeId, now: Timestamp) -> Result<(), Fault>;
    /// The notice failed for now: count the try, end the lease, and try again at `next`.
    async fn retry(&self, id: &NoticeId, next: Timestamp, error: &str) -> Result<(), Fault>;
    /// The notice is given up and stays visible.
    async fn bury(&self, id: &NoticeId, now: Timestamp, error: &str) -> Result<(), Fault>;
    /// The notices that were given up, newest first; of one App or, for `None`, of all.
    async fn dead(
        &self,
        app: Option<&AppId>,
        page: &PageRequest,
    ) -> Result<Page<DeadLetter>, Fault>;
    /// Puts a dead letter back into the queue; `false` when there is none with this id.
    async fn resend(&self, id: &NoticeId, now: Timestamp) -> Result<bool, Fault>;
}

/// What a notice needs to become a mail: looked up when it is sent, so that links are fresh and nothing secret waits
/// in the database.
#[async_trait]
pub trait Particulars: Send + Sync {
    /// The context for the message's template; `None` when the notice has no point any more (its step was decided,
    /// its request cancelled) and is dropped quietly.
    async fn of(&self, notice: &Notice) -> Result<Option<Value>, Fault>;
}

/// One mail to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Exactly one address.
    pub to: String,
    /// One line, without control characters.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// The Message-ID, the same at every try.
    pub message_id: String,
}

/// Why a mail was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// Trying later may help: no connection, a time-out, a 4xx answer.
    #[error("not now: {0}")]
    Transient(String),
    /// Trying again would not help: a 5xx answer, an impossible address.
    #[error("refused: {0}")]
    Permanent(String),
}

/// Sends mails: SMTP, or a folder of files.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands one mail over; `Ok` only when it was accepted.
    async fn send(&self, mail: &Mail) -> Result<(), SendError>;
}

/// A webhook delivery that this worker may send until its lease ends.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// The App.
    pub app_id: AppId,
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// The event; also the `webhook-id` header, constant over all tries.
    pub event_id: EventId,
    /// Where to.
    pub url: String,
    /// The live secrets (`whsec_…`), newest first: at rotation there are two.
    pub secrets: Vec<Secret>,
    /// The body `{"type","data"}`, the same bytes at every try.
    pub body: String,
    /// How many tries there were before this one.
    pub attempts: u32,
    /// When the first try was due.
    pub first_due: Timestamp,
}

/// How one try of a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When.
    pub at: Timestamp,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Why it failed, in words; never the answer's body.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What becomes of a delivery after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged.
    Delivered,
    /// Tried again at this time.
    Again(Timestamp),
    /// Given up; the endpoint stays enabled.
    Dead,
    /// Given up, and the endpoint is disabled, with an event that says so.
    Disable,
}

/// The deliveries that wait: written in the transaction of the change that caused them.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Takes up to `limit` due deliveries that nobody holds, at most one an endpoint, and holds them until `until`.
    async fn lease(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, Fault>;
    /// Records how a try ended and what becomes of the delivery.
    async fn record(&self, delivery: &Delivery, outcome: &Outcome, fate: Fate)
    -> Result<(), Fault>;
}

/// What a webhook endpoint answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After`, if it was given and made sense.
    pub retry_after: Option<Duration>,
}

/// Posts to webhook endpoints: no redirects, addresses checked at connect, 15 s in all.
#[async_trait]
pub trait Poster: Send + Sync {
    /// Sends `body` as JSON with these headers. An error is a text fit for the App's administrator.
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<Answer, String>;
}
