//! What `up` reads: the common file, in which everything has a default.

use std::net::SocketAddr;

use heimdall_api::config::{Api, Database, WebhookRules};
use heimdall_approvals::config::{Approvals, Smtp};
use heimdall_server::LimitSettings;
use heimdall_server::config::{ConfigError, SecretSource};
use heimdall_server::program;
use heimdall_server::telemetry::LogSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One file for all services.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UpSettings {
    /// Where everything is kept; by default an SQLite file in the data folder.
    pub(crate) database: Database,
    /// The key that seals private keys and secrets: 32 bytes in base64, as `file:…` or `${…}`; by default one is made
    /// in the data folder.
    pub(crate) root_key: Option<SecretSource>,
    /// What is logged, and how.
    pub(crate) log: LogSettings,
    /// How often who may ask.
    pub(crate) limits: LimitSettings,
    /// Rules for webhooks. Unlike `heimdall-api`, `heimdall up` lets them go to this machine.
    pub(crate) webhooks: WebhookRules,
    /// How mails leave; by default they are written to the data folder.
    pub(crate) smtp: Smtp,
    /// Tenants and tokens.
    pub(crate) api: Api,
    /// The portal.
    pub(crate) approvals: Approvals,
    /// The proxy's configuration, in the format of `heimdall-proxy`; by default that of the example.
    #[schema(value_type = Option<Object>)]
    pub(crate) proxy: Option<Map<String, Value>>,
    /// A DNS server to ask for the hosts of webhooks instead of the system's, as `address:port`.
    #[schema(value_type = Option<String>)]
    pub(crate) resolver: Option<SocketAddr>,
}

impl Default for UpSettings {
    fn default() -> Self {
        Self {
            database: Database::default(),
            root_key: None,
            // A first look is not to be drowned in lines; who writes a section `log` wants them.
            log: LogSettings {
                level: "warn".to_owned(),
                ..LogSettings::default()
            },
            limits: LimitSettings::default(),
            webhooks: WebhookRules {
                allow_private: true,
            },
            smtp: Smtp::default(),
            api: Api::default(),
            approvals: Approvals::default(),
            proxy: None,
            resolver: None,
        }
    }
}

impl program::Settings for UpSettings {
    fn log(&self) -> &LogSettings {
        &self.log
    }

    fn shown() -> Value {
        let mut shown = serde_json::to_value(Self::default()).unwrap_or_default();
        let examples = [
            ("/database/url", json!("sqlite://heimdall-data/heimdall.db")),
            ("/root_key", json!("file:heimdall-data/root.key")),
            ("/smtp/url", json!("file://heimdall-data/mail")),
            (
                "/proxy",
                json!({"providers": {"file_system": {"src": "rules.yaml", "watch": true}}}),
            ),
        ];
        for (at, example) in examples {
            if let Some(place) = shown.pointer_mut(at) {
                *place = example;
            }
        }
        shown
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.proxy_at("serve", 0)?;
        self.proxy_at("management", 0).map(drop)
    }
}

impl UpSettings {
    /// Where the proxy's `serve` or `management` listens: as its section says, else on loopback.
    pub(super) fn proxy_at(&self, part: &str, port: u16) -> Result<SocketAddr, ConfigError> {
        let section = self.proxy.as_ref().and_then(|proxy| proxy.get(part));
        let member = |name: &str| section.and_then(|section| section.get(name));
        let host = match member("host").and_then(Value::as_str) {
            None | Some("") => Ok(SocketAddr::from(([127, 0, 0, 1], 0)).ip()),
            Some(given) => given.parse().map_err(|_| {
                ConfigError::at(format!("proxy.{part}.host"), "must be an IP address")
            }),
        }?;
        let port = match member("port") {
            None => Ok(port),
            Some(given) => given
                .as_u64()
                .and_then(|given| u16::try_from(given).ok())
                .ok_or_else(|| {
                    let reason = "must be a number from 0 to 65535";
                    ConfigError::at(format!("proxy.{part}.port"), reason)
                }),
        }?;
        Ok(SocketAddr::new(host, port))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use heimdall_server::config::{Source, example, schema};
    use heimdall_server::program::{Settings as _, load};

    use super::*;

    fn source() -> Source {
        Source::environment(program::ENVIRONMENT).with_environment(Vec::new())
    }

    fn committed(name: &str, present: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs/config")
            .join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, present).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == present,
            "docs/config/{name} is old: run this test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn the_committed_schema_and_example_are_the_present_ones() {
        let schema = schema::<UpSettings>();
        committed("heimdall.schema.json", &format!("{schema:#}\n"));
        committed(
            "heimdall.example.yaml",
            &example(&schema, &UpSettings::shown()),
        );
    }

    #[test]
    fn a_section_says_where_the_proxy_listens_and_nothing_says_loopback() {
        let text = "proxy: {serve: {host: 0.0.0.0, port: 8000}}\n";
        let settings: UpSettings = load(source().text("all.yaml", text)).unwrap();
        let at = |part, port| settings.proxy_at(part, port).unwrap().to_string();
        assert_eq!(at("serve", 4456), "0.0.0.0:8000");
        assert_eq!(at("management", 4457), "127.0.0.1:4457");
        let text = "proxy:\n  serve:\n    port: 70000\n";
        let error = load::<UpSettings>(source().text("all.yaml", text)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "all.yaml:3: `proxy.serve.port` must be a number from 0 to 65535"
        );
    }

    #[test]
    fn a_folder_of_mails_is_no_file_with_a_secret() {
        let text = "smtp: {url: \"file:///var/mails\"}\n";
        let settings: UpSettings = load(source().text("all.yaml", text)).unwrap();
        assert_eq!(
            settings.smtp.address().unwrap().expose(),
            "file:///var/mails"
        );
    }
}
