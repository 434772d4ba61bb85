//! `/readyz`: 503 when another instance would do better, 200 otherwise, and why in either case.

use crate::{
    on_both,
    support::{
        database::Kind,
        mailing::{change, until},
        team::{Setup, Team},
    },
};
use roster::{metrics::Metrics, store::Error};
use std::{
    sync::{Arc, Barrier, mpsc},
    time::{Duration, Instant},
};
use time::OffsetDateTime;
use tokio::sync::watch;

fn says(team: &Team, status: u16, body: &str) {
    let probe = team.visitor();
    let answer = probe.get("/readyz");
    assert_eq!((answer.status, answer.body.as_str()), (status, body));
    probe.get("/livez").expect(200);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

on_both! {
    /// Nothing is said about why: a stranger may ask too. The log has it.
    fn a_broken_database_is_not_ready(kind) {
        let team = Team::empty(kind);
        says(&team, 200, "database ok\nschema ok\nmail ok\n");
        change(&team.db, "ALTER TABLE deliveries RENAME TO gone");
        says(&team, 503, "database failed\nmail ok\n");
        change(&team.db, "ALTER TABLE gone RENAME TO deliveries");
        says(&team, 200, "database ok\nschema ok\nmail ok\n");
    }

    /// A database that says nothing must not make the probe say nothing.
    fn a_silent_database_is_not_ready(kind) {
        let team = Team::empty(kind);
        let connections = team.db.status().connections;
        let all_taken = Arc::new(Barrier::new(connections + 1));
        let (let_go, held): (Vec<_>, Vec<_>) = (0..connections).map(|_| mpsc::channel::<()>()).unzip();
        std::thread::scope(|scope| {
            for wait in held {
                let (db, all_taken) = (&team.db, Arc::clone(&all_taken));
                scope.spawn(move || {
                    runtime().block_on(db.read(move |_| {
                        all_taken.wait();
                        assert!(wait.recv().is_err(), "nothing is ever sent");
                        Ok::<_, Error>(())
                    }))
                });
            }
            all_taken.wait();
            assert_eq!(team.db.status().in_use, connections);
            says(&team, 503, "database failed: no answer within 2 s\nmail ok\n");
            drop(let_go);
        });
        assert!(team.db.status().waits > 0);
        says(&team, 200, "database ok\nschema ok\nmail ok\n");
    }

    /// A mail server that is away is away for all instances: none is taken out of service.
    fn an_old_letter_in_the_queue_is_said_and_stays_in_service(kind) {
        let acme = Team::acme(kind);
        acme.olivia.invite("noor@example.test", "member");
        acme.advance(time::Duration::minutes(4));
        says(&acme, 200, "database ok\nschema ok\nmail ok\n");
        acme.advance(time::Duration::minutes(10));
        says(&acme, 200, "database ok\nschema ok\nmail degraded: oldest letter due for 14 min\n");
        acme.deliver();
        says(&acme, 200, "database ok\nschema ok\nmail ok\n");
    }

    /// Workers that hang or have ended are this instance's own trouble: another one helps.
    fn an_instance_without_working_mail_workers_is_not_ready(kind) {
        let limit = Duration::from_millis(1500);
        let metrics = Metrics::missing_workers_after(limit, OffsetDateTime::UNIX_EPOCH);
        let team = Team::with(kind, Setup { metrics, ..Setup::default() });
        let workers = team.parts.app.metrics.mail_workers();
        let (stop, stopping) = watch::channel(false);
        let stuck = runtime();
        let at_work = stuck.block_on(async { team.parts.start_mail(&stopping) });
        // Nobody drives that runtime any more: its workers never look.
        until("they are silent", || workers.silence() > limit);
        says(&team, 503, "database ok\nschema ok\nmail failed: no worker has looked for letters for 0 min\n");
        // Driven again, they look.
        let again = Instant::now();
        stuck.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
        // Rounds are noted in whole milliseconds.
        assert!(workers.silence() <= again.elapsed() + Duration::from_millis(2));
        drop((at_work, stuck));
        says(&team, 503, "database ok\nschema ok\nmail failed: no worker is left here\n");
        drop(stop);
    }
}

/// Nobody asked for mail: that is no fault.
#[test]
fn without_mail_an_instance_is_ready() {
    let mut setup = Setup::default();
    setup.rules.mail_ready = false;
    let team = Team::with(Kind::Sqlite, setup);
    says(&team, 200, "database ok\nschema ok\nmail not set up\n");
}
