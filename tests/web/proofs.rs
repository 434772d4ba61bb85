//! Proofs of the mailbox: confirming an address, changing it, a forgotten password, and what waits for a proof.

use crate::{
    on_both,
    support::{
        database::Kind,
        facts,
        people::Person,
        race::{Click, at_once, with_status},
        routes::comparable,
        team::{Acme, RESET, START, Setup, Team, VERIFY, people_password},
    },
};
use roster::{clock::Clock, mail::transport::Transport};
use time::ext::NumericalDuration as _;

const GRACE: &str = "grace@example.test";
/// An address without an account, as long as Grace's: answers have the same length.
const NOBODY: &str = "empty@example.test";
const NEW: &str = "grace@elsewhere.test";
const NEW_PASSWORD: &str = "warum 31 blaue ziegel";

/// Somebody who has just signed up: not confirmed, and not the very first account of the instance.
fn newcomer(team: &Team, name: &str, email: &str, organization: &str) -> Person {
    if team.count("accounts") == 0 {
        team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
    }
    // Nobody else comes in the very first millisecond.
    team.advance(1.seconds());
    let person = team.sign_up_unconfirmed(name, email, organization);
    team.deliver();
    person
}

fn grace(team: &Team) -> Person {
    newcomer(team, "Grace Hopper", GRACE, "Navy")
}

fn without_mail(kind: Kind) -> Team {
    let mut setup = Setup {
        transport: Transport::None,
        ..Setup::default()
    };
    setup.rules.mail_ready = false;
    Team::with(kind, setup)
}

fn verify_link(team: &Team, email: &str) -> String {
    team.path_for(email, VERIFY)
}

fn is_verified(team: &Team, email: &str) -> bool {
    team.count(&format!(
        "accounts WHERE email_key = '{email}' AND verified_at IS NOT NULL"
    )) == 1
}

fn signed_in(team: &Team, email: &str) -> Person {
    let person = team.visitor();
    person.sign_in(email).expect(303);
    person
}

/// Asks for the letter with a way to a new password.
fn forgot(person: &Person, email: &str) -> u16 {
    person
        .get("/forgot-password")
        .submit("/forgot-password", &[("email", email)])
        .status
}

/// The link in that letter.
fn reset_link(team: &Team, email: &str) -> String {
    assert_eq!(forgot(&team.visitor(), email), 303);
    team.path_for(email, RESET)
}

fn reset<'p>(person: &'p Person, link: &str, password: &str) -> crate::support::people::Answer<'p> {
    person.get(link).submit(link, &[("password", password)])
}

fn change<'p>(
    person: &'p Person,
    email: &str,
    password: &str,
) -> crate::support::people::Answer<'p> {
    let fields = [("email", email), ("password", password)];
    person
        .get("/account/email")
        .submit("/account/email", &fields)
}

fn subjects(team: &Team, email: &str) -> Vec<String> {
    let letters = team.letters_to(email);
    letters.into_iter().map(|letter| letter.subject).collect()
}

on_both! {
    /// R-ACC-4: signing up sends a letter; its page has one button, and only the button confirms.
    fn looking_at_the_link_changes_nothing_and_the_button_confirms(kind) {
        let team = Team::empty(kind);
        let grace = grace(&team);
        grace.get("/").expect(200).shows("Confirm your address: we sent a letter to grace@example.test.");
        assert_eq!(subjects(&team, GRACE), ["Confirm your email address"]);
        let link = verify_link(&team, GRACE);
        let before = facts::dump(&team.db);
        for person in [&grace, &team.visitor()] {
            for _ in 0..3 {
                person.head(&link).expect(200);
                person.get(&link).expect(200).shows("Confirm your address").shows("Grace Hopper").shows(GRACE);
            }
            person.ask("OPTIONS", &link, &[], None).expect(405);
        }
        let page = team.visitor();
        let page = page.get(&link);
        for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "same-origin"), ("x-robots-tag", "noindex")] {
            assert_eq!(page.header(name), Some(value));
        }
        // Without a form token, or with somebody else's, nothing happens either.
        team.visitor().post(&link, &[]).expect(403);
        grace.post(&link, &[("csrf", &page.csrf())]).expect(403);
        assert_eq!(facts::dump(&team.db), before);

        grace.get(&link).submit(&link, &[]).expect(303).leads_to("/").follow()
            .expect(200).shows("grace@example.test is confirmed.").lacks("Confirm your address");
        assert!(is_verified(&team, GRACE));
        grace.get("/account/email").expect(200).shows("and it is confirmed");
    }

    /// R-ACC-4: the first proof ends every other session; later ones end none.
    fn the_first_proof_ends_every_other_session(kind) {
        let team = Team::empty(kind);
        let grace = grace(&team);
        let other = signed_in(&team, GRACE);
        let link = verify_link(&team, GRACE);
        // In a browser that is signed in as somebody else, nobody's session is kept, and that one is left alone.
        let ada = newcomer(&team, "Ada Lovelace", "ada@example.test", "Engines");
        let (ada_tab, ada_link) = (signed_in(&team, "ada@example.test"), verify_link(&team, "ada@example.test"));
        ada.get(&link).submit(&link, &[]).expect(303).leads_to("/");
        assert!(!grace.is_signed_in() && !other.is_signed_in());
        assert!(ada.is_signed_in() && ada_tab.is_signed_in());

        ada.get(&ada_link).submit(&ada_link, &[]).expect(303);
        assert!(ada.is_signed_in() && !ada_tab.is_signed_in());
        let tab = signed_in(&team, "ada@example.test");
        ada.get("/").submit(&ada_link, &[]).expect(303);
        assert!(tab.is_signed_in());
    }

    /// Signed out, the link itself proves the mailbox. The second click gets the answer of the first.
    fn confirming_signed_out_and_twice(kind) {
        let team = Team::empty(kind);
        grace(&team);
        let link = verify_link(&team, GRACE);
        let phone = team.visitor();
        let page = phone.get(&link);
        page.expect(200).shows("Somebody else made this account? Don't confirm");
        page.submit(&link, &[]).expect(303).leads_to("/sign-in");
        assert!(is_verified(&team, GRACE));
        let before = facts::dump(&team.db);
        page.submit(&link, &[]).expect(303).leads_to("/sign-in").follow().expect(200).shows("grace@example.test is confirmed.");
        assert_eq!(facts::dump(&team.db), before);
        phone.get(&link).expect(410).shows("This link has already been used.").shows("Your address is confirmed. There is nothing more to do.");
        assert!(!phone.is_signed_in());
    }

    /// Twenty clicks at once: one proof, and every answer is a good one.
    fn twenty_clicks_on_confirm(kind) {
        let team = Team::empty(kind);
        grace(&team);
        let link = verify_link(&team, GRACE);
        let clicks: Vec<Click> = (0..20).map(|_| Click::ready(team.visitor(), &link, &link, &[])).collect();
        assert_eq!(with_status(&at_once(&clicks), 303), 20);
        assert!(is_verified(&team, GRACE));
    }

    /// Unknown 404, replaced 410, expired 410 with a way on; a token of one purpose never works for another.
    fn dead_links(kind) {
        let team = Team::empty(kind);
        let grace = grace(&team);
        let first = verify_link(&team, GRACE);
        let token = first.strip_prefix(VERIFY).expect("a link");
        let reset_token = reset_link(&team, GRACE).strip_prefix(RESET).expect("a link").to_owned();
        let before = facts::dump(&team.db);
        for bad in [
            format!("{first}x"),
            format!("{VERIFY}ver_"),
            format!("{VERIFY}{reset_token}"),
            format!("{VERIFY}ver_{}", &reset_token[4..]),
            format!("{RESET}{token}"),
            format!("{RESET}pwd_{}", &token[4..]),
            format!("{VERIFY}inv_{}", &token[4..]),
        ] {
            let page = grace.get(&bad);
            page.expect(404).shows("We can't find that link.");
            grace.get("/").submit(&bad, if bad.starts_with(RESET) { &[("password", NEW_PASSWORD)] } else { &[] }).expect(404);
        }
        assert_eq!(facts::dump(&team.db), before);

        team.advance(2.minutes());
        grace.get("/").submit("/account/verify-email", &[]).expect(303);
        let second = verify_link(&team, GRACE);
        assert_ne!(first, second);
        grace.get(&first).expect(410).shows("This link has already been used.").shows("Or a newer one was sent");
        grace.get("/").submit(&first, &[]).expect(410);
        team.advance(7.days() - 1.seconds());
        grace.get(&second).expect(200);
        team.advance(1.seconds());
        team.visitor().get(&second).expect(410).shows("This link has expired.").shows("Sign in");
        let expired = grace.get(&second);
        expired.expect(410).shows("Send a new letter");
        expired.submit(&second, &[]).expect(410);
        assert!(!is_verified(&team, GRACE));
        expired.submit("/account/verify-email", &[]).expect(303);
        grace.confirm_address(&verify_link(&team, GRACE));
        assert!(is_verified(&team, GRACE));
    }

    /// Another letter: a minute between two, ten a day, and none when there is nothing to confirm.
    fn another_letter_within_limits(kind) {
        let team = Team::on(crate::support::database::TestDatabase::new(kind), Setup::default(), Clock::manual(START));
        let grace = grace(&team);
        let page = grace.get("/account/email");
        page.shows("Confirm your address: we sent a letter to grace@example.test.").shows("Send the letter again");
        team.advance(59.seconds());
        let early = page.submit("/account/verify-email", &[]);
        assert_eq!((early.status, early.retry_after()), (429, 1));
        assert_eq!(subjects(&team, GRACE).len(), 1);
        team.advance(1.seconds());
        let sent = page.submit("/account/verify-email", &[]);
        sent.expect(303).leads_to("/account/email").follow().shows("We sent a letter to grace@example.test. Open the link in it.");
        for _ in 0..9 {
            team.advance(1.minutes());
            team.deliver();
            page.submit("/account/verify-email", &[]).expect(303);
        }
        team.advance(1.minutes());
        let much = page.submit("/account/verify-email", &[]);
        assert_eq!(much.status, 429);
        assert!(much.retry_after() > 3600);
        assert_eq!(subjects(&team, GRACE).len(), 11);

        grace.confirm_address(&verify_link(&team, GRACE));
        team.advance(1.days());
        page.submit("/account/verify-email", &[]).expect(303).follow().shows("Your address is confirmed already.");
        assert_eq!(subjects(&team, GRACE).len(), 11);
        team.visitor().post("/account/verify-email", &[("csrf", "x")]).expect(303).leads_to("/sign-in");
    }

    /// R-ACC-4: a link that others have seen proves nothing, so a letter asks; one that only the mailbox saw needs none.
    fn joining_through_an_exposed_link_asks_for_a_proof(kind) {
        let acme = Team::acme(kind);
        acme.adam.invite(GRACE, "member");
        acme.adam.invite("noor@example.test", "member");
        let link = acme.link_for(GRACE);
        acme.adam.copy_link(GRACE);
        let grace = acme.visitor().join(&link, "Grace Hopper");
        acme.visitor().join(&acme.link_for("noor@example.test"), "Noor New");
        assert!(!is_verified(&acme, GRACE) && is_verified(&acme, "noor@example.test"));
        assert_eq!(subjects(&acme, "noor@example.test").len(), 1);
        grace.get("/").shows("Confirm your address");
        grace.confirm_address(&verify_link(&acme, GRACE));
        assert!(is_verified(&acme, GRACE));
    }

    /// R-INV-11: without mail nobody is asked for what nobody could answer.
    fn without_mail_there_are_no_proofs(kind) {
        let team = without_mail(kind);
        let grace = grace(&team);
        assert_eq!((team.count("proofs"), team.count("deliveries")), (0, 0));
        grace.get("/").expect(200).lacks("Confirm your address");
        team.visitor().get("/sign-in").shows("Ask the administrator of this server.").lacks("Forgot your password? Ask for");
        assert!(team.visitor().get("/sign-in").urls_containing("/forgot-password").is_empty());
        grace.get("/account/email").expect(200).shows("this server sends no mail").lacks("New email address");
        grace.get("/").submit("/account/verify-email", &[]).expect(409).shows("This server sends no mail");
        change(&grace, NEW, people_password()).expect(409).shows("email isn't set up on this server");
        let visitor = team.visitor();
        visitor.get("/forgot-password").expect(200).shows("This server sends no mail.");
        visitor.get("/sign-in").submit("/forgot-password", &[("email", GRACE)]).expect(409);
        assert_eq!((team.count("proofs"), team.count("deliveries")), (0, 0));
        // R-ORG-6 asks for nothing either.
        grace.try_invite_to("navy", "noor@example.test", "member", &[]).expect(303);
    }

    /// Nobody learns from the page whether an address has an account.
    fn asking_for_a_new_password_tells_nothing(kind) {
        let team = Team::empty(kind);
        grace(&team);
        team.visitor().get("/sign-in").expect(200).shows("Forgot your password?");
        let mut seen = Vec::new();
        for email in [GRACE, NOBODY] {
            let visitor = team.visitor();
            let answer = visitor.get("/forgot-password").submit("/forgot-password", &[("email", email)]);
            answer.expect(303).leads_to("/sign-in");
            let shown = answer.follow();
            shown.expect(200).shows(&format!("If there is an account for {email}, a letter is on its way."));
            let both = format!("{}\n{}", comparable(&answer), comparable(&shown));
            seen.push(both.replace(email, "ADDRESS"));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(team.letters_to(NOBODY).len(), 0);
        assert_eq!(subjects(&team, GRACE), ["Confirm your email address", "Choose a new password"]);
        // What is no address is said to be none, before anything is counted.
        team.visitor().get("/forgot-password").submit("/forgot-password", &[("email", "grace")]).expect(422).shows("The address");

        // Limits count alike, too.
        let mut refused = Vec::new();
        for email in [GRACE, NOBODY] {
            let visitor = team.visitor();
            for _ in 0..4 {
                assert_eq!(forgot(&visitor, email), 303, "{email}");
            }
            let answer = visitor.get("/forgot-password").submit("/forgot-password", &[("email", email)]);
            answer.expect(429).shows("Wait");
            assert!(answer.retry_after() > 0);
            refused.push(comparable(&answer).replace(email, "ADDRESS"));
        }
        assert_eq!(refused[0], refused[1]);
        // A letter that has just gone out is not sent a second time: nobody empties a mailbox's patience.
        assert_eq!(subjects(&team, GRACE).len(), 2);
    }

    /// Limits of one client over all addresses.
    fn one_client_asks_for_so_many_passwords(kind) {
        let team = Team::empty(kind);
        grace(&team);
        let visitor = team.visitor();
        let page = visitor.get("/forgot-password");
        for number in 0..100 {
            page.submit("/forgot-password", &[("email", &format!("n{number}@example.test"))]).expect(303);
        }
        page.submit("/forgot-password", &[("email", GRACE)]).expect(429);
        team.advance(1.hours());
        page.submit("/forgot-password", &[("email", GRACE)]).expect(303);
    }

    /// A new password: as strong as at sign-up, proves the mailbox, ends every session, opens one here, and is told.
    fn a_new_password_ends_every_session(kind) {
        let team = Team::empty(kind);
        let (squatter, stolen) = { let it = grace(&team); let copy = it.copy(); (it, copy) };
        let link = reset_link(&team, GRACE);
        let browser = team.visitor();
        let before = facts::dump(&team.db);
        browser.head(&link).expect(200);
        browser.get(&link).expect(200).shows("Choose a new password");
        assert!(browser.get(&link).body.contains(GRACE));
        for (weak, why) in [("short", "8"), ("grace hopper", ""), ("password123", "")] {
            reset(&browser, &link, weak).expect(422).shows(why).shows("Choose a new password");
        }
        browser.get(&link).submit(&link, &[("password", NEW_PASSWORD), ("email", "eve@example.test")]).expect(422);
        team.visitor().post(&link, &[("password", NEW_PASSWORD)]).expect(403);
        assert_eq!(facts::dump(&team.db), before);

        let done = reset(&browser, &link, NEW_PASSWORD);
        done.expect(303).leads_to("/").follow().expect(200).shows("Your password is changed.").lacks("Confirm your address");
        assert!(is_verified(&team, GRACE));
        assert!(!squatter.is_signed_in() && !stolen.is_signed_in() && browser.is_signed_in());
        assert_eq!(team.count("sessions WHERE account_id IN (SELECT id FROM accounts WHERE email_key = 'grace@example.test')"), 1);
        assert_eq!(subjects(&team, GRACE).last().map(String::as_str), Some("Your password was changed"));
        assert_eq!(team.count("notifications WHERE kind = 'password_changed'"), 1);
        team.visitor().sign_in(GRACE).expect(422);
        team.visitor().sign_in_with(GRACE, NEW_PASSWORD).expect(303);

        // Once.
        browser.get("/").submit(&link, &[("password", "ganz 44 andere worte")]).expect(410);
        browser.get(&link).expect(410).shows("This link has already been used.").shows("Ask for a new link");
        team.visitor().sign_in_with(GRACE, NEW_PASSWORD).expect(303);
        // Whoever was signed in with the browser before is signed out.
        team.advance(2.minutes());
        let link = reset_link(&team, GRACE);
        let shared = newcomer(&team, "Ada Lovelace", "ada@example.test", "Engines");
        let kept = shared.copy();
        reset(&shared, &link, "ganz 44 andere worte").expect(303);
        assert!(!kept.is_signed_in());
        shared.get("/").shows("Navy").lacks("Engines");
    }

    /// An hour, and only the newest.
    fn a_way_to_a_new_password_lasts_an_hour(kind) {
        let team = Team::empty(kind);
        grace(&team);
        let first = reset_link(&team, GRACE);
        team.advance(1.minutes());
        let second = reset_link(&team, GRACE);
        assert_ne!(first, second);
        let visitor = team.visitor();
        visitor.get(&first).expect(410);
        visitor.get("/sign-in").submit(&first, &[("password", NEW_PASSWORD)]).expect(410);
        let page = visitor.get(&second);
        page.expect(200);
        team.advance(1.hours() - 1.seconds());
        visitor.get(&second).expect(200);
        team.advance(1.seconds());
        visitor.get(&second).expect(410).shows("This link has expired.").shows("Ask for a new link");
        page.submit(&second, &[("password", NEW_PASSWORD)]).expect(410);
        assert!(!is_verified(&team, GRACE));
        team.visitor().sign_in(GRACE).expect(303);
    }

    /// Two browsers, one link: one wins, and the other is told.
    fn two_browsers_race_to_use_one_reset_link(kind) {
        let team = Team::empty(kind);
        grace(&team);
        for _ in 0..5 {
            team.advance(61.minutes());
            let link = reset_link(&team, GRACE);
            let passwords = [NEW_PASSWORD, "ganz 44 andere worte"];
            let clicks = passwords.map(|password| Click::ready(team.visitor(), &link, &link, &[("password", password)]));
            let answers = at_once(&clicks);
            assert_eq!((with_status(&answers, 303), with_status(&answers, 410)), (1, 1));
            assert_eq!(team.count("sessions WHERE account_id IN (SELECT id FROM accounts WHERE email_key = 'grace@example.test')"), 1);
            let works = passwords.map(|password| team.visitor().sign_in_with(GRACE, password).status == 303);
            assert_eq!(works, [answers[0].status == 303, answers[1].status == 303]);
        }
    }

    /// A squatter's change of address must not outlive the owner's new password.
    fn a_new_password_ends_a_change_of_address(kind) {
        let team = Team::empty(kind);
        let squatter = grace(&team);
        change(&squatter, "eve@example.test", people_password()).expect(303);
        let trap = verify_link(&team, "eve@example.test");
        reset(&team.visitor(), &reset_link(&team, GRACE), NEW_PASSWORD).expect(303);
        squatter.get(&trap).expect(410);
        let eve = team.visitor();
        eve.get("/sign-in").submit(&trap, &[]).expect(410);
        assert_eq!(team.count("accounts WHERE email_key = 'eve@example.test'"), 0);
    }

    /// The first proof does the same, whichever it is: here an invitation that only the mailbox saw.
    fn the_first_proof_ends_a_change_of_address(kind) {
        let acme = Team::acme(kind);
        let grace = grace(&acme);
        change(&grace.copy(), "eve@example.test", people_password()).expect(303);
        let trap = verify_link(&acme, "eve@example.test");
        acme.adam.invite(GRACE, "member");
        grace.accept(&acme.link_for(GRACE)).expect(303);
        assert!(is_verified(&acme, GRACE));
        grace.get(&trap).expect(410);
        assert_eq!(acme.count("proofs WHERE closed_at IS NULL AND email_key = 'eve@example.test'"), 0);
    }

    /// R-ORG-4: nothing changes until the new address is confirmed; then everything that follows from it does.
    fn changing_ones_address(kind) {
        let acme = Team::acme(kind);
        let mia = &acme.mia;
        let other = signed_in(&acme, "mia@example.test");
        acme.adam.invite("noor@example.test", "member");
        let reset_before = reset_link(&acme, "mia@example.test");
        acme.visitor().get("/account/email").expect(303).leads_to("/sign-in?next=%2Faccount%2Femail");
        change(mia, NEW, "falsches wort 12 daneben").expect(422).shows("That is not your password.");
        change(mia, NEW, "").expect(422).shows("Enter your password.");
        change(mia, "mia", people_password()).expect(422).shows("The address");
        change(mia, " MIA@example.TEST ", people_password()).expect(422).shows("That is your address already.");
        assert_eq!(acme.count("proofs WHERE purpose = 'verify_email'"), acme.count("proofs WHERE email_key = 'olivia@example.test'"));

        let asked = change(mia, "Grace@Elsewhere.test", people_password());
        asked.expect(303).leads_to("/account/email").follow().expect(200)
            .shows("We sent a letter to Grace@Elsewhere.test. Nothing changes until you open its link.")
            .shows("Waiting for confirmation of Grace@Elsewhere.test.")
            .shows("Your address is mia@example.test");
        assert_eq!(acme.count("accounts WHERE email_key = 'mia@example.test'"), 1);
        assert_eq!(subjects(&acme, NEW), ["Confirm your email address"]);
        let link = verify_link(&acme, NEW);
        let before = facts::dump(&acme.db);
        acme.visitor().get(&link).expect(200).shows("Mia Member").shows("Grace@Elsewhere.test").shows("Not your account?");
        mia.head(&link).expect(200);
        assert_eq!(facts::dump(&acme.db), before);

        mia.get(&link).submit(&link, &[]).expect(303).leads_to("/").follow().expect(200).shows("Your address is Grace@Elsewhere.test from now on.");
        assert!(is_verified(&acme, NEW));
        assert!(mia.is_signed_in() && !other.is_signed_in());
        acme.visitor().sign_in("mia@example.test").expect(422);
        acme.visitor().sign_in(NEW).expect(303);
        // Found by the new address, not by the old one.
        let found = |words: &str| acme.olivia.get(&format!("/orgs/acme/settings/team?q={words}")).listed();
        assert_eq!(found("elsewhere"), found("mia"));
        assert_eq!(found("elsewhere").len(), 1);
        assert!(found("mia%40example.test").is_empty());
        // The old address is told; its way to a new password is closed, and other people's invitations stay.
        let told = acme.letters_to("mia@example.test").pop().expect("told");
        assert_eq!(told.subject, "Your email address was changed");
        assert_eq!(acme.count("notifications WHERE kind = 'email_changed' AND before = 'mia@example.test' AND after = 'Grace@Elsewhere.test'"), 1);
        acme.visitor().get(&reset_before).expect(410);
        assert_eq!(acme.count("invitations WHERE state = 'pending'"), 1);
        // The second click, here and elsewhere.
        mia.get("/").submit(&link, &[]).expect(303).follow().shows("Grace@Elsewhere.test is confirmed.");
        mia.get("/account/email").lacks("Waiting for confirmation");
    }

    /// The link works in a browser that is not signed in; then every session ends. In every organization.
    fn changing_ones_address_in_another_browser(kind) {
        let acme = Team::acme(kind);
        let bea = acme.sign_up("Bea Beta", "bea@example.test", "Beta");
        acme.adam.invite("bea@example.test", "viewer");
        bea.accept(&acme.link_for("bea@example.test")).expect(303);
        change(&bea, NEW, people_password()).expect(303);
        let link = verify_link(&acme, NEW);
        // Whoever reads the mailbox is not yet whoever wants the account: nothing happens until Bea signs in.
        let phone = acme.visitor();
        let sent_away = phone.get(&link).submit(&link, &[]);
        assert!(sent_away.expect(303).location.as_deref().is_some_and(|to| to.starts_with("/sign-in?next=%2Fverify-email%2F")));
        acme.mia.get(&link).submit(&link, &[]).expect(403).shows("This letter is about another account");
        assert_eq!(acme.count("accounts WHERE email_key = 'bea@example.test'"), 1);
        phone.sign_in("bea@example.test").expect(303);
        phone.get(&link).submit(&link, &[]).expect(303).leads_to("/");
        assert!(!bea.is_signed_in() && phone.is_signed_in());
        acme.olivia.get("/orgs/acme/settings/team?q=elsewhere").shows("Bea Beta");
        let bea = signed_in(&acme, NEW);
        bea.get("/orgs/beta/settings/team?q=elsewhere").expect(200).shows("Bea Beta");
    }

    /// Nobody learns whether another account has the address; whoever is first gets it.
    fn an_address_that_is_taken(kind) {
        let acme = Team::acme(kind);
        let mut seen = Vec::new();
        let mut answers = |email: &str, who: &Person| {
            let answer = change(who, email, people_password());
            answer.expect(303);
            let shown = answer.follow();
            let both = format!("{}\n{}", comparable(&answer), comparable(&shown));
            seen.push(both.replace(email, "ADDRESS"));
        };
        answers("adam@example.test", &acme.mia);
        answers("free@example.test", &acme.mia);
        assert_eq!(seen[0], seen[1]);

        // Free when it was asked for, taken when it is confirmed.
        let link = verify_link(&acme, "free@example.test");
        newcomer(&acme, "Fred Free", "free@example.test", "Freeware");
        let before = facts::dump(&acme.db);
        acme.mia.get(&link).submit(&link, &[]).expect(409).shows("That address is taken");
        assert_eq!(facts::dump(&acme.db), before, "a failure uses nothing up");
        assert!(acme.mia.is_signed_in());
        acme.visitor().sign_in("mia@example.test").expect(303);
    }

    /// Two accounts confirm the same address at the same moment.
    fn two_accounts_race_for_one_address(kind) {
        let acme = Team::acme(kind);
        change(&acme.mia, NEW, people_password()).expect(303);
        let mias = verify_link(&acme, NEW);
        change(&acme.vic, NEW, people_password()).expect(303);
        let vics = verify_link(&acme, NEW);
        assert_ne!(mias, vics);
        let clicks = [
            Click::ready(acme.mia.copy(), &mias, &mias, &[]),
            Click::ready(acme.vic.copy(), &vics, &vics, &[]),
        ];
        let answers = at_once(&clicks);
        assert_eq!((with_status(&answers, 303), with_status(&answers, 409)), (1, 1));
        assert_eq!(acme.count("accounts WHERE email_key = 'grace@elsewhere.test'"), 1);
    }

    /// A wrong address at sign-up can be put right; the letter sent again goes to the right one.
    fn a_mistyped_address_is_put_right(kind) {
        let team = Team::empty(kind);
        let grace = newcomer(&team, "Grace Hopper", "grave@example.test", "Navy");
        change(&grace, GRACE, people_password()).expect(303);
        change(&grace, GRACE, people_password()).expect(429).shows("You can resend in 60 s");
        let page = grace.get("/account/email");
        page.shows("Waiting for confirmation of grace@example.test.").lacks("we sent a letter to grave@example.test");
        team.advance(1.minutes());
        team.deliver();
        page.submit("/account/verify-email", &[]).expect(303).follow().shows("We sent a letter to grace@example.test.");
        assert_eq!(subjects(&team, GRACE).len(), 2);
        grace.confirm_address(&verify_link(&team, GRACE));
        assert!(is_verified(&team, GRACE));
        assert_eq!(team.count("accounts WHERE email_key = 'grave@example.test'"), 0);
    }

    /// R-ORG-6: nobody mails others before their own address is confirmed, whole lists included; the very first account may.
    fn mailing_others_needs_a_confirmed_address(kind) {
        let team = Team::empty(kind);
        let olivia = team.sign_up("Olivia Owner", "olivia@example.test", "Acme");
        assert!(!is_verified(&team, "olivia@example.test"));
        olivia.get("/orgs/acme/settings/team/invite").expect(200).lacks("Confirm your own address");
        olivia.invite("noor@example.test", "member");

        let grace = grace(&team);
        let invitations = team.count("invitations");
        let page = "/orgs/navy/settings/team/invite";
        grace.get(page).expect(200).shows("Confirm your own address before Roster mails others for you.");
        grace.get("/orgs/navy/settings/team").expect(200).shows("Confirm your own address");
        let refused = grace.try_invite_to("navy", "ed@example.test, mia@example.test", "viewer", &[("message", "Hello")]);
        refused.expect(403).shows("Roster sends letters on your behalf once your own address is confirmed.");
        assert!(refused.body.contains("<title>Error: "));
        assert!(refused.body.contains("ed@example.test, mia@example.test") && refused.body.contains("Hello"));
        assert_eq!(refused.urls_containing("/account/email").len(), 1);
        assert_eq!((team.count("invitations"), team.letters_to("ed@example.test").len()), (invitations, 0));

        // A link to share oneself is no letter. Sending it later would be one.
        grace.try_invite_to("navy", "ed@example.test", "viewer", &[("link_only", "yes")]).expect(303);
        let list = grace.get("/orgs/navy/settings/team/invitations");
        list.expect(200).shows("Confirm your own address first");
        let resend = list.urls_containing("/link").into_iter().next().expect("Copy link").replace("/link", "/resend");
        assert!(list.urls_containing("/resend").is_empty());
        let denied = list.submit(&resend, &[]);
        denied.expect(403).shows("Confirm your address first").shows("Confirm your address");
        assert_eq!(denied.urls_containing("/account/email").len(), 1);
        assert!(team.letters_to("ed@example.test").is_empty());

        grace.confirm_address(&verify_link(&team, GRACE));
        grace.get(page).expect(200).lacks("Confirm your own address");
        list.submit(&resend, &[]).expect(303);
        grace.try_invite_to("navy", "mia@example.test", "viewer", &[]).expect(303);
        assert_eq!(team.letters_to("ed@example.test").len(), 1);
        assert_eq!(team.letters_to("mia@example.test").len(), 1);
    }

    /// R-ACC-4, pre-hijacking: a squatter waits in an account with Grace's address. She gets an invitation, a new
    /// password, and joins; the squatter's session is over at its next request.
    fn a_squatter_is_out_before_grace_is_in(kind) {
        let acme: Acme = Team::acme(kind);
        let squatter = grace(&acme);
        acme.adam.invite(GRACE, "admin");
        let link = acme.link_for(GRACE);
        let grace = acme.visitor();
        grace.get(&link).expect(200).shows("Forgot your password?");
        reset(&grace, &reset_link(&acme, GRACE), NEW_PASSWORD).expect(303);
        grace.accept(&link).expect(303).follow().shows("Welcome to Acme");
        squatter.get("/orgs/acme").expect(303).leads_to("/sign-in?next=%2Forgs%2Facme");
        acme.visitor().sign_in(GRACE).expect(422);
        grace.get("/orgs/acme/settings/team").expect(200);
    }
}
