//! Form tokens and the origin check: a POST counts only when one of our own pages sent it.

use crate::{domain::ids::SessionId, token::SessionToken};
use actix_web::{HttpRequest, http::header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// What a form token is bound to.
#[derive(Clone, Debug)]
pub(super) enum Seed {
    /// A signed-in session. It stays the same when the session's token is renewed, so forms in other tabs go on working.
    Session(SessionId),
    /// A browser that is not signed in.
    Browser(SessionToken),
}

/// The token of a form for `seed`.
pub(super) fn token(key: &[u8; 32], seed: &Seed) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    match seed {
        Seed::Session(id) => {
            mac.update(b"session");
            mac.update(id.0.as_bytes());
        }
        Seed::Browser(token) => {
            mac.update(b"browser");
            mac.update(&token.hash());
        }
    }
    URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16])
}

/// Whether `sent` is the token for `seed`, compared in constant time.
pub(super) fn matches(key: &[u8; 32], seed: &Seed, sent: &str) -> bool {
    let expected = token(key, seed);
    !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(sent.as_bytes()))
}

/// Whether the browser says that one of our own pages sent this request. `Sec-Fetch-Site` is believed first; without
/// it `Origin` must name the host that was asked, or the public one. A client that sends neither is no browser, and
/// still needs the form token.
pub(super) fn same_origin(request: &HttpRequest, public_origin: &str) -> bool {
    let text = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or("invalid"))
    };
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else {
        return true;
    };
    let host = text(header::HOST.as_str()).unwrap_or("invalid");
    origin == public_origin
        || origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            == Some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_token_fits_its_seed_only() {
        let (key, other) = ([1; 32], [2; 32]);
        let browser = Seed::Browser(SessionToken::new([3; 32]));
        let text = token(&key, &browser);
        assert!(matches(&key, &browser, &text));
        assert!(!matches(&other, &browser, &text));
        assert!(!matches(
            &key,
            &Seed::Session(SessionId(uuid::Uuid::nil())),
            &text
        ));
        assert!(!matches(&key, &browser, ""));
    }

    #[test]
    fn origins() {
        let check = |headers: &[(&'static str, &'static str)]| {
            let request = headers.iter().fold(TestRequest::post(), |request, header| {
                request.insert_header(*header)
            });
            same_origin(&request.to_http_request(), "https://roster.example")
        };
        assert!(check(&[]));
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(!check(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://roster.example")
        ]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(check(&[("origin", "https://roster.example")]));
        assert!(check(&[
            ("origin", "http://10.0.0.5:8080"),
            ("host", "10.0.0.5:8080")
        ]));
        assert!(!check(&[("origin", "null"), ("host", "roster.example")]));
        assert!(!check(&[
            ("origin", "https://roster.example.evil.test"),
            ("host", "roster.example")
        ]));
    }
}
