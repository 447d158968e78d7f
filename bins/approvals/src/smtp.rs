//! The mail server of the installation: set by an operator at run time, kept sealed, used from the next mail on.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use heimdall_notifier::{Mail, Mailer, SendError};
use heimdall_store::Store;
use heimdall_token::{RootKey, crypto};
use heimdall_transport::MailSettingsError;
use heimdall_types::{Fault, Journal, Rng, Secret};
use serde::{Deserialize, Serialize};

use crate::workers::mailer;

const KEY: &str = "smtp";
const CONTEXT: &str = "smtp-url";

/// The settings as they are stored: nothing in it but the sealed part lets anyone send mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// The address without user and password.
    pub(crate) url: String,
    /// The sender.
    pub(crate) from: String,
    /// The user.
    #[serde(default)]
    pub(crate) username: Option<String>,
    /// The whole address with user and password, sealed, base64.
    sealed: String,
}

/// The stored settings and their version.
pub(crate) async fn load(store: &Store) -> Result<Option<(Stored, i64)>, Fault> {
    let Some(document) = store.document(None, KEY).await? else {
        return Ok(None);
    };
    let stored =
        serde_json::from_value(document.body).map_err(|error| Fault::Corrupt(error.to_string()))?;
    Ok(Some((stored, document.version)))
}

/// Checks and stores settings. Without a password the stored one stays, if the user is the same.
pub(crate) async fn save(
    store: &Store,
    root: &RootKey,
    rng: &dyn Rng,
    new: &New,
    journal: Journal,
) -> Result<Result<Stored, MailSettingsError>, Fault> {
    let before = load(store).await?;
    let kept = before
        .as_ref()
        .filter(|(stored, _)| stored.username == new.username && stored.url == new.url);
    let full = match (&new.username, &new.password) {
        (Some(user), Some(password)) => with_credentials(&new.url, user, password.expose()),
        (Some(_), None) => match kept {
            Some((stored, _)) => open(root, stored)?,
            None => return Ok(Err(MailSettingsError::Url)),
        },
        (None, _) => Secret::new(new.url.clone()),
    };
    let network = new.url.starts_with("smtp://") || new.url.starts_with("smtps://");
    if !network || new.url.contains('@') {
        return Ok(Err(MailSettingsError::Url));
    }
    if let Err(error) = mailer(&full, &new.from) {
        return Ok(Err(error));
    }
    let sealed = crypto::base64(&root.seal(CONTEXT, full.expose().as_bytes(), rng));
    let stored = Stored {
        url: new.url.clone(),
        from: new.from.clone(),
        username: new.username.clone(),
        sealed,
    };
    let body = serde_json::to_value(&stored).map_err(|error| Fault::Corrupt(error.to_string()))?;
    store
        .put_document(
            None,
            KEY,
            before.map(|(_, version)| version),
            &body,
            journal,
        )
        .await?;
    Ok(Ok(stored))
}

/// What an operator sets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    /// `smtp[s]://host:port`.
    pub(crate) url: String,
    /// The sender.
    pub(crate) from: String,
    /// The user, if the server wants one.
    #[serde(default)]
    pub(crate) username: Option<String>,
    /// Its password.
    #[serde(default)]
    pub(crate) password: Option<Secret>,
}

fn open(root: &RootKey, stored: &Stored) -> Result<Secret, Fault> {
    let damaged = || Fault::Corrupt("the mail settings do not open under this root key".into());
    let sealed = crypto::from_base64(&stored.sealed).ok_or_else(damaged)?;
    let plain = root.open(CONTEXT, &sealed).map_err(|_| damaged())?;
    String::from_utf8(plain.to_vec())
        .map(Secret::new)
        .map_err(|_| damaged())
}

fn with_credentials(url: &str, user: &str, password: &str) -> Secret {
    let (scheme, rest) = url.split_once("://").unwrap_or(("smtp", url));
    Secret::new(format!(
        "{scheme}://{}:{}@{rest}",
        percent(user),
        percent(password)
    ))
}

// Everything but the unreserved characters of RFC 3986, so that no password ends the user part early.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Sends by the stored settings; by what the configuration says where there are none.
pub struct StoredMailer {
    store: Arc<Store>,
    root: RootKey,
    configured: Arc<dyn Mailer>,
    built: Mutex<Option<(i64, Arc<dyn Mailer>)>>,
}

impl std::fmt::Debug for StoredMailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredMailer").finish_non_exhaustive()
    }
}

impl StoredMailer {
    /// A mailer over the store, with the configured one behind it.
    pub fn new(store: Arc<Store>, root: RootKey, configured: Arc<dyn Mailer>) -> Self {
        Self {
            store,
            root,
            configured,
            built: Mutex::default(),
        }
    }

    async fn current(&self) -> Result<Arc<dyn Mailer>, SendError> {
        let transient = |fault: Fault| SendError::Transient(fault.to_string());
        let Some((stored, version)) = load(&self.store).await.map_err(transient)? else {
            return Ok(Arc::clone(&self.configured));
        };
        // Connections are pooled in the mailer, so it is built once a version.
        let known = self
            .built
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((built, mailer)) = known
            && built == version
        {
            return Ok(mailer);
        }
        let url = open(&self.root, &stored).map_err(transient)?;
        let fresh =
            mailer(&url, &stored.from).map_err(|error| SendError::Transient(error.to_string()))?;
        *self.built.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((version, Arc::clone(&fresh)));
        Ok(fresh)
    }
}

#[async_trait]
impl Mailer for StoredMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        self.current().await?.send(mail).await
    }
}

/// A mailer by the stored settings alone, for a test mail; `None` where there are none.
pub(crate) async fn stored_mailer(
    store: &Store,
    root: &RootKey,
) -> Result<Option<Arc<dyn Mailer>>, Fault> {
    let Some((stored, _)) = load(store).await? else {
        return Ok(None);
    };
    let url = open(root, &stored)?;
    mailer(&url, &stored.from)
        .map(Some)
        .map_err(|error| Fault::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use heimdall_types::SeededRng;

    use super::*;

    fn new(password: Option<&str>) -> New {
        New {
            url: "smtps://mail.example:465".into(),
            from: "Heimdall <heimdall@example.org>".into(),
            username: Some("us@er".into()),
            password: password.map(Secret::from),
        }
    }

    #[test]
    fn a_password_never_ends_the_user_part_early() {
        let url = with_credentials("smtp://mail:25", "a:b", "p@ss/wörd");
        assert_eq!(url.expose(), "smtp://a%3Ab:p%40ss%2Fw%C3%B6rd@mail:25");
    }

    #[actix_web::test]
    async fn settings_are_sealed_and_a_password_is_kept_until_it_is_set_again() {
        let store = Store::memory().unwrap();
        let rng = SeededRng::new(1);
        let root = RootKey::generate(&rng);
        let journal = || Journal {
            audit: vec![crate::routes::settings::audited_for_test()],
            ..Journal::default()
        };
        let stored = save(&store, &root, &rng, &new(Some("hunter2")), journal())
            .await
            .unwrap()
            .unwrap();
        assert!(!serde_json::to_string(&stored).unwrap().contains("hunter2"));
        let again = save(&store, &root, &rng, &new(None), journal())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            open(&root, &again).unwrap().expose(),
            "smtps://us%40er:hunter2@mail.example:465"
        );
        let elsewhere = New {
            url: "smtps://evil.example:465".into(),
            ..new(None)
        };
        let refused = save(&store, &root, &rng, &elsewhere, journal())
            .await
            .unwrap();
        assert!(
            refused.is_err(),
            "a kept password never goes to another server"
        );
        for bad in ["file:///etc", "http://mail", "smtp://u:p@mail"] {
            let refused = New {
                url: bad.into(),
                username: None,
                ..new(None)
            };
            assert!(
                save(&store, &root, &rng, &refused, journal())
                    .await
                    .unwrap()
                    .is_err(),
                "{bad}"
            );
        }
    }
}
