//! The commands, a module a thing.

mod apps;
mod machines;
mod operator;
mod people;
mod records;

pub(crate) use apps::{Apps, Roles};
pub(crate) use machines::{Credentials, Webhooks};
pub(crate) use operator::{AdminKeys, Keys};
pub(crate) use people::{Invites, Users};
pub(crate) use records::{Approvals, AuditList, Events, Grants};

use clap::Args;

/// The App that a command is about.
#[derive(Debug, Clone, Args)]
struct InApp {
    /// The App, by name or `app_…` id.
    #[arg(long, value_name = "APP", env = "HEIMDALL_APP", global = true)]
    app: Option<String>,
}

/// An App that was named.
struct Named<'a>(&'a str);

impl InApp {
    fn named(&self) -> Result<Named<'_>, String> {
        let app = self.app.as_deref().filter(|app| !app.is_empty());
        app.map(Named)
            .ok_or_else(|| "which App? Name it by --app, or set HEIMDALL_APP".to_owned())
    }
}

impl Named<'_> {
    fn at(&self, rest: &str) -> String {
        format!("/apps/{}/{rest}", segment(self.0))
    }
}

/// How much of a list.
#[derive(Debug, Clone, Args)]
struct Much {
    /// Most rows.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: usize,
}

/// One segment of a path, whatever it holds.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}

/// The members that were given, as one object.
fn object(
    members: impl IntoIterator<Item = (&'static str, Option<serde_json::Value>)>,
) -> serde_json::Value {
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// A list, when something was given.
fn some(list: &[String]) -> Option<serde_json::Value> {
    (!list.is_empty()).then(|| list.into())
}

/// A text, when it was given.
fn text(given: &Option<String>) -> Option<serde_json::Value> {
    given.as_deref().map(Into::into)
}
