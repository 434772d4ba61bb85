//! PostgreSQL that is stopped, killed, frozen, out of patience or out of room for one more: each answer within 3 s, a
//! 503 with `Retry-After` at worst; recovery by itself; nothing lost, nothing half done.

use crate::{
    callers::{Callers, let_pass, soaking},
    cluster::Cluster,
    support::{people::Person, process::Roster},
};
use roster::store::{Db, Options, Target};
use std::{
    thread,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};

/// How soon everything goes well again.
const BACK: Duration = Duration::from_secs(3);

/// A Roster on a PostgreSQL of its own.
struct Scene {
    roster: Roster,
    olivia: Person,
    cluster: Cluster,
    url: String,
    _folder: TempDir,
}

impl Scene {
    fn new(connections: &str, options: &str) -> Self {
        let (folder, cluster) = (tempdir().expect("a folder"), Cluster::start());
        let url = format!("{}{options}", cluster.url());
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("DATABASE_CONNECTIONS", connections),
        ];
        let roster = Roster::start(folder.path(), &settings);
        let olivia = roster.olivia();
        Self {
            roster,
            olivia,
            cluster,
            url,
            _folder: folder,
        }
    }

    /// `people` at work while `fault` happens; afterwards the promise is held against what they were told.
    fn during(&self, people: usize, what: &str, fault: impl FnOnce(&Callers)) -> Callers {
        let callers = Callers::default();
        thread::scope(|scope| {
            let _ending = callers.ending();
            callers.feel_the_pulse(scope, self.olivia.copy());
            for _ in 0..people {
                callers.join(scope, self.olivia.copy());
            }
            callers.wait_for_good(10);
            fault(&callers);
            callers.wait_for_good(20);
        });
        callers.check(what, &self.db());
        let log = self.roster.log();
        assert!(!log.contains("panicked"), "{log}");
        callers
    }

    fn db(&self) -> Db {
        let options = Options {
            target: Target::Postgres(self.url.clone()),
            connections: 2,
            synchronous_full: false,
        };
        Db::open(&options).expect("the database opens")
    }
}

#[test]
fn a_restart_of_postgres_costs_nobody_more_than_a_moment() {
    let scene = Scene::new("4", "");
    for mode in ["fast", "immediate"] {
        let what = format!("PostgreSQL restarted ({mode})");
        let mut back = None;
        let callers = scene.during(4, &what, |_| {
            scene.cluster.stop(mode);
            scene.cluster.again();
            back = Some(Instant::now());
        });
        callers.recovered(&what, back.expect("it is back"), BACK);
    }
}

#[test]
fn while_postgres_is_stopped_everybody_is_put_off_and_afterwards_it_goes_on_by_itself() {
    let scene = Scene::new("4", "");
    let time = Duration::from_secs(if soaking() { 60 } else { 5 });
    let what = format!("PostgreSQL stopped for {time:?}");
    let mut back = None;
    let callers = scene.during(4, &what, |_| {
        scene.cluster.stop("fast");
        let_pass(time);
        scene.cluster.again();
        back = Some(Instant::now());
    });
    callers.somebody_was_put_off();
    callers.recovered(&what, back.expect("it is back"), BACK);
}

#[test]
fn a_postgres_that_stands_still_keeps_nobody_waiting() {
    let scene = Scene::new("4", "");
    let mut back = None;
    let callers = scene.during(4, "PostgreSQL frozen", |callers| {
        scene.cluster.freeze();
        let_pass(Duration::from_secs(6));
        scene.cluster.thaw();
        back = Some(Instant::now());
        callers.wait_for_good(1);
    });
    callers.somebody_was_put_off();
    callers.recovered("PostgreSQL frozen for 6 s", back.expect("it is back"), BACK);
}

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing() {
    let scene = Scene::new("4", "");
    let rounds = if soaking() { 200 } else { 20 };
    let callers = scene.during(4, "backends terminated", |callers| {
        for _ in 0..rounds {
            scene.cluster.psql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
            );
            callers.wait_for_good(1);
        }
    });
    drop(callers);
}

#[test]
fn transactions_that_collide_are_repeated() {
    // Every change reads and writes the same organization, and the server demands an order among them.
    let scene = Scene::new(
        "6",
        "?options=-cdefault_transaction_isolation%3Dserializable",
    );
    let callers = scene.during(4, "serialization failures", |_| {
        for _ in 0..10 {
            scene.cluster.psql(
                "BEGIN; UPDATE organizations SET member_count = member_count; SELECT pg_sleep(0.1); COMMIT",
            );
        }
    });
    callers.nobody_was_put_off();
    assert!(
        scene.cluster.log().contains("could not serialize"),
        "nothing collided"
    );
}

#[test]
fn deadlocks_are_repeated() {
    let scene = Scene::new("4", "?options=-cdeadlock_timeout%3D20ms");
    // Somebody who takes the same two locks in the other order, and is more patient: Roster is the one to give way.
    let crossing = "SET deadlock_timeout = '1s'; BEGIN; LOCK TABLE audit_events IN EXCLUSIVE MODE; \
                    LOCK TABLE organizations IN EXCLUSIVE MODE; COMMIT";
    let met = || scene.cluster.log().matches("deadlock detected").count();
    let callers = scene.during(4, "deadlocks", |callers| {
        callers.wait("deadlocks happen", || {
            scene.cluster.try_psql(crossing);
            met() >= 3
        });
    });
    callers.nobody_was_put_off();
}

#[test]
fn a_locked_table_and_a_pool_of_two_put_everybody_off_in_time() {
    let scene = Scene::new("2", "");
    let mut back = None;
    let callers = scene.during(25, "table locked, 2 connections, 25 people", |_| {
        scene
            .cluster
            .psql("BEGIN; LOCK TABLE invitations; SELECT pg_sleep(5); COMMIT");
        back = Some(Instant::now());
    });
    callers.somebody_was_put_off();
    callers.recovered("table locked for 5 s", back.expect("it is free"), BACK);
}

#[test]
fn a_standby_that_takes_no_writes_puts_them_off_until_it_does() {
    let scene = Scene::new("4", "");
    let mut back = None;
    let callers = scene.during(4, "read-only PostgreSQL", |callers| {
        scene
            .cluster
            .psql("ALTER DATABASE postgres SET default_transaction_read_only = on");
        // Only new connections are read-only.
        scene.cluster.psql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
        callers.wait_for_refused(8);
        let url = format!(
            "{}?options=-cdefault_transaction_read_only%3Doff",
            scene.cluster.url()
        );
        scene.cluster.psql_at(
            &url,
            "ALTER DATABASE postgres SET default_transaction_read_only = off",
        );
        back = Some(Instant::now());
    });
    // No connection that answered "read-only" is kept.
    callers.recovered("read-only PostgreSQL", back.expect("it is back"), BACK);
}
