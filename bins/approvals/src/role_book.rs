use std::sync::Arc;

use async_trait::async_trait;
use heimdall_approval::Definition;
use heimdall_approval::ports::{NotRequestable, NotificationBook, RequestableRole, RoleBook};
use heimdall_store::Store;
use heimdall_tenant::{Caller, TenantError, Tenants};
use heimdall_types::{AppId, Email, Fault};
use serde_json::json;

/// The tenants' roles, as far as asking for them goes.
#[derive(Clone)]
pub(crate) struct Roles {
    tenants: Tenants,
    store: Arc<Store>,
}

impl Roles {
    pub(crate) fn new(tenants: Tenants, store: Arc<Store>) -> Self {
        Self { tenants, store }
    }
}

#[async_trait]
impl RoleBook for Roles {
    async fn requestable(
        &self,
        app: &AppId,
        name: &str,
    ) -> Result<Result<RequestableRole, NotRequestable>, Fault> {
        let role = match self.tenants.role(&Caller::System, app.as_str(), name).await {
            Ok(role) => role,
            Err(TenantError::Fault(fault)) => return Err(fault),
            Err(_) => return Ok(Err(NotRequestable::Unknown)),
        };
        let Some(requestable) = role.requestable else {
            return Ok(Err(NotRequestable::Closed));
        };
        let (mut deciders, mut informed) = (Vec::<Email>::new(), Vec::new());
        for config in self
            .store
            .configs_of(app, &role.notification_configs)
            .await?
        {
            let list = if config.use_for_external_approvals {
                &mut deciders
            } else {
                &mut informed
            };
            list.extend(config.recipients);
        }
        let root = match requestable.approval {
            Some(step) => {
                informed.append(&mut deciders);
                step
            }
            None if deciders.is_empty() => return Ok(Err(NotRequestable::NobodyDecides)),
            None => json!({
                "name": name, "type": "group", "pass": 1, "fail": 1,
                "approvers": deciders.iter().map(|email| json!({"email": email})).collect::<Vec<_>>(),
            }),
        };
        // A definition is checked when the role is saved; one that does not read decides nothing.
        let Ok(step) = Definition::read(&root) else {
            return Ok(Err(NotRequestable::NobodyDecides));
        };
        Ok(Ok(RequestableRole {
            name: role.name,
            description: if role.description.is_empty() {
                role.display_name
            } else {
                role.description
            },
            max_minutes: requestable.max_minutes,
            step,
            informed,
        }))
    }
}
