//! What the mailer says became of a letter, for everything a mail server can do to it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use roster::mail::transport::{
    Letter, Limits, Mailer, Outcome, Party, Security, Smtp, StoredLetter, Transport,
};
use time::macros::datetime;

use crate::support::smtp::{Act, Phase, SmtpServer};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(400),
    conversation: Duration::from_millis(400),
    idle: Duration::from_secs(20),
};

fn smtp(server: &SmtpServer) -> Smtp {
    Smtp {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        security: Security::Plain,
        login: None,
        ca: None,
    }
}

fn mailer_with(smtp: Smtp) -> Mailer {
    Mailer::new(
        Transport::Smtp(Box::new(smtp)),
        "roster.example.test",
        LIMITS,
    )
}

fn mailer(server: &SmtpServer) -> Mailer {
    mailer_with(smtp(server))
}

fn letter(id: &str) -> Letter {
    let party = |name: &str, address: &str| Party {
        name: name.to_owned(),
        address: address.to_owned(),
    };
    Letter {
        id: id.to_owned(),
        date: datetime!(2026-03-01 12:00 UTC),
        from: party("Olivia via Roster", "roster@example.test"),
        reply_to: Some(party("Olivia", "olivia@example.test")),
        to: party("Noor", "noor@example.test"),
        subject: "Join Acme".to_owned(),
        text: "Hello Noor".to_owned(),
        html: "<p>Hello Noor</p>".to_owned(),
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Sent(_) => "sent",
        Outcome::Temporary(_) => "temporary",
        Outcome::Permanent(_) => "permanent",
        Outcome::Unknown(_) => "unknown",
        Outcome::Misconfigured(_) => "misconfigured",
    }
}

/// Everything a server can do × what is then known × how many copies it has (I8).
#[test]
fn every_misbehaviour_has_its_outcome() {
    use Phase::*;
    let reply = Act::reply;
    let table = [
        (Greeting, reply(421, "too busy"), "temporary", 0),
        (Greeting, reply(554, "not you"), "misconfigured", 0),
        (Greeting, Act::Hang, "temporary", 0),
        (Greeting, Act::Drop, "temporary", 0),
        (Greeting, Act::Garbage, "temporary", 0),
        (Ehlo, reply(421, "bye"), "temporary", 0),
        (Ehlo, reply(550, "no"), "misconfigured", 0),
        (Ehlo, Act::Hang, "temporary", 0),
        (Ehlo, Act::Drop, "temporary", 0),
        (Mail, reply(451, "later"), "temporary", 0),
        (Mail, reply(550, "sender refused"), "misconfigured", 0),
        (Mail, reply(354, "what"), "temporary", 0),
        (Mail, Act::Hang, "temporary", 0),
        (Mail, Act::Drop, "temporary", 0),
        (Rcpt, reply(450, "4.2.0 greylisted"), "temporary", 0),
        (Rcpt, reply(451, "later"), "temporary", 0),
        (Rcpt, reply(550, "5.1.1 no such user"), "permanent", 0),
        (Rcpt, Act::Hang, "temporary", 0),
        (Rcpt, Act::Drop, "temporary", 0),
        (Rcpt, Act::Garbage, "temporary", 0),
        (Data, reply(451, "later"), "temporary", 0),
        (Data, reply(554, "no"), "misconfigured", 0),
        (Data, reply(250, "kept, honestly"), "temporary", 0),
        (Data, Act::Hang, "temporary", 0),
        (Data, Act::Drop, "temporary", 0),
        (Body, reply(250, "kept"), "sent", 1),
        (Body, reply(354, "more"), "unknown", 0),
        (Body, reply(421, "closing"), "temporary", 0),
        (Body, reply(451, "later"), "temporary", 0),
        (Body, reply(550, "spam"), "permanent", 0),
        (Body, Act::Hang, "unknown", 1),
        (Body, Act::Drop, "unknown", 1),
        (Body, Act::Lose, "unknown", 0),
        (Body, Act::Garbage, "unknown", 1),
        (Body, Act::Slow(Duration::from_millis(50)), "sent", 1),
        (Rcpt, Act::Slow(Duration::from_millis(50)), "sent", 1),
    ];
    run(async {
        for (phase, act, expected, copies) in table {
            let server = SmtpServer::start();
            server.once(phase, act.clone());
            let mut mailer = mailer(&server);
            let started = Instant::now();
            let outcome = mailer.send(&letter("1")).await;
            let case = format!("{act:?} at {phase:?}: {outcome:?}");
            assert_eq!(kind(&outcome), expected, "{case}");
            assert_eq!(server.received().len(), copies, "{case}");
            assert!(started.elapsed() < Duration::from_secs(3), "{case}");
            let said = outcome.reason();
            assert!(
                !said.is_empty() && said.chars().count() <= 300 && !said.contains(char::is_control),
                "{case}"
            );
            for library in ["error", "Error", "incomplete", "InvalidData", "os "] {
                assert!(!said.contains(library), "{case}");
            }
            if let Act::Reply(code, text) = act {
                assert!(said.contains(&format!("{code} {text}")), "{case}");
            }
            // whatever happened to one letter, the next one goes through
            let outcome = mailer.send(&letter("2")).await;
            assert_eq!(kind(&outcome), "sent", "after {case}: {outcome:?}");
            assert_eq!(server.received().len(), copies + 1, "{case}");
        }
    });
}

#[test]
fn what_a_slow_or_dripping_server_costs_is_bounded() {
    run(async {
        let server = SmtpServer::start();
        for phase in [Phase::Greeting, Phase::Ehlo, Phase::Mail, Phase::Rcpt] {
            server.always(phase, Act::Slow(Duration::from_millis(150)));
        }
        let started = Instant::now();
        let outcome = mailer(&server).send(&letter("1")).await;
        assert_eq!(kind(&outcome), "temporary", "{outcome:?}");
        assert!(
            outcome.reason().contains("did not answer within 400ms"),
            "{outcome:?}"
        );
        assert!(started.elapsed() < Duration::from_millis(600));
    });
}

#[test]
fn three_letters_take_one_connection() {
    run(async {
        let server = SmtpServer::start();
        let mut mailer = mailer(&server);
        for id in ["1", "2", "3"] {
            assert_eq!(kind(&mailer.send(&letter(id)).await), "sent");
        }
        mailer.close().await;
        assert_eq!(server.connections(), 1);
        let commands = server.commands();
        assert_eq!(commands.iter().filter(|c| *c == "NOOP").count(), 2);
        assert_eq!(
            commands.first().map(String::as_str),
            Some("EHLO roster.example.test")
        );
        assert_eq!(commands.last().map(String::as_str), Some("QUIT"));
        let ids: Vec<_> = server
            .received()
            .iter()
            .filter_map(|l| l.header("Message-ID"))
            .collect();
        assert_eq!(
            ids,
            ["1", "2", "3"].map(|id| format!("<{id}@roster.example.test>"))
        );
    });
}

#[test]
fn a_connection_that_died_or_grew_old_is_replaced() {
    run(async {
        let server = SmtpServer::start();
        let mut mailer = mailer(&server);
        for act in [
            Act::Drop,
            Act::reply(421, "closing"),
            Act::Hang,
            Act::Garbage,
        ] {
            assert_eq!(kind(&mailer.send(&letter("1")).await), "sent");
            let before = server.connections();
            server.once(Phase::Noop, act.clone());
            let outcome = mailer.send(&letter("2")).await;
            assert_eq!(kind(&outcome), "sent", "{act:?}: {outcome:?}");
            assert_eq!(server.connections(), before + 1, "{act:?}");
        }
        let limits = Limits {
            idle: Duration::ZERO,
            ..LIMITS
        };
        let mut hasty = Mailer::new(Transport::Smtp(Box::new(smtp(&server))), "x.test", limits);
        let before = server.connections();
        for _ in 0..2 {
            assert_eq!(kind(&hasty.send(&letter("3")).await), "sent");
        }
        assert_eq!(server.connections(), before + 2);
    });
}

#[test]
fn a_server_that_is_down_is_waited_for() {
    run(async {
        let server = SmtpServer::start();
        let mut mailer = mailer(&server);
        assert_eq!(kind(&mailer.send(&letter("1")).await), "sent");
        server.down();
        for _ in 0..2 {
            let outcome = mailer.send(&letter("2")).await;
            assert_eq!(kind(&outcome), "temporary", "{outcome:?}");
        }
        server.up();
        assert_eq!(kind(&mailer.send(&letter("2")).await), "sent");
        assert_eq!(server.wait_for(2).len(), 2);
        let nowhere = Smtp {
            host: "no-such-host.invalid".to_owned(),
            ..smtp(&server)
        };
        let outcome = mailer_with(nowhere).send(&letter("3")).await;
        assert_eq!(kind(&outcome), "temporary", "{outcome:?}");
    });
}

/// Between the two halves the caller commits; if that fails, nothing must leave.
#[test]
fn nothing_is_sent_before_finish() {
    run(async {
        let server = SmtpServer::start();
        let mut mailer = mailer(&server);
        let ready = mailer.begin(&letter("1")).await.expect("ready");
        assert_eq!(server.commands().last().map(String::as_str), Some("DATA"));
        drop(ready);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(server.received().is_empty());

        let ready = mailer.begin(&letter("2")).await.expect("ready");
        assert!(server.received().is_empty());
        assert_eq!(
            ready.finish().await,
            Outcome::Sent("250 2.0.0 kept".to_owned())
        );
        assert_eq!(server.received().len(), 1);
    });
}

#[test]
fn login_and_tls_that_fail_are_our_fault() {
    run(async {
        let server = SmtpServer::start();
        let login = Some(("roster".to_owned(), "hunter2".into()));
        let known = Smtp {
            login: login.clone(),
            ..smtp(&server)
        };
        assert_eq!(
            kind(&mailer_with(known.clone()).send(&letter("1")).await),
            "sent"
        );
        assert!(server.commands().contains(&"AUTH PLAIN".to_owned()));
        server.once(Phase::Auth, Act::reply(535, "5.7.8 wrong password"));
        let outcome = mailer_with(known.clone()).send(&letter("2")).await;
        assert_eq!(
            outcome,
            Outcome::Misconfigured("Login: 535 5.7.8 wrong password".to_owned())
        );
        server.once(Phase::Auth, Act::reply(454, "4.7.0 later"));
        assert_eq!(
            kind(&mailer_with(known).send(&letter("3")).await),
            "temporary"
        );

        for security in [Security::StartTls, Security::Implicit] {
            let before = server.received().len();
            let secure = Smtp {
                security,
                login: login.clone(),
                ..smtp(&server)
            };
            let outcome = mailer_with(secure).send(&letter("4")).await;
            assert_eq!(kind(&outcome), "misconfigured", "{security:?}: {outcome:?}");
            assert_eq!(server.received().len(), before);
        }
        let lost = Smtp {
            security: Security::Implicit,
            ca: Some(PathBuf::from("/nowhere.pem")),
            ..smtp(&server)
        };
        let outcome = mailer_with(lost).send(&letter("5")).await;
        assert!(
            matches!(&outcome, Outcome::Misconfigured(said) if said.contains("/nowhere.pem")),
            "{outcome:?}"
        );
        assert!(!format!("{:?}", server.commands()).contains("hunter2"));
    });
}

#[test]
fn the_letter_arrives_as_it_was_written() {
    run(async {
        let server = SmtpServer::start();
        let mut sent = letter("0195-aB");
        sent.subject =
            "Grüße von Olivia, the one and only, who runs Acme and would like you to join"
                .to_owned();
        sent.text = "Hello,\n\n.\n..\n.dot\nFrom here\nGrüße\n\nhttps://roster.example.test/accept-invitation/inv_AZVfPIorfE2eDxorPE1eb1EMyECE0XSkJ5m7TTf6RmyVLJ47\n.".to_owned();
        sent.html = "<p>\r\n.\r\n</p>".to_owned();
        assert_eq!(kind(&mailer(&server).send(&sent).await), "sent");
        let got = &server.wait_for(1)[0];
        assert_eq!(
            (got.from.as_str(), got.to.as_slice()),
            (
                "roster@example.test",
                ["noor@example.test".to_owned()].as_slice()
            )
        );
        assert_eq!(got.subject(), sent.subject);
        assert_eq!(got.text(), sent.text);
        assert_eq!(got.html(), "<p>\n.\n</p>");
        for (name, value) in [
            ("From", "\"Olivia via Roster\" <roster@example.test>"),
            ("Reply-To", "Olivia <olivia@example.test>"),
            ("To", "Noor <noor@example.test>"),
            ("Message-ID", "<0195-aB@roster.example.test>"),
            ("Date", "Sun, 01 Mar 2026 12:00:00 +0000"),
            ("Auto-Submitted", "auto-generated"),
        ] {
            assert_eq!(got.header(name).as_deref(), Some(value), "{name}");
        }
        assert!(got.data.is_ascii());
    });
}

#[test]
fn line_ends_in_names_and_subject_inject_nothing_and_panic_nothing() {
    run(async {
        let server = SmtpServer::start();
        let mut evil = letter("1\r\nBcc: eve@example.test");
        let line = "Noor\r\nBcc: eve@example.test\r\n\r\n.\r\nMAIL FROM:<x@example.test>";
        evil.subject = line.to_owned();
        evil.from.name = line.to_owned();
        evil.to.name = "\r\n\0\u{85}\u{2028}".to_owned();
        evil.reply_to = Some(Party {
            name: line.to_owned(),
            address: "olivia@example.test".to_owned(),
        });
        assert_eq!(kind(&mailer(&server).send(&evil).await), "sent");
        let got = &server.wait_for(1)[0];
        assert_eq!(server.received().len(), 1);
        assert_eq!(got.header("Bcc"), None);
        assert_eq!(got.to, ["noor@example.test"]);
        assert_eq!(
            got.subject(),
            "Noor Bcc: eve@example.test . MAIL FROM:<x@example.test>"
        );
        assert_eq!(
            server
                .commands()
                .iter()
                .filter(|c| c.starts_with("MAIL"))
                .count(),
            1
        );

        let mut poison = letter("2");
        poison.to.address = "noor@example.test>\r\nRCPT TO:<eve@example.test".to_owned();
        assert_eq!(kind(&mailer(&server).send(&poison).await), "permanent");
        assert_eq!(
            server.connections(),
            1,
            "no conversation over what is no address"
        );
    });
}

#[test]
fn addresses_outside_of_ascii_need_a_server_that_takes_them() {
    run(async {
        let server = SmtpServer::start();
        let mut foreign = letter("1");
        foreign.to.address = "grüße@example.test".to_owned();
        let outcome = mailer(&server).send(&foreign).await;
        assert!(
            matches!(&outcome, Outcome::Permanent(said) if said.contains("SMTPUTF8")),
            "{outcome:?}"
        );
        assert!(!server.commands().iter().any(|c| c.starts_with("MAIL")));
        server.offer("SMTPUTF8");
        assert_eq!(kind(&mailer(&server).send(&foreign).await), "sent");
        assert_eq!(server.received()[0].to, ["grüße@example.test"]);
        assert!(server.commands().iter().any(|c| c.contains(" SMTPUTF8")));
    });
}

#[test]
fn reasons_hold_no_link() {
    run(async {
        let server = SmtpServer::start();
        let token = "inv_AZVfPIorfE2eDxorPE1eb1EMyECE0XSkJ5m7TTf6RmyVLJ47";
        server.once(
            Phase::Body,
            Act::reply(
                554,
                &format!(
                    "spam: https://x.test/accept-invitation/{token} {}",
                    "x y ".repeat(200)
                ),
            ),
        );
        let outcome = mailer(&server).send(&letter("1")).await;
        assert_eq!(kind(&outcome), "permanent");
        assert!(!outcome.reason().contains(&token[..12]), "{outcome:?}");
    });
}

#[test]
fn folder_memory_and_none() {
    run(async {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("a/letters");
        let mut mailer = Mailer::new(Transport::Folder(folder.clone()), "x.test", LIMITS);
        let ready = mailer.begin(&letter("0195")).await.expect("ready");
        assert!(!folder.exists());
        assert_eq!(kind(&ready.finish().await), "sent");
        assert_eq!(kind(&mailer.send(&letter("../../0196")).await), "sent");
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .expect("made")
            .map(|f| f.expect("read").file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["..-..-0196.eml", "0195.eml"]);
        let raw = std::fs::read_to_string(folder.join("0195.eml")).expect("written");
        assert!(
            raw.contains("\r\nMessage-ID: <0195@x.test>\r\n") || raw.starts_with("Message-ID"),
            "{raw}"
        );

        let blocked = dir.path().join("file");
        std::fs::write(&blocked, "").expect("written");
        let outcome = Mailer::new(Transport::Folder(blocked), "x.test", LIMITS)
            .send(&letter("1"))
            .await;
        assert_eq!(kind(&outcome), "misconfigured", "{outcome:?}");

        let letters: Arc<Mutex<Vec<StoredLetter>>> = Arc::default();
        let mut mailer = Mailer::new(Transport::Memory(Arc::clone(&letters)), "x.test", LIMITS);
        assert_eq!(kind(&mailer.send(&letter("1")).await), "sent");
        let kept = letters.lock().expect("no panic").clone();
        assert_eq!(
            (
                kept[0].to.as_str(),
                kept[0].subject.as_str(),
                kept[0].text.as_str()
            ),
            ("noor@example.test", "Join Acme", "Hello Noor")
        );
        assert!(kept[0].raw.contains("Hello Noor"));

        let outcome = Mailer::new(Transport::None, "x.test", LIMITS)
            .send(&letter("1"))
            .await;
        assert_eq!(kind(&outcome), "misconfigured");
    });
}
