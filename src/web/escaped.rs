//! Text that people typed, on pages. A list has hundreds of such texts, and hardly any has something to escape: each is
//! looked through once and written in one piece, where askama goes byte after byte.

use askama::filters::{Html, escape};
use std::fmt::{self, Write};

/// A text as it stands in a page: everything that means something in HTML is escaped, by `to_string` too. For templates
/// only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Escaped(pub String);

impl Escaped {
    fn put(&self, out: &mut dyn Write) -> fmt::Result {
        // Without a way out in the middle, so that the compiler takes many bytes at a time.
        let means_something = |byte: u8| matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'');
        let harmless = self
            .0
            .bytes()
            .fold(true, |so_far, byte| so_far & !means_something(byte));
        if harmless {
            out.write_str(&self.0)
        } else {
            let Ok(escaped) = escape(&self.0, Html);
            write!(out, "{escaped}")
        }
    }
}

written!(Escaped);

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
            assert_eq!(
                Escaped(text.clone()).to_string(),
                wanted.to_string(),
                "{byte:x}"
            );
        }
        let all = Escaped("<b title=\"x\">'&amp;".to_owned()).to_string();
        assert!(!all.contains(['<', '>', '"', '\'']), "{all}");
    }
}
