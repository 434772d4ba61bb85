//! Roster as operators run it: the real program, in a folder of its own, with nothing in its environment but what a test says.

use super::{people::Person, team::people_password};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Nothing here takes longer, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running Roster. Killed when dropped.
pub struct Roster {
    child: Child,
    pub address: SocketAddr,
    out: PathBuf,
    err: PathBuf,
}

/// What a command said before it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Roster {
    /// Starts it in `home` and waits until it answers.
    pub fn start(home: &Path, settings: &[(&str, &str)]) -> Self {
        let mut tries = 0;
        loop {
            let mut roster = Self::spawn(home, settings);
            if roster.answers() {
                return roster;
            }
            tries += 1;
            let said = roster.log();
            assert!(
                tries < 5 && said.contains("Address already in use"),
                "Roster does not start: {said}"
            );
        }
    }

    /// Starts it on a free port, without waiting.
    pub fn spawn(home: &Path, settings: &[(&str, &str)]) -> Self {
        let address = free_address();
        let listen = address.to_string();
        let (mut command, out, err) = command(home, &[]);
        command
            .env("LISTEN", &listen)
            .envs(settings.iter().copied());
        let child = command.spawn().expect("the program starts");
        Self {
            child,
            address,
            out,
            err,
        }
    }

    /// Waits until it serves; `false` when it ended instead.
    pub fn answers(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if self.child.try_wait().expect("its state").is_some() {
                return false;
            }
            // Its own word first: on this port somebody else might answer.
            if self.log().contains("listening") && self.probe("/livez").starts_with("HTTP/1.1 200")
            {
                return true;
            }
            assert!(start.elapsed() < PATIENCE, "no answer: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A bare GET, as a load balancer sends it; empty when nobody answers.
    pub fn probe(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut socket) = TcpStream::connect(self.address) {
            let asked = write!(
                socket,
                "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.address
            );
            drop(asked.and_then(|()| socket.read_to_string(&mut answer)));
        }
        answer
    }

    /// Somebody with a fresh browser.
    pub fn visitor(&self) -> Person {
        Person::new(self.address)
    }

    /// Olivia signs up and founds Acme.
    pub fn olivia(&self) -> Person {
        let olivia = self.visitor();
        let fields = [
            ("name", "Olivia Owner"),
            ("email", "olivia@example.test"),
            ("password", people_password()),
            ("organization", "Acme"),
        ];
        olivia
            .get("/sign-up")
            .submit("/sign-up", &fields)
            .expect(303);
        olivia
    }

    /// Its standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.err).expect("its log")
    }

    /// Its standard output so far.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.out).expect("its output")
    }

    /// SIGTERM, as service managers send it.
    pub fn terminate(&self) {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// SIGTERM, and fails unless it ends well.
    pub fn stop(mut self) {
        self.terminate();
        let ended = self.wait();
        assert_eq!(ended.code(), Some(0), "{}", self.log());
    }

    /// SIGKILL: no time for anything.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.wait();
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command that ends by itself.
pub fn ask(home: &Path, settings: &[(&str, &str)], args: &[&str]) -> Said {
    let (mut command, out, err) = command(home, args);
    let mut child = command
        .envs(settings.iter().copied())
        .spawn()
        .expect("the program starts");
    let ended = wait(&mut child);
    Said {
        code: ended.code(),
        out: fs::read_to_string(out).expect("its output"),
        err: fs::read_to_string(err).expect("its errors"),
    }
}

/// A port that is free now. Somebody may still be quicker: [`Roster::start`] then takes another.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
}

fn command(home: &Path, args: &[&str]) -> (Command, PathBuf, PathBuf) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let run = NEXT.fetch_add(1, Ordering::Relaxed);
    let [out, err] = ["out", "err"].map(|name| home.join(format!("{run}.{name}")));
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command
        .args(args)
        .env_clear()
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(File::create(&out).expect("a file"))
        .stderr(File::create(&err).expect("a file"));
    (command, out, err)
}

fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(ended) = child.try_wait().expect("its state") {
            return ended;
        }
        if start.elapsed() > PATIENCE {
            drop(child.kill());
            panic!("process {} does not end", child.id());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
