//! `LEGAL_DOCUMENTS`: what everybody has to accept, and the files it names (R-ACC-9).

use crate::domain::{
    consent::{LegalDocument, LegalPlace},
    slug,
};
use std::{fs::File, io::Read as _, path::Path};
use url::Url;

/// Longest name or version, in characters.
const LONGEST: usize = 80;

/// Longest text of a file, in bytes.
const LONGEST_FILE: u64 = 200_000;

/// `Terms|3|https://example.org/terms;Privacy|2026-01|/etc/roster/privacy.txt`
pub(super) fn legal_documents(text: &str) -> Result<Vec<LegalDocument>, String> {
    let mut documents: Vec<LegalDocument> = Vec::new();
    for entry in text.split(';').filter(|entry| !entry.trim().is_empty()) {
        let document = legal_document(entry.trim())
            .map_err(|fault| format!("NAME|VERSION|ADDRESS, several separated by ; ({fault})"))?;
        if documents.iter().any(|known| known.slug == document.slug) {
            return Err(format!(
                "names that differ in their letters ({:?} is there twice)",
                document.name
            ));
        }
        documents.push(document);
    }
    Ok(documents)
}

fn legal_document(entry: &str) -> Result<LegalDocument, String> {
    let parts: Vec<&str> = entry.split('|').map(str::trim).collect();
    let [name, version, address] = parts[..] else {
        return Err(format!("{entry:?} does not have three parts"));
    };
    for (what, part) in [("name", name), ("version", version), ("address", address)] {
        if part.is_empty() {
            return Err(format!("the {what} in {entry:?} is empty"));
        }
        if part.chars().any(char::is_control) {
            return Err(format!("the {what} in {entry:?} has a control character"));
        }
        if what != "address" && part.chars().count() > LONGEST {
            return Err(format!(
                "the {what} in {entry:?} has more than {LONGEST} characters"
            ));
        }
    }
    Ok(LegalDocument {
        name: name.to_owned(),
        slug: slug::from_name(name),
        version: version.to_owned(),
        place: place(address)?,
    })
}

fn place(address: &str) -> Result<LegalPlace, String> {
    let path = Path::new(address);
    if path.is_absolute() {
        return read(path).map(LegalPlace::Text);
    }
    match Url::parse(address) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(LegalPlace::Address(url.into()))
        }
        _ => Err(format!(
            "{address:?} is neither an http(s) URL nor an absolute file"
        )),
    }
}

/// The text of a file, no further than it may be long: the path may name a device.
fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(format!("{shown} is longer than {LONGEST_FILE} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
    if text.trim().is_empty() || text.contains('\0') {
        return Err(format!("{shown} holds no text"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{read as config, refused};
    use std::fs;

    #[test]
    fn documents_are_read_with_their_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("privacy.txt");
        fs::write(&file, "We keep little.\n").expect("written");
        let setting = format!(
            "Terms|3|https://example.test/terms; Privacy notice | 2026-01 | {} ;",
            file.display()
        );
        let read = config(&[], &[("LEGAL_DOCUMENTS", &setting)]).legal_documents;
        let [terms, privacy] = &read[..] else {
            panic!("{read:?}");
        };
        assert_eq!(
            (terms.slug.as_str(), terms.version.as_str()),
            ("terms", "3")
        );
        assert_eq!(
            terms.place,
            LegalPlace::Address("https://example.test/terms".to_owned())
        );
        assert_eq!(
            (privacy.name.as_str(), privacy.slug.as_str()),
            ("Privacy notice", "privacy-notice")
        );
        assert_eq!(
            privacy.place,
            LegalPlace::Text("We keep little.\n".to_owned())
        );
    }

    #[test]
    fn each_fault_is_named_in_one_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let file = dir.path().join(name);
            fs::write(&file, bytes).expect("written");
            format!("Terms|1|{}", file.display())
        };
        let most = usize::try_from(LONGEST_FILE).expect("a length");
        assert!(legal_documents(&write("most", &vec![b'a'; most])).is_ok());
        for (setting, fault) in [
            (
                "Terms|1|https://a.test;Terms|2|https://b.test".to_owned(),
                "\"Terms\" is there twice",
            ),
            (
                "Terms|1|https://a.test;terms|2|https://b.test".to_owned(),
                "\"terms\" is there twice",
            ),
            (
                "Terms||https://a.test".to_owned(),
                "the version in \"Terms||https://a.test\" is empty",
            ),
            (
                "|1|https://a.test".to_owned(),
                "the name in \"|1|https://a.test\" is empty",
            ),
            (
                "Terms|https://a.test".to_owned(),
                "does not have three parts",
            ),
            (
                "Terms|1|terms.txt".to_owned(),
                "\"terms.txt\" is neither an http(s) URL nor an absolute file",
            ),
            (
                "Terms|1|ftp://a.test/terms".to_owned(),
                "is neither an http(s) URL nor an absolute file",
            ),
            (
                "Terms|1|/nowhere/terms.txt".to_owned(),
                "/nowhere/terms.txt cannot be read",
            ),
            (write("latin", b"caf\xe9"), "is not UTF-8 text"),
            (write("blank", b" \n"), "holds no text"),
            (
                write("long", &vec![b'a'; most + 1]),
                "is longer than 200000 bytes",
            ),
        ] {
            let said = refused(&[], &[("LEGAL_DOCUMENTS", &setting)]);
            assert!(
                said.contains("LEGAL_DOCUMENTS (environment) is ")
                    && said.contains(fault)
                    && said.trim().lines().count() == 1,
                "{said}"
            );
        }
    }

    #[test]
    fn seats_and_notices() {
        let env = [
            ("SEATS_PER_ORGANIZATION", "15"),
            ("REMINDERS", "off"),
            ("LAPSE_NOTICES", "off"),
        ];
        let read = config(&[], &env);
        assert_eq!(
            (read.seats, read.reminders, read.lapse_notices),
            (Some(15), false, false)
        );
        let wrong = [
            ("SEATS_PER_ORGANIZATION", "0"),
            ("REMINDERS", "yes"),
            ("LAPSE_NOTICES", "no"),
        ];
        let said = refused(&[], &wrong);
        assert!(said.contains(
            "SEATS_PER_ORGANIZATION (environment) is \"0\": expected a whole number from 1"
        ));
        assert_eq!(said.matches("expected on or off").count(), 2, "{said}");
    }
}
