//! The portal of an App: whether it is open, the base of its links, and the ring of keys that sign them.

use std::sync::Arc;

use heimdall_token::link::{ActionLink, ApprovalMail, LinkError, Opened};
use heimdall_token::{RootKey, SignatureKey, TokenError, crypto};
use heimdall_types::{
    Actor, AppId, AuditEntry, Clock, Fault, Journal, KeyId, Rng, Secret, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::ApprovalError;
use crate::ports::PortalBook;

/// Older keys than these verify no more: links live at most 7 days, and nobody rotates more often than daily.
const MOST_KEYS: usize = 10;
const RETRIES: usize = 8;

/// A signature key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortalKey {
    /// Its name, the `kid` of the links it signs.
    pub id: KeyId,
    /// The text of the key, sealed under the root key, base64.
    pub sealed: String,
    /// Tells equal keys apart from different ones.
    pub fingerprint: String,
    /// Since when it is there.
    pub created_at: Timestamp,
}

/// The portal settings of an App. An App without any has a closed portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portal {
    /// Whether the portal works at all.
    #[serde(default)]
    pub enabled: bool,
    /// Base of every link: scheme, host and port.
    #[serde(default)]
    pub host: String,
    /// The keys, oldest first; the last one signs, all of them verify.
    #[serde(default)]
    pub keys: Vec<PortalKey>,
    /// Links signed in this second or before are over: a backup was put back, and what they did may be forgotten.
    #[serde(default)]
    pub links_after: Timestamp,
    /// Grows with every change; 0 before the first.
    #[serde(default)]
    pub version: i64,
}

impl Portal {
    fn unless_over<T>(&self, opened: Opened<T>, iat: impl Fn(&T) -> i64) -> Opened<T> {
        match opened {
            Opened::Live(link) if !self.is_live(iat(&link)) => Opened::Expired(link),
            other => other,
        }
    }

    fn is_live(&self, iat: i64) -> bool {
        self.links_after == Timestamp::default() || iat > self.links_after.seconds()
    }

    // Links that are signed in the second of a restore are signed as if in the next.
    fn signing_time(&self, now: Timestamp) -> i64 {
        let now = now.seconds();
        if self.is_live(now) {
            now
        } else {
            self.links_after.seconds().saturating_add(1)
        }
    }
}

/// What is to change; `None` leaves a setting as it is.
#[derive(Debug, Clone, Default)]
pub struct PortalChange {
    /// Opens or closes the portal.
    pub enabled: Option<bool>,
    /// Another base for links.
    pub host: Option<String>,
    /// Another signature key; the older ones keep verifying.
    pub signature_key: Option<Secret>,
}

/// The portals of all Apps. Cheap to clone.
#[derive(Clone)]
pub struct Portals {
    book: Arc<dyn PortalBook>,
    root: RootKey,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Portals {
    /// A service over its port.
    pub fn new(
        book: Arc<dyn PortalBook>,
        root: RootKey,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        Self {
            book,
            root,
            clock,
            rng,
        }
    }

    /// The settings of an App.
    ///
    /// # Errors
    /// The store fails.
    pub async fn of(&self, app: &AppId) -> Result<Portal, ApprovalError> {
        Ok(self.book.portal(app).await?.unwrap_or_default())
    }

    /// The settings of an App whose portal is open.
    ///
    /// # Errors
    /// `NotFound` when it is closed, has no host or no key.
    pub async fn open(&self, app: &AppId) -> Result<Portal, ApprovalError> {
        let portal = self.of(app).await?;
        let usable = portal.enabled && !portal.host.is_empty() && !portal.keys.is_empty();
        if usable {
            Ok(portal)
        } else {
            Err(ApprovalError::NotFound)
        }
    }

    /// Changes settings, all of it or nothing.
    ///
    /// # Errors
    /// `Invalid` naming the field: a host that is no base address, a key that breaks the rules or is another App's,
    /// a portal that is to be open without host or key.
    pub async fn change(
        &self,
        app: &AppId,
        actor: &Actor,
        change: PortalChange,
    ) -> Result<Portal, ApprovalError> {
        let key = match &change.signature_key {
            None => None,
            Some(text) => Some(self.parsed(text)?),
        };
        self.store(app, actor, "portal.changed", |portal| {
            if let Some(host) = &change.host {
                portal.host = base(host)?;
            }
            portal.enabled = change.enabled.unwrap_or(portal.enabled);
            if let Some(key) = &key {
                self.add(app, portal, key);
            }
            check(portal)
        })
        .await
    }

    /// Makes a new signature key of 384 random bytes, which signs from now on. Its text is not shown: who needs to
    /// know it sets one.
    ///
    /// # Errors
    /// The store fails.
    pub async fn generate_key(&self, app: &AppId, actor: &Actor) -> Result<Portal, ApprovalError> {
        let key = SignatureKey::generate(self.key_id().as_str(), self.rng.as_ref());
        self.store(app, actor, "portal.key_generated", |portal| {
            self.add(app, portal, &key);
            Ok(())
        })
        .await
    }

    /// Opens a portal that has everything, making a key where there is none: for a first start.
    ///
    /// # Errors
    /// `Invalid` for a host that is no base address.
    pub async fn ensure(&self, app: &AppId, host: &str) -> Result<Portal, ApprovalError> {
        let portal = self.of(app).await?;
        if portal.keys.is_empty() {
            self.generate_key(app, &Actor::System).await?;
        }
        let host = base(host)?;
        if portal.enabled && portal.host == host {
            return self.of(app).await;
        }
        let change = PortalChange {
            enabled: Some(true),
            host: Some(host),
            signature_key: None,
        };
        self.change(app, &Actor::System, change).await
    }

    /// The address in a portal mail: it lets `approver` decide on the session `session_id` until `expires_at`. The
    /// same `jti` gives a link that counts as the same one.
    ///
    /// # Errors
    /// `NotFound` when the portal is closed.
    pub async fn mail_link(
        &self,
        app: &AppId,
        approver: &str,
        session_id: i64,
        jti: &str,
        expires_at: Timestamp,
    ) -> Result<String, ApprovalError> {
        let portal = self.open(app).await?;
        let iat = portal.signing_time(self.clock.now());
        let mail = ApprovalMail {
            iss: app.to_string(),
            aud: ApprovalMail::AUDIENCE.into(),
            sub: approver.to_owned(),
            sid: session_id,
            iat,
            exp: expires_at.seconds().max(iat.saturating_add(1)),
            jti: jti.to_owned(),
        };
        let token = mail
            .issue(&self.current(app, &portal)?)
            .map_err(|error| corrupt(&error))?;
        Ok(format!("{}/external-approval?token={token}", portal.host))
    }

    /// Opens the token of a portal mail. `app` is the App of the session that the token names.
    ///
    /// # Errors
    /// Anything that makes it invalid, a closed portal included.
    pub async fn open_mail(
        &self,
        app: &AppId,
        token: &str,
    ) -> Result<Result<Opened<ApprovalMail>, LinkError>, Fault> {
        match self.keys_of(app).await? {
            Some((portal, keys)) => {
                let opened = ApprovalMail::open(token, &keys, app.as_str(), self.clock.now());
                Ok(opened.map(|opened| portal.unless_over(opened, |mail| mail.iat)))
            }
            None => Ok(Err(TokenError::UnknownKey.into())),
        }
    }

    /// Signs an action link and gives its address. `iss`, `aud` and `host_id` are set here.
    ///
    /// # Errors
    /// `NotFound` when the portal is closed.
    pub async fn action_link(
        &self,
        app: &AppId,
        link: ActionLink,
    ) -> Result<String, ApprovalError> {
        let portal = self.open(app).await?;
        let link = ActionLink {
            iss: portal.host.clone(),
            aud: portal.host.clone(),
            host_id: app.to_string(),
            iat: portal.signing_time(Timestamp::from_millis(link.iat.saturating_mul(1000))),
            ..link
        };
        let token = link
            .issue(&self.current(app, &portal)?)
            .map_err(|error| corrupt(&error))?;
        Ok(format!("{}/step-action?token={token}", portal.host))
    }

    /// Opens an action link; the App is the one that its `hostId` names.
    ///
    /// # Errors
    /// Anything that makes it invalid, a closed portal included.
    pub async fn open_action(
        &self,
        token: &str,
    ) -> Result<Result<Opened<ActionLink>, LinkError>, Fault> {
        let unknown = Ok(Err(TokenError::UnknownKey.into()));
        let Some(app) = ActionLink::peek(token).and_then(|peek| peek.host_id.parse::<AppId>().ok())
        else {
            return unknown;
        };
        let Some((portal, keys)) = self.keys_of(&app).await? else {
            return unknown;
        };
        let now = self.clock.now();
        let opened = ActionLink::open(token, &keys, app.as_str(), &portal.host, &portal.host, now);
        Ok(opened.map(|opened| portal.unless_over(opened, |link| link.iat)))
    }

    async fn keys_of(&self, app: &AppId) -> Result<Option<(Portal, Vec<SignatureKey>)>, Fault> {
        let Some(portal) = self.book.portal(app).await?.filter(|portal| portal.enabled) else {
            return Ok(None);
        };
        let keys = portal
            .keys
            .iter()
            .map(|key| self.unsealed(app, key))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some((portal, keys)))
    }

    fn current(&self, app: &AppId, portal: &Portal) -> Result<SignatureKey, ApprovalError> {
        let key = portal.keys.last().ok_or(ApprovalError::NotFound)?;
        Ok(self.unsealed(app, key)?)
    }

    fn unsealed(&self, app: &AppId, key: &PortalKey) -> Result<SignatureKey, Fault> {
        let damaged = || Fault::Corrupt(format!("signature key `{}`", key.id));
        let sealed = crypto::from_base64(&key.sealed).ok_or_else(damaged)?;
        let text = self
            .root
            .open(&context(app, key.id.as_str()), &sealed)
            .map_err(|_| damaged())?;
        let text = std::str::from_utf8(&text).map_err(|_| damaged())?;
        SignatureKey::parse(key.id.as_str(), text).map_err(|_| damaged())
    }

    fn key_id(&self) -> KeyId {
        KeyId::generate(self.clock.now(), self.rng.as_ref())
    }

    fn parsed(&self, text: &Secret) -> Result<SignatureKey, ApprovalError> {
        SignatureKey::parse(self.key_id().as_str(), text.expose())
            .map_err(|error| ApprovalError::invalid("signature_key", error.to_string()))
    }

    fn add(&self, app: &AppId, portal: &mut Portal, key: &SignatureKey) {
        let sealed = self.root.seal(
            &context(app, key.id()),
            key.text().expose().as_bytes(),
            self.rng.as_ref(),
        );
        let fingerprint = key.fingerprint();
        // Set again, a known key signs again: it moves to the end under its new name.
        portal.keys.retain(|known| known.fingerprint != fingerprint);
        if let Ok(id) = key.id().parse() {
            portal.keys.push(PortalKey {
                id,
                sealed: crypto::base64(&sealed),
                fingerprint,
                created_at: self.clock.now(),
            });
        }
        let surplus = portal.keys.len().saturating_sub(MOST_KEYS);
        portal.keys.drain(..surplus);
    }

    async fn store(
        &self,
        app: &AppId,
        actor: &Actor,
        action: &str,
        change: impl Fn(&mut Portal) -> Result<(), ApprovalError>,
    ) -> Result<Portal, ApprovalError> {
        for _ in 0..RETRIES {
            let mut portal = self.of(app).await?;
            change(&mut portal)?;
            let newest = portal.keys.last().map(|key| key.id.clone());
            let audit = AuditEntry {
                app_id: Some(app.clone()),
                at: self.clock.now(),
                actor: actor.clone(),
                action: action.to_owned(),
                target: app.to_string(),
                data: json!({ "enabled": portal.enabled, "host": portal.host, "signature_key": newest }),
            };
            let journal = Journal {
                audit: vec![audit],
                ..Journal::default()
            };
            match self.book.put_portal(app, &portal, journal).await {
                Ok(version) => return Ok(Portal { version, ..portal }),
                Err(Fault::Conflict) => {}
                Err(Fault::Duplicate(_)) => {
                    return Err(ApprovalError::invalid(
                        "signature_key",
                        "is another App's key",
                    ));
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Fault::Conflict.into())
    }
}

fn context(app: &AppId, id: &str) -> String {
    format!("portal-key/{app}/{id}")
}

fn corrupt(error: &LinkError) -> ApprovalError {
    Fault::Corrupt(error.to_string()).into()
}

fn check(portal: &Portal) -> Result<(), ApprovalError> {
    if portal.enabled && portal.host.is_empty() {
        return Err(ApprovalError::invalid(
            "portal_host",
            "is missing: links need it",
        ));
    }
    if portal.enabled && portal.keys.is_empty() {
        return Err(ApprovalError::invalid(
            "signature_key",
            "is missing: set one or generate one",
        ));
    }
    Ok(())
}

// Scheme, host and port alone: a path, a query or user information would end up in every link.
fn base(text: &str) -> Result<String, ApprovalError> {
    let refused = || {
        ApprovalError::invalid(
            "portal_host",
            "is an address such as `https://portal.example.org`",
        )
    };
    let text = text.trim_end_matches('/');
    let authority = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(refused)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
    if authority.is_empty() || text.len() > 200 || !authority.chars().all(plain) {
        return Err(refused());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
