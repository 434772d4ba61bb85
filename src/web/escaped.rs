//! Text that people typed, on pages. A list has hundreds of such texts, and hardly any has something to escape: each is
//! looked through once and written in one piece, where askama goes byte after byte.

use askama::filters::{Html, escape};
use std::fmt::{self, Write};

/// A text as it stands in a page: everything that means something in HTML is escaped, by `to_string` too. For templates
/// only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl Escaped<'_> {
    pub(super) fn put(self, out: &mut dyn Write) -> fmt::Result {
        // Without a way out in the middle, so that the compiler takes many bytes at a time.
        let means_something = |byte: u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'');
        let harmless = self
            .0
            .bytes()
            .fold(true, |so_far, byte| so_far & !means_something(byte));
        if harmless {
            out.write_str(self.0)
        } else {
            let Ok(escaped) = escape(self.0, Html);
            write!(out, "{escaped}")
        }
    }
}

/// Up to two letters of a name, for the round picture. Escaped, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Initials<'a>(pub &'a str);

impl Initials<'_> {
    fn put(self, out: &mut dyn Write) -> fmt::Result {
        let mut words = self.0.split_whitespace();
        for word in [words.next(), words.next_back()].into_iter().flatten() {
            for letter in word.chars().take(1).flat_map(char::to_uppercase) {
                Escaped(letter.encode_utf8(&mut [0; 4])).put(out)?;
            }
        }
        Ok(())
    }
}

written!(Escaped<'_>, Initials<'_>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_gets_through() {
        for byte in 0..=char::MAX as u32 {
            let Some(char) = char::from_u32(byte) else {
                continue;
            };
            let text = format!("a{char}b");
            let Ok(wanted) = escape(&text, Html);
            assert_eq!(Escaped(&text).to_string(), wanted.to_string(), "{byte:x}");
        }
        let all = Escaped("<b title=\"x\">'&amp;").to_string();
        assert!(!all.contains(['<', '>', '"', '\'']), "{all}");
    }

    #[test]
    fn initials_are_those_of_the_first_and_the_last_word() {
        for (name, letters) in [
            ("Grace Brewster Hopper", "GH"),
            ("zoë", "Z"),
            ("ßen élan", "SSÉ"),
            ("  ", ""),
            ("<b> &c", "&#60;&#38;"),
        ] {
            assert_eq!(Initials(name).to_string(), letters, "{name}");
        }
    }
}
