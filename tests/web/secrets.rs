//! After a full day of use neither the database nor the log nor the figures hold anything that lets somebody in (I11, R-INV-5).

use crate::{
    on_both,
    support::{
        binary::{Process, SECRET_KEY, secret_key},
        database::TestDatabase,
        facts,
        people::Person,
        team::{INVITATION, RESET, VERIFY, people_password},
    },
};
use actix_web::cookie::{Cookie, CookieJar, Key};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use roster::{link::LinkKeys, store::Target, token::SessionToken};

const NEW_PASSWORD: &str = "warum 31 blaue ziegel";
const WRONG_PASSWORD: &str = "falsches wort 12 daneben";

/// What must be found nowhere, and what to call it.
type Secrets = Vec<(String, String)>;

/// A day: everything people can do with links, cookies and passwords. Answers every secret they had in their hands.
fn a_day(roster: &Process) -> Secrets {
    let mut secrets: Secrets = vec![
        ("the password".to_owned(), people_password().to_owned()),
        ("a wrong password".to_owned(), WRONG_PASSWORD.to_owned()),
        ("a new password".to_owned(), NEW_PASSWORD.to_owned()),
        ("the master key".to_owned(), SECRET_KEY.to_owned()),
    ];
    // As a form sends them.
    for (what, text) in secrets.clone() {
        secrets.push((format!("{what}, encoded"), text.replace(' ', "+")));
        secrets.push((format!("{what}, in hexadecimal"), hex(text.as_bytes())));
    }
    let mut keep = |what: &str, person: &Person| cookies(what, person, &mut secrets);

    let olivia = roster.visitor();
    let form = olivia.get("/sign-up");
    keep("the cookie of a signed-out Olivia", &olivia);
    let fields = |email: &'static str| {
        [
            ("name", "Olivia Owner"),
            ("email", email),
            ("password", people_password()),
            ("organization", "Acme"),
        ]
    };
    form.submit("/sign-up", &fields("olivia@example.test"))
        .expect(303);
    keep("Olivia's cookie", &olivia);
    // Forms that come back with what was wrong.
    roster
        .visitor()
        .get("/sign-up")
        .submit("/sign-up", &fields("olivia@example.test"))
        .expect(422);
    roster
        .visitor()
        .get("/sign-up")
        .submit("/sign-up", &fields("not an address"))
        .expect(422);
    roster
        .visitor()
        .post("/sign-up", &fields("nobody@example.test"))
        .expect(403);
    let strange = [
        ("email", "olivia@example.test"),
        ("password", WRONG_PASSWORD),
        ("strange", people_password()),
    ];
    roster
        .visitor()
        .get("/sign-in")
        .submit("/sign-in", &strange)
        .expect(422);

    let names = ["noor", "rita", "vera", "ed", "mia"];
    for name in names {
        olivia.invite(&format!("{name}@example.test"), "member");
    }
    let links = names.map(|name| roster.link_for(&format!("{name}@example.test")));
    let [noor_link, rita_link, vera_link, ed_link, mia_link] = &links;
    olivia.resend("noor@example.test").expect(303);
    assert!(olivia.copy_link("noor@example.test").ends_with(noor_link));
    let page = olivia
        .get(&olivia.invitation_url("ed@example.test"))
        .submit(
            &format!("{}/link", olivia.invitation_url("ed@example.test")),
            &[],
        );
    assert!(page.body.contains(ed_link), "Copy link without a script");

    let noor = roster.visitor();
    noor.head(noor_link).expect(200);
    noor.get(noor_link).expect(200);
    noor.get(&format!("{noor_link}?utm=1")).expect(200);
    noor.get(noor_link)
        .submit(
            &format!("{noor_link}/sign-up"),
            &[("name", ""), ("password", "short")],
        )
        .expect(422);
    noor.try_join(noor_link, "Noor New").expect(303);
    keep("Noor's cookie", &noor);
    noor.get(noor_link).expect(200);
    noor.get("/orgs/acme/settings/team/invite").expect(403);

    // Rita has an account, rejects, and looks again.
    let rita = roster.visitor();
    rita.get("/sign-up")
        .submit("/sign-up", &fields("rita@example.test"))
        .expect(303);
    keep("Rita's cookie", &rita);
    rita.reject(rita_link).expect(303);
    rita.get(rita_link).expect(410);
    rita.get(mia_link).expect(403);
    rita.get(mia_link)
        .submit(&format!("{mia_link}/accept"), &[])
        .expect(403);
    // Rita confirms, forgets her password, gets another, and asks for another address.
    let verify_link = roster.path_for("rita@example.test", VERIFY);
    rita.head(&verify_link).expect(200);
    rita.get(&verify_link).submit(&verify_link, &[]).expect(303);
    rita.get(&verify_link).expect(410);
    let forgotten = [("email", "rita@example.test")];
    rita.get("/forgot-password")
        .submit("/forgot-password", &forgotten)
        .expect(303);
    let reset_link = roster.path_for("rita@example.test", RESET);
    let form = rita.get(&reset_link);
    form.submit(&reset_link, &[("password", "short")])
        .expect(422);
    form.submit(&reset_link, &[("password", NEW_PASSWORD)])
        .expect(303);
    keep("Rita's cookie after a new password", &rita);
    rita.get(&reset_link).expect(410);
    rita.get(&format!("{reset_link}x?utm=1")).expect(404);
    let elsewhere = [("email", "rita@elsewhere.test"), ("password", NEW_PASSWORD)];
    rita.get("/account/email")
        .submit("/account/email", &elsewhere)
        .expect(303);
    let change_link = roster.path_for("rita@elsewhere.test", VERIFY);
    rita.get(&change_link).submit(&change_link, &[]).expect(303);

    // Signed out, somebody is sent back to where they were going.
    roster
        .visitor()
        .get(&format!("/sign-in?next={mia_link}"))
        .expect(200);

    // Vera's is revoked.
    olivia.revoke("vera@example.test").expect(303);
    roster.visitor().get(vera_link).expect(410);
    roster
        .visitor()
        .get(&format!("{vera_link}/none"))
        .expect(404);
    roster
        .visitor()
        .ask("DELETE", vera_link, &[], None)
        .expect(405);
    roster.visitor().get(&format!("{mia_link}x")).expect(404);

    // Ed accepts with an account he has.
    let ed = roster.visitor();
    ed.get("/sign-up")
        .submit("/sign-up", &fields("ed@example.test"))
        .expect(303);
    ed.accept(ed_link).expect(303);
    keep("Ed's cookie", &ed);
    ed.get("/sign-in");
    ed.sign_out();
    let sign_in = ed.get("/sign-in");
    keep("the cookie of a signed-out Ed", &ed);
    sign_in
        .submit(
            "/sign-in",
            &[("email", "ed@example.test"), ("password", WRONG_PASSWORD)],
        )
        .expect(422);
    sign_in
        .submit(
            "/sign-in",
            &[
                ("email", "nobody@example.test"),
                ("password", WRONG_PASSWORD),
            ],
        )
        .expect(422);
    ed.get("/sign-in")
        .submit(
            "/sign-in",
            &[
                ("email", "ed@example.test"),
                ("password", people_password()),
                ("next", mia_link),
            ],
        )
        .expect(303)
        .leads_to(mia_link);
    keep("Ed's second cookie", &ed);

    let proofs = [
        ("rita's confirmation", &verify_link),
        ("rita's reset", &reset_link),
        ("rita's change", &change_link),
    ];
    for (name, link) in names.into_iter().zip(&links).chain(proofs) {
        let token = link.rsplit('/').next().expect("a token");
        let bytes = URL_SAFE_NO_PAD.decode(&token[4..]).expect("a token");
        secrets.push((format!("{name}'s link"), token.to_owned()));
        secrets.push((
            format!("{name}'s link without its prefix"),
            token[4..].to_owned(),
        ));
        secrets.push((format!("the proof in {name}'s link"), hex(&bytes[20..])));
        // The last 21 characters are 15 ¾ of the 16 bytes that prove that we made it.
        secrets.push((
            format!("the end of {name}'s link"),
            token[token.len() - 21..].to_owned(),
        ));
    }
    secrets
}

/// The cookie as it travels, and the token inside it.
fn cookies(what: &str, person: &Person, secrets: &mut Secrets) {
    let header = person.cookie_header();
    let cookie = Cookie::parse_encoded(header.clone())
        .expect("a cookie")
        .into_owned();
    let sealed = header.split_once('=').expect("a cookie").1.to_owned();
    let keys = LinkKeys::new(&secret_key(), []);
    let mut jar = CookieJar::new();
    let name = cookie.name().to_owned();
    secrets.push((format!("{what}, decoded"), cookie.value().to_owned()));
    secrets.push((what.to_owned(), sealed));
    jar.add_original(cookie);
    let open = jar
        .private(&Key::from(&keys.derive_session_cookie_key()))
        .get(&name)
        .expect("our cookie");
    let start = open.value().find("\"t\":").expect("a token") + 4;
    let token: String = open.value()[start..]
        .chars()
        .skip_while(|c| "\\\" ".contains(*c))
        .take_while(|c| !"\\\"".contains(*c))
        .collect();
    let bytes = URL_SAFE_NO_PAD.decode(&token).expect("a token");
    assert!(SessionToken::parse(&token).is_some(), "{}", open.value());
    secrets.push((format!("the token in {what}, in hexadecimal"), hex(&bytes)));
    secrets.push((
        format!("the token in {what}, the other base64"),
        STANDARD.encode(&bytes),
    ));
    secrets.push((format!("the token in {what}"), token));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn holds_none(place: &str, text: &str, secrets: &Secrets) {
    for (what, secret) in secrets {
        assert!(secret.len() >= 8, "{what} is too short to look for");
        if let Some(at) = text.find(secret.as_str()) {
            let start = text[..at].rfind('\n').map_or(0, |line| line + 1);
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            panic!("{place} holds {what}: {}", &text[start..end]);
        }
    }
}

/// How the links of every purpose begin: on the site, and in the token.
const PURPOSES: [(&str, &str); 3] = [(INVITATION, "inv_"), (VERIFY, "ver_"), (RESET, "pwd_")];

/// Everything in a text that could be meant as a link.
fn looks_like_links(text: &str) -> Vec<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut found: Vec<String> = text
        .split(|c| !part(c))
        .filter_map(|word| {
            // A prefix anywhere, and any 48 characters that may have lost it.
            let prefixes = PURPOSES.iter().map(|(_, prefix)| prefix);
            let word = prefixes
                .filter_map(|prefix| word.strip_prefix(prefix))
                .next()
                .unwrap_or(word);
            (word.len() == 48).then(|| word.to_owned())
        })
        .chain(PURPOSES.iter().flat_map(|(_, prefix)| {
            text.match_indices(prefix).map(|(at, _)| {
                let rest = &text[at + prefix.len()..];
                rest.chars().take_while(|c| part(*c)).collect()
            })
        }))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn opens_nothing(roster: &Process, word: &str, place: &str) {
    for (path, prefix) in PURPOSES {
        let link = format!("{path}{prefix}{word}");
        let status = roster.visitor().get(&link).status;
        assert_eq!(status, 404, "{link} in {place} works as a link");
    }
}

on_both! {
    /// Every table, the file, and the log at its most talkative.
    fn a_full_day_leaves_no_secret_behind(kind) {
        let database = TestDatabase::new(kind);
        let roster = Process::start(&database, "trace", &[("RESEND_COOLDOWN", "0s"), ("METRICS_LISTEN", "127.0.0.1:0")]);
        let secrets = a_day(&roster);
        assert!(secrets.len() > 40);
        let db = database.open();
        let dump = facts::dump(&db);

        // The dump is one that would show them: the names are there, and the hash of what is looked for.
        assert!(dump.contains("olivia@example.test") && dump.contains("$argon2id$"));
        let (_, token) = secrets.iter().find(|(what, _)| what == "the token in Olivia's cookie").expect("a token");
        let hash = SessionToken::parse(token).expect("a token").hash();
        assert!(dump.contains(&hex(&hash)), "sessions keep the hash of the token");
        holds_none("the database", &dump, &secrets);

        let tried = looks_like_links(&dump);
        for link in tried {
            opens_nothing(&roster, &link, "the database");
        }
        // Ids are in the dump; an id is no link, however it is spelled.
        let (_, mia) = secrets.iter().find(|(what, _)| what == "mia's link").expect("a link");
        let head = URL_SAFE_NO_PAD.encode(&URL_SAFE_NO_PAD.decode(&mia[4..]).expect("a token")[..20]);
        for end in ["", "AAAAAAAAAAAAAAAAAAAAA", "_____________________"] {
            roster.visitor().get(&format!("/accept-invitation/inv_{head}{end}")).expect(404);
        }

        if let Target::Sqlite(path) = &database.target {
            for ending in ["", "-wal"] {
                let file = std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default();
                holds_none("the database's file", &String::from_utf8_lossy(&file), &secrets);
            }
        }

        let figures = Person::new(roster.figures()).get("/metrics").expect(200).body.clone();
        assert!(figures.contains("/verify-email/{token}"), "{figures}");
        holds_none("/metrics", &figures, &secrets);
        assert!(looks_like_links(&figures).is_empty(), "{figures}");

        let log = roster.log();
        for link in looks_like_links(&log) {
            opens_nothing(&roster, &link, "the log");
        }
        let log = roster.end();
        // The log is one that would show them: every request is in it, by its pattern.
        assert!(log.contains("/accept-invitation/{token}/sign-up") && log.contains("TRACE"), "{log}");
        assert!(log.contains("/verify-email/{token}") && log.contains("/reset-password/{token}"), "{log}");
        assert_eq!(log.matches("authz.denied").count(), 1);
        assert!(!log.contains("ERROR"), "{log}");
        // Refusals say from where, not which address was tried.
        assert!(log.contains("password.refused") && log.contains("csrf.refused"), "{log}");
        assert!(!log.contains("nobody@example.test"), "{log}");
        holds_none("the log", &log, &secrets);
    }
}
