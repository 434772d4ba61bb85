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

/// The smallest PNG: one red pixel.
const A_PICTURE: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\
\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";

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
    /// Olivia's picture.
    avatar: String,
    number: usize,
}

/// One cell's visitor, and what the parts of an address stand for: things made for this cell, so that no cell sees
/// what another did.
struct Scene {
    visitor: Person,
    parts: Vec<(&'static str, String)>,
}

impl Scene {
    fn parts<'a>(&'a self, org: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut parts = vec![("org", org)];
        parts.extend(
            self.parts
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        parts
    }
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
        let token = acme.olivia.get("/account").csrf();
        let file = ("avatar", "me.png", A_PICTURE);
        let fields = [("csrf", token.as_str())];
        acme.olivia
            .upload("/account/avatar", &fields, file)
            .expect(303);
        let page = acme.olivia.get("/account");
        let start = page.body.find("/avatars/").expect("a picture") + "/avatars/".len();
        let avatar = page.body[start..start + 36].to_owned();
        Self {
            acme,
            avatar,
            number: 0,
        }
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
        let last = |path: String| path.rsplit('/').next().map(str::to_owned).expect("a path");
        if let Some(kind) = ["/verify-email/", "/reset-password/"]
            .into_iter()
            .find(|start| pattern.starts_with(start))
        {
            // A newcomer's letter: what it proves is about nobody else.
            let guest_email = format!("gus{}@example.test", self.number);
            let guest = self
                .acme
                .sign_up_unconfirmed("Gus Guest", &guest_email, "Gus Works");
            if kind == "/reset-password/" {
                let page = guest.get("/forgot-password");
                page.submit("/forgot-password", &[("email", &guest_email)])
                    .expect(303);
            }
            token = last(self.acme.path_for(&guest_email, kind));
            self.acme.forget_letters();
        } else if pattern.contains("{id}") || pattern.contains("{token}") {
            self.acme.olivia.invite(&email, "member");
            token = last(self.acme.link_for(&email));
            self.acme.forget_letters();
            id = last(self.acme.olivia.invitation_url(&email));
            self.acme.advance(Duration::seconds(61));
        }
        if pattern.starts_with("/account/sessions/") && visitor != Nobody {
            let of = if visitor == Invitee {
                &email
            } else {
                visitor.email()
            };
            id = self.acme.session_id(of);
        }
        if pattern.starts_with("/avatars/") {
            id = self.avatar.clone();
        }
        // Any page names the style sheet.
        let page = person.get("/no-such-page");
        let assets = page.urls_containing("/static/app.");
        let asset = assets
            .first()
            .expect("a style sheet")
            .trim_start_matches("/static/");
        // Somebody else than the visitor.
        let other = if visitor == Viewer { Member } else { Viewer };
        Scene {
            parts: vec![
                ("id", id),
                ("token", token),
                ("account", self.acme.account_id(other.email())),
                ("file", asset.to_owned()),
                ("document", "terms".to_owned()),
                ("fresh", format!("fresh{}@example.test", self.number)),
            ],
            visitor: person,
        }
    }
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
        let who = if most.is_empty() {
            last.clone()
        } else {
            format!("{} and {last}", most.join(", "))
        };
        !policy::allows(role, permission)
            && text.contains(&format!(
                "Only {who} can {}. You are {} {role} here.",
                permission.label(),
                if role == Role::Admin { "an" } else { "a" }
            ))
    });
    assert!(said, "{text}");
    answer
        .shows("Who can help")
        .shows("Olivia Owner Owner")
        .shows("Adam Admin Admin");
}

/// What somebody who is signed out may do, and is then shown the way to sign in.
const FOR_ANYBODY: [&str; 2] = ["/forgot-password", "/verify-email/{token}"];

/// What changes the people or the organization of the stage, where it succeeds.
const DESTRUCTIVE: [&str; 10] = [
    "/account/sessions/sign-out-all",
    "/account/name",
    "/account/password",
    "/account/delete",
    "/orgs/{org}/delete",
    "/orgs/{org}/settings/general",
    "/orgs/{org}/leave",
    "/orgs/{org}/transfer-ownership",
    "/orgs/{org}/settings/team/members/{account}/role",
    "/orgs/{org}/settings/team/members/{account}/remove",
];

fn table(kind: Kind) -> String {
    let stage = &mut Stage::new(kind);
    let mut table = format!("{:<6} {:<58}", "", "");
    for visitor in VISITORS {
        table.push_str(&format!(" {:<13}", format!("{visitor:?}")));
    }
    table = format!("{}\n", table.trim_end());
    for (method, pattern) in ROUTES {
        let mut line = format!("{method:<6} {pattern:<58}");
        for visitor in VISITORS {
            let scene = stage.scene(visitor, pattern);
            let parts = scene.parts("acme");
            let route = Route {
                method,
                pattern,
                parts: &parts,
            };
            let path = route.path();
            let before = facts::facts(&stage.acme.db);
            let answer = route.ask(&scene.visitor, &[]);
            let shown = cell(&answer);
            assert!(answer.status < 500, "{method} {path}: {}", answer.text());
            // Whoever only looks changes nothing (R-ACC-1), and neither does whoever is refused.
            let sent_away =
                visitor == Nobody && shown.ends_with("sign-in") && !FOR_ANYBODY.contains(pattern);
            if *method == "GET" || answer.status >= 400 || sent_away {
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
            if DESTRUCTIVE.contains(pattern) && *method == "POST" && answer.status < 400 {
                // Acme is not what it was: the next cell begins anew.
                *stage = Stage::new(kind);
            }
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

on_both! {
    /// The golden table (DESIGN 10). A route that is not in it fails here.
    fn each_gets_what_the_table_says(kind) {
        let table = table(kind);
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
                let path = fill(pattern, &scene.parts("acme"));
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
                        let parts = scene.parts(org);
                        let route = Route { method, pattern, parts: &parts };
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
                let path = fill(pattern, &scene.parts("acme"));
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
