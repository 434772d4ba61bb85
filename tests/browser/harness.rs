//! The browser harness, held against a small page of its own: a journey can only be trusted if
//! every word it is told in works, and fails when it should.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use fantoccini::key::Key;

use crate::support::Browser;

/// The policy of the real pages: the harness must work under it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HOME: &str = r#"<!doctype html><html lang="en"><head><title>Team · Acme</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/app.css"><script type="module" src="/app.js"></script></head>
<body><main data-screen="team/members"><h1>Team</h1>
<p class="js-only">With JavaScript</p><p class="no-js-only">Without JavaScript</p>
<form method="post" action="/sent">
<p><label for="email">Email</label> <input id="email" name="email" type="email" value="old@example.test"></p>
<fieldset><legend>Role</legend>
<p><label><input type="radio" name="role" value="admin"> Admin <small>Can invite people.</small></label></p>
<p><label><input type="radio" name="role" value="member" checked> Member <small>Can use everything.</small></label></p></fieldset>
<p><label>Order <select name="order"><option value="n">Newest</option><option value="o">Oldest</option></select></label></p>
<p><button>Send   Invitation</button></p></form>
<table><caption>Pending invitations</caption><thead><tr><th scope="col">Email</th><th scope="col">Actions</th></tr></thead><tbody>
<tr><td>noor@example.test</td><td><a href="/revoke/noor">Revoke</a></td></tr>
<tr><td>vic@example.test</td><td><a href="/revoke/vic">Revoke</a></td></tr></tbody></table>
<p hidden>Secret</p><p><button type="button" disabled>Closed</button></p>
<p><button type="button" id="copy" aria-label="Copy link"></button> <button type="button" id="ask">Invite Member</button></p>
<dialog id="box" aria-label="Invite"><p><label>Email <input name="again"></label></p>
<form method="dialog"><p><button>Cancel</button></p></form></dialog></main></body></html>"#;

const BROKEN: &str = r#"<!doctype html><html lang="en"><head><title>Broken</title>
<link rel="icon" href="/icon.svg"><link rel="stylesheet" href="/missing.css"><script type="module" src="/throws.js"></script></head>
<body><main><h1>Broken</h1><img src="/icon.svg"><p style="color: red">Red</p><input name="nameless"></main></body></html>"#;

const STYLE: &str = ":root { color-scheme: light dark; color: light-dark(#111, #eee); background: light-dark(#fff, #111) }
.js-only { display: none } [data-js] .js-only { display: block } [data-js] .no-js-only { display: none }
a { color: light-dark(#004, #aaf) } button { min-width: 3rem; min-height: 2rem } button:disabled { color: light-dark(#333, #ccc) }";

const SCRIPT: &str = "document.documentElement.dataset.js = '';
ask.onclick = () => box.showModal();
copy.onclick = async () => { await navigator.clipboard.writeText('http://example.test/link'); ask.textContent = 'Link copied' };";

/// Serves the pages above for as long as the test runs; returns the address.
fn pages() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A browser opens connections it may not use: none may hold up the others.
            thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header == "\r\n" {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body)?;
    let body = String::from_utf8_lossy(&body);

    let path = request.split(' ').nth(1).unwrap_or_default();
    let page = |words: &str| HOME.replace("<h1>Team</h1>", &format!("<h1>Team</h1><p>{words}</p>"));
    let (status, kind, text) = match path {
        "/" => ("200 OK", "text/html", HOME.to_owned()),
        "/sent" => ("422 No", "text/html", page(&format!("Sent {body}"))),
        "/broken" => ("200 OK", "text/html", BROKEN.to_owned()),
        "/app.css" => ("200 OK", "text/css", STYLE.to_owned()),
        "/app.js" => ("200 OK", "text/javascript", SCRIPT.to_owned()),
        "/throws.js" => (
            "200 OK",
            "text/javascript",
            "throw Error('oh no')".to_owned(),
        ),
        // Text has no head to name an icon in.
        "/favicon.ico" | "/icon.svg" => (
            "200 OK",
            "image/svg+xml",
            "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_owned(),
        ),
        path if path.starts_with("/revoke/") => ("200 OK", "text/html", page("Revoked")),
        _ => ("404 Not Found", "text/plain", "Nothing here".to_owned()),
    };
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\
         Content-Security-Policy: {POLICY}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

/// The words of the failure that `act` ends in.
fn failure(act: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(act)).expect_err("it should have failed");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_person_fills_presses_and_sees() {
    let home = pages();
    let browser = Browser::open();
    browser.visit(&home);
    assert_eq!(browser.title(), "Team · Acme");
    browser.see("With JavaScript");
    browser.miss("Without JavaScript");
    assert!(!browser.shows("Secret"), "hidden text is not seen");
    assert!(browser.html().contains("data-screen=\"team/members\""));

    browser.fill("Email", "noor@example.test");
    assert_eq!(browser.value("Email"), "noor@example.test");
    assert!(browser.chosen("Member"));
    browser.choose("Admin");
    assert!(browser.chosen("Admin") && !browser.chosen("Member"));
    browser.pick("Order", "Oldest");
    browser.press("Send Invitation");
    browser.at("/sent");
    browser.see("Sent email=noor%40example.test&role=admin&order=o");

    browser.press_in("vic@example.test", "Revoke");
    browser.at("/revoke/vic");
    browser.see("Revoked");
    assert_eq!(browser.address().path(), "/revoke/vic");

    browser.press("Invite Member");
    browser.fill("Email", "in the dialog");
    assert_eq!(browser.value("Email"), "in the dialog");
    assert_eq!(browser.focused(), "Email");
    browser.key(Key::Escape);
    assert_eq!(browser.value("Email"), "old@example.test");

    browser.allow_clipboard();
    browser.press("Copy link");
    browser.see("Link copied");
    assert_eq!(browser.clipboard(), "http://example.test/link");

    browser.visit(&format!("{home}/nowhere?x=1"));
    browser.at("/nowhere?x=1");
    browser.forget();
    // A page answered by 422 or 404 is part of the journey, not an error.
    assert_eq!(browser.console_errors(), [""; 0]);
}

#[test]
fn a_failing_step_says_what_the_page_shows() {
    let home = pages();
    let browser = Browser::open();
    browser.visit(&home);
    browser.wait_at_most(Duration::from_millis(100));
    let words = failure(|| browser.press("Revoke"));
    assert!(words.contains("2 things are called “Revoke”"), "{words}");
    let words = failure(|| browser.press("Closed"));
    assert!(words.contains("“Closed” is disabled"), "{words}");
    let words = failure(|| browser.fill("Password", "x"));
    assert!(words.contains("only “Email”"), "{words}");
    let words = failure(|| browser.see("Nobody"));
    assert!(words.contains("“Nobody” is not to be seen"), "{words}");
    assert!(words.contains("which shows: Team"), "{words}");
}

#[test]
fn pictures_are_kept_in_light_dark_and_on_a_phone() {
    let home = pages();
    let browser = Browser::open();
    browser.visit(&home);
    let size = |picture: &[u8]| {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| picture[at + i]));
        (number(16), number(20))
    };
    let pictures = browser
        .pictures("harness")
        .map(|path| std::fs::read(path).expect("a picture"));
    let [light, dark, phone] = &pictures;
    assert_ne!(light, dark);
    assert_eq!(size(light), size(dark));
    assert_eq!(size(phone).0, 390);

    browser.phone();
    browser.dark();
    let both = browser.screenshot("harness");
    assert!(both.ends_with("target/screenshots/harness-phone-dark.png"));
    browser.light();
    browser.desktop();
}

#[test]
fn axe_and_the_console_find_what_is_wrong() {
    let home = pages();
    let browser = Browser::open();
    browser.visit(&home);
    assert_eq!(browser.axe(), [""; 0]);
    browser.dark();
    assert_eq!(browser.axe(), [""; 0]);
    assert_eq!(browser.console_errors(), [""; 0]);

    browser.visit(&format!("{home}/broken"));
    let found = browser.axe().join("\n");
    assert!(found.contains("image-alt (critical)"), "{found}");
    assert!(found.contains("label (critical)"), "{found}");
    let errors = browser.console_errors().join("\n");
    assert!(errors.contains("/missing.css"), "{errors}");
    assert!(errors.contains("oh no"), "{errors}");
    assert!(errors.contains("Content Security Policy"), "{errors}");
}

#[test]
fn without_javascript_no_script_runs() {
    let home = pages();
    let browser = Browser::open_without_javascript();
    browser.visit(&home);
    browser.see("Without JavaScript");
    assert!(!browser.shows("With JavaScript"));
    browser.fill("Email", "noor@example.test");
    browser.choose("Admin");
    browser.press("Send Invitation");
    browser.at("/sent");
    browser.see("Sent email=noor%40example.test&role=admin&order=n");
    browser.pictures("harness-without-javascript");
}
