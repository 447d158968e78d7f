//! Keys of the approvals API.

use std::net::IpAddr;

use heimdall_token::crypto;
use heimdall_types::{Actor, ApiKeyId, AppId, Fault, Page, PageRequest, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Workflows, text};
use crate::archive::{Record, RecordKind};
use crate::error::ApprovalError;

/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "hak_";

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Privilege {
    /// See approvals.
    #[serde(rename = "approvals:read")]
    Read,
    /// Open, cancel and reset approvals; definitions.
    #[serde(rename = "approvals:write")]
    Write,
    /// Get step action links.
    #[serde(rename = "approvals:links")]
    Links,
    /// Make and end delegations.
    #[serde(rename = "delegations:write")]
    Delegations,
}

/// The record of a key; never the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The App it acts in.
    pub app_id: AppId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub privileges: Vec<Privilege>,
    /// Not good before.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Not good from then on.
    #[serde(default)]
    pub not_after: Option<Timestamp>,
    /// Source addresses or `address/bits` it is good from; empty: any.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a key is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyInput {
    /// For people.
    pub name: String,
    /// What it may do.
    pub privileges: Vec<Privilege>,
    /// Not good before, RFC 3339.
    #[serde(default)]
    pub not_before: Option<String>,
    /// Not good from then on, RFC 3339.
    #[serde(default)]
    pub not_after: Option<String>,
    /// Where it is good from.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// What is to change; absent members stay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyChange {
    /// Another name.
    #[serde(default)]
    pub name: Option<String>,
    /// Other privileges.
    #[serde(default)]
    pub privileges: Option<Vec<Privilege>>,
    /// Another beginning.
    #[serde(default)]
    pub not_before: Option<String>,
    /// Another end.
    #[serde(default)]
    pub not_after: Option<String>,
    /// Other addresses.
    #[serde(default)]
    pub addresses: Option<Vec<String>>,
}

fn moment(field: &str, given: Option<&str>) -> Result<Option<Timestamp>, ApprovalError> {
    let wrong = || ApprovalError::invalid(field, "is a time such as `2026-03-09T06:00:00Z`");
    given
        .map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong))
        .transpose()
}

/// `address` or `address/bits`.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?),
        None => {
            let address = text.parse::<IpAddr>().ok()?;
            (address, if address.is_ipv4() { 32 } else { 128 })
        }
    };
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn contains((base, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (base, address) {
        (IpAddr::V4(base), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            u32::from(base) & mask == u32::from(address) & mask
        }
        (IpAddr::V6(base), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            u128::from(base) & mask == u128::from(address) & mask
        }
        _ => false,
    }
}

impl ApiKey {
    /// Whether it may do this.
    pub fn may(&self, privilege: Privilege) -> bool {
        self.privileges.contains(&privilege)
    }

    fn good(&self, source: IpAddr, now: Timestamp) -> bool {
        let in_time = self.not_before.is_none_or(|from| from <= now)
            && self.not_after.is_none_or(|end| now < end);
        let mut networks = self.addresses.iter().filter_map(|text| network(text));
        in_time
            && (self.addresses.is_empty()
                || networks.any(|net| contains(net, source.to_canonical())))
    }

    fn check(&self) -> Result<(), ApprovalError> {
        if self.privileges.is_empty() {
            return Err(ApprovalError::invalid(
                "privileges",
                "must name at least one",
            ));
        }
        if let Some(index) = self
            .addresses
            .iter()
            .position(|text| network(text).is_none())
        {
            return Err(ApprovalError::invalid(
                format!("addresses.{index}"),
                "is an address or `address/bits`",
            ));
        }
        if matches!((self.not_before, self.not_after), (Some(from), Some(end)) if end <= from) {
            return Err(ApprovalError::invalid(
                "not_after",
                "must lie behind `not_before`",
            ));
        }
        Ok(())
    }
}

impl Workflows {
    fn key_hash(&self, key: &str) -> String {
        let keyed = self.root.derive("api-key");
        crypto::hex(&crypto::hmac_sha256(keyed.as_ref(), key.as_bytes()))
    }

    /// Makes a key. The key itself is given out here and nowhere else.
    ///
    /// # Errors
    /// `Invalid` naming the field.
    pub async fn create_api_key(
        &self,
        app: &AppId,
        actor: &Actor,
        input: ApiKeyInput,
    ) -> Result<(ApiKey, Secret), ApprovalError> {
        let now = self.clock.now();
        let key = ApiKey {
            id: ApiKeyId::generate(now, self.rng.as_ref()),
            app_id: app.clone(),
            name: text("name", &input.name, 100)?,
            privileges: input.privileges,
            not_before: moment("not_before", input.not_before.as_deref())?,
            not_after: moment("not_after", input.not_after.as_deref())?,
            addresses: input.addresses,
            created_at: now,
        };
        key.check()?;
        let secret = format!(
            "{API_KEY_PREFIX}{}",
            crypto::random_token(self.rng.as_ref(), 32)
        );
        let record = Record::new(app, RecordKind::ApiKey, key.id.as_str(), &key)?
            .found_by(self.key_hash(&secret));
        let journal = self.audit(
            app,
            actor,
            "api_key.created",
            key.id.as_str(),
            json!({ "name": key.name, "privileges": key.privileges }),
        );
        self.put(vec![record], journal).await?;
        Ok((key, Secret::new(secret)))
    }

    /// The record of a key that is good now and from this source.
    ///
    /// # Errors
    /// Storage.
    pub async fn api_key(&self, key: &str, source: IpAddr) -> Result<Option<ApiKey>, Fault> {
        let Some(record) = self
            .archive
            .found(RecordKind::ApiKey, &self.key_hash(key))
            .await?
        else {
            return Ok(None);
        };
        let found: ApiKey = record.read()?;
        Ok(found.good(source, self.clock.now()).then_some(found))
    }

    /// The App of a key, for operators, who have none of their own.
    ///
    /// # Errors
    /// Storage.
    pub async fn api_key_app(&self, id: &str) -> Result<Option<AppId>, Fault> {
        Ok(self
            .archive
            .anywhere(RecordKind::ApiKey, id)
            .await?
            .map(|record| record.app_id))
    }

    /// The record of a key by its id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn api_key_record(&self, app: &AppId, id: &str) -> Result<ApiKey, ApprovalError> {
        Ok(self
            .archive
            .record(app, RecordKind::ApiKey, id)
            .await?
            .ok_or(ApprovalError::NotFound)?
            .read()?)
    }

    /// Keys by id.
    ///
    /// # Errors
    /// Storage.
    pub async fn api_keys(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<ApiKey>, ApprovalError> {
        self.list(app, RecordKind::ApiKey, page).await
    }

    /// Changes a key.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` naming the field.
    pub async fn change_api_key(
        &self,
        app: &AppId,
        actor: &Actor,
        id: &str,
        change: ApiKeyChange,
    ) -> Result<ApiKey, ApprovalError> {
        let record = self
            .archive
            .record(app, RecordKind::ApiKey, id)
            .await?
            .ok_or(ApprovalError::NotFound)?;
        let mut key: ApiKey = record.read()?;
        if let Some(name) = &change.name {
            key.name = text("name", name, 100)?;
        }
        key.privileges = change.privileges.unwrap_or(key.privileges);
        key.addresses = change.addresses.unwrap_or(key.addresses);
        key.not_before = moment("not_before", change.not_before.as_deref())?.or(key.not_before);
        key.not_after = moment("not_after", change.not_after.as_deref())?.or(key.not_after);
        key.check()?;
        let journal = self.audit(
            app,
            actor,
            "api_key.updated",
            id,
            json!({ "name": key.name, "privileges": key.privileges }),
        );
        self.put(vec![record.with(&key)?], journal).await?;
        Ok(key)
    }

    /// Deletes a key: it is refused from now on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_api_key(
        &self,
        app: &AppId,
        actor: &Actor,
        id: &str,
    ) -> Result<(), ApprovalError> {
        self.api_key_record(app, id).await?;
        let journal = self.audit(app, actor, "api_key.deleted", id, json!({}));
        Ok(self
            .drop_record(app, RecordKind::ApiKey, id, journal)
            .await?)
    }
}
