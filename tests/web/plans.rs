//! How the databases answer every statement of Roster's: by an index, never by reading a table from one end to the
//! other, never by sorting what a list shows. Then a page costs the same however large an organization is.
//!
//! The statements are those that are really asked while every page is visited and every form is sent. What SQLite does
//! with each is kept in a golden file: a change shows up in review. PostgreSQL has none, as its plans differ between
//! versions; the rules hold for both.

use crate::{
    on_both,
    support::{
        database::{Kind, TestDatabase},
        facts,
        people::Person,
        routes::{Route, fill},
        seeds::{Happening, Seed},
        statements::{Statements, plan, plan_as_it_is, readable},
        team::{Acme, START, Setup, Team},
    },
};
use roster::{
    actions::{Failure, Run, housekeeping},
    clock::Clock,
    domain::{quota::MailLimits, role::Role},
    store::{
        Error, Part, Target,
        invitations::Shelf,
        memberships::{self, MemberFilter, Order, SortBy},
    },
    web::ROUTES,
};
use std::collections::{BTreeMap, BTreeSet};
use time::Duration;

/// What is wrong with a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fault {
    ReadsATable,
    ReadsAnIndex,
    Sorts,
}

/// A statement that may have one fault.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Exception {
    /// Its beginning, and what follows somewhere behind it, in this order.
    statement: (&'static str, &'static [&'static str]),
    fault: Fault,
    reason: &'static str,
}

impl Exception {
    fn is_for(&self, statement: &str, fault: Fault) -> bool {
        let (begins, parts) = self.statement;
        let rest = statement.strip_prefix(begins).and_then(|rest| {
            let mut parts = parts.iter();
            parts.try_fold(rest, |rest, part| Some(rest.split_once(part)?.1))
        });
        fault == self.fault && rest.is_some()
    }
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        statement: (
            "SELECT … FROM (memberships INNER JOIN accounts ON (memberships.account_id = accounts.id)) WHERE ",
            &[
                "(memberships.account_id IN (SELECT * FROM (SELECT membership_words.account_id FROM membership_words WHERE ",
                " ORDER BY memberships.",
            ],
        ),
        fault: Fault::Sorts,
        reason: "a search sorts all that it found: its cost grows with the number of matches",
    },
    Exception {
        statement: (
            "SELECT … FROM sessions WHERE ((((sessions.account_id = ?) AND (sessions.last_seen_at > ?))",
            &[" ORDER BY sessions.last_seen_at DESC, sessions.id DESC "],
        ),
        fault: Fault::Sorts,
        reason: "a person's browsers: few, and an index in their order would be written with every visit",
    },
];

/// Forms that change the people or the organization: they come last, the organization's end at the very last.
const LAST: [&str; 7] = [
    "/account/sessions/sign-out-all",
    "/account/password",
    "/orgs/{org}/settings/team/members/{account}/remove",
    "/orgs/{org}/transfer-ownership",
    "/orgs/{org}/leave",
    "/orgs/{org}/delete",
    "/account/delete",
];

/// Acme, with more of everything than fits on a page.
fn acme(database: TestDatabase) -> Acme {
    let mut setup = Setup::default();
    setup.rules.mail = MailLimits {
        per_person: 100_000,
        per_organization: 100_000,
        ..MailLimits::default()
    };
    let acme = Team::on(database, setup, Clock::manual(START)).into_acme();
    // The seeds came before Olivia: she is not the first, who need not confirm an address.
    acme.sql("UPDATE accounts SET verified_at = created_at");
    let seeds: Vec<Seed> = (0..120_u32)
        .map(|n| {
            let active = (n % 3 > 0).then(|| acme.days_ago(100 + i64::from(n)));
            let name = format!("Seed {n}");
            Seed::new(1000 + u128::from(n), &name, acme.days_ago(300), active)
        })
        .collect();
    acme.seed_members(&seeds);
    let events: Vec<Happening> = (0..120_u64)
        .map(|id| Happening {
            id,
            at: acme.days_ago(30),
            verb: "invite",
            actor: "Seed 1".to_owned(),
            target: "guest1@example.test".to_owned(),
        })
        .collect();
    acme.seed_events(&events);
    let soon = acme.now() + 86_400_000_000;
    let states = ["pending", "accepted", "rejected", "revoked", "superseded"];
    for (number, state) in (1_u128..).zip(states) {
        acme.seed_invitations(number * 100_000, 60, state, soon);
    }
    acme.seed_invitations(900_000, 60, "pending", acme.days_ago(2));
    acme.seed_notifications("olivia@example.test", 60);
    acme.seed_a_crowd();
    acme
}

/// The queries with which a page is asked for.
fn variants(pattern: &str) -> Vec<String> {
    let mut queries = vec![String::new()];
    match pattern {
        "/orgs/{org}/settings/team" => {
            for by in SortBy::ALL.map(SortBy::as_str) {
                for order in ["", "desc"] {
                    for filter in [
                        "",
                        "&q=seed",
                        "&q=mia",
                        "&q=seed+1",
                        "&role=member",
                        "&q=s&role=member",
                    ] {
                        queries.push(format!("?sort={by}&order={order}{filter}"));
                    }
                }
            }
        }
        "/orgs/{org}/settings/team/invitations" => {
            for shelf in Shelf::ALL.map(Shelf::as_str) {
                for filter in ["", "&q=guest"] {
                    queries.push(format!("?state={shelf}{filter}"));
                }
            }
        }
        "/orgs/{org}/settings/audit" | "/orgs/{org}/settings/audit/export" => {
            for person in ["", "Seed 1", "olivia@example.test", "guest1@example.test"] {
                for verb in ["", "invite"] {
                    for days in [
                        "",
                        "&since=2026-10-01",
                        "&since=2026-10-01&until=2026-11-20",
                    ] {
                        let person = person.replace(' ', "+");
                        queries.push(format!("?person={person}&verb={verb}{days}"));
                    }
                }
            }
        }
        "/orgs/{org}/transfer-ownership" => {
            queries.extend(["?q=seed", "?q=mia"].map(str::to_owned));
        }
        "/orgs/{org}" => queries.push("?stay".to_owned()),
        _ => {}
    }
    queries
}

/// Asks for a page and, where it is a list, for the next page and the one before that.
fn look(person: &Person, path: &str) {
    let page = person.get(path);
    assert!(page.status < 500, "{path}: {}", page.text());
    if let Some(next) = page.urls_containing("after=").pop()
        && let Some(previous) = person.get(&next).urls_containing("before=").pop()
    {
        person.get(&previous).expect(200);
    }
}

fn last_part(path: &str) -> String {
    path.rsplit('/').next().expect("a path").to_owned()
}

/// What the parts of an address stand for, made anew for each route.
struct Parts {
    number: u32,
}

impl Parts {
    fn of(&mut self, acme: &Acme, pattern: &str) -> Vec<(&'static str, String)> {
        self.number += 1;
        // Past the cooldown of the last mail, and past the counters of signing in.
        acme.advance(Duration::minutes(16));
        let email = format!("someone{}@example.test", self.number);
        let mut token = "none".to_owned();
        let mut id = "none".to_owned();
        if pattern.starts_with("/verify-email/") {
            acme.sign_up_unconfirmed("Gus Guest", &email, "Gus Works");
            token = last_part(&acme.path_for(&email, "/verify-email/"));
        } else if pattern.starts_with("/reset-password/") {
            acme.sign_up("Gus Guest", &email, "Gus Works");
            let visitor = acme.visitor();
            visitor
                .get("/forgot-password")
                .submit("/forgot-password", &[("email", &email)])
                .expect(303);
            token = last_part(&acme.path_for(&email, "/reset-password/"));
        } else if pattern.contains("{id}") || pattern.contains("{token}") {
            acme.olivia.invite(&email, "member");
            token = last_part(&acme.link_for(&email));
            id = last_part(&acme.olivia.invitation_url(&email));
            acme.advance(Duration::seconds(61));
        }
        if pattern.starts_with("/account/sessions/") {
            id = acme.session_id("olivia@example.test");
        }
        vec![
            ("org", "acme".to_owned()),
            ("id", id),
            ("token", token),
            ("account", acme.account_id("vic@example.test")),
            ("file", "app.css".to_owned()),
            ("document", "terms".to_owned()),
            ("fresh", format!("fresh{}@example.test", self.number)),
        ]
    }
}

/// What the program does by itself, once.
fn work(acme: &Acme) {
    acme.remind();
    acme.advance(Duration::days(3));
    acme.tell_of_lapses();
    acme.deliver();
    acme.advance(Duration::days(400));
    let (means, now) = (acme.parts.app.means.clone(), acme.parts.app.now());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let swept = acme.db.write(move |conn| {
        housekeeping::sweep(&mut Run::new(conn, now, &means))
            .map_err(|failure: Failure| Error::Broken(failure.to_string()))
    });
    runtime.block_on(swept).expect("the sweep runs");
}

/// Everything that is asked while somebody does everything there is.
fn statements(acme: &Acme, asked: &Statements) -> BTreeSet<String> {
    let mut parts = Parts { number: 0 };
    // What making the rows asked is none of Roster's.
    asked.take();
    let mut all = BTreeSet::new();
    for (_, pattern) in ROUTES.iter().filter(|(method, _)| *method == "GET") {
        let given = parts.of(acme, pattern);
        let given: Vec<(&str, &str)> = given
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let path = fill(pattern, &given);
        for query in variants(pattern) {
            let url = format!("{path}{query}");
            look(&acme.olivia, &url);
            look(&acme.mia, &url);
        }
        look(&acme.vic, &path);
        look(&acme.visitor(), &path);
        look(&acme.adam, &path);
    }
    let forms = ROUTES
        .iter()
        .filter(|(method, pattern)| *method == "POST" && !LAST.contains(pattern));
    let last = LAST.iter().map(|pattern| ("POST", *pattern));
    for (method, pattern) in forms.copied().chain(last) {
        let given = parts.of(acme, pattern);
        let given: Vec<(&str, &str)> = given
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let route = Route {
            method,
            pattern,
            parts: &given,
        };
        for email in ["olivia@example.test", "mia@example.test", ""] {
            let person = acme.visitor();
            if !email.is_empty() {
                person.sign_in(email);
            }
            let answer = route.ask(&person, &[]);
            assert!(answer.status < 500, "{pattern}: {}", answer.text());
        }
    }
    all.extend(asked.take());
    work(acme);
    all.extend(asked.take());
    all
}

/// Whether SQLite goes through a table or an index from one end. The one row that is no table's, and what was found up
/// to a limit in order to count it, are neither.
fn whole_table(plan: &[String]) -> bool {
    let harmless = ["SCAN CONSTANT ROW", "SCAN counted"];
    plan.iter()
        .any(|step| step.contains("SCAN ") && !harmless.contains(&step.as_str()))
}

/// Whether PostgreSQL goes through an index from one end: the condition of a scan stands in the line after it.
fn whole_index(plan: &[String]) -> bool {
    let scans = ["Index Scan", "Index Only Scan"];
    plan.iter().enumerate().any(|(at, step)| {
        let condition = plan.get(at + 1);
        scans.iter().any(|scan| step.contains(scan))
            && !condition.is_some_and(|next| next.contains("Index Cond"))
    })
}

/// The worst that is wrong with a plan: an exception for the least excuses no other.
fn fault(kind: Kind, plan: &[String]) -> Option<Fault> {
    let has = |word: &str| plan.iter().any(|step| step.contains(word));
    match kind {
        Kind::Sqlite if whole_table(plan) => Some(Fault::ReadsATable),
        Kind::Sqlite if has("USE TEMP B-TREE") => Some(Fault::Sorts),
        Kind::Postgres if has("Seq Scan") => Some(Fault::ReadsATable),
        Kind::Postgres if whole_index(plan) => Some(Fault::ReadsAnIndex),
        Kind::Postgres if has("Sort Key") => Some(Fault::Sorts),
        Kind::Sqlite | Kind::Postgres => None,
    }
}

#[test]
fn faults_are_found() {
    let postgres = |plan: &str| {
        let steps: Vec<String> = plan.split('/').map(str::to_owned).collect();
        fault(Kind::Postgres, &steps)
    };
    let found = "Index Scan using accounts_pkey on accounts/  Index Cond: (id = $1)";
    assert_eq!(postgres(found), None);
    let at_the_end = "Limit/  ->  Index Only Scan using accounts_pkey on accounts";
    assert_eq!(postgres(at_the_end), Some(Fault::ReadsAnIndex));
    let filtered = "Index Scan using accounts_pkey on accounts/  Filter: (name = $1)";
    assert_eq!(postgres(filtered), Some(Fault::ReadsAnIndex));
    let bits = "Bitmap Heap Scan on accounts/  ->  Bitmap Index Scan on accounts_pkey";
    assert_eq!(postgres(bits), Some(Fault::ReadsAnIndex));
    let both = "Sort/  Sort Key: name/  ->  Index Scan using accounts_pkey on accounts";
    assert_eq!(postgres(both), Some(Fault::ReadsAnIndex));
    assert_eq!(
        postgres(&format!("Sort/  Sort Key: name/{found}")),
        Some(Fault::Sorts)
    );
    assert_eq!(postgres("Seq Scan on accounts"), Some(Fault::ReadsATable));
}

#[test]
fn an_exception_is_for_one_fault_of_one_statement() {
    let exception = Exception {
        statement: ("SELECT … FROM accounts WHERE ", &[" ORDER BY "]),
        fault: Fault::Sorts,
        reason: "an example",
    };
    let listed = "SELECT … FROM accounts WHERE (id = ?) ORDER BY name";
    assert!(exception.is_for(listed, Fault::Sorts));
    assert!(!exception.is_for(listed, Fault::ReadsATable));
    for other in [
        "SELECT … FROM accounts WHERE (id = ?)",
        "SELECT … FROM teams WHERE (id = ?) ORDER BY name",
        "DELETE FROM accounts WHERE id IN (SELECT … FROM accounts WHERE (id = ?) ORDER BY name)",
    ] {
        assert!(!exception.is_for(other, Fault::Sorts), "{other}");
    }
}

fn shown(text: &str, steps: &[String]) -> String {
    format!("{text}\n    {}\n", steps.join("\n    "))
}

/// Compares SQLite's plans with the golden file.
fn compare(plans: &[String]) {
    let now = plans.join("\n");
    let golden = include_str!("plans.sqlite.golden.txt");
    if now != golden {
        let actual = format!("{}/plans.sqlite.txt", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&actual, &now).expect("the plans are written");
        let before: Vec<String> = golden
            .split("\n\n")
            .map(|it| it.trim_end().to_owned())
            .collect();
        let missing = |plans: &[String], among: &[String]| -> String {
            let among: BTreeSet<&str> = among.iter().map(|it| it.trim_end()).collect();
            let new = plans.iter().filter(|it| !among.contains(it.trim_end()));
            new.map(|it| format!("{}\n", it.trim_end())).collect()
        };
        panic!(
            "SQLite answers otherwise than tests/web/plans.sqlite.golden.txt says.\nIs now:\n{}\nWas:\n{}\n\
             If that is meant, copy {actual} over the golden file.",
            missing(plans, &before),
            missing(&before, plans)
        );
    }
}

/// Whether a statement has a plan, and is Roster's: its query builder quotes every name, these tests quote none.
fn is_looked_at(sql: &str) -> bool {
    let verbs = ["SELECT ", "UPDATE ", "DELETE "];
    verbs.iter().any(|verb| sql.starts_with(verb)) && sql.contains(['`', '"'])
}

/// SQLite plans by the rows of `sqlite_stat1`, which the migration `speed` wrote by hand: a migration that makes an
/// index adds its row, one that drops an index takes it away.
#[test]
fn sqlite_knows_how_the_rows_of_every_index_are_spread() {
    let found = facts::ask(&TestDatabase::new(Kind::Sqlite).open(), |conn| {
        // The key of a table without row ids bears the name of its table. `outbox` has one row.
        let indexes = facts::lines(
            conn,
            "SELECT m.name || ' ' || iif(l.origin = 'pk', m.name, l.name) AS line \
             FROM sqlite_master m JOIN pragma_index_list(m.name) l WHERE m.type = 'table' \
             AND substr(m.name, 1, 2) <> '__' AND m.name <> 'outbox' ORDER BY 1",
        )?;
        let told = "SELECT tbl || ' ' || idx AS line FROM sqlite_stat1 ORDER BY 1";
        Ok((indexes, facts::lines(conn, told)?))
    });
    let (indexes, told) = found;
    assert!(indexes.len() > 40, "{indexes:?}");
    assert_eq!(indexes, told, "the indexes, and what sqlite_stat1 knows");
}

/// `.cargo/config.toml` reached SQLite: plans do not hang on bound values, and a connection is one thread's at a time.
#[test]
fn sqlite_is_built_as_it_should_be() {
    let options = facts::ask(&TestDatabase::new(Kind::Sqlite).open(), |conn| {
        let query = "SELECT compile_options AS line FROM pragma_compile_options";
        facts::lines(conn, query)
    });
    for option in ["ENABLE_QPSG", "THREADSAFE=2"] {
        assert!(
            options.iter().any(|it| it == option),
            "{option}: {options:?}"
        );
    }
}

/// PostgreSQL plans for any value. What it must know of one stands in the text, and what several words find together is
/// found before it is compared with anything: each of these took a hundred times as long otherwise.
#[test]
fn postgres_plans_the_lists_of_a_large_organization_for_what_they_are() {
    let database = TestDatabase::new(Kind::Postgres);
    let asked = Statements::of(&database.target);
    let acme = acme(database);
    for rows in [
        "memberships (organization_id, account_id, role, name_key, joined_at, last_active_at) \
         SELECT organizations.id, account_id, role, name_key, joined_at, last_active_at \
         FROM memberships, organizations WHERE name_key LIKE 'crowd %'",
        "membership_words (organization_id, word, account_id) \
         SELECT organizations.id, word, account_id FROM membership_words, organizations WHERE word LIKE 'crowd%'",
    ] {
        acme.sql(&format!(
            "INSERT INTO {rows} AND organizations.slug = 'acme'"
        ));
    }
    acme.sql("ANALYZE memberships");
    acme.sql("ANALYZE membership_words");
    let found =
        acme.lines("SELECT id::text AS value FROM organizations WHERE slug = 'acme'".to_owned());
    let organization = found[0].parse().expect("an id");
    asked.take();
    facts::ask(&acme.db, move |conn| {
        let mut list = |filter: &MemberFilter, by| {
            let order = Order {
                by,
                descending: true,
            };
            memberships::page(conn, organization, filter, order, &Part::First, 51)
        };
        let words = MemberFilter {
            terms: vec!["crowd".to_owned(), "crowd1".to_owned()],
            ..MemberFilter::default()
        };
        let owners = MemberFilter {
            role: Some(Role::Owner),
            ..MemberFilter::default()
        };
        assert_eq!(list(&MemberFilter::default(), SortBy::Name)?.len(), 51);
        assert_eq!(list(&words, SortBy::Name)?.len(), 51);
        assert_eq!(list(&owners, SortBy::Joined)?.len(), 1);
        assert_eq!(
            memberships::count(conn, organization, &words, 20_000)?,
            1112
        );
        Ok(())
    });
    let all = asked.take();
    let plans: Vec<String> = all
        .iter()
        .map(|sql| plan_as_it_is(&acme.db, sql).join("\n"))
        .collect();
    let [names, words, owners, count] = plans.as_slice() else {
        panic!("{all:?}")
    };
    assert!(
        !names.contains("Sort Key") && !names.contains("Seq Scan"),
        "{names}"
    );
    assert!(words.contains("SetOp Intersect"), "{words}");
    assert!(owners.contains("memberships_by_role"), "{owners}");
    assert!(count.contains("SetOp Intersect"), "{count}");
}

/// Every connection plans so, unless the operator says otherwise.
#[test]
fn postgres_is_told_how_to_plan_where_nobody_else_has() {
    let mut database = TestDatabase::new(Kind::Postgres);
    let ask = |database: &TestDatabase| {
        facts::ask(&database.open(), |conn| {
            let query = "SELECT name || ' ' || setting AS line FROM pg_settings \
                         WHERE name IN ('jit', 'plan_cache_mode', 'random_page_cost') ORDER BY 1";
            facts::lines(conn, query)
        })
    };
    let ours = [
        "jit off",
        "plan_cache_mode force_generic_plan",
        "random_page_cost 1.1",
    ];
    assert_eq!(ask(&database), ours);
    let Target::Postgres(url) = &mut database.target else {
        panic!("PostgreSQL")
    };
    url.push_str("&options=-c%20jit%3Don%20-c%20random_page_cost%3D2");
    let theirs = [
        "jit on",
        "plan_cache_mode force_generic_plan",
        "random_page_cost 2",
    ];
    assert_eq!(ask(&database), theirs);
}

on_both! {
    /// PERFORMANCE: no page is dearer because there are more people.
    fn every_statement_is_answered_by_an_index(kind) {
        let database = TestDatabase::new(kind);
        let asked = Statements::of(&database.target);
        let acme = acme(database);
        let all = statements(&acme, &asked);
        drop(asked);
        let mut plans: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
        let mut faults = BTreeSet::new();
        let mut excused = BTreeSet::new();
        for sql in all.iter().filter(|sql| is_looked_at(sql)) {
            let steps = plan(&acme.db, sql);
            let text = readable(sql);
            if let Some(what) = fault(kind, &steps) {
                match EXCEPTIONS.iter().find(|it| it.is_for(&text, what)) {
                    Some(exception) => drop(excused.insert(exception)),
                    None => drop(faults.insert(format!("{what:?}: {}", shown(&text, &steps)))),
                }
            }
            plans.entry(text).or_default().insert(steps);
        }
        let faults: Vec<String> = faults.into_iter().collect();
        assert!(faults.is_empty(), "{} statements need an index:\n{}", faults.len(), faults.join("\n"));
        assert!(plans.len() > 150, "{} statements: is everything looked at?", plans.len());
        if kind == Kind::Sqlite {
            for exception in EXCEPTIONS {
                assert!(excused.contains(exception), "no exception any more: {exception:?}");
            }
            let all = plans.iter().map(|(text, ways)| {
                let ways: Vec<String> = ways.iter().flatten().cloned().collect();
                shown(text, &ways)
            });
            compare(&all.collect::<Vec<_>>());
        }
    }
}
