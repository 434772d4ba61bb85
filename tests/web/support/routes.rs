//! The table of routes as tests walk it: a form for every POST, a value for every part of an address.

use super::{
    people::{Answer, Person},
    team::people_password,
};

/// What the form of a POST holds besides its token: every field it can have, filled in well. In braces: a part of the
/// address, or `{fresh}`, an address nobody has used. A new POST needs its row here, or in [`FILES`].
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
            ("next", "/orgs/acme"),
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
    ("/forgot-password", &[("email", "olivia@example.test")]),
    (
        "/reset-password/{token}",
        &[("password", "ein ganz anderes wort 31")],
    ),
    ("/verify-email/{token}", &[]),
    (
        "/account/email",
        &[("email", "{fresh}"), ("password", people_password())],
    ),
    ("/account/verify-email", &[]),
    ("/account/name", &[("name", "Another Name")]),
    ("/account/avatar/remove", &[]),
    (
        "/account/password",
        &[
            ("current", people_password()),
            ("password", "ein ganz anderes wort 31"),
        ],
    ),
    ("/account/sessions/{id}/sign-out", &[]),
    ("/account/sessions/sign-out-all", &[]),
    ("/account/notifications", &[("mail", "role_changed")]),
    ("/account/delete", &[("password", people_password())]),
    ("/consent", &[("next", "/"), ("consent", "")]),
    ("/invitations/{id}/accept", &[]),
    ("/invitations/{id}/reject", &[]),
    (
        "/notifications/read",
        &[("until", "ffffffff-ffff-7fff-bfff-ffffffffffff")],
    ),
    ("/orgs/new", &[("name", "Second Works")]),
    (
        "/orgs/{org}/settings/general",
        &[("name", "Acme & Sons"), ("application_url", "")],
    ),
    (
        "/orgs/{org}/delete",
        &[("slug", "{org}"), ("password", people_password())],
    ),
    ("/orgs/{org}/leave", &[]),
    (
        "/orgs/{org}/transfer-ownership",
        &[
            ("q", ""),
            ("member", "{account}"),
            ("slug", "{org}"),
            ("password", people_password()),
        ],
    ),
    (
        "/orgs/{org}/settings/team/members/{account}/role",
        &[("before", "viewer"), ("role", "member")],
    ),
    (
        "/orgs/{org}/settings/team/members/{account}/remove",
        &[("before", "viewer")],
    ),
    (
        "/orgs/{org}/settings/team/invite",
        &[
            ("emails", "{fresh}"),
            ("role", "member"),
            ("message", "Hello"),
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

/// The same for forms with a file: its fields, the field of the file, its name and what it holds.
pub const FILES: &[FileForm] = &[
    FileForm {
        pattern: "/orgs/{org}/settings/team/invite/import",
        fields: &[("message", "Hello")],
        file: ("file", "people.csv", "email,role\n{fresh},member\n"),
    },
    FileForm {
        pattern: "/account/avatar",
        fields: &[],
        file: ("avatar", "me.png", "no picture at all"),
    },
];

/// A form with a file.
pub struct FileForm {
    pub pattern: &'static str,
    pub fields: &'static [(&'static str, &'static str)],
    pub file: (&'static str, &'static str, &'static str),
}

/// The fields of a form, filled in.
pub fn fields_of(pattern: &str, parts: Parts<'_>) -> Vec<(&'static str, String)> {
    let fields = FORMS
        .iter()
        .find(|(known, _)| *known == pattern)
        .map(|(_, fields)| *fields)
        .or_else(|| file_form(pattern).map(|form| form.fields))
        .unwrap_or_else(|| {
            panic!("POST {pattern} has no row in FORMS or FILES (tests/web/support/routes.rs): say there what its form holds")
        });
    fields
        .iter()
        .map(|(name, value)| (*name, fill(value, parts)))
        .collect()
}

/// The form with a file that goes to this address, if there is one.
pub fn file_form(pattern: &str) -> Option<&'static FileForm> {
    FILES.iter().find(|form| form.pattern == pattern)
}

/// The values of the parts of an address, by name.
pub type Parts<'a> = &'a [(&'a str, &'a str)];

/// The address of a pattern. Fails for a part that has no value: a new kind of part has to be thought about.
pub fn fill(pattern: &str, parts: Parts<'_>) -> String {
    let mut path = pattern.to_owned();
    for (name, value) in parts {
        // A part may be named with what comes before it: `verify-email/{token}` is not an invitation's token.
        for spelling in [
            format!("{{{name}}}"),
            format!("{{{name}:.*}}"),
            (*name).to_owned(),
        ] {
            if !spelling.contains('{') {
                continue;
            }
            path = path.replace(&spelling, value);
        }
    }
    assert!(
        !path.contains('{'),
        "{pattern}: say in this test what stands for its parts"
    );
    path
}

/// A route as it is in the table, and the values of its parts; `fresh` among them.
#[derive(Clone, Copy)]
pub struct Route<'a> {
    pub method: &'a str,
    pub pattern: &'a str,
    pub parts: Parts<'a>,
}

impl Route<'_> {
    /// Where it is.
    pub fn path(&self) -> String {
        fill(self.pattern, self.parts)
    }

    /// Asks for it as `person`: a GET as it is, a POST with their form token and the fields of [`FORMS`] or [`FILES`].
    pub fn ask<'p>(&self, person: &'p Person, headers: &[(&str, &str)]) -> Answer<'p> {
        let path = self.path();
        if self.method != "POST" {
            return person.ask(self.method, &path, headers, None);
        }
        let token = form_token(person);
        let given = fields_of(self.pattern, self.parts);
        let mut fields = vec![("csrf", token.as_str())];
        fields.extend(given.iter().map(|(name, value)| (*name, value.as_str())));
        match file_form(self.pattern) {
            Some(form) => {
                let (field, name, text) = form.file;
                let text = fill(text, self.parts);
                person.upload_with(&path, headers, &fields, (field, name, text.as_bytes()))
            }
            None => person.ask(
                "POST",
                &path,
                headers,
                Some(&super::people::encode(&fields)),
            ),
        }
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
