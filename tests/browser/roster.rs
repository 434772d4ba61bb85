//! The real program, run as an operator would run it: its own folder, its own port, and a mail
//! server that keeps what it is sent. Links are taken from those letters.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use tempfile::TempDir;
use url::Url;

use crate::smtp::{Received, SmtpServer};
use crate::support::Browser;

/// How long a letter or a change on a page may take that a worker brings about.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often we look.
const GLANCE: Duration = Duration::from_millis(50);
/// Everybody's password.
pub const PASSWORD: &str = "leise wolken 77 kratzen";

/// A running Roster. Dropping it stops it.
pub struct Roster {
    /// Where its letters go.
    pub mail: SmtpServer,
    url: String,
    folder: TempDir,
    child: Child,
}

impl Roster {
    /// With nothing set but the mail server.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these environment variables besides.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let mail = SmtpServer::start();
        let folder = tempfile::tempdir().expect("a folder for Roster");
        // Between our finding a free port and Roster's taking it somebody else may be quicker.
        let (child, url) = (0..5)
            .find_map(|_| run(folder.path(), free_port(), &mail.url(), settings))
            .unwrap_or_else(|| panic!("Roster does not start: {}", log(folder.path())));
        Self {
            mail,
            url,
            folder,
            child,
        }
    }

    /// Stops it and starts it again with other environment variables: the same data at the same address.
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .expect("it stops");
        let port = Url::parse(&self.url).ok().and_then(|url| url.port());
        let listen = SocketAddr::from(([127, 0, 0, 1], port.expect("its port")));
        let (child, url) = run(self.folder.path(), listen, &self.mail.url(), settings)
            .unwrap_or_else(|| panic!("Roster does not restart: {}", log(self.folder.path())));
        self.child = child;
        self.url = url;
    }

    /// A file of this name for a person to upload.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).expect("room for a file");
        path
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Moves into the past what has happened so far, while it runs: nobody waits a week here.
    pub fn rewrite(&self, statements: &str) {
        let path = self.folder.path().join("data/roster.db");
        let path = path.to_str().expect("a path in UTF-8");
        let mut database = SqliteConnection::establish(path).expect("Roster's database");
        database
            .batch_execute(&format!("PRAGMA busy_timeout = 5000; {statements}"))
            .expect("the statements");
    }

    /// The newest letter to this address whose subject holds these words, as soon as it is there.
    #[track_caller]
    pub fn letter(&self, email: &str, subject: &str) -> Received {
        let end = Instant::now() + PATIENCE;
        loop {
            let letters = self.mail.received();
            let found = letters.iter().rev().find(|letter| {
                letter.to.iter().any(|to| to == email) && letter.subject().contains(subject)
            });
            if let Some(letter) = found {
                return letter.clone();
            }
            let subjects: Vec<String> = letters.iter().map(Received::subject).collect();
            assert!(
                Instant::now() < end,
                "no letter “{subject}” to {email}, only {subjects:?}"
            );
            std::thread::sleep(GLANCE);
        }
    }

    /// How many letters went to this address.
    pub fn letters_to(&self, email: &str) -> usize {
        let letters = self.mail.received();
        let to_them = |letter: &&Received| letter.to.iter().any(|to| to == email);
        letters.iter().filter(to_them).count()
    }

    /// The whole link in the newest invitation letter to this address.
    #[track_caller]
    pub fn link_for(&self, email: &str) -> String {
        self.link(email, "invited you to join", "/accept-invitation/")
    }

    /// The whole link that holds `path` in the newest letter to this address whose subject holds `subject`.
    #[track_caller]
    pub fn link(&self, email: &str, subject: &str, path: &str) -> String {
        let text = self.letter(email, subject).text();
        let link = text.split_whitespace().find(|word| word.contains(path));
        link.unwrap_or_else(|| panic!("no link in {text}"))
            .to_owned()
    }

    /// Confirms an address by the link in its letter.
    #[track_caller]
    pub fn confirm(&self, browser: &Browser, email: &str) {
        browser.visit(&self.link(email, "Confirm your email address", "/verify-email/"));
        browser.press("Confirm address");
        browser.see("is confirmed.");
    }

    /// Signs in on the page for it.
    #[track_caller]
    pub fn sign_in(&self, browser: &Browser, email: &str, password: &str) {
        browser.visit(&self.url("/sign-in"));
        browser.fill("Email", email);
        browser.fill("Password", password);
        browser.press("Sign in");
        browser.miss("New here?");
    }

    // --- what people do in many journeys ---

    /// A browser of a newcomer who has just created an account and an organization.
    #[track_caller]
    pub fn sign_up(&self, name: &str, email: &str, organization: &str) -> Browser {
        let browser = Browser::open();
        browser.wait_at_most(PATIENCE);
        browser.visit(&self.url("/sign-up"));
        browser.fill("Your name", name);
        browser.fill("Email", email);
        browser.fill("Password", PASSWORD);
        browser.fill("Organization name", organization);
        browser.press("Sign up");
        browser.see(&format!("You're in {organization}"));
        browser
    }

    /// Invites with the form's own page, and waits until the letters are out.
    #[track_caller]
    pub fn invite(&self, browser: &Browser, emails: &[&str], role: &str) {
        browser.visit(&self.url("/orgs/acme/settings/team/invite"));
        browser.fill("Email addresses", &emails.join(", "));
        browser.choose(role);
        browser.press("Send Invitation");
        browser.see("Invited ");
        for email in emails {
            self.link_for(email);
        }
    }

    /// Follows the link in the letter, creates the account it is for, and joins.
    #[track_caller]
    pub fn join(&self, browser: &Browser, email: &str, name: &str) {
        browser.visit(&self.link_for(email));
        join_here(browser, name);
        browser.see("You're in. Welcome to Acme.");
    }

    /// A browser of somebody who was invited and has joined Acme.
    #[track_caller]
    pub fn joined(&self, inviter: &Browser, email: &str, name: &str, role: &str) -> Browser {
        self.invite(inviter, &[email], role);
        let browser = Browser::open();
        browser.wait_at_most(PATIENCE);
        self.join(&browser, email, name);
        browser
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = stopped {
            eprintln!("Roster {}: {error}", self.child.id());
        }
        if std::thread::panicking() {
            eprintln!("Roster's log:\n{}", log(self.folder.path()));
        }
    }
}

/// Fills in the right half of the invitation page.
#[track_caller]
pub fn join_here(browser: &Browser, name: &str) {
    browser.fill("Your name", name);
    browser.fill_in("I'm new here", "Password", PASSWORD);
    browser.press("Create account and join");
}

/// Fills in the left half of the invitation page.
#[track_caller]
pub fn sign_in_here(browser: &Browser) {
    browser.fill_in("I have an account", "Password", PASSWORD);
    browser.press("Sign in");
}

/// Reloads the page until it shows this text: a worker brings it about.
#[track_caller]
pub fn reload_until(browser: &Browser, text: &str) {
    let end = Instant::now() + PATIENCE;
    while !browser.shows(text) {
        if Instant::now() > end {
            browser.see(text);
        }
        std::thread::sleep(GLANCE);
        browser.reload();
    }
}

/// A browser that knows nothing of Roster, patient enough for its workers.
pub fn visitor() -> Browser {
    let browser = Browser::open();
    browser.wait_at_most(PATIENCE);
    browser
}

/// The same without JavaScript.
pub fn plain_visitor() -> Browser {
    let browser = Browser::open_without_javascript();
    browser.wait_at_most(PATIENCE);
    browser
}

/// A picture to upload: a PNG of two colours.
pub fn portrait() -> Vec<u8> {
    let mut picture = image::RgbImage::from_pixel(240, 160, image::Rgb([52, 106, 84]));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (dx, dy) = (x.abs_diff(120), y.abs_diff(60));
        let (bx, by) = (x.abs_diff(120), y.abs_diff(170));
        if dx * dx + dy * dy < 900 || bx * bx + by * by < 4900 {
            *pixel = image::Rgb([247, 226, 188]);
        }
    }
    let mut file = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut file, image::ImageFormat::Png)
        .expect("a picture");
    file.into_inner()
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

/// Runs the program at this address; nothing when it ends at once.
fn run(
    folder: &Path,
    listen: SocketAddr,
    smtp: &str,
    settings: &[(&str, &str)],
) -> Option<(Child, String)> {
    let log = File::create(folder.join("log")).expect("a file for the log");
    let mut child = Command::new(env!("CARGO_BIN_EXE_roster"))
        .env_clear()
        .env("LISTEN", listen.to_string())
        .env("DATA_DIR", folder.join("data"))
        .env("SMTP_URL", smtp)
        .env("SQLITE_SYNCHRONOUS", "normal")
        .envs(settings.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the program starts");
    let mut said = String::new();
    let output = child.stdout.take().expect("its output");
    BufReader::new(output)
        .read_line(&mut said)
        .expect("its first words");
    match said.trim().strip_prefix("Roster is ready: ") {
        Some(url) => Some((child, url.to_owned())),
        None => {
            child.wait().expect("it has ended");
            None
        }
    }
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}
