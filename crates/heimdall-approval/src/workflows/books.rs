//! Groups of people and delegations.

use heimdall_types::{Actor, AppId, DelegationId, Fault, GroupId, Page, PageRequest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{MOST_DELEGATIONS, Workflows, text};
use crate::archive::{Record, RecordKind};
use crate::command::Delegation;
use crate::definition::Approver;
use crate::error::ApprovalError;
use crate::person::{Identity, Person};

/// Largest group: each member gets a seat and a mail.
const MOST_MEMBERS: usize = 500;

/// A named list of people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name, unique in the App; definitions use either.
    pub name: String,
    /// Who is in it: addresses and accounts.
    pub members: Vec<Approver>,
}

/// What a group is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupInput {
    /// Its name.
    pub name: String,
    /// Who is in it.
    pub members: Vec<Approver>,
}

/// What a delegation is made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationInput {
    /// Whose seats.
    pub from: Approver,
    /// Who may use them.
    pub to: Approver,
    /// Only for approvals whose title or id is this.
    #[serde(default)]
    pub scope: Option<String>,
    /// From when, RFC 3339.
    pub starts_at: String,
    /// Until when, RFC 3339.
    pub ends_at: String,
}

fn identity(field: &str, approver: &Approver) -> Result<Identity, ApprovalError> {
    match approver {
        Approver::Email(email) => Ok(Identity::email(email)),
        Approver::Account(account) => Ok(Identity::account(account)),
        Approver::Group(_) => Err(ApprovalError::invalid(
            field,
            "must be one person, not a group",
        )),
    }
}

impl Workflows {
    /// Makes a group, or changes the one with this id.
    ///
    /// # Errors
    /// `Invalid` naming the field, `NotFound` for an unknown id, `Fault::Duplicate` for a taken name.
    pub async fn save_group(
        &self,
        app: &AppId,
        actor: &Actor,
        id: Option<&str>,
        input: GroupInput,
    ) -> Result<Group, ApprovalError> {
        let name = text("name", &input.name, 100)?;
        if input.members.len() > MOST_MEMBERS {
            return Err(ApprovalError::invalid(
                "members",
                format!("must be at most {MOST_MEMBERS}"),
            ));
        }
        for (index, member) in input.members.iter().enumerate() {
            identity(&format!("members.{index}"), member)?;
        }
        let record = match id {
            None => None,
            Some(id) => Some(
                self.archive
                    .record(app, RecordKind::Group, id)
                    .await?
                    .ok_or(ApprovalError::NotFound)?,
            ),
        };
        let group_id = match &record {
            Some(record) => record.read::<Group>()?.id,
            None => GroupId::generate(self.clock.now(), self.rng.as_ref()),
        };
        let group = Group {
            id: group_id,
            name,
            members: input.members,
        };
        let lookup = format!("{app}/{}", group.name);
        let record = match record {
            Some(record) => record.with(&group)?.found_by(lookup),
            None => {
                Record::new(app, RecordKind::Group, group.id.as_str(), &group)?.found_by(lookup)
            }
        };
        let journal = self.audit(
            app,
            actor,
            "group.saved",
            group.id.as_str(),
            json!({ "name": group.name, "members": group.members.len() }),
        );
        self.put(vec![record], journal).await?;
        Ok(group)
    }

    /// One group.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn group(&self, app: &AppId, id: &str) -> Result<Group, ApprovalError> {
        Ok(self
            .archive
            .record(app, RecordKind::Group, id)
            .await?
            .ok_or(ApprovalError::NotFound)?
            .read()?)
    }

    /// Groups by id.
    ///
    /// # Errors
    /// Storage.
    pub async fn groups(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<Group>, ApprovalError> {
        self.list(app, RecordKind::Group, page).await
    }

    /// Deletes a group. Steps that name it open no seat for it any more.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_group(
        &self,
        app: &AppId,
        actor: &Actor,
        id: &str,
    ) -> Result<(), ApprovalError> {
        let group = self.group(app, id).await?;
        let journal = self.audit(
            app,
            actor,
            "group.deleted",
            id,
            json!({ "name": group.name }),
        );
        Ok(self
            .drop_record(app, RecordKind::Group, id, journal)
            .await?)
    }

    /// Members of a group by its name or id; nobody for an unknown one, so that its step finds no voters and fails.
    pub(crate) async fn members(&self, app: &AppId, key: &str) -> Result<Vec<Identity>, Fault> {
        let record = match self.archive.record(app, RecordKind::Group, key).await? {
            Some(record) => Some(record),
            None => {
                self.archive
                    .found(RecordKind::Group, &format!("{app}/{key}"))
                    .await?
            }
        };
        let Some(record) = record else {
            return Ok(Vec::new());
        };
        Ok(record
            .read::<Group>()?
            .members
            .iter()
            .filter_map(|member| identity("members", member).ok())
            .collect())
    }

    /// Makes a delegation.
    ///
    /// # Errors
    /// `Invalid` naming the field.
    pub async fn delegate(
        &self,
        app: &AppId,
        actor: &Actor,
        input: DelegationInput,
    ) -> Result<Delegation, ApprovalError> {
        let moment = |field: &str, given: &str| {
            Timestamp::parse_rfc3339(given).ok_or_else(|| {
                ApprovalError::invalid(field, "is a time such as `2026-03-09T06:00:00Z`")
            })
        };
        let (from, to) = (identity("from", &input.from)?, identity("to", &input.to)?);
        let (starts_at, ends_at) = (
            moment("starts_at", &input.starts_at)?,
            moment("ends_at", &input.ends_at)?,
        );
        if from == to {
            return Err(ApprovalError::invalid(
                "to",
                "must be somebody else than `from`",
            ));
        }
        if ends_at <= starts_at || ends_at <= self.clock.now() {
            return Err(ApprovalError::invalid(
                "ends_at",
                "must lie behind `starts_at` and in the future",
            ));
        }
        let scope = input
            .scope
            .as_deref()
            .map(|scope| text("scope", scope, 200))
            .transpose()?;
        if self.all_delegations(app).await?.len() >= MOST_DELEGATIONS {
            return Err(ApprovalError::invalid(
                "from",
                "this App has too many delegations; delete old ones",
            ));
        }
        let id = DelegationId::generate(self.clock.now(), self.rng.as_ref());
        let delegation = Delegation {
            id,
            from,
            to,
            scope,
            starts_at,
            ends_at,
        };
        let record = Record::new(
            app,
            RecordKind::Delegation,
            delegation.id.as_str(),
            &delegation,
        )?;
        let data = json!({ "from": delegation.from.opaque(app.as_str()), "to": delegation.to.opaque(app.as_str()) });
        let journal = self.audit(
            app,
            actor,
            "delegation.created",
            delegation.id.as_str(),
            data,
        );
        self.put(vec![record], journal).await?;
        Ok(delegation)
    }

    /// Delegations by id.
    ///
    /// # Errors
    /// Storage.
    pub async fn delegations(
        &self,
        app: &AppId,
        page: &PageRequest,
    ) -> Result<Page<Delegation>, ApprovalError> {
        self.list(app, RecordKind::Delegation, page).await
    }

    /// Whose seats this person may use now, beside their own. Scopes are looked at when a vote is cast.
    ///
    /// # Errors
    /// Storage.
    pub async fn stands_in_for(
        &self,
        app: &AppId,
        person: &Person,
    ) -> Result<Vec<Identity>, ApprovalError> {
        let now = self.clock.now();
        let live =
            |one: &Delegation| person.is(&one.to) && one.starts_at <= now && now < one.ends_at;
        let all = self.all_delegations(app).await?.into_iter();
        Ok(all.filter(live).map(|one| one.from).collect())
    }

    /// Ends a delegation.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn drop_delegation(
        &self,
        app: &AppId,
        actor: &Actor,
        id: &str,
    ) -> Result<(), ApprovalError> {
        self.archive
            .record(app, RecordKind::Delegation, id)
            .await?
            .ok_or(ApprovalError::NotFound)?;
        let journal = self.audit(app, actor, "delegation.deleted", id, json!({}));
        Ok(self
            .drop_record(app, RecordKind::Delegation, id, journal)
            .await?)
    }

    pub(crate) async fn all_delegations(&self, app: &AppId) -> Result<Vec<Delegation>, Fault> {
        let (mut all, mut page) = (
            Vec::new(),
            PageRequest {
                limit: PageRequest::MAX_LIMIT,
                cursor: None,
            },
        );
        loop {
            let rows = self
                .archive
                .records(app, RecordKind::Delegation, &page)
                .await?;
            for record in &rows.data {
                all.push(record.read()?);
            }
            page.cursor = rows
                .next_cursor
                .and_then(|text| heimdall_types::Cursor::decode(&text).ok());
            if page.cursor.is_none() || all.len() >= MOST_DELEGATIONS {
                return Ok(all);
            }
        }
    }
}
