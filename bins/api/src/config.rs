//! The settings of `heimdall-api`: its part of the common file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use heimdall_server::config::{ConfigError, SecretSource};
use heimdall_server::program;
use heimdall_server::telemetry::LogSettings;
use heimdall_server::tls::TlsSettings;
use heimdall_server::{Cidr, LimitSettings, ListenSettings};
use heimdall_transport::address::{AddressPolicy, Resolver, SystemResolver};
use heimdall_transport::tls::client_config;
use heimdall_transport::{NameServer, Outward};
use heimdall_types::Secret;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::StartError;

/// One file for all binaries; each reads what is common and its own section.
#[derive(Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where everything is kept.
    pub database: Database,
    /// The key that seals private keys and secrets: 32 bytes in base64, as `file:…` or `${…}`.
    pub root_key: Option<SecretSource>,
    /// What is logged, and how.
    pub log: LogSettings,
    /// How often who may ask.
    pub limits: LimitSettings,
    /// Rules for webhooks.
    pub webhooks: WebhookRules,
    /// This binary's section.
    pub api: Api,
    /// A DNS server to ask instead of the system's, as `address:port`.
    #[schema(value_type = Option<String>)]
    pub resolver: Option<SocketAddr>,
    /// Read by `heimdall-approvals`.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<Object>)]
    pub approvals: Option<IgnoredAny>,
    /// Read by `heimdall-proxy`.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<Object>)]
    pub proxy: Option<IgnoredAny>,
    /// Read by `heimdall-approvals`.
    #[serde(skip_serializing)]
    #[schema(value_type = Option<Object>)]
    pub smtp: Option<IgnoredAny>,
}

/// Where everything is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://user:password@host/name`. By default `sqlite://heimdall.db`; `heimdall up` keeps
    /// the file in its folder.
    pub url: Option<SecretSource>,
    /// PostgreSQL only: migrate at start and create the narrow roles, as a login that may.
    pub manage_schema: bool,
}

/// Rules for webhooks.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookRules {
    /// Whether addresses of private networks and of this machine may be posted to.
    pub allow_private: bool,
}

/// The section `api`.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Address and port; port 0 takes a free one.
    #[schema(value_type = String)]
    pub listen: SocketAddr,
    /// The address callers use, without a path; the issuer is this plus `prefix`. By default that of `listen`.
    pub base_url: Option<String>,
    /// The path that everything lies under.
    pub prefix: String,
    /// Address of the portal, for hints in refusals.
    pub portal_host: Option<String>,
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
}

impl Database {
    /// The address, or the default's.
    ///
    /// # Errors
    /// When it stands in a file that cannot be read.
    pub fn address(&self) -> Result<Secret, ConfigError> {
        match &self.url {
            Some(url) => url.read("database.url"),
            None => Ok(Secret::from(DATABASE)),
        }
    }
}

const DATABASE: &str = "sqlite://heimdall.db";

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            base_url: None,
            prefix: "/heimdall".to_owned(),
            portal_host: None,
            workers: 0,
            tls: None,
            trusted_proxies: Vec::new(),
            pages: None,
        }
    }
}

impl Api {
    /// How the listener is set up.
    pub fn listener(&self) -> ListenSettings {
        ListenSettings {
            workers: self.workers,
            tls: self.tls.clone(),
            ..ListenSettings::at(self.listen)
        }
    }

    /// The address callers use, when the listener took `bound`.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{bound}");
        self.base_url
            .as_deref()
            .map_or_else(own, |given| given.trim_end_matches('/').to_owned())
    }
}

/// The way to addresses that tenants choose: to any, or to those of the public Internet, as `server` (or the system)
/// resolves them.
///
/// # Errors
/// When the trusted certificates cannot be read.
pub fn outward(allow_private: bool, server: Option<SocketAddr>) -> Result<Outward, StartError> {
    let policy = if allow_private {
        AddressPolicy::Any
    } else {
        AddressPolicy::PublicOnly
    };
    let resolver: Arc<dyn Resolver> = match server {
        Some(address) => Arc::new(NameServer::at(address)),
        None => Arc::new(SystemResolver),
    };
    let authorities = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let tls = Arc::new(client_config(authorities.as_deref())?);
    Ok(Outward::new(tls, resolver, policy))
}

impl program::Settings for Settings {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn shown() -> serde_json::Value {
        let mut shown = serde_json::to_value(Self::default()).unwrap_or_default();
        show_common(&mut shown);
        shown
    }
}

/// Puts what has no default in a settings struct, but in practice, into an example.
pub fn show_common(shown: &mut serde_json::Value) {
    if let Some(members) = shown.as_object_mut() {
        let database = serde_json::json!({ "url": DATABASE, "manage_schema": false });
        members.insert("database".to_owned(), database);
        members.insert("root_key".to_owned(), "file:root.key".into());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use heimdall_server::config::{Source, example, schema};
    use heimdall_server::program::Settings as _;

    use super::*;

    fn committed(name: &str, present: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/config")
            .join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, present).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(
            committed == present,
            "docs/config/{name} is old: run this test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn the_committed_schema_and_example_are_the_present_ones() {
        let schema = schema::<Settings>();
        committed("api.schema.json", &format!("{schema:#}\n"));
        committed("api.example.yaml", &example(&schema, &Settings::shown()));
    }

    #[test]
    fn the_example_is_a_good_configuration_as_it_is() {
        let text = example(&schema::<Settings>(), &Settings::shown());
        let source = Source::environment("HEIMDALL_").with_environment(Vec::new());
        let settings: Settings = source.text("example.yaml", &text).load().unwrap();
        assert_eq!(settings.api.prefix, "/heimdall");
    }

    #[test]
    fn sections_of_the_other_binaries_are_left_to_them() {
        let text = "proxy:\n  anything: 1\napprovals: {x: y}\nsmtp: {url: z}\napi: {listen: \"127.0.0.1:0\"}\n";
        let source = Source::environment("HEIMDALL_").with_environment(Vec::new());
        let settings: Settings = source.text("all.yaml", text).load().unwrap();
        assert_eq!(settings.api.listen.port(), 0);
    }
}
