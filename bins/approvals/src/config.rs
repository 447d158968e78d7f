//! The settings of `heimdall-approvals`: its part of the common file.

mod accounts;

use std::net::SocketAddr;
use std::path::PathBuf;

use heimdall_api::config::{Api, Database, show_common};
use heimdall_server::config::{ConfigError, SecretSource};
use heimdall_server::program;
use heimdall_server::telemetry::LogSettings;
use heimdall_server::tls::TlsSettings;
use heimdall_server::{Cidr, LimitSettings, ListenSettings};
use heimdall_types::Secret;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

pub use accounts::{Accounts, Claims, Kind, MailConfirmation, Older, OlderClaims, Provider};

/// One file for all binaries; this one reads what is common, its own section, and from `api` who issues tokens.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where everything is kept. Separate binaries share a PostgreSQL.
    pub database: Database,
    /// The key that seals private keys and secrets: 32 bytes in base64, as `file:…` or `${…}`.
    pub root_key: Option<SecretSource>,
    /// What is logged, and how.
    pub log: LogSettings,
    /// How often who may ask.
    pub limits: LimitSettings,
    /// How mails leave, unless an operator set another server at run time.
    pub smtp: Smtp,
    /// This binary's section.
    pub approvals: Approvals,
    /// The api's section: `base_url` and `prefix` say whose tokens are believed.
    pub api: Api,
    /// A DNS server to ask instead of the system's, as `address:port`.
    #[schema(value_type = Option<String>)]
    pub resolver: Option<SocketAddr>,
    /// Read by `heimdall-api`.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<Object>)]
    pub webhooks: Option<IgnoredAny>,
    /// Read by `heimdall-proxy`.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<Object>)]
    pub proxy: Option<IgnoredAny>,
}

/// How mails leave.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Smtp {
    /// `smtp[s]://user:pass@host:port`, or `file://DIR` for a folder of mails. By default `file://mail`; `heimdall up`
    /// keeps the mails in its folder.
    pub url: Option<SecretSource>,
    /// The sender.
    pub from: String,
    /// The language of mails to people whose own is not known: `en` or `de`.
    pub language: String,
}

/// The section `approvals`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Approvals {
    /// Address and port; port 0 takes a free one.
    #[schema(value_type = String)]
    pub listen: SocketAddr,
    /// The address people use, without a path. By default that of `listen`.
    pub base_url: Option<String>,
    /// Threads that serve requests; 0 takes one a core.
    pub workers: usize,
    /// Key and certificate of the listener.
    pub tls: Option<TlsSettings>,
    /// Networks of proxies that are believed about the source of a request.
    #[schema(value_type = Vec<String>)]
    pub trusted_proxies: Vec<Cidr>,
    /// Folder with own templates and languages for the pages.
    #[schema(value_type = Option<String>)]
    pub pages: Option<PathBuf>,
    /// Accounts of approvers who belong to no App.
    pub accounts: Accounts,
    /// How links of mails are confirmed where a step says nothing: `auto`, `bound` or `challenge`.
    pub mail_confirmation: MailConfirmation,
    /// Links of an older system.
    pub legacy: Older,
}

impl Default for Smtp {
    fn default() -> Self {
        Self {
            url: None,
            from: "Heimdall <heimdall@localhost.localdomain>".to_owned(),
            language: "en".to_owned(),
        }
    }
}

impl Smtp {
    /// The address, or the default's.
    ///
    /// # Errors
    /// When it stands in a file that cannot be read.
    pub fn address(&self) -> Result<Secret, ConfigError> {
        match &self.url {
            // `file://DIR` is an address, `file:PATH` a file with an address in it.
            Some(SecretSource::File(path))
                if path.as_os_str().as_encoded_bytes().starts_with(b"//") =>
            {
                Ok(Secret::new(format!("file:{}", path.display())))
            }
            Some(url) => url.read("smtp.url"),
            None => Ok(Secret::from(MAILBOX)),
        }
    }
}

const MAILBOX: &str = "file://mail";

impl program::Settings for Settings {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn shown() -> serde_json::Value {
        let mut shown = serde_json::to_value(Self::default()).unwrap_or_default();
        show_common(&mut shown);
        if let Some(url) = shown.pointer_mut("/smtp/url") {
            *url = MAILBOX.into();
        }
        shown
    }
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            base_url: None,
            workers: 0,
            tls: None,
            trusted_proxies: Vec::new(),
            pages: None,
            accounts: Accounts::default(),
            mail_confirmation: MailConfirmation::default(),
            legacy: Older::default(),
        }
    }
}

impl Approvals {
    /// How the listener is set up.
    pub fn listener(&self) -> ListenSettings {
        ListenSettings {
            workers: self.workers,
            tls: self.tls.clone(),
            ..ListenSettings::at(self.listen)
        }
    }

    /// The address people use, when the listener took `bound`.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{bound}");
        self.base_url
            .as_deref()
            .map_or_else(own, |given| given.trim_end_matches('/').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use heimdall_server::config::Source;

    use super::*;

    #[test]
    fn one_file_serves_all_binaries_and_unknown_names_are_told() {
        let source = || Source::environment("HEIMDALL_").with_environment(Vec::new());
        let text = "api: {base_url: \"https://id.example\"}\nproxy: {x: 1}\napprovals: {listen: \"127.0.0.1:0\"}\n";
        let settings: Settings = source().text("all.yaml", text).load().unwrap();
        assert_eq!(settings.api.base_url.as_deref(), Some("https://id.example"));
        assert_eq!(settings.approvals.listen.port(), 0);
        let wrong = source()
            .text("all.yaml", "approvals:\n  lisen: \"127.0.0.1:0\"\n")
            .load::<Settings>();
        assert!(wrong.unwrap_err().to_string().contains("listen"));
    }
}
