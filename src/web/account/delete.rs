//! Deleting one's account (R-ORG-4): what goes with it, what stands in the way, and the password once more.

use crate::{
    actions::{self, Failure},
    domain::{
        membership::{Farewell, farewell},
        refusal::Refusal,
    },
    store::{self, sessions::Place},
    web::{
        answer,
        form::{FormToken, Post, refused},
        page::{Banner, Cx},
        password,
        problem::{self, Explained, Problem},
        urls,
        visit::{Seen, Visit},
    },
};
use actix_web::HttpResponse;
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/delete.html")]
struct Delete<'a> {
    cx: &'a Cx,
    /// Others would be left without an Owner there.
    owned: Vec<Place>,
    /// Nobody else is in there: they end with the account.
    alone: Vec<Place>,
    /// They go on.
    left: Vec<Place>,
    password_error: Option<String>,
}

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    password: SecretString,
}

/// What becomes of the visitor's organizations.
#[derive(Default)]
struct Fates {
    owned: Vec<Place>,
    alone: Vec<Place>,
    left: Vec<Place>,
}

async fn look(visit: &Visit) -> Result<(Seen, Fates), Problem> {
    visit
        .anyone(None, |conn, seen| {
            if seen.session.is_none() {
                return Err(Failure::SignedOut);
            }
            let mut fates = Fates::default();
            for place in &seen.places {
                let owners = store::memberships::count_owners(conn, place.organization)?;
                match farewell(place.role, owners, place.member_count) {
                    Ok(Farewell::Leave) => fates.left.push(place.clone()),
                    Ok(Farewell::Close) => fates.alone.push(place.clone()),
                    Err(_) => fates.owned.push(place.clone()),
                }
            }
            Ok(fates)
        })
        .await
}

fn page(cx: &Cx, fates: Fates, password_error: Option<String>) -> Delete<'_> {
    Delete {
        cx,
        owned: fates.owned,
        alone: fates.alone,
        left: fates.left,
        password_error,
    }
}

/// `GET /account/delete`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let (seen, fates) = look(&visit).await?;
    let cx = visit.frame(&seen, "account/delete", "Delete account");
    answer::ok(&page(&cx, fates, None))
}

/// `POST /account/delete`
pub(in crate::web) async fn delete_account(post: Post<Fields>) -> Result<HttpResponse, Problem> {
    if let Err(refusal) = password::confirm(&post, post.form.password.clone()).await? {
        let explained = problem::explain(&refusal.into(), Some(post.visit.app.now()));
        let words = Some(explained.advice.clone());
        return again(&post, words, &explained).await;
    }
    let deleted = store::unhurried(post.act(actions::farewell::delete_account)).await;
    match refused(deleted)? {
        Ok(()) => {}
        Err(refusal @ Refusal::OnlyOwnerOf(_)) => {
            let explained = problem::explain(&refusal.into(), None);
            return again(&post, None, &explained).await;
        }
        Err(other) => return Err(other.into()),
    }
    post.visit.forget();
    let banner = Banner::done("Your account is deleted.");
    Ok(post.visit.see_other_saying(urls::SIGN_IN, &banner))
}

/// The page again, as things stand now.
async fn again(
    post: &Post<Fields>,
    password_error: Option<String>,
    refused: &Explained,
) -> Result<HttpResponse, Problem> {
    let (seen, fates) = look(&post.visit).await?;
    let cx = post.visit.frame(&seen, "account/delete", "Delete account");
    answer::again(&page(&cx, fates, password_error), Some(refused))
}
