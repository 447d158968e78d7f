use std::time::Duration;

use async_trait::async_trait;
use heimdall_notifier::{Mail, Mailer, SendError};
use heimdall_types::Secret;
use lettre::message::{Mailbox as Address, MultiPart};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use thiserror::Error;

// What one command may take. With a lease of 60 s a hanging server cannot make a second worker send the same mail.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why mail settings cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MailSettingsError {
    /// The URL is no `smtp[s]://user:pass@host:port` or `file://DIR`.
    #[error("`smtp.url` is `smtp[s]://user:pass@host:port` or `file://DIR`")]
    Url,
    /// The sender is no address.
    #[error("`smtp.from` is an address such as `Heimdall <heimdall@example.org>`")]
    From,
}

/// Sends mails to an SMTP server: TLS from the start (`smtps://`), STARTTLS where the server offers it (`smtp://`),
/// or STARTTLS or nothing (`smtp://…?tls=required`). Connections are pooled.
#[derive(Clone)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl Smtp {
    /// A client for the server at `url`, sending as `from`. Connects only when the first mail goes out.
    pub fn new(url: &Secret, from: &str) -> Result<Self, MailSettingsError> {
        let text = url.expose();
        let text = match text.strip_prefix("smtp://") {
            Some(_) if !text.contains("tls=") => {
                format!(
                    "{text}{}tls=opportunistic",
                    if text.contains('?') { '&' } else { '?' }
                )
            }
            _ => text.to_owned(),
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&text)
            .map_err(|_| MailSettingsError::Url)?
            .timeout(Some(TIMEOUT))
            .pool_config(
                PoolConfig::new()
                    .max_size(8)
                    .idle_timeout(Duration::from_secs(30)),
            )
            .build();
        Ok(Self {
            transport,
            from: from.parse().map_err(|_| MailSettingsError::From)?,
        })
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = build(mail, &self.from)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(SendError::Permanent(error.to_string())),
            Err(error) => Err(SendError::Transient(error.to_string())),
        }
    }
}

// Multipart text and HTML to exactly one address.
pub(crate) fn build(mail: &Mail, from: &Address) -> Result<Message, SendError> {
    let impossible = |error: &dyn std::fmt::Display| SendError::Permanent(error.to_string());
    let to: heimdall_types::Email = mail.to.parse().map_err(|e| impossible(&e))?;
    let to: Address = to.as_str().parse().map_err(|e| impossible(&e))?;
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(mail.subject.as_str())
        .message_id(Some(mail.message_id.clone()))
        .multipart(MultiPart::alternative_plain_html(
            mail.text.clone(),
            mail.html.clone(),
        ))
        .map_err(|e| impossible(&e))
}
