//! The database as it is, behind the program's back: its columns, all its rows as text, and counts.

use diesel::{
    QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Bool, Integer, Text},
};
use roster::store::{Conn, Db, Error};

/// A column as the database describes it.
#[derive(Clone, PartialEq, Eq, Debug, QueryableByName)]
pub struct Column {
    #[diesel(sql_type = Text)]
    pub table: String,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = Bool)]
    pub nullable: bool,
    /// Its place in the primary key, from 1; 0 outside it.
    #[diesel(sql_type = Integer)]
    pub key: i32,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Asks the database of a test.
pub fn ask<T: Send + 'static>(
    db: &Db,
    question: impl FnMut(&mut Conn) -> Result<T, Error> + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(db.read(question))
        .expect("the database answers")
}

/// The answer of a query that calls its only column `count`.
pub fn count(db: &Db, query: &str) -> i64 {
    let query = query.to_owned();
    ask(db, move |conn| {
        let answer: Count = sql_query(query.as_str()).get_result(conn)?;
        Ok(answer.count)
    })
}

/// The lines of a query that calls its only column `line`.
pub fn lines(conn: &mut Conn, query: &str) -> Result<Vec<String>, Error> {
    let found: Vec<Line> = sql_query(query).load(conn)?;
    Ok(found.into_iter().map(|row| row.line).collect())
}

/// Every column of ours, by table, in the order of the table.
pub fn columns(conn: &mut Conn) -> Result<Vec<Column>, Error> {
    let query = match conn {
        Conn::Sqlite(_) => {
            "SELECT m.name AS \"table\", p.name AS name, p.type AS kind, p.\"notnull\" = 0 AS nullable, p.pk AS key \
             FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' \
             AND substr(m.name, 1, 2) <> '__' AND substr(m.name, 1, 7) <> 'sqlite_' ORDER BY m.name, p.cid"
        }
        Conn::Postgres(_) => {
            // The catalogue itself: information_schema takes a hundred times as long, and some tests ask for every request.
            "SELECT c.relname::text AS \"table\", a.attname::text AS name, format_type(a.atttypid, NULL) AS kind, \
             NOT a.attnotnull AS nullable, coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0)::int AS key \
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
             WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' \
             AND substr(c.relname, 1, 2) <> '__' ORDER BY c.relname COLLATE \"C\", a.attnum"
        }
    };
    Ok(sql_query(query).load(conn)?)
}

/// Every row of every table as a line of text, sorted: bytes in hexadecimal, everything else as it is.
pub fn dump(db: &Db) -> String {
    dump_of(db, |_| true)
}

/// What people would call a change: everything but sessions, counters and when somebody was last seen.
pub fn facts(db: &Db) -> String {
    dump_of(db, |column| {
        column.table != "sessions" && column.table != "quotas" && column.name != "last_active_at"
    })
}

fn dump_of(db: &Db, wanted: impl Fn(&Column) -> bool + Send + 'static) -> String {
    ask(db, move |conn| {
        let all: Vec<Column> = columns(conn)?.into_iter().filter(|it| wanted(it)).collect();
        let mut out = String::new();
        for table in all.chunk_by(|a, b| a.table == b.table) {
            let name = &table[0].table;
            let texts: Vec<String> = table.iter().map(as_text).collect();
            let query = format!(
                "SELECT {} AS line FROM {name} ORDER BY 1",
                texts.join(" || ' | ' || ")
            );
            for line in lines(conn, &query)? {
                out.push_str(&format!("{name}: {line}\n"));
            }
        }
        Ok(out)
    })
}

fn as_text(column: &Column) -> String {
    let name = format!("\"{}\"", column.name);
    let text = match column.kind.as_str() {
        "BLOB" => format!("lower(hex({name}))"),
        "bytea" => format!("encode({name}, 'hex')"),
        _ => format!("CAST({name} AS TEXT)"),
    };
    format!("coalesce({text}, '-')")
}
