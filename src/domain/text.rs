//! Texts people enter: checked once, on the way in.

use std::fmt;

/// Why a text was not taken. `Display` is a sentence for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextFault {
    /// Nothing but blanks.
    Empty,
    /// More characters than allowed.
    TooLong(usize),
    /// A control character, NUL included (PostgreSQL refuses it).
    Control,
}

impl fmt::Display for TextFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Fill this in."),
            Self::TooLong(most) => write!(f, "Use at most {most} characters."),
            Self::Control => {
                f.write_str("This has a character that can't be shown. Type it again.")
            }
        }
    }
}

/// Characters that change the direction of text or hide inside it: in a name they serve only to deceive.
fn deceives(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

/// One line: trimmed, inner blanks folded, 1 to `most` characters.
fn line(text: &str, most: usize) -> Result<String, TextFault> {
    if text.trim().chars().any(char::is_control) {
        return Err(TextFault::Control);
    }
    let visible: String = text.chars().filter(|c| !deceives(*c)).collect();
    let folded = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    match folded.chars().count() {
        0 => Err(TextFault::Empty),
        count if count > most => Err(TextFault::TooLong(most)),
        _ => Ok(folded),
    }
}

macro_rules! lines {
    ($($(#[$doc:meta])* $name:ident($most:expr)),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug)]
        pub struct $name(String);

        impl $name {
            /// Longest allowed, in characters.
            pub const LONGEST: usize = $most;

            /// Checks and folds what was typed.
            ///
            /// # Errors
            /// The fault, as a sentence.
            pub fn parse(text: &str) -> Result<Self, TextFault> {
                line(text, $most).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

lines! {
    /// What a person is called.
    PersonName(80),
    /// What an organization is called.
    OrganizationName(80),
}

/// The inviter's words in a letter: plain text, several lines, at most 500 characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note(String);

impl Note {
    /// Longest allowed, in characters.
    pub const LONGEST: usize = 500;

    /// Checks what was typed; nothing but blanks is no note.
    ///
    /// # Errors
    /// The fault, as a sentence.
    pub fn parse(text: &str) -> Result<Option<Self>, TextFault> {
        // A form sends line breaks as CR LF (WHATWG HTML, form submission); they count as one character.
        let text = text.replace("\r\n", "\n");
        let text = text.trim();
        if text
            .chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
        {
            return Err(TextFault::Control);
        }
        let text: String = text.chars().filter(|c| !deceives(*c)).collect();
        match text.chars().count() {
            0 => Ok(None),
            count if count > Self::LONGEST => Err(TextFault::TooLong(Self::LONGEST)),
            _ => Ok(Some(Self(text))),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What marks the words of an address: whoever may not see addresses must not find people by them either.
pub const ADDRESS_MARK: char = '@';

/// The words by which a name and an address can be found: lower-case, each once, those of the address behind a mark.
/// A search matches the start of a word, so `grac` finds Grace Hopper and `grace@…`.
pub fn search_words(name: &str, email_key: &str) -> Vec<String> {
    let mut words: Vec<String> = split_words(name).collect();
    let (local, domain) = email_key.rsplit_once('@').unwrap_or((email_key, ""));
    let of_address = split_words(local).chain([email_key.to_owned(), domain.to_owned()]);
    words.extend(
        of_address
            .filter(|word| !word.is_empty())
            .map(|word| format!("{ADDRESS_MARK}{word}")),
    );
    words.sort_unstable();
    words.dedup();
    words
}

/// The words of a search as somebody typed it, at most five: each must match.
pub fn search_terms(query: &str) -> Vec<String> {
    let mut terms: Vec<String> = query
        .split_whitespace()
        .map(fold)
        .filter(|term| !term.contains(char::is_control))
        // The mark is ours: typed in front of a word it would reach into the addresses.
        .map(|term| term.trim_start_matches(ADDRESS_MARK).to_owned())
        .filter(|term| !term.is_empty())
        .take(5)
        .collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// The form by which names are sorted: lower-case, accents kept.
pub fn sort_key(name: &str) -> String {
    fold(name)
}

fn fold(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfc().flat_map(char::to_lowercase).nfc().collect()
}

fn split_words(text: &str) -> impl Iterator<Item = String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric() && !unicode_normalization::char::is_combining_mark(c))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_bounded() {
        assert_eq!(
            PersonName::parse("  Grace \t Hopper ")
                .map(|n| n.to_string())
                .as_deref(),
            Err(&TextFault::Control)
        );
        assert_eq!(
            PersonName::parse("  Grace   Hopper ")
                .map(|n| n.to_string())
                .as_deref(),
            Ok("Grace Hopper")
        );
        assert_eq!(
            PersonName::parse("Gr\u{202e}ace")
                .map(|n| n.to_string())
                .as_deref(),
            Ok("Grace")
        );
        assert_eq!(PersonName::parse(" \u{200b} "), Err(TextFault::Empty));
        assert_eq!(PersonName::parse("a\r\nBcc: b"), Err(TextFault::Control));
        assert_eq!(PersonName::parse("a\0"), Err(TextFault::Control));
        assert!(PersonName::parse(&"é".repeat(80)).is_ok());
        assert_eq!(
            PersonName::parse(&"é".repeat(81)),
            Err(TextFault::TooLong(80))
        );
    }

    #[test]
    fn notes_keep_their_lines() {
        assert_eq!(
            Note::parse(" hi\r\nthere ").map(|n| n.map(|n| n.0)),
            Ok(Some("hi\nthere".to_owned()))
        );
        assert_eq!(Note::parse(" \r\n "), Ok(None));
        assert_eq!(Note::parse("a\u{1b}[0m"), Err(TextFault::Control));
        assert!(Note::parse(&"é".repeat(500)).is_ok());
        assert_eq!(Note::parse(&"x".repeat(501)), Err(TextFault::TooLong(500)));
    }

    #[test]
    fn words_to_find() {
        assert_eq!(
            search_words("Grace B. Hopper", "grace.hopper+x@navy.example"),
            [
                "@grace",
                "@grace.hopper+x@navy.example",
                "@hopper",
                "@navy.example",
                "@x",
                "b",
                "grace",
                "hopper"
            ]
        );
        assert_eq!(search_terms(" Grac  HOP grac "), ["grac", "hop"]);
        // PostgreSQL takes no NUL in a text, and no name has a control character to find.
        assert_eq!(search_terms("gr\0ac \u{1b}[0m hop"), ["hop"]);
    }
}
