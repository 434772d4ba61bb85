//! What an operator sees of the real program: its second address, and the lines of a request that failed.

use crate::{
    on_both,
    support::{
        binary::Process,
        checker,
        database::TestDatabase,
        mailing::{change, run, until},
        people::Person,
        process::{Roster, ask},
        team::people_password,
    },
};
use roster::store::Error;
use serde_json::Value;
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread::ThreadId,
};
use tempfile::tempdir;
use tracing::{Subscriber, span::Id};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

const INVITATIONS: &str = "/orgs/acme/settings/team/invitations";

fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
        .collect()
}

fn message(line: &Value) -> &str {
    line["fields"]["message"].as_str().unwrap_or_default()
}

/// Where `/metrics` is, by the program's own word.
fn figures(log: &str) -> Option<SocketAddr> {
    let lines = lines(log);
    let line = lines
        .iter()
        .find(|line| message(line) == "metrics are served")?;
    line["fields"]["address"].as_str()?.parse().ok()
}

on_both! {
    /// A second address for figures, from the first request to the last.
    fn figures_are_served_until_the_program_ends(kind) {
        let (folder, database) = (tempdir().expect("a folder"), TestDatabase::new(kind));
        let url = database.url();
        let letters = folder.path().join("letters").display().to_string();
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("METRICS_LISTEN", "127.0.0.1:0"),
            ("LOG_FORMAT", "json"),
            ("MAIL_DIR", letters.as_str()),
        ];
        let roster = Roster::start(folder.path(), &settings);
        let olivia = roster.olivia();
        olivia.get("/metrics").expect(404);
        let address = figures(&roster.log()).expect("an address in the log");
        let scraper = Person::new(address);
        let text = scraper.get("/metrics").expect(200).body.clone();
        for line in [
            "roster_http_requests_total{method=\"POST\",route=\"/sign-up\",status=\"3xx\"} 1",
            "roster_mail_workers 2.0",
            "roster_database_up 1.0",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        for name in ["process_resident_memory_bytes ", "process_open_fds ", "process_start_time_seconds 1"] {
            assert!(text.lines().any(|it| it.starts_with(name)), "{name} is not in\n{text}");
        }
        scraper.get("/readyz").expect(200).shows("mail ok");
        roster.stop();
        assert!(TcpStream::connect(address).is_err(), "figures are still served");
        checker::check(&database.open());
    }

    /// A person quotes the number on the page, and the operator finds every line, whatever the log leaves out.
    fn the_number_on_an_error_page_finds_its_lines(kind) {
        for level in ["info", "warn", "error"] {
            let database = TestDatabase::new(kind);
            let roster = Process::start(&database, "info", &[("LOG", &format!("{level},roster::server=info"))]);
            let olivia = roster.visitor();
            let fields = [
                ("name", "Olivia Owner"),
                ("email", "olivia@example.test"),
                ("password", people_password()),
                ("organization", "Acme"),
            ];
            olivia.get("/sign-up").submit("/sign-up", &fields).expect(303);
            let db = database.open();
            change(&db, "ALTER TABLE invitations RENAME TO gone");
            let page = olivia.get(INVITATIONS);
            let accept = [("accept", "application/json")];
            let json = olivia.ask("GET", INVITATIONS, &accept, None);
            change(&db, "ALTER TABLE gone RENAME TO invitations");
            page.expect(500);
            json.expect(500);
            let id = |headers: &[(String, String)]| {
                let found = headers.iter().find(|(name, _)| name == "x-request-id");
                found.expect("an id").1.clone()
            };
            let (first, second) = (id(&page.headers), id(&json.headers));
            assert_ne!(first, second);
            assert!(page.body.contains(&first), "{}", page.body);
            let problem: Value = serde_json::from_str(&json.body).expect("problem+json");
            assert_eq!(problem["request_id"], second.as_str());
            olivia.get("/orgs/none").expect(404);
            let log = roster.end();
            for id in [first, second] {
                let lines = lines(&log);
                let of_it = lines.iter().filter(|line| line["span"]["id"] == id.as_str());
                let of_it: Vec<_> = of_it.collect();
                let failed = of_it.iter().find(|line| message(line) == "request failed");
                let failed = failed.unwrap_or_else(|| panic!("no line of {id} at {level}:\n{log}"));
                assert_eq!(failed["span"]["route"], "/orgs/{org}/settings/team/invitations");
                let served = of_it.iter().find(|line| message(line) == "served");
                assert_eq!(served.is_some(), level == "info", "{log}");
                if let Some(served) = served {
                    assert_eq!(served["fields"]["status"], 500);
                    assert!(served["fields"]["ms"].as_f64().is_some_and(|ms| ms > 0.0));
                }
            }
        }
    }

    /// From where, and with which result; never which address was tried.
    fn a_refused_password_names_the_client_only(kind) {
        let database = TestDatabase::new(kind);
        let roster = Process::start(&database, "info", &[]);
        let fields = [("email", "nobody@example.test"), ("password", "not what she chose")];
        let visitor = roster.visitor();
        visitor.get("/sign-in").submit("/sign-in", &fields).expect(422);
        visitor.post("/sign-in", &fields).expect(403);
        let log = roster.end();
        let lines = lines(&log);
        let refused = lines.iter().find(|line| message(line) == "password.refused").expect("a line");
        let said = |name: &str| refused["fields"][name].as_str().unwrap_or_default();
        assert_eq!((said("client"), said("form"), said("result")), ("127.0.0.1", "sign_in", "wrong"));
        assert_eq!(refused["span"]["route"], "/sign-in");
        assert!(lines.iter().any(|line| message(line) == "csrf.refused" && line["fields"]["client"] == "127.0.0.1"), "{log}");
        assert!(!log.contains("nobody"), "{log}");
    }

    /// The id must be on lines that other threads log for the request: the span goes with the work.
    fn work_on_the_database_happens_in_the_span_of_its_request(kind) {
        let database = TestDatabase::new(kind);
        let db = database.open();
        let entered = Entered::default();
        let (reading, writing) = tracing::subscriber::with_default(tracing_subscriber::registry().with(entered.clone()), || {
            let span = tracing::error_span!("request");
            let _in_it = span.enter();
            let here = || Ok::<_, Error>(std::thread::current().id());
            let reading = run(db.read(move |_| here())).expect("a read");
            let writing = run(db.write(move |_| here())).expect("a write");
            (reading, writing)
        });
        let threads = entered.0.lock().expect("threads");
        for thread in [reading, writing] {
            assert_ne!(thread, std::thread::current().id());
            assert!(threads.contains(&thread), "{thread:?} is not among {threads:?}");
        }
    }
}

/// Notes on which threads spans are entered.
#[derive(Clone, Default)]
struct Entered(Arc<Mutex<Vec<ThreadId>>>);

impl<S: Subscriber> Layer<S> for Entered {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        let mut threads = self.0.lock().expect("threads");
        threads.push(std::thread::current().id());
    }
}

/// One line, before anything is served.
#[test]
fn a_taken_address_for_figures_is_one_clear_line() {
    let home = tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let settings = [
        ("LISTEN", "127.0.0.1:0"),
        ("METRICS_LISTEN", address.as_str()),
        ("LOG", "error"),
    ];
    let said = ask(home.path(), &settings, &["serve"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.starts_with(&format!(
            "roster: METRICS_LISTEN: cannot listen on {address}: "
        )),
        "{said:?}"
    );
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    assert!(said.out.is_empty(), "{said:?}");
}

/// Without the setting there is nothing.
#[test]
fn without_the_setting_no_figures_are_served() {
    let home = tempdir().expect("a folder");
    let roster = Roster::start(home.path(), &[]);
    assert!(!roster.log().contains("metrics"), "{}", roster.log());
    until("it answers", || {
        roster.probe("/metrics").starts_with("HTTP/1.1 404")
    });
    roster.stop();
}
