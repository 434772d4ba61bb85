//! One reader for each setting that is an address: text → value, or what was expected.

use super::{DatabaseUrl, PublicUrl, SmtpSecurity, SmtpUrl, values::unhex};
use std::{fs, net::IpAddr, path::PathBuf};
use url::{Host, Url};

pub(super) fn public_url(text: &str) -> Result<PublicUrl, String> {
    let expected = || {
        "an http or https address without path, query or user, like https://roster.example.org"
            .to_owned()
    };
    // `Url` forgives white space and control characters by dropping them
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(expected());
    }
    let url = Url::parse(text).map_err(|_| expected())?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !text.contains('@');
    let (https, host) = match (url.scheme(), url.host(), bare) {
        ("http", Some(host), true) => (false, host),
        ("https", Some(host), true) => (true, host),
        _ => return Err(expected()),
    };
    Ok(PublicUrl {
        origin: url.origin().ascii_serialization(),
        loopback: is_loopback(&host),
        host: bare_host(&host),
        https,
    })
}

fn bare_host(host: &Host<&str>) -> String {
    match host {
        Host::Domain(name) => (*name).to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_local_name(name),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

/// `localhost` and names under it never leave the machine (RFC 6761 section 6.3).
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// `tls`: whether this program was built with TLS to PostgreSQL.
pub(super) fn database_url(text: &str, tls: bool) -> Result<DatabaseUrl, String> {
    if let Some(path) = text.strip_prefix("sqlite://") {
        return if path.is_empty() || path.ends_with('/') || path.contains(['\0', '\n', '\r']) {
            Err("a file after sqlite://, like sqlite://data/roster.db or sqlite:///var/lib/roster/roster.db".to_owned())
        } else if path.contains(['?', '#']) || path == ":memory:" {
            Err("a file after sqlite://, without options; a database in memory would be a different one for each connection".to_owned())
        } else {
            Ok(DatabaseUrl::Sqlite(PathBuf::from(path)))
        };
    }
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        return Err("sqlite://PATH, postgres://… or postgresql://…".to_owned());
    }
    if text.contains(|c: char| c.is_control()) {
        return Err("an address without control characters".to_owned());
    }
    let url = Url::parse(text).map_err(|e| format!("an address libpq understands ({e})"))?;
    if !tls {
        // libpq tries TLS when it can and goes on without when it cannot: this build would send everything in the clear, silently
        let mut mode = None;
        let mut hosts = vec![decoded(url.host_str().unwrap_or(""))?];
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => mode = Some(value.into_owned()),
                "host" | "hostaddr" => hosts.push(value.into_owned()),
                // a service file may name any host
                "service" | "servicefile" => hosts.push("service".to_owned()),
                _ => {}
            }
        }
        let local = hosts
            .iter()
            .flat_map(|host| host.split(','))
            .all(is_local_server);
        match mode.as_deref() {
            Some("disable") => {}
            Some("require" | "verify-ca" | "verify-full") => {
                return Err("no sslmode that demands TLS: this program was built without it (feature postgres-tls)".to_owned());
            }
            _ if local => {}
            _ => {
                return Err("a server on this machine, or sslmode=disable in the address: this program was built \
                     without TLS to PostgreSQL (feature postgres-tls) and would send everything in the clear"
                    .to_owned());
            }
        }
    }
    Ok(DatabaseUrl::Postgres(text.into()))
}

/// Whether libpq would stay on this machine: a socket (also the default), a loopback address, `localhost`.
fn is_local_server(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.is_empty()
        || host.starts_with(['/', '@'])
        || is_local_name(host)
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(super) fn smtp_url(text: &str) -> Result<SmtpUrl, String> {
    let form =
        "smtp://[USER:PASSWORD@]HOST[:PORT] or smtps://…, with ?tls=required or ?ca=FILE if needed";
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(format!("{form}; a space is written %20"));
    }
    let url = Url::parse(text).map_err(|_| form.to_owned())?;
    let implicit = match url.scheme() {
        "smtp" => false,
        "smtps" => true,
        _ => return Err(form.to_owned()),
    };
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
        return Err(format!(
            "{form}; #, / and ? in a password are written %23, %2F and %3F"
        ));
    }
    let host = decoded(url.host_str().unwrap_or(""))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err(form.to_owned());
    }
    let mut tls = None;
    let mut ca = None;
    for (key, value) in url.query_pairs() {
        match (key.as_ref(), value.as_ref()) {
            ("tls", "required") => tls = Some(true),
            ("tls", "none") if !implicit => tls = Some(false),
            ("ca", file) if !file.is_empty() => {
                let pem = fs::read_to_string(file)
                    .map_err(|e| format!("a certificate file that can be read after ca= ({e})"))?;
                if !pem.contains("-----BEGIN CERTIFICATE-----") {
                    return Err("a certificate file in PEM form after ca=".to_owned());
                }
                ca = Some(PathBuf::from(file));
            }
            _ => {
                return Err(format!(
                    "no other options than tls=required, tls=none (with smtp://) and ca=FILE; {form}"
                ));
            }
        }
    }
    let security = match (implicit, tls) {
        (true, _) => SmtpSecurity::Implicit,
        (false, Some(true)) => SmtpSecurity::StartTls,
        (false, _) => SmtpSecurity::Plain,
    };
    let login = match (decoded(url.username())?, url.password()) {
        (user, None) if user.is_empty() => None,
        (user, Some(password)) if !user.is_empty() => {
            let password = decoded(password)?;
            if user.contains('\0') || password.contains('\0') {
                return Err("no NUL in user and password".to_owned());
            }
            Some((user, password.into()))
        }
        _ => return Err(format!("a user together with a password; {form}")),
    };
    if login.is_some() && security == SmtpSecurity::Plain && tls.is_none() && !is_local_server(host)
    {
        return Err("?tls=required (or smtps://) with a user and a password, or they cross the network in the clear; \
             ?tls=none if that is wanted"
            .to_owned());
    }
    if ca.is_some() && security == SmtpSecurity::Plain {
        return Err("ca= only together with ?tls=required or smtps://".to_owned());
    }
    Ok(SmtpUrl {
        host: host.to_owned(),
        // RFC 5321 section 4.5.4.2, RFC 6409 section 3.1, RFC 8314 section 7.3
        port: url.port().unwrap_or(match security {
            SmtpSecurity::Plain => 25,
            SmtpSecurity::StartTls => 587,
            SmtpSecurity::Implicit => 465,
        }),
        security,
        login,
        ca,
    })
}

/// Undoes percent-encoding (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String, String> {
    let expected = || "percent signs to be followed by two hex digits of UTF-8 text".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let (pair, after) = after.split_first_chunk::<2>().ok_or_else(expected)?;
            let pair = str::from_utf8(pair)
                .ok()
                .and_then(unhex)
                .ok_or_else(expected)?;
            bytes.extend(pair);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        MailTarget,
        tests::{read, refused},
    };
    use secrecy::ExposeSecret as _;
    use std::path::Path;

    #[test]
    fn public_addresses() {
        let url = public_url("https://Bücher.example:8443/").expect("taken");
        assert_eq!(
            (url.origin.as_str(), url.host.as_str()),
            (
                "https://xn--bcher-kva.example:8443",
                "xn--bcher-kva.example"
            )
        );
        assert!(url.https && !url.loopback);
        assert_eq!(
            public_url("https://x.org:443").map(|u| u.origin),
            Ok("https://x.org".to_owned())
        );
        assert!(public_url("http://roster.localhost").is_ok_and(|u| u.loopback));
        assert!(public_url("http://[::1]:8080").is_ok_and(|u| u.loopback && u.host == "::1"));
    }

    #[test]
    fn database_addresses() {
        for (text, path) in [
            ("sqlite://roster.db", "roster.db"),
            ("sqlite://data/roster.db", "data/roster.db"),
            ("sqlite:///var/lib/roster.db", "/var/lib/roster.db"),
        ] {
            assert!(
                matches!(database_url(text, false), Ok(DatabaseUrl::Sqlite(p)) if p == Path::new(path)),
                "{text}"
            );
        }
        let here = [
            "postgres://localhost/roster",
            "postgresql://me:pw@127.0.0.1:5433/roster",
            "postgres://[::1]/roster",
            "postgres:///roster",
            "postgres:///roster?host=/var/run/postgresql",
            "postgres://%2Fvar%2Frun%2Fpostgresql/roster",
            "postgres://me@db.example.org/roster?sslmode=disable",
        ];
        for text in here {
            assert!(
                matches!(database_url(text, false), Ok(DatabaseUrl::Postgres(_))),
                "{text}"
            );
        }
        for text in [
            "postgres://me:hunter2@db.example.org/roster",
            "postgres://db/roster?sslmode=prefer",
            "postgres://localhost/roster?host=db.example.org",
            "postgres://localhost/roster?hostaddr=10.0.0.1",
            "postgres:///roster?service=prod",
            "postgres://localhost/roster?sslmode=require",
            "postgres://db/roster?sslmode=disable&sslmode=prefer",
        ] {
            let said = database_url(text, false).map(|_| ()).unwrap_err();
            assert!(
                said.contains("postgres-tls") && !said.contains("hunter2"),
                "{text}: {said}"
            );
            assert!(database_url(text, true).is_ok(), "{text}");
        }
        for text in [
            "",
            "roster.db",
            "mysql://localhost/x",
            "sqlite:roster.db",
            "sqlite://",
            "sqlite://data/",
            "sqlite://:memory:",
            "sqlite://x.db?mode=ro",
            "postgres:/x",
            "POSTGRES://x",
            "postgres://localhost:port/x",
            "postgres://localhost/x\ny",
        ] {
            assert!(database_url(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn mail_servers() {
        let of = |text: &str| smtp_url(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let plain = of("smtp://mail.example.org");
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.security),
            ("mail.example.org", 25, SmtpSecurity::Plain)
        );
        assert!(plain.login.is_none() && plain.ca.is_none());
        let start = of("smtp://me%40x.org:p%23s%2Fs%25@mail.example.org?tls=required");
        assert_eq!((start.port, start.security), (587, SmtpSecurity::StartTls));
        assert_eq!(
            start
                .login
                .map(|(user, password)| (user, password.expose_secret().to_owned())),
            Some(("me@x.org".to_owned(), "p#s/s%".to_owned()))
        );
        let implicit = of("smtps://me:pw@[::1]:2465/");
        assert_eq!(
            (implicit.host.as_str(), implicit.port, implicit.security),
            ("::1", 2465, SmtpSecurity::Implicit)
        );
        assert_eq!(of("smtps://mail.example.org").port, 465);
        assert!(of("smtp://me:pw@127.0.0.1:1025").login.is_some());
        assert!(of("smtp://me:pw@mail?tls=none").login.is_some());
        for text in [
            "",
            "mail.example.org",
            "http://mail",
            "smtp://",
            "smtp://mail/path",
            "smtp://mail#x",
            "smtp://me@mail",
            "smtp://:pw@mail",
            "smtp://mail?tls=maybe",
            "smtp://mail?x=y",
            "smtps://mail?tls=none",
            "smtp://mail:99999",
            "smtp://me:p%zz@mail",
            "smtp://me:p%ff@mail?tls=none",
            "smtp://me:p w@mail",
            "smtp://me:hunter2@mail.example.org",
            "smtps://mail?ca=/nowhere.pem",
            "smtp://mail\r\n",
            "smtps://me:%00@mail",
        ] {
            let said = smtp_url(text).map(|_| ()).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
        let said = refused(&[], &[("SMTP_URL", "smtp://me:hunter2@mail.example.org")]);
        assert!(
            said.contains("SMTP_URL (environment) is not usable: expected ?tls=required"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(
            read(&["--mail-dir=/tmp/letters"], &[]).mail,
            MailTarget::Folder("/tmp/letters".into())
        );
        assert!(
            refused(&["--mail-dir=/tmp/letters"], &[("SMTP_URL", "smtp://mail")])
                .contains("MAIL_DIR and SMTP_URL are both set")
        );
    }

    #[test]
    fn a_certificate_file_is_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("ca.pem");
        let url = format!("smtps://mail?ca={}", file.display());
        fs::write(&file, "no certificate").expect("written");
        assert!(smtp_url(&url).is_err_and(|e| e.contains("PEM")));
        fs::write(&file, "-----BEGIN CERTIFICATE-----\n").expect("written");
        assert_eq!(smtp_url(&url).expect("taken").ca, Some(file));
        assert!(smtp_url(&url.replace("smtps", "smtp")).is_err_and(|e| e.contains("ca=")));
    }
}
