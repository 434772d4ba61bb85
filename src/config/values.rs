//! One reader for each kind of value: text → value, or what was expected. Addresses have their own in `addresses.rs`.

use super::MailFrom;
use ipnet::IpNet;
use secrecy::SecretSlice;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};
use time::Duration;

pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "an IP address and a port, like 127.0.0.1:8080 or [::]:8080".to_owned())
}

pub(super) fn folder(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() || text.contains('\0') {
        return Err("a folder".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// Shortest master key in bytes: as many as SHA-256 gives, more would not help (RFC 2104 section 3).
const SHORTEST_KEY: usize = 32;

pub(super) fn keys_of(text: &str) -> Result<Vec<SecretSlice<u8>>, String> {
    let expected = || {
        format!(
            "at least {} hex digits (make some with: openssl rand -hex {SHORTEST_KEY}); older keys may follow after commas",
            SHORTEST_KEY * 2
        )
    };
    let keys: Vec<SecretSlice<u8>> = text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|key| !key.is_empty())
        .map(|key| {
            let key = unhex(key).ok_or_else(expected)?;
            // 32 times one byte is no key, whatever its length
            let real = key.len() >= SHORTEST_KEY && key.iter().any(|byte| *byte != key[0]);
            if real {
                Ok(key.into())
            } else {
                Err(expected())
            }
        })
        .collect::<Result<_, _>>()?;
    if keys.is_empty() {
        return Err(expected());
    }
    Ok(keys)
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty()
        .then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

pub(super) fn mail_from(text: &str) -> Result<MailFrom, String> {
    let expected = || "a name and an address, like Roster <roster@example.org>".to_owned();
    if text.contains(char::is_control) {
        return Err(format!("{}, without control characters", expected()));
    }
    let text = text.trim();
    let (name, address) = match text.strip_suffix('>') {
        Some(text) => text.rsplit_once('<').ok_or_else(expected)?,
        None => ("", text),
    };
    let name = name.trim();
    let name = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
        .unwrap_or(name);
    let (local, domain) = address.rsplit_once('@').ok_or_else(expected)?;
    let fit = |part: &str, extra: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    // RFC 5322 section 3.2.3 without quoted local parts; ASCII, because not every server takes more
    if !fit(local, ".!#$%&'*+-/=?^_`{|}~") || !fit(domain, ".-") || name.contains(['<', '>']) {
        return Err(expected());
    }
    Ok(MailFrom {
        name: name.to_owned(),
        address: address.to_owned(),
    })
}

/// `7d`, `24h`, `90m`, `60s`, or several after each other, like `1d12h`. Ten years at most.
pub(super) fn duration(least: Duration) -> impl FnOnce(&str) -> Result<Duration, String> {
    move |text| {
        let expected = || {
            let least = if least.is_zero() { "0s" } else { "1s" };
            format!("a duration from {least} to 3650d, like 7d, 24h, 90m or 60s")
        };
        let mut total: i64 = 0;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(expected());
        }
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .ok_or_else(expected)?;
            let (number, unit) = rest.split_at(digits);
            let seconds = match unit.as_bytes().first() {
                Some(b'd') => 86_400,
                Some(b'h') => 3_600,
                Some(b'm') => 60,
                Some(b's') => 1,
                _ => return Err(expected()),
            };
            total = number
                .parse::<i64>()
                .ok()
                .and_then(|n| n.checked_mul(seconds))
                .and_then(|n| total.checked_add(n))
                .ok_or_else(expected)?;
            rest = &unit[1..];
        }
        let total = Duration::seconds(total);
        if total < least || total > Duration::days(3_650) {
            return Err(expected());
        }
        Ok(total)
    }
}

pub(super) fn number(range: std::ops::RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        text.trim()
            .parse()
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("a whole number from {} to {}", range.start(), range.end()))
    }
}

pub(super) fn one_of<T: Copy, const N: usize>(
    choices: [(&'static str, T); N],
) -> impl FnOnce(&str) -> Result<T, String> {
    move |text| {
        choices
            .iter()
            .find(|(name, _)| *name == text.trim())
            .map(|(_, value)| *value)
            .ok_or_else(|| choices.map(|(name, _)| name).join(" or "))
    }
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            part.parse::<IpNet>()
                .or_else(|_| part.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| {
                    "IP addresses or networks separated by commas, like 127.0.0.1,10.0.0.0/8"
                        .to_owned()
                })
        })
        .collect()
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|e| {
            format!("error, warn, info, debug, trace or a filter like info,roster=debug ({e})")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::tests::{KEY, read, refused},
        entropy::Entropy,
    };
    use secrecy::ExposeSecret as _;

    #[test]
    fn a_wrong_value_is_named_with_what_was_expected() {
        for (name, values, expected) in [
            (
                "LISTEN",
                &["8080", "localhost", "1.2.3.4:99999", "roster:80"][..],
                "an IP address and a port",
            ),
            (
                "PUBLIC_URL",
                &[
                    "roster.example.org",
                    "ftp://x.org",
                    "https://x.org/app",
                    "https://x.org/?a",
                    "https://x.org?",
                    "https://x.org#a",
                    "https://me@x.org",
                    "https://@x.org",
                    "https://me:pw@x.org",
                    "https://",
                    "javascript:alert(1)",
                    "https://x.org\n",
                    " https://x.org",
                    "https:\\\\x.org",
                    "https://x.org:99999",
                ],
                "an http or https address",
            ),
            ("DATA_DIR", &["  "], "a folder"),
            (
                "DATABASE_CONNECTIONS",
                &["0", "-1", "many", "1001", "1.5"],
                "a whole number from 1 to 1000",
            ),
            ("SQLITE_SYNCHRONOUS", &["off", "FULL "], "full or normal"),
            (
                "MAIL_FROM",
                &[
                    "Roster",
                    "Roster <roster>",
                    "Roster roster@x.org>",
                    "a@b@c.org",
                    "<a@x.org",
                    "R\n <a@x.org>",
                    "R\u{7f} <a@x.org>",
                    "R <a b@x.org>",
                    "@x.org",
                    "a@",
                    "ä@x.org",
                    "a <b> <a@x.org>",
                    "a@.x.org",
                ],
                "a name and an address",
            ),
            (
                "INVITATION_VALID_FOR",
                &[
                    "0s",
                    "7",
                    "d",
                    "7 d",
                    "7w",
                    "-7d",
                    "1.5d",
                    "99999999999999999999d",
                    "3651d",
                    "7dd",
                    "７d",
                ],
                "a duration from 1s to 3650d",
            ),
            (
                "RESEND_COOLDOWN",
                &["60", "soon", "9223372036854775807d"],
                "a duration from 0s",
            ),
            (
                "MAILS_PER_ADDRESS_PER_DAY",
                &["0", "x"],
                "a whole number from 1",
            ),
            (
                "MAILS_PER_PERSON_PER_DAY",
                &["0", "99999999999"],
                "a whole number from 1",
            ),
            (
                "MAILS_PER_ORGANIZATION_PER_DAY",
                &["0", "1e3"],
                "a whole number from 1",
            ),
            ("REPLY_TO", &["sender", "Inviter"], "inviter or none"),
            ("SIGNUP", &["closed", "OPEN"], "open or invite"),
            (
                "TRUSTED_PROXIES",
                &["proxy", "10.0.0.0/33", "10.0.0.1,proxy", "1.2.3"],
                "IP addresses or networks",
            ),
            ("LOG", &["roster=loud", "a=b=c"], "error, warn, info"),
            ("LOG_FORMAT", &["xml"], "text or json"),
            (
                "WORKERS",
                &["0", "1025", "all"],
                "a whole number from 1 to 1024",
            ),
        ] {
            for value in values {
                let said = refused(&[], &[(name, value)]);
                for part in [
                    &format!("error: {name} (environment) is {value:?}: expected "),
                    expected,
                ] {
                    assert!(said.contains(part), "{part} in {said}");
                }
                let flag = format!("--{}={value}", name.to_lowercase().replace('_', "-"));
                let said = refused(&["serve", &flag], &[]);
                assert!(
                    said.contains(&format!("{name} (flag) is {value:?}")),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn other_readers() {
        let of = |text: &str| duration(Duration::ZERO)(text).ok();
        assert_eq!(of("90m"), Some(Duration::minutes(90)));
        assert_eq!(of("1d12h"), Some(Duration::hours(36)));
        assert_eq!(of("0s"), Some(Duration::ZERO));
        assert_eq!(
            networks(" 10.0.0.1, 10.0.0.0/8,::1 ")
                .map(|n| n.iter().map(ToString::to_string).collect::<Vec<_>>()),
            Ok(["10.0.0.1/32", "10.0.0.0/8", "::1/128"]
                .map(str::to_owned)
                .to_vec())
        );
        assert_eq!(
            mail_from("\"Team, Acme\" <a.b+c@x.org>"),
            Ok(MailFrom {
                name: "Team, Acme".to_owned(),
                address: "a.b+c@x.org".to_owned()
            })
        );
        assert_eq!(mail_from("a@x.org").map(|m| m.name), Ok(String::new()));
    }

    #[test]
    fn keys_are_given_in_hex() {
        let config = read(&["--secret-key", KEY], &[]);
        let keys = config.secret_keys(&Entropy::seeded(1)).expect("given");
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].expose_secret()[..4], [0x00, 0x11, 0x22, 0x33]);
        let older = "ab".repeat(31) + "cd";
        let config = read(&[], &[("SECRET_KEY", &format!("{KEY}, {older}"))]);
        assert_eq!(
            config.secret_keys(&Entropy::seeded(1)).map(|k| k.len()),
            Ok(2)
        );
        for wrong in [
            &KEY[..62],
            &KEY[..63],
            "hunter2",
            &"z".repeat(64),
            ",",
            &"0".repeat(64),
            &format!("{KEY},short"),
        ] {
            let said = refused(&[], &[("SECRET_KEY", wrong)]);
            assert!(
                said.contains(
                    "SECRET_KEY (environment) is not usable: expected at least 64 hex digits"
                ),
                "{said}"
            );
            assert!(!said.contains(wrong) || wrong == ",", "{said}");
        }
    }
}
