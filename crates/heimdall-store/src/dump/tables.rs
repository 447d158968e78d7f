use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use heimdall_types::Fault;
use serde_json::value::RawValue;

use crate::conn::{Conn, Db, JobResult, query};

/// A table and what it must stand behind.
pub(super) struct Table {
    pub(super) name: String,
    columns: Vec<Column>,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Bool)]
    bytes: bool,
    #[diesel(sql_type = Bool)]
    truth: bool,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Needs {
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = Text)]
    parent: String,
}

#[derive(QueryableByName)]
struct Json {
    #[diesel(sql_type = Text)]
    row: String,
}

const SQLITE_TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
     AND name <> '__diesel_schema_migrations' ORDER BY name";
const SQLITE_NEEDS: &str = "SELECT m.name AS child, f.\"table\" AS parent FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
     WHERE m.type = 'table'";
const SQLITE_COLUMNS: &str = "SELECT name, upper(type) = 'BLOB' AS bytes, upper(type) = 'BOOLEAN' AS truth \
     FROM pragma_table_info(?) ORDER BY cid";
const POSTGRES_TABLES: &str = "SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' \
     AND relnamespace = current_schema()::regnamespace AND relname <> '__diesel_schema_migrations' ORDER BY 1";
const POSTGRES_NEEDS: &str = "SELECT c.relname::text AS child, p.relname::text AS parent FROM pg_constraint k \
     JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid \
     WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace";
const POSTGRES_COLUMNS: &str = "SELECT attname::text AS name, atttypid = 'bytea'::regtype AS bytes, \
     atttypid = 'bool'::regtype AS truth FROM pg_attribute \
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// All tables, each behind those it refers to.
pub(super) fn in_order(c: &mut Conn<'_>) -> JobResult<Vec<Table>> {
    let postgres = matches!(c.db, Db::Postgres(_));
    let pick = |sqlite, pg| if postgres { pg } else { sqlite };
    let names: Vec<Name> =
        query!(c => diesel::sql_query(pick(SQLITE_TABLES, POSTGRES_TABLES)).load(c))?;
    let needs: Vec<Needs> =
        query!(c => diesel::sql_query(pick(SQLITE_NEEDS, POSTGRES_NEEDS)).load(c))?;
    let mut left: Vec<String> = names.into_iter().map(|row| row.name).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        let free = |name: &String| {
            !needs
                .iter()
                .any(|n| n.child == *name && n.parent != *name && left.contains(&n.parent))
        };
        let (now, later): (Vec<_>, Vec<_>) = left.iter().cloned().partition(free);
        if now.is_empty() {
            return Err(Fault::Corrupt("tables refer to each other in a circle".to_owned()).into());
        }
        order.extend(now);
        left = later;
    }
    let columns = pick(SQLITE_COLUMNS, POSTGRES_COLUMNS);
    order
        .into_iter()
        .map(|name| {
            let columns = query!(c => diesel::sql_query(columns).bind::<Text, _>(&name).load(c))?;
            Ok(Table { name, columns })
        })
        .collect()
}

/// A name as SQL has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Hands over each row as one JSON object; bytes are written `\x…` as PostgreSQL does.
pub(super) fn each_row(
    c: &mut Conn<'_>,
    table: &Table,
    each: &mut dyn FnMut(&RawValue) -> JobResult<()>,
) -> JobResult<()> {
    let name = quoted(&table.name);
    let sql = match &mut c.db {
        Db::Sqlite(_) => {
            let members: Vec<String> = table.columns.iter().map(to_json).collect();
            format!(
                "SELECT json_object({}) AS \"row\" FROM {name}",
                members.join(", ")
            )
        }
        Db::Postgres(c) => {
            c.batch_execute("SET LOCAL statement_timeout = 0")?;
            format!("SELECT row_to_json(t)::text AS \"row\" FROM {name} t")
        }
    };
    // One row at a time: a table may be larger than the memory.
    query!(c => {
        for row in diesel::sql_query(&sql).load_iter::<Json, DefaultLoadingMode>(c)? {
            each(serde_json::from_str(&row?.row)?)?;
        }
    });
    Ok(())
}

fn to_json(column: &Column) -> String {
    let (key, name) = (literal(&column.name), quoted(&column.name));
    let value = match (column.bytes, column.truth) {
        (true, _) => {
            format!("CASE WHEN {name} IS NULL THEN NULL ELSE '\\x' || lower(hex({name})) END")
        }
        (_, true) => {
            format!("json(CASE {name} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE 'null' END)")
        }
        _ => name,
    };
    format!("{key}, {value}")
}

/// Takes out what migrations put in: the dump brings its own.
pub(super) fn empty(c: &mut Conn<'_>, tables: &[Table]) -> JobResult<()> {
    for table in tables.iter().rev().filter(|table| table.name != "audit") {
        let sql = format!("DELETE FROM {}", quoted(&table.name));
        query!(c => c.batch_execute(&sql))?;
    }
    Ok(())
}

/// Rows of one table that go in together.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) table: String,
    pub(super) rows: Vec<String>,
}

impl Chunk {
    pub(super) fn store(&mut self, c: &mut Conn<'_>, known: &[Table]) -> JobResult<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let table = known.iter().find(|table| table.name == self.table);
        let table =
            table.ok_or_else(|| Fault::Corrupt(format!("there is no table `{}`", self.table)))?;
        let rows = format!("[{}]", self.rows.join(","));
        self.rows.clear();
        let name = quoted(&table.name);
        let sql = match &c.db {
            Db::Sqlite(_) => {
                let columns: Vec<String> = table
                    .columns
                    .iter()
                    .map(|column| quoted(&column.name))
                    .collect();
                let values: Vec<String> = table.columns.iter().map(from_json).collect();
                let (columns, values) = (columns.join(", "), values.join(", "));
                format!("INSERT INTO {name} ({columns}) SELECT {values} FROM json_each(?)")
            }
            Db::Postgres(_) => {
                format!(
                    "INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, $1::text::json)"
                )
            }
        };
        query!(c => diesel::sql_query(&sql).bind::<Text, _>(&rows).execute(c))?;
        Ok(())
    }
}

fn from_json(column: &Column) -> String {
    let value = format!(
        "json_extract(value, {})",
        literal(&format!("$.\"{}\"", column.name))
    );
    if column.bytes {
        format!("unhex(substr({value}, 3))")
    } else {
        value
    }
}

/// PostgreSQL counts on behind the rows that came with their numbers; SQLite does so by itself.
pub(super) fn renumber(c: &mut Conn<'_>) -> JobResult<()> {
    if let Db::Postgres(c) = &mut c.db {
        for table in ["audit", "feed"] {
            c.batch_execute(&format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'ord'), (SELECT coalesce(max(ord), 0) + 1 FROM {table}), false)"
            ))?;
        }
    }
    Ok(())
}
