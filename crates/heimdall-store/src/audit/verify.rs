use std::sync::Arc;

use diesel::prelude::*;
use heimdall_token::{PublicKeys, Signer, Unverified};
use heimdall_types::{Fault, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Content, GENESIS, link};
use crate::conn::{Conn, JobResult, Scope, query};
use crate::hash::hex;
use crate::journal;
use crate::schema::foundation::{audit, audit_checkpoints};
use crate::store::Store;

/// What a walk over the audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// Chained rows that were walked over.
    pub rows: i64,
    /// Rows that were committed but not chained yet (PostgreSQL, within a second); more or older ones are a fault of
    /// the chainer, not of the rows.
    pub unchained: i64,
    /// Checkpoints whose signature and hash hold.
    pub checkpoints: i64,
    /// Checkpoints whose key is not at hand: they prove nothing.
    pub unknown_keys: i64,
    /// Number and hash of the last link, to be kept elsewhere: whoever has it notices a shortened chain.
    pub end: (i64, String),
    /// What does not hold; empty is good.
    pub faults: Vec<AuditFault>,
}

/// Something in the audit that cannot have come about by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditFault {
    /// The number of the row, or of the place where it should be.
    pub seq: i64,
    /// What is wrong there.
    pub what: String,
}

/// What a checkpoint's token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Who says it.
    #[serde(rename = "iss", default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// When, in seconds.
    #[serde(rename = "iat")]
    pub issued_at: i64,
    /// The number of the row.
    pub seq: i64,
    /// Its chain hash, in hexadecimal.
    pub chain_hash: String,
}

/// One row of the audit as it is stored.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = audit)]
pub(crate) struct Row {
    pub(crate) app_id: Option<String>,
    pub(crate) at: i64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) data: String,
    pub(crate) content_hash: Vec<u8>,
    pub(crate) seq: Option<i64>,
    pub(crate) prev_hash: Option<Vec<u8>>,
    pub(crate) chain_hash: Option<Vec<u8>>,
}

impl Row {
    fn content(&self) -> [u8; 32] {
        Content {
            app_id: self.app_id.as_deref(),
            at: self.at,
            actor: &self.actor,
            action: &self.action,
            target: &self.target,
            data: &self.data,
        }
        .hash()
    }
}

/// So many rows are held in memory at once.
pub(super) const CHUNK: i64 = 2000;

/// How far the walk has come.
struct Walk {
    seq: i64,
    hash: Vec<u8>,
    report: AuditReport,
}

impl Walk {
    fn fault(&mut self, seq: i64, what: impl Into<String>) {
        // A hundred say it as well as a million.
        if self.report.faults.len() < 100 {
            self.report.faults.push(AuditFault {
                seq,
                what: what.into(),
            });
        }
    }

    fn step(&mut self, row: &Row) {
        let seq = row.seq.unwrap_or_default();
        if seq != self.seq + 1 {
            let what = format!("rows {} to {} are missing", self.seq + 1, seq - 1);
            self.fault(self.seq + 1, what);
        }
        if row.content() != *row.content_hash {
            self.fault(
                seq,
                format!("the row was altered (`{}` of `{}`)", row.action, row.target),
            );
        }
        if row.prev_hash.as_deref() != Some(&self.hash) && seq == self.seq + 1 {
            self.fault(
                seq,
                "the row does not follow the one before it: rows were replaced or reordered",
            );
        }
        let prev = row.prev_hash.clone().unwrap_or_default();
        if row.chain_hash.as_deref() != Some(&link(seq, &prev, &row.content_hash)) {
            self.fault(seq, "the row's link was altered, or the row was moved");
        }
        self.seq = seq;
        self.hash = row.chain_hash.clone().unwrap_or_default();
        self.report.rows += 1;
    }
}

/// What became of a checkpoint's token when its signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// It holds; these are the claims, as JSON.
    Holds(String),
    /// It does not.
    Broken,
    /// The key that is said to have signed it is not at hand (removed since).
    UnknownKey,
}

/// The `typ` of a checkpoint's token.
const CHECKPOINT: &str = "heimdall-checkpoint+jwt";

/// Checks checkpoints against these keys.
pub fn checkpoint_verifier(keys: Arc<PublicKeys>) -> impl Fn(&str) -> Signature + Send + Sync {
    move |token| {
        let Ok(token) = Unverified::parse(token) else {
            return Signature::Broken;
        };
        if token.typ().as_deref() != Some(CHECKPOINT) {
            return Signature::Broken;
        }
        let Ok(Some(kid)) = token.kid() else {
            return Signature::Broken;
        };
        let Some(key) = keys.get(kid) else {
            return Signature::UnknownKey;
        };
        match std::str::from_utf8(token.payload()) {
            Ok(claims) if token.verify_signature(key, key.algorithm()) => {
                Signature::Holds(claims.to_owned())
            }
            _ => Signature::Broken,
        }
    }
}

/// Checks the token of a checkpoint.
pub type CheckpointVerifier = dyn Fn(&str) -> Signature + Send + Sync;

impl Store {
    /// Walks over the whole audit and names every row that was altered, removed, moved or put in. `verify` opens the
    /// tokens of the checkpoints.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer; what does not hold is in the report.
    pub async fn verify_audit(&self, verify: &CheckpointVerifier) -> Result<AuditReport, Fault> {
        // All that follows is about this moment: what is written meanwhile is for the next walk.
        let (head, newest, unchained, checkpoints) = self
            .read(Scope::System, |c| {
                Ok((
                    journal::head(c)?,
                    newest(c)?,
                    unchained(c)?,
                    checkpoints(c)?,
                ))
            })
            .await?;
        let mut walk = Walk {
            seq: 0,
            hash: GENESIS.to_vec(),
            report: AuditReport {
                unchained,
                ..AuditReport::default()
            },
        };
        let mut due = checkpoints.into_iter().peekable();
        loop {
            let (after, until) = (walk.seq, newest);
            let rows = self
                .read(Scope::System, move |c| rows_between(c, after, until))
                .await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                walk.step(row);
                while let Some((seq, hash, token)) = due.next_if(|(seq, ..)| *seq <= walk.seq) {
                    compare(&mut walk, seq, &hash, &token, verify);
                }
            }
        }
        for (seq, ..) in due {
            walk.fault(
                seq,
                "a checkpoint names this row, but the chain ends before it",
            );
        }
        if (head.audit_seq, &head.audit_hash) != (walk.seq, &walk.hash) {
            let what = format!(
                "the chain ends at row {}, but the last row written was {}",
                walk.seq, head.audit_seq
            );
            walk.fault(walk.seq.min(head.audit_seq) + 1, what);
        }
        walk.report.end = (walk.seq, hex(&walk.hash));
        Ok(walk.report)
    }

    /// Signs the end of the audit and keeps the signature; `None` when there is nothing new since the last.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer, or a key that cannot sign.
    pub async fn checkpoint_audit(
        &self,
        now: Timestamp,
        issuer: Option<&str>,
        signer: &Signer,
    ) -> Result<Option<Checkpoint>, Fault> {
        let (head, known) = self
            .read(Scope::System, |c| {
                let known: Option<i64> =
                    query!(c => audit_checkpoints::table.select(diesel::dsl::max(audit_checkpoints::seq)).first(c))?;
                Ok((journal::head(c)?, known.unwrap_or(0)))
            })
            .await?;
        if head.audit_seq == known {
            return Ok(None);
        }
        let checkpoint = Checkpoint {
            issuer: issuer.map(str::to_owned),
            issued_at: now.seconds(),
            seq: head.audit_seq,
            chain_hash: hex(&head.audit_hash),
        };
        let claims = serde_json::to_string(&checkpoint)
            .map_err(|error| Fault::Corrupt(error.to_string()))?;
        let token = signer
            .sign_json(Some(CHECKPOINT), &claims)
            .map_err(|error| Fault::Unavailable(error.to_string()))?;
        self.write(Scope::System, move |c| {
            let row = (
                audit_checkpoints::seq.eq(head.audit_seq),
                audit_checkpoints::at.eq(now.millis()),
                audit_checkpoints::chain_hash.eq(&head.audit_hash),
                audit_checkpoints::token.eq(&token),
            );
            // Two instances may sign the same end.
            query!(c => diesel::insert_into(audit_checkpoints::table)
                .values(row)
                .on_conflict(audit_checkpoints::seq)
                .do_nothing()
                .execute(c))?;
            Ok(())
        })
        .await?;
        Ok(Some(checkpoint))
    }
}

pub(super) fn rows_between(c: &mut Conn<'_>, after: i64, until: i64) -> JobResult<Vec<Row>> {
    Ok(query!(c => audit::table
        .filter(audit::seq.gt(after).and(audit::seq.le(until)))
        .order(audit::seq)
        .limit(CHUNK)
        .select(Row::as_select())
        .load(c))?)
}

fn checkpoints(c: &mut Conn<'_>) -> QueryResult<Vec<(i64, Vec<u8>, String)>> {
    query!(c => audit_checkpoints::table
        .order(audit_checkpoints::seq)
        .select((audit_checkpoints::seq, audit_checkpoints::chain_hash, audit_checkpoints::token))
        .load(c))
}

fn unchained(c: &mut Conn<'_>) -> QueryResult<i64> {
    query!(c => audit::table.filter(audit::seq.is_null()).count().get_result(c))
}

/// The highest number there is.
pub(super) fn newest(c: &mut Conn<'_>) -> QueryResult<i64> {
    let seq: Option<i64> = query!(c => audit::table.select(diesel::dsl::max(audit::seq)).first(c))?;
    Ok(seq.unwrap_or(0))
}

fn compare(walk: &mut Walk, seq: i64, hash: &[u8], token: &str, verify: &CheckpointVerifier) {
    let claims = match verify(token) {
        Signature::Holds(claims) => serde_json::from_str::<Checkpoint>(&claims).ok(),
        Signature::Broken => None,
        Signature::UnknownKey => {
            walk.report.unknown_keys += 1;
            return;
        }
    };
    match claims {
        None => walk.fault(seq, "the signature of the checkpoint here does not hold"),
        Some(said) if said.seq != seq || said.chain_hash != hex(hash) => {
            walk.fault(seq, "the checkpoint here was altered");
        }
        Some(_) if seq != walk.seq || hash != walk.hash => {
            walk.fault(seq, "the chain is not the one that was signed here");
        }
        Some(_) => walk.report.checkpoints += 1,
    }
}
