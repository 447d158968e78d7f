use std::path::{Path, PathBuf};

use async_trait::async_trait;
use heimdall_notifier::{Mail, Mailer, SendError};
use lettre::message::Mailbox as Address;

use crate::smtp::{MailSettingsError, build};

/// Writes mails as `.eml` files into a folder: for a first look and for tests.
///
/// The file's name follows from the Message-ID, so a second try of the same mail replaces the first.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: PathBuf,
    from: Address,
}

impl Mailbox {
    /// A mailbox in `folder`, which is made when the first mail is written.
    pub fn new(folder: impl Into<PathBuf>, from: &str) -> Result<Self, MailSettingsError> {
        Ok(Self {
            folder: folder.into(),
            from: from.parse().map_err(|_| MailSettingsError::From)?,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file_name(message_id: &str) -> String {
        let plain: String = message_id
            .split('@')
            .next()
            .unwrap_or_default()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-')
            .collect();
        format!("{plain}.eml")
    }
}

#[async_trait]
impl Mailer for Mailbox {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let bytes = build(mail, &self.from)?.formatted();
        let target = self.folder.join(Self::file_name(&mail.message_id));
        let draft = target.with_extension("part");
        let later = |error: std::io::Error| SendError::Transient(error.to_string());
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(later)?;
        tokio::fs::write(&draft, bytes).await.map_err(later)?;
        // Whoever watches the folder sees whole mails only.
        tokio::fs::rename(&draft, &target).await.map_err(later)
    }
}

/// What a stored mail says, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// The subject.
    pub subject: String,
    /// Who sent it.
    pub from: String,
    /// Who gets it.
    pub to: String,
    /// The Message-ID, with its brackets.
    pub message_id: String,
    /// The text part.
    pub text: String,
}

/// Reads a mail as [`Mailbox`] writes it; `None` when it is none.
pub fn read_mail(raw: &str) -> Option<StoredMail> {
    let mail = mail_parser::MessageParser::default().parse(raw.as_bytes())?;
    let address = |list: Option<&mail_parser::Address<'_>>| {
        let first = list.and_then(mail_parser::Address::first);
        first
            .and_then(mail_parser::Addr::address)
            .unwrap_or_default()
            .to_owned()
    };
    Some(StoredMail {
        subject: mail.subject().unwrap_or_default().to_owned(),
        from: address(mail.from()),
        to: address(mail.to()),
        message_id: mail
            .message_id()
            .map(|id| format!("<{id}>"))
            .unwrap_or_default(),
        text: mail.body_text(0).unwrap_or_default().replace("\r\n", "\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, to: &str) -> Mail {
        Mail {
            to: to.to_owned(),
            subject: subject.to_owned(),
            text: "line\n.\nend".to_owned(),
            html: "<p>hi</p>".to_owned(),
            message_id: "<ntc_1@h>".to_owned(),
        }
    }

    #[tokio::test]
    async fn the_same_mail_twice_is_one_file_with_one_recipient() {
        let folder = std::env::temp_dir().join(format!("heimdall-mailbox-{}", std::process::id()));
        let mailbox = Mailbox::new(&folder, "Heimdall <heimdall@h.example>").unwrap();
        for _ in 0..2 {
            mailbox.send(&mail("Grüße", "a@x.example")).await.unwrap();
        }
        let files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        let text = std::fs::read_to_string(&files[0]).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(text.matches("To: a@x.example").count(), 1);
        assert!(text.contains("Message-ID: <ntc_1@h>"));
    }

    #[tokio::test]
    async fn two_addresses_or_a_line_break_in_the_recipient_are_refused() {
        let mailbox = Mailbox::new("/nonexistent", "h@h.example").unwrap();
        for to in [
            "a@x.example, b@y.example",
            "a@x.example\r\nBcc: b@y.example",
            "",
        ] {
            assert!(
                matches!(
                    mailbox.send(&mail("s", to)).await,
                    Err(SendError::Permanent(_))
                ),
                "{to:?}"
            );
        }
    }
}
