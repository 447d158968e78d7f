use std::time::Duration;

use heimdall_types::{Page, PageRequest, WebhookId};
use serde_json::json;

use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::{SealedSecret, Webhook};
use crate::error::TenantError;
use crate::input::{NewWebhook, WebhookPatch};
use crate::tenants::{Entered, Tenants, again, expect};
use crate::view::{NewWebhookView, WebhookView};
use crate::webhook_address;

/// Most endpoints of an App.
const MAX_WEBHOOKS: u32 = 100;
/// How long a replaced secret signs beside its successor.
const OVERLAP: Duration = Duration::from_secs(24 * 3_600);

impl Tenants {
    /// Registers an address that events are posted to.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `webhooks:write`; an address or an event type that is refused.
    pub async fn create_webhook(
        &self,
        caller: &Caller,
        app: &str,
        new: NewWebhook,
    ) -> Result<NewWebhookView, TenantError> {
        let entered = self.enter(caller, app, "webhooks:write").await?;
        let url = self.outward_address("url", &new.url).await?;
        check_events(&new.events)?;
        let page = PageRequest {
            limit: MAX_WEBHOOKS,
            cursor: None,
        };
        if self
            .ports()
            .webhooks
            .webhooks(entered.id(), &page)
            .await?
            .data
            .len()
            >= MAX_WEBHOOKS as usize
        {
            return Err(TenantError::State(
                "an App has at most 100 webhook endpoints",
            ));
        }
        let now = self.now();
        let id = WebhookId::generate(now, self.rng());
        let (secret, sealed) = self
            .inner
            .secrets
            .new_webhook_secret(id.as_str(), self.rng());
        let webhook = Webhook {
            app_id: entered.id().clone(),
            id,
            url,
            events: new.events,
            secrets: vec![SealedSecret {
                sealed,
                until: None,
            }],
            enabled: true,
            disabled_reason: None,
            failing_since: None,
            created_at: now,
            updated_at: now,
            version: 0,
        };
        self.put_webhook(caller, &webhook, "webhook.created")
            .await?;
        Ok(NewWebhookView {
            webhook: WebhookView {
                version: 1,
                ..WebhookView::from(&webhook)
            },
            secret,
        })
    }

    /// An address that we are to call, in its canonical form: looked at as it is spelled, and as it resolves now.
    pub(crate) async fn outward_address(
        &self,
        field: &'static str,
        text: &str,
    ) -> Result<String, TenantError> {
        let allow_private = self.inner.settings.allow_private_webhooks;
        let url = webhook_address::check(field, text, allow_private)?;
        if let (false, Some(addresses), Some(host), Some(port)) = (
            allow_private,
            &self.ports().addresses,
            url.host_str(),
            url.port_or_known_default(),
        ) && addresses.leads_inward(host, port).await
        {
            return Err(TenantError::invalid(field, "must not be a private address"));
        }
        Ok(url.to_string())
    }

    /// Endpoints by id.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `webhooks:read`.
    pub async fn webhooks(
        &self,
        caller: &Caller,
        app: &str,
        page: &PageRequest,
    ) -> Result<Page<WebhookView>, TenantError> {
        let entered = self.enter(caller, app, "webhooks:read").await?;
        Ok(self
            .ports()
            .webhooks
            .webhooks(entered.id(), page)
            .await?
            .map(|webhook| WebhookView::from(&webhook)))
    }

    /// One endpoint.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `webhooks:read`.
    pub async fn webhook(
        &self,
        caller: &Caller,
        app: &str,
        webhook: &str,
    ) -> Result<WebhookView, TenantError> {
        let entered = self.enter(caller, app, "webhooks:read").await?;
        Ok(WebhookView::from(
            &self.stored_webhook(&entered, webhook).await?,
        ))
    }

    /// Changes an endpoint. Enabling it forgets its failures.
    ///
    /// # Errors
    /// As [`Tenants::create_webhook`]; another version than `expected`.
    pub async fn update_webhook(
        &self,
        caller: &Caller,
        app: &str,
        webhook: &str,
        patch: WebhookPatch,
        expected: Option<i64>,
    ) -> Result<WebhookView, TenantError> {
        let entered = self.enter(caller, app, "webhooks:write").await?;
        let url = match &patch.url {
            Some(url) => Some(self.outward_address("url", url).await?),
            None => None,
        };
        patch.events.as_deref().map_or(Ok(()), check_events)?;
        again!({
            let mut stored = self.stored_webhook(&entered, webhook).await?;
            expect(stored.version, expected)?;
            if let Some(url) = &url {
                stored.url.clone_from(url);
            }
            if let Some(events) = &patch.events {
                stored.events.clone_from(events);
            }
            if let Some(enabled) = patch.enabled {
                stored.enabled = enabled;
                stored.failing_since = None;
                stored.disabled_reason = (!enabled).then(|| "switched off".to_owned());
            }
            stored.updated_at = self.now();
            self.put_webhook(caller, &stored, "webhook.updated").await?;
            stored.version += 1;
            Ok(WebhookView::from(&stored))
        })
    }

    /// Gives an endpoint a new secret; the old one signs beside it for a day.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `webhooks:write`.
    pub async fn rotate_webhook_secret(
        &self,
        caller: &Caller,
        app: &str,
        webhook: &str,
    ) -> Result<NewWebhookView, TenantError> {
        let entered = self.enter(caller, app, "webhooks:write").await?;
        again!({
            let mut stored = self.stored_webhook(&entered, webhook).await?;
            let now = self.now();
            let (secret, sealed) = self
                .inner
                .secrets
                .new_webhook_secret(stored.id.as_str(), self.rng());
            stored.secrets.truncate(1);
            for old in &mut stored.secrets {
                old.until = Some(now.plus(OVERLAP));
            }
            stored.secrets.insert(
                0,
                SealedSecret {
                    sealed,
                    until: None,
                },
            );
            stored.updated_at = now;
            self.put_webhook(caller, &stored, "webhook.secret_rotated")
                .await?;
            stored.version += 1;
            Ok(NewWebhookView {
                webhook: WebhookView::from(&stored),
                secret,
            })
        })
    }

    /// Serves a disabled endpoint again.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `webhooks:write`.
    pub async fn enable_webhook(
        &self,
        caller: &Caller,
        app: &str,
        webhook: &str,
    ) -> Result<WebhookView, TenantError> {
        let patch = WebhookPatch {
            enabled: Some(true),
            ..WebhookPatch::default()
        };
        self.update_webhook(caller, app, webhook, patch, None).await
    }

    /// Removes an endpoint and what waits for it.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `webhooks:write`.
    pub async fn delete_webhook(
        &self,
        caller: &Caller,
        app: &str,
        webhook: &str,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "webhooks:write").await?;
        let stored = self.stored_webhook(&entered, webhook).await?;
        expect(stored.version, expected)?;
        let app = entered.id();
        let mut transition = Transition::of([Change::DropWebhook {
            app_id: app.clone(),
            id: stored.id.clone(),
        }]);
        let data = json!({"webhook_id": stored.id});
        transition.journal.audit.push(self.audit(
            Some(app),
            caller,
            "webhook.deleted",
            stored.id.as_str(),
            data,
        ));
        Ok(self.apply(transition).await?)
    }

    /// Checks that the caller may see (or, with `write`, act on) an endpoint's deliveries, and gives its ids: what is
    /// done with deliveries is the notifier's affair.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`]; [`TenantError::NotFound`].
    pub async fn webhook_for_deliveries(
        &self,
        caller: &Caller,
        app: &str,
        webhook: &str,
        write: bool,
    ) -> Result<Webhook, TenantError> {
        let permission = if write {
            "webhooks:write"
        } else {
            "webhooks:read"
        };
        let entered = self.enter(caller, app, permission).await?;
        self.stored_webhook(&entered, webhook).await
    }

    async fn stored_webhook(
        &self,
        entered: &Entered,
        webhook: &str,
    ) -> Result<Webhook, TenantError> {
        let id: WebhookId = webhook.parse().map_err(|_| TenantError::NotFound)?;
        self.ports()
            .webhooks
            .webhook(entered.id(), &id)
            .await?
            .ok_or(TenantError::NotFound)
    }

    async fn put_webhook(
        &self,
        caller: &Caller,
        webhook: &Webhook,
        action: &str,
    ) -> Result<(), TenantError> {
        let app = &webhook.app_id;
        let mut transition = Transition::of([Change::Webhook(Box::new(webhook.clone()))]);
        let data = json!({"webhook_id": webhook.id, "enabled": webhook.enabled});
        transition.journal.audit.push(self.audit(
            Some(app),
            caller,
            action,
            webhook.id.as_str(),
            data,
        ));
        Ok(self.apply(transition).await?)
    }
}

// `*`, `noun.*` or `noun.verb`.
fn check_events(events: &[String]) -> Result<(), TenantError> {
    let word = |word: &str| {
        !word.is_empty()
            && word.len() <= 40
            && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
    };
    let known = |event: &String| {
        event == "*"
            || event
                .split_once('.')
                .is_some_and(|(noun, verb)| word(noun) && (verb == "*" || word(verb)))
    };
    if events.len() > 50 || !events.iter().all(known) {
        return Err(TenantError::invalid(
            "events",
            "must be at most 50 types such as `user.created` or `role.*`",
        ));
    }
    Ok(())
}
