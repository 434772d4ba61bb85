//! The secret key's file: made on first use, read afterwards, refused when others could have read it.

use super::values::keys_of;
use crate::entropy::Entropy;
use secrecy::SecretSlice;
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// The keys in the file at `path`, which is made (mode 0600, and the folder around it, mode 0700) when it is not there.
///
/// # Errors
/// A sentence for the operator.
pub(super) fn keys(path: &Path, entropy: &Entropy) -> Result<Vec<SecretSlice<u8>>, String> {
    let failed = |what: &str, e: &io::Error| {
        format!(
            "SECRET_KEY is not set, and {} cannot be {what}: {e}",
            path.display()
        )
    };
    let there = path.try_exists().map_err(|e| failed("read", &e))?;
    if !there {
        make_key(path, entropy).map_err(|e| failed("made", &e))?;
    }
    let mode = fs::metadata(path).map_err(|e| failed("read", &e))?.mode();
    if mode & 0o007 != 0 {
        return Err(format!(
            "{0} can be read by others (mode {1:04o}). Whoever reads it can make links and cookies. \
             Run: chmod 600 {0}  (and replace the key if somebody did read it)",
            path.display(),
            mode & 0o7777
        ));
    }
    let text = fs::read_to_string(path).map_err(|e| failed("read", &e))?;
    keys_of(&text)
        .map_err(|expected| format!("{} holds no key: expected {expected}", path.display()))
}

/// Makes the key under another name first: `secret.key` appears whole or not at all, and only once.
fn make_key(path: &Path, entropy: &Entropy) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let unfinished = path.with_extension(format!("key.{}", hex(&entropy.token()[..8])));
    let written = (|| {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        writeln!(file, "{}", hex(&entropy.token()))?;
        file.sync_all()?;
        match fs::hard_link(&unfinished, path) {
            // another process was first: its key is the one
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    })();
    // a leftover name would be harmless, and must not hide the real error
    drop(fs::remove_file(&unfinished));
    written
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // writing into a String cannot fail
        out.push_str(&format!("{byte:02x}"));
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::read;
    use secrecy::ExposeSecret as _;

    #[test]
    fn the_key_is_made_once_and_guarded() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = dir.path().join("a/b");
        let config = read(&["--data-dir", &data.display().to_string()], &[]);
        assert!(!data.exists(), "reading settings writes nothing");

        // twenty at once: one key
        let keys: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|_| {
                    scope.spawn(|| {
                        let keys = config.secret_keys(&Entropy::system()).expect("a key");
                        keys[0].expose_secret().to_vec()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().expect("no panic"))
                .collect()
        });
        assert!(keys.iter().all(|key| key.len() == 32 && *key == keys[0]));
        let left: Vec<_> = fs::read_dir(&data)
            .expect("made")
            .map(|e| e.expect("read").file_name())
            .collect();
        assert_eq!(left, ["secret.key"]);
        let file = data.join("secret.key");
        assert_eq!(fs::metadata(&file).expect("made").mode() & 0o777, 0o600);

        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
        let said = config
            .secret_keys(&Entropy::system())
            .map(|_| ())
            .unwrap_err();
        assert!(
            said.contains("chmod 600") && said.contains("0644"),
            "{said}"
        );
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(&file, "half").expect("written");
        let said = config
            .secret_keys(&Entropy::system())
            .map(|_| ())
            .unwrap_err();
        assert!(said.contains("holds no key"), "{said}");
    }
}
