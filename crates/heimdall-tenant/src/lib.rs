//! Apps (tenants), their users, roles, permissions, credentials, sessions, invites and webhook endpoints: the rules,
//! and the service [`Tenants`] that drives them over ports.
//!
//! The rules are pure: [`Model`] compiles an App's roles, [`Effective`] is what one subject holds, [`may_grant`] is
//! the escalation rule. The service checks every right itself, so each channel obeys the same rules.
//!
//! ```
//! use heimdall_tenant::{Pattern, Permission};
//!
//! let held: Pattern = "billing:*".parse()?;
//! let asked: Permission = "billing:read".parse()?;
//! assert!(held.allows(asked.as_str()));
//! assert!(!held.covers(&"*".parse()?));
//! # Ok::<(), heimdall_tenant::PermissionError>(())
//! ```

pub mod authority;
mod cache;
mod caller;
pub mod change;
pub mod entity;
mod error;
pub mod input;
/// Names and texts that people read: which are refused.
pub mod name;
mod password;
mod permission;
pub mod ports;
mod secrets;
/// Settings of one App, and those of the operator.
pub mod settings;
mod tenants;
pub mod view;
mod webhook_address;

pub use authority::{Effective, Model, RequestableRole, may_grant};
pub use caller::{Caller, Identity, Principal};
pub use error::{Class, OAuthCode, TenantError};
pub use password::{Failures, Hasher, MAX_PASSWORD_BYTES, check_password, importable};
pub use permission::{BUILT_IN, MAX_PERMISSION_BYTES, Pattern, Permission, PermissionError};
pub use secrets::ADMIN_KEY_PREFIX;
pub use settings::{AppSettings, TenantSettings};
pub use tenants::{
    Authenticated, ClientAuth, Grant, Introspection, LoggedIn, SigningKeys, TenantPorts, Tenants,
    UserQuery,
};
