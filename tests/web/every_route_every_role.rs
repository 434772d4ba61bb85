//! Every route × everybody who may ask → what they get. The table is a golden file: a change of who may do what shows
//! up as a change of that file in review.

use crate::{
    on_both,
    support::{
        database::Kind,
        facts,
        people::{Answer, Person},
        routes::{Route, comparable, fill},
        team::{Acme, Setup, Team},
    },
};
use roster::{
    domain::{
        policy::{self, Permission},
        quota::MailLimits,
        role::Role,
    },
    web::ROUTES,
};
use time::Duration;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Visitor {
    Nobody,
    /// Signed in, with an organization of their own, not a member of Acme.
    Outsider,
    /// Signed in as the invited address, not a member.
    Invitee,
    Viewer,
    Member,
    Admin,
    Owner,
}

use Visitor::*;

const VISITORS: [Visitor; 7] = [Nobody, Outsider, Invitee, Viewer, Member, Admin, Owner];

impl Visitor {
    const fn role(self) -> Option<Role> {
        match self {
            Nobody | Outsider | Invitee => None,
            Viewer => Some(Role::Viewer),
            Member => Some(Role::Member),
            Admin => Some(Role::Admin),
            Owner => Some(Role::Owner),
        }
    }

    const fn email(self) -> &'static str {
        match self {
            Nobody | Invitee => "",
            Outsider => "otto@example.test",
            Viewer => "vic@example.test",
            Member => "mia@example.test",
            Admin => "adam@example.test",
            Owner => "olivia@example.test",
        }
    }
}

/// Acme, whose people may send as many letters as the table has cells, and an outsider.
struct Stage {
    acme: Acme,
    number: usize,
}

/// One cell's visitor, with an invitation of its own, so that no cell sees what another did.
struct Scene {
    visitor: Person,
    id: String,
    token: String,
    fresh: String,
}

impl Stage {
    fn new(kind: Kind) -> Self {
        let mut setup = Setup::default();
        setup.rules.mail = MailLimits {
            per_person: 100_000,
            per_organization: 100_000,
            ..MailLimits::default()
        };
        let acme = Team::acme_with(kind, setup);
        acme.sign_up("Otto Outside", "otto@example.test", "Otto Works");
        Self { acme, number: 0 }
    }

    /// With an invitation only where the address names one: making it takes longest.
    fn scene(&mut self, visitor: Visitor, pattern: &str) -> Scene {
        self.number += 1;
        // Past the cooldown of the last mail, and past the counters of signing in.
        self.acme.advance(Duration::minutes(16));
        let email = format!("guest{}@example.test", self.number);
        let person = match visitor {
            Nobody => self.acme.visitor(),
            Invitee => self.acme.sign_up("Ines Invited", &email, "Ines Works"),
            known => {
                let person = self.acme.visitor();
                person.sign_in(known.email()).expect(303);
                person
            }
        };
        let (mut id, mut token) = (String::new(), String::new());
        if pattern.contains("{id}") || pattern.contains("{token}") {
            let last = |path: String| path.rsplit('/').next().map(str::to_owned).expect("a path");
            self.acme.olivia.invite(&email, "member");
            token = last(self.acme.link_for(&email));
            id = last(self.acme.olivia.invitation_url(&email));
            self.acme.advance(Duration::seconds(61));
        }
        Scene {
            visitor: person,
            id,
            token,
            fresh: format!("fresh{}@example.test", self.number),
        }
    }
}

fn address(scene: &Scene, pattern: &str, org: &str) -> String {
    // Any page names the style sheet.
    let page = scene.visitor.get("/no-such-page");
    let assets = page.urls_containing("/static/app.");
    let asset = assets.first().expect("a style sheet");
    fill(
        pattern,
        &[
            ("org", org),
            ("id", &scene.id),
            ("token", &scene.token),
            ("file", asset.trim_start_matches("/static/")),
        ],
    )
}

/// How a cell reads.
fn cell(answer: &Answer<'_>) -> String {
    match answer.location.as_deref() {
        Some(to) if to.starts_with("/sign-in") => format!("{} sign-in", answer.status),
        Some(_) => format!("{} elsewhere", answer.status),
        None => answer.status.to_string(),
    }
}

/// The 403 of a member says which roles can, and who has one (R-ROLE-3).
fn names_who_can(answer: &Answer<'_>, role: Role) {
    let text = answer.text();
    let said = Permission::ALL.into_iter().any(|permission| {
        let roles: Vec<String> = policy::roles_that_can(permission)
            .into_iter()
            .map(|role| format!("{}s", role.label().to_lowercase()))
            .collect();
        let (last, most) = roles.split_last().expect("an owner can");
        !policy::allows(role, permission)
            && text.contains(&format!(
                "Only {} and {last} can {}. You are a {role} here.",
                most.join(", "),
                permission.label()
            ))
    });
    assert!(said, "{text}");
    answer
        .shows("Who can help")
        .shows("Olivia Owner Owner")
        .shows("Adam Admin Admin");
}

fn table(stage: &mut Stage) -> String {
    let mut table = format!("{:<6} {:<58}", "", "");
    for visitor in VISITORS {
        table.push_str(&format!(" {:<13}", format!("{visitor:?}")));
    }
    table = format!("{}\n", table.trim_end());
    for (method, pattern) in ROUTES {
        let mut line = format!("{method:<6} {pattern:<58}");
        for visitor in VISITORS {
            let scene = stage.scene(visitor, pattern);
            let path = address(&scene, pattern, "acme");
            let route = Route {
                method,
                pattern,
                path: &path,
                fresh: &scene.fresh,
            };
            let before = facts::facts(&stage.acme.db);
            let answer = route.ask(&scene.visitor, &[]);
            let shown = cell(&answer);
            assert!(answer.status < 500, "{method} {path}: {}", answer.text());
            // Whoever only looks changes nothing (R-ACC-1), and neither does whoever is refused.
            if *method == "GET" || answer.status >= 400 || shown.ends_with("sign-in") {
                assert_eq!(
                    facts::facts(&stage.acme.db),
                    before,
                    "{method} {path} by {visitor:?} changed something"
                );
            }
            if let Some(role) = visitor.role()
                && answer.status == 403
                && pattern.starts_with("/orgs/")
            {
                names_who_can(&answer, role);
            }
            line.push_str(&format!(" {shown:<13}"));
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

on_both! {
    /// The golden table (DESIGN 10). A route that is not in it fails here.
    fn each_gets_what_the_table_says(kind) {
        let table = table(&mut Stage::new(kind));
        let golden = include_str!("every_route_every_role.golden.txt");
        if table != golden {
            let actual = format!("{}/every_route_every_role.txt", env!("CARGO_TARGET_TMPDIR"));
            std::fs::write(&actual, &table).expect("the table is written");
            let new: Vec<&str> = table.lines().filter(|line| !golden.lines().any(|it| it == *line)).collect();
            let old: Vec<&str> = golden.lines().filter(|line| !table.lines().any(|it| it == *line)).collect();
            panic!(
                "routes and tests/web/every_route_every_role.golden.txt part.\nIs now:\n{}\nWas:\n{}\n\
                 If that is meant, copy {actual} over the golden file.",
                new.join("\n"), old.join("\n")
            );
        }
    }

    /// HEAD answers like GET, without the body, and changes nothing.
    fn head_answers_like_get(kind) {
        let mut stage = Stage::new(kind);
        for visitor in [Nobody, Outsider, Invitee, Viewer, Owner] {
            let scene = stage.scene(visitor, "{id} {token}");
            for (method, pattern) in ROUTES.iter().filter(|(method, _)| *method == "GET") {
                let path = address(&scene, pattern, "acme");
                let before = facts::facts(&stage.acme.db);
                let head = scene.visitor.head(&path);
                assert_eq!(facts::facts(&stage.acme.db), before, "HEAD {path} by {visitor:?} changed something");
                let get = scene.visitor.get(&path);
                assert_eq!(head.body, "", "HEAD {path}");
                let names = |answer: &Answer<'_>| {
                    let mut kept: Vec<(String, String)> = answer.headers.clone();
                    kept.retain(|(name, _)| !["date", "x-request-id", "set-cookie", "content-length", "transfer-encoding"].contains(&name.as_str()));
                    kept.sort();
                    kept
                };
                assert_eq!((head.status, names(&head)), (get.status, names(&get)), "{method} {path} by {visitor:?}");
            }
        }
    }

    /// An organization one is not in answers exactly like one that does not exist (R-ROLE-3).
    fn a_foreign_organization_is_no_organization(kind) {
        let mut stage = Stage::new(kind);
        let scene = stage.scene(Outsider, "{id} {token}");
        let mut asked = 0;
        for (method, pattern) in ROUTES.iter().filter(|(_, pattern)| pattern.starts_with("/orgs/{org}")) {
            let before = facts::facts(&stage.acme.db);
            for method in if *method == "GET" { vec!["GET", "HEAD"] } else { vec![*method] } {
                for headers in [&[][..], &[("accept", "application/json")]] {
                    let [there, nowhere] = ["acme", "no-such-organization"].map(|org| {
                        let path = address(&scene, pattern, org);
                        let route = Route { method, pattern, path: &path, fresh: &scene.fresh };
                        comparable(&route.ask(&scene.visitor, headers))
                    });
                    assert!(there.starts_with("404"), "{method} {pattern}:\n{there}");
                    assert_eq!(there, nowhere, "{method} {pattern}");
                    asked += 1;
                }
            }
            assert_eq!(facts::facts(&stage.acme.db), before, "{method} {pattern} changed something");
        }
        assert!(asked > 30, "{asked}");
    }

    /// Every address knows which methods it has: 405 for the others, whoever asks.
    fn other_methods_are_not_allowed(kind) {
        let mut stage = Stage::new(kind);
        for visitor in [Nobody, Owner] {
            let scene = stage.scene(visitor, "{id} {token}");
            for (_, pattern) in ROUTES {
                let path = address(&scene, pattern, "acme");
                let has = |wanted: &str| ROUTES.iter().any(|(method, it)| it == pattern && *method == wanted);
                for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                    if !has(method) {
                        scene.visitor.ask(method, &path, &[], (method != "GET").then_some("")).expect(405);
                    }
                }
            }
        }
    }
}
