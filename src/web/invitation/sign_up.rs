//! **Create account and join**: account, membership and session in one POST (R-ACC-2).

use super::{
    accept::welcome,
    named, or_dead,
    show::{self, Sent},
};
use crate::{
    actions::{self, Failure},
    domain::{consent::Consent, refusal::Refusal, text::PersonName},
    metrics::{PasswordForm, PasswordResult},
    web::{
        form::{FormToken, Post, refused},
        legal::UNTICKED,
        log,
        password::new_hash,
        problem::{self, Problem},
        urls,
    },
};
use actix_web::{HttpResponse, http::StatusCode, web::Path};
use secrecy::SecretString;
use serde::Deserialize;

/// The sign-up half of the invitation page. The address is the invitation's: there is no field for it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    name: String,
    password: SecretString,
    #[serde(default)]
    consent: String,
}

/// `POST /accept-invitation/{token}/sign-up`
pub(in crate::web) async fn sign_up(
    post: Post<Fields>,
    token: Path<String>,
) -> Result<HttpResponse, Problem> {
    let mut answer = try_sign_up(&post, &token).await;
    if is_used(&answer) {
        answer = try_return(&post, &token).await;
    }
    or_dead(&post.visit, &token, answer).await
}

fn is_used(answer: &Result<HttpResponse, Problem>) -> bool {
    matches!(
        answer,
        Err(Problem::Failure(Failure::Refused(Refusal::LinkUsed)))
    )
}

/// The second click of a double click: the account is there, the password is right, so in they go (R-ACC-5).
async fn try_return(post: &Post<Fields>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, token)?;
    let attempt = post
        .act_as_anyone(move |run, _, client| actions::invitees::begin_return(run, client, link))
        .await
        .inspect_err(|why| log::password_put_off(&post.visit, PasswordForm::Invitation, why))?;
    let note = |result| log::password(&post.visit, PasswordForm::Invitation, result);
    let hasher = &post.visit.app.hasher;
    let hash = attempt
        .password_hash
        .unwrap_or_else(|| hasher.dummy().to_owned());
    let right = hasher
        .verify_bounded(post.form.password.clone(), hash.clone())
        .await
        .inspect_err(|_| note(PasswordResult::Busy))?;
    let Some(account) = attempt.account.filter(|_| right) else {
        note(PasswordResult::Wrong);
        return Err(Refusal::LinkUsed.into());
    };
    let joined = post
        .act_as_anyone(move |run, _, client| {
            actions::invitees::finish_return(run, client, link, account, &hash)
        })
        .await?;
    note(PasswordResult::Ok);
    Ok(welcome(&post.visit, &joined))
}

async fn try_sign_up(post: &Post<Fields>, token: &str) -> Result<HttpResponse, Problem> {
    let link = named(&post.visit.app, token)?;
    let begun = post
        .act_as_anyone(move |run, actor, client| match actor {
            Some(_) => Ok(None),
            None => actions::invitees::begin_sign_up(run, client, link).map(Some),
        })
        .await?;
    let Some(email) = begun else {
        // Somebody is signed in: the invitation page says what that means for them.
        return Ok(post.visit.see_other(urls::accept_invitation(token)));
    };
    let name = PersonName::parse(&post.form.name);
    let about = vec![post.form.name.clone(), email.shown().to_owned()];
    let strength = post
        .visit
        .app
        .hasher
        .strength_bounded(post.form.password.clone(), about)
        .await?;
    let consent = Consent::given(&post.form.consent);
    let consented = consent.covers(&post.visit.app.means.rules.legal);
    let name = match (name, strength) {
        (Ok(name), Ok(())) if consented => name,
        (name, strength) => {
            let sent = Sent {
                name: post.form.name.clone(),
                name_error: name.err().map(|fault| fault.to_string()),
                password_error: strength.err().map(|weak| weak.to_string()),
                consent_error: (!consented).then(|| UNTICKED.to_owned()),
                problem: None,
            };
            return show::page(&post.visit, token, StatusCode::UNPROCESSABLE_ENTITY, sent).await;
        }
    };
    let hash = new_hash(&post.visit, post.form.password.clone()).await?;
    let joined = post
        .act_as_anyone(move |run, _, client| {
            actions::invitees::sign_up_and_join(run, client, link, &name, &hash, &consent)
        })
        .await;
    match refused(joined)? {
        Ok(joined) => Ok(welcome(&post.visit, &joined)),
        Err(refusal @ Refusal::CannotSignUp) => {
            let explained = problem::explain(&refusal.into(), None);
            let sent = Sent {
                name: post.form.name.clone(),
                problem: Some(explained.advice),
                ..Sent::default()
            };
            show::page(&post.visit, token, StatusCode::UNPROCESSABLE_ENTITY, sent).await
        }
        Err(Refusal::ConsentMissing) => {
            let sent = Sent {
                name: post.form.name.clone(),
                consent_error: Some(UNTICKED.to_owned()),
                ..Sent::default()
            };
            show::page(&post.visit, token, StatusCode::UNPROCESSABLE_ENTITY, sent).await
        }
        Err(refusal) => Err(refusal.into()),
    }
}
