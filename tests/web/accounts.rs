//! Accounts: signing up, in and out, sessions and cookies, forms that are not ours, input that is none.

use crate::{
    on_both,
    support::{
        database::Kind,
        people::{Person, encode_value},
        routes::{fields_of, file_form, fill},
        rows::ACTIVITY,
        team::{Acme, RESET, Setup, Team, VERIFY, people_password},
    },
};
use roster::{
    domain::quota::SIGN_UP_CLIENT,
    password::Hasher,
    web::{HEADERS, ROUTES},
};
use std::time::Duration as RealDuration;
use time::ext::NumericalDuration as _;

const NOOR: &str = "noor@example.test";
const COOKIE: &str = "__Host-roster";

/// Acme with a pending invitation for Noor that can be resent; `fill` makes an address of a route.
struct Filled {
    acme: Acme,
    link: String,
    invitation: String,
    verify: String,
    reset: String,
}

impl Filled {
    fn new(kind: Kind) -> Self {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let link = acme.link_for(NOOR);
        let invitation = acme.adam.invitation_url(NOOR);
        let gus = acme.sign_up_unconfirmed("Gus Guest", "gus@example.test", "Gus Works");
        let verify = acme.path_for("gus@example.test", VERIFY);
        gus.get("/forgot-password")
            .submit("/forgot-password", &[("email", "gus@example.test")]);
        let reset = acme.path_for("gus@example.test", RESET);
        acme.advance(2.minutes());
        Self {
            acme,
            link,
            invitation,
            verify,
            reset,
        }
    }

    /// The address of a route.
    fn fill(&self, route: &str) -> String {
        self.with_parts(|parts| fill(route, parts))
    }

    fn with_parts<T>(&self, use_them: impl FnOnce(&[(&str, &str)]) -> T) -> T {
        let last = |path: &str| path.rsplit('/').next().expect("a part").to_owned();
        let (token, id) = (last(&self.link), last(&self.invitation));
        let (verify, reset) = (last(&self.verify), last(&self.reset));
        let account = self.acme.account_id("vic@example.test");
        use_them(&[
            ("org", "acme"),
            ("verify-email/{token}", &format!("verify-email/{verify}")),
            ("reset-password/{token}", &format!("reset-password/{reset}")),
            ("token", &token),
            ("id", &id),
            ("account", &account),
            ("file", "robots.txt"),
            ("document", "terms"),
            ("fresh", "rex@example.test"),
        ])
    }

    /// The address and the fields of every form without a file.
    fn forms(&self) -> Vec<(String, Vec<(&'static str, String)>)> {
        let posts = ROUTES.iter().filter(|(method, _)| *method == "POST");
        self.with_parts(|parts| {
            posts
                .filter(|(_, pattern)| file_form(pattern).is_none())
                .map(|(_, pattern)| (fill(pattern, parts), fields_of(pattern, parts)))
                .collect()
        })
    }
}

fn form_of<V: AsRef<str>>(token: &str, fields: &[(&str, V)]) -> String {
    let mut form = format!("csrf={}", encode_value(token));
    for (name, value) in fields {
        form.push_str(&format!("&{name}={}", encode_value(value.as_ref())));
    }
    form
}

fn borrowed<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn sign_up_fields<'a>(
    name: &'a str,
    email: &'a str,
    password: &'a str,
    organization: &'a str,
) -> [(&'static str, &'a str); 4] {
    [
        ("name", name),
        ("email", email),
        ("password", password),
        ("organization", organization),
    ]
}

/// What a stolen cookie is worth: the cookies of a moment, in a browser of their own.
fn stolen(person: &Person) -> Person {
    person.copy()
}

on_both! {
    /// R-ORG-2: signing up makes an account, its organization, and its Owner, and signs in.
    fn signing_up_founds_an_organization(kind) {
        let team = Team::empty(kind);
        let olivia = team.visitor();
        let fields = sign_up_fields("Olivia Owner", "Olivia@Example.test", people_password(), "Acme & Söhne");
        let answer = olivia.get("/sign-up").submit("/sign-up", &fields);
        answer.expect(303);
        let home = answer.follow();
        home.expect(200).shows("Welcome to Roster. Your organization is ready: invite your team.").shows("Acme & Söhne").shows("Owner");
        assert_eq!(team.count("accounts WHERE email_key = 'olivia@example.test' AND verified_at IS NULL"), 1);
        assert_eq!(team.count("memberships WHERE role = 'owner'"), 1);
        assert_eq!(team.count("audit_events WHERE verb = 'found'"), 1);
        assert_eq!(team.count("accounts WHERE password_hash LIKE '$argon2id$%'"), 1);
        // Somebody who is in has nothing to sign up for.
        olivia.get("/sign-up").expect(303).leads_to("/");
        olivia.get("/sign-in").expect(303).leads_to("/");

        // Another organization of the same name gets another address; the same address gets no second account.
        let adam = team.sign_up("Adam Admin", "adam@example.test", "Acme & Söhne");
        assert_eq!(team.count("organizations"), 2);
        assert_ne!(adam.get("/").urls_containing("/orgs/"), olivia.get("/").urls_containing("/orgs/"));
        let twin = team.visitor();
        let again = twin.get("/sign-up").submit("/sign-up", &sign_up_fields("Evil Twin", "OLIVIA@example.TEST", people_password(), "Evil"));
        again.expect(422).shows("We can't create an account with this address.");
        assert!(!twin.is_signed_in());
        assert_eq!((team.count("accounts"), team.count("organizations")), (2, 2));
        let mailed: Vec<_> = team.letters().into_iter().map(|letter| (letter.to, letter.subject)).collect();
        assert_eq!(mailed, [("olivia@example.test".to_owned(), "Confirm your email address".to_owned())]);
    }

    /// R-ACC-3: the sign-up form takes what it asks for and nothing else.
    fn signing_up_takes_no_other_field(kind) {
        let team = Team::empty(kind);
        let fields = sign_up_fields("Eve", "eve@example.test", people_password(), "Evil");
        for extra in [("role", "owner"), ("verified_at", "1"), ("email", "two@example.test"), ("is_admin", "true")] {
            let visitor = team.visitor();
            let mut all = fields.to_vec();
            all.push(extra);
            visitor.get("/sign-up").submit("/sign-up", &all).expect(422);
        }
        for missing in ["name", "email", "password", "organization"] {
            let visitor = team.visitor();
            let some: Vec<_> = fields.into_iter().filter(|(name, _)| *name != missing).collect();
            visitor.get("/sign-up").submit("/sign-up", &some).expect(422).shows(missing);
        }
        assert_eq!(team.count("accounts"), 0);
    }

    /// Signing in leads to your organizations; signing out ends the session wherever its cookie was copied to.
    fn signing_out_ends_a_copied_cookie(kind) {
        let acme = Team::acme(kind);
        let mia = acme.visitor();
        mia.sign_in(" MIA@example.test ").expect(303).leads_to("/").follow().expect(200).shows("Acme");
        let thief = stolen(&mia);
        thief.get("/orgs/acme").expect(200);
        mia.sign_out();
        thief.get("/orgs/acme").expect(303).leads_to("/sign-in?next=%2Forgs%2Facme");
        assert!(!thief.is_signed_in() && !mia.is_signed_in());
        // Another browser of the same person goes on.
        assert!(acme.mia.is_signed_in());
        // Signing out twice is no trouble, and never a GET.
        mia.get("/sign-out").expect(405);
        mia.get("/sign-in").expect(200).submit("/sign-out", &[]).expect(303);
    }

    /// SECURITY.md, enumeration: a wrong password and an unknown address get the same answer, byte for byte apart from
    /// the form token, also in their headers.
    fn a_wrong_password_looks_like_an_unknown_address(kind) {
        let team = Team::empty(kind);
        let visitor = team.visitor();
        let ask = || {
            let answer = visitor.sign_in_with(NOOR, "wrong wolken 77 kratzen");
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
            (answer.status, headers, answer.without_token())
        };
        let unknown = ask();
        assert_eq!(unknown.0, 422);
        assert!(unknown.2.contains("Email or password is not right."));
        team.sign_up("Noor New", NOOR, "Own");
        assert_eq!(ask(), unknown);
        visitor.sign_in(NOOR).expect(303);
    }

    /// SECURITY.md, enumeration: both take the same work: one turn at a hash of the same cost.
    fn both_verify_a_password(kind) {
        let hasher = Hasher::new(1).waiting_at_most(RealDuration::from_millis(20));
        let setup = Setup { hasher: hasher.clone(), ..Setup::default() };
        let team = Team::with(kind, setup);
        let cost = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
        let real = hasher.hash(&"whatever it is".to_owned().into(), [7; 16]);
        assert_eq!(cost(hasher.dummy()), cost(&real), "the dummy costs what a real hash costs");
        team.sign_up("Noor New", NOOR, "Own");
        take_the_only_turn(&hasher);
        for email in [NOOR, "unknown@example.test"] {
            let answer = team.visitor().sign_in_with(email, "wrong wolken 77 kratzen").status;
            assert_eq!(answer, 503, "{email} waits for its turn");
        }
        assert!(format!("{hasher:?}").contains("free_turns: 0"), "the turn was taken all the time");
    }

    /// Whose password was not looked at has not guessed: a flood does not lock people out.
    fn being_put_off_is_no_attempt(kind) {
        let hasher = Hasher::new(1).waiting_at_most(RealDuration::from_millis(20));
        let setup = Setup { hasher: hasher.clone(), ..Setup::default() };
        let team = Team::with(kind, setup);
        let noor = team.sign_up("Noor New", NOOR, "Own");
        take_the_only_turn(&hasher);
        for nth in 1..=11 {
            let answer = noor.get("/account/delete").submit("/account/delete", &[("password", people_password())]).status;
            assert_eq!(answer, 503, "confirmation {nth}");
        }
        for nth in 1..=11 {
            let answer = team.visitor().sign_in_with(NOOR, people_password()).status;
            assert_eq!(answer, 503, "sign-in {nth}");
        }
        assert!(format!("{hasher:?}").contains("free_turns: 0"), "the turn was taken all the time");
    }

    /// SECURITY.md, password rules: 8 to 128 characters of any script; the guessable ones are refused with a sentence.
    fn passwords_have_rules(kind) {
        let team = Team::empty(kind);
        let try_password = |email: &str, password: &str| {
            let visitor = team.visitor();
            let fields = sign_up_fields("Grace Hopper", email, password, "Navy");
            let answer = visitor.get("/sign-up").submit("/sign-up", &fields);
            assert!(!answer.body.contains(&format!("value=\"{password}\"")) || password.is_empty());
            (answer.status, answer.text())
        };
        for (password, why) in [
            ("", "Use at least 8 characters."),
            ("x7#Qv!p", "Use at least 8 characters."),
            ("日本語道路橋", "Use at least 8 characters."),
            ("password", "This password is too easy to guess."),
            ("Passw0rd!", "This password is too easy to guess."),
            ("aaaaaaaaaaaa", "This password is too easy to guess."),
            ("12345678", "This password is too easy to guess."),
            ("GraceHopper", "This password is too easy to guess."),
        ] {
            let (status, text) = try_password("grace@example.test", password);
            assert_eq!(status, 422, "{password}");
            assert!(text.contains(why), "{password}: {text}");
        }
        let (status, text) = try_password("grace@example.test", &"ab cd-ef7".repeat(15));
        assert!(status == 422 && text.contains("Use at most 128 characters."), "{text}");
        assert_eq!(team.count("accounts"), 0);

        let longest: String = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich ".repeat(3).chars().take(128).collect();
        let short = "ж7☂ßñ漢q!ö";
        assert_eq!((short.chars().count(), longest.chars().count()), (9, 128));
        for (number, password) in [short, longest.as_str(), "   spaces kept 9 am Rand   "].into_iter().enumerate() {
            let email = format!("person{number}@example.test");
            assert_eq!(try_password(&email, password).0, 303, "{password}");
            team.visitor().sign_in_with(&email, password).expect(303);
            team.visitor().sign_in_with(&email, &password.chars().skip(1).collect::<String>()).expect(422);
        }
        // One keyboard sends é as one character and another as two.
        assert_eq!(try_password("nfc@example.test", "cafe\u{301} im Regen 77").0, 303);
        team.visitor().sign_in_with("nfc@example.test", "caf\u{e9} im Regen 77").expect(303);
        // Eight are enough where they are no word: length is counted in characters, not in bytes.
        assert!(!try_password("eight@example.test", "ж7☂ßñ漢q!").1.contains("Use at least 8 characters."));
    }

    /// SECURITY.md, brute force: ten tries for an address from a client, then 429 with `Retry-After`, the right password
    /// included, whether or not there is such an account. No header helps.
    fn guessing_is_throttled(kind) {
        let acme = Team::acme(kind);
        for email in ["mia@example.test", "unknown@example.test"] {
            let guesser = acme.visitor();
            for _ in 0..10 {
                guesser.sign_in_with(email, "wrong wolken 77 kratzen").expect(422);
            }
            for password in ["wrong wolken 77 kratzen", people_password()] {
                let answer = guesser.sign_in_with(email, password);
                answer.expect(429).shows("Wait 15 min and try again.");
                assert_eq!(answer.retry_after(), 900);
            }
            let (form, fields) = (guesser.get("/sign-in").csrf(), [("email", email), ("password", people_password())]);
            for header in ["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip"] {
                guesser.ask("POST", "/sign-in", &[(header, "192.0.2.7")], Some(&form_of(&form, &fields))).expect(429);
            }
            assert!(!guesser.is_signed_in());
        }
        // Whoever is in stays in, and other addresses are not locked.
        assert!(acme.mia.is_signed_in());
        acme.visitor().sign_in("adam@example.test").expect(303);

        acme.advance(15.minutes() - 1.seconds());
        acme.visitor().sign_in("mia@example.test").expect(429);
        acme.advance(1.seconds());
        acme.visitor().sign_in("mia@example.test").expect(303);
    }

    /// SECURITY.md, brute force: signing in forgets the failures before it.
    fn success_forgets_failures(kind) {
        let acme = Team::acme(kind);
        for _ in 0..3 {
            let mia = acme.visitor();
            for _ in 0..9 {
                mia.sign_in_with("mia@example.test", "wrong wolken 77 kratzen").expect(422);
            }
            mia.sign_in("mia@example.test").expect(303);
        }
    }

    /// SECURITY.md, brute force: the limit is per client, told by a trusted proxy; guessing from everywhere is limited too.
    fn another_client_has_its_own_tries(kind) {
        let setup = Setup { trusted_proxies: vec!["127.0.0.1/32".parse().expect("a network")], ..Setup::default() };
        let acme = Team::acme_with(kind, setup);
        let attempt = |client: &str, password: &str| {
            let visitor = acme.visitor();
            let form = form_of(&visitor.get("/sign-in").csrf(), &[("email", "mia@example.test"), ("password", password)]);
            visitor.ask("POST", "/sign-in", &[("x-forwarded-for", client)], Some(&form)).status
        };
        for _ in 0..10 {
            assert_eq!(attempt("192.0.2.1", "wrong wolken 77 kratzen"), 422);
        }
        assert_eq!(attempt("192.0.2.1", people_password()), 429);
        // What the client itself claims stands before what the proxy has seen.
        assert_eq!(attempt("192.0.2.99, 192.0.2.1", people_password()), 429);
        assert_eq!(attempt("192.0.2.2", people_password()), 303);
        // 100 from anywhere: 10 of these are above (a success is given back), and a refused one here counts no further
        // there.
        let mut tries = 0;
        for client in 10..40 {
            for _ in 0..10 {
                match attempt(&format!("192.0.2.{client}"), "wrong wolken 77 kratzen") {
                    422 => tries += 1,
                    status => {
                        assert_eq!(status, 429);
                        assert_eq!(attempt("198.51.100.1", people_password()), 429);
                        assert_eq!(tries, 100 - 10);
                        return;
                    }
                }
            }
        }
        panic!("{tries} tries and no end");
    }

    /// SECURITY.md, brute force: so many tries to sign up from a client, by itself or with an invitation, whose
    /// passwords would all be hashed. Who is in and who signs in is not concerned.
    fn signing_up_is_throttled(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(NOOR, "member");
        let link = acme.link_for(NOOR);
        acme.sql(&format!("UPDATE quotas SET used = {} WHERE scope = 'sign_up_client'", SIGN_UP_CLIENT.limit - 1));
        let eve = acme.visitor();
        let fields = sign_up_fields("Eve", "eve@example.test", "short", "Evil");
        eve.get("/sign-up").submit("/sign-up", &fields).expect(422).shows("Use at least 8 characters.");
        let fields = sign_up_fields("Eve", "eve@example.test", people_password(), "Evil");
        let answer = eve.get("/sign-up").submit("/sign-up", &fields);
        answer.expect(429);
        assert_eq!(answer.retry_after(), 3600);
        acme.visitor().try_join(&link, "Noor New").expect(429);
        assert_eq!(acme.count("accounts"), 4);
        acme.visitor().sign_in("mia@example.test").expect(303);

        acme.advance(1.hours());
        acme.visitor().join(&link, "Noor New").get("/orgs/acme").expect(200);
    }

    /// R-ORG-5: with SIGNUP=invite the first visitor may make an account, then nobody; an invitation still lets one in.
    fn accounts_by_invitation_only(kind) {
        let mut setup = Setup::default();
        setup.rules.open_sign_up = false;
        let team = Team::with(kind, setup);
        let early = team.visitor();
        let page = early.get("/sign-up");
        page.expect(200);
        team.visitor().get("/sign-in").shows("Sign up");
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");

        team.visitor().get("/sign-up").expect(403).shows("Accounts are by invitation");
        team.visitor().get("/sign-in").expect(200).lacks("Sign up");
        page.submit("/sign-up", &sign_up_fields("Eve", "eve@example.test", people_password(), "Evil")).expect(403).shows("need an invitation");
        assert_eq!((team.count("accounts"), team.count("organizations")), (1, 1));

        olivia.invite(NOOR, "admin");
        let noor = team.visitor().join(&team.link_for(NOOR), "Noor New");
        noor.get("/orgs/acme").expect(200).shows("You joined as Admin.");
        // The invitation was for one account.
        let fields = [("name", "Eve"), ("password", "fremde wolken 12 treiben")];
        team.visitor().get("/sign-in").submit(&format!("{}/sign-up", team.link_for(NOOR)), &fields).expect(410);
        assert_eq!(team.count("accounts"), 2);
    }

    /// SECURITY.md, CSRF: every POST without a form token, or with somebody else's, is 403 and changes nothing.
    fn a_form_that_is_not_ours_does_nothing(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let (of_another, of_nobody) = (acme.olivia.get("/").csrf(), acme.visitor().get("/sign-in").csrf());
        let own = acme.adam.get("/").csrf();
        assert!(!of_another.is_empty() && of_another != own && of_nobody != own);
        let before = acme.dump(&ACTIVITY);
        for (path, fields) in all.forms() {
            acme.adam.post(&path, &borrowed(&fields)).expect(403).shows("This form is out of date");
            for wrong in ["", "x", of_another.as_str(), of_nobody.as_str(), &own[1..], &own.to_uppercase()] {
                acme.adam.ask("POST", &path, &[], Some(&form_of(wrong, &fields))).expect(403);
                // Nobody, with or without a cookie.
                let visitor = acme.visitor();
                let refused = || {
                    let answer = visitor.ask("POST", &path, &[], Some(&form_of(wrong, &fields)));
                    // Where only somebody who is signed in can act, that comes first.
                    assert!(answer.status == 403 || answer.location.as_deref() == Some("/sign-in"), "{path}: {answer:?}");
                };
                refused();
                visitor.get("/sign-in").expect(200);
                refused();
            }
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
        assert!(acme.adam.is_signed_in());
    }

    /// SECURITY.md, CSRF: a form that the browser says came from another site is 403, right token or not.
    fn a_form_from_another_site_does_nothing(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let own = acme.adam.get("/").csrf();
        let before = acme.dump(&ACTIVITY);
        let host = acme.address.to_string();
        let (subdomain, suffix) = (format!("http://evil.{host}"), format!("http://{host}.evil.test"));
        for (path, fields) in all.forms() {
            for headers in [
                [("sec-fetch-site", "cross-site"), ("x", "y")],
                [("sec-fetch-site", "same-site"), ("x", "y")],
                [("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")],
                [("origin", "https://evil.test"), ("x", "y")],
                [("origin", "null"), ("x", "y")],
                [("origin", subdomain.as_str()), ("x", "y")],
                [("origin", suffix.as_str()), ("x", "y")],
                [("origin", "http://127.0.0.1:8080.evil.test"), ("x", "y")],
            ] {
                acme.adam.ask("POST", &path, &headers, Some(&form_of(&own, &fields))).expect(403);
            }
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
        // The same from our own page is fine.
        let headers = [("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:8080")];
        acme.adam.ask("POST", &format!("{}/resend", all.invitation), &headers, Some(&form_of::<&str>(&own, &[]))).expect(303);
    }

    /// SECURITY.md, Standard answers: a POST by somebody who is not signed in changes nothing.
    fn nobody_does_nothing(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let before = acme.dump(&ACTIVITY);
        let visitor = acme.visitor();
        let own = visitor.get("/sign-in").csrf();
        for (path, fields) in all.forms() {
            let for_anybody = ["/sign-up", "/sign-in", "/switch-account", "/ask-again", "/forgot-password"];
            if for_anybody.iter().any(|end| path.ends_with(end)) || path == all.verify || path == all.reset {
                continue;
            }
            visitor.ask("POST", &path, &[], Some(&form_of(&own, &fields))).expect(303).leads_to("/sign-in");
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
    }

    /// SECURITY.md, open redirect: after signing in one lands on this site, whatever `next` says.
    fn next_never_leaves_the_site(kind) {
        let acme = Team::acme(kind);
        let ours = url::Url::parse("http://roster.test").expect("a URL");
        for bad in [
            "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "https://evil.test", "https:evil.test", "http:/evil.test",
            "javascript:alert(1)", "data:text/html,x", "evil.test", "/..//evil.test", "/.//evil.test", "/%2e%2e//evil.test", "/x/..//evil.test",
            "/\t/evil.test", "\t//evil.test", " //evil.test", "/ /evil.test", "/\r\nSet-Cookie: evil=1", "/%0d%0aSet-Cookie:%20evil=1", "/\0",
            "/\u{2028}/evil.test", "/a\u{0}", "@evil.test", "/@evil.test", "?next=//evil.test", "", "/\u{fffd}",
        ] {
            let visitor = acme.visitor();
            let page = visitor.get(&format!("/sign-in?next={}", encode_value(bad)));
            page.expect(200);
            let shown = acme.mia.get(&format!("/sign-in?next={}", encode_value(bad)));
            let fields = [("email", "mia@example.test"), ("password", people_password()), ("next", bad)];
            let sent = page.submit("/sign-in", &fields);
            for answer in [&shown, &sent] {
                if answer.status == 422 {
                    continue;
                }
                answer.expect(303);
                let location = answer.location.as_deref().expect("a location");
                assert!(location.starts_with('/') && !location.starts_with("//") && !location.starts_with("/\\"), "{bad:?} → {location}");
                assert!(!location.contains(['\r', '\n', '\t', '\\']), "{bad:?} → {location}");
                assert_eq!(ours.join(location).expect("a URL").host_str(), Some("roster.test"), "{bad:?} → {location}");
                assert!(answer.headers.iter().all(|(name, value)| name == "location" || !value.contains("evil")), "{:?}", answer.headers);
            }
        }
    }

    /// SECURITY.md, Standard answers: a page asks to sign in first and then opens, query and all.
    fn back_to_the_page_after_signing_in(kind) {
        let acme = Team::acme(kind);
        for page in ["/orgs/acme", "/orgs/acme/settings/team?q=mia&role=member", "/orgs/acme/settings/team/invitations?state=all"] {
            let visitor = acme.visitor();
            let asked = visitor.get(page);
            asked.expect(303).leads_to(&format!("/sign-in?next={}", encode_value(page)));
            let form = asked.follow();
            let next = form.body.split("name=\"next\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("next");
            let next = next.replace("&#38;", "&");
            assert_eq!(next, page);
            // A wrong password does not lose the way.
            let wrong = form.submit("/sign-in", &[("email", "adam@example.test"), ("password", "wrong"), ("next", &next)]);
            wrong.expect(422);
            assert!(wrong.body.replace("&#38;", "&").contains(&format!("name=\"next\" value=\"{page}\"")));
            wrong.submit("/sign-in", &[("email", "adam@example.test"), ("password", people_password()), ("next", &next)])
                .expect(303).leads_to(page).follow().expect(200);
        }
        acme.visitor().get("/").expect(303).leads_to("/sign-in");
        acme.visitor().head("/orgs/acme").expect(303);
    }

    /// A session ends two weeks after it was used last.
    fn an_idle_session_ends(kind) {
        let acme = Team::acme(kind);
        acme.mia.get("/").expect(200);
        acme.advance(14.days() - 1.seconds());
        acme.mia.get("/").expect(200);
        acme.wait_until_noted("sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = 'mia@example.test' AND s.last_seen_at > s.created_at");
        acme.advance(14.days() - 1.seconds());
        acme.mia.get("/").expect(200);
        // Vic was away all the time.
        acme.vic.get("/").expect(303).leads_to("/sign-in");
        acme.adam.get("/orgs/acme").expect(303);
    }

    /// A session that nobody uses for two weeks is over to the second.
    fn an_idle_session_ends_to_the_second(kind) {
        let acme = Team::acme(kind);
        acme.advance(14.days());
        for person in [&acme.mia, &acme.adam, &acme.olivia] {
            person.get("/").expect(303).leads_to("/sign-in");
        }
    }

    /// A session ends sixty days after signing in, used or not.
    fn a_session_ends_in_any_case(kind) {
        let acme = Team::acme(kind);
        for day in (10..60).step_by(10) {
            acme.advance(10.days());
            acme.mia.get("/").expect(200);
            let session = "sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = 'mia@example.test'";
            for _ in 0..500 {
                if acme.moment("s.last_seen_at", session) == acme.now() {
                    break;
                }
                std::thread::sleep(RealDuration::from_millis(5));
            }
            assert_eq!(acme.moment("s.last_seen_at", session), acme.now(), "day {day}");
        }
        acme.advance(10.days() - 1.seconds());
        acme.mia.get("/").expect(200);
        acme.advance(1.seconds());
        acme.mia.get("/").expect(303).leads_to("/sign-in");
        acme.mia.sign_in("mia@example.test").expect(303);
        acme.mia.get("/orgs/acme").expect(200);
    }

    /// SECURITY.md, fixation: signing in gives a new token; the one from before is nobody's.
    fn signing_in_changes_the_token(kind) {
        let acme = Team::acme(kind);
        let visitor = acme.visitor();
        visitor.get("/sign-in").expect(200);
        let (fixed, cookie) = (visitor.copy(), visitor.cookie_header());
        visitor.sign_in("mia@example.test").expect(303);
        assert_ne!(visitor.cookie_header(), cookie);
        assert!(visitor.is_signed_in() && !fixed.is_signed_in());

        let newcomer = acme.visitor();
        newcomer.get("/sign-up").expect(200);
        let fixed = newcomer.copy();
        newcomer.get("/sign-up").submit("/sign-up", &sign_up_fields("Zoe", "zoe@example.test", people_password(), "Zulu")).expect(303);
        assert!(newcomer.is_signed_in() && !fixed.is_signed_in());
    }

    /// R-ACC-5: accepting gives a new token; the one from before works for a minute, for what is under way.
    fn accepting_changes_the_token(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let noor = acme.sign_up("Noor New", NOOR, "Own");
        let before = stolen(&noor);
        noor.accept(&all.link).expect(303);
        assert_ne!(noor.cookie_header(), before.cookie_header());
        acme.advance(59.seconds());
        let still = stolen(&before);
        still.get("/orgs/acme").expect(200);
        acme.advance(1.seconds());
        stolen(&before).get("/orgs/acme").expect(303);
        noor.get("/orgs/acme").expect(200);
        assert_eq!(acme.count("sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = 'noor@example.test' AND s.ends_at IS NULL"), 1);
    }

    /// SECURITY.md: the cookie's attributes. It is encrypted, and its token stands in no row.
    fn the_cookie_keeps_to_itself(kind) {
        let acme = Team::acme(kind);
        let visitor = acme.visitor();
        let anonymous = visitor.get("/sign-in").header("set-cookie").expect("a cookie").to_owned();
        let signed_in = visitor.sign_in("mia@example.test").header("set-cookie").expect("a cookie").to_owned();
        for cookie in [&anonymous, &signed_in] {
            let mut parts = cookie.split("; ");
            assert!(parts.next().is_some_and(|pair| pair.starts_with(&format!("{COOKIE}="))), "{cookie}");
            let mut attributes: Vec<String> = parts.map(str::to_lowercase).collect();
            attributes.sort();
            assert_eq!(attributes, ["httponly", "max-age=5184000", "path=/", "samesite=lax", "secure"], "{cookie}");
        }
        let value = visitor.cookie_header().replace(&format!("{COOKIE}="), "");
        assert!(acme.dump(&[]).iter().all(|row| !row.contains(&value)));
        // Cookies of others, changed cookies and nonsense are nobody's.
        for odd in ["", "x", "%00", &value[1..], &value.to_lowercase(), &"A".repeat(4000)] {
            let header = format!("{COOKIE}={odd}; roster={value}; __Host-other={value}");
            acme.visitor().ask("GET", "/", &[("cookie", &header)], None).expect(303);
        }
    }

    /// SECURITY.md, UI.md: every answer has the security headers, whatever kind of answer it is.
    fn every_answer_has_the_security_headers(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let own = acme.adam.get("/").csrf();
        let asset = acme.adam.get("/").urls_containing("/static/").pop().expect("a static file");
        let mut answers = vec![
            acme.visitor().get("/").headers,
            acme.visitor().get("/sign-in").headers,
            acme.visitor().head("/sign-in").headers,
            acme.visitor().get(&all.link).headers,
            acme.adam.get("/orgs/acme/settings/team").headers,
            acme.adam.get("/orgs/nowhere").headers,
            acme.mia.get("/orgs/acme/settings/team/invite").headers,
            acme.adam.get("/nowhere/at/all").headers,
            acme.adam.get("/static/nothing").headers,
            acme.adam.get("/livez").headers,
            acme.adam.get("/readyz").headers,
            acme.adam.ask("PUT", "/", &[], Some("x")).headers,
            acme.adam.ask("POST", "/sign-out", &[("content-type", "text/plain")], Some("x")).headers,
            acme.adam.post("/sign-out", &[]).headers,
            acme.adam.ask("POST", "/sign-out", &[("accept", "application/json")], Some("csrf=x")).headers,
            acme.adam.ask("POST", &format!("{}/link", all.invitation), &[("accept", "application/json")], Some(&form_of::<&str>(&own, &[]))).headers,
        ];
        let cacheable = acme.adam.get(&asset).headers;
        for headers in &answers {
            assert!(headers.contains(&("cache-control".to_owned(), "no-store".to_owned())), "{headers:?}");
        }
        assert!(cacheable.iter().any(|(name, value)| name == "cache-control" && value.contains("immutable")), "{cacheable:?}");
        answers.push(cacheable);
        for headers in &answers {
            for (name, value) in HEADERS.into_iter().filter(|(name, _)| *name != "cache-control") {
                assert!(headers.contains(&(name.to_owned(), value.to_owned())), "no {name} in {headers:?}");
            }
            assert!(headers.iter().any(|(name, _)| name == "x-request-id"));
            assert!(headers.iter().all(|(name, _)| !["server", "x-powered-by"].contains(&name.as_str())));
        }
        for expected in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("content-security-policy",
             "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
              form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
        ] {
            assert!(HEADERS.contains(&expected), "{expected:?}");
        }
    }

    /// SECURITY.md, Standard answers: a wrong method is 405 everywhere and does nothing; HEAD is there for every page.
    fn a_wrong_method_is_refused(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let own = acme.adam.get("/").csrf();
        acme.adam.get("/orgs/acme").expect(200);
        let before = acme.dump(&ACTIVITY);
        let mut paths: Vec<&str> = ROUTES.iter().map(|(_, path)| *path).collect();
        paths.dedup();
        for route in paths {
            let has = |method: &str| ROUTES.contains(&(method, route));
            let path = all.fill(route);
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let known = if method == "HEAD" { has("GET") } else { ROUTES.iter().any(|(m, p)| *m == method && *p == route) };
                if known {
                    continue;
                }
                let form = form_of::<&str>(&own, &[]);
                let body = ["POST", "PUT", "PATCH"].contains(&method).then_some(form.as_str());
                acme.adam.ask(method, &path, &[], body).expect(405);
            }
            if has("GET") && !route.contains("{file") {
                let (get, head) = (acme.adam.get(&path), acme.adam.head(&path));
                assert_eq!(get.status, head.status, "HEAD {path}");
                assert!(head.body.is_empty(), "HEAD {path}");
            }
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
    }

    /// SECURITY.md, Standard answers: what is no form is 415, what is too long is 413, what is not understood is 422.
    fn what_is_no_form_is_refused(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let own = acme.adam.get("/").csrf();
        let before = acme.dump(&ACTIVITY);
        for (path, fields) in all.forms() {
            let good = form_of(&own, &fields);
            for kind in ["text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded2", "", "x"] {
                acme.adam.ask("POST", &path, &[("content-type", kind)], Some(&good)).expect(415);
            }
            let long = format!("{good}&more={}", "x".repeat(64 * 1024));
            acme.adam.ask("POST", &path, &[], Some(&long)).expect(413);
            for bad in [format!("{good}&surprise=1"), format!("{good}&{good}"), format!("{good}&csrf=x"), format!("{good}&=")] {
                acme.adam.ask("POST", &path, &[], Some(&bad)).expect(422);
            }
            let many = format!("{good}{}", "&x=1".repeat(5000));
            acme.adam.ask("POST", &path, &[], Some(&many)).expect(422);
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
        let json = [("accept", "application/json"), ("content-type", "text/plain")];
        let answer = acme.adam.ask("POST", "/sign-out", &json, Some("x"));
        answer.expect(415);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.body.contains("\"code\":\"unsupported_type\""), "{}", answer.body);
    }

    /// SECURITY.md, Input: NUL and bytes that are no text are 422 in every field of every form, never 5xx, and change nothing.
    fn nul_and_bad_text_are_refused(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        let people = [("/sign-in", acme.visitor()), ("", acme.adam.copy())];
        let forms = all.forms();
        let tokens = people.each_ref().map(|(_, person)| {
            let page = if person.is_signed_in() { "/" } else { "/sign-in" };
            person.get(page).csrf()
        });
        let before = acme.dump(&ACTIVITY);
        for (path, fields) in forms {
            let signed_out = path.ends_with("/sign-up") || path == "/sign-in";
            let (person, token) = if signed_out { (&people[0].1, &tokens[0]) } else { (&people[1].1, &tokens[1]) };
            for bad in ["%00", "%FF", "%C3%28", "%ED%A0%80", "%F8%88%80%80%80", "%C0%80"] {
                for field in fields.iter().map(|(name, _)| *name).chain(["csrf"]) {
                    let good = form_of(token, &fields);
                    let start = format!("{field}=");
                    let changed: Vec<String> = good.split('&')
                        .map(|pair| if pair.starts_with(&start) { format!("{pair}{bad}") } else { pair.to_owned() })
                        .collect();
                    assert_ne!(changed.join("&"), good);
                    let answer = person.ask("POST", &path, &[], Some(&changed.join("&")));
                    assert_eq!(answer.status, 422, "{path} {field}={bad}: {}", answer.text());
                }
            }
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
    }

    /// SECURITY.md, Input: odd bytes in addresses and queries are never 5xx.
    fn odd_addresses_are_never_our_fault(kind) {
        let all = Filled::new(kind);
        let acme = &all.acme;
        for odd in ["%00", "%ff", "%C3%28", "%0d%0a", "..%2f", "%5c", "'%22%3E", "%F0%9F%92%A9", "2147483648", "9223372036854775808", "-1"] {
            for (_, route) in ROUTES.iter().filter(|(method, _)| *method == "GET") {
                for part in ["{org}", "{id}", "{token}", "{file:.*}"] {
                    if route.contains(part) {
                        let path = all.fill(&route.replace(part, odd));
                        let answer = acme.adam.get(&path);
                        assert!((300..500).contains(&answer.status), "{path}: {}", answer.status);
                    }
                }
                for query in ["q", "state", "after", "before", "from", "role", "sort", "next", "emails", "invite", "x"] {
                    let path = format!("{}?{query}={odd}&after=01a1fd55-7a80-7823-9de5-0663077a0af0.{odd}", all.fill(route));
                    let answer = acme.adam.get(&path);
                    assert!(answer.status < 500, "{path}: {}", answer.status);
                }
            }
        }
    }

    /// R-MEM-1: *last active* is written at most once a minute, and is never a wish.
    fn last_active_is_written_once_a_minute(kind) {
        let acme = Team::acme(kind);
        let at = |column: &str| acme.moment(column, "memberships m JOIN accounts a ON a.id = m.account_id WHERE a.email_key = 'mia@example.test'");
        let first = acme.now();
        assert_eq!(at("m.last_active_at"), first, "joining is being active");

        acme.advance(59.seconds());
        for _ in 0..20 {
            acme.mia.get("/orgs/acme").expect(200);
        }
        std::thread::sleep(RealDuration::from_millis(100));
        assert_eq!(at("m.last_active_at"), first);
        let session = |column: &str| acme.moment(column, "sessions s JOIN accounts a ON a.id = s.account_id WHERE a.email_key = 'mia@example.test'");
        assert!(session("s.last_seen_at") <= first);

        acme.advance(1.seconds());
        let now = acme.now();
        for _ in 0..20 {
            acme.mia.get("/orgs/acme").expect(200);
        }
        for _ in 0..500 {
            if at("m.last_active_at") == now && session("s.last_seen_at") == now {
                return;
            }
            std::thread::sleep(RealDuration::from_millis(10));
        }
        panic!("not noted after a minute");
    }
}

/// For a while, by a hash of a million passes.
fn take_the_only_turn(hasher: &Hasher) {
    let slow = hasher.dummy().replace("m=19456,t=2", "m=8,t=1000000");
    assert_ne!(slow, hasher.dummy());
    let busy = hasher.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(busy.verify_bounded("whatever it is".to_owned().into(), slow))
    });
    while format!("{hasher:?}").contains("free_turns: 1") {
        std::thread::sleep(RealDuration::from_millis(1));
    }
}
