//! Signing up, in and out.

use super::{Actor, Client, Failure, Run};
use crate::{
    domain::{
        account::Account,
        audit::Event,
        email::EmailAddress,
        ids::{AccountId, OrganizationId},
        organization::Organization,
        quota::{Quota, SIGN_IN_ANYWHERE, SIGN_IN_CLIENT, SIGN_IN_HERE, SIGN_UP_CLIENT},
        refusal::Refusal,
        role::Role,
        slug,
        text::{OrganizationName, PersonName},
    },
    store,
    token::SessionToken,
};

/// Longest search for a free slug: `acme`, `acme-2`, … A name that popular gets a random ending.
const SLUG_TRIES: u32 = 20;

/// Counts an attempt to sign up, before any password is hashed.
///
/// # Errors
/// [`Refusal::TooManyAttempts`]; [`Refusal::SignUpClosed`] unless nobody has an account yet (R-ORG-5).
pub fn begin_sign_up(run: &mut Run<'_>, client: &Client) -> Result<(), Failure> {
    if !run.means.rules.open_sign_up && store::accounts::any(run.db)? {
        return Err(Refusal::SignUpClosed.into());
    }
    count(run, SIGN_UP_CLIENT, &client.network())
}

/// What signing up made.
#[derive(Clone, Debug)]
pub struct SignedUp {
    /// For the browser's cookie.
    pub token: SessionToken,
    /// The new organization's part of the address.
    pub slug: String,
}

/// What somebody who signs up entered, checked.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// Their name.
    pub name: PersonName,
    /// Their address.
    pub email: EmailAddress,
    /// The hash of their password.
    pub password_hash: String,
    /// Their organization's name.
    pub organization: OrganizationName,
}

/// Makes an account, its organization and its first session (R-ORG-2).
///
/// # Errors
/// [`Refusal::CannotSignUp`] when the address has an account; [`Refusal::SignUpClosed`].
pub fn sign_up(run: &mut Run<'_>, client: &Client, new: &SignUp) -> Result<SignedUp, Failure> {
    if !run.means.rules.open_sign_up {
        // Two first visitors at once: the second waits here and then sees the first.
        store::accounts::lock_sign_up(run.db)?;
        if store::accounts::any(run.db)? {
            return Err(Refusal::SignUpClosed.into());
        }
    }
    let account = Account {
        id: AccountId(run.uuid()),
        email: new.email.clone(),
        name: new.name.to_string(),
        verified_at: None,
    };
    if !store::accounts::insert(run.db, &account, &new.password_hash, run.now)? {
        return Err(Refusal::CannotSignUp.into());
    }
    let organization = found(run, client, &account, &new.organization)?;
    let token = run.open_session(account.id, Some(organization.id), client)?;
    Ok(SignedUp {
        token,
        slug: organization.slug,
    })
}

/// Founds an organization with `founder` as its Owner.
fn found(
    run: &mut Run<'_>,
    client: &Client,
    founder: &Account,
    name: &OrganizationName,
) -> Result<Organization, Failure> {
    let bare = slug::from_name(name.as_str());
    let mut organization = Organization {
        id: OrganizationId(run.uuid()),
        slug: bare.clone(),
        name: name.to_string(),
        member_count: 1,
        deleted_at: None,
    };
    let mut attempt = 1;
    while !store::organizations::insert(run.db, &organization, run.now)? {
        attempt += 1;
        organization.slug = if attempt <= SLUG_TRIES {
            slug::candidate(&bare, attempt)
        } else {
            format!("{bare}-{}", organization.id.0.simple())
        };
        if attempt > SLUG_TRIES + 1 {
            return Err(Failure::Broken(format!("no free slug for {bare}")));
        }
    }
    store::memberships::insert(run.db, organization.id, founder, Role::Owner, run.now)?;
    run.record(organization.id, Some(founder), client, &Event::founded())?;
    Ok(organization)
}

/// An attempt to sign in that may go on: verify the password against `password_hash`, or against a dummy of the same
/// cost when there is none, so that both take the same work.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The account of that address, if there is one.
    pub account: Option<AccountId>,
    /// Its password's hash.
    pub password_hash: Option<String>,
}

/// Counts an attempt to sign in, before the password is verified.
///
/// # Errors
/// [`Refusal::TooManyAttempts`], the same for addresses with and without an account.
pub fn begin_sign_in(
    run: &mut Run<'_>,
    client: &Client,
    email: &EmailAddress,
) -> Result<Attempt, Failure> {
    count(run, SIGN_IN_CLIENT, &client.network())?;
    count(run, SIGN_IN_HERE, &here(client, email))?;
    count(run, SIGN_IN_ANYWHERE, email.key())?;
    let found = store::accounts::credentials(run.db, email)?;
    let (account, password_hash) = found.unzip();
    Ok(Attempt {
        account,
        password_hash,
    })
}

/// Signs in after the password was verified: a new session, and the attempts are forgotten. Whoever was signed in with
/// this browser before is signed out.
///
/// # Errors
/// Only the store's.
pub fn sign_in(
    run: &mut Run<'_>,
    client: &Client,
    before: Option<&Actor>,
    account: AccountId,
    email: &EmailAddress,
) -> Result<SessionToken, Failure> {
    // In the order in which they were taken: two sign-ins of one person must not wait for each other crosswise.
    store::quotas::give_back(run.db, SIGN_IN_CLIENT, &client.network(), run.now)?;
    store::quotas::reset(run.db, SIGN_IN_HERE, &here(client, email), run.now)?;
    store::quotas::give_back(run.db, SIGN_IN_ANYWHERE, email.key(), run.now)?;
    if let Some(before) = before {
        sign_out(run, before)?;
    }
    run.open_session(account, None, client)
}

/// Signs out: the session's row goes, and with it every copy of its cookie.
///
/// # Errors
/// Only the store's.
pub fn sign_out(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    Ok(store::sessions::delete(run.db, actor.session.id)?)
}

fn here(client: &Client, email: &EmailAddress) -> String {
    format!("{} {}", client.network(), email.key())
}

/// Uses one of a quota.
pub(super) fn count(run: &mut Run<'_>, quota: Quota, subject: &str) -> Result<(), Failure> {
    store::quotas::take(run.db, quota, subject, run.now)?
        .map_err(|until| Refusal::TooManyAttempts(until).into())
}
