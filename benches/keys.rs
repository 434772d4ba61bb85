//! What a browser would have: cookies, form tokens and links, made with a key that this program gave Roster.
//!
//! Signing in tens of thousands of people takes a password hash each, hours in all. So sessions are rows, as the filled
//! database has them, and their cookies are made here as `actix-session` makes them.

use actix_web::cookie::{Cookie, CookieJar, Key};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use roster::{
    domain::ids::{InvitationId, SessionId},
    entropy::Entropy,
    link::{LinkKeys, Purpose},
    token::SessionToken,
};
use sha2::Sha256;

/// `SECRET_KEY`, in hex: the bytes from 1 to 32.
pub fn secret_key() -> String {
    key().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key() -> [u8; 32] {
    std::array::from_fn(|nth| nth as u8 + 1)
}

/// The name on the loopback address (`src/server.rs`).
const COOKIE: &str = "__Host-roster";

/// Everything that is made with [`secret_key`].
pub struct Keys {
    links: LinkKeys,
    cookie: Key,
    form: [u8; 32],
}

impl Keys {
    pub fn new() -> Self {
        let links = LinkKeys::new(&key(), []);
        Self {
            cookie: Key::from(&links.derive_session_cookie_key()),
            form: links.derive_form_key(),
            links,
        }
    }

    /// The version that invitations are stored with.
    pub fn version(&self) -> i32 {
        self.links.current_version()
    }

    /// The `Cookie` header of the browser that has this token.
    pub fn cookie(&self, token: &SessionToken) -> String {
        // Each value is JSON text in a map that is JSON text itself (`TOKEN` in src/web/visit.rs).
        let state = format!(r#"{{"t":"\"{}\""}}"#, token.text());
        let mut jar = CookieJar::new();
        jar.private_mut(&self.cookie)
            .add(Cookie::new(COOKIE, state));
        let made = jar.get(COOKIE).expect("the cookie that was just added");
        made.encoded().stripped().to_string()
    }

    /// The form token of a session, as `src/web/csrf.rs` makes it. Should the two part, every POST is refused, and the
    /// run stops.
    pub fn form_token(&self, session: SessionId) -> String {
        self.form_token_of(b"session", session.0.as_bytes())
    }

    /// Cookie and form token of a browser that was never here.
    pub fn signed_out(&self) -> (String, String) {
        let token = SessionToken::new(Entropy::system().token());
        let form_token = self.form_token_of(b"browser", &token.hash());
        (self.cookie(&token), form_token)
    }

    fn form_token_of(&self, kind: &[u8], seed: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.form).expect("HMAC takes any key");
        mac.update(kind);
        mac.update(seed);
        URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
    }

    /// The path of an invitation's link.
    pub fn link(&self, invitation: InvitationId) -> String {
        let token = self
            .links
            .make(Purpose::Invitation, invitation.0, self.version())
            .expect("the current key");
        Purpose::Invitation.path_of(&token)
    }
}
