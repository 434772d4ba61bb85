//! The part of an address that names an organization: `/orgs/{slug}`.

/// Longest slug made from a name, in bytes. Leaves room for a suffix that makes it unique.
const LONGEST: usize = 40;

/// Words that have a meaning of their own at that place in the address.
const RESERVED: [&str; 3] = ["new", "settings", "all"];

/// A slug for an organization's name: lower-case ASCII letters, digits and single hyphens.
/// A name without any such character gives `team`.
pub fn from_name(name: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    let mut slug = String::new();
    for c in name.nfkd().flat_map(char::to_lowercase) {
        if slug.len() >= LONGEST {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !unicode_normalization::char::is_combining_mark(c)
            && c != '\''
            && !slug.is_empty()
            && !slug.ends_with('-')
        {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() || RESERVED.contains(&slug) {
        "team".to_owned()
    } else {
        slug.to_owned()
    }
}

/// Whether an organization could have this slug: what we never make need not be looked up.
pub fn possible(slug: &str) -> bool {
    !slug.is_empty()
        && slug.len() <= 80
        && slug
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The `attempt`-th candidate for a slug: the bare one first, then `-2`, `-3` and so on.
pub fn candidate(slug: &str, attempt: u32) -> String {
    if attempt <= 1 {
        slug.to_owned()
    } else {
        format!("{slug}-{attempt}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_slugs() {
        assert_eq!(from_name("Acme"), "acme");
        assert_eq!(from_name("  Zoë's Café & Co. "), "zoes-cafe-co");
        assert_eq!(from_name("日本"), "team");
        assert_eq!(from_name("New"), "team");
        assert!(from_name(&"x".repeat(500)).len() <= LONGEST);
        assert!(possible(&from_name("Zoë's Café")) && possible(&candidate("acme", 3)));
        assert!(!possible("") && !possible("a\0") && !possible("Acme"));
        assert_eq!(candidate("acme", 1), "acme");
        assert_eq!(candidate("acme", 3), "acme-3");
    }
}
