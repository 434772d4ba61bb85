//! The table of routes as tests walk it: a form for every POST, a value for every part of an address.

use super::{
    people::{Answer, Person},
    team::people_password,
};

/// What the form of a POST holds besides its token. `{fresh}` becomes an address nobody has used.
pub const FORMS: &[(&str, &[(&str, &str)])] = &[
    (
        "/sign-up",
        &[
            ("name", "Nora New"),
            ("email", "{fresh}"),
            ("password", people_password()),
            ("organization", "New Works"),
        ],
    ),
    (
        "/sign-in",
        &[
            ("email", "olivia@example.test"),
            ("password", people_password()),
        ],
    ),
    ("/sign-out", &[]),
    ("/accept-invitation/{token}/accept", &[]),
    ("/accept-invitation/{token}/reject", &[]),
    (
        "/accept-invitation/{token}/sign-up",
        &[("name", "Nora New"), ("password", people_password())],
    ),
    ("/accept-invitation/{token}/switch-account", &[]),
    ("/accept-invitation/{token}/ask-again", &[]),
    (
        "/orgs/{org}/settings/team/invite",
        &[
            ("emails", "{fresh}"),
            ("role", "member"),
            ("from", "page"),
            ("then", "send"),
        ],
    ),
    ("/orgs/{org}/settings/team/invitations/{id}/resend", &[]),
    ("/orgs/{org}/settings/team/invitations/{id}/link", &[]),
    (
        "/orgs/{org}/settings/team/invitations/{id}/role",
        &[("before", "member"), ("role", "viewer")],
    ),
    ("/orgs/{org}/settings/team/invitations/{id}/revoke", &[]),
];

/// The values of the parts of an address, by name.
pub type Parts<'a> = &'a [(&'a str, &'a str)];

/// The address of a pattern. Fails for a part that has no value: a new kind of part has to be thought about.
pub fn fill(pattern: &str, parts: Parts<'_>) -> String {
    let mut path = pattern.to_owned();
    for (name, value) in parts {
        for spelling in [format!("{{{name}}}"), format!("{{{name}:.*}}")] {
            path = path.replace(&spelling, value);
        }
    }
    assert!(
        !path.contains('{'),
        "{pattern}: say in this test what stands for its parts"
    );
    path
}

/// A route as it is in the table, at a real address.
#[derive(Clone, Copy)]
pub struct Route<'a> {
    pub method: &'a str,
    pub pattern: &'a str,
    pub path: &'a str,
    /// An address nobody has used.
    pub fresh: &'a str,
}

impl Route<'_> {
    /// Asks for it as `person`: a GET as it is, a POST with their form token and the fields of [`FORMS`].
    pub fn ask<'p>(&self, person: &'p Person, headers: &[(&str, &str)]) -> Answer<'p> {
        if self.method != "POST" {
            return person.ask(self.method, self.path, headers, None);
        }
        let (_, fields) = FORMS
            .iter()
            .find(|(pattern, _)| *pattern == self.pattern)
            .unwrap_or_else(|| {
                panic!(
                    "POST {} has no row in FORMS (tests/web/support/routes.rs): say there what its form holds",
                    self.pattern
                )
            });
        let token = form_token(person);
        let filled: Vec<(&str, &str)> = std::iter::once(("csrf", token.as_str()))
            .chain(fields.iter().map(|(name, value)| {
                (
                    *name,
                    if *value == "{fresh}" {
                        self.fresh
                    } else {
                        value
                    },
                )
            }))
            .collect();
        person.ask(
            "POST",
            self.path,
            headers,
            Some(&super::people::encode(&filled)),
        )
    }
}

/// A form token of this visitor, signed in or not.
pub fn form_token(person: &Person) -> String {
    let home = person.get("/");
    if home.status == 200 {
        home.csrf()
    } else {
        person.get("/sign-in").csrf()
    }
}

/// An answer without what differs between any two: form tokens, request ids, dates, the sealed cookie.
pub fn comparable(answer: &Answer<'_>) -> String {
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .map(|(name, value)| match name.as_str() {
            "set-cookie" => format!(
                "{name}: …;{}",
                value.split_once(';').map_or("", |(_, rest)| rest)
            ),
            _ => format!("{name}: {value}"),
        })
        .collect();
    headers.sort();
    format!(
        "{}\n{}\n\n{}",
        answer.status,
        headers.join("\n"),
        without_tokens(&answer.body)
    )
}

fn without_tokens(body: &str) -> String {
    let mark = "name=\"csrf\" value=\"";
    let mut parts = body.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(mark);
        out.push_str(&part[part.find('"').unwrap_or(0)..]);
    }
    out
}
