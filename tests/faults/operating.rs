//! What operators do, and what they find in the morning: a look at the database, backup and restore, a newer program's
//! tables, files that are damaged, locked or cannot be written.

use crate::{
    on_both,
    profile::report,
    support::{
        checker,
        database::{Kind, TestDatabase},
        facts,
        mailing::{copies, row, until},
        process::{Roster, Said, ask},
        smtp::{Act, Phase, SmtpServer},
    },
};
use diesel::{
    Connection as _, PgConnection, RunQueryDsl as _, SqliteConnection,
    connection::SimpleConnection as _, sql_query,
};
use roster::store::{Db, Error, Options, Target};
use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};

const NOOR: &str = "noor@example.test";
const NEWER: &str = "20991231000000";
const KEYS: [&str; 2] = [
    "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
    "f0112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f",
];

/// Changes rows behind the program's back.
fn change(db: &Db, statement: &str) {
    let statement = statement.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(db.write(move |conn| Ok::<_, Error>(sql_query(&statement).execute(conn)?)))
        .expect("the statement runs");
}

/// Status 1, one line on standard error that begins like this, and nothing else.
fn fails_with(said: &Said, words: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.starts_with("roster: ") && said.err.contains(words),
        "{words}: {said:?}"
    );
    assert_eq!(said.err.trim_end().lines().count(), 1, "{said:?}");
    assert!(said.out.is_empty(), "{said:?}");
}

/// An SQLite Roster in a folder, with Olivia's Acme in it, stopped.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self {
            folder: tempdir().expect("a folder"),
        };
        let roster = Roster::start(home.path(), &[]);
        roster.olivia().invite(NOOR, "member");
        roster.stop();
        // All of it in the one file: what is damaged below is then in use.
        let mut conn = home.connect();
        conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)")
            .expect("checkpointed");
        drop(conn);
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn database(&self) -> PathBuf {
        self.path().join("data/roster.db")
    }

    fn ask(&self, args: &[&str]) -> Said {
        ask(self.path(), &[("LISTEN", "127.0.0.1:0")], args)
    }

    /// A backup of it as it is.
    fn backup(self) -> Self {
        let said = self.ask(&["backup", "copy.db"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        self
    }

    fn connect(&self) -> SqliteConnection {
        SqliteConnection::establish(self.database().to_str().expect("a path")).expect("it opens")
    }

    /// Every file in the data folder by name, whole.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = fs::read_dir(self.path().join("data"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| {
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                (name, fs::read(&path).unwrap_or_default())
            })
            .collect();
        all.sort();
        all
    }
}

/// The first connection is asked whether the tables are up to date; it says no where they could not be written to.
#[test]
fn a_postgres_that_takes_no_changes_is_noticed_at_the_start() {
    let database = TestDatabase::new(Kind::Postgres);
    drop(database.open());
    let url = format!("{}%20-cdefault_transaction_read_only%3Don", database.url());
    let options = Options {
        target: Target::Postgres(url),
        connections: 1,
        synchronous_full: true,
    };
    let db = Db::open(&options).expect("it can be read");
    let error = db.migrate().expect_err("refused");
    assert!(error.to_string().contains("read-only"), "{error}");
}

on_both! {
    /// The doctor looks at a database in use, says what there is, and finds what was broken, with an id to look up.
    fn the_doctor_finds_what_is_wrong_and_changes_nothing(kind) {
        let (folder, database) = (tempdir().expect("a folder"), TestDatabase::new(kind));
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("SECRET_KEY", KEYS[0])];
        let roster = Roster::start(folder.path(), &settings);
        roster.olivia().invite(NOOR, "member");
        let db = database.open();
        let before = facts::dump(&db);
        let well = ask(folder.path(), &settings, &["doctor"]);
        assert_eq!(
            (well.code, well.out.as_str()),
            (Some(0), "all is well: 1 organizations, 1 members, 1 invitations, 1 letters\n"),
            "{well:?}"
        );
        // Another key, and no key at all yet.
        let keys = ask(folder.path(), &[settings[0], ("SECRET_KEY", KEYS[1])], &["doctor"]);
        assert!(keys.code == Some(1) && keys.out.contains("the links of 1 pending invitations and 0 letters"), "{keys:?}");
        assert_eq!(ask(folder.path(), &settings[..1], &["doctor"]).code, Some(0));
        assert_eq!(facts::dump(&db), before, "looking changes nothing");
        change(&db, "UPDATE invitations SET delivery_id = NULL");
        let found = ask(folder.path(), &settings, &["doctor"]);
        assert_eq!(found.code, Some(1), "{found:?}");
        let (what, rest) = found.out.split_once(": 1 (for example ").expect("a finding");
        assert!(what.starts_with("I7: an invitation whose latest letter"), "{found:?}");
        let id = rest.split(')').next().expect("an id");
        assert!(id.parse::<uuid::Uuid>().is_ok() && rest.contains("looked at 1 organizations"), "{found:?}");
        roster.stop();
    }

    /// A program leaves alone what a newer one brought up to date, and says which migration it does not know.
    fn an_old_program_refuses_newer_tables(kind) {
        let (folder, database) = (tempdir().expect("a folder"), TestDatabase::new(kind));
        let url = database.url();
        let settings = [("DATABASE_URL", url.as_str()), ("LISTEN", "127.0.0.1:0")];
        let db = database.open();
        let roster = Roster::start(folder.path(), &settings[..1]);
        assert!(roster.probe("/readyz").starts_with("HTTP/1.1 200"));
        change(&db, &format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{NEWER}')"));
        let answer = roster.probe("/readyz");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("schema degraded: newer"), "{answer}");
        assert!(roster.probe("/livez").starts_with("HTTP/1.1 200"));
        roster.kill();
        let before = facts::dump(&db);
        for command in ["serve", "migrate", "doctor"] {
            let said = ask(folder.path(), &settings, &[command]);
            fails_with(&said, &format!("brought up to date by a newer Roster (migration {NEWER})"));
        }
        if kind == Kind::Sqlite {
            fails_with(&ask(folder.path(), &settings, &["backup", "copy.db"]), NEWER);
            assert!(!folder.path().join("copy.db").exists());
        }
        assert_eq!(facts::dump(&db), before);
    }

    /// Also when the newer one brings them up to date while this one waits for its turn.
    fn who_waited_for_a_newer_program_refuses_its_tables(kind) {
        let database = TestDatabase::new(kind);
        let db = database.open();
        let (begin, end) = match kind {
            Kind::Sqlite => ("BEGIN IMMEDIATE", "COMMIT"),
            Kind::Postgres => ("SELECT pg_advisory_lock(125823003944306)", "SELECT pg_advisory_unlock(125823003944306)"),
        };
        let newer = format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{NEWER}')");
        let mut other: Box<dyn diesel::connection::SimpleConnection> = match kind {
            Kind::Sqlite => Box::new(SqliteConnection::establish(&database.url()["sqlite://".len()..]).expect("open")),
            Kind::Postgres => Box::new(PgConnection::establish(&database.url()).expect("open")),
        };
        other.batch_execute(begin).expect("the lock");
        let waiting = std::thread::spawn(move || db.migrate());
        std::thread::sleep(Duration::from_millis(500));
        assert!(!waiting.is_finished());
        // Two calls: PostgreSQL commits a call as a whole, and would give the lock away before.
        other.batch_execute(&newer).expect("brought up to date");
        other.batch_execute(end).expect("the lock is free");
        let error = waiting.join().expect("no panic").expect_err("refused");
        assert!(error.to_string().contains(NEWER), "{error}");
    }

    /// I8: what waited in a backup is not sent after it was restored, and every session has ended.
    fn a_restored_past_sends_nothing_twice(kind) {
        let (folder, database, mail) = (tempdir().expect("a folder"), TestDatabase::new(kind), SmtpServer::start());
        let (mut url, mail_url) = (database.url(), mail.url());
        if kind == Kind::Postgres {
            // Other tests have their Rosters in the same database.
            url.push_str(&format!("&application_name=restored-{}", std::process::id()));
        }
        let settings = [("DATABASE_URL", url.as_str()), ("SMTP_URL", mail_url.as_str())];
        let roster = Roster::start(folder.path(), &settings);
        let olivia = roster.olivia();
        let sent = |email| row(&database.open(), email).state == "sent";
        until("Olivia's letter is sent", || sent("olivia@example.test"));
        mail.once(Phase::Rcpt, Act::reply(451, "4.3.0 later"));
        olivia.invite(NOOR, "member");
        until("it waits", || { let row = row(&database.open(), NOOR); row.state == "queued" && row.attempts == 1 });
        if kind == Kind::Sqlite {
            let said = ask(folder.path(), &settings, &["backup", "copy.db"]);
            assert_eq!(said.code, Some(0), "{said:?}");
            roster.stop();
            let said = ask(folder.path(), &settings, &["restore", "copy.db"]);
            assert!(said.code == Some(0) && said.out.contains("1 sessions") && said.out.contains("1 letters that waited"), "{said:?}");
        } else {
            fails_with(&ask(folder.path(), &settings, &["restore"]), "other connections of Roster");
            olivia.get("/orgs/acme/settings/team/invitations").expect(200);
            // As pg_restore leaves it.
            roster.stop();
            let said = ask(folder.path(), &settings, &["restore"]);
            assert!(said.code == Some(0) && said.out.contains("1 sessions"), "{said:?}");
            fails_with(&ask(folder.path(), &settings, &["restore", "x.dump"]), "pg_restore");
            fails_with(&ask(folder.path(), &settings, &["backup", "x.dump"]), "pg_dump");
        }
        let roster = Roster::start(folder.path(), &settings);
        let olivia = olivia.at(roster.address);
        olivia.get("/orgs/acme").expect(303);
        let again = roster.visitor();
        again.sign_in("olivia@example.test").expect(303);
        again.invite("grace@example.test", "member");
        until("the new one is sent", || sent("grace@example.test"));
        let noor = row(&database.open(), NOOR);
        assert_eq!((noor.state.as_str(), copies(&mail, NOOR)), ("unknown", 0));
        assert!(noor.reason.expect("a reason").starts_with("Restored from a backup"));
        roster.stop();
        checker::check(&database.open());
    }
}

/// A backup while people invite: nobody is refused, it is whole, only its owner reads it, and it is never overwritten.
#[test]
fn a_backup_is_made_while_people_work() {
    let home = Home::new();
    let roster = Roster::start(home.path(), &[]);
    let olivia = roster.visitor();
    olivia.sign_in("olivia@example.test").expect(303);
    let mut slowest = Duration::ZERO;
    let said = std::thread::scope(|scope| {
        let backup = scope.spawn(|| home.ask(&["backup", "copy.db"]));
        for nth in 0.. {
            let start = Instant::now();
            olivia.invite(&format!("p{nth}@example.test"), "member");
            slowest = slowest.max(start.elapsed());
            if backup.is_finished() {
                break;
            }
        }
        backup.join().expect("no panic")
    });
    assert!(
        said.code == Some(0) && said.out.contains("bytes, 1 organizations, 1 members"),
        "{said:?}"
    );
    assert!(slowest.as_secs() < 5, "an invitation waited {slowest:?}");
    let copy = home.path().join("copy.db");
    let meta = fs::metadata(&copy).expect("it is there");
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    let content = fs::read(&copy).expect("read");
    fails_with(&home.ask(&["backup", "copy.db"]), "is there already");
    assert!(fs::read(&copy).expect("read") == content);
    let left: Vec<_> = fs::read_dir(home.path())
        .expect("a folder")
        .map(|it| {
            it.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.contains("part"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    roster.stop();
}

/// Restoring needs a stopped server and a sound backup of a Roster; whatever it refuses, the database stays as it was.
#[test]
fn a_restore_takes_only_what_is_right_and_keeps_what_was_there() {
    let home = Home::new();
    let said = home.ask(&["backup", "copy.db"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let roster = Roster::start(home.path(), &[]);
    fails_with(
        &home.ask(&["restore", "copy.db"]),
        "open in another program",
    );
    let olivia = roster.visitor();
    olivia.sign_in("olivia@example.test").expect(303);
    olivia.invite("later@example.test", "member");
    roster.stop();

    let before = home.files();
    let good = fs::read(home.path().join("copy.db")).expect("read");
    let torn: Vec<u8> = good
        .iter()
        .enumerate()
        .map(|(at, byte)| if at / 4096 % 3 == 2 { 0xa5 } else { *byte })
        .collect();
    for (name, content, words) in [
        ("torn.db", torn, "torn.db"),
        (
            "letter.db",
            b"this is somebody's letter\n".repeat(400),
            "letter.db",
        ),
        ("empty.db", Vec::new(), "is no Roster database"),
    ] {
        fs::write(home.path().join(name), content).expect("written");
        fails_with(&home.ask(&["restore", name]), words);
    }
    fails_with(&home.ask(&["restore", "nothing.db"]), "is not there");
    fails_with(
        &home.ask(&["restore", "data/roster.db"]),
        "is the database itself",
    );
    fails_with(&home.ask(&["restore"]), "say which backup");
    assert!(home.files() == before, "a refusal changes nothing");

    let said = home.ask(&["restore", "copy.db"]);
    assert!(
        said.code == Some(0) && said.out.contains("kept as") && said.out.contains("1 invitations"),
        "{said:?}"
    );
    let kept: Vec<_> = home
        .files()
        .into_iter()
        .filter(|(name, _)| name.contains("before-restore"))
        .collect();
    assert_eq!(kept.len(), 1, "{said:?}");
    assert_eq!(home.ask(&["doctor"]).code, Some(0));
    let roster = Roster::start(home.path(), &[]);
    let olivia = roster.visitor();
    olivia.sign_in("olivia@example.test").expect(303);
    let page = olivia.get("/orgs/acme/settings/team/invitations");
    assert!(page.body.contains(NOOR) && !page.body.contains("later@example.test"));
    roster.stop();
}

/// A log whose database was moved away belongs to that one, and is not played into the one that takes its place.
#[test]
fn a_log_without_its_database_is_set_aside() {
    let home = Home::new().backup();
    let roster = Roster::start(home.path(), &[]);
    let olivia = roster.visitor();
    olivia.sign_in("olivia@example.test").expect(303);
    olivia.invite("later@example.test", "member");
    roster.kill();
    let log = home.path().join("data/roster.db-wal");
    let content = fs::read(&log).expect("a log");
    let mut other = home.connect();
    other
        .batch_execute("SELECT count(*) FROM accounts")
        .expect("open");
    fs::rename(home.database(), home.path().join("data/away.db")).expect("moved");
    fails_with(
        &home.ask(&["restore", "copy.db"]),
        "open in another program",
    );
    assert!(!home.database().exists());
    drop(other);
    fs::write(&log, content).expect("as the kill left it");
    let said = home.ask(&["restore", "copy.db"]);
    assert!(
        said.code == Some(0) && said.out.contains("-wal"),
        "{said:?}"
    );
    let doctor = home.ask(&["doctor"]);
    assert!(
        doctor.code == Some(0) && doctor.out.contains("1 invitations"),
        "{doctor:?}"
    );
    let logs = home.files().into_iter().map(|(name, _)| name);
    let logs: Vec<_> = logs.filter(|name| name.ends_with("-wal")).collect();
    assert!(
        logs.len() == 1 && logs[0].contains("before-restore"),
        "{logs:?}"
    );
}

/// Of a file that is no database any more SQLite cannot say whether somebody has it open. Its locks can.
#[test]
fn a_damaged_database_is_replaced_only_when_nobody_has_it_open() {
    let home = Home::new().backup();
    let mut other = home.connect();
    other
        .batch_execute("SELECT count(*) FROM accounts")
        .expect("open");
    // A file that is closed here would take the locks of this process along.
    let file = File::options().write(true).open(home.database());
    let file = file.expect("the file");
    file.write_all_at(&[0xa5; 100], 0).expect("written");
    let before = file.metadata().expect("there");
    fails_with(
        &home.ask(&["restore", "copy.db"]),
        "open in another program",
    );
    let after = fs::metadata(home.database()).expect("there");
    assert_eq!(
        (after.ino(), after.mtime_nsec()),
        (before.ino(), before.mtime_nsec())
    );
    drop((other, file));
    let said = home.ask(&["restore", "copy.db"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(home.ask(&["doctor"]).code, Some(0));
    // What cannot even be asked.
    fs::remove_file(home.database()).expect("removed");
    fs::create_dir(home.database()).expect("a folder");
    fails_with(
        &home.ask(&["restore", "copy.db"]),
        "may be open in another program",
    );
}

/// Rows that do not agree are no reason to have no backup: it is made and restored, with a warning.
#[test]
fn what_the_doctor_finds_is_backed_up_too() {
    let home = Home::new();
    home.connect()
        .batch_execute("UPDATE invitations SET delivery_id = NULL")
        .expect("changed");
    for args in [["backup", "copy.db"], ["restore", "copy.db"]] {
        let said = home.ask(&args);
        assert!(
            said.code == Some(0)
                && said.out.contains("1 organizations")
                && said.out.contains("\nwarning: I7: an invitation whose"),
            "{said:?}"
        );
    }
}

/// What an earlier attempt left under the same process number, as in a container, is not in the way.
#[test]
fn what_an_earlier_backup_left_is_not_in_the_way() {
    let home = Home::new();
    let script = "touch copy.db.part-$$ && exec \"$0\" backup copy.db";
    let ended = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_roster")])
        .env_clear()
        .current_dir(home.path())
        .output();
    assert!(ended.expect("sh runs").status.success());
    assert!(home.path().join("copy.db").exists());
}

/// Some file systems have no second names for a file.
#[test]
fn backups_do_without_links() {
    let home = Home::new();
    let without_links = |args: &[&str]| {
        Command::new("strace")
            .args(["-f", "-q", "-o", "/dev/null", "-e", "trace=link,linkat"])
            .args(["-e", "inject=link,linkat:error=EPERM"])
            .arg(env!("CARGO_BIN_EXE_roster"))
            .args(args)
            .env_clear()
            .current_dir(home.path())
            .output()
    };
    if !without_links(&["check-config"]).is_ok_and(|it| it.status.success()) {
        report("skipped: backups_do_without_links (strace is not there or may not trace)");
        return;
    }
    for (args, ending) in [
        (["backup", "copy.db"], true),
        (["backup", "copy.db"], false),
        (["restore", "copy.db"], true),
    ] {
        let said = without_links(&args).expect("it runs");
        assert_eq!(said.status.success(), ending, "{args:?} {said:?}");
    }
    let kept = home.files().into_iter().map(|(name, _)| name);
    assert_eq!(
        kept.filter(|name| name.contains("before-restore")).count(),
        1
    );
    assert_eq!(home.ask(&["doctor"]).code, Some(0));
}

/// A database that is a link stays one, and what root restores belongs to whom it belonged to before.
#[test]
fn a_restore_keeps_the_link_and_the_owner() {
    let home = Home::new().backup();
    let real = home.path().join("disk/real.db");
    fs::create_dir(home.path().join("disk")).expect("a folder");
    fs::rename(home.database(), &real).expect("moved");
    symlink(&real, home.database()).expect("a link");
    let owned = chown(&real, Some(65534), Some(65534)).is_ok();
    let before = fs::metadata(&real).expect("there");
    let said = home.ask(&["restore", "copy.db"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(fs::read_link(home.database()).expect("a link"), real);
    let after = fs::metadata(&real).expect("there");
    assert_ne!(after.ino(), before.ino());
    if owned {
        assert_eq!((after.uid(), after.gid()), (65534, 65534));
    } else {
        report("skipped: half of a_restore_keeps_the_link_and_the_owner (not root)");
    }
    assert_eq!(home.ask(&["doctor"]).code, Some(0));
}

/// A server that takes the connection and says nothing: one line, soon.
#[test]
fn a_silent_database_server_holds_nobody_up() {
    let home = tempdir().expect("a folder");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = silent.local_addr().expect("its address");
    let url = format!("postgres://roster@{address}/roster");
    let settings = [("DATABASE_URL", url.as_str()), ("LISTEN", "127.0.0.1:0")];
    for command in ["serve", "migrate", "doctor", "restore"] {
        fails_with(&ask(home.path(), &settings, &[command]), "timeout expired");
    }
}

/// A file that is damaged, in front or in the middle, or is a folder: one line, and not a byte is changed.
#[test]
fn a_damaged_file_is_named_and_left_alone() {
    for (what, at) in [
        ("its head", 0),
        ("its middle", 3 * 4096),
        ("its middle", 10 * 4096),
    ] {
        let home = Home::new();
        let mut bytes = fs::read(home.database()).expect("read");
        assert!(bytes.len() > at + 4096);
        bytes[at..at + 2048].fill(0xa5);
        fs::write(home.database(), &bytes).expect("written");
        for command in ["serve", "migrate"] {
            fails_with(&home.ask(&[command]), "roster.db");
            assert!(
                fs::read(home.database()).expect("read") == bytes,
                "{what} {command}"
            );
        }
        let doctor = home.ask(&["doctor"]);
        assert_eq!(doctor.code, Some(1), "{doctor:?}");
    }
    let home = tempdir().expect("a folder");
    fs::create_dir_all(home.path().join("data/roster.db")).expect("a folder");
    for command in ["serve", "migrate", "doctor"] {
        fails_with(
            &ask(home.path(), &[("LISTEN", "127.0.0.1:0")], &[command]),
            "roster.db",
        );
    }
}

/// Somebody else holds the file: for a second, and Roster waits; for longer, and it says so.
#[test]
fn a_locked_file_is_waited_for_a_while() {
    let home = Home::new();
    let mut other = home.connect();
    other
        .batch_execute("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE")
        .expect("locked");
    fails_with(&home.ask(&["serve"]), "locked");
    other
        .batch_execute("COMMIT; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE")
        .expect("locked");
    let mut roster = Roster::spawn(home.path(), &[]);
    std::thread::sleep(Duration::from_secs(1));
    other.batch_execute("COMMIT").expect("let go");
    drop(other);
    assert!(roster.answers(), "{}", roster.log());
    roster.stop();
}

/// A file that may only be read: one line, nothing changed. Needs root, to run the program as somebody else.
#[test]
fn a_file_that_may_only_be_read_is_left_alone() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_roster");
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new("timeout");
        command
            .args([
                "30",
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                program,
            ])
            .args(args);
        command
            .env_clear()
            .env("LISTEN", "127.0.0.1:0")
            .current_dir(home.path());
        command.output()
    };
    let owned = [
        home.path().to_owned(),
        home.path().join("data"),
        home.database(),
        home.path().join("data/secret.key"),
    ];
    let given = owned
        .iter()
        .all(|path| chown(path, Some(65534), Some(65534)).is_ok());
    if !given || !as_nobody(&["check-config"]).is_ok_and(|it| it.status.success()) {
        report(
            "skipped: a_file_that_may_only_be_read_is_left_alone (cannot run the program as another user)",
        );
        return;
    }
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    let before = fs::read(home.database()).expect("read");
    for (what, mode) in [(home.database(), 0o400), (home.path().join("data"), 0o500)] {
        // What looking in vain left there would let SQLite write after all.
        for log in ["-wal", "-shm"] {
            drop(fs::remove_file(
                home.path().join(format!("data/roster.db{log}")),
            ));
        }
        let whole = fs::metadata(&what).expect("there").permissions().mode();
        set(&what, mode);
        for command in ["serve", "migrate"] {
            let said = as_nobody(&[command]).expect("it runs");
            let err = String::from_utf8_lossy(&said.stderr).into_owned();
            assert_eq!(said.status.code(), Some(1), "{err}");
            assert!(
                err.starts_with("roster: ")
                    && err.contains("roster.db")
                    && err.trim_end().lines().count() == 1,
                "{err}"
            );
        }
        assert!(fs::read(home.database()).expect("read") == before);
        set(&what, whole);
    }
}
