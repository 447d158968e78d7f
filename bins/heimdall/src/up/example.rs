//! The example: the App `acme` with people, roles, a role that can be asked for, and somebody who decides.

use std::path::Path;

use heimdall_approval::NotificationConfig;
use heimdall_approval::ports::NotificationBook;
use heimdall_store::Store;
use heimdall_tenant::entity::Requestable;
use heimdall_tenant::input::{NewAdminKey, NewApp, NewRole, NewUser};
use heimdall_tenant::{Caller, TenantError, Tenants};
use heimdall_token::crypto::random_token;
use heimdall_types::{
    Actor, AppId, AuditEntry, Clock, Fault, Journal, NotificationConfigId, PageRequest, Rng, Secret,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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

impl FirstLook {
    fn of(kept: &Value) -> Self {
        let text = |name: &str| kept.get(name).and_then(Value::as_str).map(str::to_owned);
        let example = kept.get("example").cloned();
        Self {
            admin_key: text("admin_key"),
            example: example.filter(|value| !value.is_null()),
        }
    }
}

/// Without an example, and where its credentials were deleted.
pub(super) const NOTHING: FirstLook = FirstLook {
    admin_key: None,
    example: None,
};

/// What is decided before the first row is written, so that a start that was killed half-way is continued by the next.
#[derive(Serialize, Deserialize)]
struct Plan {
    requester: String,
    administrator: String,
    approvers: NotificationConfigId,
}

impl Plan {
    fn draw(clock: &dyn Clock, rng: &dyn Rng) -> Self {
        Self {
            requester: random_token(rng, 12),
            administrator: random_token(rng, 12),
            approvers: NotificationConfigId::generate(clock.now(), rng),
        }
    }
}

/// What makes the example.
pub(super) struct Seed<'a> {
    pub(super) tenants: &'a Tenants,
    pub(super) store: &'a Store,
    pub(super) clock: &'a dyn Clock,
    pub(super) rng: &'a dyn Rng,
}

/// What the folder keeps, or a fresh example where there is none yet.
pub(super) async fn prepare(data: &Path, seed: Seed<'_>) -> Result<FirstLook, Failure> {
    let (path, draft) = (
        data.join("first-look.json"),
        data.join("first-look.plan.json"),
    );
    match read::<Value>(&path)? {
        // Credentials of another database open nothing here.
        Some(kept) if !seed.is_fresh().await? => return Ok(FirstLook::of(&kept)),
        _ => {}
    }
    let plan = match read::<Plan>(&draft)? {
        Some(plan) => plan,
        // Seeded before, and its credentials were deleted on purpose.
        None if seed.tenants.app(&Caller::System, APP).await.is_ok() => return Ok(NOTHING),
        None => {
            let plan = Plan::draw(seed.clock, seed.rng);
            folder::write_private(&draft, serde_json::to_string(&plan)?.as_bytes())?;
            plan
        }
    };
    let example = seed.sow(&plan).await?;
    let new = NewAdminKey {
        name: "first look".to_owned(),
    };
    let admin_key = seed
        .tenants
        .create_admin_key(&Caller::System, new)
        .await?
        .key;
    let kept = json!({"admin_key": admin_key, "example": example});
    folder::write_private(&path, format!("{kept:#}\n").as_bytes())?;
    std::fs::remove_file(&draft)?;
    Ok(FirstLook {
        admin_key: Some(admin_key),
        example: Some(example),
    })
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let value = serde_json::from_str(&text);
            Ok(Some(value.map_err(|error| {
                format!(
                    "{}: {error}; delete the file to go on without it",
                    path.display()
                )
            })?))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// What an interrupted start made already is left as it is.
fn unless_there<T>(outcome: Result<T, TenantError>) -> Result<(), TenantError> {
    match outcome {
        Ok(_) | Err(TenantError::Taken(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Seed<'_> {
    async fn is_fresh(&self) -> Result<bool, Failure> {
        let one = PageRequest {
            limit: 1,
            cursor: None,
        };
        let apps = self.tenants.apps(&Caller::System, None, &one).await?;
        Ok(apps.data.is_empty())
    }

    async fn sow(&self, plan: &Plan) -> Result<Value, Failure> {
        let system = Caller::System;
        let new = NewApp {
            name: APP.to_owned(),
            display_name: Some("Acme".to_owned()),
        };
        unless_there(self.tenants.create_app(&system, new).await)?;
        let app = self.tenants.app(&system, APP).await?;
        self.approvers(&app.id, &plan.approvers).await?;
        for new in roles(&plan.approvers) {
            unless_there(self.tenants.create_role(&system, APP, new).await)?;
        }
        let people = [
            (REQUESTER, "Mara Lindqvist", "employee", &plan.requester),
            (
                ADMINISTRATOR,
                "Agnieszka Nowak",
                "administrator",
                &plan.administrator,
            ),
        ];
        for (email, name, role, password) in people {
            let new = NewUser {
                email: email.to_owned(),
                display_name: Some(name.to_owned()),
                password: Some(Secret::new(password.clone())),
                role: Some(role.to_owned()),
                roles: Vec::new(),
            };
            unless_there(self.tenants.create_user(&system, APP, new).await)?;
        }
        Ok(json!({
            "app": APP,
            "requester": {"email": REQUESTER, "password": plan.requester},
            "administrator": {"email": ADMINISTRATOR, "password": plan.administrator},
            "approver": {"email": APPROVER},
            "requestable_role": "billing-admin",
        }))
    }

    async fn approvers(&self, app: &AppId, id: &NotificationConfigId) -> Result<(), Failure> {
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
            at: self.clock.now(),
            actor: Actor::System,
            action: "notification_config.created".to_owned(),
            target: id.to_string(),
            data: json!({"name": "controllers"}),
        };
        let journal = Journal {
            audit: vec![audit],
            ..Journal::default()
        };
        match self.store.put_config(&config, journal).await {
            Ok(()) | Err(Fault::Duplicate(_)) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}

fn roles(approvers: &NotificationConfigId) -> [NewRole; 4] {
    let role = |name: &str, description: &str, permissions: &[&str]| NewRole {
        name: name.to_owned(),
        description: description.to_owned(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        ..NewRole::default()
    };
    [
        role(
            "employee",
            "Portal, time sheets, own documents",
            &["timesheets:read", "timesheets:write"],
        ),
        role("billing-viewer", "See invoices", &["billing:read"]),
        role(
            "administrator",
            "Everything in this App, also deciding and revoking",
            &["*"],
        ),
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
    ]
}
