//! The example's proxy: rules that anyone can read and change, and the changes of authorisation of this very process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use heimdall_pipeline::{Mode, Relaxed};
use heimdall_proxy::{ChangeSource, ConfigAt, Deps, Feeds, Running, Settings};
use heimdall_store::Store;
use heimdall_tenant::{Caller, Tenants};
use heimdall_token::{Algorithm, SigningKey, crypto};
use heimdall_transport::HttpClient;
use heimdall_types::{Clock, Rng};
use serde_json::{Map, Value};
use tokio::sync::broadcast::error::RecvError;

use super::{Failure, folder};

/// Answers the proxy's subscription without a detour over the network.
struct InProcess {
    api: String,
    tenants: Tenants,
    store: Arc<Store>,
}

const MOST_NOTES: u32 = 1000;

#[async_trait]
impl ChangeSource for InProcess {
    fn default_api(&self) -> Option<String> {
        Some(self.api.clone())
    }

    async fn changes(
        &self,
        _api: &str,
        app: &str,
        since: i64,
        wait: Duration,
    ) -> Result<Vec<u8>, String> {
        // Listening begins before the question, so that no change falls between.
        let mut signals = self.store.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let answer = self
                .tenants
                .revocations(&Caller::System, app, since, MOST_NOTES)
                .await;
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.data.is_empty() {
                match tokio::time::timeout_at(deadline, signals.recv()).await {
                    // What is kept in memory must be dropped before the question is asked again: another task does
                    // the same, perhaps later.
                    Ok(Ok(told)) => {
                        let targets = told.targets.iter().map(String::as_str);
                        self.tenants.committed(
                            told.app_id.as_ref(),
                            told.users.iter(),
                            targets,
                            told.everything,
                        );
                        continue;
                    }
                    Ok(Err(RecvError::Lagged(_))) => {
                        self.tenants.committed(None, [], [], true);
                        continue;
                    }
                    Ok(Err(RecvError::Closed)) | Err(_) => {}
                }
            }
            return serde_json::to_vec(&answer).map_err(|error| error.to_string());
        }
    }
}

/// Where everything is that the proxy needs to know.
pub(super) struct Around<'a> {
    pub(super) folder: &'a Path,
    pub(super) api: &'a str,
    pub(super) upstream: &'a str,
    /// The example's App: naming it lets its changes be heard of before the first token comes.
    pub(super) app: Option<&'a str>,
    /// The operator's own configuration instead of the example's.
    pub(super) section: Option<&'a Map<String, Value>>,
    pub(super) tenants: Tenants,
    pub(super) store: Arc<Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rng: Arc<dyn Rng>,
}

/// Writes the configuration that the proxy reads, at the start and again before it reads it again.
pub(super) fn write_section(
    folder: &Path,
    section: &Map<String, Value>,
) -> Result<PathBuf, Failure> {
    let config = folder::make(&folder.join("proxy"))?.join("heimdall.yaml");
    // JSON is YAML.
    let text = serde_json::to_string_pretty(section)?;
    folder::write_private(&config, format!("{text}\n").as_bytes())?;
    Ok(config)
}

fn write_example(around: &Around<'_>) -> Result<PathBuf, Failure> {
    let home = folder::make(&around.folder.join("proxy"))?;
    let key = home.join("signer.pem");
    if !key.exists() {
        let made = SigningKey::generate(Algorithm::Es256)?;
        folder::write_private(&key, pem(&made).as_bytes())?;
    }
    let (rules, config) = (home.join("rules.yaml"), home.join("heimdall.yaml"));
    folder::write_private(&rules, rule_set(around.upstream).as_bytes())?;
    folder::write_private(&config, configuration(&key, &rules, around.app).as_bytes())?;
    Ok(config)
}

/// Starts the proxy on the section of the common file, or on the example's configuration and rules.
pub(super) async fn start(
    around: Around<'_>,
    service: SocketAddr,
    management: SocketAddr,
) -> Result<Running, Failure> {
    let config = match around.section {
        Some(section) => write_section(around.folder, section)?,
        None => write_example(&around)?,
    };
    let authorities = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let tls = heimdall_transport::tls::client_config(authorities.as_deref())?;
    let source = InProcess {
        api: around.api.to_owned(),
        tenants: around.tenants,
        store: around.store,
    };
    let deps = Deps {
        http: Arc::new(HttpClient::new(tls)),
        apis: Some(Arc::new(Feeds::new(Arc::new(source), around.clock.clone()))),
        clock: around.clock,
        rng: around.rng,
    };
    let settings = Settings {
        config: ConfigAt::File(config),
        env_prefix: "HEIMDALLCFG_".to_owned(),
        mode: Mode::Proxy,
        relaxed: Relaxed::ALL,
        service: Some(service),
        management: Some(management),
        workers: 0,
    };
    Ok(heimdall_proxy::start(settings, deps).await?)
}

fn pem(key: &SigningKey) -> String {
    let text = crypto::base64(key.material());
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

fn configuration(key: &Path, rules: &Path, app: Option<&str>) -> String {
    let app = app
        .map(|app| format!("      config:\n        app: {app}\n"))
        .unwrap_or_default();
    format!(
        r#"# Written by `heimdall up` at every start. Copy it to make it yours: `heimdall-proxy serve proxy -c FILE`.
log:
  level: warn
mechanisms:
  authenticators:
    - id: anyone
      type: anonymous
    # Tokens of our own api, verified here; changes of authorisation arrive within a second.
    - id: heimdall
      type: heimdall
{app}  authorizers:
    - id: may_write_billing
      type: permission
      config:
        permission: "billing:write"
  finalizers:
    - id: who
      type: header
      config:
        headers:
          X-User-ID: '{{{{ .Subject.ID }}}}'
          X-User-Permissions: '{{{{ with .Subject.Attributes.permissions }}}}{{{{ . | join "," }}}}{{{{ end }}}}'
    - id: token
      type: jwt
      config:
        signer:
          name: heimdall-proxy
          key_store:
            path: {}
        claims: |
          {{ "roles": {{{{ .Subject.Attributes.roles | default list | toJson }}}} }}
providers:
  file_system:
    src: {}
    watch: true
"#,
        key.display(),
        rules.display()
    )
}

fn rule_set(upstream: &str) -> String {
    let rule = |id: &str, path: &str, steps: &[&str]| {
        let steps: String = steps
            .iter()
            .map(|step| format!("      - {step}\n"))
            .collect();
        format!(
            "  - id: {id}\n    match:\n      routes:\n        - path: {path}\n      scheme: http\n    forward_to:\n      \
             host: {upstream}\n      rewrite:\n        scheme: http\n    execute:\n{steps}"
        )
    };
    format!(
        "version: \"1alpha4\"\nname: first-look\nrules:\n{}{}{}",
        rule(
            "open",
            "/open",
            &[
                "authenticator: anyone",
                "finalizer: who",
                "finalizer: token"
            ]
        ),
        rule(
            "me",
            "/me",
            &[
                "authenticator: heimdall",
                "finalizer: who",
                "finalizer: token"
            ]
        ),
        rule(
            "billing",
            "/billing/**",
            &[
                "authenticator: heimdall",
                "authorizer: may_write_billing",
                "finalizer: who",
                "finalizer: token"
            ],
        ),
    )
}
