//! Email addresses: normalised once, on the way in (R-ADR-1), and read from what people paste (R-INV-13).

use super::ids::AccountId;
use std::{collections::HashSet, fmt};
use unicode_normalization::UnicodeNormalization as _;

/// Longest address in bytes (RFC 5321 section 4.5.3.1.3: a path of 256 with its angle brackets).
pub const LONGEST: usize = 254;

/// Longest part before the `@` in bytes (RFC 5321 section 4.5.3.1.1).
const LONGEST_LOCAL: usize = 64;

/// How the addresses of deleted accounts begin. They have no `@`, so that no address is one of them.
const NOBODYS: &str = "deleted:";

/// An address as somebody typed it, with the form by which it is compared.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EmailAddress {
    shown: String,
    key: String,
}

/// Why a text is not an address we can write to. `Display` is the sentence for people, after the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressFault {
    /// Nothing was entered.
    Empty,
    /// No `@`, or nothing before or after it.
    Incomplete,
    /// More than 254 bytes, or more than 64 before the `@`.
    TooLong,
    /// A control character, a line break or a blank inside.
    Control,
    /// A character that addresses do not have.
    Character,
    /// The domain has no dot.
    NoDot,
    /// The domain cannot exist.
    Domain,
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is missing",
            Self::Incomplete => "is not a complete email address",
            Self::TooLong => "is too long for an email address",
            Self::Control => "has a blank, a line break or a control character in it",
            Self::Character => "has a character that email addresses can't have",
            Self::NoDot => "has no dot in its domain",
            Self::Domain => "has a domain that can't exist",
        })
    }
}

impl EmailAddress {
    /// Reads one address, `Name <address>` included.
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(text: &str) -> Result<Self, AddressFault> {
        let text = unwrap(text.trim()).trim();
        if text.is_empty() {
            return Err(AddressFault::Empty);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AddressFault::Control);
        }
        if text.len() > LONGEST {
            return Err(AddressFault::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressFault::Incomplete)?;
        if local.is_empty() || domain.is_empty() {
            return Err(AddressFault::Incomplete);
        }
        let local = local_part(local)?;
        let domain = domain_part(domain)?;
        let key = format!("{local}@{domain}");
        if key.len() > LONGEST {
            return Err(AddressFault::TooLong);
        }
        Ok(Self {
            shown: text.nfc().collect(),
            key,
        })
    }

    /// From the two stored columns, which only [`EmailAddress::parse`] ever filled.
    pub const fn from_stored(shown: String, key: String) -> Self {
        Self { shown, key }
    }

    /// The address of an account that was deleted: nobody can type it, and no letter goes to it.
    pub fn of_nobody(account: AccountId) -> Self {
        let text = format!("{NOBODYS}{account}");
        Self {
            shown: text.clone(),
            key: text,
        }
    }

    /// As typed, where there is a mailbox: not for an account that was deleted.
    pub fn reachable(&self) -> Option<&str> {
        (!self.key.starts_with(NOBODYS)).then_some(self.shown.as_str())
    }

    /// As typed, for show.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Normalised: what is compared, indexed and written to.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether both name the same mailbox.
    pub fn same_mailbox(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// `g•••@example.com`: enough for its owner to recognise, too little for anybody else (R-ACC-3).
    pub fn masked(&self) -> String {
        let (local, domain) = self.key.rsplit_once('@').unwrap_or((&self.key, ""));
        let first: String = local.chars().take(1).collect();
        format!("{first}•••@{domain}")
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// `Name <address>` → `address`.
fn unwrap(text: &str) -> &str {
    match (text.rfind('<'), text.strip_suffix('>')) {
        (Some(open), Some(inner)) => inner.get(open + 1..).unwrap_or(text),
        _ => text,
    }
}

/// `+tag` and dots are significant; letters of any script are allowed, quoted forms are not.
fn local_part(local: &str) -> Result<String, AddressFault> {
    let local: String = local.nfc().flat_map(char::to_lowercase).nfc().collect();
    if local.len() > LONGEST_LOCAL {
        return Err(AddressFault::TooLong);
    }
    let allowed = |c: char| {
        c.is_alphanumeric()
            || ".!#$%&'*+/=?^_`{|}~-".contains(c)
            || unicode_normalization::char::is_combining_mark(c)
    };
    if !local.chars().all(allowed) {
        return Err(AddressFault::Character);
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err(AddressFault::Character);
    }
    Ok(local)
}

fn domain_part(domain: &str) -> Result<String, AddressFault> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| AddressFault::Domain)?;
    let (_, last) = ascii.rsplit_once('.').ok_or(AddressFault::NoDot)?;
    // No top-level domain is a number: that is an IP address, or a slip.
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressFault::Domain);
    }
    Ok(ascii)
}

/// One entry of a pasted list that is not an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotAnAddress {
    /// What was entered.
    pub text: String,
    /// What is wrong with it.
    pub fault: AddressFault,
}

/// Reads a pasted list: commas, semicolons, blanks, new lines and `Name <address>`, in any mixture.
/// Duplicates fold; the order of first mention is kept. Reading stops after `most` different entries.
pub fn parse_list(text: &str, most: usize) -> Vec<Result<EmailAddress, NotAnAddress>> {
    let mut known = HashSet::new();
    let mut entries = Vec::new();
    for word in words(text) {
        if entries.len() >= most {
            break;
        }
        let entry = EmailAddress::parse(&word).map_err(|fault| NotAnAddress { text: word, fault });
        let key = match &entry {
            Ok(address) => address.key().to_owned(),
            Err(bad) => format!("not an address: {}", bad.text),
        };
        if known.insert(key) {
            entries.push(entry);
        }
    }
    entries
}

/// Splits a pasted list into candidates. The words of a name before `<address>` are dropped.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    // Words since the last separator that can be part of a name: no `@` in them.
    let mut name: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars();
    fn close(word: &mut String, name: &mut Vec<String>, out: &mut Vec<String>) {
        if word.is_empty() {
            return;
        }
        let word = std::mem::take(word);
        if word.contains('@') {
            out.push(word);
        } else {
            name.push(word);
        }
    }
    while let Some(c) = chars.next() {
        match c {
            '"' if word.is_empty() => {
                // A quoted name may hold commas; an unclosed quote takes the rest as a name.
                let quoted: String = chars.by_ref().take_while(|c| *c != '"').collect();
                name.push(format!("\"{quoted}\""));
            }
            '<' => {
                if word.contains('@') {
                    close(&mut word, &mut name, &mut out);
                }
                word.clear();
                name.clear();
                let inside: String = chars.by_ref().take_while(|c| *c != '>').collect();
                out.push(inside.trim().to_owned());
            }
            ',' | ';' | '\n' | '\r' => {
                close(&mut word, &mut name, &mut out);
                out.append(&mut name);
            }
            c if c.is_whitespace() => close(&mut word, &mut name, &mut out),
            c => word.push(c),
        }
    }
    close(&mut word, &mut name, &mut out);
    out.append(&mut name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> Result<String, AddressFault> {
        EmailAddress::parse(text).map(|address| address.key().to_owned())
    }

    #[test]
    fn normalises_once() {
        for (typed, expected) in [
            ("noor@example.test", "noor@example.test"),
            ("  Noor@Example.TEST ", "noor@example.test"),
            ("Noor <noor@example.test>", "noor@example.test"),
            ("noor+work@example.test", "noor+work@example.test"),
            ("n.o.o.r@example.test", "n.o.o.r@example.test"),
            ("noor@bücher.example", "noor@xn--bcher-kva.example"),
            ("noor@example.test.", "noor@example.test"),
            ("JOSE\u{301}@example.test", "jos\u{e9}@example.test"),
            ("\u{212a}im@example.test", "kim@example.test"),
        ] {
            assert_eq!(key(typed).as_deref(), Ok(expected), "{typed}");
        }
        assert_eq!(
            EmailAddress::parse(" Noor@Example.TEST ")
                .map(|a| a.shown().to_owned())
                .as_deref(),
            Ok("Noor@Example.TEST")
        );
    }

    #[test]
    fn names_the_fault() {
        let long = format!("{}@example.test", "a".repeat(65));
        for (typed, fault) in [
            ("", AddressFault::Empty),
            ("noor", AddressFault::Incomplete),
            ("@example.test", AddressFault::Incomplete),
            ("noor@", AddressFault::Incomplete),
            ("noor@localhost", AddressFault::NoDot),
            ("noor@example.test\r\nBcc: x@y.z", AddressFault::Control),
            ("no or@example.test", AddressFault::Control),
            ("noor\0@example.test", AddressFault::Control),
            ("noor,x@example.test", AddressFault::Character),
            ("\"no or\"@example.test", AddressFault::Control),
            ("a..b@example.test", AddressFault::Character),
            (".noor@example.test", AddressFault::Character),
            ("noor.@example.test", AddressFault::Character),
            ("no\u{200b}or@example.test", AddressFault::Character),
            ("no\u{202e}or@example.test", AddressFault::Character),
            ("noor@exa_mple.test", AddressFault::Domain),
            ("noor@-example.test", AddressFault::Domain),
            ("noor@127.0.0.1", AddressFault::Domain),
            (long.as_str(), AddressFault::TooLong),
        ] {
            assert_eq!(key(typed), Err(fault), "{typed:?}");
        }
    }

    /// The limits of RFC 5321: 64 bytes before the `@`, 254 in all. The longest address is one.
    #[test]
    fn the_longest_address_is_taken() {
        let address = |local: usize, last: usize| {
            let domain = [63, 63, last].map(|length| "d".repeat(length)).join(".");
            key(&format!("{}@{domain}", "a".repeat(local)))
        };
        assert_eq!(address(64, 61).map(|key| key.len()), Ok(LONGEST));
        assert_eq!(address(64, 62), Err(AddressFault::TooLong));
        assert_eq!(address(65, 60), Err(AddressFault::TooLong));
        // Short as typed, longer in the form in which domains are looked up: that one counts, too.
        let looked_up =
            |local: usize| key(&format!("{}@{}", "a".repeat(local), ["ü"; 24].join(".")));
        assert_eq!(looked_up(62).map(|key| key.len()), Ok(LONGEST));
        assert_eq!(looked_up(63), Err(AddressFault::TooLong));
    }

    #[test]
    fn masks() {
        assert_eq!(
            EmailAddress::parse("grace@example.com")
                .map(|a| a.masked())
                .as_deref(),
            Ok("g•••@example.com")
        );
    }

    #[test]
    fn reads_pasted_lists() {
        let list = "ada@x.io, Lin <lin@x.io>; grace@x.io\nbob@x.io ada@X.io \"Hopper, Grace\" <g@x.io>\r\nnonsense, a@b Tim Cook <tim@x.io>";
        let read: Vec<String> = parse_list(list, 100)
            .into_iter()
            .map(|entry| match entry {
                Ok(address) => address.key().to_owned(),
                Err(bad) => format!("!{}", bad.text),
            })
            .collect();
        assert_eq!(
            read,
            [
                "ada@x.io",
                "lin@x.io",
                "grace@x.io",
                "bob@x.io",
                "g@x.io",
                "!nonsense",
                "!a@b",
                "tim@x.io"
            ]
        );
        assert!(parse_list(" ,;\n ", 100).is_empty());
    }

    /// Only a quote at the start of a word opens a name: another must not swallow the addresses after it.
    #[test]
    fn a_quote_inside_a_word_ends_with_the_word() {
        let read: Vec<_> = parse_list("no\"or@x.io, ada@x.io, \"Lin, A\" <lin@x.io>", 100)
            .into_iter()
            .map(|entry| entry.map_or_else(|bad| bad.text, |address| address.shown().to_owned()))
            .collect();
        assert_eq!(read, ["no\"or@x.io", "ada@x.io", "lin@x.io"]);
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,60}@\\PC{0,40}") {
            if let Ok(once) = EmailAddress::parse(&text) {
                let twice = EmailAddress::parse(once.key());
                prop_assert_eq!(twice.as_ref().map(EmailAddress::key), Ok(once.key()));
            }
        }

        #[test]
        fn lists_never_panic(text in any::<String>()) {
            let _ = parse_list(&text, 100);
        }
    }
}
