//! For load balancers: is the process there, can it serve. A line for each thing that has to work.

use super::{app::App, page};
use crate::{
    metrics::Health,
    store::{self, Schema},
};
use actix_web::{HttpResponse, http::StatusCode, web::Data};
use std::time::Duration;

/// How long the database may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a letter may have been due before the queue counts as stuck. A worker looks every few seconds.
const STUCK_AFTER: time::Duration = time::Duration::minutes(5);

/// One thing that has to work.
struct Line {
    says: String,
    /// Whether another instance would do better: only then should this one get no more requests.
    replace: bool,
}

impl Line {
    fn fine(says: impl Into<String>) -> Self {
        Self {
            says: says.into(),
            replace: false,
        }
    }

    fn replace(says: impl Into<String>) -> Self {
        Self {
            says: says.into(),
            replace: true,
        }
    }
}

/// `GET /livez`: the process answers.
pub(super) async fn livez() -> HttpResponse {
    plain(StatusCode::OK, "ok\n".to_owned())
}

/// `GET /readyz`: 200 when requests can be served here, 503 when not. Says why in either case, and nothing that a stranger
/// must not know.
pub(super) async fn readyz(app: Data<App>) -> HttpResponse {
    let (mut lines, oldest_due) = database(&app).await;
    lines.push(mail(&app, oldest_due));
    let status = if lines.iter().any(|line| line.replace) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    plain(
        status,
        lines
            .iter()
            .map(|line| format!("{}\n", line.says))
            .collect(),
    )
}

fn plain(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .body(body)
}

/// Whether the database answers and has the tables this program knows, and for how long the oldest letter has been due.
async fn database(app: &App) -> (Vec<Line>, Option<time::Duration>) {
    let now = app.now();
    let asking = app.read(move |conn| {
        // First: what is asked next may be missing in another program's tables.
        let schema = store::schema(conn)?;
        let oldest = match schema {
            Schema::Current => store::queue::oldest_due(conn, now)?,
            _ => None,
        };
        Ok((schema, oldest))
    });
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok((schema, oldest))) => (
            vec![writing(app), tables(&schema)],
            oldest.map(|at| now.since(at)),
        ),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the database fails");
            (vec![Line::replace("database failed")], None)
        }
        Err(_) => {
            tracing::warn!("not ready: the database does not answer");
            let seconds = PATIENCE.as_secs();
            let says = format!("database failed: no answer within {seconds} s");
            (vec![Line::replace(says)], None)
        }
    }
}

/// The database answers. Whether it also keeps what is written, as far as can be told without writing.
fn writing(app: &App) -> Line {
    match app.db.check_writing() {
        Ok(()) => Line::fine("database ok"),
        Err(error) => {
            tracing::error!(%error, "not ready: nothing can be written");
            Line::replace("database failed: nothing can be written")
        }
    }
}

/// Newer tables are there while an update replaces one instance after the other: the old ones go on until it is their
/// turn, or nobody would serve.
fn tables(schema: &Schema) -> Line {
    match schema {
        Schema::Current => Line::fine("schema ok"),
        Schema::Ahead(_) => Line::fine("schema degraded: newer than this program"),
        Schema::Behind(_) | Schema::None => Line::replace("schema failed: older than this program"),
    }
}

/// A mail server that is away is away for every instance: that takes none of them out of service. Workers that are gone
/// are gone here only.
fn mail(app: &App, oldest_due: Option<time::Duration>) -> Line {
    if !app.means.rules.mail_ready {
        return Line::fine("mail not set up");
    }
    match app.metrics.mail_workers().health() {
        Health::Ended => return Line::replace("mail failed: no worker is left here"),
        Health::Silent(silence) => {
            let minutes = silence.as_secs() / 60;
            let says = format!("mail failed: no worker has looked for letters for {minutes} min");
            return Line::replace(says);
        }
        Health::Well | Health::Unused => {}
    }
    if let Some(trouble) = app.board.trouble() {
        let since = page::wait(app.now(), trouble.since);
        return Line::fine(format!(
            "mail degraded: the mail server has refused letters for {since}"
        ));
    }
    match oldest_due {
        Some(age) if age >= STUCK_AFTER => {
            let age = page::wait(app.now().plus(age), app.now());
            Line::fine(format!("mail degraded: oldest letter due for {age}"))
        }
        _ => Line::fine("mail ok"),
    }
}
