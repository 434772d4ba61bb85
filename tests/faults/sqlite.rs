//! SQLite locked by somebody else, on a full disk, on a disk that fails: each answer within 3 s, a 503 with `Retry-After`
//! at worst; pages go on; recovery by itself; nothing lost, nothing half done.

use crate::{
    callers::{Callers, let_pass},
    profile::report,
    support::{checker, process::Roster},
};
use diesel::{Connection as _, SqliteConnection, connection::SimpleConnection as _};
use roster::store::{Db, Options, Target};
use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};

/// How soon everything goes well again.
const BACK: Duration = Duration::from_secs(3);

/// A Roster on a file.
struct Scene {
    roster: Roster,
    file: PathBuf,
    _folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempdir().expect("a folder");
        let file = folder.path().join("roster.db");
        Self::at(folder, file)
    }

    fn at(folder: TempDir, file: PathBuf) -> Self {
        let url = format!("sqlite://{}", file.display());
        let roster = Roster::start(folder.path(), &[("DATABASE_URL", url.as_str())]);
        Self {
            roster,
            file,
            _folder: folder,
        }
    }

    /// People at work, and others who only read, while `fault` happens; afterwards the promise is held against what
    /// they were told. Answers for those who work, and for those who read.
    fn during(&self, what: &str, fault: impl FnOnce(&Callers)) -> (Callers, Callers) {
        let olivia = self.roster.olivia();
        let (callers, readers) = (Callers::default(), Callers::default());
        thread::scope(|scope| {
            let _endings = (callers.ending(), readers.ending());
            callers.feel_the_pulse(scope, olivia.copy());
            readers.feel_the_pulse(scope, olivia.copy());
            for _ in 0..6 {
                callers.join(scope, olivia.copy());
            }
            readers.join_readers(scope, olivia.copy());
            callers.wait_for_good(10);
            fault(&callers);
            callers.wait_for_good(20);
        });
        let db = self.db();
        callers.check(what, &db);
        readers.check(&format!("{what}, pages only"), &db);
        let log = self.roster.log();
        assert!(!log.contains("panicked"), "{log}");
        (callers, readers)
    }

    fn db(&self) -> Db {
        let options = Options {
            target: Target::Sqlite(self.file.clone()),
            connections: 2,
            synchronous_full: false,
        };
        Db::open(&options).expect("the database opens")
    }

    fn held(&self, time: Duration) -> (Callers, Duration) {
        let what = format!("SQLite locked for {time:?}");
        let mut back = None;
        let (callers, readers) = self.during(&what, |_| {
            let file = self.file.to_str().expect("a path");
            let mut other = SqliteConnection::establish(file).expect("it opens");
            other
                .batch_execute("PRAGMA busy_timeout = 20000; BEGIN IMMEDIATE")
                .expect("the lock");
            let_pass(time);
            other.batch_execute("ROLLBACK").expect("it is let go");
            back = Some(Instant::now());
        });
        readers.nobody_was_put_off();
        let back = back.expect("it is free");
        callers.recovered(&what, back, BACK);
        (callers, time)
    }
}

#[test]
fn a_lock_that_somebody_holds_for_three_seconds_puts_off_those_who_came_first() {
    Scene::new().held(Duration::from_secs(3));
}

#[test]
fn a_lock_that_somebody_holds_for_ten_seconds_puts_everybody_off_in_time() {
    let (callers, _) = Scene::new().held(Duration::from_secs(10));
    callers.somebody_was_put_off();
}

#[test]
fn a_lock_shorter_than_patience_is_not_noticed() {
    let (callers, _) = Scene::new().held(Duration::from_millis(700));
    callers.nobody_was_put_off();
}

/// A file that was moved away takes changes that are lost with the program: so it takes none, and says so. Put back, it
/// goes on.
#[test]
fn a_file_that_was_moved_away_takes_no_changes() {
    let scene = Scene::new();
    let away = scene.file.with_extension("away");
    let olivia = scene.roster.olivia();
    olivia.invite("before@example.test", "member");
    fs::rename(&scene.file, &away).expect("moved");
    olivia
        .try_invite("meanwhile@example.test", "member")
        .expect(503);
    let ready = scene.roster.probe("/readyz");
    let said = "nothing can be written";
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains(said),
        "{ready}"
    );
    assert!(!scene.file.exists(), "and makes no new one");
    fs::rename(&away, &scene.file).expect("put back");
    olivia.invite("after@example.test", "member");
    assert!(scene.roster.probe("/readyz").starts_with("HTTP/1.1 200"));
    let page = olivia.get("/orgs/acme/settings/team/invitations");
    page.shows("before@example.test")
        .shows("after@example.test");
    assert!(!page.body.contains("meanwhile@example.test"));
    checker::check(&scene.db());
}

#[test]
fn a_full_disk_takes_no_changes_and_goes_on_when_there_is_room() {
    let folder = tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk")) else {
        report(
            "skipped: a_full_disk_takes_no_changes_and_goes_on_when_there_is_room (no tmpfs may be mounted here)",
        );
        return;
    };
    let scene = Scene::at(folder, disk.0.join("roster.db"));
    let mut back = None;
    let (callers, readers) = scene.during("disk full", |callers| {
        disk.fill();
        callers.wait_for_refused(12);
        disk.make_room();
        back = Some(Instant::now());
    });
    readers.nobody_was_put_off();
    callers.recovered("disk full", back.expect("there is room"), BACK);
    drop(scene);
}

#[test]
fn a_disk_that_cannot_flush_loses_nothing_that_was_acknowledged() {
    injected("disk flush fails (EIO)", "fsync,fdatasync:error=EIO");
}

#[test]
fn a_write_that_finds_no_room_loses_nothing_that_was_acknowledged() {
    injected("write fails (ENOSPC)", "pwrite64:error=ENOSPC");
}

#[test]
fn a_disk_that_takes_long_for_a_flush_keeps_nobody_waiting() {
    injected(
        "disk flush takes 4 s",
        "fsync,fdatasync:delay_enter=4000000",
    );
}

/// Lets system calls of the running program fail, until changes were put off; skipped by name where that is not allowed.
fn injected(what: &str, inject: &str) {
    let scene = Scene::new();
    let process = process_of(scene.roster.address);
    let Some(mut faulty) = Strace::attach(&process, inject) else {
        report(&format!(
            "skipped: {what} (strace is not there or may not trace)"
        ));
        return;
    };
    faulty.detach();
    let mut back = None;
    let (callers, _) = scene.during(what, |callers| {
        let mut faulty = Strace::attach(&process, inject).expect("strace");
        callers.wait_for_refused(6);
        faulty.detach();
        back = Some(Instant::now());
    });
    callers.recovered(what, back.expect("it works again"), BACK);
}

/// The process that serves there: the one we started with that address in its environment.
fn process_of(address: SocketAddr) -> String {
    let wanted = format!("LISTEN={address}");
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|process| {
            let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|pair| pair == wanted.as_bytes())
        })
        .expect("the process")
}

/// strace beside a process, for as long as the fault lasts.
struct Strace(Child);

impl Strace {
    fn attach(process: &str, inject: &str) -> Option<Self> {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let calls = inject.split(':').next()?;
        let child = Command::new("strace")
            .args(["-f", "-q", "-o", "/dev/null", "-p", process])
            .args([
                "-e",
                &format!("trace={calls}"),
                "-e",
                &format!("inject={inject}"),
            ])
            .stdin(Stdio::null())
            .stderr(log.reopen().expect("a file"))
            .spawn()
            .ok()?;
        let mut strace = Self(child);
        let start = Instant::now();
        while !is_traced(process) {
            let ended = strace.0.try_wait().expect("its state").is_some();
            if ended || start.elapsed() > Duration::from_secs(20) {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Some(strace)
    }

    fn detach(&mut self) {
        let ended = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status();
        assert!(ended.expect("kill runs").success());
        self.0.wait().expect("it ends");
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Whether every thread of it is traced.
fn is_traced(process: &str) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    threads.filter_map(Result::ok).all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0")
    })
}

/// A disk of a few megabytes. Unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Option<Self> {
        fs::create_dir(folder).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "none"])
            .arg(folder)
            .stderr(Stdio::null())
            .status()
            .ok()?;
        mounted.success().then(|| Self(folder.to_owned()))
    }

    /// Writes until nothing fits any more.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).expect("a file");
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the program that still has files open there ends in a moment.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
