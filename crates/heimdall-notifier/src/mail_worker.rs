use std::sync::Arc;
use std::time::Duration;

use heimdall_types::{Clock, Fault, Rng};

use crate::ports::{Leased, Mail, Mailer, Outbox, Particulars, SendError};
use crate::{MAIL_SCHEDULE, Messages, delay};

// Longer than a mail server may take (30 s), so that a slow one does not make a second worker send the same mail.
const LEASE: Duration = Duration::from_secs(60);

/// Empties the outbox, a batch at a time. Cheap to clone: run several, so that one slow server holds up nobody.
#[derive(Clone)]
pub struct MailWorker {
    outbox: Arc<dyn Outbox>,
    particulars: Arc<dyn Particulars>,
    mailer: Arc<dyn Mailer>,
    messages: Arc<Messages>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl MailWorker {
    /// A worker over its ports.
    pub fn new(
        outbox: Arc<dyn Outbox>,
        particulars: Arc<dyn Particulars>,
        mailer: Arc<dyn Mailer>,
        messages: Arc<Messages>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            outbox,
            particulars,
            mailer,
            messages,
            clock,
            rng,
        }
    }

    /// Leases up to `limit` due notices.
    pub async fn lease(&self, limit: u32) -> Result<Vec<Leased>, Fault> {
        let now = self.clock.now();
        self.outbox.lease(now, now.plus(LEASE), limit).await
    }

    /// Sends one leased notice and records how it went. Never fails for the mail's own sake: a mail that cannot be
    /// made or sent is tried again or buried; a [`Fault`] means the outbox could not be told, and the lease runs out.
    pub async fn send(&self, leased: &Leased) -> Result<(), Fault> {
        let id = &leased.notice.id;
        match self.attempt(leased).await {
            Ok(()) => self.outbox.sent(id, self.clock.now()).await,
            Err(SendError::Permanent(why)) => self.outbox.bury(id, self.clock.now(), &why).await,
            Err(SendError::Transient(why)) => {
                match delay(
                    &MAIL_SCHEDULE,
                    leased.attempts.saturating_add(1),
                    self.rng.as_ref(),
                ) {
                    Some(pause) => {
                        self.outbox
                            .retry(id, self.clock.now().plus(pause), &why)
                            .await
                    }
                    None => self.outbox.bury(id, self.clock.now(), &why).await,
                }
            }
        }
    }

    /// Sends everything that is due now, one after the other; says how many notices were handled.
    pub async fn drain(&self) -> Result<usize, Fault> {
        let mut handled = 0;
        loop {
            let batch = self.lease(16).await?;
            if batch.is_empty() {
                return Ok(handled);
            }
            for leased in &batch {
                self.send(leased).await?;
                handled += 1;
            }
        }
    }

    async fn attempt(&self, leased: &Leased) -> Result<(), SendError> {
        let transient = |fault: Fault| SendError::Transient(fault.to_string());
        let Some(context) = self
            .particulars
            .of(&leased.notice)
            .await
            .map_err(transient)?
        else {
            return Ok(());
        };
        let mail = self
            .compose(leased, context)
            .map_err(|error| SendError::Permanent(error.to_string()))?;
        self.mailer.send(&mail).await
    }

    fn compose(
        &self,
        leased: &Leased,
        context: serde_json::Value,
    ) -> Result<Mail, crate::MessageError> {
        let rendered = self.messages.render(&leased.notice.kind, context)?;
        Ok(Mail {
            to: leased.notice.recipient.clone(),
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
            message_id: self.messages.message_id(leased.notice.id.as_str()),
        })
    }
}
