//! The members list in another order (R-MEM-1): sorted, searched, filtered and paged at once.

use crate::{
    on_both,
    support::{
        people::Answer,
        seeds::Seed,
        team::{Acme, Team},
    },
};

const TEAM: &str = "/orgs/acme/settings/team";

/// 130 members: names, days of joining and of activity all tie, in different groups; some were never active.
fn seeds(acme: &Acme) -> Vec<Seed> {
    (0..130_u32)
        .map(|n| {
            let active = (n % 5 != 3).then(|| acme.days_ago(i64::from(n % 4)) + i64::from(n % 2));
            let name = format!("Seed {:02}", n % 60);
            let mut seed = Seed::new(
                1000 + u128::from(n),
                &name,
                acme.days_ago(10 + i64::from(n % 3)),
                active,
            );
            seed.role = if n % 10 == 0 { "viewer" } else { "member" };
            seed
        })
        .collect()
}

/// What the heading says of the order: `ascending`, `descending`, nothing.
fn aria_sort(page: &Answer<'_>, heading: &str) -> Option<String> {
    let head = page.body.split("<thead").nth(1).expect("headings");
    let cell = head
        .split("<th ")
        .find(|cell| cell.contains(&format!(">{heading}<")))
        .unwrap_or_else(|| panic!("no heading {heading}"));
    let value = cell.split("aria-sort=\"").nth(1)?;
    Some(value.split('"').next().expect("a value").to_owned())
}

/// Where a heading leads.
fn link(page: &Answer<'_>, heading: &str) -> Option<String> {
    let head = page.body.split("<thead").nth(1).expect("headings");
    let before = head
        .split(&format!(">{heading}<"))
        .next()
        .expect("a heading");
    let tag = before.rsplit('<').next().expect("a tag");
    let url = tag.strip_prefix("a href=\"")?;
    Some(url.trim_end_matches('"').replace("&#38;", "&"))
}

on_both! {
    /// Every column, both ways, over three pages and back: ties by id, and "Never" is the longest ago.
    fn members_are_sorted_both_ways_across_pages(kind) {
        let acme = Team::acme(kind);
        let mut seeds = seeds(&acme);
        acme.seed_members(&seeds);
        for column in ["name", "joined", "active"] {
            match column {
                "name" => seeds.sort_by_key(|it| (it.name.clone(), it.id)),
                "joined" => seeds.sort_by_key(|it| (it.joined, it.id)),
                _ => seeds.sort_by_key(|it| (it.active, it.id)),
            }
            let mut expected: Vec<String> = seeds.iter().map(|it| it.email()).collect();
            for order in ["", "desc"] {
                let (there, back) = acme.adam.walk(&format!("{TEAM}?q=seed&sort={column}&order={order}"));
                let names: Vec<String> = expected.iter().map(|email| name_of(&seeds, email)).collect();
                assert_eq!(there, names, "{column} {order}");
                assert_eq!(back, names, "{column} {order}");
                // Names tie; addresses do not.
                let mut url = format!("{TEAM}?q=seed&sort={column}&order={order}");
                let mut emails = Vec::new();
                loop {
                    let page = acme.adam.get(&url);
                    emails.extend(addresses(&page));
                    match page.urls_containing("after=").pop() {
                        Some(next) => url = next,
                        None => break,
                    }
                }
                assert_eq!(emails, expected, "{column} {order}");
                expected.reverse();
            }
        }
    }

    /// What many match is found as completely as what few match, in every order and for every role.
    fn a_common_word_finds_everybody(kind) {
        let acme = Team::acme(kind);
        let mut seeds: Vec<Seed> = (0..520_u32)
            .map(|n| {
                let active = (n % 7 > 0).then(|| acme.days_ago(i64::from(n % 30)));
                let joined = acme.days_ago(40 + i64::from(n % 3));
                let mut seed = Seed::new(1000 + u128::from(n), &format!("Seed {n:03}"), joined, active);
                seed.role = if n % 10 == 0 { "viewer" } else { "member" };
                seed
            })
            .collect();
        acme.seed_members(&seeds);
        let others: Vec<Seed> = (0..60_u32)
            .map(|n| Seed::new(1 + u128::from(n), &format!("Aunt {n:02}"), acme.days_ago(9), None))
            .collect();
        acme.seed_members(&others);
        for (sort, order) in [("name", ""), ("name", "desc"), ("joined", ""), ("active", "desc")] {
            match sort {
                "name" => seeds.sort_by_key(|it| (it.name.clone(), it.id)),
                "joined" => seeds.sort_by_key(|it| (it.joined, it.id)),
                _ => seeds.sort_by_key(|it| (it.active, it.id)),
            }
            if order == "desc" {
                seeds.reverse();
            }
            for (role, total) in [("", 520), ("viewer", 52)] {
                let wanted = seeds.iter().filter(|it| role.is_empty() || it.role == role);
                let names: Vec<String> = wanted.map(|it| it.name.clone()).collect();
                assert_eq!(names.len(), total);
                let url = format!("{TEAM}?q=see&role={role}&sort={sort}&order={order}");
                let shown = names.len().min(50);
                acme.adam.get(&url).expect(200).shows(&format!("Showing 1–{shown} of {total} members"));
                let (there, back) = acme.adam.walk(&url);
                assert_eq!(there, names, "{url}");
                assert_eq!(back, names, "{url}");
            }
        }
        // A person with several such words is one person still.
        for letter in ["a", "b", "c", "d"] {
            acme.sql(&format!(
                "INSERT INTO membership_words (organization_id, word, account_id) SELECT organization_id, word || '{letter}', \
                 account_id FROM membership_words WHERE word = 'seed'"
            ));
        }
        let total = "Showing 1–50 of 520 members";
        acme.adam.get(&format!("{TEAM}?q=see")).expect(200).shows(total);
        acme.adam.get(&format!("{TEAM}?q=s")).expect(200).shows(total);
        // Members search names only.
        acme.mia.get(&format!("{TEAM}?q=see")).expect(200).shows(total);
        acme.mia.get(&format!("{TEAM}?q=aunt")).expect(200).shows("Showing 1–50 of 60 members");
    }

    /// Walks that begin or end within "Never", whatever is next to it, lose nobody and show nobody twice.
    fn never_is_no_gap(kind) {
        let acme = Team::acme(kind);
        let seeds: Vec<Seed> = (0..100_u32)
            .map(|n| Seed::new(1 + u128::from(n), &format!("Seed {n:02}"), acme.days_ago(9), (n >= 80).then(|| acme.days_ago(1))))
            .collect();
        acme.seed_members(&seeds);
        for order in ["", "desc"] {
            let (there, back) = acme.adam.walk(&format!("{TEAM}?sort=active&order={order}"));
            assert_eq!(there.len(), 104);
            assert_eq!(there, back);
            let mut once = there.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), 104);
            let never = if order.is_empty() { &there[..80] } else { &there[24..] };
            assert!(never.iter().all(|name| name.starts_with("Seed")), "{never:?}");
        }
    }

    /// The headings say how the list is sorted and lead to the other ways; search and role stay, the page does not.
    fn headings_say_and_lead(kind) {
        let acme = Team::acme(kind);
        acme.seed_members(&seeds(&acme));
        let page = acme.adam.get(TEAM);
        assert_eq!(aria_sort(&page, "Member").as_deref(), Some("ascending"));
        assert_eq!(aria_sort(&page, "Joined"), None);
        assert_eq!(link(&page, "Member").as_deref(), Some("/orgs/acme/settings/team?order=desc"));
        assert_eq!(link(&page, "Role"), None);

        let page = acme.adam.get(&format!("{TEAM}?q=seed&role=member&sort=joined"));
        assert_eq!(aria_sort(&page, "Member"), None);
        assert_eq!(aria_sort(&page, "Joined").as_deref(), Some("ascending"));
        let newest = link(&page, "Joined").expect("a link");
        assert_eq!(newest, "/orgs/acme/settings/team?q=seed&role=member&sort=joined&order=desc");
        let next = page.urls_containing("after=").pop().expect("a second page");
        assert!(next.contains("sort=joined") && next.contains("q=seed") && next.contains("role=member"), "{next}");
        let second = acme.adam.get(&next);
        second.shows("Showing 51–100 of 117 members");
        assert_eq!(link(&second, "Last active").as_deref(), Some("/orgs/acme/settings/team?q=seed&role=member&sort=active"));

        let page = acme.adam.get(&newest);
        assert_eq!(aria_sort(&page, "Joined").as_deref(), Some("descending"));
        assert_eq!(link(&page, "Joined").as_deref(), Some("/orgs/acme/settings/team?q=seed&role=member&sort=joined"));
        assert!(page.body.contains("type=\"hidden\" name=\"sort\" value=\"joined\""), "a search keeps the order");
        assert!(page.body.contains("type=\"hidden\" name=\"order\" value=\"desc\""), "a search keeps the order");

        let (there, _) = acme.adam.walk(&format!("{TEAM}?q=seed&role=viewer&sort=active&order=desc"));
        assert_eq!(there.len(), 13);
    }

    /// Who sees names and roles only cannot learn from the order when somebody joined or was active.
    fn members_sort_by_name_only(kind) {
        let acme = Team::acme(kind);
        acme.set_active("olivia@example.test", acme.days_ago(20));
        acme.set_active("vic@example.test", acme.days_ago(30));
        let by_name = acme.mia.get(TEAM).listed();
        assert_eq!(by_name, ["Adam Admin", "Mia Member", "Olivia Owner", "Vic Viewer"]);
        for sort in ["joined", "active"] {
            let page = acme.mia.get(&format!("{TEAM}?sort={sort}"));
            assert_eq!(page.listed(), by_name, "{sort}");
            assert_eq!(aria_sort(&page, "Member").as_deref(), Some("ascending"));
            assert!(page.urls_containing("sort=").is_empty(), "no link to another order");
        }
        let mut backwards = by_name;
        backwards.reverse();
        assert_eq!(acme.mia.get(&format!("{TEAM}?sort=active&order=desc")).listed(), backwards);
        assert_eq!(acme.adam.get(&format!("{TEAM}?sort=active")).listed()[..2], ["Vic Viewer", "Olivia Owner"]);
    }

    /// What an address says that cannot be read is the top of the list in the usual order.
    fn nonsense_is_the_top(kind) {
        let acme = Team::acme(kind);
        let top = acme.adam.get(TEAM).listed();
        let id = "01234567-0123-7123-8123-0123456789ab";
        for query in [
            "sort=role", "sort=%00", "order=up", "after=x", &format!("sort=joined&after={id}.noon"),
            &format!("sort=joined&after={id}.never"), &format!("sort=active&after={id}.99999999999999999999"),
            &format!("sort=joined&after={id}.-9223372036854775808"), "sort=active&after=x.never",
            &format!("after={id}.%00"),
        ] {
            let page = acme.adam.get(&format!("{TEAM}?{query}"));
            page.expect(200);
            let mut listed = page.listed();
            listed.sort();
            assert_eq!(listed, top, "{query}");
        }
    }
}

/// The addresses in the rows of the members list.
fn addresses(page: &Answer<'_>) -> Vec<String> {
    page.body
        .split("role=\"rowheader\"")
        .skip(1)
        .filter_map(|row| {
            let row = row.split("<small><bdi>").nth(1)?;
            Some(row.split("</bdi>").next()?.to_owned())
        })
        .collect()
}

fn name_of(seeds: &[Seed], email: &str) -> String {
    let found = seeds.iter().find(|it| it.email() == email);
    found.expect("a seed").name.clone()
}
