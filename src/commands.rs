//! What an operator asks for besides serving: one function each, done when it returns.

use crate::{
    actions::restoring::{self, Settled},
    clock::Clock,
    config::{Config, DatabaseUrl, SecretKey},
    domain::time::Timestamp,
    entropy::Entropy,
    mail::transport::{Letter, Limits, Mailer, Outcome, Party, Transport},
    opening::{StartError, open, target},
    server::{link_keys, transport},
    store::{
        self, Conn, Schema, Target,
        copy::{self, Held, NotHeld},
        doctor::{self, Holdings},
        look,
    },
};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
    process::geteuid,
};
use std::{
    ffi::OsString,
    fmt,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long connections of instances that were just stopped may take to end.
const LEAVING: Duration = Duration::from_secs(5);

/// The command `migrate`: answers how many migrations were applied.
///
/// # Errors
/// One line that says what is wrong.
pub fn migrate(config: &Config) -> Result<usize, StartError> {
    Ok(open(config)?.1)
}

/// The command `send-test-email`: one letter, at once, with what the server said.
///
/// # Errors
/// What the server said, when it did not accept the letter.
pub fn send_test_email(config: &Config, address: &str) -> Result<String, StartError> {
    let transport = transport(&config.mail);
    if matches!(transport, Transport::None) {
        return Err(StartError(
            "set SMTP_URL or MAIL_DIR first: without them no letter is sent".to_owned(),
        ));
    }
    let (clock, entropy) = (Clock::system(), Entropy::system());
    let letter = Letter {
        id: entropy.uuid_v7(clock.now()).to_string(),
        date: clock.now(),
        from: Party {
            name: config.mail_from.name.clone(),
            address: config.mail_from.address.clone(),
        },
        reply_to: None,
        to: Party {
            name: String::new(),
            address: address.to_owned(),
        },
        subject: "A test letter from Roster".to_owned(),
        text: "Roster can send mail with these settings.\n".to_owned(),
        html: "<p>Roster can send mail with these settings.</p>".to_owned(),
    };
    let mut mailer = Mailer::new(transport, &config.public_url.host, Limits::default());
    let outcome = actix_web::rt::System::new().block_on(async {
        let outcome = mailer.send(&letter).await;
        mailer.close().await;
        outcome
    });
    match outcome {
        Outcome::Sent(answer) => Ok(answer),
        other => Err(StartError(format!("not sent: {}", other.reason()))),
    }
}

/// What the doctor says, a line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    findings: Vec<String>,
    looked_at: Option<Holdings>,
}

impl Diagnosis {
    /// Whether nothing was found.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        match (&self.looked_at, self.is_well()) {
            (Some(seen), true) => writeln!(f, "all is well: {}", held(seen)),
            (Some(seen), false) => writeln!(f, "looked at {}", held(seen)),
            (None, _) => Ok(()),
        }
    }
}

/// The command `doctor`: asks a database every invariant, and changes nothing. It may be in use.
///
/// # Errors
/// One line that says why it cannot be asked.
pub fn doctor(config: &Config) -> Result<Diagnosis, StartError> {
    let failed = |error: store::Error| StartError::of_database(config, &error);
    let target = target(config);
    if let Target::Sqlite(path) = &target {
        must_be_there(path)?;
    }
    let mut conn = look::open(&target).map_err(failed)?;
    let schema = known_schema(&mut conn).map_err(|why| StartError::named(config, &why))?;
    if schema == Schema::None {
        return Err(StartError::named(
            config,
            "no Roster has made its tables here",
        ));
    }
    if let Some(what) = look::damage(&mut conn).map_err(failed)? {
        return Ok(Diagnosis {
            findings: vec![format!("the file is damaged: {what}")],
            looked_at: None,
        });
    }
    if let Schema::Behind(count) = schema {
        return Ok(Diagnosis {
            findings: vec![format!(
                "{count} migrations were not applied, so the rows were not looked at: run roster migrate"
            )],
            looked_at: None,
        });
    }
    let mut findings = findings(&mut conn).map_err(failed)?;
    if let Some(versions) = key_versions(config)? {
        let now = Timestamp::from(Clock::system().now());
        let (invitations, proofs) =
            doctor::links_without_key(&mut conn, &versions, now).map_err(failed)?;
        if invitations + proofs > 0 {
            findings.push(format!(
                "SECRET_KEY: the links of {invitations} pending invitations and {proofs} letters of proof were made with a key \
                 that is not configured; put it back behind the new one, or resend those invitations"
            ));
        }
    }
    Ok(Diagnosis {
        findings,
        looked_at: Some(doctor::holdings(&mut conn).map_err(failed)?),
    })
}

fn findings(conn: &mut Conn) -> store::Result<Vec<String>> {
    let found = doctor::examine(conn)?;
    Ok(found
        .into_iter()
        .map(|finding| {
            format!(
                "{}: {} (for example {})",
                finding.what,
                finding.count,
                finding.examples.join(", ")
            )
        })
        .collect())
}

/// The versions of the keys that are configured; nothing when there is no key yet, as looking makes none.
fn key_versions(config: &Config) -> Result<Option<Vec<i32>>, StartError> {
    if matches!(&config.secret_key, SecretKey::Kept(path) if !path.exists()) {
        return Ok(None);
    }
    Ok(Some(link_keys(config, &Entropy::system())?.versions()))
}

/// The command `backup`: a checked copy of an SQLite database that may be in use.
///
/// # Errors
/// One line that says why there is none; then nothing is left of the attempt.
pub fn backup(config: &Config, file: &Path) -> Result<String, StartError> {
    let DatabaseUrl::Sqlite(database) = &config.database else {
        return Err(StartError(
            "the database is on PostgreSQL: back it up with pg_dump --format=custom --file=FILE, then see docs/operating.md"
                .to_owned(),
        ));
    };
    must_be_there(database)?;
    if file.exists() {
        return Err(StartError::about(
            file,
            "is there already and is not overwritten",
        ));
    }
    sound(database)?;
    let part = Part::beside(file)?;
    copy::into(database, &part.path)
        .map_err(|error| StartError::about(database, &error.to_string()))?;
    let seen = examined(&part.path)?;
    let size = part.put(file)?;
    Ok(format!(
        "{}: {size} bytes, {}{}",
        file.display(),
        seen.holdings
            .as_ref()
            .map_or_else(|| "with older tables than this Roster's".to_owned(), held),
        seen.warnings()
    ))
}

/// The command `restore`: a backup takes the place of an SQLite database that nobody has open, and is settled. On
/// PostgreSQL, where pg_restore has done the first half, only the second.
///
/// # Errors
/// One line that says why not; then the database is as it was.
pub fn restore(config: &Config, file: Option<&Path>) -> Result<String, StartError> {
    let now = Timestamp::from(Clock::system().now());
    match (&config.database, file) {
        (DatabaseUrl::Sqlite(database), Some(file)) => restore_file(database, file, now),
        (DatabaseUrl::Sqlite(_), None) => Err(StartError(
            "say which backup: roster restore FILE".to_owned(),
        )),
        (DatabaseUrl::Postgres(_), Some(_)) => Err(StartError(
            "the database is on PostgreSQL: put FILE back with pg_restore --clean --if-exists --dbname=URL FILE, \
             then run roster restore without FILE"
                .to_owned(),
        )),
        (DatabaseUrl::Postgres(_), None) => {
            nobody_else(config)?;
            let (db, _) = open(config)?;
            let settled = actix_web::rt::System::new()
                .block_on(db.write(move |conn| restoring::settle(conn, now)))
                .map_err(|error| StartError(error.to_string()))?;
            Ok(said(&settled))
        }
    }
}

/// Refuses while instances have the database open: everybody would be signed out under their hands.
fn nobody_else(config: &Config) -> Result<(), StartError> {
    let failed = |error: store::Error| StartError::of_database(config, &error);
    let mut conn = look::open(&target(config)).map_err(failed)?;
    let until = Instant::now() + LEAVING;
    loop {
        match look::others(&mut conn).map_err(failed)? {
            0 => return Ok(()),
            others if Instant::now() > until => {
                return Err(StartError(format!(
                    "{others} other connections of Roster to this database are open: stop every instance first"
                )));
            }
            _ => sleep(Duration::from_millis(100)),
        }
    }
}

fn restore_file(database: &Path, file: &Path, now: Timestamp) -> Result<String, StartError> {
    // A link stays a link: it is the file behind it that is replaced, and that has its log beside it.
    let behind = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let database = behind.as_path();
    must_be_there(file)?;
    if same_file(database, file) {
        return Err(StartError::about(file, "is the database itself"));
    }
    sound(file)?;
    // Everything is done to a copy first: until the last moment the database is as it was.
    let part = Part::beside(database)?;
    part.give_to_owner_of(database)?;
    copy::into(file, &part.path).map_err(|error| StartError::about(file, &error.to_string()))?;
    let settled = copy::alone(&part.path, |conn| restoring::settle(conn, now))
        .map_err(|error| StartError::about(file, &error.to_string()))?;
    sound(&part.path)?;
    // A server that starts meanwhile waits outside.
    let out = keep_out(database)?;
    let name = format!("before-restore-{}", now.micros() / 1_000_000);
    let kept = part.replace(database, &beside(database, &name))?;
    drop(out);
    let kept = match kept.as_slice() {
        [] => String::new(),
        kept => format!(
            "; what was there is kept as {}",
            kept.iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let seen = examined(database)
        .map_err(|error| StartError(format!("restored, but not as it should be: {error}{kept}")))?;
    Ok(format!(
        "restored {}: {}{kept}\n{}{}",
        database.display(),
        seen.holdings.as_ref().map_or_else(String::new, held),
        said(&settled),
        seen.warnings()
    ))
}

/// Makes sure that nobody uses a database, also where only its log is left, and keeps everybody out.
fn keep_out(database: &Path) -> Result<Option<Held>, StartError> {
    let index = with(database, "-shm");
    let held = if database.exists() {
        copy::hold(database)
    } else if index.exists() {
        copy::hold_file(&index)
    } else {
        return Ok(None);
    };
    held.map(Some).map_err(|why| match why {
        NotHeld::Open => {
            StartError::about(database, "is open in another program: stop Roster first")
        }
        NotHeld::Unknown(why) => StartError::about(
            database,
            &format!("may be open in another program, which cannot be found out: {why}"),
        ),
    })
}

fn said(settled: &Settled) -> String {
    let Settled {
        sessions,
        proofs,
        letters,
    } = settled;
    format!(
        "settled: {sessions} sessions and {proofs} links to confirm an address or choose a password have ended, \
         {letters} letters that waited are unknown"
    )
}

/// What there is in an SQLite file.
struct Seen {
    /// Nothing when its tables are older.
    holdings: Option<Holdings>,
    /// What the doctor has to say. A copy of it is still the best there is.
    findings: Vec<String>,
}

impl Seen {
    /// A line each, to be put behind others.
    fn warnings(&self) -> String {
        let lines = self.findings.iter();
        lines
            .map(|finding| format!("\nwarning: {finding}; see roster doctor"))
            .collect()
    }
}

/// Opens an SQLite file that is sound, a Roster's, and not a newer one's.
fn sound(path: &Path) -> Result<(Conn, Schema), StartError> {
    let failed = |error: store::Error| StartError::about(path, &error.to_string());
    let mut conn = look::open(&Target::Sqlite(path.to_owned())).map_err(failed)?;
    let schema = known_schema(&mut conn).map_err(|why| StartError::about(path, &why))?;
    if schema == Schema::None {
        return Err(StartError::about(path, "is no Roster database"));
    }
    if let Some(what) = look::torn(&mut conn).map_err(failed)? {
        return Err(StartError::about(path, &format!("is damaged: {what}")));
    }
    Ok((conn, schema))
}

/// As [`sound`], and what is in it.
fn examined(path: &Path) -> Result<Seen, StartError> {
    let failed = |error: store::Error| StartError::about(path, &error.to_string());
    let (mut conn, schema) = sound(path)?;
    let mut seen = Seen {
        holdings: None,
        findings: look::lost(&mut conn).map_err(failed)?.into_iter().collect(),
    };
    if schema == Schema::Current {
        seen.findings.extend(findings(&mut conn).map_err(failed)?);
        seen.holdings = Some(doctor::holdings(&mut conn).map_err(failed)?);
    }
    Ok(seen)
}

/// How the tables stand, unless a newer program made them.
fn known_schema(conn: &mut Conn) -> Result<Schema, String> {
    let schema = store::schema(conn).map_err(|error| error.to_string())?;
    match schema.refusal() {
        Some(why) => Err(why),
        None => Ok(schema),
    }
}

fn held(seen: &Holdings) -> String {
    format!(
        "{} organizations, {} members, {} invitations, {} letters",
        seen.organizations, seen.members, seen.invitations, seen.letters
    )
}

fn must_be_there(path: &Path) -> Result<(), StartError> {
    if path.is_file() {
        Ok(())
    } else {
        Err(StartError::about(path, "is not there, or is no file"))
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// The same path with more at its end.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{more}"));
    name.into()
}

/// A file that is being written, for this user's eyes only. Deleted unless it is put in its place.
struct Part {
    path: PathBuf,
}

impl Part {
    fn beside(file: &Path) -> Result<Self, StartError> {
        // In a container every process has the same number: that would find what an earlier one left.
        let name = Entropy::system().uuid_v7(Clock::system().now());
        let path = beside(file, &format!("part-{name}"));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| StartError::about(&path, &error.to_string()))?;
        Ok(Self { path })
    }

    /// Gives it its name, which nobody has yet, and makes that last. Answers its size in bytes.
    fn put(&self, name: &Path) -> Result<u64, StartError> {
        let put = || {
            let size = self.flushed()?;
            name_anew(&self.path, name)?;
            flush_folder(name)?;
            Ok(size)
        };
        put().map_err(|error: io::Error| StartError::about(name, &error.to_string()))
    }

    /// What root restores belongs to whoever the database belongs to, or else the folder.
    fn give_to_owner_of(&self, file: &Path) -> Result<(), StartError> {
        if !geteuid().is_root() {
            return Ok(());
        }
        fs::metadata(file)
            .or_else(|_| fs::metadata(folder_of(file)))
            .and_then(|whose| chown(&self.path, Some(whose.uid()), Some(whose.gid())))
            .map_err(|error| StartError::about(&self.path, &error.to_string()))
    }

    /// Takes the place of `name`. What is there is kept under another name, and answered.
    fn replace(&self, name: &Path, kept: &Path) -> Result<Vec<PathBuf>, StartError> {
        let mut moved = Vec::new();
        let put = || {
            self.flushed()?;
            let was_there = name.exists();
            if was_there {
                name_anew(name, kept)?;
                moved.push(kept.to_owned());
            }
            // Only a damaged database still has them here, or one that was moved away. They belong to it: SQLite would
            // play them into whatever has this name.
            for log in ["-wal", "-shm", "-journal"] {
                let (from, to) = (with(name, log), with(kept, log));
                if from.exists() {
                    fs::rename(from, &to)?;
                    moved.push(to);
                }
            }
            if was_there {
                fs::rename(&self.path, name)?;
            } else {
                name_anew(&self.path, name)?;
            }
            flush_folder(name)?;
            Ok(moved)
        };
        put().map_err(|error: io::Error| StartError::about(name, &error.to_string()))
    }

    fn flushed(&self) -> io::Result<u64> {
        let file = File::open(&self.path)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Where it was put in its place there is nothing of this name, or a second name that is not needed.
        drop(fs::remove_file(&self.path));
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

fn flush_folder(file: &Path) -> io::Result<()> {
    File::open(folder_of(file))?.sync_all()
}

/// Gives a file a name that nobody has yet. It keeps the old one too, where the file system can do that.
fn name_anew(file: &Path, name: &Path) -> io::Result<()> {
    const NO_LINKS: [Errno; 3] = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP];
    // A link is refused where a file is already; a plain rename would overwrite it.
    let linked = fs::hard_link(file, name);
    match &linked {
        Err(error) if Errno::from_io_error(error).is_some_and(|it| NO_LINKS.contains(&it)) => {
            Ok(renameat_with(CWD, file, CWD, name, RenameFlags::NOREPLACE)?)
        }
        _ => linked,
    }
}
