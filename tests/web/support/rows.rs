//! Rows: what tests look at, or break, behind the back of the pages.

use super::team::Team;
use diesel::{
    QueryableByName, RunQueryDsl as _, sql_query,
    sql_types::{BigInt, Text},
};
use roster::store::{Error, Target};
use std::sync::atomic::Ordering;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    value: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    value: String,
}

/// Every table that a test may change.
pub const TABLES: [&str; 14] = [
    "accounts",
    "organizations",
    "memberships",
    "membership_words",
    "sessions",
    "invitations",
    "deliveries",
    "audit_events",
    "quotas",
    "avatars",
    "proofs",
    "notifications",
    "muted_letters",
    "consents",
];

/// What looking may change: the columns of *last active*.
pub const ACTIVITY: [&str; 2] = ["last_seen_at", "last_active_at"];

impl Team {
    pub fn on_postgres(&self) -> bool {
        matches!(self.database.target, Target::Postgres(_))
    }

    /// Runs a statement that no page of ours would.
    pub fn sql(&self, statement: &str) {
        let statement = statement.to_owned();
        if statement.contains("memberships") {
            self.database.by_hand.store(true, Ordering::Relaxed);
        }
        let done = block_on(
            self.db
                .write(move |conn| Ok::<_, Error>(sql_query(&statement).execute(conn)?)),
        );
        done.expect("the statement runs");
    }

    /// The one number a query answers, called `value`.
    pub fn number(&self, query: &str) -> i64 {
        let query = query.to_owned();
        let found: Result<Number, Error> = block_on(
            self.db
                .read(move |conn| Ok(sql_query(&query).get_result(conn)?)),
        );
        found.expect("the query answers").value
    }

    /// The one instant that `column` of `rows` holds, in microseconds.
    pub fn moment(&self, column: &str, rows: &str) -> i64 {
        let column = if self.on_postgres() {
            format!("CAST(extract(epoch FROM {column}) * 1000000 AS BIGINT)")
        } else {
            column.to_owned()
        };
        self.number(&format!("SELECT {column} AS value FROM {rows}"))
    }

    /// How many rows there are: `invitations WHERE state = 'pending'`.
    pub fn count(&self, rows: &str) -> i64 {
        self.number(&format!("SELECT count(*) AS value FROM {rows}"))
    }

    /// The id of the account with this address, as addresses of pages spell it.
    pub fn account_id(&self, email: &str) -> String {
        let id = if self.on_postgres() {
            "id::text"
        } else {
            "lower(hex(id))"
        };
        let lines = self.lines(format!(
            "SELECT {id} AS value FROM accounts WHERE email_key = '{email}'"
        ));
        let id = lines
            .first()
            .unwrap_or_else(|| panic!("no account {email}"));
        id.parse::<uuid::Uuid>().expect("an id").to_string()
    }

    /// The id of the newest session of this address.
    pub fn session_id(&self, email: &str) -> String {
        let id = if self.on_postgres() {
            "s.id::text"
        } else {
            "lower(hex(s.id))"
        };
        let lines = self.lines(format!(
            "SELECT {id} AS value FROM sessions s JOIN accounts a ON a.id = s.account_id \
             WHERE a.email_key = '{email}' ORDER BY s.created_at DESC LIMIT 1"
        ));
        let id = lines
            .first()
            .unwrap_or_else(|| panic!("{email} is not signed in"));
        id.parse::<uuid::Uuid>().expect("an id").to_string()
    }

    pub fn lines(&self, query: String) -> Vec<String> {
        let found: Result<Vec<Line>, Error> = block_on(
            self.db
                .read(move |conn| Ok(sql_query(&query).get_results(conn)?)),
        );
        let found = found.expect("the query answers");
        found.into_iter().map(|line| line.value).collect()
    }

    /// Every row of every table as text, without the columns that are named.
    pub fn dump(&self, without: &[&str]) -> Vec<String> {
        let mut all = Vec::new();
        for table in TABLES {
            let columns = if self.on_postgres() {
                format!(
                    "SELECT attname::text AS value FROM pg_attribute \
                     WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
                )
            } else {
                format!("SELECT name AS value FROM pragma_table_info('{table}') ORDER BY cid")
            };
            let columns = self.lines(columns);
            assert!(!columns.is_empty(), "there is no table {table}");
            let shown: Vec<String> = columns
                .into_iter()
                .filter(|column| !without.contains(&column.as_str()))
                .map(|column| {
                    if self.on_postgres() {
                        format!("coalesce({column}::text, '-')")
                    } else {
                        format!("quote({column})")
                    }
                })
                .collect();
            let row = shown.join(" || '|' || ");
            let rows = self.lines(format!("SELECT {row} AS value FROM {table} ORDER BY 1"));
            all.extend(rows.into_iter().map(|row| format!("{table}: {row}")));
        }
        all
    }

    /// The clock, as columns hold it.
    pub fn now(&self) -> i64 {
        roster::domain::time::Timestamp::from(self.clock.now()).micros()
    }

    /// *Last active* is noted after the answer: waits until it is, or fails.
    pub fn wait_until_noted(&self, rows: &str) {
        for _ in 0..500 {
            if self.count(rows) > 0 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("never noted: {rows}");
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}
