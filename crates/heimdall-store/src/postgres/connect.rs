use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::BlockOn;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::ThreadRuntime;
use crate::conn::PgConnection;
use crate::error::OpenError;

/// How to reach the server.
pub(crate) struct Server {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

/// A server that is there answers sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

impl Server {
    /// Reads `postgres://…`. `sslmode` is `disable` (the default on loopback), or `require`, `verify-ca` or
    /// `verify-full`, which all three verify chain and name: encryption to somebody unknown protects nothing.
    /// `sslrootcert` names a PEM file of authorities; otherwise the public ones count.
    pub(crate) fn parse(url: &str) -> Result<Self, OpenError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut authorities, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => authorities = Some(value),
                _ => rest.push(pair),
            }
        }
        let text = if rest.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", rest.join("&"))
        };
        let mut config: Config = text
            .parse()
            .map_err(|error: tokio_postgres::Error| OpenError::Url(error.to_string()))?;
        config.connect_timeout(CONNECT_TIMEOUT);
        // A server that vanished without a word must not leave us waiting for changes that never come.
        config
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("heimdall");
        }
        let tls = match mode {
            None | Some("disable") => {
                config.ssl_mode(SslMode::Disable);
                None
            }
            Some("require" | "verify-ca" | "verify-full") => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(tls(authorities)?))
            }
            Some(other) => {
                return Err(OpenError::Url(format!(
                    "`sslmode={other}` is not one of `disable`, `require`, `verify-ca`, `verify-full`"
                )));
            }
        };
        Ok(Self { config, tls })
    }

    /// Opens a connection on this thread's runtime; the error is fit to be shown.
    pub(crate) fn connect(&self) -> Result<PgConnection, String> {
        let mut conn: PgConnection = ThreadRuntime.block_on(self.establish())?.into();
        // Nothing that hangs may keep a transaction, and with it locks, for long.
        conn.batch_execute(
            "SET statement_timeout = '15s'; SET lock_timeout = '5s'; \
             SET idle_in_transaction_session_timeout = '20s'; SET client_min_messages = 'warning'",
        )
        .map_err(|error| error.to_string())?;
        Ok(conn)
    }

    async fn establish(&self) -> Result<AsyncPgConnection, String> {
        let connected = match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(told)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await.map_err(told)?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        };
        connected.map_err(|error| error.to_string())
    }
}

/// The error with its causes: the outermost alone says only `db error`.
fn told(error: tokio_postgres::Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn tls(authorities: Option<&str>) -> Result<rustls::ClientConfig, OpenError> {
    let mut roots = rustls::RootCertStore::empty();
    match authorities {
        Some(path) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                OpenError::Url(format!("`sslrootcert={path}`: {error}"))
            };
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?
            {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
            if roots.is_empty() {
                return Err(unreadable(&"holds no certificate"));
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Postgres(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
