//! The audit log (R-AUD-1): who sees it, what it says, how it is filtered, and the same as a file.

use crate::{
    on_both,
    support::{
        people::{Answer, encode_value},
        seeds::{Happening, Seed, day},
        team::{Acme, Team},
    },
};
use time::ext::NumericalDuration as _;

const LOG: &str = "/orgs/acme/settings/audit";
const EXPORT: &str = "/orgs/acme/settings/audit/export";

/// Events of 1 November, in one and the same instant: actor "Actor 000" and on.
fn happenings(count: u64) -> Vec<Happening> {
    (0..count)
        .map(|n| Happening {
            id: n,
            at: day("2026-11-01"),
            verb: if n % 2 == 0 { "invite" } else { "revoke" },
            actor: format!("Actor {n:03}"),
            target: format!("target{}@example.test", n % 3),
        })
        .collect()
}

/// The cells of each row of the table, as text.
fn rows(page: &Answer<'_>) -> Vec<Vec<String>> {
    let table = page.body.split("<tbody").nth(1).unwrap_or_default();
    let table = table.split("</tbody>").next().unwrap_or_default();
    table
        .split("<tr ")
        .skip(1)
        .map(|row| {
            row.split("</td>")
                .flat_map(|part| part.split("</th>"))
                .map(text)
                .filter(|it| !it.is_empty())
                .collect()
        })
        .collect()
}

fn text(html: &str) -> String {
    let mut out = String::new();
    // The first piece is the rest of the tag that was cut.
    for piece in html
        .split('<')
        .flat_map(|piece| piece.split_once('>').map(|(_, text)| text))
    {
        out.push_str(piece);
    }
    out.replace("&#38;", "&")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .trim()
        .to_owned()
}

fn log<'a>(acme: &'a Acme, query: &[(&str, &str)]) -> Answer<'a> {
    let page = acme
        .adam
        .get(&format!("{LOG}?{}", crate::support::people::encode(query)));
    page.expect(200);
    page
}

on_both! {
    /// Owners and Admins; nobody else, and nobody from elsewhere learns that there is one.
    fn owners_and_admins_see_the_log(kind) {
        let acme = Team::acme(kind);
        let eve = acme.sign_up("Eve Else", "eve@example.test", "Else");
        for url in [LOG, EXPORT] {
            acme.olivia.get(url).expect(200);
            acme.adam.get(url).expect(200);
            acme.mia.get(url).expect(403).shows("audit log");
            acme.vic.get(url).expect(403);
            eve.get(url).expect(404);
            acme.visitor().get(url).expect(303);
            // A day that cannot be read is no way around.
            acme.mia.get(&format!("{LOG}?since=x")).expect(403);
            eve.get(&format!("{LOG}?since=x")).expect(404);
        }
        assert_eq!(acme.mia.get("/orgs/acme").urls_containing(LOG).len(), 0);
        assert!(!acme.adam.get("/orgs/acme/settings/team").urls_containing(LOG).is_empty());
    }

    /// R-INV-15: what nobody asked for in so many words stands there with its reason, in words.
    fn the_log_says_why(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "admin");
        let adam = format!("/orgs/acme/settings/team/members/{}", acme.account_id("adam@example.test"));
        acme.olivia.get("/").submit(&format!("{adam}/remove"), &[("before", "admin")]).expect(303);
        let found = rows(&acme.olivia.get(LOG));
        let revoked = found.iter().find(|row| row[2] == "Revoked an invitation").expect("the revoking");
        assert_eq!(revoked[1..5], ["Olivia Owner", "Revoked an invitation", "noor@example.test", "Inviter demoted or gone"]);
    }

    /// Who, what, on whom, before and after, when and from where.
    fn the_log_says_it_all(kind) {
        let acme = Team::acme(kind);
        acme.advance(1.minutes());
        acme.adam.invite("noor@example.test", "member");
        acme.advance(1.minutes());
        acme.adam.change_invited_role("noor@example.test", "member", "viewer").expect(303);
        acme.advance(1.minutes());
        acme.olivia.revoke("noor@example.test").expect(303);
        let found = rows(&acme.adam.get(LOG));
        let dash = "–";
        assert_eq!(found[0], ["21 Nov 2026, 09:03 UTC", "Olivia Owner", "Revoked an invitation", "noor@example.test", dash, "127.0.0.1"]);
        assert_eq!(
            found[1],
            ["21 Nov 2026, 09:02 UTC", "Adam Admin", "Changed the role of an invitation", "noor@example.test", "Member → Viewer", "127.0.0.1"]
        );
        assert_eq!(found[2], ["21 Nov 2026, 09:01 UTC", "Adam Admin", "Invited", "noor@example.test", "Member", "127.0.0.1"]);
        let founded = found.iter().find(|row| row[2] == "Created the organization").expect("the founding");
        assert_eq!(founded[1..5], ["Olivia Owner", "Created the organization", dash, "Owner"]);
        // Names lead to what is there: the invitation, the member.
        let page = acme.adam.get(LOG);
        let invitation = acme.adam.invitation_url("noor@example.test");
        assert!(page.urls_containing(&invitation).len() >= 3);
        assert!(!page.urls_containing("/settings/team?q=olivia%40example.test").is_empty());
    }

    /// A link's holder who has not signed in has no name.
    fn somebody_with_the_link(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "member");
        let link = acme.link_for("noor@example.test");
        acme.advance(8.days());
        assert!(acme.visitor().ask_again(&link).status < 400);
        let found = rows(&log(&acme, &[("verb", "ask_again")]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0][1..4], ["Somebody with the link", "Asked for a new invitation", "noor@example.test"]);
    }

    /// What is not a role is not called one.
    fn names_that_are_words_of_ours(kind) {
        let acme = Team::acme(kind);
        acme.seed_events(&[Happening { id: 1, at: acme.now(), verb: "rename", actor: "Olivia".to_owned(), target: String::new() }]);
        acme.sql("UPDATE audit_events SET before = 'viewer', after = 'admin', target = NULL WHERE verb = 'rename'");
        assert_eq!(rows(&log(&acme, &[("verb", "rename")]))[0][4], "viewer → admin");
    }

    /// By what happened, by whom or on whom, by day; and all at once.
    fn the_log_is_filtered(kind) {
        let acme = Team::acme(kind);
        acme.advance(1.days());
        acme.adam.invite("Noor@Example.test", "member");
        acme.advance(1.days());
        acme.olivia.revoke("noor@example.test").expect(303);
        let whats = |query: &[(&str, &str)]| -> Vec<String> {
            rows(&log(&acme, query)).into_iter().map(|row| format!("{}: {}", row[1], row[2])).collect()
        };
        let (revoked, invited) = ("Olivia Owner: Revoked an invitation", "Adam Admin: Invited");
        assert_eq!(whats(&[("verb", "revoke")]), [revoked]);
        // On whom: an address that has no account, however it is written.
        for person in ["noor@example.test", " NOOR@example.TEST "] {
            assert_eq!(whats(&[("person", person)]), [revoked, invited], "{person}");
        }
        // By whom: an address, or a name; and on whom: Adam was invited.
        let accepted = "Adam Admin: Accepted an invitation";
        let mut adams = whats(&[("person", "adam@example.test")]);
        // Of one millisecond any may come first.
        adams[1..].sort();
        assert_eq!(adams, [invited, accepted, "Olivia Owner: Invited"]);
        assert_eq!(whats(&[("person", "ADMIN ada")]), [invited, accepted]);
        assert_eq!(whats(&[("person", "adam"), ("verb", "invite")]), [invited]);
        // Both days count.
        assert_eq!(whats(&[("since", "2026-11-22")]), [revoked, invited]);
        assert_eq!(whats(&[("since", "2026-11-22"), ("until", "2026-11-22")]), [invited]);
        assert_eq!(whats(&[("since", "2026-11-23"), ("until", "2026-11-23"), ("person", "noor@example.test")]), [revoked]);
        assert_eq!(whats(&[("until", "2026-11-20")]), Vec::<String>::new());
        // Nobody, and nothing.
        for person in ["nobody@example.test", "zzz", "@", "%", "noor@\u{0}example.test", "\u{0}"] {
            let page = log(&acme, &[("person", person)]);
            page.shows("Nothing in the log matches this filter.").shows("Clear filters");
        }
        let page = log(&acme, &[("person", "adam"), ("verb", "invite"), ("since", "2026-11-22")]);
        page.shows("Showing 1–1 of 1 event");
        assert!(page.body.contains("value=\"adam\"") && page.body.contains("value=\"2026-11-22\""));
        assert!(page.body.contains("<option value=\"invite\" selected>"));
        assert_eq!(log(&acme, &[("verb", "nonsense")]).listed().len(), log(&acme, &[]).listed().len());
    }

    /// Days that cannot be read are named, and nothing is shown that was not asked for.
    fn days_are_checked(kind) {
        let acme = Team::acme(kind);
        for (query, says) in [
            ("since=22.11.2026", "First day: Write the day like 2026-11-25."),
            ("until=2026-02-30", "Last day: Write the day like 2026-11-25."),
            ("since=2026-11-22&until=2026-11-21", "The last day is before the first."),
        ] {
            let page = acme.adam.get(&format!("{LOG}?{query}"));
            page.expect(422).shows(says).lacks("Olivia Owner");
            assert!(page.body.contains("<title>Error: ") && page.body.contains("role=\"alert\""));
            acme.adam.get(&format!("{EXPORT}?{query}")).expect(303).follow().expect(422);
        }
    }

    /// A name that fits too many says so instead of showing some.
    fn a_common_name_is_no_answer(kind) {
        let acme = Team::acme(kind);
        let seeds: Vec<Seed> = (0..11).map(|n| Seed::new(1 + n, &format!("Jan {n:02}"), acme.days_ago(1), None)).collect();
        acme.seed_members(&seeds);
        log(&acme, &[("person", "jan")]).shows("Too many members match “jan”.");
        let file = acme.adam.download(&format!("{EXPORT}?person=jan"));
        assert!(file[1][0].starts_with("Too many members match that name."), "{file:?}");
        acme.drop_member("seed1@example.test");
        assert_eq!(log(&acme, &[("person", "jan")]).listed().len(), 10);
    }

    /// Pages, there and back, across events of one instant; the filter stays.
    fn the_log_is_paged_across_ties(kind) {
        let acme = Team::acme(kind);
        acme.seed_events(&happenings(120));
        let mut expected: Vec<String> = happenings(120).into_iter().map(|it| it.actor).collect();
        expected.reverse();
        let (there, back) = acme.adam.walk(&format!("{LOG}?until=2026-11-01"));
        assert_eq!(there, expected);
        assert_eq!(back, expected);
        acme.adam.get(&format!("{LOG}?until=2026-11-01")).shows("Showing 1–50 of 120 events");

        // By address: several ranges put together.
        let one: Vec<String> = happenings(360).into_iter().filter(|it| it.target == "target1@example.test").map(|it| it.actor).rev().collect();
        acme.seed_events(&happenings(360)[120..]);
        let (there, back) = acme.adam.walk(&format!("{LOG}?person=target1%40example.test"));
        assert_eq!(there.len(), 120);
        assert_eq!(there, one);
        assert_eq!(back, one);
        let (there, _) = acme.adam.walk(&format!("{LOG}?person=target1%40example.test&verb=revoke"));
        assert_eq!(there.len(), 60);
        acme.adam.get(&format!("{LOG}?after=nonsense")).expect(200).shows("Olivia Owner");
    }

    /// Whoever left stays in the log, is found by address, and is not linked.
    fn people_who_left_stay(kind) {
        let acme = Team::acme(kind);
        acme.drop_member("mia@example.test");
        let page = log(&acme, &[("person", "mia@example.test")]);
        let found = rows(&page);
        assert_eq!(found.len(), 2);
        assert!(found.iter().any(|row| row[1..3] == ["Mia Member", "Accepted an invitation"]), "{found:?}");
        assert!(page.urls_containing("team?q=mia").is_empty());
        // No account either, as after deleting it.
        acme.sql("UPDATE accounts SET email = 'gone', email_key = 'gone' WHERE email_key = 'mia@example.test'");
        assert_eq!(log(&acme, &[("person", "mia@example.test")]).listed().len(), 2);
    }

    /// Nothing of another organization, though the same people act there.
    fn logs_do_not_mix(kind) {
        let acme = Team::acme(kind);
        let eve = acme.sign_up("Eve Else", "eve@example.test", "Else");
        eve.try_invite_to("else", "noor@example.test", "member", &[]).expect(303);
        acme.adam.get(LOG).lacks("Eve Else").lacks("noor@example.test");
        log(&acme, &[("person", "eve@example.test")]).shows("Nothing in the log matches");
        log(&acme, &[("person", "noor@example.test")]).shows("Nothing in the log matches");
        let file = acme.adam.get(EXPORT);
        assert!(!file.body.contains("Eve") && !file.body.contains("noor"));
        let page = eve.get("/orgs/else/settings/audit");
        page.shows("noor@example.test").lacks("Adam Admin");
        // A place of another log is only a place.
        let place = acme.adam.get(LOG).urls_containing("after=").pop();
        assert_eq!(place, None);
    }

    /// The file is the page: the same filter, rows and words.
    fn the_file_is_the_page(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "member");
        acme.adam.change_invited_role("noor@example.test", "member", "viewer").expect(303);
        for filter in ["", "?person=adam%40example.test", "?verb=invite&since=2026-11-21", "?verb=leave"] {
            let page = acme.adam.get(&format!("{LOG}{filter}"));
            let url = format!("{EXPORT}{filter}");
            if !page.listed().is_empty() {
                assert!(page.urls_containing("/export").contains(&url), "{url}");
            }
            let mut file = acme.adam.download(&url);
            assert_eq!(file.remove(0), ["When", "Who", "What", "On whom", "Before", "After", "Network address"]);
            let shown: Vec<Vec<String>> = file
                .iter()
                .map(|row| {
                    let change = match (row[4].as_str(), row[5].as_str()) {
                        ("", "") => "–".to_owned(),
                        ("", after) => after.to_owned(),
                        (before, after) => format!("{before} → {after}"),
                    };
                    let target = if row[3].is_empty() { "–" } else { &row[3] };
                    [&row[1], &row[2], target, &change, &row[6]].map(|it| it.to_owned()).to_vec()
                })
                .collect();
            let page: Vec<Vec<String>> = rows(&page).into_iter().map(|row| row[1..].to_vec()).collect();
            assert_eq!(shown, page, "{filter}");
            assert!(file.iter().all(|row| row[0] == "2026-11-21T09:00:00Z"));
        }
    }

    /// What a spreadsheet would calculate is text.
    fn no_formula_leaves_the_house(kind) {
        let acme = Team::acme(kind);
        let names = ["=HYPERLINK(\"http://evil.test\")", "+1", "-2+3", "@SUM(A1)", "x;=1+1", "a \"quote\", and more"];
        for (n, name) in names.iter().enumerate() {
            let email = format!("formula{n}@example.test");
            acme.olivia.invite(&email, "viewer");
            acme.visitor().join(&acme.link_for(&email), name);
        }
        let file = acme.adam.download(&format!("{EXPORT}?verb=accept"));
        let found: Vec<&str> = file.iter().map(|row| row[1].as_str()).collect();
        for name in ["'=HYPERLINK(\"http://evil.test\")", "'+1", "'-2+3", "'@SUM(A1)", "x;'=1+1", "a \"quote\", and more"] {
            assert!(found.contains(&name), "{name} in {found:?}");
        }
        let raw = acme.adam.get(EXPORT).body;
        for line in raw.split(['\n', ',']) {
            assert!(!line.trim_start_matches('"').starts_with(['=', '+', '-', '@']), "{line}");
        }
    }

    /// A file has a limit, says so, and says where the rest is.
    fn a_long_log_comes_in_parts(kind) {
        let acme = Team::acme(kind);
        let many: Vec<Happening> = happenings(10_003);
        acme.seed_events(&many);
        let file = acme.adam.download(&format!("{EXPORT}?until=2026-11-01"));
        assert_eq!(file.len(), 1 + 10_000 + 1);
        assert_eq!(file[1][1], "Actor 10002");
        let remark = &file[10_001][0];
        assert!(remark.starts_with("Only the newest 10,000 events are in this file. Set the last day to 2026-11-01"), "{remark}");
        let url = remark.rsplit("http://127.0.0.1:8080").next().expect("an address");
        assert!(url.starts_with(&format!("{EXPORT}?until=2026-11-01&after=")), "{url}");
        let rest = acme.adam.download(url);
        let actors: Vec<&str> = rest[1..].iter().map(|row| row[1].as_str()).collect();
        assert_eq!(actors, ["Actor 002", "Actor 001", "Actor 000"]);
        // The page counts no further than it must.
        acme.adam.get(LOG).shows("Showing 1–50 of more than 1,000 events");
        let common = acme.adam.get(&format!("{LOG}?person={}", encode_value("target0@example.test")));
        common.shows("Showing 1–50 of more than 1,000 events");
    }
}
