//! The real program, as an operator starts it: its log is caught word by word, its letters lie in a folder.

use super::{database::TestDatabase, people::Person};
use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{JoinHandle, sleep},
    time::{Duration, Instant},
};

/// How long starting, or a letter, may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The master key of the program under test, as `SECRET_KEY` is given.
pub const SECRET_KEY: &str = "5d7c1fc4ad3b6f0b9b3f0c58b7a6e2d1908172635445362718f0e1d2c3b4a596";

/// The bytes of [`SECRET_KEY`].
pub fn secret_key() -> Vec<u8> {
    (0..SECRET_KEY.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&SECRET_KEY[at..at + 2], 16).expect("hex"))
        .collect()
}

/// Where the program lies.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_roster");

/// A running program. Killed when dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
    letters: PathBuf,
    _folder: tempfile::TempDir,
}

impl Process {
    /// Starts it on this database, with the log at `level` and with these further settings.
    pub fn start(database: &TestDatabase, level: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_as(Command::new(PROGRAM), database, level, settings)
    }

    /// As [`Process::start`], with [`PROGRAM`] started by another.
    pub fn start_as(
        mut command: Command,
        database: &TestDatabase,
        level: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let letters = folder.path().join("letters");
        let mut child = command
            .arg("serve")
            .env_clear()
            .env("LISTEN", "127.0.0.1:0")
            .env("PUBLIC_URL", "http://127.0.0.1:8080")
            .env("DATA_DIR", folder.path())
            .env("DATABASE_URL", database.url())
            .env("SECRET_KEY", SECRET_KEY)
            .env("MAIL_DIR", &letters)
            .env("LOG", level)
            .env("LOG_FORMAT", "json")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("a log");
        let kept = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let mut log = kept.lock().expect("the log");
                log.push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let mut process = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            reader: Some(reader),
            letters,
            _folder: folder,
        };
        process.address =
            process.patiently("the program listens", || process.address_of("listening"));
        process
    }

    /// The address on the line with this message.
    fn address_of(&self, message: &str) -> Option<SocketAddr> {
        let log = self.log();
        let mut lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let line = lines.find(|line| line["fields"]["message"] == message)?;
        line["fields"]["address"].as_str()?.parse().ok()
    }

    /// Where it serves `/metrics`.
    pub fn figures(&self) -> SocketAddr {
        self.address_of("metrics are served")
            .expect("an address in the log")
    }

    fn patiently<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "not in time: {what}\n{}",
                self.log()
            );
            sleep(Duration::from_millis(20));
        }
    }

    pub fn visitor(&self) -> Person {
        Person::new(self.address)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Ends it and answers everything it has logged.
    pub fn end(mut self) -> String {
        self.stop();
        self.log()
    }

    fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log is read");
        }
    }

    /// The path of the invitation link in a letter to this address, as soon as it has arrived.
    pub fn link_for(&self, email: &str) -> String {
        self.path_for(email, super::team::INVITATION)
    }

    /// The link that begins with `path`, in a letter to this address, as soon as it has arrived.
    pub fn path_for(&self, email: &str, path: &str) -> String {
        self.patiently(&format!("a letter to {email}"), || {
            let files = std::fs::read_dir(&self.letters).ok()?;
            files.flatten().find_map(|file| {
                let mut text = String::new();
                let mut file = std::fs::File::open(file.path()).ok()?;
                file.read_to_string(&mut text).ok()?;
                let to = text.lines().find(|line| line.starts_with("To:"))?;
                // Quoted-printable, as far as a link needs it.
                let plain = text.replace("=\r\n", "").replace("=3D", "=");
                let has_link = to.contains(email) && plain.contains(path);
                has_link.then(|| super::team::path_in(&plain, path))
            })
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}
