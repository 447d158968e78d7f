use std::time::Duration;

use heimdall_token::Algorithm;
use serde::{Deserialize, Serialize};

use crate::error::TenantError;

/// Settings of one App. Every field has a default, so a stored document of an older release still reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppSettings {
    /// Lifetimes of what is issued.
    pub lifetimes: Lifetimes,
    /// What a password must be.
    pub password: PasswordPolicy,
    /// When an account is locked for a while.
    pub lockout: LockoutPolicy,
    /// Whether invites may be accepted and made.
    pub invites_enabled: bool,
    /// Which algorithm signs access tokens; absent: that of the installation.
    pub algorithm: Option<Algorithm>,
}

/// How long things live, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifetimes {
    /// Access tokens of users, 60 to 86 400; 900 by default.
    pub user_token_seconds: u32,
    /// Access tokens of machines, 60 to 86 400; 3 600 by default.
    pub machine_token_seconds: u32,
    /// Sessions, 300 to 31 536 000; 30 days by default.
    pub session_seconds: u32,
}

/// What a password must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordPolicy {
    /// Fewest characters, 8 to 128; 8 by default (NIST SP 800-63B §5.1.1).
    pub min_length: u32,
}

/// When an account is locked for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LockoutPolicy {
    /// Failed logins within the window that lock, 3 to 1 000; 10 by default.
    pub attempts: u32,
    /// Window and length of the lock, in seconds, 10 to 86 400; 60 by default.
    pub seconds: u32,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            lifetimes: Lifetimes::default(),
            password: PasswordPolicy::default(),
            lockout: LockoutPolicy::default(),
            invites_enabled: true,
            algorithm: None,
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            user_token_seconds: 900,
            machine_token_seconds: 3_600,
            session_seconds: 30 * 86_400,
        }
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 8 }
    }
}

impl Default for LockoutPolicy {
    fn default() -> Self {
        Self {
            attempts: 10,
            seconds: 60,
        }
    }
}

impl AppSettings {
    /// Checks every figure against its range.
    ///
    /// # Errors
    /// [`TenantError::Malformed`] naming the first figure out of range.
    pub fn check(&self) -> Result<(), TenantError> {
        let ranges = [
            (
                "lifetimes.user_token_seconds",
                self.lifetimes.user_token_seconds,
                60,
                86_400,
            ),
            (
                "lifetimes.machine_token_seconds",
                self.lifetimes.machine_token_seconds,
                60,
                86_400,
            ),
            (
                "lifetimes.session_seconds",
                self.lifetimes.session_seconds,
                300,
                31_536_000,
            ),
            ("password.min_length", self.password.min_length, 8, 128),
            ("lockout.attempts", self.lockout.attempts, 3, 1_000),
            ("lockout.seconds", self.lockout.seconds, 10, 86_400),
        ];
        match ranges
            .into_iter()
            .find(|(_, value, least, most)| value < least || value > most)
        {
            Some((field, _, least, most)) => Err(TenantError::malformed(
                field,
                format!("must be {least} to {most}"),
            )),
            None => Ok(()),
        }
    }
}

/// What the operator decides for all Apps.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TenantSettings {
    /// `iss` of every token: the base URL plus `/heimdall`.
    pub issuer: String,
    /// Address of the portal, for the hint in a 403; also where invite pages lie when `invite_base` is not set.
    pub portal_host: Option<String>,
    /// What stands before the token in an `invite_url`; `{issuer}/invites/` by default.
    pub invite_base: String,
    /// Origins whose pages may ask for passkeys, `https://host[:port]`; passkeys are bound to the host of the first.
    /// That of the issuer by default. None where it has no host name: browsers make no passkeys for an IP address.
    pub passkey_origins: Vec<String>,
    /// Whether webhooks to private and loopback addresses are accepted.
    pub allow_private_webhooks: bool,
    /// Users whose authority is kept in memory, at most.
    pub cached_users: usize,
    /// Apps whose roles are kept in memory, at most.
    pub cached_apps: usize,
    /// Client credentials that are kept in memory, at most.
    pub cached_clients: usize,
    /// How old a cached authority may get even when no commit signal came.
    pub cache_age: Duration,
}

impl TenantSettings {
    /// Defaults for a service whose tokens carry this `iss`.
    pub fn new(issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        Self {
            invite_base: format!("{issuer}/invites/"),
            passkey_origins: passkey_origin(&issuer).into_iter().collect(),
            issuer,
            portal_host: None,
            allow_private_webhooks: false,
            cached_users: 100_000,
            cached_apps: 2_000,
            cached_clients: 20_000,
            cache_age: Duration::from_secs(60),
        }
    }
}

/// The origin that passkeys of a service at this address belong to. Browsers make none for an IP address; this machine
/// has a name, though.
pub fn passkey_origin(address: &str) -> Option<String> {
    let mut url = url::Url::parse(address).ok()?;
    let loopback = match url.host()? {
        url::Host::Domain(_) => return Some(url.origin().ascii_serialization()),
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    url.set_host(loopback.then_some("localhost")).ok()?;
    loopback.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passkeys_belong_to_a_name() {
        let origin = |address| passkey_origin(address);
        assert_eq!(
            origin("https://id.example:8443/heimdall").as_deref(),
            Some("https://id.example:8443")
        );
        assert_eq!(
            origin("http://127.0.0.1:8080/heimdall").as_deref(),
            Some("http://localhost:8080")
        );
        assert_eq!(
            origin("http://[::1]:8080").as_deref(),
            Some("http://localhost:8080")
        );
        assert_eq!(origin("https://192.0.2.1/"), None);
        assert_eq!(origin("nonsense"), None);
    }

    #[test]
    fn defaults_lie_in_their_ranges_and_a_zero_lifetime_is_named() {
        assert_eq!(AppSettings::default().check(), Ok(()));
        let mut settings = AppSettings::default();
        settings.lifetimes.user_token_seconds = 0;
        assert_eq!(
            settings.check().unwrap_err().field(),
            Some("lifetimes.user_token_seconds")
        );
    }
}
