//! What Roster counts about itself since it started, and how Prometheus reads it. docs/observing.md explains every figure.
//!
//! Labels come from fixed sets only, never from a request's text: addresses hold tokens, and each new label costs memory
//! for ever. What is not counted but looked up (the queue, the connections) is handed in as [`Reading`]s with each scrape.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use time::OffsetDateTime;

/// Upper ends of the buckets for answers, in seconds. The team page takes a few milliseconds, a sign-in some thirty, and
/// nothing may take longer than the ten seconds at the end.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// How long the mail workers may go without looking at the queue. A look takes at most as long as the longest
/// conversation with a mail server, which is less than the three minutes of a lease.
const SILENT_AFTER: Duration = Duration::from_secs(300);

/// Everything that is counted. Clones share it.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    started: OffsetDateTime,
    requests: Family<Request, Counter>,
    route_seconds: Family<Route, Counter<f64, AtomicU64>>,
    durations: Family<Kind, Histogram>,
    in_flight: Gauge,
    passwords: Family<PasswordAttempt, Counter>,
    mail_attempts: Counter,
    deliveries: Family<Letter, Counter>,
    mail_workers: Workers,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct PasswordAttempt {
    form: &'static str,
    result: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Letter {
    outcome: &'static str,
}

/// Where somebody typed a password of theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordForm {
    /// The sign-in form.
    SignIn,
    /// A form that asks for the password once more.
    Confirm,
    /// The page of an invitation that was accepted a moment ago.
    Invitation,
}

impl PasswordForm {
    const ALL: [Self; 3] = [Self::SignIn, Self::Confirm, Self::Invitation];

    /// Its label, also in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Confirm => "confirm",
            Self::Invitation => "invitation",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordResult {
    /// It was right.
    Ok,
    /// It was not, or there is no such account.
    Wrong,
    /// There were too many attempts before.
    Throttled,
    /// Too many passwords were being checked at that moment.
    Busy,
}

impl PasswordResult {
    const ALL: [Self; 4] = [Self::Ok, Self::Wrong, Self::Throttled, Self::Busy];

    /// Its label, also in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wrong => "wrong",
            Self::Throttled => "throttled",
            Self::Busy => "busy",
        }
    }
}

/// What one attempt to send a letter led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterOutcome {
    /// A server accepted it.
    Sent,
    /// Refused for good, or given up.
    Failed,
    /// It left and nobody knows whether it arrived.
    Unknown,
    /// There was no reason to send it any more.
    Dropped,
    /// It is tried again later.
    Retried,
}

impl LetterOutcome {
    const ALL: [Self; 5] = [
        Self::Sent,
        Self::Failed,
        Self::Unknown,
        Self::Dropped,
        Self::Retried,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Dropped => "dropped",
            Self::Retried => "retried",
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Metrics {
    /// Counts from nought, for a program that started at this moment.
    pub fn new(started: OffsetDateTime) -> Self {
        Self::missing_workers_after(SILENT_AFTER, started)
    }

    /// The same, with another limit for [`Health::Silent`].
    pub fn missing_workers_after(limit: Duration, started: OffsetDateTime) -> Self {
        let mut inner = Inner {
            registry: Registry::default(),
            started,
            requests: Family::default(),
            route_seconds: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            passwords: Family::default(),
            mail_attempts: Counter::default(),
            deliveries: Family::default(),
            mail_workers: Workers::silent_after(limit),
        };
        inner.start_at_nought();
        inner.register();
        Self(Arc::new(inner))
    }

    /// A request has arrived. It counts as under way until the answer is dropped.
    pub fn begin(&self) -> UnderWay {
        self.0.in_flight.inc();
        UnderWay {
            metrics: self.clone(),
            start: Instant::now(),
        }
    }

    /// Somebody typed a password.
    pub fn password(&self, form: PasswordForm, result: PasswordResult) {
        let labels = PasswordAttempt {
            form: form.as_str(),
            result: result.as_str(),
        };
        self.0.passwords.get_or_create(&labels).inc();
    }

    /// A worker took a letter to send it.
    pub fn letter_attempted(&self) {
        self.0.mail_attempts.inc();
    }

    /// What came of it was recorded.
    pub fn letter(&self, outcome: LetterOutcome) {
        let outcome = outcome.as_str();
        self.0.deliveries.get_or_create(&Letter { outcome }).inc();
    }

    /// This program's mail workers.
    pub fn mail_workers(&self) -> &Workers {
        &self.0.mail_workers
    }

    /// When the program started, in seconds since 1970.
    pub fn started(&self) -> f64 {
        (self.0.started - OffsetDateTime::UNIX_EPOCH).as_seconds_f64()
    }

    /// Everything in OpenMetrics' text form, with what was looked up for this scrape.
    ///
    /// # Errors
    /// None that is known; the writer could refuse.
    pub fn text(&self, readings: Vec<Reading>) -> Result<String, fmt::Error> {
        let mut now = Registry::default();
        for Reading { name, help, value } in readings {
            match value {
                Value::Now(value) => now.register(name, help, ConstGauge::new(value)),
                Value::Total(value) => now.register(name, help, ConstCounter::new(value)),
            }
        }
        let mut text = String::new();
        text::encode_registry(&mut text, &self.0.registry)?;
        text::encode_registry(&mut text, &now)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Inner {
    /// A counter that is missing until it first counts hides its first increase from Prometheus.
    fn start_at_nought(&self) {
        for form in PasswordForm::ALL.map(PasswordForm::as_str) {
            for result in PasswordResult::ALL.map(PasswordResult::as_str) {
                let labels = PasswordAttempt { form, result };
                drop(self.passwords.get_or_create(&labels));
            }
        }
        for outcome in LetterOutcome::ALL.map(LetterOutcome::as_str) {
            drop(self.deliveries.get_or_create(&Letter { outcome }));
        }
    }

    fn register(&mut self) {
        let to = &mut self.registry;
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("roster_build", "Which program this is", version);
        to.register(
            "roster_http_requests",
            "Requests answered",
            self.requests.clone(),
        );
        to.register(
            "roster_http_route_seconds",
            "Seconds spent on requests until their answer began",
            self.route_seconds.clone(),
        );
        to.register(
            "roster_http_request_duration_seconds",
            "How long requests took until their answer began",
            self.durations.clone(),
        );
        to.register(
            "roster_http_requests_in_flight",
            "Requests under way",
            self.in_flight.clone(),
        );
        to.register(
            "roster_password_attempts",
            "Passwords typed to sign in or to confirm",
            self.passwords.clone(),
        );
        to.register(
            "roster_mail_attempts",
            "Letters taken from the queue to be sent",
            self.mail_attempts.clone(),
        );
        to.register(
            "roster_mail_deliveries",
            "What attempts to send led to",
            self.deliveries.clone(),
        );
    }
}

/// A request that is being answered.
pub struct UnderWay {
    metrics: Metrics,
    start: Instant,
}

/// How a request is counted: words from fixed sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Labels {
    /// The method.
    pub method: &'static str,
    /// The route's pattern, never an address.
    pub route: &'static str,
    /// What sort of thing was asked for.
    pub kind: &'static str,
}

impl UnderWay {
    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// It was answered, with this status.
    pub fn answered(&self, labels: Labels, status: u16) {
        let Labels {
            method,
            route,
            kind,
        } = labels;
        let seconds = self.start.elapsed().as_secs_f64();
        let inner = &self.metrics.0;
        let request = Request {
            method,
            route,
            status: class(status),
        };
        inner.requests.get_or_create(&request).inc();
        let of_route = Route { method, route };
        inner.route_seconds.get_or_create(&of_route).inc_by(seconds);
        inner
            .durations
            .get_or_create(&Kind { kind })
            .observe(seconds);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.metrics.0.in_flight.dec();
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}

/// Something that was looked up for one scrape.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    name: &'static str,
    help: &'static str,
    value: Value,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Value {
    Now(f64),
    Total(f64),
}

impl Reading {
    /// A value that goes up and down.
    pub const fn now(name: &'static str, help: &'static str, value: f64) -> Self {
        let value = Value::Now(value);
        Self { name, help, value }
    }

    /// A value that only grows. Its name gets `_total` at the end by itself.
    pub const fn total(name: &'static str, help: &'static str, value: f64) -> Self {
        let value = Value::Total(value);
        Self { name, help, value }
    }
}

/// Workers that have to come round again and again, and whether they still do. Time is the machine's own, which no
/// change of the clock moves. Clones share it.
#[derive(Clone)]
pub struct Workers(Arc<Rounds>);

struct Rounds {
    silent_after: Duration,
    origin: Instant,
    /// How many were ever started.
    started: AtomicUsize,
    running: AtomicUsize,
    /// Milliseconds after `origin`.
    last: AtomicU64,
}

/// How the workers are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// None was ever started.
    Unused,
    /// They come round.
    Well,
    /// All have ended.
    Ended,
    /// None has come round for this long.
    Silent(Duration),
}

impl Workers {
    /// No worker yet; they count as silent when none has come round for `limit`.
    pub fn silent_after(limit: Duration) -> Self {
        Self(Arc::new(Rounds {
            silent_after: limit,
            origin: Instant::now(),
            started: AtomicUsize::new(0),
            running: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        }))
    }

    /// One more worker, until the answer is dropped. To be asked for before the worker runs: one that never gets to run is
    /// missed too.
    pub fn join(&self) -> Worker {
        self.came_round();
        self.0.started.fetch_add(1, Ordering::Relaxed);
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Worker(self.clone())
    }

    /// One of them came round.
    pub fn came_round(&self) {
        let millis = self.0.origin.elapsed().as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.0.last.store(millis, Ordering::Relaxed);
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed)
    }

    /// How long ago one of them came round.
    pub fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.0.last.load(Ordering::Relaxed));
        self.0.origin.elapsed().saturating_sub(last)
    }

    /// How they are.
    pub fn health(&self) -> Health {
        if self.0.started.load(Ordering::Relaxed) == 0 {
            return Health::Unused;
        }
        if self.running() == 0 {
            return Health::Ended;
        }
        match self.silence() {
            silence if silence > self.0.silent_after => Health::Silent(silence),
            _ => Health::Well,
        }
    }
}

/// A running worker.
pub struct Worker(Workers);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: Labels = Labels {
        method: "GET",
        route: "/orgs/{org}",
        kind: "page",
    };

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|it| it == line)
    }

    #[test]
    fn requests_are_counted_by_route_and_class() {
        let metrics = Metrics::default();
        let request = metrics.begin();
        let text = metrics.text(Vec::new()).unwrap();
        assert!(has(&text, "roster_http_requests_in_flight 1"), "{text}");
        request.answered(LABELS, 200);
        drop(request);
        metrics.begin().answered(LABELS, 204);
        metrics.begin().answered(LABELS, 503);
        let text = metrics.text(Vec::new()).unwrap();
        for line in [
            "roster_http_requests_in_flight 0",
            "roster_http_requests_total{method=\"GET\",route=\"/orgs/{org}\",status=\"2xx\"} 2",
            "roster_http_requests_total{method=\"GET\",route=\"/orgs/{org}\",status=\"5xx\"} 1",
            "roster_http_request_duration_seconds_bucket{le=\"+Inf\",kind=\"page\"} 3",
            "roster_password_attempts_total{form=\"sign_in\",result=\"busy\"} 0",
            "# EOF",
        ] {
            assert!(has(&text, line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn readings_are_written_beside_what_is_counted() {
        let readings = vec![
            Reading::now("roster_queue", "Help", 3.0),
            Reading::total("roster_waits", "Help", 4.0),
        ];
        let text = Metrics::default().text(readings).unwrap();
        assert!(has(&text, "roster_queue 3.0"), "{text}");
        assert!(has(&text, "roster_waits_total 4.0"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1, "{text}");
    }

    #[test]
    fn workers_are_missed_when_they_end_or_fall_silent() {
        let workers = Workers::silent_after(Duration::ZERO);
        assert_eq!(workers.health(), Health::Unused);
        let one = workers.join();
        std::thread::sleep(Duration::from_millis(3));
        assert!(matches!(workers.health(), Health::Silent(_)));
        drop(one);
        assert_eq!(workers.health(), Health::Ended);

        let patient = Workers::silent_after(Duration::from_secs(3600));
        let (one, two) = (patient.join(), patient.join());
        assert_eq!((patient.health(), patient.running()), (Health::Well, 2));
        drop(one);
        assert_eq!(patient.health(), Health::Well);
        drop(two);
        assert_eq!(patient.health(), Health::Ended);
    }
}
