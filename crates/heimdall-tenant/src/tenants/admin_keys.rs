use heimdall_types::{AdminKeyId, Page, PageRequest};
use serde_json::json;

use crate::caller::Caller;
use crate::change::{Change, Transition};
use crate::entity::AdminKey;
use crate::error::TenantError;
use crate::input::NewAdminKey;
use crate::name;
use crate::tenants::{Tenants, again};
use crate::view::{AdminKeyView, NewAdminKeyView};

impl Tenants {
    /// Makes an admin key, shown once. For the operator; [`Caller::System`] makes the first one.
    ///
    /// # Errors
    /// A bad name.
    pub async fn create_admin_key(
        &self,
        caller: &Caller,
        new: NewAdminKey,
    ) -> Result<NewAdminKeyView, TenantError> {
        self.operator(caller)?;
        name::line("name", &new.name, name::MAX_DISPLAY_NAME)?;
        let now = self.now();
        let (key, hash) = self.inner.secrets.new_admin_key(self.rng());
        let record = AdminKey {
            id: AdminKeyId::generate(now, self.rng()),
            name: new.name,
            hash,
            created_at: now,
            revoked_at: None,
            version: 0,
        };
        self.put_admin_key(caller, &record, "admin_key.created")
            .await?;
        Ok(NewAdminKeyView {
            record: AdminKeyView::from(&record),
            key,
        })
    }

    /// Admin keys by id, revoked ones too. For the operator.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn admin_keys(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<AdminKeyView>, TenantError> {
        self.operator(caller)?;
        Ok(self
            .ports()
            .apps
            .admin_keys(page)
            .await?
            .map(|key| AdminKeyView::from(&key)))
    }

    /// Revokes an admin key. For the operator.
    ///
    /// # Errors
    /// [`TenantError::NotFound`].
    pub async fn revoke_admin_key(&self, caller: &Caller, id: &str) -> Result<(), TenantError> {
        self.operator(caller)?;
        let id: AdminKeyId = id.parse().map_err(|_| TenantError::NotFound)?;
        again!({
            let mut key = self
                .ports()
                .apps
                .admin_key_by_id(&id)
                .await?
                .ok_or(TenantError::NotFound)?;
            if key.revoked_at.is_some() {
                return Ok(());
            }
            key.revoked_at = Some(self.now());
            self.put_admin_key(caller, &key, "admin_key.revoked").await
        })
    }

    async fn put_admin_key(
        &self,
        caller: &Caller,
        key: &AdminKey,
        action: &str,
    ) -> Result<(), TenantError> {
        let mut transition = Transition::of([Change::AdminKey(Box::new(key.clone()))]);
        transition.journal.audit.push(self.audit(
            None,
            caller,
            action,
            key.id.as_str(),
            json!({"name": key.name}),
        ));
        Ok(self.apply(transition).await?)
    }
}
