//! The programs that are measured: Roster and those beside it, each a process of its own on the server's processor.

use crate::databases::{Database, Kind, psql};
use crate::keys::secret_key;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The processor of the servers and their databases, and the one of the load.
pub const SERVER_CPU: &str = "0";
pub const LOAD_CPU: &str = "1";

/// Where what is not measured may run.
pub const ANY_CPU: &str = "0,1";

/// Nothing takes longer to start, the peers' own data included.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
pub const ROSTER: &str = env!("CARGO_BIN_EXE_roster");

/// A running program. Killed when dropped.
pub struct Program {
    pub name: &'static str,
    pub address: SocketAddr,
    /// From its start to its first answer.
    pub started_in: Duration,
    child: Child,
    /// The main process of the PostgreSQL that works for it.
    postgres: Option<u32>,
    /// Where its files of requests are, one for each operation.
    folder: PathBuf,
    /// Requests that were used up, by operation.
    pub used: RefCell<BTreeMap<String, usize>>,
}

/// Resident memory, in MiB.
#[derive(Clone, Copy)]
pub struct Memory {
    pub now: f64,
    pub most: f64,
}

impl Program {
    /// Starts Roster on a database that is ready, with the settings of an operator who set none, apart from those that
    /// name places. `folder` has its requests.
    pub fn roster(kind: Kind, database: &Database, folder: &Path, postgres: &str) -> Self {
        let address = free_address();
        let mut command = pinned(ROSTER);
        roster_settings(&mut command, database, folder);
        command.env("LISTEN", address.to_string());
        let mut program = Self::start(kind.name(), command, address, folder, "/livez");
        program.postgres = (kind == Kind::Postgres).then(|| postmaster(postgres));
        program
    }

    /// Starts one of the peers, which fills its own database in `folder`.
    pub fn peer(name: &'static str, script: &Path, folder: &Path, accepts: usize) -> Self {
        let address = free_address();
        let mut command = pinned("node");
        command
            .arg(script)
            .arg(folder)
            .arg(address.port().to_string())
            .arg(accepts.to_string())
            .env("NODE_ENV", "production");
        Self::start(name, command, address, folder, "/")
    }

    /// Starts the ceiling: this very program, serving an answer from memory.
    pub fn ceiling(answer: &Path, folder: &Path) -> Self {
        let address = free_address();
        let this = std::env::current_exe().expect("this program");
        let mut command = pinned(&this.to_string_lossy());
        command
            .arg("ceiling")
            .arg(answer)
            .arg(address.port().to_string());
        Self::start(
            "actix-web, the same bytes from memory",
            command,
            address,
            folder,
            "/",
        )
    }

    fn start(
        name: &'static str,
        mut command: Command,
        address: SocketAddr,
        folder: &Path,
        probe: &str,
    ) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let log = folder.join("log");
        command
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("out")).expect("a file"))
            .stderr(File::create(&log).expect("a file"));
        let start = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        while ask(
            address,
            &format!("GET {probe} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        )
        .is_none()
        {
            let ended = child.try_wait().expect("its state");
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "{name} ended: {}", said());
            assert!(
                start.elapsed() < PATIENCE,
                "{name} does not answer: {}",
                said()
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        Self {
            name,
            address,
            started_in: start.elapsed(),
            child,
            postgres: None,
            folder: folder.to_owned(),
            used: RefCell::default(),
        }
    }

    /// The file with the requests of an operation.
    pub fn requests(&self, operation: &str) -> PathBuf {
        self.folder.join(format!("{operation}.req"))
    }

    /// Sends the first request of an operation once, and answers head and body. The run stops when it is refused.
    pub fn sample(&self, operation: &str) -> String {
        let file = fs::read_to_string(self.requests(operation)).expect("its requests");
        let mut parts = file.lines().next().expect("a request").split('\t');
        let [method, path, cookie] = [(); 3].map(|()| parts.next().unwrap_or_default());
        let answer = ask(
            self.address,
            &format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n", self.address),
        )
        .expect("an answer");
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "{}: {operation}: {}",
            self.name,
            answer.lines().next().unwrap_or_default()
        );
        answer
    }

    /// Processor time so far, of its own process and of its PostgreSQL with all that it started.
    pub fn cpu(&self) -> Duration {
        let own = ticks(self.child.id(), false);
        let database = self.postgres.map_or(0, |main| {
            let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children"))
                .expect("its processes");
            let children = children.split_whitespace().filter_map(|id| id.parse().ok());
            // What has ended is counted with the main process.
            ticks(main, true) + children.map(|id| ticks(id, false)).sum::<u64>()
        });
        // 100 a second on every Linux (USER_HZ).
        Duration::from_millis((own + database) * 10)
    }

    /// Resident memory of its own process.
    pub fn memory(&self) -> Memory {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its state");
        let mebibytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number.and_then(|it| it.parse::<f64>().ok()).expect("kB") / 1024.0
        };
        Memory {
            now: mebibytes("VmRSS:"),
            most: mebibytes("VmHWM:"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command of Roster that ends by itself, and answers what it printed.
pub fn roster_command(command: &str, database: &Database, folder: &Path) -> String {
    let mut it = Command::new(ROSTER);
    roster_settings(&mut it, database, folder);
    let said = it.arg(command).output().expect("roster runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        said.status.success(),
        "roster {command}: {}{}",
        text(&said.stdout),
        text(&said.stderr)
    );
    text(&said.stdout)
}

fn roster_settings(command: &mut Command, database: &Database, folder: &Path) {
    command
        .env_clear()
        .env("DATABASE_URL", database.url())
        .env("DATA_DIR", folder.join("data"))
        .env("SECRET_KEY", secret_key())
        // The load says who it comes from where a limit counts by client.
        .env("TRUSTED_PROXIES", "127.0.0.1");
}

fn pinned(program: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CPU, program]);
    command
}

fn postmaster(postgres: &str) -> u32 {
    let folder = psql(postgres, "SHOW data_directory");
    let file = fs::read_to_string(Path::new(&folder).join("postmaster.pid")).expect("its id");
    file.lines()
        .next()
        .and_then(|id| id.parse().ok())
        .expect("an id")
}

/// User and system time of a process, in ticks; with that of its children which have ended.
fn ticks(process: u32, children: bool) -> u64 {
    // One that ended this moment is counted by its parent.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    // proc_pid_stat(5): utime and stime are the 14th and 15th field, cutime and cstime follow; the name was the second.
    let last = if children { 15 } else { 13 };
    let fields = after_name.split(' ').skip(11).take(last - 11);
    fields.filter_map(|number| number.parse::<u64>().ok()).sum()
}

/// A port that is free now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
}

/// What the server answers to this text; nothing when there is none.
pub fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).ok()?;
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    (!text.is_empty()).then_some(text)
}
