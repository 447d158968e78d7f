use std::io::Read;

use clap::{Args, Subcommand};

use super::{InApp, Much, object, segment, some, text};
use crate::desk::{Call, Target};

/// People.
#[derive(Debug, Args)]
pub(crate) struct Users {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// List users
    List {
        #[command(flatten)]
        much: Much,
        /// Only in this state: active, suspended or deactivated
        #[arg(long)]
        state: Option<String>,
        /// Only with this role
        #[arg(long)]
        role: Option<String>,
        /// Only whose address begins so
        #[arg(long)]
        email: Option<String>,
    },
    /// Show one
    Show { user: String },
    /// Make one
    Create {
        email: String,
        #[arg(long)]
        display_name: Option<String>,
        /// A role; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Read a password from standard input; without it the user cannot log in yet
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change one
    Update {
        user: String,
        #[arg(long)]
        email: Option<String>,
        #[arg(long)]
        display_name: Option<String>,
        /// Read a new password from standard input; it ends every session
        #[arg(long)]
        password_stdin: bool,
    },
    /// Suspend one
    Suspend { user: String },
    /// Let one in again
    Reactivate { user: String },
    /// Give a role
    Assign { user: String, role: String },
    /// Take a role
    Unassign { user: String, role: String },
    /// End every session
    SignOut { user: String },
    /// Deactivate one
    Delete {
        user: String,
        /// Erase it; the audit keeps a pseudonym
        #[arg(long)]
        purge: bool,
    },
}

// Never an argument: those can be read by every process of the machine.
fn password(wanted: bool) -> Result<Option<String>, String> {
    if !wanted {
        return Ok(None);
    }
    let mut typed = String::new();
    std::io::stdin()
        .take(4_096)
        .read_to_string(&mut typed)
        .map_err(|error| format!("standard input: {error}"))?;
    Ok(Some(typed.trim_end_matches(['\r', '\n']).to_owned()))
}

impl Users {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        use UsersCommand::*;
        let one = |user: &str, rest: &str| app.at(&format!("users/{}{rest}", segment(user)));
        Ok(match &self.command {
            List {
                much,
                state,
                role,
                email,
            } => Call::list(
                app.at("users"),
                &["id", "email", "display_name", "state", "roles"],
            )
            .asking("state", state.as_ref())
            .asking("role", role.as_ref())
            .asking("email", email.as_ref())
            .at_most(much.limit),
            Show { user } => Call::show(one(user, "")),
            Create {
                email,
                display_name,
                roles,
                password_stdin,
            } => Call::post(
                app.at("users"),
                object([
                    ("email", Some(email.as_str().into())),
                    ("display_name", text(display_name)),
                    ("roles", some(roles)),
                    ("password", text(&password(*password_stdin)?)),
                ]),
            ),
            Update {
                user,
                email,
                display_name,
                password_stdin,
            } => Call::patch(
                one(user, ""),
                object([
                    ("email", text(email)),
                    ("display_name", text(display_name)),
                    ("password", text(&password(*password_stdin)?)),
                ]),
            ),
            Suspend { user } => Call::act(one(user, "/suspend")),
            Reactivate { user } => Call::act(one(user, "/reactivate")),
            Assign { user, role } => Call::post(
                one(user, "/roles"),
                object([("role", Some(role.as_str().into()))]),
            ),
            Unassign { user, role } => {
                Call::delete(one(user, &format!("/roles/{}", segment(role))))
            }
            SignOut { user } => Call::act(one(user, "/sessions/revoke")),
            Delete { user, purge } => {
                Call::delete(one(user, "")).asking("purge", purge.then_some("true"))
            }
        })
    }
}

/// Invitations.
#[derive(Debug, Args)]
pub(crate) struct Invites {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: InvitesCommand,
}

#[derive(Debug, Subcommand)]
enum InvitesCommand {
    /// List invites
    List(Much),
    /// Show one
    Show { invite: String },
    /// Invite; the link is shown once
    Create {
        /// Whom; anybody who holds the link when absent
        #[arg(long)]
        email: Option<String>,
        /// A role; may be repeated
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// 1 to 8760
        #[arg(long, default_value_t = 72)]
        hours: i64,
        #[arg(long, default_value_t = 1)]
        max_uses: i64,
        /// Mail it
        #[arg(long)]
        send: bool,
    },
    /// Make a new link for one; the old one is dead
    Resend { invite: String },
    /// Withdraw one
    Revoke { invite: String },
}

impl Invites {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        use InvitesCommand::*;
        let one = |id: &str, rest: &str| app.at(&format!("invites/{}{rest}", segment(id)));
        Ok(match &self.command {
            List(much) => Call::list(
                app.at("invites"),
                &[
                    "id",
                    "email",
                    "roles",
                    "state",
                    "uses",
                    "max_uses",
                    "expires_at",
                ],
            )
            .at_most(much.limit),
            Show { invite } => Call::show(one(invite, "")),
            Create {
                email,
                roles,
                hours,
                max_uses,
                send,
            } => Call::post(
                app.at("invites"),
                object([
                    ("email", text(email)),
                    ("roles", some(roles)),
                    ("expires_in_hours", Some((*hours).into())),
                    ("max_uses", Some((*max_uses).into())),
                    ("send_email", send.then(|| true.into())),
                ]),
            ),
            Resend { invite } => Call::act(one(invite, "/resend")),
            Revoke { invite } => Call::delete(one(invite, "")),
        })
    }
}
