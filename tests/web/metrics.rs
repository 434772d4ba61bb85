//! `/metrics`: what is counted, where it is served, and that docs/observing.md explains all of it.

use crate::{
    on_both,
    support::{
        database::Kind,
        mailing::{Mailing, SHORT, change, drain, run},
        people::{Answer, Person},
        smtp::{Act, Phase},
        team::{Team, people_password},
    },
};
use actix_web::{App, HttpResponse, dev::ServerHandle, middleware::from_fn, web::Data};
use roster::server::Parts;
use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::JoinHandle,
};
use time::Duration;

const WRONG: &str = "not what she chose";

/// The second address of a Roster under test.
struct Figures {
    address: SocketAddr,
    handle: ServerHandle,
    server: Option<JoinHandle<()>>,
}

impl Figures {
    fn of(parts: &Parts) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let (tell, told) = mpsc::channel();
        let parts = parts.clone();
        let server = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server = parts.listen_for_figures(socket).expect("the server starts");
                tell.send(server.handle()).expect("the test waits");
                server.await.expect("the server runs");
            });
        });
        Self {
            address,
            handle: told.recv().expect("the server has started"),
            server: Some(server),
        }
    }

    fn text(&self) -> String {
        let scraper = Person::new(self.address);
        let answer = scraper.get("/metrics");
        answer.expect(200);
        answer.body
    }

    /// The value on the line that begins so.
    fn value(&self, series: &str) -> f64 {
        let text = self.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series));
        let value = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
        value.trim().parse().expect("a number")
    }
}

impl Drop for Figures {
    fn drop(&mut self) {
        run(self.handle.stop(false));
        if let Some(server) = self.server.take() {
            drop(server.join());
        }
    }
}

fn header<'a>(answer: &'a Answer<'_>, name: &str) -> Option<&'a str> {
    let mut headers = answer.headers.iter();
    headers.find_map(|(key, value)| (key == name).then_some(value.as_str()))
}

on_both! {
    /// Addresses hold names and tokens; and a label that visitors can make up grows for ever.
    fn requests_are_counted_by_route_never_by_address(kind) {
        let acme = Team::acme(kind);
        let figures = Figures::of(&acme.parts);
        acme.olivia.invite("noor@example.test", "member");
        let link = acme.link_for("noor@example.test");
        acme.visitor().get(&link).expect(200);
        for path in ["/made/up/by-somebody", "/made/up/again", "/accept-invitation/inv_made-up/none"] {
            acme.visitor().get(path).expect(404);
        }
        let mut socket = TcpStream::connect(acme.address).expect("a connection");
        let asked = "BREW /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        socket.write_all(asked.as_bytes()).expect("asked");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        acme.visitor().head("/sign-in").expect(200);
        let text = figures.text();
        for line in [
            "roster_http_requests_total{method=\"GET\",route=\"/accept-invitation/{token}\",status=\"2xx\"} ",
            "roster_http_requests_total{method=\"GET\",route=\"none\",status=\"4xx\"} 3",
            "roster_http_requests_total{method=\"other\",route=\"/sign-in\",status=\"4xx\"} 1",
            "roster_http_requests_total{method=\"HEAD\",route=\"/sign-in\",status=\"2xx\"} 1",
            "roster_http_requests_total{method=\"POST\",route=\"/orgs/{org}/settings/team/invite\",status=\"3xx\"} ",
            "roster_http_request_duration_seconds_count{kind=\"none\"} 3",
            "roster_http_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|it| it.starts_with(line)), "{line} is not in\n{text}");
        }
        let token = link.rsplit('/').next().expect("a token");
        for secret in ["acme", "BREW", "made", token] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
    }

    /// Figures are for whoever runs Roster. Their address has no pages and no cookies, the pages' address no figures.
    fn figures_and_pages_have_an_address_each(kind) {
        let team = Team::empty(kind);
        let figures = Figures::of(&team.parts);
        team.visitor().get("/metrics").expect(404);
        let scraper = Person::new(figures.address);
        for path in ["/", "/sign-in", "/static/app.css", "/metrics/"] {
            let answer = scraper.get(path);
            answer.expect(404);
            assert!(answer.body.is_empty() && header(&answer, "set-cookie").is_none(), "{path}");
        }
        scraper.get("/livez").expect(200).shows("ok");
        scraper.get("/readyz").expect(200).shows("database ok");
        scraper.ask("POST", "/metrics", &[], Some("")).expect(405);
        scraper.head("/metrics").expect(200);
        let answer = scraper.get("/metrics");
        assert_eq!(
            header(&answer, "content-type"),
            Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
        );
        assert!(answer.body.ends_with("# EOF\n") && header(&answer, "set-cookie").is_none());
    }

    /// Sent, refused for good, put off, no longer wanted; and how long the queue is meanwhile.
    fn letters_are_counted_by_what_became_of_them(kind) {
        let mailing = Mailing::new(kind);
        let figures = Figures::of(&mailing.parts);
        let outcome = |outcome: &str| figures.value(&format!("roster_mail_deliveries_total{{outcome=\"{outcome}\"}}"));
        let mut worker = mailing.worker(SHORT);
        // What signing up had to say.
        run(drain(&mut worker));
        let (sent, attempts) = (outcome("sent"), figures.value("roster_mail_attempts_total"));
        mailing.invite("noor@example.test");
        mailing.advance(Duration::seconds(90));
        assert_eq!(figures.value("roster_mail_queue_due"), 1.0);
        assert_eq!(figures.value("roster_mail_queue_oldest_due_seconds"), 90.0);
        run(drain(&mut worker));
        assert_eq!(outcome("sent"), sent + 1.0);

        mailing.server.always(Phase::Rcpt, Act::reply(550, "5.1.1 No such user"));
        mailing.invite("nobody@example.test");
        run(drain(&mut worker));
        assert_eq!(outcome("failed"), 1.0);

        mailing.server.always(Phase::Rcpt, Act::reply(451, "4.3.0 Later"));
        mailing.invite("late@example.test");
        run(drain(&mut worker));
        assert_eq!(outcome("retried"), 1.0);
        assert_eq!(figures.value("roster_mail_queue_due"), 0.0);
        assert_eq!(figures.value("roster_mail_queue_waiting"), 1.0);
        mailing.advance(Duration::seconds(20));
        assert_eq!(figures.value("roster_mail_queue_oldest_seconds"), 20.0);

        mailing.olivia.revoke("late@example.test").expect(303);
        mailing.advance(Duration::hours(1));
        run(drain(&mut worker));
        assert_eq!(outcome("dropped"), 1.0);
        assert_eq!(figures.value("roster_mail_queue_waiting"), 0.0);
        assert_eq!(figures.value("roster_mail_queue_oldest_seconds"), 0.0);
        assert_eq!(figures.value("roster_mail_attempts_total"), attempts + 4.0);
    }

    /// Signing in and confirming; right, wrong, and once too often.
    fn passwords_are_counted_by_what_came_of_them(kind) {
        let acme = Team::acme(kind);
        let figures = Figures::of(&acme.parts);
        let count = |form: &str, result: &str| {
            figures.value(&format!("roster_password_attempts_total{{form=\"{form}\",result=\"{result}\"}}"))
        };
        let sign_in = |password: &str| {
            let fields = [("email", "mia@example.test"), ("password", password)];
            acme.visitor().get("/sign-in").submit("/sign-in", &fields).status
        };
        assert_eq!(sign_in(people_password()), 303);
        assert_eq!((count("sign_in", "ok"), count("sign_in", "wrong")), (1.0, 0.0));
        let mut wrong = 0.0;
        while sign_in(WRONG) == 422 {
            wrong += 1.0;
            assert!(wrong < 100.0, "guessing is never throttled");
        }
        assert_eq!(count("sign_in", "wrong"), wrong);
        assert_eq!(count("sign_in", "throttled"), 1.0);

        let wrong = [("slug", "acme"), ("password", WRONG)];
        let page = acme.olivia.get("/orgs/acme/delete");
        page.submit("/orgs/acme/delete", &wrong).expect(422);
        assert_eq!((count("confirm", "wrong"), count("confirm", "ok")), (1.0, 0.0));
    }

    /// A scrape says that the database is gone; it does not fail with it.
    fn a_scrape_survives_the_database(kind) {
        let team = Team::empty(kind);
        let figures = Figures::of(&team.parts);
        assert_eq!(figures.value("roster_database_up"), 1.0);
        change(&team.db, "ALTER TABLE deliveries RENAME TO gone");
        let text = figures.text();
        change(&team.db, "ALTER TABLE gone RENAME TO deliveries");
        assert!(text.contains("\nroster_database_up 0.0\n"), "{text}");
        assert!(!text.contains("roster_mail_queue_due"), "{text}");
        assert!(text.contains("roster_database_connections "), "{text}");
    }

    /// Every figure is explained, and every explained figure exists.
    fn the_page_explains_every_metric(kind) {
        let acme = Team::acme(kind);
        let served = names_served(&Figures::of(&acme.parts).text());
        let page = include_str!("../../docs/observing.md");
        let mut explained: BTreeSet<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|line| line.split_once('`'))
            .map(|(name, _)| name.to_owned())
            .filter(|name| name.starts_with("roster_") || name.starts_with("process_"))
            .collect();
        let count = explained.len();
        explained.retain(|name| !name.starts_with("roster_sqlite_") || kind == Kind::Sqlite);
        assert!(count > 30, "the page's tables were not understood");
        assert_eq!(served, explained);
        // The alerts ask for metrics that there are.
        let words = page.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("roster_") || word.starts_with("process_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(
                explained.contains(name) || name.starts_with("roster_sqlite_"),
                "{word} is not a metric"
            );
        }
    }
}

/// The names of everything served, as one would ask for them.
fn names_served(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect()
}

async fn panics() -> HttpResponse {
    panic!("on purpose")
}

/// A panic takes the request with it. The answer has its number all the same, and it is counted.
#[test]
fn a_panic_is_counted_and_has_a_number() {
    let team = Team::empty(Kind::Sqlite);
    let app = Data::new(team.parts.app.clone());
    let (headers, page) = actix_web::rt::System::new().block_on(async {
        let service = App::new()
            .app_data(app.clone())
            .route("/", actix_web::web::get().to(panics))
            .wrap(from_fn(roster::web::error::render))
            .wrap(from_fn(roster::web::log::requests));
        let service = actix_web::test::init_service(service).await;
        let request = actix_web::test::TestRequest::get().uri("/").to_request();
        let answer = actix_web::test::try_call_service(&service, request).await;
        let answer = answer.expect_err("an error").error_response();
        assert_eq!(answer.status(), 500);
        let headers = answer.headers().clone();
        let body = actix_web::body::to_bytes(answer.into_body()).await;
        let page = String::from_utf8(body.expect("a page").to_vec());
        (headers, page.expect("UTF-8"))
    });
    let id = headers.get("x-request-id").expect("a number");
    let id = id.to_str().expect("text");
    assert!(id.len() == 32 && page.contains(id), "{id} is not in {page}");
    let figures = Figures::of(&team.parts);
    let series = "roster_http_requests_total{method=\"GET\",route=\"/\",status=\"5xx\"}";
    assert_eq!(figures.value(series), 1.0);
    assert_eq!(figures.value("roster_http_requests_in_flight"), 0.0);
}
