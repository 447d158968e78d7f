use clap::{Args, Subcommand};

use super::{InApp, Much, object, segment, some, text};
use crate::desk::{Call, Target};

/// Tenants.
#[derive(Debug, Args)]
pub(crate) struct Apps {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(subcommand)]
    command: AppsCommand,
}

#[derive(Debug, Subcommand)]
enum AppsCommand {
    /// List Apps
    List {
        #[command(flatten)]
        much: Much,
        /// Only in this state: active, suspended or archived
        #[arg(long)]
        state: Option<String>,
    },
    /// Show one
    Show { app: String },
    /// Make one
    Create {
        /// The path key: lower-case letters, digits and hyphens
        name: String,
        #[arg(long)]
        display_name: Option<String>,
    },
    /// Rename one for people
    Update {
        app: String,
        #[arg(long)]
        display_name: String,
    },
    /// Stop its tokens
    Suspend { app: String },
    /// Start them again
    Restore { app: String },
    /// Archive one
    Delete {
        app: String,
        /// Erase it with everything in it
        #[arg(long)]
        purge: bool,
    },
}

impl Apps {
    pub(crate) fn call(&self) -> Result<Call, String> {
        use AppsCommand::*;
        let at = |app: &str, rest: &str| format!("/apps/{}{rest}", segment(app));
        Ok(match &self.command {
            List { much, state } => Call::list(
                "/apps".to_owned(),
                &["name", "display_name", "state", "id", "created_at"],
            )
            .asking("state", state.as_ref())
            .at_most(much.limit),
            Show { app } => Call::show(at(app, "")),
            Create { name, display_name } => Call::post(
                "/apps".to_owned(),
                object([
                    ("name", Some(name.as_str().into())),
                    ("display_name", text(display_name)),
                ]),
            ),
            Update { app, display_name } => Call::patch(
                at(app, ""),
                object([("display_name", Some(display_name.as_str().into()))]),
            ),
            Suspend { app } => Call::act(at(app, "/suspend")),
            Restore { app } => Call::act(at(app, "/restore")),
            Delete { app, purge } => {
                Call::delete(at(app, "")).asking("purge", purge.then_some("true"))
            }
        })
    }
}

/// Roles and the permissions they hold.
#[derive(Debug, Args)]
pub(crate) struct Roles {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: RolesCommand,
}

#[derive(Debug, Subcommand)]
enum RolesCommand {
    /// List roles
    List(Much),
    /// Show one with all that it holds in effect
    Show { role: String },
    /// Make one
    Create {
        name: String,
        #[command(flatten)]
        what: What,
    },
    /// Change one; lists are replaced
    Update {
        role: String,
        #[command(flatten)]
        what: What,
    },
    /// Delete one that nobody has
    Delete { role: String },
    /// List the permissions of the App
    Permissions(Much),
}

#[derive(Debug, Args)]
struct What {
    #[arg(long)]
    display_name: Option<String>,
    #[arg(long)]
    description: Option<String>,
    /// A permission, as `billing:read` or `billing:*`; may be repeated
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// A role that it includes; may be repeated
    #[arg(long = "include", value_name = "ROLE")]
    includes: Vec<String>,
}

impl What {
    fn body(&self, name: Option<&str>) -> serde_json::Value {
        object([
            ("name", name.map(Into::into)),
            ("display_name", text(&self.display_name)),
            ("description", text(&self.description)),
            ("permissions", some(&self.permissions)),
            ("includes", some(&self.includes)),
        ])
    }
}

impl Roles {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        use RolesCommand::*;
        let one = |role: &str| app.at(&format!("roles/{}", segment(role)));
        Ok(match &self.command {
            List(much) => Call::list(
                app.at("roles"),
                &["name", "display_name", "permissions", "includes", "id"],
            )
            .at_most(much.limit),
            Show { role } => Call::show(one(role)),
            Create { name, what } => Call::post(app.at("roles"), what.body(Some(name))),
            Update { role, what } => Call::patch(one(role), what.body(None)),
            Delete { role } => Call::delete(one(role)),
            Permissions(much) => Call::list(app.at("permissions"), &["permission", "description"])
                .at_most(much.limit),
        })
    }
}
