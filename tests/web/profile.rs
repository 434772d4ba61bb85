//! One's own account: name, picture, password (R-ORG-4).

use crate::{
    on_both,
    support::{
        people::{Answer, Person},
        race::{Click, at_once},
        rows::ACTIVITY,
        team::{Acme, Setup, Team, people_password},
    },
};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage, codecs::gif::GifEncoder};
use std::io::Cursor;

const MIA: &str = "mia@example.test";
const MEMBERS: &str = "/orgs/acme/settings/team";
const NEW: &str = "umbrella gravel sonnet";

fn rename(who: &Person, name: &str) -> u16 {
    let fields = [("name", name)];
    let page = who.get("/account");
    page.submit("/account/name", &fields).status
}

/// Names that members lists sort or find by, and that are not what the account is called.
fn stale_names(team: &Team) -> i64 {
    team.count(
        "memberships m JOIN accounts a ON a.id = m.account_id WHERE m.name_key <> lower(a.name) \
         OR (SELECT count(*) FROM membership_words w WHERE w.organization_id = m.organization_id \
         AND w.account_id = m.account_id AND lower(a.name) LIKE w.word || ' %') <> 1",
    )
}

fn picture() -> DynamicImage {
    RgbaImage::from_fn(300, 200, |x, _| {
        if x < 150 {
            Rgba([200, 0, 0, 255])
        } else {
            Rgba([0, 0, 200, 255])
        }
    })
    .into()
}

fn written(kind: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = DynamicImage::from(picture().to_rgb8());
    picture.write_to(&mut file, kind).expect("it is written");
    file.into_inner()
}

/// A JPEG with a note in it, as cameras leave where they were.
fn with_note() -> Vec<u8> {
    let plain = written(ImageFormat::Jpeg);
    [&plain[..2], b"\xff\xfe\x00\x0dsecret spot", &plain[2..]].concat()
}

fn upload<'a>(who: &'a Person, name: &str, file: &[u8]) -> Answer<'a> {
    let token = who.get("/account").csrf();
    who.upload(
        "/account/avatar",
        &[("csrf", &token)],
        ("avatar", name, file),
    )
}

/// The address of the picture in the top bar.
fn avatar_of(who: &Person) -> String {
    let page = who.get("/account");
    let start = page.body.find("/avatars/").expect("a picture");
    page.body[start..start + "/avatars/".len() + 36].to_owned()
}

/// What a browser gets for an image: status, headers, bytes.
fn fetch(team: &Team, who: &Person, path: &str) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .build();
    let agent = ureq::Agent::from(config);
    let mut request = agent.get(format!("http://{}{path}", team.address));
    let cookies = who.cookie_header();
    if !cookies.is_empty() {
        request = request.header("cookie", cookies);
    }
    let mut response = request.call().expect("an answer");
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    let bytes = response.body_mut().read_to_vec().expect("bytes");
    (response.status().as_u16(), headers, bytes)
}

fn change_password<'a>(who: &'a Person, current: &str, new: &str) -> Answer<'a> {
    let fields = [("current", current), ("password", new)];
    who.get("/account/security")
        .submit("/account/password", &fields)
}

on_both! {
    fn a_new_name_is_everywhere_at_once(kind) {
        let acme = Team::acme(kind);
        let zoe = acme.sign_up("Zoe Zulu", "zoe@example.test", "Zulu");
        acme.sql("UPDATE accounts SET verified_at = created_at WHERE email_key = 'zoe@example.test'");
        zoe.try_invite_to("zulu", MIA, "member", &[]).expect(303);
        acme.mia.accept(&acme.link_for(MIA)).expect(303);

        let done = acme.mia.get("/account").submit("/account/name", &[("name", "  Ada   Byron ")]);
        done.expect(303).leads_to("/account");
        done.follow().shows("Your name is Ada Byron now.").shows("Account menu of Ada Byron");
        assert_eq!(stale_names(&acme), 0);

        // A Member searches names only: the address still says mia.
        let list = acme.mia.get(MEMBERS).listed();
        assert_eq!(list, ["Ada Byron", "Adam Admin", "Olivia Owner", "Vic Viewer"]);
        assert_eq!(acme.mia.get(&format!("{MEMBERS}?q=byron")).listed(), ["Ada Byron"]);
        assert!(acme.mia.get(&format!("{MEMBERS}?q=mia")).listed().is_empty());
        assert_eq!(acme.adam.get(&format!("{MEMBERS}?q=mia")).listed(), ["Ada Byron"]);
        let zulu = zoe.get("/orgs/zulu/settings/team?q=byron");
        assert_eq!(zulu.listed(), ["Ada Byron"]);
        // What the log says of the past stays.
        assert_eq!(acme.count("audit_events WHERE actor = 'Mia Member'"), 2);
    }

    fn a_name_that_is_none_comes_back_with_the_form(kind) {
        let acme = Team::acme(kind);
        let before = acme.dump(&ACTIVITY);
        for (name, words) in [("  ", "Fill this in."), (&"x".repeat(81), "Use at most 80 characters.")] {
            let page = acme.mia.get("/account").submit("/account/name", &[("name", name)]);
            page.expect(422).shows(&format!("Your name: {words}"));
            page.shows_markup("<title>Error: Profile").shows_markup("role=\"alert\"");
            page.shows_markup(&format!("value=\"{name}\""));
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
    }

    fn whoever_joins_while_renaming_is_found_by_the_new_name(kind) {
        let acme = Team::acme(kind);
        let twin = acme.second();
        for round in 0..12 {
            let mia = acme.visitor();
            mia.sign_in(MIA).expect(303);
            let zoe = acme.sign_up("Zoe Zulu", &format!("zoe{round}@example.test"), "Zulu");
            acme.sql("UPDATE accounts SET verified_at = created_at WHERE verified_at IS NULL");
            let slug = if round == 0 { "zulu".to_owned() } else { format!("zulu-{}", round + 1) };
            zoe.try_invite_to(&slug, MIA, "member", &[]).expect(303);
            let link = acme.link_for(MIA);
            let name = format!("Grace {round}");
            let clicks = [
                Click::ready(mia.copy(), &link, &format!("{link}/accept"), &[]),
                Click::ready(mia.at(twin.address), "/account", "/account/name", &[("name", &name)]),
            ];
            for answer in at_once(&clicks) {
                answer.expect(303);
            }
            assert_eq!(stale_names(&acme), 0, "round {round}");
            acme.advance(time::Duration::minutes(16));
        }
    }

    fn the_address_says_whether_it_is_confirmed(kind) {
        let acme = Team::acme(kind);
        let mia = acme.mia.get("/account");
        mia.expect(200).shows("mia@example.test Confirmed").lacks("Send the letter again");
        mia.shows_markup("href=\"/account/email\"");
        let olivia = acme.olivia.get("/account");
        olivia.shows("olivia@example.test Not confirmed").shows("Send the letter again");
        olivia.shows_markup("action=\"/account/verify-email\"");

        let mut setup = Setup::default();
        setup.rules.mail_ready = false;
        let silent = Team::with(kind, setup);
        let zoe = silent.sign_up("Zoe Zulu", "zoe@example.test", "Zulu");
        let page = zoe.get("/account");
        page.shows("Not confirmed").lacks("Send the letter again");
        zoe.get("/account/security").lacks("we'll email you");
    }

    fn pages_of_the_account_want_somebody_signed_in(kind) {
        let team = Team::empty(kind);
        let nobody = team.visitor();
        for path in ["/account", "/account/security"] {
            let there = format!("/sign-in?next={}", path.replace('/', "%2F"));
            nobody.get(path).expect(303).leads_to(&there);
        }
    }

    fn a_picture_is_drawn_anew(kind) {
        let acme = Team::acme(kind);
        for (index, file) in [written(ImageFormat::Png), written(ImageFormat::WebP), with_note()].iter().enumerate() {
            upload(&acme.mia, "me.exe", file).expect(303).leads_to("/account");
            let url = avatar_of(&acme.mia);
            let (status, headers, png) = fetch(&acme, &acme.mia, &url);
            assert_eq!(status, 200);
            let header = |name: &str| {
                let all: Vec<&str> = headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
                all.join(" AND ")
            };
            assert_eq!(header("content-type"), "image/png");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("content-security-policy"), "default-src 'none'");
            assert_eq!(header("cache-control"), "private, max-age=31536000, immutable");
            let drawn = image::load_from_memory_with_format(&png, ImageFormat::Png).expect("a PNG");
            assert_eq!((drawn.width(), drawn.height()), (128, 128));
            assert!(!png.windows(6).any(|bytes| bytes == b"secret"));
            // The one before is gone.
            assert_eq!(acme.count("avatars"), 1, "round {index}");
        }
    }

    fn of_a_moving_picture_the_first_is_kept(kind) {
        let acme = Team::acme(kind);
        let mut file = Vec::new();
        let mut encoder = GifEncoder::new(&mut file);
        for colour in [[250, 250, 0, 255], [0, 0, 0, 255]] {
            let frame = image::Frame::new(RgbaImage::from_pixel(40, 40, Rgba(colour)));
            encoder.encode_frame(frame).expect("a frame");
        }
        drop(encoder);
        upload(&acme.mia, "party.gif", &file).expect(303);
        let (_, _, png) = fetch(&acme, &acme.mia, &avatar_of(&acme.mia));
        let drawn = image::load_from_memory_with_format(&png, ImageFormat::Png).expect("a PNG");
        assert_eq!(drawn.to_rgba8().get_pixel(64, 64).0, [250, 250, 0, 255]);
    }

    fn what_is_no_picture_is_refused_in_words(kind) {
        let acme = Team::acme(kind);
        let whole = written(ImageFormat::Png);
        let mut bomb = whole.clone();
        bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
        let mut crc = flate2::Crc::new();
        crc.update(&bomb[12..29]);
        bomb[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>".to_vec();
        let page = b"<!doctype html><script>alert(1)</script>".to_vec();
        let before = acme.dump(&ACTIVITY);
        for (name, file, status, words) in [
            ("me.svg", svg, 422, "This is not a picture we can read. Choose a PNG, JPEG, GIF or WebP file."),
            ("me.png", page, 422, "This is not a picture we can read."),
            ("me.png", whole[..whole.len() / 2].to_vec(), 422, "This picture is damaged."),
            ("me.png", bomb, 422, "This picture has too many pixels. Use one of at most 4096 × 4096."),
            ("me.png", vec![0; 10 * 1024 * 1024], 413, "This file is too large. Use one of at most 2 MB."),
            ("", Vec::new(), 422, "Choose a picture."),
        ] {
            let answer = upload(&acme.mia, name, &file);
            answer.expect(status).shows(&format!("Picture: {words}"));
            answer.shows_markup("<title>Error: Profile").shows_markup("id=\"f-avatar-error\"");
        }
        assert_eq!(acme.dump(&ACTIVITY), before);
    }

    fn a_picture_wants_our_own_form_before_it_is_looked_at(kind) {
        let acme = Team::acme(kind);
        let file = written(ImageFormat::Png);
        let before = acme.dump(&ACTIVITY);
        let send = |who: &Person, token: &str, file: &[u8]| {
            who.upload("/account/avatar", &[("csrf", token)], ("avatar", "me.png", file)).status
        };
        assert_eq!(send(&acme.mia, &acme.adam.get("/account").csrf(), &file), 403);
        // A file that no decoder has seen: the token is wrong, and so nobody says what else is.
        assert_eq!(send(&acme.mia, "x", b"<svg/>"), 403);
        let nobody = acme.visitor();
        let token = nobody.get("/sign-in").csrf();
        assert_eq!(send(&nobody, &token, b"<svg/>"), 303);
        assert_eq!(acme.dump(&ACTIVITY), before);
    }

    fn pictures_are_for_those_one_works_with(kind) {
        let acme = Team::acme(kind);
        upload(&acme.mia, "me.png", &written(ImageFormat::Png)).expect(303);
        let url = avatar_of(&acme.mia);
        let zoe = acme.sign_up("Zoe Zulu", "zoe@example.test", "Zulu");
        let status = |who: &Person| fetch(&acme, who, &url).0;
        assert_eq!([status(&acme.mia), status(&acme.vic), status(&zoe), status(&acme.visitor())], [200, 200, 404, 404]);
        for wrong in ["/avatars/x", "/avatars/00000000-0000-0000-0000-000000000000"] {
            let none = fetch(&acme, &acme.mia, wrong);
            assert_eq!(none.0, 404);
        }
        // Who leaves sees no more.
        acme.vic.get("/orgs/acme/leave").submit("/orgs/acme/leave", &[]).expect(303);
        assert_eq!(status(&acme.vic), 404);

        // In the list: the picture, and initials for everybody else.
        let list = acme.adam.get(MEMBERS);
        list.shows_markup(&format!("<img class=\"pic\" src=\"{url}\"")).shows_markup("data-i=\"AA\"");
        assert!(!list.body.contains("data-i=\"MM\""));

        let done = acme.mia.get("/account").submit("/account/avatar/remove", &[]);
        done.expect(303).leads_to("/account");
        done.follow().shows("Your picture is removed.");
        assert_eq!(status(&acme.mia), 404);
        assert_eq!(acme.count("avatars") + acme.count("accounts WHERE avatar_id IS NOT NULL"), 0);
        acme.adam.get(MEMBERS).shows_markup("data-i=\"MM\"");
    }

    fn a_new_password_ends_every_other_way_in(kind) {
        let acme = Team::acme(kind);
        let elsewhere = acme.visitor();
        elsewhere.sign_in(MIA).expect(303);
        let stolen = acme.mia.copy();
        acme.letters();
        let mia = acme.account_id(MIA).replace('-', "");
        let id = if acme.on_postgres() { format!("'{mia}'") } else { format!("X'{mia}'") };
        for (number, purpose, email) in [
            (1, "reset_password", MIA),
            (2, "verify_email", "thief@example.test"),
            (3, "verify_email", MIA),
        ] {
            let proof = format!("{number:032x}");
            let proof = if acme.on_postgres() { format!("'{proof}'") } else { format!("X'{proof}'") };
            acme.sql(&format!(
                "INSERT INTO proofs (id, account_id, purpose, email, email_key, link_version, created_at, expires_at) \
                 SELECT {proof}, {id}, '{purpose}', '{email}', '{email}', 1, created_at, created_at FROM accounts WHERE id = {id}"
            ));
        }

        let done = change_password(&acme.mia, people_password(), NEW);
        done.expect(303).leads_to("/account/security");
        done.follow().expect(200).shows("Your password is changed.");
        assert_eq!([&acme.mia, &elsewhere, &stolen].map(Person::is_signed_in), [true, false, false]);
        assert_eq!(acme.count(&format!("sessions WHERE account_id = {id}")), 1);
        // What is left open is the letter for the person's own mailbox.
        assert_eq!(acme.count(&format!("proofs WHERE closed_at IS NULL AND account_id = {id}")), 1);
        assert_eq!(acme.count("proofs WHERE closed_at IS NULL AND purpose = 'verify_email' AND email = 'mia@example.test'"), 1);

        let letters = acme.letters_to(MIA);
        assert!(letters.last().expect("a letter").text.contains("Your password was changed"));
        assert_eq!(acme.count(&format!("notifications WHERE kind = 'password_changed' AND account_id = {id}")), 1);
        let visitor = acme.visitor();
        visitor.sign_in(MIA).expect(422);
        visitor.sign_in_with(MIA, NEW).expect(303);
        // Nobody else was touched.
        assert!(acme.adam.is_signed_in());
    }

    fn a_new_password_wants_the_old_one_and_must_be_strong(kind) {
        let acme = Team::acme(kind);
        let before = hashes(&acme);
        for (current, new, words) in [
            ("", NEW, "Enter your current password."),
            ("wrong wolken 77 kratzen", NEW, "That is not your password."),
            (people_password(), "short 7", "New password: Use at least 8 characters."),
            (people_password(), "mia member", "New password: This password is too easy to guess."),
        ] {
            let page = change_password(&acme.mia, current, new);
            page.expect(422).shows(words).shows_markup("<title>Error: Security");
            assert!(!page.body.contains(new), "the page repeats the password");
        }
        assert_eq!(hashes(&acme), before);
        // Guessing is counted as signing in is.
        let last = (0..12).map(|_| change_password(&acme.mia, "guess", NEW).status).last();
        assert_eq!(last, Some(429));
        assert!(acme.mia.is_signed_in());
    }

    fn of_two_browsers_that_change_the_password_one_stays(kind) {
        let acme = Team::acme(kind);
        let other = acme.visitor();
        other.sign_in(MIA).expect(303);
        let page = "/account/security";
        let clicks = [(&acme.mia, NEW), (&other, "window teapot marble")].map(|(who, new)| {
            Click::ready(who.copy(), page, "/account/password", &[("current", people_password()), ("password", new)])
        });
        let answers = at_once(&clicks);
        let done: Vec<bool> = answers.iter().map(|answer| answer.location.as_deref() == Some(page)).collect();
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
        let works = [NEW, "window teapot marble"].map(|new| acme.visitor().sign_in_with(MIA, new).status == 303);
        assert_eq!(works.as_slice(), done, "the one who was told so has the password");
    }

    fn renaming_to_the_same_name_changes_nothing(kind) {
        let acme = Team::acme(kind);
        let before = acme.dump(&ACTIVITY);
        assert_eq!(rename(&acme.mia, "Mia Member"), 303);
        assert_eq!(acme.dump(&ACTIVITY), before);
    }
}

fn hashes(acme: &Acme) -> Vec<String> {
    let rows = acme.dump(&ACTIVITY);
    rows.into_iter()
        .filter(|row| row.starts_with("accounts: "))
        .collect()
}
