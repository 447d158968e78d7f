//! The example: the App `acme` with people, roles, a role that can be asked for, and somebody who decides.

use std::path::Path;

use heimdall_approval::NotificationConfig;
use heimdall_approval::ports::NotificationBook;
use heimdall_store::Store;
use heimdall_tenant::entity::Requestable;
use heimdall_tenant::input::{NewAdminKey, NewApp, NewRole, NewUser};
use heimdall_tenant::{Caller, Tenants};
use heimdall_token::crypto::random_token;
use heimdall_types::{Actor, AppId, AuditEntry, Clock, Journal, NotificationConfigId, Rng, Secret};
use serde_json::{Value, json};

use super::{Failure, folder};

const APP: &str = "acme";
const REQUESTER: &str = "mara.lindqvist@acme.example";
const ADMINISTRATOR: &str = "agnieszka.nowak@acme.example";
const APPROVER: &str = "ines.duarte@controllers.example";

/// What a first look is told: the admin key, and the people of the example.
pub(super) struct FirstLook {
    pub(super) admin_key: Option<String>,
    pub(super) example: Option<Value>,
}

/// What the folder keeps, or a fresh example where there is none yet.
pub(super) async fn prepare(
    data: &Path,
    wanted: bool,
    tenants: &Tenants,
    store: &Store,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<FirstLook, Failure> {
    let path = data.join("first-look.json");
    if !wanted {
        return Ok(FirstLook {
            admin_key: None,
            example: None,
        });
    }
    if let Ok(text) = std::fs::read_to_string(&path) {
        let kept: Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let admin_key = kept
            .get("admin_key")
            .and_then(Value::as_str)
            .map(str::to_owned);
        return Ok(FirstLook {
            admin_key,
            example: kept
                .get("example")
                .cloned()
                .filter(|value| !value.is_null()),
        });
    }
    if tenants.app(&Caller::System, APP).await.is_ok() {
        // Seeded before, and its credentials were deleted on purpose.
        return Ok(FirstLook {
            admin_key: None,
            example: None,
        });
    }
    let admin_key = tenants
        .create_admin_key(
            &Caller::System,
            NewAdminKey {
                name: "first look".to_owned(),
            },
        )
        .await?
        .key;
    let example = seed(tenants, store, clock, rng).await?;
    let kept = json!({"admin_key": admin_key, "example": example});
    folder::write_private(&path, format!("{kept:#}\n").as_bytes())?;
    Ok(FirstLook {
        admin_key: Some(admin_key),
        example: Some(example),
    })
}

async fn seed(
    tenants: &Tenants,
    store: &Store,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<Value, Failure> {
    let system = Caller::System;
    let new = NewApp {
        name: APP.to_owned(),
        display_name: Some("Acme".to_owned()),
    };
    let app = tenants.create_app(&system, new).await?;
    let approvers = approvers(&app.id, store, clock, rng).await?;
    let everything = ["*"].map(str::to_owned).to_vec();
    let role = |name: &str, description: &str, permissions: &[&str]| NewRole {
        name: name.to_owned(),
        description: description.to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        ..NewRole::default()
    };
    for new in [
        role(
            "employee",
            "Portal, time sheets, own documents",
            &["timesheets:read", "timesheets:write"],
        ),
        role("billing-viewer", "See invoices", &["billing:read"]),
        NewRole {
            permissions: everything,
            ..role(
                "administrator",
                "Everything in this App, also deciding and revoking",
                &[],
            )
        },
        NewRole {
            requestable: Some(Requestable {
                max_minutes: 480,
                approval: None,
            }),
            notification_configs: vec![approvers.to_string()],
            ..role(
                "billing-admin",
                "Create, correct and cancel invoices",
                &["billing:read", "billing:write"],
            )
        },
    ] {
        tenants.create_role(&system, APP, new).await?;
    }
    let mut people = Vec::new();
    for (email, name, role) in [
        (REQUESTER, "Mara Lindqvist", "employee"),
        (ADMINISTRATOR, "Agnieszka Nowak", "administrator"),
    ] {
        let password = random_token(rng, 12);
        let new = NewUser {
            email: email.to_owned(),
            display_name: Some(name.to_owned()),
            password: Some(Secret::new(password.clone())),
            role: Some(role.to_owned()),
            roles: Vec::new(),
        };
        tenants.create_user(&system, APP, new).await?;
        people.push(json!({"email": email, "password": password}));
    }
    let mut people = people.into_iter();
    Ok(json!({
        "app": APP, "requester": people.next(), "administrator": people.next(),
        "approver": {"email": APPROVER}, "requestable_role": "billing-admin",
    }))
}

async fn approvers(
    app: &AppId,
    store: &Store,
    clock: &dyn Clock,
    rng: &dyn Rng,
) -> Result<NotificationConfigId, Failure> {
    let now = clock.now();
    let id = NotificationConfigId::generate(now, rng);
    let config = NotificationConfig {
        app_id: app.clone(),
        id: id.clone(),
        name: "controllers".to_owned(),
        recipients: vec![APPROVER.parse()?],
        use_for_external_approvals: true,
        version: 0,
    };
    let audit = AuditEntry {
        app_id: Some(app.clone()),
        at: now,
        actor: Actor::System,
        action: "notification_config.created".to_owned(),
        target: id.to_string(),
        data: json!({"name": "controllers"}),
    };
    store
        .put_config(
            &config,
            Journal {
                audit: vec![audit],
                ..Journal::default()
            },
        )
        .await?;
    Ok(id)
}
