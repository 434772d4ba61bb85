//! Both folders of migrations and `src/store/schema.rs` describe the same tables.

use crate::{
    on_both,
    support::{
        database::{Kind, TestDatabase},
        facts::{self, Column},
    },
};
use diesel::{Connection as _, PgConnection, SqliteConnection};
use diesel_migrations::FileBasedMigrations;
use roster::store::{Conn, Error, Target};

/// What `schema.rs` says: tables by name, columns in its order, kinds in its words.
fn declared() -> Vec<Column> {
    let text = include_str!("../../src/store/schema.rs");
    let text = text.split("diesel::allow_tables").next().unwrap_or(text);
    let mut columns = Vec::new();
    for table in text.split("diesel::table!").skip(1) {
        let head = table
            .lines()
            .map(str::trim)
            .find(|line| line.ends_with(") {"))
            .expect("a table");
        let (name, keys) = head
            .trim_end_matches(") {")
            .split_once(" (")
            .expect("a primary key");
        let keys: Vec<&str> = keys.split(", ").collect();
        for line in table.lines() {
            let Some((column, kind)) = line.trim().trim_end_matches(',').split_once(" -> ") else {
                continue;
            };
            let inner = kind
                .strip_prefix("Nullable<")
                .and_then(|kind| kind.strip_suffix('>'));
            let key = keys.iter().position(|key| *key == column);
            columns.push(Column {
                table: name.to_owned(),
                name: column.to_owned(),
                kind: inner.unwrap_or(kind).to_owned(),
                nullable: inner.is_some(),
                key: key.map_or(0, |at| i32::try_from(at).expect("few keys") + 1),
            });
        }
    }
    columns.sort_by(|a, b| a.table.cmp(&b.table));
    columns
}

/// How a kind of `schema.rs` is spelled by a database.
fn spelled(kind: Kind, column: &Column) -> String {
    let (sqlite, postgres) = match column.kind.as_str() {
        "DbUuid" => ("BLOB", "uuid"),
        "Binary" => ("BLOB", "bytea"),
        "DbTime" => ("INTEGER", "timestamp with time zone"),
        "Integer" => ("INTEGER", "integer"),
        "Bool" => ("INTEGER", "boolean"),
        "Text" => ("TEXT", "text"),
        other => panic!(
            "{}.{}: say here how databases spell {other}",
            column.table, column.name
        ),
    };
    match kind {
        Kind::Sqlite => sqlite.to_owned(),
        Kind::Postgres => postgres.to_owned(),
    }
}

/// Our indexes, by name: table, unique or not, and columns.
fn indexes(conn: &mut Conn) -> Result<Vec<String>, Error> {
    let query = match conn {
        Conn::Sqlite(_) => {
            "SELECT m.tbl_name || ' ' || l.name || ' ' || l.\"unique\" || ' ' || l.partial || ' ' || \
             (SELECT group_concat(i.name, ',') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno) i) AS line \
             FROM sqlite_master m JOIN pragma_index_list(m.name) l WHERE m.type = 'table' AND l.origin = 'c' ORDER BY 1"
        }
        Conn::Postgres(_) => {
            "SELECT t.relname || ' ' || i.relname || ' ' || x.indisunique::int || ' ' || (x.indpred IS NOT NULL)::int || ' ' || \
             (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(x.indkey::int[]) WITH ORDINALITY k (number, place) \
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number) AS line \
             FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
             JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = current_schema() \
             AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid) ORDER BY 1"
        }
    };
    let mut found = facts::lines(conn, query)?;
    found.sort();
    Ok(found)
}

/// Takes every migration back, and, if so wished, makes them all again.
fn down(database: &TestDatabase, and_up: bool) {
    fn run<C: diesel_migrations::MigrationHarness<B>, B: diesel::backend::Backend>(
        conn: &mut C,
        folder: &str,
        and_up: bool,
    ) where
        FileBasedMigrations: diesel::migration::MigrationSource<B>,
    {
        let migrations = || FileBasedMigrations::from_path(folder).expect("migrations");
        let back = conn
            .revert_all_migrations(migrations())
            .expect("down")
            .len();
        assert!(back > 0);
        if and_up {
            let again = conn
                .run_pending_migrations(migrations())
                .expect("up again")
                .len();
            assert_eq!(again, back);
        }
    }
    match &database.target {
        Target::Sqlite(path) => {
            let mut conn = SqliteConnection::establish(path.to_str().expect("a path"));
            let conn = conn.as_mut().expect("the database opens");
            run(conn, "migrations/sqlite", and_up);
        }
        Target::Postgres(url) => {
            let mut conn = PgConnection::establish(url);
            let conn = conn.as_mut().expect("the database opens");
            run(conn, "migrations/postgres", and_up);
        }
    }
}

on_both! {
    /// Tables, columns, their order, kinds, nullability and primary keys.
    fn the_tables_are_as_declared(kind) {
        let expected: Vec<Column> = declared().into_iter().map(|column| Column { kind: spelled(kind, &column), ..column }).collect();
        assert!(expected.len() > 40, "{expected:?}");
        let database = TestDatabase::new(kind);
        let found = facts::ask(&database.open(), facts::columns);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "the database, and src/store/schema.rs");
        }
        assert_eq!(found.len(), expected.len(), "columns that one of the two lacks");
    }

    /// The same indexes on both, by name: an index that one database lacks shows up as a slow page on that one only.
    fn both_have_the_same_indexes(kind) {
        let (mine, other) = (TestDatabase::new(kind), TestDatabase::new(if kind == Kind::Sqlite { Kind::Postgres } else { Kind::Sqlite }));
        let [mine, other] = [mine, other].map(|database| facts::ask(&database.open(), indexes));
        assert!(mine.len() > 10, "{mine:?}");
        assert_eq!(mine, other);
    }

    /// Down leaves nothing behind, and up again makes the same tables.
    fn down_and_up_again(kind) {
        let database = TestDatabase::new(kind);
        let db = database.open();
        let before = (facts::ask(&db, facts::columns), facts::ask(&db, indexes));
        down(&database, false);
        assert_eq!(facts::ask(&db, facts::columns), []);
        assert_eq!(facts::ask(&db, indexes), Vec::<String>::new());
        assert!(db.migrate().expect("up again") > 0);
        down(&database, true);
        assert_eq!((facts::ask(&db, facts::columns), facts::ask(&db, indexes)), before);
        assert_eq!(db.migrate(), Ok(0));
    }
}
