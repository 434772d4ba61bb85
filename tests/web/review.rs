//! Access review (R-MEM-4): who has not been here for long, and which invitations nobody used.

use crate::{
    on_both,
    support::{
        people::Answer,
        seeds::Seed,
        team::{Setup, Team},
    },
};
use time::{Duration, ext::NumericalDuration as _};

const REVIEW: &str = "/orgs/acme/settings/review";
const EXPORT: &str = "/orgs/acme/settings/review/export";
const SECOND: i64 = 1_000_000;

/// Who is listed in the table of this name.
fn listed(page: &Answer<'_>, table: &str) -> Vec<String> {
    let Some(rest) = page.body.split(&format!("aria-label=\"{table}\"")).nth(1) else {
        return Vec::new();
    };
    let rows = rest.split("</table>").next().expect("a table");
    rows.split("role=\"rowheader\"")
        .skip(1)
        .filter_map(|row| {
            Some(
                row.split("<bdi>")
                    .nth(1)?
                    .split("</bdi>")
                    .next()?
                    .to_owned(),
            )
        })
        .collect()
}

fn inactive(page: &Answer<'_>) -> Vec<String> {
    listed(page, "Inactive members")
}

fn unused(page: &Answer<'_>) -> Vec<String> {
    listed(page, "Unused invitations")
}

fn valid_for(days: i64) -> Setup {
    let mut setup = Setup::default();
    setup.rules.valid_for = Duration::days(days);
    setup
}

on_both! {
    fn owners_and_admins_review(kind) {
        let acme = Team::acme(kind);
        let eve = acme.sign_up("Eve Else", "eve@example.test", "Else");
        for url in [REVIEW, EXPORT] {
            acme.olivia.get(url).expect(200);
            acme.adam.get(url).expect(200);
            acme.mia.get(url).expect(403);
            acme.vic.get(url).expect(403);
            eve.get(url).expect(404);
            acme.visitor().get(url).expect(303);
        }
        acme.adam.get(REVIEW).shows("Every member was active in the last 90 days.").shows("No invitation has expired");
        assert!(acme.mia.get("/orgs/acme/settings/team").urls_containing(REVIEW).is_empty());
    }

    /// To the second: 90 days is inactive, a second less is not; "Never" counts from joining, and comes first.
    fn inactive_is_for_so_many_days(kind) {
        let acme = Team::acme(kind);
        let long = acme.days_ago(400);
        acme.seed_members(&[
            Seed::new(1, "Just Inactive", long, Some(acme.days_ago(90))),
            Seed::new(2, "Just Active", long, Some(acme.days_ago(90) + SECOND)),
            Seed::new(3, "Long Gone", long, Some(acme.days_ago(300))),
            Seed::new(4, "Never Here", acme.days_ago(91), None),
            Seed::new(5, "New Here", acme.days_ago(1), None),
            Seed::new(6, "A Month", long, Some(acme.days_ago(31))),
        ]);
        let at = |days: &str| inactive(&acme.adam.get(&format!("{REVIEW}?days={days}")));
        let usual = ["Never Here", "Long Gone", "Just Inactive"];
        assert_eq!(at("90"), usual);
        assert_eq!(inactive(&acme.adam.get(REVIEW)), usual);
        assert_eq!(at("30"), ["Never Here", "Long Gone", "Just Inactive", "Just Active", "A Month"]);
        assert_eq!(at("60"), ["Never Here", "Long Gone", "Just Inactive", "Just Active"]);
        assert_eq!(at("180"), ["Long Gone"]);
        for nonsense in ["0", "-1", "91", "x", "99999999999999999999"] {
            assert_eq!(at(nonsense), usual, "{nonsense}");
        }
        acme.adam.get(REVIEW).shows("Members not active for 90 days").shows("Showing 1–3 of 3 members").shows("Never");
    }

    /// The way to Remove is there for whom the viewer may remove.
    fn remove_is_offered_where_it_is_allowed(kind) {
        let acme = Team::acme(kind);
        let mut boss = Seed::new(1, "Second Owner", acme.days_ago(400), None);
        boss.role = "owner";
        acme.seed_members(&[boss, Seed::new(2, "Long Gone", acme.days_ago(400), None)]);
        acme.set_active("adam@example.test", acme.days_ago(200));
        let remove = |n: u128| format!("/orgs/acme/settings/team/members/{}/remove", uuid::Uuid::from_u128(n));
        let page = acme.adam.get(REVIEW);
        assert_eq!(inactive(&page), ["Second Owner", "Long Gone", "Adam Admin"]);
        page.shows("You");
        assert_eq!(page.urls_containing("/remove"), [remove(2)]);
        // Adam has just been here, which is noted after the answer.
        acme.wait_until_noted(&format!(
            "memberships WHERE last_active_at = {} AND joined_at = {}",
            acme.instant(acme.now()),
            acme.instant(acme.days_ago(200))
        ));
        acme.set_active("adam@example.test", acme.days_ago(200));
        let page = acme.olivia.get(REVIEW);
        let urls = page.urls_containing("/remove");
        assert_eq!(urls.len(), 3);
        assert!(urls.contains(&remove(1)) && urls.contains(&remove(2)));
    }

    /// Expired, or sent so many days ago and since not again; what ended is not waiting.
    fn unused_invitations_wait_or_expired(kind) {
        let acme = Team::acme_with(kind, valid_for(60));
        for email in ["old@example.test", "again@example.test", "ended@example.test", "joined@example.test"] {
            acme.adam.invite(email, "viewer");
        }
        acme.visitor().join(&acme.link_for("joined@example.test"), "Jo Ined");
        acme.advance(29.days());
        acme.adam.sign_in("adam@example.test").expect(303);
        assert!(unused(&acme.adam.get(&format!("{REVIEW}?days=30"))).is_empty());
        acme.adam.resend("again@example.test").expect(303);
        acme.adam.revoke("ended@example.test").expect(303);
        acme.adam.invite("fresh@example.test", "admin");
        acme.advance(1.days());
        assert_eq!(unused(&acme.adam.get(&format!("{REVIEW}?days=30"))), ["old@example.test"]);
        assert!(unused(&acme.adam.get(&format!("{REVIEW}?days=60"))).is_empty());

        // Expired ones are unused however few days.
        acme.advance(30.days());
        acme.adam.sign_in("adam@example.test").expect(303);
        let page = acme.adam.get(&format!("{REVIEW}?days=180"));
        assert_eq!(unused(&page), ["old@example.test"]);
        page.shows("Expired").shows("by Adam Admin").shows("Showing 1–1 of 1 invitation");
        assert_eq!(page.urls_containing("/settings/team/invitations/"), [acme.adam.invitation_url("old@example.test")]);
    }

    /// A setting that was changed: what is newer than the days is not waiting for so long, whenever it ends.
    fn a_fresh_invitation_is_not_old(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite("noor@example.test", "viewer");
        let longer = Team::on(std::sync::Arc::clone(&acme.database), valid_for(60), acme.clock.clone());
        let adam = acme.adam.at(longer.address);
        acme.advance(1.days());
        assert!(unused(&adam.get(&format!("{REVIEW}?days=30"))).is_empty());
    }

    /// The file has both lists of the page, and no formula.
    fn the_file_is_the_page(kind) {
        let acme = Team::acme(kind);
        acme.seed_members(&[
            Seed::new(1, "=1+1", acme.days_ago(400), None),
            Seed::new(2, "Long Gone", acme.days_ago(400), Some(acme.days_ago(120))),
            Seed::new(3, "A Month", acme.days_ago(400), Some(acme.days_ago(31))),
        ]);
        acme.adam.invite("noor@example.test", "viewer");
        acme.advance(8.days());
        for days in ["30", "90"] {
            let page = acme.adam.get(&format!("{REVIEW}?days={days}"));
            let url = format!("{EXPORT}?days={days}");
            assert_eq!(page.urls_containing("/export"), [url.as_str()]);
            let file = acme.adam.download(&url);
            assert_eq!(file[0], ["Kind", "Name", "Email", "Role", "Joined", "Last active", "Sent", "Invited by", "Expires"]);
            let named = |kind: &str, column: usize| -> Vec<String> {
                file.iter().filter(|row| row[0] == kind).map(|row| row[column].clone()).collect()
            };
            let mut members = inactive(&page);
            assert_eq!(members[0], "=1+1");
            members[0] = "'=1+1".to_owned();
            assert_eq!(named("Member", 1), members, "{days}");
            assert_eq!(named("Invitation", 2), unused(&page));
            assert_eq!(file.len(), 1 + members.len() + 1);
        }
        let file = acme.adam.download(EXPORT);
        assert_eq!(file[1][..4], ["Member", "'=1+1", "seed1@example.test", "Member"]);
        assert_eq!(file[1][5], "Never");
        assert_eq!(file[3], ["Invitation", "", "noor@example.test", "Viewer", "", "", "2026-11-21T09:00:00Z", "Adam Admin", "2026-11-28T09:00:00Z"]);
    }

    /// The page is bounded and says how many there are; the file has them all.
    fn a_long_list_is_cut_and_counted(kind) {
        let acme = Team::acme(kind);
        let seeds: Vec<Seed> = (0..105).map(|n| Seed::new(1 + n, "Long Gone", acme.days_ago(400), None)).collect();
        acme.seed_members(&seeds);
        let page = acme.adam.get(REVIEW);
        page.shows("Showing 1–100 of 105 members");
        assert_eq!(inactive(&page).len(), 100);
        assert_eq!(acme.adam.download(EXPORT).len(), 1 + 105);
    }
}
