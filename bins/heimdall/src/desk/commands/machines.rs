use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{InApp, Much, object, segment, some, text};
use crate::desk::{Call, Target};

/// Identities of services.
#[derive(Debug, Args)]
pub(crate) struct Credentials {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: CredentialsCommand,
}

#[derive(Debug, Subcommand)]
enum CredentialsCommand {
    /// List credentials
    List(Much),
    /// Show one
    Show { client_id: String },
    /// Make one; its secret is shown once
    Create {
        name: String,
        /// A role; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Public keys for private_key_jwt, as a JWKS file
        #[arg(long, value_name = "FILE")]
        jwks: Option<PathBuf>,
        /// Where those are fetched
        #[arg(long, value_name = "URL", conflicts_with = "jwks")]
        jwks_uri: Option<String>,
    },
    /// Change one
    Update {
        client_id: String,
        #[arg(long)]
        name: Option<String>,
        /// A role from now on; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Add a second secret, shown once; the first goes on working
    Rotate { client_id: String },
    /// Delete one of two secrets
    DeleteSecret { client_id: String, secret: String },
    /// Delete one with its secrets
    Delete { client_id: String },
}

fn document(file: &Option<PathBuf>) -> Result<Option<Value>, String> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read(file)
        .map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| format!("`{}` is no JSON: {error}", file.display()))
}

impl Credentials {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        use CredentialsCommand::*;
        let one = |id: &str, rest: &str| app.at(&format!("credentials/{}{rest}", segment(id)));
        Ok(match &self.command {
            List(much) => Call::list(
                app.at("credentials"),
                &["client_id", "name", "roles", "secrets.id", "created_at"],
            )
            .at_most(much.limit),
            Show { client_id } => Call::show(one(client_id, "")),
            Create {
                name,
                roles,
                jwks,
                jwks_uri,
            } => Call::post(
                app.at("credentials"),
                object([
                    ("name", Some(name.as_str().into())),
                    ("roles", some(roles)),
                    ("jwks", document(jwks)?),
                    ("jwks_uri", text(jwks_uri)),
                ]),
            ),
            Update {
                client_id,
                name,
                roles,
            } => Call::patch(
                one(client_id, ""),
                object([("name", text(name)), ("roles", some(roles))]),
            ),
            Rotate { client_id } => Call::act(one(client_id, "/secrets")),
            DeleteSecret { client_id, secret } => {
                Call::delete(one(client_id, &format!("/secrets/{}", segment(secret))))
            }
            Delete { client_id } => Call::delete(one(client_id, "")),
        })
    }
}

/// Endpoints that events are posted to.
#[derive(Debug, Args)]
pub(crate) struct Webhooks {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    app: InApp,
    #[command(subcommand)]
    command: WebhooksCommand,
}

#[derive(Debug, Subcommand)]
enum WebhooksCommand {
    /// List endpoints
    List(Much),
    /// Show one
    Show { webhook: String },
    /// Register one; its secret is shown once
    Create {
        url: String,
        /// A type of event, as `user.created`; may be repeated; all without it
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
    },
    /// Change one
    Update {
        webhook: String,
        #[arg(long)]
        url: Option<String>,
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
    },
    /// Make a new secret; the old one signs beside it for a day
    RotateSecret { webhook: String },
    /// Send a test event
    Test { webhook: String },
    /// Serve a disabled one again
    Enable { webhook: String },
    /// Serve one no more
    Disable { webhook: String },
    /// List deliveries, newest first
    Deliveries {
        webhook: String,
        #[command(flatten)]
        much: Much,
    },
    /// Send one delivery again
    Redeliver { webhook: String, delivery: String },
    /// Send everything since a moment again
    Replay {
        webhook: String,
        /// As 2026-11-28T12:00:00Z
        #[arg(long)]
        since: String,
    },
    /// Delete one
    Delete { webhook: String },
}

impl Webhooks {
    pub(crate) fn call(&self) -> Result<Call, String> {
        let app = self.app.named()?;
        use WebhooksCommand::*;
        let one = |id: &str, rest: &str| app.at(&format!("webhooks/{}{rest}", segment(id)));
        let body = |url: Option<Value>, events: &[String]| {
            object([("url", url), ("events", some(events))])
        };
        Ok(match &self.command {
            List(much) => Call::list(
                app.at("webhooks"),
                &["id", "url", "events", "enabled", "disabled_reason"],
            )
            .at_most(much.limit),
            Show { webhook } => Call::show(one(webhook, "")),
            Create { url, events } => {
                Call::post(app.at("webhooks"), body(Some(url.as_str().into()), events))
            }
            Update {
                webhook,
                url,
                events,
            } => Call::patch(one(webhook, ""), body(text(url), events)),
            RotateSecret { webhook } => Call::act(one(webhook, "/secret/rotate")),
            Test { webhook } => Call::act(one(webhook, "/test")),
            Enable { webhook } => Call::act(one(webhook, "/enable")),
            Disable { webhook } => {
                Call::patch(one(webhook, ""), object([("enabled", Some(false.into()))]))
            }
            Deliveries { webhook, much } => Call::list(
                one(webhook, "/deliveries"),
                &[
                    "id",
                    "type",
                    "state",
                    "attempts",
                    "first_due",
                    "next_attempt",
                ],
            )
            .at_most(much.limit),
            Redeliver { webhook, delivery } => Call::act(one(
                webhook,
                &format!("/deliveries/{}/redeliver", segment(delivery)),
            )),
            Replay { webhook, since } => Call::post(
                one(webhook, "/replay"),
                object([("since", Some(since.as_str().into()))]),
            ),
            Delete { webhook } => Call::delete(one(webhook, "")),
        })
    }
}
