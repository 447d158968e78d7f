use clap::{Args, Subcommand};

use super::{InApp, Much, segment};
use crate::desk::{Call, Target};

/// Requests for roles.
#[derive(Debug, Args)]
pub(crate) struct Approvals {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: ApprovalsCommand,
}

#[derive(Debug, Subcommand)]
enum ApprovalsCommand {
    /// List requests, newest first
    List(Much),
    /// Show one
    Show { request: String },
    /// End one, whatever its state
    Terminate { request: String },
}

impl Approvals {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        let one = |id: &str, rest: &str| app.at(&format!("requests/{}{rest}", segment(id)));
        let call = match &self.command {
            ApprovalsCommand::List(much) => Call::list(
                app.at("requests"),
                &[
                    "id",
                    "state",
                    "requester.email",
                    "roles.name",
                    "created_at",
                    "expires_at",
                ],
            )
            .at_most(much.limit),
            ApprovalsCommand::Show { request } => Call::show(one(request, "")),
            ApprovalsCommand::Terminate { request } => Call::act(one(request, "/terminate")),
        };
        Ok(call.of_approvals())
    }
}

/// Roles that people have for a time.
#[derive(Debug, Args)]
pub(crate) struct Grants {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: GrantsCommand,
}

#[derive(Debug, Subcommand)]
enum GrantsCommand {
    /// List grants
    List {
        #[command(flatten)]
        much: Much,
        /// Only of this user
        #[arg(long)]
        user: Option<String>,
        /// Only those in force
        #[arg(long)]
        active: bool,
    },
    /// End one now
    Revoke { grant: String },
}

impl Grants {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        let call = match &self.command {
            GrantsCommand::List { much, user, active } => Call::list(
                app.at("grants"),
                &["id", "user_id", "role", "state", "starts_at", "ends_at"],
            )
            .asking("user", user.as_ref())
            .asking("active", active.then_some(true))
            .at_most(much.limit),
            GrantsCommand::Revoke { grant } => {
                Call::act(app.at(&format!("grants/{}/revoke", segment(grant))))
            }
        };
        Ok(call.of_approvals())
    }
}

/// What happened in an App, in order.
#[derive(Debug, Args)]
pub(crate) struct Events {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    /// Only after this position of the feed
    #[arg(long, default_value_t = 0)]
    after: i64,
    /// Only these types, separated by commas
    #[arg(long)]
    types: Option<String>,
    /// Most rows
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
}

impl Events {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        Ok(
            Call::list(app.at("events"), &["position", "at", "type", "data"])
                .asking("after", Some(self.after))
                .asking("types", self.types.as_ref())
                .asking("limit", Some(self.limit.min(200)))
                .at_most(0),
        )
    }
}

/// Lists the audit of an App, newest first
#[derive(Debug, Args)]
pub(crate) struct AuditList {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(flatten)]
    much: Much,
    /// Only this action, as `user.created`
    #[arg(long)]
    action: Option<String>,
    /// Only about this thing, by its id
    #[arg(long)]
    about: Option<String>,
    /// Only by this actor, by its id
    #[arg(long)]
    actor: Option<String>,
    /// Only from this moment on, as 2026-11-28T12:00:00Z
    #[arg(long)]
    since: Option<String>,
    /// Only before this moment
    #[arg(long)]
    until: Option<String>,
}

impl AuditList {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        let columns = &["seq", "at", "actor", "action", "target"];
        Ok(Call::list(app.at("audit"), columns)
            .asking("action", self.action.as_ref())
            .asking("target", self.about.as_ref())
            .asking("actor", self.actor.as_ref())
            .asking("since", self.since.as_ref())
            .asking("until", self.until.as_ref())
            .at_most(self.much.limit))
    }
}
