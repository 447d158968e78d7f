use heimdall_types::{CredentialId, Page, PageRequest, SecretId, Timestamp};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::change::{Change, Subject, Transition};
use crate::entity::{Credential, StoredSecret};
use crate::error::TenantError;
use crate::input::{CredentialPatch, NewCredential};
use crate::name;
use crate::tenants::roles::{named, patterns_in};
use crate::tenants::{Entered, Tenants, again, expect};
use crate::view::{self, CredentialView, NewCredentialView, NewSecretView};

/// Live secrets of one credential: one in use, one to replace it.
const MAX_SECRETS: usize = 2;
const MAX_JWKS_BYTES: usize = 16 * 1024;

impl Tenants {
    /// Makes a credential with its first secret.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `credentials:write`, or when the caller lacks what the roles hold.
    pub async fn create_credential(
        &self,
        caller: &Caller,
        app: &str,
        new: NewCredential,
    ) -> Result<NewCredentialView, TenantError> {
        let entered = self.enter(caller, app, "credentials:write").await?;
        name::line("name", &new.name, name::MAX_DISPLAY_NAME)?;
        let roles = named(&entered.model, "roles", &new.roles)?;
        entered.may_grant(patterns_in(&entered.model, &roles))?;
        check_keys(new.jwks.as_ref(), new.jwks_uri.as_deref())?;
        let jwks_uri = match &new.jwks_uri {
            Some(uri) => Some(self.outward_address("jwks_uri", uri).await?),
            None => None,
        };
        let now = self.now();
        let (client_secret, secret) = self.new_secret(now);
        let credential = Credential {
            app_id: entered.id().clone(),
            id: CredentialId::generate(now, self.rng()),
            name: new.name,
            roles,
            secrets: vec![secret],
            roles_only: new.roles_only,
            jwks: new.jwks,
            jwks_uri,
            tokens_after: Timestamp::default(),
            created_at: now,
            updated_at: now,
            version: 0,
        };
        self.put_credential(
            caller,
            &credential,
            Some("credential.created"),
            "credential.created",
        )
        .await?;
        let credential = view::credential(
            &entered.model,
            &Credential {
                version: 1,
                ..credential
            },
        );
        Ok(NewCredentialView {
            credential,
            client_secret,
        })
    }

    /// Credentials by id.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `credentials:read`.
    pub async fn credentials(
        &self,
        caller: &Caller,
        app: &str,
        page: &PageRequest,
    ) -> Result<Page<CredentialView>, TenantError> {
        let entered = self.enter(caller, app, "credentials:read").await?;
        let page = self
            .ports()
            .credentials
            .credentials(entered.id(), page)
            .await?;
        Ok(page.map(|credential| view::credential(&entered.model, &credential)))
    }

    /// One credential.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `credentials:read`.
    pub async fn credential(
        &self,
        caller: &Caller,
        app: &str,
        client_id: &str,
    ) -> Result<CredentialView, TenantError> {
        let entered = self.enter(caller, app, "credentials:read").await?;
        Ok(view::credential(
            &entered.model,
            &self.stored_credential(&entered, client_id).await?,
        ))
    }

    /// Changes a credential. Other roles end the tokens that were issued with the old ones only in so far as live
    /// checks see the new ones.
    ///
    /// # Errors
    /// As [`Tenants::create_credential`]; another version than `expected`.
    pub async fn update_credential(
        &self,
        caller: &Caller,
        app: &str,
        client_id: &str,
        patch: CredentialPatch,
        expected: Option<i64>,
    ) -> Result<CredentialView, TenantError> {
        let entered = self.enter(caller, app, "credentials:write").await?;
        if let Some(name) = &patch.name {
            name::line("name", name, name::MAX_DISPLAY_NAME)?;
        }
        again!({
            let mut credential = self.stored_credential(&entered, client_id).await?;
            expect(credential.version, expected)?;
            let keys = patch.jwks.is_some() || patch.jwks_uri.is_some();
            if let Some(names) = &patch.roles {
                let roles = named(&entered.model, "roles", names)?;
                let added: Vec<_> = roles
                    .iter()
                    .filter(|id| !credential.roles.contains(id))
                    .cloned()
                    .collect();
                entered.may_grant(patterns_in(&entered.model, &added))?;
                credential.roles = roles;
            }
            if keys {
                // Whoever's key it is gets all that the credential holds.
                entered.may_grant(patterns_in(&entered.model, &credential.roles))?;
            }
            if let Some(name) = &patch.name {
                credential.name.clone_from(name);
            }
            if let Some(roles_only) = patch.roles_only {
                credential.roles_only = roles_only;
            }
            if let Some(jwks) = &patch.jwks {
                credential.jwks.clone_from(jwks);
            }
            if let Some(uri) = &patch.jwks_uri {
                credential.jwks_uri.clone_from(uri);
            }
            check_keys(credential.jwks.as_ref(), credential.jwks_uri.as_deref())?;
            credential.updated_at = self.now();
            self.put_credential(caller, &credential, None, "credential.updated")
                .await?;
            credential.version += 1;
            Ok(view::credential(&entered.model, &credential))
        })
    }

    /// Deletes a credential; its tokens are refused from now on.
    ///
    /// # Errors
    /// [`TenantError::Forbidden`] without `credentials:write`; another version than `expected`.
    pub async fn delete_credential(
        &self,
        caller: &Caller,
        app: &str,
        client_id: &str,
        expected: Option<i64>,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "credentials:write").await?;
        let credential = self.stored_credential(&entered, client_id).await?;
        expect(credential.version, expected)?;
        let app = entered.id();
        let mut transition = Transition::of([Change::DropCredential {
            app_id: app.clone(),
            id: credential.id.clone(),
        }]);
        transition.note(app, Subject::Client(credential.id.clone()), self.now());
        let data = json!({"client_id": credential.id});
        self.record(
            &mut transition.journal,
            app,
            caller,
            "credential.deleted",
            credential.id.as_str(),
            data,
        );
        Ok(self.apply(transition).await?)
    }

    /// Adds a second secret, so that the first can be replaced without an outage.
    ///
    /// # Errors
    /// [`TenantError::State`] when there are two; [`TenantError::Forbidden`] when the caller lacks what it holds.
    pub async fn add_secret(
        &self,
        caller: &Caller,
        app: &str,
        client_id: &str,
    ) -> Result<NewSecretView, TenantError> {
        let entered = self.enter(caller, app, "credentials:write").await?;
        again!({
            let mut credential = self.stored_credential(&entered, client_id).await?;
            entered.may_grant(patterns_in(&entered.model, &credential.roles))?;
            if credential.secrets.len() >= MAX_SECRETS {
                return Err(TenantError::State(
                    "a credential has at most two live secrets; delete one first",
                ));
            }
            let now = self.now();
            let (client_secret, secret) = self.new_secret(now);
            let id = secret.id.clone();
            credential.secrets.push(secret);
            credential.updated_at = now;
            self.put_credential(
                caller,
                &credential,
                Some("credential.rotated"),
                "credential.rotated",
            )
            .await?;
            Ok(NewSecretView { id, client_secret })
        })
    }

    /// Ends one of two secrets.
    ///
    /// # Errors
    /// [`TenantError::State`] for the last one of a credential without keys.
    pub async fn delete_secret(
        &self,
        caller: &Caller,
        app: &str,
        client_id: &str,
        secret: &str,
    ) -> Result<(), TenantError> {
        let entered = self.enter(caller, app, "credentials:write").await?;
        again!({
            let mut credential = self.stored_credential(&entered, client_id).await?;
            let at = credential
                .secrets
                .iter()
                .position(|stored| stored.id.as_str() == secret)
                .ok_or(TenantError::NotFound)?;
            if credential.secrets.len() == 1
                && credential.jwks.is_none()
                && credential.jwks_uri.is_none()
            {
                return Err(TenantError::State(
                    "the last secret stays; delete the credential instead",
                ));
            }
            credential.secrets.remove(at);
            credential.updated_at = self.now();
            self.put_credential(caller, &credential, None, "credential.secret_deleted")
                .await
        })
    }

    fn new_secret(&self, now: Timestamp) -> (String, StoredSecret) {
        let (secret, hash) = self.inner.secrets.new_client_secret(self.rng());
        (
            secret,
            StoredSecret {
                id: SecretId::generate(now, self.rng()),
                hash,
                created_at: now,
            },
        )
    }

    async fn stored_credential(
        &self,
        entered: &Entered,
        client_id: &str,
    ) -> Result<Credential, TenantError> {
        let id: CredentialId = client_id.parse().map_err(|_| TenantError::NotFound)?;
        let found = self.ports().credentials.credential(&id).await?;
        found
            .filter(|credential| credential.app_id == *entered.id())
            .ok_or(TenantError::NotFound)
    }

    async fn put_credential(
        &self,
        caller: &Caller,
        credential: &Credential,
        event: Option<&str>,
        action: &str,
    ) -> Result<(), TenantError> {
        let app = &credential.app_id;
        let mut transition = Transition::of([Change::Credential(Box::new(credential.clone()))]);
        if credential.version > 0 {
            transition.note(app, Subject::Client(credential.id.clone()), self.now());
        }
        let data = json!({"client_id": credential.id, "roles": credential.roles});
        transition.journal.audit.push(self.audit(
            Some(app),
            caller,
            action,
            credential.id.as_str(),
            data,
        ));
        if let Some(kind) = event {
            transition.journal.events.push(self.event(
                app,
                kind,
                json!({"client_id": credential.id}),
            ));
        }
        Ok(self.apply(transition).await?)
    }
}

fn check_keys(jwks: Option<&Value>, uri: Option<&str>) -> Result<(), TenantError> {
    if jwks.is_some() && uri.is_some() {
        return Err(TenantError::invalid("jwks_uri", "excludes `jwks`"));
    }
    if let Some(jwks) = jwks {
        let text = jwks.to_string();
        let keys = heimdall_token::PublicKeys::parse(text.as_bytes());
        if text.len() > MAX_JWKS_BYTES || !keys.is_ok_and(|keys| !keys.is_empty()) {
            return Err(TenantError::invalid(
                "jwks",
                "is no set of public keys that can verify signatures",
            ));
        }
    }
    Ok(())
}
