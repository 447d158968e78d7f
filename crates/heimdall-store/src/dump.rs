//! Everything in the database as JSON lines, for backups and for moving between the two databases.
//!
//! The first line names the format, then come the tables in an order in which each stands behind those it refers to,
//! then one line a row, and the last line counts: a file that was cut short is not taken for a whole one.

mod tables;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use heimdall_types::{Actor, AuditEntry, Fault, Journal, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::conn::{Conn, Db, JobResult, Scope, query};
use crate::documents;
use crate::journal;
use crate::schema::foundation::audit;
use crate::store::Store;

const FORMAT: &str = "heimdall dump 1";
/// So many rows go into one statement.
const CHUNK: usize = 200;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    tables: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    t: String,
    #[serde(borrow)]
    r: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    rows: u64,
}

fn broken(error: impl ToString) -> Fault {
    Fault::Unavailable(error.to_string())
}

impl Store {
    /// Writes one consistent picture of everything to `file`, which must not exist; others go on working meanwhile.
    /// The file holds what the database holds (mail addresses, sealed keys): it is readable by its owner alone.
    /// Returns the number of rows.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] with the reason: the database's or the file's.
    pub async fn dump(&self, file: &Path) -> Result<u64, Fault> {
        let partial = PathBuf::from(format!("{}.partial", file.display()));
        if file.exists() {
            return Err(Fault::Unavailable(format!(
                "`{}` exists already",
                file.display()
            )));
        }
        let target = partial.clone();
        let rows = self.read(Scope::System, move |c| write(c, &target)).await;
        let rows = rows.inspect_err(|_| drop(std::fs::remove_file(&partial)))?;
        std::fs::rename(&partial, file).map_err(broken)?;
        Ok(rows)
    }

    /// Fills this empty database from a dump of either database, wholly or not at all. Returns the number of rows.
    ///
    /// # Errors
    /// [`Fault::Conflict`] when the database is not empty; [`Fault::Corrupt`] when the file is no whole dump, or was
    /// made by a newer version.
    pub async fn load_dump(&self, file: &Path) -> Result<u64, Fault> {
        self.fill(file, None).await
    }

    /// As [`Store::load_dump`], for a dump that others went on after: what they may have used up meanwhile is used up
    /// here too, so sessions, open invites and password resets are gone. The audit says when it was done.
    ///
    /// # Errors
    /// As [`Store::load_dump`].
    pub async fn restore_dump(&self, file: &Path, now: Timestamp) -> Result<u64, Fault> {
        self.fill(file, Some(now)).await
    }

    async fn fill(&self, file: &Path, restored: Option<Timestamp>) -> Result<u64, Fault> {
        let file = file.to_owned();
        self.write(Scope::System, move |c| {
            let rows = read(c, &file)?;
            // The dump brought its own.
            *c.head = journal::HeadCache::default();
            if let Some(now) = restored {
                fence(c, now)?;
            }
            *c.touched.of(None) = crate::Committed::all();
            Ok(rows)
        })
        .await
    }
}

/// Ends what a replay could use a second time.
fn fence(c: &mut Conn<'_>, now: Timestamp) -> JobResult<()> {
    use diesel::connection::SimpleConnection as _;
    let known = tables::in_order(c)?;
    for (table, sql) in [
        ("sessions", "DELETE FROM sessions"),
        ("invites", "DELETE FROM invites WHERE uses < max_uses"),
        ("password_resets", "DELETE FROM password_resets"),
        ("idempotency", "DELETE FROM idempotency"),
    ] {
        if known.iter().any(|there| there.name == table) {
            query!(c => c.batch_execute(sql))?;
        }
    }
    void_tokens(c, now)?;
    let restored = documents::find(c, "", "restored")?;
    let body = serde_json::json!({ "at": now.to_rfc3339() }).to_string();
    documents::put(
        c,
        "",
        "restored",
        restored.map(|document| document.version),
        &body,
    )?;
    let entry = AuditEntry {
        app_id: None,
        at: now,
        actor: Actor::System,
        action: "database.restored".to_owned(),
        target: String::new(),
        data: serde_json::json!({}),
    };
    journal::write(
        c,
        &Journal {
            audit: vec![entry],
            ..Journal::default()
        },
    )
}

/// Tokens and links of before are over: what was revoked or used up meanwhile is forgotten, so none can be trusted.
fn void_tokens(c: &mut Conn<'_>, now: Timestamp) -> JobResult<()> {
    use diesel::connection::SimpleConnection as _;
    let millis = now.millis();
    let postgres = matches!(c.db, crate::conn::Db::Postgres(_));
    for (table, member, only) in [
        ("users", "tokens_after", ""),
        ("credentials", "tokens_after", ""),
        ("settings", "links_after", " WHERE key = 'portal'"),
    ] {
        let body = if postgres {
            format!("jsonb_set(body::jsonb, '{{{member}}}', to_jsonb({millis}::bigint))::text")
        } else {
            format!("json_set(body, '$.{member}', {millis})")
        };
        query!(c => c.batch_execute(&format!("UPDATE {table} SET body = {body}{only}")))?;
    }
    // Proxies that went on running have heard of more changes than the backup knows: numbers go on far behind those.
    let mut sql = "UPDATE apps SET last_note = last_note + 1000000000;".to_owned();
    for (kind, table) in [("user", "users"), ("client", "credentials")] {
        sql.push_str(&format!(
            "INSERT INTO change_notes (app_id, kind, subject, seq, at) \
             SELECT s.app_id, '{kind}', s.id, a.last_note + ROW_NUMBER() OVER (PARTITION BY s.app_id ORDER BY s.id), \
             {millis} FROM {table} s JOIN apps a ON a.app_id = s.app_id WHERE true \
             ON CONFLICT (app_id, kind, subject) DO UPDATE SET seq = excluded.seq, at = excluded.at; \
             UPDATE apps SET last_note = (SELECT MAX(n.seq) FROM change_notes n WHERE n.app_id = apps.app_id) \
             WHERE EXISTS (SELECT 1 FROM {table} s WHERE s.app_id = apps.app_id);"
        ));
    }
    query!(c => c.batch_execute(&sql))?;
    Ok(())
}

fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn write(c: &mut Conn<'_>, file: &Path) -> JobResult<u64> {
    // In memory the writer reads too: what it hands on is not in the table yet.
    if let Db::Sqlite(conn) = &mut c.db {
        journal::flush(conn, c.head)?;
    }
    let tables = tables::in_order(c)?;
    let mut out = BufWriter::new(create(file).map_err(broken)?);
    let names = tables.iter().map(|table| table.name.clone()).collect();
    line(
        &mut out,
        &Header {
            format: FORMAT.to_owned(),
            tables: names,
        },
    )?;
    let mut rows = 0;
    for table in &tables {
        tables::each_row(c, table, &mut |row| {
            rows += 1;
            line(
                &mut out,
                &Line {
                    t: table.name.clone(),
                    r: row,
                },
            )
        })?;
    }
    line(&mut out, &Footer { rows })?;
    let file = out.into_inner().map_err(broken)?;
    file.sync_all().map_err(broken)?;
    Ok(rows)
}

fn line(out: &mut impl Write, value: &impl Serialize) -> JobResult<()> {
    let text = serde_json::to_string(value)?;
    writeln!(out, "{text}").map_err(broken)?;
    Ok(())
}

fn read(c: &mut Conn<'_>, file: &Path) -> JobResult<u64> {
    use diesel::prelude::*;
    let known = tables::in_order(c)?;
    let used: i64 = query!(c => audit::table.count().get_result(c))?;
    if used != 0 || journal::head(c)?.audit_seq != 0 {
        return Err(Fault::Conflict.into());
    }
    tables::empty(c, &known)?;
    let damaged = |what: &str| Fault::Corrupt(format!("`{}` {what}", file.display()));
    let mut lines = BufReader::new(File::open(file).map_err(broken)?).lines();
    let first = lines
        .next()
        .transpose()
        .map_err(broken)?
        .unwrap_or_default();
    let header: Header =
        serde_json::from_str(&first).map_err(|_| damaged("is no dump of Heimdall"))?;
    if header.format != FORMAT {
        return Err(damaged("is a dump of another version").into());
    }
    if let Some(name) = header
        .tables
        .iter()
        .find(|name| known.iter().all(|table| table.name != **name))
    {
        return Err(damaged(&format!(
            "was made by a newer version: it has a table `{name}`"
        ))
        .into());
    }
    let mut waiting = tables::Chunk::default();
    for (rows, text) in (0u64..).zip(lines) {
        let text = text.map_err(broken)?;
        if let Ok(footer) = serde_json::from_str::<Footer>(&text) {
            waiting.store(c, &known)?;
            tables::renumber(c)?;
            return if footer.rows == rows {
                Ok(rows)
            } else {
                Err(damaged("lacks rows").into())
            };
        }
        let line: Line<'_> =
            serde_json::from_str(&text).map_err(|_| damaged("holds a line that is no row"))?;
        if waiting.table != line.t || waiting.rows.len() >= CHUNK {
            waiting.store(c, &known)?;
            waiting.table = line.t;
        }
        waiting.rows.push(line.r.get().to_owned());
    }
    Err(damaged("was cut short").into())
}
