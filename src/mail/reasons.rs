//! What went wrong with a mail server, in plain words. Libraries' words end here; the server's own are kept.

use lettre::transport::smtp::{Error as SmtpError, response::Response};
use std::{error::Error as _, io::ErrorKind};

/// Most characters of a reason.
pub const LONGEST_REASON: usize = 300;

/// What a reply said, code first: `550 5.1.1 no such user`. A failure without a reply in a sentence of ours.
pub(super) fn reason(error: &SmtpError) -> String {
    match (error.status(), error.source()) {
        (Some(code), Some(said)) => clean(&format!("{code} {said}")),
        (Some(code), None) => code.to_string(),
        (None, _) => plain(error).to_owned(),
    }
}

/// A reply, code first.
pub(super) fn in_words(response: &Response) -> String {
    let said: Vec<&str> = response.message().collect();
    clean(&format!("{} {}", response.code(), said.join(" ")))
}

/// A failure in which no reply was understood. Certificates first: they come disguised as connections that failed.
fn plain(error: &SmtpError) -> &'static str {
    let said = everything(error);
    if let Some((_, words)) = TLS.iter().find(|(sign, _)| said.contains(sign)) {
        return words;
    }
    if let Some(words) = io_kind(error).and_then(of_connection) {
        return words;
    }
    if let Some((_, words)) = SIGNS.iter().find(|(sign, _)| said.contains(sign)) {
        return words;
    }
    if error.is_tls() {
        "no encrypted connection could be agreed on"
    } else if error.is_response() {
        "the mail server's answer makes no sense"
    } else if error.is_client() {
        "the mail server offers no way that Roster knows"
    } else {
        "the connection failed"
    }
}

/// What rustls says of certificates and handshakes.
const TLS: [(&str, &str); 10] = [
    (
        "UnknownIssuer",
        "the certificate is not from an authority that this server trusts",
    ),
    (
        "NotValidForName",
        "the certificate is for another name than the one in SMTP_URL",
    ),
    (
        "not valid for name",
        "the certificate is for another name than the one in SMTP_URL",
    ),
    ("NotValidYet", "the certificate is not valid yet"),
    ("not valid before", "the certificate is not valid yet"),
    ("Expired", "the certificate has expired"),
    ("expired", "the certificate has expired"),
    ("Revoked", "the certificate was revoked"),
    ("invalid peer certificate", "the certificate is not valid"),
    (
        "corrupt message",
        "the mail server does not speak TLS on this port",
    ),
];

/// What lettre and the system say of other failures.
const SIGNS: [(&str, &str); 7] = [
    (
        "STARTTLS is not supported",
        "the mail server does not offer STARTTLS",
    ),
    (
        "authentication mechanism",
        "the mail server offers no way to sign in that Roster knows",
    ),
    (
        "challenge",
        "the mail server asked for something unknown while signing in",
    ),
    ("lookup address", "the name of the mail server is not known"),
    (
        "incomplete response",
        "the mail server closed the connection",
    ),
    ("timed out", "the mail server did not answer in time"),
    (
        "received fatal alert",
        "the mail server refused an encrypted connection",
    ),
];

fn of_connection(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ConnectionRefused => "the connection was refused",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => "the mail server closed the connection",
        ErrorKind::TimedOut => "the mail server did not answer in time",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            "the mail server cannot be reached from here"
        }
        ErrorKind::PermissionDenied => "the connection is not allowed on this machine",
        _ => return None,
    })
}

fn io_kind(error: &SmtpError) -> Option<ErrorKind> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        source = inner.source();
    }
    None
}

/// The words of all the errors inside each other.
fn everything(error: &SmtpError) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        said.push(' ');
        said.push_str(&inner.to_string());
        source = inner.source();
    }
    said
}

/// Makes what a server said fit to be stored and shown. Servers quote what they refuse, and a letter holds a link:
/// anything as long as a link's token is cut, because no database or log may hold one (R-INV-5).
pub(super) fn clean(text: &str) -> String {
    const TOKEN: usize = 40;
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut out = String::new();
    let mut rest = one_line(text);
    while !rest.is_empty() {
        let run = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        if run >= TOKEN {
            out.push_str(&rest[..4]);
            out.push('…');
        } else {
            out.push_str(&rest[..run]);
        }
        rest.drain(..run);
        let other = rest.find(is_token).unwrap_or(rest.len());
        out.push_str(&rest[..other]);
        rest.drain(..other);
    }
    if out.chars().count() > LONGEST_REASON {
        out = out.chars().take(LONGEST_REASON - 1).collect();
        out.push('…');
    }
    out
}

/// The text on one line: control characters and runs of white space become one space each.
pub(super) fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_fit_to_be_shown() {
        assert_eq!(
            clean(" 550  no\r\nsuch\tuser\u{7}\u{0} "),
            "550 no such user"
        );
        let token = format!("inv_{}", "aB3-".repeat(12));
        assert_eq!(
            clean(&format!(
                "554 spam: https://roster.example.test/accept-invitation/{token}?x"
            )),
            "554 spam: https://roster.example.test/accept-invitation/inv_…?x"
        );
        assert_eq!(clean(&"é ".repeat(400)).chars().count(), LONGEST_REASON);
        assert_eq!(clean(""), "");
    }
}
