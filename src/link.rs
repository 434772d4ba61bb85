//! The tokens in links that are mailed: made from an id and the server's key, never stored (R-INV-5).
//!
//! `inv_` + base64url of id (16 bytes) ‖ key version (4 bytes) ‖ MAC (16 bytes): 36 bytes make exactly 48 characters,
//! with no spare bits, so that one token has one spelling. The MAC is HMAC-SHA256 over purpose, id and key version,
//! cut to 128 bits (RFC 2104 section 5; R-INV-5 asks for at least that many).
//!
//! The row keeps id and key version; the same link can be made again for Copy link (R-INV-6) and for each resend (R-INV-7),
//! as long as the key that made it is configured. A dump of the database alone makes no link.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// What a link is for. A token of one purpose never works for another: prefix and MAC both differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Opens an invitation.
    Invitation,
    /// Proves that a mailbox is read by the account's owner.
    VerifyEmail,
    /// Lets a new password be chosen.
    ResetPassword,
}

impl Purpose {
    /// How a token of this purpose begins.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Invitation => "inv_",
            Self::VerifyEmail => "ver_",
            Self::ResetPassword => "pwd_",
        }
    }

    /// Where a token of this purpose leads on the site, without the token.
    const fn path(self) -> &'static str {
        match self {
            Self::Invitation => "/accept-invitation/",
            Self::VerifyEmail => "/verify-email/",
            Self::ResetPassword => "/reset-password/",
        }
    }

    /// The path of a token: what follows the server's address.
    pub fn path_of(self, token: &str) -> String {
        format!("{}{token}", self.path())
    }

    /// The whole link of a token, the same in letters and on the Copy link page, byte for byte (R-INV-6).
    /// `public_url` is `PUBLIC_URL` without a slash at its end, never anything from a request (R-INV-5).
    pub fn link_of(self, public_url: &str, token: &str) -> String {
        format!("{public_url}{}{token}", self.path())
    }

    /// What goes into the MAC. Not the prefix: renaming one for the eye must not end every link in the world.
    const fn domain(self) -> &'static [u8] {
        match self {
            Self::Invitation => b"roster link: invitation\0",
            Self::VerifyEmail => b"roster link: verify email\0",
            Self::ResetPassword => b"roster link: reset password\0",
        }
    }
}

/// What a genuine token says. That it is genuine says nothing about whether it is still good: the row decides.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkToken {
    /// The invitation, or the request to verify or reset, that the link belongs to.
    pub id: Uuid,
    /// The version of the key that made it: [`LinkKeys::current_version`] at that time.
    pub version: i32,
}

const ID: usize = 16;
const VERSION: usize = 4;
const MAC: usize = 16;
const BYTES: usize = ID + VERSION + MAC;
/// Characters after the prefix.
const CHARACTERS: usize = BYTES / 3 * 4;

/// The keys that make and read links: the current one, and older ones that only read.
#[derive(Clone)]
pub struct LinkKeys {
    current: Key,
    older: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    version: i32,
    link: [u8; 32],
    cookie: [u8; 32],
    form: [u8; 32],
}

impl LinkKeys {
    /// Keys derived from master keys (`SECRET_KEY`). `current` makes new links; links made with one of `older` are still read.
    ///
    /// Every purpose gets a key of its own, so that none of them is the master key.
    pub fn new<'k>(current: &[u8], older: impl IntoIterator<Item = &'k [u8]>) -> Self {
        Self {
            current: Key::derive(current),
            older: older.into_iter().map(Key::derive).collect(),
        }
    }

    /// The version to store with a new link: a fingerprint of the current key, the first 4 bytes (big-endian) of an HMAC under it.
    /// Restarting keeps it, a new key changes it. It tells nothing about the key.
    pub fn current_version(&self) -> i32 {
        self.current.version
    }

    /// Whether the key called `version` is configured: links made with it can be made again, and read.
    pub fn knows(&self, version: i32) -> bool {
        self.all().any(|key| key.version == version)
    }

    /// The versions of every key that is configured, the current one first.
    pub fn versions(&self) -> Vec<i32> {
        self.all().map(|key| key.version).collect()
    }

    /// The token for `id`, made with the key called `version`; always the same text for the same arguments.
    ///
    /// `None` when that key is not configured any more: the link cannot be shown again, only replaced by a new one.
    pub fn make(&self, purpose: Purpose, id: Uuid, version: i32) -> Option<String> {
        let key = self.all().find(|key| key.version == version)?;
        let mut bytes = [0; BYTES];
        let (head, mac) = bytes.split_at_mut(ID + VERSION);
        let (id_bytes, version_bytes) = head.split_at_mut(ID);
        id_bytes.copy_from_slice(id.as_bytes());
        version_bytes.copy_from_slice(&version.to_be_bytes());
        mac.copy_from_slice(&key.mac(purpose, id.as_bytes(), version));
        let mut text = String::with_capacity(purpose.prefix().len() + CHARACTERS);
        text.push_str(purpose.prefix());
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        Some(text)
    }

    /// What `text` says, if it is exactly a token this server made for `purpose` with a key it still has; `None` for anything else.
    ///
    /// The MAC is compared in constant time. Whether text is malformed or forged is not told.
    pub fn read(&self, purpose: Purpose, text: &str) -> Option<LinkToken> {
        let encoded = text.strip_prefix(purpose.prefix())?;
        if encoded.len() != CHARACTERS {
            return None;
        }
        // the engine refuses padding and any other alphabet
        let mut bytes = [0; BYTES];
        if URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes) != Ok(BYTES) {
            return None;
        }
        let (id, rest) = bytes.split_first_chunk::<ID>()?;
        let (version, mac) = rest.split_first_chunk::<VERSION>()?;
        let version = i32::from_be_bytes(*version);
        let key = self.all().find(|key| key.version == version)?;
        bool::from(key.mac(purpose, id, version).as_slice().ct_eq(mac)).then_some(LinkToken {
            id: Uuid::from_bytes(*id),
            version,
        })
    }

    /// 64 bytes for `actix_web::cookie::Key`, from the current key only: after a change of key every cookie is void,
    /// people sign in again, and their links still work.
    pub fn derive_session_cookie_key(&self) -> [u8; 64] {
        let mut out = [0; 64];
        for (half, number) in out.chunks_exact_mut(32).zip(1u8..) {
            half.copy_from_slice(&hmac(&self.current.cookie, &[&[number]]));
        }
        out
    }

    /// The key under which form tokens (CSRF) are made, from the current key only.
    pub fn derive_form_key(&self) -> [u8; 32] {
        self.current.form
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkKeys")
            .field("current", &self.current.version)
            .field(
                "older",
                &self.older.iter().map(|key| key.version).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

impl Key {
    fn derive(master: &[u8]) -> Self {
        let link = hmac(master, &[b"roster: key for links, 1"]);
        let [a, b, c, d, ..] = hmac(&link, &[b"roster: version of a key for links"]);
        Self {
            version: i32::from_be_bytes([a, b, c, d]),
            link,
            cookie: hmac(master, &[b"roster: key for session cookies, 1"]),
            form: hmac(master, &[b"roster: key for form tokens, 1"]),
        }
    }

    fn mac(&self, purpose: Purpose, id: &[u8; ID], version: i32) -> [u8; MAC] {
        let full = hmac(&self.link, &[purpose.domain(), id, &version.to_be_bytes()]);
        let mut cut = [0; MAC];
        cut.copy_from_slice(&full[..MAC]);
        cut
    }
}

#[expect(
    clippy::expect_used,
    reason = "HMAC takes keys of any length (RFC 2104)"
)]
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PURPOSES: [Purpose; 3] = [
        Purpose::Invitation,
        Purpose::VerifyEmail,
        Purpose::ResetPassword,
    ];
    const ID_1: Uuid = Uuid::from_u128(0x0195_5f3c_8a2b_7c4d_9e0f_1a2b_3c4d_5e6f);

    fn keys() -> LinkKeys {
        LinkKeys::new(&[1; 32], [])
    }

    fn token(keys: &LinkKeys, purpose: Purpose) -> String {
        keys.make(purpose, ID_1, keys.current_version())
            .expect("the current key")
    }

    #[test]
    fn a_token_comes_back_and_is_always_the_same() {
        for purpose in PURPOSES {
            let keys = keys();
            let text = token(&keys, purpose);
            assert_eq!(text.len(), 52);
            assert!(text.starts_with(purpose.prefix()));
            assert_eq!(text, token(&LinkKeys::new(&[1; 32], []), purpose));
            let version = keys.current_version();
            assert_eq!(
                keys.read(purpose, &text),
                Some(LinkToken { id: ID_1, version })
            );
        }
    }

    /// Links that were mailed must outlive an upgrade: changing how they are made fails here.
    #[test]
    fn the_form_is_settled() {
        assert_eq!(
            token(&keys(), Purpose::Invitation),
            "inv_AZVfPIorfE2eDxorPE1eb1EMyECE0XSkJ5m7TTf6RmyVLJ47"
        );
    }

    #[test]
    fn every_single_change_is_refused() {
        let keys = keys();
        let text = token(&keys, Purpose::Invitation);
        let others: Vec<char> = ('\0'..='\u{7f}').chain(['ä', '\u{ff0d}', '😀']).collect();
        for (at, original) in text.char_indices() {
            for &other in others.iter().filter(|&&other| other != original) {
                let mut changed = text.clone();
                changed.replace_range(at..=at, other.encode_utf8(&mut [0; 4]));
                for purpose in PURPOSES {
                    assert_eq!(keys.read(purpose, &changed), None, "{changed:?}");
                }
            }
            let mut shorter = text.clone();
            shorter.remove(at);
            assert_eq!(keys.read(Purpose::Invitation, &shorter), None);
            let mut longer = text.clone();
            longer.insert(at, 'A');
            assert_eq!(keys.read(Purpose::Invitation, &longer), None);
        }
        for wrapped in [
            format!(" {text}"),
            format!("{text} "),
            format!("{text}="),
            format!("{text}\n"),
            text.to_uppercase(),
        ] {
            assert_eq!(keys.read(Purpose::Invitation, &wrapped), None);
        }
    }

    #[test]
    fn a_token_of_another_purpose_is_refused_also_under_the_right_prefix() {
        let keys = keys();
        for made in PURPOSES {
            let text = token(&keys, made);
            for asked in PURPOSES.into_iter().filter(|&asked| asked != made) {
                assert_eq!(keys.read(asked, &text), None);
                let renamed = format!("{}{}", asked.prefix(), &text[4..]);
                assert_eq!(keys.read(asked, &renamed), None);
            }
        }
    }

    #[test]
    fn another_key_is_refused_and_an_older_one_reads_but_does_not_make() {
        let old = keys();
        let text = token(&old, Purpose::Invitation);
        let stranger = LinkKeys::new(&[2; 32], []);
        assert_ne!(stranger.current_version(), old.current_version());
        assert_eq!(stranger.read(Purpose::Invitation, &text), None);
        assert_eq!(
            stranger.make(Purpose::Invitation, ID_1, old.current_version()),
            None
        );

        let turned = LinkKeys::new(&[2; 32], [[1; 32].as_slice()]);
        assert_eq!(
            turned.read(Purpose::Invitation, &text),
            old.read(Purpose::Invitation, &text)
        );
        assert_eq!(
            turned.make(Purpose::Invitation, ID_1, old.current_version()),
            Some(text.clone()),
            "Copy link gives the mailed link also after a change of key"
        );
        assert_eq!(turned.current_version(), stranger.current_version());
        assert_ne!(token(&turned, Purpose::Invitation), text);
        assert_eq!(
            turned.derive_session_cookie_key(),
            stranger.derive_session_cookie_key()
        );
    }

    #[test]
    fn garbage_is_refused() {
        let keys = keys();
        for purpose in PURPOSES {
            for text in [
                String::new(),
                "inv_".to_owned(),
                "ver_".to_owned(),
                "_".repeat(52),
                "A".repeat(52),
                format!("inv_{}", "A".repeat(48)),
                format!("inv_{}", "é".repeat(24)),
                format!("inv_{}", "A".repeat(10_000_000)),
                "\0".repeat(52),
            ] {
                assert_eq!(keys.read(purpose, &text), None);
            }
        }
    }

    #[test]
    fn keys_are_not_printed_and_not_shared_between_uses() {
        let keys = LinkKeys::new(&[1; 32], [[3; 32].as_slice()]);
        let printed = format!("{keys:?}");
        assert!(printed.starts_with("LinkKeys { current: "), "{printed}");
        assert!(
            !printed.contains("link:") && !printed.contains("cookie"),
            "{printed}"
        );
        let cookie = keys.derive_session_cookie_key();
        assert_ne!(cookie[..32], cookie[32..]);
        assert_ne!(cookie[..32], keys.current.link);
        assert_ne!(cookie[..32], [1; 32]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in any::<String>(), tail in "[A-Za-z0-9_-]{0,60}", bytes in any::<[u8; BYTES]>()) {
            let keys = keys();
            for purpose in PURPOSES {
                prop_assert_eq!(keys.read(purpose, &text), None);
                prop_assert_eq!(keys.read(purpose, &format!("{}{text}", purpose.prefix())), None);
                prop_assert_eq!(keys.read(purpose, &format!("{}{tail}", purpose.prefix())), None);
                let forged = format!("{}{}", purpose.prefix(), URL_SAFE_NO_PAD.encode(bytes));
                prop_assert_eq!(keys.read(purpose, &forged), None);
            }
        }

        #[test]
        fn any_id_comes_back(id in any::<u128>()) {
            let keys = keys();
            let version = keys.current_version();
            let id = Uuid::from_u128(id);
            let read = keys.make(Purpose::Invitation, id, version).and_then(|text| keys.read(Purpose::Invitation, &text));
            prop_assert_eq!(read, Some(LinkToken { id, version }));
        }
    }
}
