//! The real program: how it starts, stops, is killed and goes on, and what it says when it cannot (R-INV-9, R-INV-10).

use crate::{
    on_both,
    support::{
        checker,
        database::{Kind, TestDatabase},
        mailing::{copies, end_leases, row, rows, shown, until, wait_for_command},
        people::{Person, encode},
        process::{Roster, Said, ask},
        site::Site,
        smtp::{Act, Phase, SmtpServer},
        team::{link_in, people_password},
    },
};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};
use tempfile::tempdir;

const NOOR: &str = "noor@example.test";
const GRACE: &str = "grace@example.test";
const KEY: &str = "00112233445566778899aabbccddeeff102132435465768798a9bacbdcedfe0f";

impl Site {
    /// Olivia founds Acme. Her own letter is through and forgotten before anything else happens.
    fn olivia(&self, roster: &Roster) -> Person {
        let olivia = roster.olivia();
        let db = self.database.open();
        until("Olivia's letter is sent", || {
            rows(&db).iter().all(|row| row.state == "sent")
        });
        self.mail.forget();
        olivia
    }

    /// Kills it in the middle of what the mail server was told to do to the letter for Noor.
    fn kill_while_sending(&self, phase: Phase, reached: impl FnOnce(&SmtpServer)) -> Person {
        let roster = self.start();
        let olivia = self.olivia(&roster);
        self.mail.always(phase, Act::Hang);
        olivia.invite(NOOR, "member");
        reached(&self.mail);
        roster.kill();
        self.mail.behave();
        olivia
    }
}

on_both! {
    /// SIGTERM while a sign-up is half read: it is answered, the account is there, and the program ends well.
    fn sigterm_lets_a_request_finish(kind) {
        let site = Site::new(kind);
        let mut roster = site.start();
        let olivia = roster.visitor();
        let form = encode(&[
            ("csrf", &olivia.get("/sign-up").csrf()),
            ("name", "Olivia Owner"),
            ("email", "olivia@example.test"),
            ("password", people_password()),
            ("organization", "Acme"),
        ]);
        let cookies = olivia.cookie_header();
        drop(olivia);
        let mut socket = TcpStream::connect(roster.address).expect("a connection");
        let (first, second) = form.split_at(form.len() / 2);
        write!(
            socket,
            "POST /sign-up HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{first}",
            roster.address,
            form.len()
        )
        .expect("half a request");
        std::thread::sleep(Duration::from_millis(200));
        roster.terminate();
        until("nobody new is let in", || TcpStream::connect(roster.address).is_err());
        // more than actix's own grace
        std::thread::sleep(Duration::from_millis(1300));
        socket.write_all(second.as_bytes()).expect("the other half");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /orgs/acme"), "{answer}");
        assert_eq!(roster.wait().code(), Some(0), "{}", roster.log());

        let again = site.start();
        again.visitor().sign_in("olivia@example.test").expect(303);
        again.stop();
    }

    /// SIGTERM when a letter has left: its answer is waited for, and is on record. (One that has not left is given back:
    /// tests/faults/mail.rs.)
    fn sigterm_lets_a_letter_finish(kind) {
        let site = Site::new(kind);
        let roster = site.start();
        let olivia = site.olivia(&roster);
        site.mail.always(Phase::Body, Act::Slow(Duration::from_millis(1500)));
        olivia.invite(NOOR, "member");
        let db = site.database.open();
        until("the letter has left", || row(&db, NOOR).state == "handing");
        roster.stop();
        assert_eq!(copies(&site.mail, NOOR), 1);
        assert_eq!(row(&site.database.open(), NOOR).state, "sent");
    }

    /// kill -9 before the letter left: it is held until the lease ends, and then sent once.
    fn a_letter_killed_before_data_is_sent_once(kind) {
        let site = Site::new(kind);
        let olivia = site.kill_while_sending(Phase::Rcpt, |mail| wait_for_command(mail, "RCPT"));
        let roster = site.start();
        let olivia = olivia.at(roster.address);
        olivia.invite(GRACE, "member");
        site.mail.wait_for(1);
        let db = site.database.open();
        assert_eq!((row(&db, NOOR).state.as_str(), copies(&site.mail, NOOR)), ("sending", 0), "the lease holds");
        assert_eq!(end_leases(&db), 1);
        olivia.invite("luis@example.test", "member");
        until("all are sent", || rows(&db).iter().all(|row| row.state == "sent"));
        assert_eq!(shown(&olivia, NOOR), "Sent");
        assert_eq!((copies(&site.mail, NOOR), site.mail.received().len()), (1, 3));
        roster.stop();
        checker::check(&db);
    }

    /// R-INV-9: kill -9 after the letter left and before the answer: Unknown, and not sent a second time.
    fn a_letter_killed_after_data_is_unknown(kind) {
        let site = Site::new(kind);
        let olivia = site.kill_while_sending(Phase::Body, |mail| drop(mail.wait_for(1)));
        let roster = site.start();
        let olivia = olivia.at(roster.address);
        assert_eq!(shown(&olivia, NOOR), "Pending");
        let db = site.database.open();
        assert_eq!(end_leases(&db), 1);
        olivia.invite(GRACE, "member");
        until("Grace's is sent", || row(&db, GRACE).state == "sent");
        until("Noor's is judged", || row(&db, NOOR).state != "handing");
        assert_eq!(shown(&olivia, NOOR), "Unknown Roster stopped while it was sending this letter");
        roster.stop();
        site.start().stop();
        assert_eq!((copies(&site.mail, NOOR), copies(&site.mail, GRACE)), (1, 1));
        checker::check(&db);
    }

    /// Six at once on a database without tables, in a folder without a key: all serve, with one key.
    fn six_can_start_together(kind) {
        let site = Site::new(kind);
        let url = site.database.url();
        let settings = [("DATABASE_URL", url.as_str())];
        let mut six: Vec<Roster> = (0..6).map(|_| Roster::spawn(site.folder.path(), &settings)).collect();
        for roster in &mut six {
            assert!(roster.answers(), "{}", roster.log());
            assert!(roster.probe("/readyz").starts_with("HTTP/1.1 200"), "{}", roster.log());
        }
        let olivia = six[0].olivia();
        for roster in six {
            olivia.at(roster.address).get("/orgs/acme").expect(200).shows("Acme");
            roster.kill();
        }
    }
}

/// The first minute: no setting at all.
#[test]
fn it_starts_without_any_setting_and_keeps_its_key() {
    let home = tempdir().expect("a folder");
    let roster = Roster::start(home.path(), &[]);
    assert_eq!(
        roster.printed(),
        format!("Roster is ready: http://{}\n", roster.address)
    );
    assert!(roster.probe("/livez").ends_with("\r\n\r\nok\n"));
    assert!(
        roster
            .probe("/readyz")
            .ends_with("\r\n\r\ndatabase ok\nschema ok\nmail not set up\n")
    );
    let mode = |file: &str| {
        let file = fs::metadata(home.path().join("data").join(file)).expect("it was made");
        file.permissions().mode() & 0o777
    };
    assert!(mode("roster.db") & 0o600 == 0o600);
    assert_eq!(mode("."), 0o700, "nobody else reads the database");
    assert_eq!(mode("secret.key"), 0o600);
    assert!(roster.log().contains("invitations are not emailed"));
    let olivia = roster.olivia();
    olivia.invite(NOOR, "member");
    assert_eq!(shown(&olivia, NOOR), "Not emailed");
    let link = link_in(&olivia.copy_link(NOOR));
    let key = fs::read(home.path().join("data/secret.key")).expect("the key");
    roster.stop();

    let roster = Roster::start(home.path(), &[]);
    assert!(fs::read(home.path().join("data/secret.key")).expect("the key") == key);
    let olivia = olivia.at(roster.address);
    olivia.get("/orgs/acme").expect(200).shows("Acme");
    assert_eq!(link_in(&olivia.copy_link(NOOR)), link);
    roster.visitor().join(&link, "Noor New");
    roster.stop();
}

/// R-INV-10: two programs on one PostgreSQL with one key are one Roster.
#[test]
fn two_programs_share_sessions_and_send_each_letter_once() {
    let site = Site::new(Kind::Postgres);
    let (database, mail) = (site.database.url(), site.mail.url());
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("SMTP_URL", mail.as_str()),
        ("SECRET_KEY", KEY),
    ];
    let homes = [tempdir().expect("a folder"), tempdir().expect("a folder")];
    let [one, two] = [0, 1].map(|nth: usize| Roster::start(homes[nth].path(), &settings));
    let olivia = site.olivia(&one);
    site.mail
        .always(Phase::Rcpt, Act::Slow(Duration::from_millis(30)));
    let there = olivia.at(two.address);
    there.get("/orgs/acme").expect(200).shows("Acme");
    for (person, name) in [(&olivia, "a"), (&there, "b")] {
        let emails: Vec<_> = (0..10)
            .map(|nth| format!("{name}{nth}@example.test"))
            .collect();
        person.try_invite(&emails.join("\n"), "member").expect(303);
    }
    let letters = site.mail.wait_for(20);
    let db = site.database.open();
    until("all are on record", || {
        rows(&db).iter().all(|row| row.state == "sent")
    });
    let link = link_in(&letters[0].text());
    two.visitor().get(&link).expect(200).shows("Acme");
    one.visitor().get(&link).expect(200).shows("Acme");
    // signed out here is signed out there
    there.sign_out();
    olivia.get("/orgs/acme").expect(303);
    one.stop();
    two.stop();
    let letters = site.mail.received();
    let to: BTreeSet<_> = letters
        .iter()
        .flat_map(|letter| letter.to.clone())
        .collect();
    assert_eq!((letters.len(), to.len()), (20, 20));
    checker::check(&db);
}

/// A wrong setting ends the program before it touches anything: status 2, with its name, its value and what was expected.
#[test]
fn wrong_settings_are_named_with_what_was_expected() {
    let home = tempdir().expect("a folder");
    for (name, value, expected) in [
        ("LISTEN", "8080", "an IP address and a port"),
        (
            "PUBLIC_URL",
            "roster.example.org",
            "an http or https address",
        ),
        ("DATABASE_CONNECTIONS", "0", "1 to 1000"),
        ("MAIL_FROM", "nobody", "a name and an address"),
        ("SIGNUP", "closed", "open or invite"),
        ("INVITATION_VALID_FOR", "a week", "7d"),
        ("WORKERS", "many", "1 to 1024"),
    ] {
        let said = ask(home.path(), &[(name, value)], &[]);
        assert_eq!(said.code, Some(2), "{said:?}");
        let line = format!("error: {name} (environment) is {value:?}: expected ");
        assert!(
            said.err.contains(&line) && said.err.contains(expected),
            "{said:?}"
        );
        assert!(
            said.out.is_empty() && said.err.trim().lines().count() == 1,
            "{said:?}"
        );
    }
    for (name, value) in [
        ("SMTP_URL", "smtp://me:hunter2@mail.example.org"),
        ("SECRET_KEY", "hunter2"),
        ("DATABASE_URL", "mysql://me:hunter2@localhost/x"),
    ] {
        let said = ask(home.path(), &[(name, value)], &[]);
        assert_eq!(said.code, Some(2), "{said:?}");
        let line = format!("error: {name} (environment) is not usable: expected ");
        assert!(
            said.err.contains(&line) && !said.err.contains("hunter2"),
            "{said:?}"
        );
    }
    assert!(!home.path().join("data").exists());
}

#[test]
fn check_config_shows_every_setting_and_no_secret() {
    let home = tempdir().expect("a folder");
    let said = ask(
        home.path(),
        &[
            ("SMTP_URL", "smtps://me:hunter2@mail.example.org"),
            ("DATABASE_URL", "postgres://me:hunter3@localhost/roster"),
            ("SECRET_KEY", KEY),
            ("SIGNUP", "invite"),
        ],
        &["check-config", "--workers=3"],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    for (setting, value, origin) in [
        ("SMTP_URL", "(set)", "environment"),
        ("DATABASE_URL", "(set)", "environment"),
        ("SECRET_KEY", "(set)", "environment"),
        ("SIGNUP", "invite", "environment"),
        ("WORKERS", "3", "flag"),
        ("LISTEN", "127.0.0.1:8080", "default"),
    ] {
        let words = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            words == [setting, value, origin]
        };
        assert!(said.out.lines().any(words), "{setting} in {said:?}");
    }
    for secret in ["hunter2", "hunter3", &KEY[..16]] {
        assert!(
            !said.out.contains(secret) && !said.err.contains(secret),
            "{said:?}"
        );
    }
    assert!(
        !home.path().join("data").exists(),
        "looking changes nothing"
    );
}

#[test]
fn send_test_email_says_what_the_server_said() {
    let home = tempdir().expect("a folder");
    let mail = SmtpServer::start();
    let url = mail.url();
    let send = |settings: &[(&str, &str)]| ask(home.path(), settings, &["send-test-email", NOOR]);
    let said = send(&[("SMTP_URL", &url)]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(0), "sent to noor@example.test: 250 2.0.0 kept\n"),
        "{said:?}"
    );
    assert_eq!(mail.received()[0].subject(), "A test letter from Roster");

    mail.once(Phase::Rcpt, Act::reply(550, "5.1.1 no such user"));
    let said = send(&[("SMTP_URL", &url)]);
    fails_with(&said, "roster: not sent: 550 5.1.1 no such user");
    fails_with(&send(&[]), "roster: set SMTP_URL or MAIL_DIR first");
    mail.down();
    let said = send(&[("SMTP_URL", &url)]);
    fails_with(&said, "roster: not sent: No connection to 127.0.0.1");
    assert_eq!(mail.received().len(), 1);
}

#[test]
fn migrate_says_how_many_migrations_it_applied() {
    let home = tempdir().expect("a folder");
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = TestDatabase::new(kind);
        let url = database.url();
        let migrate = || {
            let said = ask(home.path(), &[("DATABASE_URL", &url)], &["migrate"]);
            assert_eq!(said.code, Some(0), "{said:?}");
            let (count, rest) = said.out.split_once(' ').expect("a count");
            assert!(
                rest.starts_with("migration") && rest.ends_with("applied\n"),
                "{said:?}"
            );
            count.parse::<u32>().expect("a number")
        };
        assert!(migrate() > 0);
        assert_eq!(migrate(), 0);
    }
}

/// Passwords over plain http across a network: it runs, and says so aloud.
#[test]
fn plain_http_on_a_network_is_warned_about() {
    let home = tempdir().expect("a folder");
    for (url, warns, cookie) in [
        ("http://192.0.2.7:8080", true, "roster="),
        ("http://roster.example.org", true, "roster="),
        ("https://roster.example.org", false, "__Host-roster="),
        ("http://localhost:8080", false, "__Host-roster="),
    ] {
        let roster = Roster::start(home.path(), &[("PUBLIC_URL", url)]);
        assert_eq!(roster.printed(), format!("Roster is ready: {url}\n"));
        let log = roster.log();
        assert_eq!(
            log.contains("PUBLIC_URL is plain http"),
            warns,
            "{url}: {log}"
        );
        let page = roster.probe("/sign-up");
        assert!(
            page.contains(&format!("set-cookie: {cookie}")),
            "{url}: {page}"
        );
        roster.kill();
    }
}

/// What keeps it from starting is one line that names the thing, and nothing is broken by trying.
#[test]
fn what_keeps_it_from_starting_is_one_clear_line() {
    let home = tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let said = ask(home.path(), &[("LISTEN", &address)], &[]);
    fails_with(
        &said,
        &format!("roster: LISTEN: cannot listen on {address}: "),
    );

    let file = home.path().join("a file");
    fs::write(&file, "a file").expect("written");
    let inside = file.join("data").display().to_string();
    let said = ask(
        home.path(),
        &[("LISTEN", "127.0.0.1:0"), ("DATA_DIR", &inside)],
        &[],
    );
    fails_with(&said, &format!("roster: cannot make the folder {inside}: "));

    let nobody = "postgres://me:hunter2@127.0.0.1:1/roster";
    let said = ask(
        home.path(),
        &[("LISTEN", "127.0.0.1:0"), ("DATABASE_URL", nobody)],
        &[],
    );
    fails_with(&said, "roster: ");
    assert!(!said.err.contains("hunter2"), "{said:?}");
}

/// A file that is no database is named, and left as it is.
#[test]
fn a_corrupt_database_is_named_and_left_alone() {
    for (name, content) in [
        (
            "garbage.db",
            "this is no database, it is somebody's letter\n".repeat(200),
        ),
        ("cut.db", format!("SQLite format 3\0{}", "x".repeat(500))),
    ] {
        let home = tempdir().expect("a folder");
        let data = home.path().join("data");
        fs::create_dir(&data).expect("a folder");
        let file = data.join(name);
        fs::write(&file, &content).expect("written");
        let url = format!("sqlite://{}", file.display());
        for command in ["serve", "migrate"] {
            let said = ask(
                home.path(),
                &[("LISTEN", "127.0.0.1:0"), ("DATABASE_URL", &url)],
                &[command],
            );
            fails_with(&said, "roster: ");
            assert!(said.err.contains(name), "it names the file: {said:?}");
            assert!(fs::read(&file).expect("it is there") == content.as_bytes());
        }
        let left: Vec<_> = fs::read_dir(&data)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left, [name]);
    }
}

/// Status 1 and one line on standard error that begins like this.
fn fails_with(said: &Said, start: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.starts_with(start), "{said:?}");
    assert_eq!(said.err.trim_end().lines().count(), 1, "{said:?}");
    assert!(said.out.is_empty(), "{said:?}");
}
