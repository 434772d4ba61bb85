//! A PostgreSQL of a test's own, to be stopped, killed and frozen. Nothing in it survives a power cut: quicker so.

use std::{
    io::Read as _,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// A running cluster. Stopped when dropped.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Cluster {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // PostgreSQL does not run as root, and the user it runs as must get in.
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("open to everybody");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a free port")
            .port();
        let cluster = Self {
            folder,
            programs: programs(),
            port,
        };
        let data = cluster.data();
        cluster.run(
            "initdb",
            &[
                "-D",
                &data,
                "-A",
                "trust",
                "-U",
                "roster",
                "-N",
                "--no-instructions",
            ],
        );
        let settings = format!(
            "\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n\
             max_connections = 60\nautovacuum = off\nshared_buffers = 16MB\n"
        );
        // The file belongs to the other user, so that user appends to it.
        let conf = format!("{data}/postgresql.conf");
        cluster.run(
            "sh",
            &["-c", "printf '%s' \"$1\" >>\"$0\"", &conf, &settings],
        );
        cluster.again();
        cluster
    }

    /// The value of `DATABASE_URL`.
    pub fn url(&self) -> String {
        format!("postgres://roster@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it after a stop, and waits until it takes connections.
    pub fn again(&self) {
        let log = self.folder.path().join("server.log");
        let log = log.to_str().expect("a path");
        self.run(
            "pg_ctl",
            &["start", "-w", "-t", "60", "-D", &self.data(), "-l", log],
        );
    }

    /// Stops it: `fast` as an operator does, `immediate` as a crash does.
    pub fn stop(&self, mode: &str) {
        self.run(
            "pg_ctl",
            &["stop", "-w", "-t", "60", "-m", mode, "-D", &self.data()],
        );
    }

    /// Every process of it stands still; its sockets stay open.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Runs a statement as a superuser.
    pub fn psql(&self, statement: &str) -> String {
        self.psql_at(&self.url(), statement)
    }

    /// The same where it may fail: a deadlock has one who gives way.
    pub fn try_psql(&self, statement: &str) {
        let _status = self
            .command("psql")
            .args(["-X", "-q", "-d", &self.url(), "-c", statement])
            .stderr(Stdio::null())
            .status();
    }

    /// The same with options in the address.
    pub fn psql_at(&self, url: &str, statement: &str) -> String {
        self.run(
            "psql",
            &["-X", "-q", "-A", "-t", "-d", url, "-c", statement],
        )
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).expect("its log")
    }

    fn data(&self) -> String {
        let data = self.folder.path().join("data");
        data.to_str().expect("a path").to_owned()
    }

    fn postmaster(&self) -> Option<String> {
        let text = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).ok()?;
        Some(text.lines().next()?.to_owned())
    }

    /// To the postmaster and its children, each by its id. The postmaster first: it must not start others meanwhile.
    fn signal(&self, name: &str) {
        let postmaster = self.postmaster().expect("it runs");
        send(name, &postmaster);
        for child in children(&postmaster) {
            send(name, &child);
        }
    }

    /// One of its programs, as somebody else where we are root.
    fn command(&self, program: &str) -> Command {
        let own = self.programs.join(program);
        let program = if own.exists() { own } else { program.into() };
        let mut command = Command::new(if is_root() {
            Path::new("setpriv")
        } else {
            &program
        });
        if is_root() {
            command.args([
                "--reuid",
                "postgres",
                "--regid",
                "postgres",
                "--clear-groups",
            ]);
            command.arg(program);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs one of its programs and answers what it said.
    fn run(&self, program: &str, args: &[&str]) -> String {
        let mut command = self.command(program);
        let (mut out, put) = std::io::pipe().expect("a pipe");
        let err = tempfile::tempfile().expect("a file");
        command.args(args).stderr(err);
        // A server that pg_ctl starts would keep the pipe open.
        let starts = args.first() == Some(&"start");
        if starts {
            command.stdout(Stdio::null());
            drop(put);
        } else {
            command.stdout(put);
        }
        let ended = command.status().expect("it runs");
        drop(command);
        assert!(ended.success(), "{args:?}: {ended}");
        let mut said = String::new();
        out.read_to_string(&mut said).expect("its output");
        said.trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(postmaster) = self.postmaster() {
            let running = Path::new("/proc").join(&postmaster).exists();
            if running {
                self.thaw();
                self.stop("immediate");
            }
        }
    }
}

fn send(name: &str, process: &str) {
    // A child may have ended in between.
    let _sent = Command::new("kill")
        .args([&format!("-{name}"), process])
        .stderr(Stdio::null())
        .status();
}

/// Its children, by their ids.
fn children(parent: &str) -> Vec<String> {
    let is_child = |process: &str| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        line.is_some_and(|its| its.trim() == parent)
    };
    std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && is_child(name))
        .collect()
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("ourselves")) == 0
}

/// Where Debian keeps the programs of the newest PostgreSQL.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed")
        .map(|entry| entry.expect("an entry").path().join("bin"))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL's initdb")
}
