use std::sync::Arc;
use std::time::Duration;

use heimdall_types::{Clock, Fault, Rng, Timestamp};

use crate::ports::{Answer, Deliveries, Delivery, Fate, Outcome, Poster};
use crate::{WEBHOOK_SCHEDULE, WebhookSecret, delay, signature_headers};

// Longer than one post may take (15 s).
const LEASE: Duration = Duration::from_secs(40);
// A receiver may ask for patience, but not for ever.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Delivers feed events to webhook endpoints. Cheap to clone: run several, so that one slow receiver holds up nobody.
#[derive(Clone)]
pub struct WebhookWorker {
    deliveries: Arc<dyn Deliveries>,
    poster: Arc<dyn Poster>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl WebhookWorker {
    /// A worker over its ports.
    pub fn new(
        deliveries: Arc<dyn Deliveries>,
        poster: Arc<dyn Poster>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            deliveries,
            poster,
            clock,
            rng,
        }
    }

    /// Leases up to `limit` due deliveries, at most one an endpoint.
    pub async fn lease(&self, limit: u32) -> Result<Vec<Delivery>, Fault> {
        let now = self.clock.now();
        self.deliveries.lease(now, now.plus(LEASE), limit).await
    }

    /// Tries one leased delivery and records how it went.
    pub async fn send(&self, delivery: &Delivery) -> Result<(), Fault> {
        let began = self.clock.now();
        let secrets: Result<Vec<_>, _> = delivery
            .secrets
            .iter()
            .map(|s| WebhookSecret::parse(s.expose()))
            .collect();
        let answer = match secrets {
            Ok(secrets) => {
                let headers =
                    signature_headers(delivery.event_id.as_str(), began, &delivery.body, &secrets);
                self.poster
                    .post(&delivery.url, &headers, &delivery.body)
                    .await
            }
            Err(error) => Err(error.to_string()),
        };
        let ended = self.clock.now();
        let fate = self.fate(delivery, &answer, ended);
        let outcome = Outcome {
            at: began,
            status: answer.as_ref().ok().map(|answer| answer.status),
            error: answer.err(),
            took_ms: u64::try_from(ended.since(began).as_millis()).unwrap_or(u64::MAX),
        };
        self.deliveries.record(delivery, &outcome, fate).await
    }

    fn fate(&self, delivery: &Delivery, answer: &Result<Answer, String>, now: Timestamp) -> Fate {
        let asked = match answer {
            Ok(answer) if (200..300).contains(&answer.status) => return Fate::Delivered,
            // 410: the receiver says that it is gone for good (Standard Webhooks, "Response codes").
            Ok(answer) if answer.status == 410 => return Fate::Disable,
            Ok(answer) => answer.retry_after,
            Err(_) => None,
        };
        match delay(
            &WEBHOOK_SCHEDULE,
            delivery.attempts.saturating_add(1),
            self.rng.as_ref(),
        ) {
            Some(pause) => {
                Fate::Again(now.plus(pause.max(asked.unwrap_or_default().min(LONGEST_RETRY_AFTER))))
            }
            // The schedule spans more than four days: whoever failed all of it has been failing for five.
            None => Fate::Disable,
        }
    }
}
