//! A person with a browser: cookies, pages, forms. No redirect is followed by itself, so that tests see each answer.

use super::team::people_password;
use std::{net::SocketAddr, sync::Mutex};
use ureq::{
    Agent,
    http::{Method, Request, StatusCode},
};

/// A browser with cookies of its own.
pub struct Person {
    agent: Agent,
    address: SocketAddr,
    cookies: Mutex<Vec<(String, String)>>,
}

/// What the server answered.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    pub location: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: String,
    from: &'a str,
    person: Person2<'a>,
}

#[derive(Clone, Copy)]
struct Person2<'a>(&'a Person);

impl std::fmt::Debug for Person2<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Person {
    pub fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Self {
            agent: config.into(),
            address,
            cookies: Mutex::default(),
        }
    }

    /// The same cookies in another browser: a stolen cookie, a second tab.
    pub fn copy(&self) -> Self {
        let copy = Self::new(self.address);
        *copy.cookies.lock().expect("cookies") = self.cookies.lock().expect("cookies").clone();
        copy
    }

    /// The same browser asking another instance.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.copy()
        }
    }

    pub fn cookie_header(&self) -> String {
        let cookies = self.cookies.lock().expect("cookies");
        cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join("; ")
    }

    pub fn get(&self, path: &str) -> Answer<'_> {
        self.ask("GET", path, &[], None)
    }

    pub fn head(&self, path: &str) -> Answer<'_> {
        self.ask("HEAD", path, &[], None)
    }

    /// A POST of a form as it is: without a token unless it is among the fields.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer<'_> {
        self.ask("POST", path, &[], Some(&encode(fields)))
    }

    /// Any request.
    pub fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<&str>,
    ) -> Answer<'_> {
        self.send(
            method,
            path,
            headers,
            form.map(|form| form.as_bytes().to_vec()),
        )
    }

    /// A POST of a form with a file, as browsers send it. Without a token unless it is among the fields.
    pub fn upload(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        file: (&str, &str, &[u8]),
    ) -> Answer<'_> {
        self.upload_with(path, &[], fields, file)
    }

    /// The same with headers of one's own.
    pub fn upload_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
        file: (&str, &str, &[u8]),
    ) -> Answer<'_> {
        const MARK: &str = "----a-line-between-parts";
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend_from_slice(
                format!(
                    "--{MARK}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
                .as_bytes(),
            );
        }
        let (name, file_name, bytes) = file;
        body.extend_from_slice(
            format!(
                "--{MARK}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .as_bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend_from_slice(format!("\r\n--{MARK}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={MARK}");
        let headers = [headers, &[("content-type", kind.as_str())]].concat();
        self.send("POST", path, &headers, Some(body))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        form: Option<Vec<u8>>,
    ) -> Answer<'_> {
        let url = format!("http://{}{path}", self.address);
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).expect("a method"))
            .uri(&url);
        let cookies = self.cookie_header();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match form {
            Some(form) => {
                let given = headers
                    .iter()
                    .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
                let request = if given {
                    request
                } else {
                    request.header("content-type", "application/x-www-form-urlencoded")
                };
                self.agent.run(request.body(form).expect("a request"))
            }
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        self.keep_cookies(&headers);
        let location = headers
            .iter()
            .find(|(name, _)| name == "location")
            .map(|(_, value)| value.clone());
        Answer {
            status: response.status().as_u16(),
            location,
            headers,
            body: if response.status() == StatusCode::NO_CONTENT {
                String::new()
            } else {
                response.body_mut().read_to_string().unwrap_or_default()
            },
            from: "",
            person: Person2(self),
        }
    }

    fn keep_cookies(&self, headers: &[(String, String)]) {
        let mut cookies = self.cookies.lock().expect("cookies");
        for (_, value) in headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
            let (name, value) = pair.split_once('=').expect("a cookie");
            cookies.retain(|(known, _)| known != name);
            if !value.is_empty() && !attributes.contains("Max-Age=0") {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    // What people do.

    pub fn sign_in(&self, email: &str) -> Answer<'_> {
        self.sign_in_with(email, people_password())
    }

    pub fn sign_in_with(&self, email: &str, password: &str) -> Answer<'_> {
        let fields = [("email", email), ("password", password)];
        self.get("/sign-in").submit("/sign-in", &fields)
    }

    /// Whether this browser is signed in.
    pub fn is_signed_in(&self) -> bool {
        self.get("/").status == 200
    }

    pub fn sign_out(&self) {
        self.get("/").submit("/sign-out", &[]).expect(303);
    }

    /// Invites one address to Acme with this role, and expects that it works.
    pub fn invite(&self, email: &str, role: &str) {
        self.try_invite(email, role).expect(303);
    }

    pub fn try_invite(&self, emails: &str, role: &str) -> Answer<'_> {
        self.try_invite_with(emails, role, &[])
    }

    /// Invites to Acme with more of the form filled in: `message`, `link_only`.
    pub fn try_invite_with(&self, emails: &str, role: &str, more: &[(&str, &str)]) -> Answer<'_> {
        self.try_invite_to("acme", emails, role, more)
    }

    pub fn try_invite_to(
        &self,
        slug: &str,
        emails: &str,
        role: &str,
        more: &[(&str, &str)],
    ) -> Answer<'_> {
        let url = format!("/orgs/{slug}/settings/team/invite");
        let mut fields = vec![
            ("emails", emails),
            ("role", role),
            ("from", "page"),
            ("then", "send"),
        ];
        fields.extend_from_slice(more);
        self.get(&url).submit(&url, &fields)
    }

    /// Invites without a letter.
    pub fn invite_by_link_only(&self, email: &str, role: &str) {
        let more = [("link_only", "yes")];
        self.try_invite_with(email, role, &more).expect(303);
    }

    /// Changes the role of the newest invitation for `email`, from a form that was made for `before`.
    pub fn change_invited_role(&self, email: &str, before: &str, after: &str) -> Answer<'_> {
        let url = format!("{}/role", self.invitation_url(email));
        let fields = [("before", before), ("role", after)];
        self.get("/").submit(&url, &fields)
    }

    /// Copy link without JavaScript.
    pub fn copy_link_on_a_page(&self, email: &str) -> Answer<'_> {
        let url = self.invitation_url(email);
        self.get(&url).submit(&format!("{url}/link"), &[])
    }

    /// The address of the details page of the newest invitation for `email`.
    pub fn invitation_url(&self, email: &str) -> String {
        let page = self.get(&format!(
            "/orgs/acme/settings/team/invitations?state=all&q={}",
            encode_value(email)
        ));
        page.expect(200);
        let urls = page.urls_containing("/orgs/acme/settings/team/invitations/");
        let mut ids: Vec<String> = urls
            .into_iter()
            .filter_map(|url| {
                Some(
                    url.strip_prefix("/orgs/acme/settings/team/invitations/")?
                        .split('/')
                        .next()?
                        .to_owned(),
                )
            })
            .filter(|id| id.len() == 36)
            .collect();
        ids.sort();
        let id = ids
            .pop()
            .unwrap_or_else(|| panic!("no invitation for {email}"));
        format!("/orgs/acme/settings/team/invitations/{id}")
    }

    pub fn resend(&self, email: &str) -> Answer<'_> {
        let url = self.invitation_url(email);
        self.get(&url).submit(&format!("{url}/resend"), &[])
    }

    pub fn revoke(&self, email: &str) -> Answer<'_> {
        let url = self.invitation_url(email);
        self.get(&url).submit(&format!("{url}/revoke"), &[])
    }

    /// Copy link, as the script does it.
    pub fn copy_link(&self, email: &str) -> String {
        let url = self.invitation_url(email);
        let token = self.get(&url).csrf();
        let form = encode(&[("csrf", &token)]);
        let answer = self.ask(
            "POST",
            &format!("{url}/link"),
            &[("accept", "application/json")],
            Some(&form),
        );
        answer.expect(200);
        let json: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        json["link"].as_str().expect("a link").to_owned()
    }

    /// Creates an account and joins, from the invitation page.
    pub fn join(self, link: &str, name: &str) -> Self {
        self.try_join(link, name).expect(303);
        self
    }

    pub fn try_join(&self, link: &str, name: &str) -> Answer<'_> {
        self.get(link).submit(
            &format!("{link}/sign-up"),
            &[("name", name), ("password", people_password())],
        )
    }

    /// Presses the one button behind the link from a letter.
    pub fn confirm_address(&self, link: &str) {
        self.get(link).submit(link, &[]).expect(303);
    }

    pub fn accept(&self, link: &str) -> Answer<'_> {
        self.get(link).submit(&format!("{link}/accept"), &[])
    }

    /// **Ask for a new invitation**, on the page of an expired link.
    pub fn ask_again(&self, link: &str) -> Answer<'_> {
        self.get(link).submit(&format!("{link}/ask-again"), &[])
    }

    /// **Sign out and continue**, on the page of somebody else's link.
    pub fn switch_account(&self, link: &str) -> Answer<'_> {
        self.get(link)
            .submit(&format!("{link}/switch-account"), &[])
    }

    pub fn reject(&self, link: &str) -> Answer<'_> {
        self.get(&format!("{link}/reject"))
            .submit(&format!("{link}/reject"), &[])
    }
}

impl<'a> Answer<'a> {
    /// Fails unless the status is this one.
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}\n{}", self.from, self.text());
        self
    }

    /// Fails unless it leads there.
    pub fn leads_to(&self, location: &str) -> &Self {
        assert_eq!(
            self.location.as_deref(),
            Some(location),
            "status {}\n{}",
            self.status,
            self.text()
        );
        self
    }

    /// Fails unless the page shows this text.
    pub fn shows(&self, text: &str) -> &Self {
        assert!(
            self.text().contains(text),
            "does not show {text:?}:\n{}",
            self.text()
        );
        self
    }

    /// Fails unless the page's source has this: an address, an attribute.
    pub fn shows_markup(&self, markup: &str) -> &Self {
        assert!(
            self.body.contains(markup),
            "has no {markup:?}:\n{}",
            self.body
        );
        self
    }

    /// Fails if the page shows this text.
    pub fn lacks(&self, text: &str) -> &Self {
        assert!(
            !self.text().contains(text),
            "shows {text:?}:\n{}",
            self.text()
        );
        self
    }

    /// Follows the redirect.
    pub fn follow(&self) -> Answer<'a> {
        let location = self
            .location
            .as_deref()
            .unwrap_or_else(|| panic!("no redirect: {}\n{}", self.status, self.text()));
        self.person.0.get(location)
    }

    /// Sends a form of this page: with the page's form token. Follows a redirect to the page first.
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer<'a> {
        let token = self.csrf();
        let mut all = vec![("csrf", token.as_str())];
        all.extend_from_slice(fields);
        self.person.0.post(path, &all)
    }

    /// The page's form token; an empty one where it has none.
    pub fn csrf(&self) -> String {
        between(&self.body, "name=\"csrf\" value=\"", "\"").unwrap_or_default()
    }

    /// Seconds, from the header of an answer that says when to come back.
    pub fn retry_after(&self) -> u64 {
        let value = self.header("retry-after").expect("Retry-After");
        value.parse().expect("seconds")
    }

    /// Who is listed: the first thing in each row of the page's table.
    pub fn listed(&self) -> Vec<String> {
        self.body
            .split("role=\"rowheader\"")
            .skip(1)
            .filter_map(|row| between(row, "<bdi>", "</bdi>"))
            .collect()
    }

    /// The page without its form token: what is left must not tell one visitor's case from another's.
    pub fn without_token(&self) -> String {
        let token = self.csrf();
        assert!(!token.is_empty(), "the page has no form token");
        self.body.replace(&token, "TOKEN")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What a reader sees: tags away, entities back, white space folded.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut in_tag = false;
        let start = self.body.find("<body").unwrap_or(0);
        for c in self.body[start..].chars() {
            match c {
                '<' => in_tag = true,
                // A block's end is a gap for a reader; that inline tags make one too does not hurt after folding.
                '>' if in_tag => in_tag = false,
                c if !in_tag => text.push(c),
                _ => {}
            }
        }
        for (entity, c) in [
            ("&#38;", "&"),
            ("&#60;", "<"),
            ("&#62;", ">"),
            ("&#34;", "\""),
            ("&#39;", "'"),
            ("&amp;", "&"),
        ] {
            text = text.replace(entity, c);
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Every address in a link, form or button of the page that contains `part`.
    pub fn urls_containing(&self, part: &str) -> Vec<String> {
        ["href=\"", "action=\"", "formaction=\""]
            .into_iter()
            .flat_map(|start| {
                self.body
                    .split(start)
                    .skip(1)
                    .filter_map(|rest| rest.split('"').next())
            })
            .filter(|url| url.contains(part))
            .map(|url| url.replace("&#38;", "&"))
            .collect()
    }
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let after = &text[text.find(start)? + start.len()..];
    Some(after[..after.find(end)?].to_owned())
}

pub fn encode(fields: &[(&str, &str)]) -> String {
    fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encode_value(value)))
        .collect::<Vec<_>>()
        .join("&")
}

pub fn encode_value(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
