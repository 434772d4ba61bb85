//! Signing up, in and out.

use super::{Actor, Client, Failure, Run, consents, organizations};
use crate::{
    domain::{
        account::Account,
        agent,
        consent::Consent,
        email::EmailAddress,
        ids::AccountId,
        notification::{Notification, NotificationKind},
        proof::ProofPurpose,
        quota::{SIGN_IN_ANYWHERE, SIGN_IN_CLIENT, SIGN_IN_HERE, SIGN_UP_CLIENT},
        refusal::Refusal,
        text::{OrganizationName, PersonName},
    },
    store::{self, sessions::Acquaintance},
    token::SessionToken,
};

/// Counts an attempt to sign up, before any password is hashed.
///
/// # Errors
/// [`Refusal::TooManyAttempts`]; [`Refusal::SignUpClosed`] unless nobody has an account yet (R-ORG-5).
pub fn begin_sign_up(run: &mut Run<'_>, client: &Client) -> Result<(), Failure> {
    if !run.means.rules.open_sign_up && store::accounts::any(run.db)? {
        return Err(Refusal::SignUpClosed.into());
    }
    run.count(&[(SIGN_UP_CLIENT, &client.network())])
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
    /// The box they ticked.
    pub consent: Consent,
}

/// Makes an account, its organization and its first session (R-ORG-2).
///
/// # Errors
/// [`Refusal::CannotSignUp`] when the address has an account; [`Refusal::SignUpClosed`]; [`Refusal::ConsentMissing`].
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
        avatar: None,
    };
    if !store::accounts::insert(run.db, &account, &new.password_hash, run.now)? {
        return Err(Refusal::CannotSignUp.into());
    }
    consents::require(run, account.id, &new.consent)?;
    let organization = organizations::found(run, client, &account, &new.organization)?;
    run.ask_for_proof(account.id, ProofPurpose::VerifyEmail, &account.email)?;
    let token = run.open_session(account.id, Some(organization.id), client)?;
    Ok(SignedUp {
        token,
        slug: organization.slug,
    })
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
    // Alone and first: who has used up their own attempts does not touch the counters of others.
    run.count(&[(SIGN_IN_CLIENT, &client.network())])?;
    run.count(&[
        (SIGN_IN_HERE, &here(client, email)),
        (SIGN_IN_ANYWHERE, email.key()),
    ])?;
    let found = store::accounts::credentials(run.db, email)?;
    let (account, password_hash) = found.unzip();
    Ok(Attempt {
        account,
        password_hash,
    })
}

/// Gives an attempt back whose password was not looked at, because too many waited for that: a flood must not use up
/// the attempts of those who know theirs.
///
/// # Errors
/// Only the store's.
pub fn put_off_sign_in(
    run: &mut Run<'_>,
    client: &Client,
    email: &EmailAddress,
) -> Result<(), Failure> {
    store::quotas::give_back(run.db, SIGN_IN_CLIENT, &client.network(), run.now)?;
    store::quotas::give_back(run.db, SIGN_IN_HERE, &here(client, email), run.now)?;
    store::quotas::give_back(run.db, SIGN_IN_ANYWHERE, email.key(), run.now)?;
    Ok(())
}

/// Signs in after the password was verified: a new session, and the attempts are forgotten. Whoever was signed in with
/// this browser before is signed out. The account's mailbox is told of a browser that it was not yet signed in with.
/// `verified` is the hash that the password was verified against: whoever changed the password meanwhile wins.
///
/// # Errors
/// [`Refusal::WrongCredentials`] when the password was changed or the account deleted meanwhile.
pub fn sign_in(
    run: &mut Run<'_>,
    client: &Client,
    before: Option<&Actor>,
    account: AccountId,
    email: &EmailAddress,
    verified: &str,
) -> Result<SessionToken, Failure> {
    // In the order in which they were taken: two sign-ins of one person must not wait for each other crosswise.
    store::quotas::give_back(run.db, SIGN_IN_CLIENT, &client.network(), run.now)?;
    store::quotas::reset(run.db, SIGN_IN_HERE, &here(client, email), run.now)?;
    store::quotas::give_back(run.db, SIGN_IN_ANYWHERE, email.key(), run.now)?;
    // Whoever changes the password or deletes the account holds its row: this waits for them, and then sees it.
    let known = store::accounts::lock(run.db, account)?;
    let hash = store::accounts::password_hash(run.db, account)?;
    let account = known.ok_or(Refusal::WrongCredentials)?;
    if hash.as_deref() != Some(verified) {
        return Err(Refusal::WrongCredentials.into());
    }
    // Asked before signing out: the same browser again is no new one.
    let acquaintance = store::sessions::acquaintance(run.db, account.id, &client.agent)?;
    if let Some(before) = before {
        sign_out(run, before)?;
    }
    let token = run.open_session(account.id, None, client)?;
    if acquaintance == Acquaintance::Stranger {
        let browser = format!("{}, {}", agent::describe(&client.agent), client.address);
        let told = Notification::new(NotificationKind::SignedIn).on(&browser);
        run.notify(account.id, &account.email, &told)?;
    }
    Ok(token)
}

/// Counts an attempt to confirm with one's own password, and answers its hash.
///
/// # Errors
/// [`Refusal::TooManyAttempts`].
pub fn begin_confirm(run: &mut Run<'_>, actor: &Actor) -> Result<String, Failure> {
    let email = &actor.account().email;
    run.count(&[
        (SIGN_IN_HERE, &here(&actor.client, email)),
        (SIGN_IN_ANYWHERE, email.key()),
    ])?;
    let (_, hash) = store::accounts::credentials(run.db, email)?.ok_or(Failure::SignedOut)?;
    Ok(hash)
}

/// As [`put_off_sign_in`], for an attempt to confirm.
///
/// # Errors
/// Only the store's.
pub fn put_off_confirm(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    let email = &actor.account().email;
    store::quotas::give_back(run.db, SIGN_IN_HERE, &here(&actor.client, email), run.now)?;
    store::quotas::give_back(run.db, SIGN_IN_ANYWHERE, email.key(), run.now)?;
    Ok(())
}

/// The password was right: the attempts are forgotten.
///
/// # Errors
/// Only the store's.
pub fn finish_confirm(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    let email = &actor.account().email;
    store::quotas::reset(run.db, SIGN_IN_HERE, &here(&actor.client, email), run.now)?;
    store::quotas::give_back(run.db, SIGN_IN_ANYWHERE, email.key(), run.now)?;
    Ok(())
}

/// Signs out: the session's row goes, and with it every copy of its cookie.
///
/// # Errors
/// Only the store's.
pub fn sign_out(run: &mut Run<'_>, actor: &Actor) -> Result<(), Failure> {
    store::sessions::delete(run.db, actor.session.key())?;
    Ok(())
}

fn here(client: &Client, email: &EmailAddress) -> String {
    format!("{} {}", client.network(), email.key())
}
