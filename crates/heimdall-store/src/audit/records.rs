use std::io::{self, Write};

use diesel::prelude::*;
use heimdall_types::{AppId, Fault, Page, PageRequest, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::verify::{self, Row};
use crate::conn::{JobResult, Scope, query};
use crate::hash::hex;
use crate::schema::foundation::{audit, audit_checkpoints};
use crate::store::Store;

/// One row of the audit, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Its number in the chain; absent in the second before it is chained.
    pub seq: Option<i64>,
    /// The App; absent for the installation.
    pub app_id: Option<String>,
    /// When, RFC 3339.
    pub at: String,
    /// Who.
    pub actor: Value,
    /// What.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// Details.
    pub data: Value,
    /// The hash of its content, in hexadecimal.
    pub content_hash: String,
    /// The hash that chains it, in hexadecimal.
    pub chain_hash: Option<String>,
}

/// Which rows are wanted; a field that is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// This action; with `*` at the end all that begin so.
    pub action: Option<String>,
    /// This target.
    pub target: Option<String>,
    /// This actor's id.
    pub actor: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

fn record(row: Row) -> JobResult<AuditRecord> {
    Ok(AuditRecord {
        seq: row.seq,
        app_id: row.app_id,
        at: Timestamp::from_millis(row.at).to_rfc3339(),
        actor: serde_json::from_str(&row.actor)?,
        action: row.action,
        target: row.target,
        data: serde_json::from_str(&row.data)?,
        content_hash: hex(&row.content_hash),
        chain_hash: row.chain_hash.as_deref().map(hex),
    })
}

/// How an export ended.
#[derive(Debug)]
pub enum ExportError {
    /// The database failed.
    Store(Fault),
    /// The sink failed.
    Write(io::Error),
}

impl Store {
    /// A page of the audit, newest first: of an App, or for `None` of everything.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] when the database does not answer.
    pub async fn audit(
        &self,
        app: Option<&AppId>,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditRecord>, Fault> {
        let (own, filter, page) = (app.cloned(), filter.clone(), page.clone());
        self.read(app.map_or(Scope::System, Scope::from), move |c| {
            let rows: Vec<(i64, Row)> = query!(c => {
                let mut rows = audit::table.into_boxed::<Backend>();
                if let Some(app) = &own {
                    rows = rows.filter(audit::app_id.eq(app.as_str()));
                }
                match filter.action.as_deref().map(|action| (action, action.strip_suffix('*'))) {
                    Some((_, Some(prefix))) => rows = rows.filter(audit::action.like(pattern(prefix)).escape('\\')),
                    Some((action, None)) => rows = rows.filter(audit::action.eq(action)),
                    None => {}
                }
                if let Some(target) = &filter.target {
                    rows = rows.filter(audit::target.eq(target));
                }
                if let Some(actor) = &filter.actor {
                    // The stored text is ours: `"id":"…"` stands in it as serde writes it.
                    let id = serde_json::to_string(actor)?;
                    rows = rows.filter(audit::actor.like(format!("%\"id\":{}%", pattern(&id).trim_end_matches('%'))).escape('\\'));
                }
                if let Some(since) = filter.since {
                    rows = rows.filter(audit::at.ge(since.millis()));
                }
                if let Some(until) = filter.until {
                    rows = rows.filter(audit::at.lt(until.millis()));
                }
                if let Some(ord) = page.cursor.as_ref().and_then(|cursor| cursor.key().parse::<i64>().ok()) {
                    rows = rows.filter(audit::ord.lt(ord));
                }
                rows.order(audit::ord.desc())
                    .limit(i64::from(page.limit) + 1)
                    .select((audit::ord, Row::as_select()))
                    .load(c)
            })?;
            let page = Page::cut(rows, page.limit, |(ord, _)| ord.to_string());
            let data = page.data.into_iter().map(|(_, row)| record(row)).collect::<JobResult<Vec<_>>>()?;
            Ok(Page { data, next_cursor: page.next_cursor })
        })
        .await
    }

    /// Writes the audit as JSON lines, oldest first, then the checkpoints. Of an App: its rows whole, of the others
    /// only number and hashes, so that whoever receives it can follow the chain. Returns the number of lines.
    ///
    /// # Errors
    /// The database or the sink.
    pub async fn export_audit(
        &self,
        app: Option<&AppId>,
        out: &mut (dyn Write + Send),
    ) -> Result<u64, ExportError> {
        let store = ExportError::Store;
        let (mut after, mut lines) = (0, 0);
        let until = self
            .read(Scope::System, |c| Ok(verify::newest(c)?))
            .await
            .map_err(store)?;
        loop {
            let rows = self
                .read(Scope::System, move |c| {
                    verify::rows_between(c, after, until)
                })
                .await
                .map_err(store)?;
            let Some(last) = rows.last() else { break };
            after = last.seq.unwrap_or(until);
            for row in rows {
                let line = if app.is_none_or(|app| row.app_id.as_deref() == Some(app.as_str())) {
                    serde_json::to_value(record(row).map_err(|error| store(error.into()))?)
                } else {
                    Ok(serde_json::json!({
                        "seq": row.seq,
                        "content_hash": hex(&row.content_hash),
                        "chain_hash": row.chain_hash.as_deref().map(hex),
                    }))
                };
                let line = line.map_err(|error| ExportError::Write(error.into()))?;
                writeln!(out, "{line}").map_err(ExportError::Write)?;
                lines += 1;
            }
        }
        let tokens: Vec<String> = self
            .read(Scope::System, move |c| {
                Ok(query!(c => audit_checkpoints::table
                    .filter(audit_checkpoints::seq.le(until))
                    .order(audit_checkpoints::seq)
                    .select(audit_checkpoints::token)
                    .load(c))?)
            })
            .await
            .map_err(store)?;
        for token in tokens {
            writeln!(out, "{}", serde_json::json!({ "checkpoint": token }))
                .map_err(ExportError::Write)?;
            lines += 1;
        }
        Ok(lines)
    }
}

/// `LIKE` for texts that begin so, with the wildcards in them meaning themselves.
fn pattern(prefix: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}
