//! Housekeeping: what means nothing any more is forgotten, a batch at a time, and nothing before its time.

use crate::{
    on_both,
    support::team::{Setup, Team},
};
use roster::{
    actions::{Failure, Run, housekeeping},
    domain::{policy, refusal::Refusal, role::Role},
    store::{Error, Repeatable as _},
};
use time::ext::NumericalDuration as _;
use uuid::Uuid;

const NOOR: &str = "noor@example.test";

/// Rows of one table forgotten at once.
const BATCH: usize = 200;

/// What is forgotten, each with its columns.
const FORGOTTEN: [(&str, &str); 4] = [
    (
        "sessions",
        "token_hash, id, account_id, created_at, last_seen_at, address, agent",
    ),
    ("quotas", "scope, subject, window_start, used"),
    ("notifications", "account_id, id, kind, at"),
    (
        "proofs",
        "id, account_id, purpose, email, email_key, link_version, created_at, expires_at",
    ),
];

/// Forgets one batch, and answers whether there may be more.
fn sweep(team: &Team) -> bool {
    let (means, now) = (team.parts.app.means.clone(), team.parts.app.now());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let more = team.db.write(move |conn| {
        housekeeping::sweep(&mut Run::new(conn, now, &means))
            .map_err(|failure| Error::Broken(failure.to_string()))
    });
    runtime.block_on(more).expect("the sweep runs")
}

/// So many rows of Mia's that have meant nothing for a year.
fn old_rows(team: &Team, table: &str, columns: &str, count: usize) {
    let at = team.instant(team.now() - 400 * 86_400_000_000);
    let mia = "(SELECT id FROM accounts WHERE email_key = 'mia@example.test')";
    let row = |n: usize| {
        let number = Uuid::from_u128(0x019a_a4f0_0000_7000_8000_0000_0000_0000 + n as u128);
        let id = team.uuid(number);
        match table {
            "sessions" => {
                let hash = if team.on_postgres() {
                    format!("decode('{}', 'hex')", number.simple())
                } else {
                    id.clone()
                };
                format!("({hash}, {id}, {mia}, {at}, {at}, '127.0.0.1', 'curl')")
            }
            "quotas" => format!("('sign_in_here', 'somebody {n}', {at}, 1)"),
            "notifications" => format!("({mia}, {id}, 'password_changed', {at})"),
            _ => format!("({id}, {mia}, 'reset_password', 'm', 'm', 1, {at}, {at})"),
        }
    };
    let rows: Vec<String> = (0..count).map(row).collect();
    team.sql(&format!(
        "INSERT INTO {table} ({columns}) VALUES {}",
        rows.join(", ")
    ));
}

on_both! {
    /// One batch in each transaction, so that no page waits for it; and the next at once, whatever there is more of.
    fn a_full_batch_is_followed_by_another(kind) {
        let acme = Team::acme(kind);
        for (table, columns) in FORGOTTEN {
            let kept = acme.count(table);
            old_rows(&acme, table, columns, BATCH + 1);
            assert!(sweep(&acme), "more {table}");
            assert_eq!(acme.count(table), kept + 1, "one batch of {table}");
            assert!(!sweep(&acme), "no more {table}");
            assert_eq!(acme.count(table), kept, "what is new stays: {table}");
        }
    }

    /// R-INV-8: a limit of the day holds until midnight, however often old counters are forgotten.
    fn a_counter_is_kept_as_long_as_its_window(kind) {
        let mut setup = Setup::default();
        setup.rules.mail.per_address = 1;
        let acme = Team::acme_with(kind, setup);
        acme.adam.invite(NOOR, "member");
        acme.advance(14.hours());
        sweep(&acme);
        acme.adam.resend(NOOR).expect(429).shows("The daily limit is used up.");
        acme.advance(1.hours());
        sweep(&acme);
        acme.adam.resend(NOOR).expect(303);
    }
}

/// Only two transactions that met are worth another try; what a rule or the database says is said again.
#[test]
fn only_a_collision_is_repeated() {
    let why = String::new;
    assert!(Failure::from(Error::Collision(why())).repeatable());
    for failure in [
        Failure::from(Error::Unavailable(why())),
        Failure::from(Error::Broken(why())),
        Failure::from(Refusal::LinkUsed),
        Failure::NotFound,
        Failure::SignedOut,
    ] {
        assert!(!failure.repeatable(), "{failure}");
    }
}

/// What goes wrong beside the requests is only in the log: there it says what it was.
#[test]
fn the_log_names_the_failure() {
    let denied = policy::check(Role::Viewer, policy::Permission::InviteMember);
    for (failure, words) in [
        (
            Failure::from(Error::Broken("no table".into())),
            "broken: no table",
        ),
        (
            Failure::from(Error::Unavailable("full".into())),
            "unavailable: full",
        ),
        (
            Failure::from(Error::Collision("both".into())),
            "unavailable: both",
        ),
        (Failure::from(Refusal::LinkUsed), "link_used"),
        (
            denied.map_or_else(Failure::from, |()| Failure::NotFound),
            "denied: Viewer may not invite people",
        ),
        (Failure::SignedOut, "signed out"),
        (Failure::NotFound, "not found"),
    ] {
        assert_eq!(failure.to_string(), words);
    }
}
