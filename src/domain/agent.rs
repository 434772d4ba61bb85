//! Browsers, in words a person knows: "Firefox on Linux" for what a browser says of itself.

/// The marks of browsers, the one that names others too before those.
const BROWSERS: [(&str, &str); 12] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// The marks of systems, the one that names others too before those.
const SYSTEMS: [(&str, &str); 9] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
    ("BSD", "BSD"),
];

/// Longest name of a program that is shown, in characters.
const LONGEST_NAME: usize = 30;

/// What a `User-Agent` header means: "Firefox on Linux", "Safari on iPhone", "curl", "Unknown browser". Only for show:
/// anybody can send any.
pub fn describe(agent: &str) -> String {
    let known = |marks: &[(&str, &'static str)]| {
        marks
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let browser = known(&BROWSERS)
        .or_else(|| program(agent))
        .unwrap_or("Unknown browser");
    match known(&SYSTEMS) {
        Some(system) => format!("{browser} on {system}"),
        None => browser.to_owned(),
    }
}

/// The name of a program that is no browser: `curl/8.5.0`. What every browser calls itself says nothing.
fn program(agent: &str) -> Option<&str> {
    let (name, _) = agent.split_once('/')?;
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    (plain && !name.is_empty() && name.len() <= LONGEST_NAME && name != "Mozilla").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn browsers_in_plain_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/133.0 Mobile/15E148 Safari/605.1.15",
                "Firefox on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
                "Chrome on ChromeOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 OPR/116.0.0.0",
                "Opera on Linux",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64)",
                "Unknown browser on Linux",
            ),
        ] {
            assert_eq!(describe(agent), words, "{agent}");
        }
    }

    #[test]
    fn programs_and_nonsense() {
        for (agent, words) in [
            ("curl/8.5.0", "curl"),
            ("python-requests/2.32.3", "python-requests"),
            ("", "Unknown browser"),
            ("Mozilla/5.0", "Unknown browser"),
            ("click <here>/1", "Unknown browser"),
            ("evil.test/x", "Unknown browser"),
            (&format!("{}/1", "a".repeat(31)), "Unknown browser"),
        ] {
            assert_eq!(describe(agent), words, "{agent}");
        }
    }
}
