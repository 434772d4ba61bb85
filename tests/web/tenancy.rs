//! Nothing of one organization is ever visible or changeable from another (R-ORG-1).

use crate::{
    on_both,
    support::{
        database::Kind,
        facts,
        people::{Person, encode_value},
        routes::{Route, comparable, fill},
        team::{Acme, Team},
    },
};
use roster::web::ROUTES;

/// Acme, and Zebra on the same server: people, invitations in several states, and nobody in common.
struct Two {
    acme: Acme,
    zoe: Person,
    /// Zebra's invitations: pending, accepted, revoked.
    ids: Vec<String>,
}

/// An id nobody has.
const NOBODYS: &str = "019aa4f0-1234-7abc-8def-0123456789ab";

/// Every name, address and id of Zebra holds one of these.
const ZEBRAS: [&str; 4] = ["zebra", "zoe", "zara", "quux"];

impl Two {
    fn new(kind: Kind) -> Self {
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "member");
        let zoe = acme.sign_up("Zoe Owns", "zoe@zebra.test", "Zebra");
        let invite = |email: &str| {
            let page = zoe.get("/orgs/zebra/settings/team/invite");
            let fields = [("emails", email), ("role", "member")];
            page.submit("/orgs/zebra/settings/team/invite", &fields)
                .expect(303);
        };
        for email in ["quux@zebra.test", "zara@zebra.test", "quux2@zebra.test"] {
            invite(email);
        }
        acme.visitor()
            .join(&acme.link_for("zara@zebra.test"), "Zara Joined");
        let ids = ["quux@zebra.test", "zara@zebra.test", "quux2@zebra.test"].map(|email| {
            let list = format!("/orgs/zebra/settings/team/invitations?state=all&q={email}");
            let urls = zoe
                .get(&list)
                .urls_containing("/orgs/zebra/settings/team/invitations/");
            let url = urls.first().expect("an invitation");
            url.split('/').nth(6).expect("an id")[..36].to_owned()
        });
        let revoke = format!("/orgs/zebra/settings/team/invitations/{}/revoke", ids[2]);
        zoe.get(&revoke).submit(&revoke, &[]).expect(303);
        Self {
            acme,
            zoe,
            ids: ids.to_vec(),
        }
    }
}

/// Whether an address names a row of the organization.
fn names_a_row(pattern: &str) -> bool {
    pattern.contains("{id}") || pattern.contains("{account}")
}

on_both! {
    /// A member of nothing in common: neither picture nor session nor invitation of theirs can be had by its id.
    fn ids_of_other_people_are_unknown(kind) {
        let two = Two::new(kind);
        let session = two.acme.session_id("zoe@zebra.test");
        let before = facts::dump(&two.acme.db);
        for person in [&two.acme.olivia, &two.acme.vic] {
            person.get("/orgs/acme").expect(200);
            let mut asked = 0;
            for (method, pattern) in ROUTES.iter().filter(|(_, pattern)| !pattern.starts_with("/orgs/") && pattern.contains("{id}")) {
                let ask = |id: &str| {
                    let route = Route { method, pattern, parts: &[("id", id)] };
                    comparable(&route.ask(person, &[]))
                };
                let unknown = ask(NOBODYS);
                assert!(unknown.starts_with("404"), "{method} {pattern}:\n{unknown}");
                for id in two.ids.iter().chain([&session]) {
                    assert_eq!(ask(id), unknown, "{method} {pattern}");
                    asked += 1;
                }
            }
            assert!(asked >= 4 * 5, "{asked}");
        }
        assert_eq!(facts::dump(&two.acme.db), before, "something changed");
        assert!(two.zoe.is_signed_in());
    }

    /// The ids of another organization under one's own slug, and one's own under theirs: like an id nobody has.
    fn ids_of_another_organization_are_unknown(kind) {
        let two = Two::new(kind);
        let own = two.acme.adam.invitation_url("noor@example.test");
        let own = own.rsplit('/').next().expect("an id");
        let own_member = two.acme.account_id("vic@example.test");
        let members: Vec<String> = ["zoe@zebra.test", "zara@zebra.test"].map(|email| two.acme.account_id(email)).into();
        let before = facts::dump(&two.acme.db);
        let mut asked = 0;
        for person in [&two.acme.olivia, &two.acme.adam] {
            // Takes the message that the last invitation left.
            person.get("/orgs/acme").expect(200);
            for (method, pattern) in ROUTES.iter().filter(|(_, pattern)| pattern.starts_with("/orgs/{org}") && names_a_row(pattern)) {
                let ask = |org: &str, id: &str| {
                    let parts = &[("org", org), ("id", id), ("account", id), ("fresh", "fresh@example.test")];
                    let route = Route { method, pattern, parts };
                    comparable(&route.ask(person, &[]))
                };
                let (own, theirs) = if pattern.contains("{account}") { (own_member.as_str(), &members) } else { (own, &two.ids) };
                let unknown = ask("acme", NOBODYS);
                assert!(unknown.starts_with("404"), "{method} {pattern}:\n{unknown}");
                for id in theirs {
                    assert_eq!(ask("acme", id), unknown, "{method} {pattern}");
                    asked += 1;
                }
                for no_id in ["x", "00000000-0000-0000-0000-000000000000", "%00", "%2e%2e", "'"] {
                    assert_eq!(ask("acme", no_id), unknown, "{method} {pattern} {no_id}");
                }
                let elsewhere = ask("no-such-organization", own);
                assert!(elsewhere.starts_with("404"), "{method} {pattern}:\n{elsewhere}");
                for (org, id) in [("zebra", own), ("zebra", theirs[0].as_str())] {
                    assert_eq!(ask(org, id), elsewhere, "{method} {pattern}");
                }
            }
        }
        assert!(asked >= 2 * (3 * 7 + 2 * 4), "{asked}");
        assert_eq!(facts::dump(&two.acme.db), before, "something changed");
    }

    /// Every page of Acme, every list, filter, search and place in a list: nothing of Zebra.
    fn pages_show_nothing_of_another_organization(kind) {
        let two = Two::new(kind);
        let own = two.acme.adam.invitation_url("noor@example.test");
        let own = own.rsplit('/').next().expect("an id");
        let mia = two.acme.account_id("mia@example.test");
        let mut urls: Vec<String> = ROUTES.iter()
            .filter(|(method, pattern)| *method == "GET" && pattern.starts_with("/orgs/{org}"))
            .map(|(_, pattern)| fill(pattern, &[("org", "acme"), ("id", own), ("account", &mia)]))
            .collect();
        urls.push("/".to_owned());
        let (team, invitations) = ("/orgs/acme/settings/team", "/orgs/acme/settings/team/invitations");
        for role in ["owner", "admin", "member", "viewer"] {
            urls.push(format!("{team}?role={role}"));
        }
        for word in ["z", "zebra", "zebra.test", "@zebra", "zoe@zebra.test", "zara", "quux", "q", "owns", "joined"] {
            urls.push(format!("{team}?q={}", encode_value(word)));
            for state in ["pending", "accepted", "expired", "rejected", "revoked", "all"] {
                urls.push(format!("{invitations}?state={state}&q={}", encode_value(word)));
            }
        }
        for id in &two.ids {
            for end in ["after", "before"] {
                urls.push(format!("{team}?{end}={id}.a"));
                for state in ["pending", "accepted", "revoked", "all"] {
                    for place in ["1", "9000000000000000"] {
                        urls.push(format!("{invitations}?state={state}&{end}={id}.{place}"));
                    }
                }
            }
        }
        let before = facts::facts(&two.acme.db);
        for person in [&two.acme.olivia, &two.acme.mia, &two.acme.vic] {
            for url in &urls {
                let answer = person.get(url);
                assert!(matches!(answer.status, 200 | 303 | 403), "{url}: {}", answer.status);
                // What was searched for stands in the search box and on the filter's links; that is their own text.
                let asked = url.split_once("q=").map_or(String::new(), |(_, word)| word.to_lowercase());
                let page = answer.body.to_lowercase();
                for word in ZEBRAS {
                    assert!(asked.contains(word) || !page.contains(word), "{url} shows {word}:\n{}", answer.text());
                }
                if asked.contains("zebra") || asked.contains("zoe") || asked.contains("zara") || asked.contains("quux") {
                    answer.lacks("Zoe Owns").lacks("Zara Joined").lacks("quux2@zebra.test");
                    assert!(answer.urls_containing(&two.ids[0]).is_empty(), "{url}");
                    assert!(answer.status == 403 || answer.text().contains("match"), "{url} found somebody:\n{}", answer.text());
                }
                for id in &two.ids {
                    assert!(url.contains(id) || !answer.body.contains(id), "{url} names an invitation of Zebra");
                }
            }
        }
        assert_eq!(facts::facts(&two.acme.db), before);
        // And Zebra sees all of it.
        two.zoe.get("/orgs/zebra/settings/team?q=zara").shows("Zara Joined");
        two.zoe.get("/orgs/zebra/settings/team/invitations?state=all").shows("quux@zebra.test").shows("quux2@zebra.test");
    }

    /// Who may not see addresses cannot find people by them either (R-ROLE-2).
    fn names_only_means_no_search_by_address(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("secretlocal+tag@hidden.example", "member");
        acme.visitor().join(&acme.link_for("secretlocal+tag@hidden.example"), "Nora Neutral");
        let found = |person: &Person, query: &str| {
            let page = person.get(&format!("/orgs/acme/settings/team?q={}", encode_value(query)));
            page.expect(200);
            page.text().contains("Nora Neutral")
        };
        let by_address = [
            "secretlocal", "secret", "tag", "hidden", "hidden.example", "example", "secretlocal+tag@hidden.example",
            "@secretlocal", "@hidden.example", "@@secret", "@", "\u{ff20}secretlocal", "\u{200b}@secret", " @secret",
            "\"@secret", "%40secret", "@secret @hidden", "nora @secret",
        ];
        for query in by_address {
            // A mark without a word is no search: everybody is shown, as on the bare page.
            let everybody = query == "@";
            assert_eq!(found(&acme.mia, query), everybody, "Mia searches for {query:?}");
        }
        for query in ["nora", "neut", "Nora Neutral", ""] {
            assert!(found(&acme.mia, query), "Mia searches for {query:?}");
        }
        for query in ["secretlocal", "tag", "hidden.example", "secretlocal+tag@hidden.example", "nora"] {
            assert!(found(&acme.adam, query), "Adam searches for {query:?}");
        }
        acme.mia.get("/orgs/acme/settings/team").expect(200).shows("Nora Neutral").lacks("hidden.example");
        acme.vic.get("/orgs/acme/settings/team?q=secretlocal").expect(403).lacks("Nora Neutral");
    }
}
