//! The random token in a browser's cookie. The database keeps only its SHA-256, so nothing in it signs anybody in.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// 256 random bits that say "the same browser".
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken([u8; 32]);

impl SessionToken {
    /// From fresh random bytes.
    pub const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads the cookie's text; `None` for anything we did not write.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The cookie's text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the database keeps.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_what_it_wrote() {
        let token = SessionToken::new([7; 32]);
        assert_eq!(SessionToken::parse(&token.text()), Some(token.clone()));
        for bad in ["", "x", &token.text()[1..], &format!("{}A", token.text())] {
            assert_eq!(SessionToken::parse(bad), None, "{bad}");
        }
        assert!(!format!("{token:?}").contains(&token.text()));
    }
}
