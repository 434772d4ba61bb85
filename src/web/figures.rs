//! `GET /metrics`, served on an address of its own: figures are for whoever runs Roster, not for the public.

use super::{app::App, health};
use crate::{
    metrics::Reading,
    password::Load,
    store::{self, Status, queue::Queue},
};
use actix_web::{
    HttpResponse, guard,
    http::StatusCode,
    web::{Data, ServiceConfig, resource, route},
};
use std::time::Duration;

/// How long the database may take for its part of a scrape.
const PATIENCE: Duration = Duration::from_secs(2);

/// Registers what the second address serves, and nothing else: no pages, no cookies.
pub fn configure(services: &mut ServiceConfig) {
    let read = || guard::Any(guard::Get()).or(guard::Head());
    services
        .service(resource("/metrics").route(route().guard(read()).to(show)))
        .service(resource("/livez").route(route().guard(read()).to(health::livez)))
        .service(resource("/readyz").route(route().guard(read()).to(health::readyz)));
}

async fn show(app: Data<App>) -> HttpResponse {
    let mut readings = about_the_process(&app);
    readings.extend(of_the_database(app.db.status()));
    readings.extend(of_the_hasher(app.hasher.load()));
    readings.extend(of_the_workers(&app));
    let (answers, queue) = ask(&app).await;
    readings.push(Reading::now(
        "roster_database_up",
        "Whether the database answered this scrape",
        if answers { 1.0 } else { 0.0 },
    ));
    if let Some(queue) = queue {
        readings.extend(of_the_queue(&app, &queue));
    }
    match app.metrics.text(readings) {
        Ok(text) => HttpResponse::Ok()
            .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
            .body(text),
        Err(error) => {
            tracing::error!(%error, "cannot write the figures");
            HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// Whether the database answers, and what it says about the queue.
async fn ask(app: &App) -> (bool, Option<Queue>) {
    let now = app.now();
    let asking = app.read(move |conn| Ok(store::queue::figures(conn, now)?));
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(queue)) => (true, Some(queue)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "no figures about the queue");
            (false, None)
        }
        Err(_) => {
            tracing::warn!("no figures about the queue: the database does not answer");
            (false, None)
        }
    }
}

fn of_the_queue(app: &App, queue: &Queue) -> [Reading; 5] {
    let now = app.now();
    let age = |since: Option<_>| since.map_or(0.0, |at| now.since(at).as_seconds_f64().max(0.0));
    [
        Reading::now(
            "roster_mail_queue_due",
            "Letters that a worker should take now",
            figure(queue.due),
        ),
        Reading::now(
            "roster_mail_queue_waiting",
            "Letters that wait for their next try",
            figure(queue.waiting),
        ),
        Reading::now(
            "roster_mail_queue_held",
            "Letters that a worker is sending",
            figure(queue.held),
        ),
        Reading::now(
            "roster_mail_queue_oldest_due_seconds",
            "For how long the oldest due letter has been due",
            age(queue.oldest_due),
        ),
        Reading::now(
            "roster_mail_queue_oldest_seconds",
            "How long ago the oldest unfinished letter was asked for",
            age(queue.oldest),
        ),
    ]
}

fn of_the_workers(app: &App) -> [Reading; 3] {
    let workers = app.metrics.mail_workers();
    let running = workers.running();
    let paused = app.board.trouble().is_some();
    [
        Reading::now(
            "roster_mail_paused",
            "Whether letters wait because the mail server refuses this Roster",
            if paused { 1.0 } else { 0.0 },
        ),
        Reading::now(
            "roster_mail_workers",
            "Mail workers of this process",
            count(running),
        ),
        Reading::now(
            "roster_mail_worker_silence_seconds",
            "How long ago one of them looked at the queue",
            if running == 0 {
                0.0
            } else {
                workers.silence().as_secs_f64()
            },
        ),
    ]
}

fn of_the_database(status: Status) -> Vec<Reading> {
    let mut readings = vec![
        Reading::now(
            "roster_database_connections",
            "Connections there may be",
            count(status.connections),
        ),
        Reading::now(
            "roster_database_connections_open",
            "Connections that are open",
            count(status.open),
        ),
        Reading::now(
            "roster_database_connections_in_use",
            "Connections that somebody works with",
            count(status.in_use),
        ),
        Reading::total(
            "roster_database_waits",
            "Times somebody had to wait for a connection",
            total(status.waits),
        ),
        Reading::total(
            "roster_database_timeouts",
            "Times somebody waited for the database in vain",
            total(status.timeouts),
        ),
    ];
    if let Some(writer) = status.writer {
        readings.extend([
            Reading::now(
                "roster_sqlite_writer_queue",
                "Writing transactions that wait for their turn",
                count(writer.waiting),
            ),
            Reading::total(
                "roster_sqlite_writer_jobs",
                "Writing transactions that were committed",
                total(writer.jobs),
            ),
            Reading::total(
                "roster_sqlite_writer_commits",
                "Commits that they shared",
                total(writer.commits),
            ),
        ]);
    }
    readings
}

fn of_the_hasher(load: Load) -> [Reading; 4] {
    [
        Reading::now(
            "roster_password_turns",
            "Passwords that may be hashed at a time",
            count(load.turns),
        ),
        Reading::now(
            "roster_password_turns_in_use",
            "Passwords being hashed",
            count(load.in_use),
        ),
        Reading::total(
            "roster_password_waits",
            "Times a password had to wait for its turn",
            total(load.waits),
        ),
        Reading::total(
            "roster_password_timeouts",
            "Times a password waited for its turn in vain",
            total(load.timeouts),
        ),
    ]
}

/// Under the names that every program uses for these.
fn about_the_process(app: &App) -> Vec<Reading> {
    let mut readings = vec![Reading::now(
        "process_start_time_seconds",
        "When the program started, in seconds since 1970",
        app.metrics.started(),
    )];
    // Not on every system; then they are left out.
    let optional = [
        (
            "process_resident_memory_bytes",
            "Memory in use",
            resident_bytes(),
        ),
        (
            "process_open_fds",
            "Files and sockets that are open",
            open_files(),
        ),
        (
            "process_max_fds",
            "Files and sockets that may be open",
            most_files(),
        ),
    ];
    for (name, help, value) in optional {
        readings.extend(value.map(|value| Reading::now(name, help, value)));
    }
    readings
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(total(kib * 1024))
}

fn open_files() -> Option<f64> {
    Some(count(std::fs::read_dir("/proc/self/fd").ok()?.count()))
}

fn most_files() -> Option<f64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus keeps every figure as a float; beyond 2^53 the last digit is of no interest"
)]
fn total(figure: u64) -> f64 {
    figure as f64
}

fn count(figure: usize) -> f64 {
    total(figure as u64)
}

fn figure(figure: i64) -> f64 {
    total(figure.max(0).unsigned_abs())
}
