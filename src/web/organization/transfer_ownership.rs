//! Handing ownership over (R-ROLE-7): to a current member, confirmed with the organization's address and the password.

use crate::{
    actions::{self, Failure},
    domain::{ids::AccountId, policy::Permission, refusal::Refusal, text},
    store::{
        self, Part,
        memberships::{MemberFilter, Order},
    },
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
use actix_web::{
    HttpResponse,
    web::{Path, Query},
};
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

/// People offered at once; the search finds the others.
const OFFERED: i64 = 20;

#[derive(Template)]
#[template(path = "organization/transfer_ownership.html")]
struct TransferOwnership<'a> {
    cx: &'a Cx,
    q: String,
    people: Vec<Candidate>,
    more: bool,
    slug: String,
    member_error: Option<String>,
    slug_error: Option<String>,
    password_error: Option<String>,
}

struct Candidate {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    chosen: bool,
}

/// The query of the page: whom to look for, or who was chosen in the members list.
#[derive(Deserialize, Clone, Default)]
pub(in crate::web) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    to: String,
}

/// The form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    #[serde(default)]
    q: String,
    #[serde(default)]
    member: String,
    slug: String,
    password: SecretString,
}

/// What is wrong with each field.
#[derive(Default)]
struct Faults {
    member: Option<String>,
    slug: Option<String>,
    password: Option<String>,
}

/// `GET /orgs/{org}/transfer-ownership`
pub(in crate::web) async fn show(
    visit: Visit,
    org: Path<String>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    let wanted = wanted.into_inner();
    let (seen, view) = look(&visit, &org, &wanted).await?;
    let cx = visit.frame(
        &seen,
        "organization/transfer_ownership",
        "Transfer ownership",
    );
    answer::ok(&view.page(&cx, wanted.q, String::new(), Faults::default()))
}

struct View {
    people: Vec<Candidate>,
    more: bool,
}

impl View {
    fn page(self, cx: &Cx, q: String, slug: String, faults: Faults) -> TransferOwnership<'_> {
        TransferOwnership {
            cx,
            q,
            people: self.people,
            more: self.more,
            slug,
            member_error: faults.member,
            slug_error: faults.slug,
            password_error: faults.password,
        }
    }
}

async fn look(visit: &Visit, org: &str, wanted: &Wanted) -> Result<(Seen, View), Problem> {
    let filter = MemberFilter {
        terms: text::search_terms(&wanted.q),
        in_addresses: true,
        ..MemberFilter::default()
    };
    let chosen = wanted.to.parse::<AccountId>().ok();
    visit
        .member(org, move |conn, member| {
            member.check(Permission::TransferOwnership)?;
            let organization = member.place.organization;
            // The one who hands over is among them, and one more says whether there are others.
            let mut rows = store::memberships::page(
                conn,
                organization,
                &filter,
                Order::default(),
                &Part::First,
                OFFERED + 2,
            )?;
            rows.retain(|row| row.account != member.session.account.id);
            let offered = usize::try_from(OFFERED).unwrap_or(usize::MAX);
            let more = rows.len() > offered;
            rows.truncate(offered);
            let people = rows
                .into_iter()
                .map(|row| Candidate {
                    id: row.account.to_string(),
                    name: row.name,
                    email: row.email,
                    role: row.role.label(),
                    chosen: chosen == Some(row.account),
                })
                .collect();
            Ok(View { people, more })
        })
        .await
}

/// `POST /orgs/{org}/transfer-ownership`
pub(in crate::web) async fn transfer_ownership(
    post: Post<Fields>,
    org: Path<String>,
) -> Result<HttpResponse, Problem> {
    let form = &post.form;
    let Ok(whom) = form.member.parse::<AccountId>() else {
        let member = Some("Choose a member.".to_owned());
        return again(
            &post,
            &org,
            Faults {
                member,
                ..Faults::default()
            },
            None,
        )
        .await;
    };
    // Before the password: whoever is no Owner learns that, and not whether they typed it right.
    look(&post.visit, &org, &Wanted::default()).await?;
    if let Err(refusal) = password::confirm(&post, form.password.clone()).await? {
        return refuse(&post, &org, refusal).await;
    }
    let (slug, typed) = (org.clone(), form.slug.clone());
    let answer = post
        .act(move |run, actor| {
            actions::members::transfer_ownership(run, actor, &slug, &typed, whom)
        })
        .await;
    let account = match refused(answer) {
        Ok(Ok(account)) => account,
        Ok(Err(refusal)) => return refuse(&post, &org, refusal).await,
        Err(Problem::Failure(Failure::NotFound)) => {
            let member = Some("They are not a member any more. Choose somebody else.".to_owned());
            return again(
                &post,
                &org,
                Faults {
                    member,
                    ..Faults::default()
                },
                None,
            )
            .await;
        }
        Err(problem) => return Err(problem),
    };
    let banner = Banner::done(format!("{} is Owner now, and you are Admin.", account.name));
    Ok(post
        .visit
        .see_other_saying(urls::organization(&org), &banner))
}

/// The form again, with the refusal at its field.
async fn refuse(post: &Post<Fields>, org: &str, refusal: Refusal) -> Result<HttpResponse, Problem> {
    let now = post.visit.app.now();
    let explained = problem::explain(&refusal.clone().into(), Some(now));
    let words = Some(explained.advice.clone());
    let faults = match refusal {
        Refusal::SlugDiffers => Faults {
            slug: words,
            ..Faults::default()
        },
        Refusal::WrongPassword | Refusal::TooManyAttempts(_) => Faults {
            password: words,
            ..Faults::default()
        },
        _ => Faults {
            member: words,
            ..Faults::default()
        },
    };
    again(post, org, faults, Some(&explained)).await
}

async fn again(
    post: &Post<Fields>,
    org: &str,
    faults: Faults,
    refused: Option<&Explained>,
) -> Result<HttpResponse, Problem> {
    let wanted = Wanted {
        q: post.form.q.clone(),
        to: post.form.member.clone(),
    };
    let (seen, view) = look(&post.visit, org, &wanted).await?;
    let cx = post.visit.frame(
        &seen,
        "organization/transfer_ownership",
        "Transfer ownership",
    );
    let page = view.page(&cx, wanted.q, post.form.slug.clone(), faults);
    answer::again(&page, refused)
}
