//! An organization.

use super::{ids::OrganizationId, refusal::Refusal, time::Timestamp};
use std::fmt;
use url::{Host, Url};

/// An organization, as far as rules and pages need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its part of the address: `/orgs/{slug}`.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// How many members it has.
    pub member_count: i32,
    /// Where members go instead of Roster's own page of it (R-ACC-10).
    pub application_url: Option<String>,
    /// When it was deleted; its row stays so that old links can say so.
    pub deleted_at: Option<Timestamp>,
}

impl Organization {
    /// Whether what was typed to confirm names this organization: its part of the address, blanks around it or not.
    ///
    /// # Errors
    /// [`Refusal::SlugDiffers`].
    pub fn confirmed_by(&self, typed: &str) -> Result<(), Refusal> {
        if typed.trim() == self.slug {
            Ok(())
        } else {
            Err(Refusal::SlugDiffers)
        }
    }
}

/// Why an address is not taken as [`ApplicationUrl`]. `Display` is a sentence for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UrlFault {
    /// More characters than [`ApplicationUrl::LONGEST`].
    TooLong,
    /// Not an absolute address of the web.
    NotAnAddress,
    /// It holds a name or password to sign in with.
    Credentials,
}

impl fmt::Display for UrlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "Use at most {} characters.", ApplicationUrl::LONGEST),
            Self::NotAnAddress => {
                f.write_str("Enter a whole address, like https://app.example.com, or nothing.")
            }
            Self::Credentials => f.write_str("Leave the name and password out of the address."),
        }
    }
}

/// Where members go instead of Roster's own page of the organization (R-ACC-10): an absolute `http` or `https` address
/// without anything to sign in with. Its text is plain ASCII, as a header needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApplicationUrl(String);

impl ApplicationUrl {
    /// Longest allowed, in characters, as typed and as kept.
    pub const LONGEST: usize = 500;

    /// Checks what was typed; nothing but blanks is no address.
    ///
    /// # Errors
    /// The fault, as a sentence.
    pub fn parse(text: &str) -> Result<Option<Self>, UrlFault> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if text.chars().count() > Self::LONGEST {
            return Err(UrlFault::TooLong);
        }
        // What a browser's parser would quietly drop or repair is not taken: what is kept must be what was read.
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if text.contains(odd) || !has_two_slashes(text) {
            return Err(UrlFault::NotAnAddress);
        }
        let url = Url::parse(text).map_err(|_| UrlFault::NotAnAddress)?;
        let named = match url.host() {
            Some(Host::Domain(domain)) => !domain.is_empty(),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
            None => false,
        };
        if !named || !matches!(url.scheme(), "http" | "https") {
            return Err(UrlFault::NotAnAddress);
        }
        if text
            .split(['/', '?', '#'])
            .nth(2)
            .is_some_and(|host| host.contains('@'))
        {
            return Err(UrlFault::Credentials);
        }
        if url.as_str().len() > Self::LONGEST {
            return Err(UrlFault::TooLong);
        }
        Ok(Some(Self(url.into())))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies on the same site as `other`: scheme, host and port.
    pub fn same_site(&self, other: &str) -> bool {
        match (Url::parse(&self.0), Url::parse(other)) {
            (Ok(own), Ok(other)) => own.origin() == other.origin(),
            _ => false,
        }
    }
}

/// Whether exactly the two slashes of an absolute address follow its scheme: the parser repairs one, three and none.
fn has_two_slashes(text: &str) -> bool {
    text.split_once(':')
        .and_then(|(_, rest)| rest.strip_prefix("//"))
        .is_some_and(|rest| !rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Result<Option<String>, UrlFault> {
        ApplicationUrl::parse(text).map(|url| url.map(|url| url.0))
    }

    #[test]
    fn whole_addresses_of_the_web_are_taken() {
        for (text, expected) in [
            ("https://app.example.com", "https://app.example.com/"),
            (
                " http://10.0.0.1:8080/a?b=c#d ",
                "http://10.0.0.1:8080/a?b=c#d",
            ),
            (
                "HTTPS://App.Example.com/Team",
                "https://app.example.com/Team",
            ),
            (
                "https://bücher.example/ä",
                "https://xn--bcher-kva.example/%C3%A4",
            ),
            (
                "https://app.example.com/@ada",
                "https://app.example.com/@ada",
            ),
            ("https://localhost", "https://localhost/"),
        ] {
            assert_eq!(kept(text), Ok(Some(expected.to_owned())), "{text}");
        }
        assert_eq!(kept("  "), Ok(None));
    }

    #[test]
    fn anything_else_is_not() {
        for text in [
            "javascript:alert(1)",
            "JavaScript://example.com/%0aalert(1)",
            "data:text/html,x",
            "ftp://example.com",
            "file:///etc/passwd",
            "//example.com",
            "/orgs/acme",
            "example.com",
            "https:example.com",
            "https:/example.com",
            "https:///example.com",
            "https://",
            "https://exa mple.com",
            "https://example.com/a\r\nSet-Cookie: a=b",
            "https://example.com/\0",
            "https://example.com\\@evil.test",
            "https://\u{202e}",
            "java\tscript:alert(1)",
        ] {
            assert_eq!(kept(text), Err(UrlFault::NotAnAddress), "{text:?}");
        }
        for text in [
            "https://ada@example.com",
            "https://a:b@example.com/",
            "https://@example.com",
        ] {
            assert_eq!(kept(text), Err(UrlFault::Credentials), "{text}");
        }
        let long = format!("https://example.com/{}", "a".repeat(481));
        assert_eq!(kept(&long), Err(UrlFault::TooLong));
        assert!(kept(&long[..500]).is_ok());
        let grows = format!("https://example.com/{}", "ä".repeat(100));
        assert_eq!(kept(&grows), Err(UrlFault::TooLong));
    }

    #[test]
    fn the_same_site_is_scheme_host_and_port() {
        let url = ApplicationUrl::parse("http://127.0.0.1:8080/x")
            .ok()
            .flatten();
        let same = |other| url.as_ref().is_some_and(|url| url.same_site(other));
        assert!(same("http://127.0.0.1:8080"));
        assert!(
            !same("http://127.0.0.1:8081") && !same("https://127.0.0.1:8080") && !same("nonsense")
        );
    }
}
