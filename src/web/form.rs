//! Forms: a POST with its form token, read within limits.

use super::{
    csrf::{self, Seed},
    problem::Problem,
    visit::{Seen, Visit},
};
use crate::{
    actions::{Actor, Client, Failure, Run},
    domain::refusal::Refusal,
};
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, mime, web::BytesMut};
use futures_util::{StreamExt as _, future::LocalBoxFuture};
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;

/// Longest form, in bytes: a hundred addresses and a note fit several times over.
const LONGEST: usize = 64 * 1024;
/// How long a form may take. actix itself would wait for ever.
const BODY_TIME: Duration = Duration::from_secs(15);

/// A form that one of our own pages sent; its token is checked with the session, in the action's transaction.
pub struct Post<T> {
    /// The fields.
    pub form: T,
    /// Who sent it.
    pub visit: Visit,
    /// Whether the answer should be JSON.
    pub wants_json: bool,
    sent_token: String,
}

/// The field every form has. It is read before the others, by [`Post`] itself.
pub type FormToken = serde::de::IgnoredAny;

/// A form of one button.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Button {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
}

#[derive(Deserialize)]
struct TokenOnly {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned + 'static> FromRequest for Post<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let visit = ours(&request, &mime::APPLICATION_WWW_FORM_URLENCODED)?;
            let body = tokio::time::timeout(BODY_TIME, read(&mut payload))
                .await
                .map_err(|_| Problem::TooSlow)??;
            if !is_plain_text(&body) {
                return Err(Problem::BadForm(
                    "it has a character that is no text".to_owned(),
                ));
            }
            let TokenOnly { csrf: sent_token } = parse(&body)?;
            if sent_token.is_empty() {
                return Err(Problem::Forged);
            }
            Self::new(parse(&body)?, visit, sent_token, &request)
        })
    }
}

/// The visit of a request that one of our own pages sent with a body of this type.
pub(super) fn ours(request: &HttpRequest, expected: &mime::Mime) -> Result<Visit, Problem> {
    let visit = Visit::of(request)?;
    if !csrf::same_origin(request, &visit.app.site.public_url) {
        return Err(Problem::Forged);
    }
    let fits = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<mime::Mime>().ok())
        .is_some_and(|kind| kind.essence_str() == expected.essence_str());
    if fits {
        Ok(visit)
    } else {
        Err(Problem::UnsupportedType)
    }
}

async fn read(payload: &mut Payload) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| Problem::BadForm(error.to_string()))?;
        if body.len() + chunk.len() > LONGEST {
            return Err(Problem::TooLarge(format!("{} kB", LONGEST / 1024)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether what the form says is UTF-8 without NUL. The parser would put U+FFFD in the place of what is not; PostgreSQL
/// refuses NUL.
fn is_plain_text(body: &[u8]) -> bool {
    let digit = |at: usize| {
        let byte = body.get(at).copied()?;
        char::from(byte).to_digit(16)
    };
    let mut bytes = Vec::with_capacity(body.len());
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        let escaped = (byte == b'%')
            .then(|| digit(at + 1).zip(digit(at + 2)))
            .flatten()
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(escaped.unwrap_or(byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    !bytes.contains(&0) && std::str::from_utf8(&bytes).is_ok()
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_html_form::from_bytes(body).map_err(|error| Problem::BadForm(error.to_string()))
}

/// Whether a program rather than a page asks.
pub(super) fn wants_json(request: &HttpRequest) -> bool {
    request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.starts_with("application/json") || value.starts_with("application/problem+json")
        })
}

/// What a transaction says besides its own answer: the form was not ours, or something else comes first, so nothing was
/// done.
enum Checked<T> {
    Done(T),
    Forged,
    ConsentDue,
}

/// For whom an action is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    /// Whoever it is.
    Anyone,
    /// Somebody who is signed in.
    SignedIn,
    /// The same, even if a consent waits: only to give it, or to sign out (R-ACC-9).
    Unconsented,
}

impl<T> Post<T> {
    /// A form that was read; its token is checked by the action.
    pub(super) fn new(
        form: T,
        visit: Visit,
        sent_token: String,
        request: &HttpRequest,
    ) -> Result<Self, Problem> {
        if sent_token.is_empty() {
            return Err(Problem::Forged);
        }
        Ok(Self {
            form,
            wants_json: wants_json(request),
            visit,
            sent_token,
        })
    }

    /// Runs an action as the person who is signed in: session, form token and action in one transaction.
    ///
    /// # Errors
    /// [`Failure::SignedOut`], [`Problem::Forged`] and what the action answers.
    pub async fn act<R: Send + 'static>(
        &self,
        action: impl Fn(&mut Run<'_>, &Actor) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Problem> {
        self.check_and_act(For::SignedIn, move |run, actor, _| {
            action(run, actor.ok_or(Failure::SignedOut)?)
        })
        .await
    }

    /// Checks session and form token by themselves, before work that nobody else should be able to cause: reading a file,
    /// decoding a picture.
    ///
    /// # Errors
    /// As [`Post::act`].
    pub(super) async fn check(&self) -> Result<(), Problem> {
        self.act(|_, _| Ok(())).await
    }

    /// As [`Post::act`], also for a session that has yet to accept a newer version of a legal document (R-ACC-9).
    ///
    /// # Errors
    /// As [`Post::act`].
    pub(super) async fn act_unconsented<R: Send + 'static>(
        &self,
        action: impl Fn(&mut Run<'_>, &Actor) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Problem> {
        self.check_and_act(For::Unconsented, move |run, actor, _| {
            action(run, actor.ok_or(Failure::SignedOut)?)
        })
        .await
    }

    /// Runs an action for whoever it is, signed in or not.
    ///
    /// # Errors
    /// [`Problem::Forged`] and what the action answers.
    pub async fn act_as_anyone<R: Send + 'static>(
        &self,
        action: impl Fn(&mut Run<'_>, Option<&Actor>, &Client) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Problem> {
        self.check_and_act(For::Anyone, action).await
    }

    /// Looks the session up, checks the form token, acts: all in one transaction. Where only somebody who is signed in
    /// can act, "sign in again" comes before "this form is out of date": it is the better advice. The one door for
    /// writing: while a session waits for a consent, it does nothing else (R-ACC-9).
    async fn check_and_act<R: Send + 'static>(
        &self,
        who: For,
        action: impl Fn(&mut Run<'_>, Option<&Actor>, &Client) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Problem> {
        let (token, client, sent) = (
            self.visit.token().cloned(),
            self.visit.client.clone(),
            self.sent_token.clone(),
        );
        let form_key = self.visit.app.site.form_key;
        let checked = self
            .visit
            .app
            .act(move |run| {
                let seen = Seen::look(run.db, token.as_ref(), run.now)?;
                if who != For::Anyone && seen.session.is_none() {
                    return Err(Failure::SignedOut);
                }
                let seed = match (&seen.session, &token) {
                    (Some(session), _) => Seed::Session(session.id),
                    (None, Some(token)) => Seed::Browser(token.clone()),
                    (None, None) => return Ok(Checked::Forged),
                };
                if !csrf::matches(&form_key, &seed, &sent) {
                    return Ok(Checked::Forged);
                }
                if who != For::Unconsented && seen.consent_due() {
                    return Ok(Checked::ConsentDue);
                }
                let actor = seen.session.map(|session| Actor {
                    session,
                    client: client.clone(),
                });
                action(run, actor.as_ref(), &client).map(Checked::Done)
            })
            .await?;
        match checked {
            Checked::Done(answer) => Ok(answer),
            Checked::Forged => Err(Problem::Forged),
            Checked::ConsentDue => Err(Problem::ConsentDue),
        }
    }
}

/// A path on this site to go to after signing in: a single slash, and still ours when a browser reads it. Anything
/// else is dropped (open redirects, `//evil.test`, control characters).
pub(super) fn safe_next(next: &str) -> Option<String> {
    if !next.starts_with('/')
        || next.starts_with("//")
        || next.starts_with("/\\")
        || next.chars().any(char::is_control)
    {
        return None;
    }
    let base = url::Url::parse("http://roster.invalid").ok()?;
    let url = base.join(next).ok()?;
    if url.host_str() != Some("roster.invalid") || url.scheme() != "http" {
        return None;
    }
    let mut path = url.path().to_owned();
    if let Some(query) = url.query() {
        path.push('?');
        path.push_str(query);
    }
    (!path.starts_with("//")).then_some(path)
}

/// Splits a refusal that a form shows at its own place from every other problem.
pub(super) fn refused<T>(answer: Result<T, Problem>) -> Result<Result<T, Refusal>, Problem> {
    match answer {
        Ok(done) => Ok(Ok(done)),
        Err(Problem::Failure(Failure::Refused(refusal))) => Ok(Err(refusal)),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_no_nul_and_is_utf_8() {
        for good in ["", "a=b&c=%C3%A9+x", "a=é%", "a=%zz%4", "a=%e2%82%ac"] {
            assert!(is_plain_text(good.as_bytes()), "{good}");
        }
        for bad in [&b"a=%00"[..], b"a=\0", b"a=%ff", b"a=%C3&b=%A9", b"a=\xff"] {
            assert!(!is_plain_text(bad), "{bad:?}");
        }
    }

    #[test]
    fn next_stays_on_this_site() {
        assert_eq!(
            safe_next("/orgs/acme?x=1").as_deref(),
            Some("/orgs/acme?x=1")
        );
        assert_eq!(safe_next("/").as_deref(), Some("/"));
        for bad in [
            "",
            "orgs",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "/a\r\nSet-Cookie: x",
            "/\t/evil.test",
            "/..//evil.test",
            "javascript:alert(1)",
        ] {
            assert_eq!(safe_next(bad), None, "{bad:?}");
        }
    }
}
