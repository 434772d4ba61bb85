//! Every statement a database is really asked, and how it would answer each: which index, in which order.

use super::facts;
use diesel::{
    QueryableByName, RunQueryDsl as _,
    connection::{
        Instrumentation, InstrumentationEvent, SimpleConnection as _, set_default_instrumentation,
    },
    sql_query,
    sql_types::Text,
};
use roster::store::{Conn, Db, Error, Target};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What the databases that are watched were asked, by the address a connection is opened with.
static WATCHED: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

fn watched() -> MutexGuard<'static, BTreeMap<String, Vec<String>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down what one connection is asked, if its database is watched.
#[derive(Default)]
struct Recorder {
    /// As it stands in [`WATCHED`].
    url: Option<String>,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                let watched = watched();
                // Roster adds settings to the address of a PostgreSQL: `t_1_3` is not the beginning of `t_1_30`.
                let known = watched.keys().find(|known| {
                    url.strip_prefix(known.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('&'))
                });
                self.url = known.cloned();
            }
            InstrumentationEvent::StartQuery { query, .. } => {
                if let Some(url) = &self.url {
                    let text = query.to_string();
                    let sql = text.split(" -- binds:").next().unwrap_or_default();
                    if let Some(asked) = watched().get_mut(url) {
                        asked.push(sql.to_owned());
                    }
                }
            }
            _ => {}
        }
    }
}

/// The statements of one database. Watching begins before the database is opened, and ends when this is dropped.
pub struct Statements {
    url: String,
}

impl Statements {
    /// Watches the database with this address.
    pub fn of(target: &Target) -> Self {
        let url = match target {
            Target::Sqlite(path) => path.display().to_string(),
            Target::Postgres(url) => url.clone(),
        };
        watched().insert(url.clone(), Vec::new());
        // Other tests' connections record nothing: their databases are not in the list.
        set_default_instrumentation(|| Some(Box::new(Recorder::default())))
            .expect("nobody holds the lock");
        Self { url }
    }

    /// What was asked since the last time.
    pub fn take(&self) -> Vec<String> {
        watched()
            .get_mut(&self.url)
            .map(std::mem::take)
            .unwrap_or_default()
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        watched().remove(&self.url);
    }
}

#[derive(QueryableByName)]
struct Detail {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

/// How the database would answer a statement, one step a line, whatever the values are.
///
/// PostgreSQL is told that reading a whole table or sorting costs a fortune, so that the answer hangs on the indexes
/// alone, not on how many rows a test has: what it still reads whole or sorts, no index can serve.
pub fn plan(db: &Db, sql: &str) -> Vec<String> {
    let sql = sql.to_owned();
    facts::ask(db, move |conn| match conn {
        Conn::Sqlite(_) => {
            let steps: Vec<Detail> = sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn)?;
            Ok(steps.into_iter().map(|step| step.detail).collect())
        }
        Conn::Postgres(_) => on_postgres(conn, &sql, DEAR),
    })
}

/// How PostgreSQL answers a statement with the rows that there are, whatever the values are.
pub fn plan_as_it_is(db: &Db, sql: &str) -> Vec<String> {
    let sql = sql.to_owned();
    facts::ask(db, move |conn| on_postgres(conn, &sql, ""))
}

/// Reading a whole table and sorting cost a fortune.
const DEAR: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;";

fn on_postgres(conn: &mut Conn, sql: &str, settings: &str) -> Result<Vec<String>, Error> {
    let highest = sql
        .split('$')
        .skip(1)
        .filter_map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            rest[..end].parse::<usize>().ok()
        })
        .max()
        .unwrap_or(0);
    let values = if highest == 0 {
        String::new()
    } else {
        format!("({})", vec!["NULL"; highest].join(", "))
    };
    conn.batch_execute(&format!(
        "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL jit = off; {settings} \
         PREPARE looked_at AS {sql}"
    ))?;
    let lines: Vec<Plan> =
        sql_query(format!("EXPLAIN (COSTS OFF) EXECUTE looked_at{values}")).load(conn)?;
    conn.batch_execute("ROLLBACK; DEALLOCATE looked_at")?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

/// A statement as people read it: without quotes and the list of columns, and of several values only one.
pub fn readable(sql: &str) -> String {
    let plain: String = sql.chars().filter(|c| !matches!(c, '`' | '"')).collect();
    let plain = without_columns(&plain);
    // $1, $2 … as SQLite has them.
    let mut out = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        out.push('?');
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    while out.contains("?, ?") {
        out = out.replace("?, ?", "?");
    }
    out.trim().to_owned()
}

/// Which columns are read changes no plan here: `SELECT … FROM`. A part in brackets keeps its own.
fn without_columns(sql: &str) -> String {
    match (sql.strip_prefix("SELECT "), sql.find(" FROM ")) {
        (Some(_), Some(from)) if !sql[..from].contains('(') => {
            format!("SELECT … {}", &sql[from + 1..])
        }
        _ => sql.to_owned(),
    }
}
