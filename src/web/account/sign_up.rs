//! Signing up without an invitation: an account, an organization, and the person as its Owner.

use crate::{
    actions::accounts,
    domain::{
        consent::Consent,
        email::EmailAddress,
        refusal::Refusal,
        text::{OrganizationName, PersonName},
    },
    store,
    web::{
        answer,
        form::{FormToken, Post, refused},
        legal::{ConsentBox, UNTICKED},
        page::{Banner, Cx},
        password::new_hash,
        problem::{self, Problem},
        urls,
        visit::Visit,
    },
};
use actix_web::HttpResponse;
use askama::Template;
use secrecy::SecretString;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account/sign_up.html")]
struct SignUp<'a> {
    cx: &'a Cx,
    name: String,
    name_error: Option<String>,
    email: String,
    email_error: Option<String>,
    password_error: Option<String>,
    organization: String,
    organization_error: Option<String>,
    problem: Option<String>,
    agreement: ConsentBox,
}

/// The sign-up form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Fields {
    #[serde(rename = "csrf")]
    _csrf: FormToken,
    name: String,
    email: String,
    password: SecretString,
    organization: String,
    #[serde(default)]
    consent: String,
}

/// What is wrong with each field.
#[derive(Default)]
struct Faults {
    name: Option<String>,
    email: Option<String>,
    password: Option<String>,
    organization: Option<String>,
    consent: Option<String>,
}

/// `GET /sign-up`
pub(in crate::web) async fn show(visit: Visit) -> Result<HttpResponse, Problem> {
    let open = visit.app.means.rules.open_sign_up;
    let (seen, ()) = visit
        .anyone(None, move |conn, seen| {
            if seen.session.is_none() && !open && store::accounts::any(conn)? {
                return Err(Refusal::SignUpClosed.into());
            }
            Ok(())
        })
        .await?;
    if seen.session.is_some() {
        return Ok(visit.see_other("/"));
    }
    let cx = visit.frame(&seen, "account/sign_up", "Sign up");
    answer::ok(&SignUp {
        cx: &cx,
        name: String::new(),
        name_error: None,
        email: String::new(),
        email_error: None,
        password_error: None,
        organization: String::new(),
        organization_error: None,
        problem: None,
        agreement: ConsentBox::new(&visit.app.means.rules.legal),
    })
}

/// `POST /sign-up`
pub(in crate::web) async fn sign_up(post: Post<Fields>) -> Result<HttpResponse, Problem> {
    let form = &post.form;
    let begun = post
        .act_as_anyone(|run, _, client| accounts::begin_sign_up(run, client))
        .await;
    if let Err(refusal) = refused(begun)? {
        return again(&post, Faults::default(), Some(refusal)).await;
    }
    let (name, email) = (
        PersonName::parse(&form.name),
        EmailAddress::parse(&form.email),
    );
    let organization = OrganizationName::parse(&form.organization);
    let about = vec![
        form.name.clone(),
        form.email.clone(),
        form.organization.clone(),
    ];
    let strength = post
        .visit
        .app
        .hasher
        .strength_bounded(form.password.clone(), about)
        .await?;
    let consent = Consent::given(&form.consent);
    let consented = consent.covers(&post.visit.app.means.rules.legal);
    let (name, email, organization) = match (name, email, organization, strength) {
        (Ok(name), Ok(email), Ok(organization), Ok(())) if consented => (name, email, organization),
        (name, email, organization, strength) => {
            let faults = Faults {
                name: name.err().map(|fault| fault.to_string()),
                email: email.err().map(|fault| format!("The address {fault}.")),
                password: strength.err().map(|weak| weak.to_string()),
                organization: organization.err().map(|fault| fault.to_string()),
                consent: (!consented).then(|| UNTICKED.to_owned()),
            };
            return again(&post, faults, None).await;
        }
    };
    let password_hash = new_hash(&post.visit, form.password.clone()).await?;
    let new = accounts::SignUp {
        name,
        email,
        password_hash,
        organization,
        consent,
    };
    let signed_up = post
        .act_as_anyone(move |run, _, client| accounts::sign_up(run, client, &new))
        .await;
    let signed_up = match refused(signed_up)? {
        Ok(signed_up) => signed_up,
        Err(Refusal::ConsentMissing) => {
            let faults = Faults {
                consent: Some(UNTICKED.to_owned()),
                ..Faults::default()
            };
            return again(&post, faults, None).await;
        }
        Err(refusal) => return again(&post, Faults::default(), Some(refusal)).await,
    };
    post.visit.set_token(&signed_up.token);
    let banner = Banner::done("Welcome to Roster. Your organization is ready: invite your team.");
    Ok(post
        .visit
        .see_other_saying(urls::organization(&signed_up.slug), &banner))
}

async fn again(
    post: &Post<Fields>,
    faults: Faults,
    refusal: Option<Refusal>,
) -> Result<HttpResponse, Problem> {
    let (seen, ()) = post.visit.anyone(None, |_, _| Ok(())).await?;
    let cx = post.visit.frame(&seen, "account/sign_up", "Sign up");
    let explained = refusal.map(|refusal| problem::explain(&refusal.into(), Some(seen.now)));
    answer::again(
        &SignUp {
            cx: &cx,
            name: post.form.name.clone(),
            name_error: faults.name,
            email: post.form.email.clone(),
            email_error: faults.email,
            password_error: faults.password,
            organization: post.form.organization.clone(),
            organization_error: faults.organization,
            problem: explained.as_ref().map(|explained| explained.advice.clone()),
            agreement: ConsentBox::new(&post.visit.app.means.rules.legal).with(faults.consent),
        },
        explained.as_ref(),
    )
}
