//! Proofs of a mailbox: confirm an address, change it, choose a new password (R-ACC-4, R-ORG-4).
//!
//! The link proves the mailbox, whoever is signed in. Every proof is used up by a guarded update: the row count decides.

use super::{Actor, Client, Failure, Run};
use crate::{
    domain::{
        account::Account,
        email::EmailAddress,
        ids::{AccountId, ProofId},
        notification::{Notification, NotificationKind},
        proof::{Proof, ProofPurpose},
        quota::{
            FORGOT_ANYWHERE, FORGOT_CLIENT, FORGOT_HERE, PROOF_COOLDOWN, VERIFY_ADDRESS,
            VERIFY_PERSON,
        },
        refusal::Refusal,
        time::Timestamp,
    },
    link::LinkToken,
    store,
    token::SessionToken,
};
use uuid::Uuid;

/// Sends the letter to confirm an address once more: to the address that is to be the account's, or to its own.
/// Nothing when there is nothing left to confirm.
///
/// # Errors
/// [`Refusal::NoMail`], [`Refusal::Cooldown`], [`Refusal::TooManyAttempts`].
pub fn send(run: &mut Run<'_>, actor: &Actor) -> Result<Option<EmailAddress>, Failure> {
    let account = actor.account();
    let awaited = store::proofs::awaited(run.db, account.id, run.now)?.map(|(email, _)| email);
    let own = account.verified_at.is_none().then(|| account.email.clone());
    let Some(email) = awaited.or(own) else {
        return Ok(None);
    };
    ask_to_verify(run, account.id, &email)?;
    Ok(Some(email))
}

/// Asks to give an account another address: a letter goes there, and nothing changes until its link is used. The same
/// whether or not another account has that address.
///
/// # Errors
/// As [`send`].
pub fn change_email(run: &mut Run<'_>, actor: &Actor, email: &EmailAddress) -> Result<(), Failure> {
    ask_to_verify(run, actor.account().id, email)
}

/// A letter to confirm an address, within the limits. The counters come first: they make two requests at once wait for
/// each other, so that only the newest link works.
fn ask_to_verify(
    run: &mut Run<'_>,
    account: AccountId,
    email: &EmailAddress,
) -> Result<(), Failure> {
    if !run.means.rules.mail_ready {
        return Err(Refusal::NoMail.into());
    }
    run.count(&[
        (VERIFY_PERSON, &account.to_string()),
        (VERIFY_ADDRESS, email.key()),
    ])?;
    let purpose = ProofPurpose::VerifyEmail;
    if let Some(last) = store::proofs::last_asked(run.db, account, purpose, email)? {
        let until = last.plus(PROOF_COOLDOWN);
        if run.now < until {
            return Err(Refusal::Cooldown(until).into());
        }
    }
    run.ask_for_proof(account, purpose, email)
}

/// What confirming did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    /// The address that is confirmed.
    pub email: EmailAddress,
    /// Whether it took the place of another.
    pub changed: bool,
}

/// Confirms an address, with the link from its letter, signed in or not. When it is another than the account's, it
/// becomes the account's (R-ORG-4). The second click of a double click gets the answer of the first.
///
/// # Errors
/// [`Refusal::ProofUnknown`], [`Refusal::ProofUsed`], [`Refusal::ProofExpired`]; [`Refusal::EmailTaken`] when another
/// account has got the address meanwhile. A failure uses nothing up.
pub fn verify(
    run: &mut Run<'_>,
    actor: Option<&Actor>,
    link: LinkToken,
) -> Result<Verified, Failure> {
    let (proof, account) = find(run, ProofPurpose::VerifyEmail, link)?;
    match proof.good(run.now) {
        Err(Refusal::ProofUsed) => return again(run, link),
        good => good?,
    }
    let changed = !account.email.same_mailbox(&proof.email);
    // A mailbox alone does not say that its reader wants this account: whoever asked for the change confirms it.
    if changed && actor.is_none_or(|actor| actor.account().id != account.id) {
        return Err(match actor {
            None => Failure::SignedOut,
            Some(_) => Refusal::ProofOfAnother.into(),
        });
    }
    let account = if changed {
        // What members are found by changes with it, in every organization: those come first.
        run.lock_person(account.id)?.0
    } else {
        lock(run, account.id)?
    };
    if !store::proofs::close(run.db, proof.id, run.now)? {
        return again(run, link);
    }
    let keep = actor
        .filter(|actor| actor.account().id == account.id)
        .map(|actor| actor.session.id);
    if changed {
        let moved = Account {
            email: proof.email.clone(),
            ..account.clone()
        };
        if !store::accounts::set_email(run.db, moved.id, &moved.email, run.now)? {
            return Err(Refusal::EmailTaken.into());
        }
        store::memberships::rename(run.db, &moved)?;
        store::sessions::delete_others(run.db, account.id, keep)?;
        close_open(run, account.id)?;
        let what = Notification::new(NotificationKind::EmailChanged)
            .from_to(account.email.shown(), moved.email.shown());
        run.notify(account.id, &account.email, &what)?;
    } else {
        run.prove(account.id, keep)?;
    }
    Ok(Verified {
        email: proof.email,
        changed,
    })
}

/// The answer to a link that was used already: good news if what it was for has come about.
fn again(run: &mut Run<'_>, link: LinkToken) -> Result<Verified, Failure> {
    let (proof, account) = find(run, ProofPurpose::VerifyEmail, link)?;
    if proof.is_done(&account) {
        Ok(Verified {
            email: proof.email,
            changed: false,
        })
    } else {
        Err(Refusal::ProofUsed.into())
    }
}

/// Asks for a way to a new password. Whether the address has an account changes neither the answer nor the work.
///
/// # Errors
/// [`Refusal::NoMail`], [`Refusal::TooManyAttempts`]; the same for addresses with and without an account.
pub fn forgot_password(
    run: &mut Run<'_>,
    client: &Client,
    email: &EmailAddress,
) -> Result<(), Failure> {
    if !run.means.rules.mail_ready {
        return Err(Refusal::NoMail.into());
    }
    let network = client.network();
    run.count(&[(FORGOT_CLIENT, &network)])?;
    run.count(&[
        (FORGOT_HERE, &format!("{network} {}", email.key())),
        // This one also makes two requests for one address wait for each other: only the newest link works.
        (FORGOT_ANYWHERE, email.key()),
    ])?;
    let purpose = ProofPurpose::ResetPassword;
    let known = store::accounts::credentials(run.db, email)?.map(|(account, _)| account);
    let account = known.unwrap_or(AccountId(Uuid::nil()));
    let last = store::proofs::last_asked(run.db, account, purpose, email)?;
    let too_soon = last.is_some_and(|last| run.now < last.plus(PROOF_COOLDOWN));
    match known.filter(|_| !too_soon) {
        Some(account) => run.ask_for_proof(account, purpose, email),
        // As many statements as asking takes: the time of the answer should not tell either.
        None => {
            let nobody = AccountId(Uuid::nil());
            store::proofs::close_all(run.db, nobody, purpose, run.now)?;
            store::proofs::find(run.db, ProofId(nobody.0))?;
            store::proofs::awaited(run.db, nobody, run.now)?;
            Ok(())
        }
    }
}

/// Whose password a link is for, before the new one is judged and hashed.
///
/// # Errors
/// [`Refusal::ProofUnknown`], [`Refusal::ProofUsed`], [`Refusal::ProofExpired`].
pub fn begin_reset(run: &mut Run<'_>, link: LinkToken) -> Result<Account, Failure> {
    let (proof, account) = find(run, ProofPurpose::ResetPassword, link)?;
    still_theirs(&proof, &account, run.now)?;
    Ok(account)
}

/// Gives the account a new password. It proves the mailbox, ends every session the account had, and signs this browser
/// in; whoever was signed in with it before is signed out.
///
/// # Errors
/// As [`begin_reset`]. Of two browsers with one link one wins.
pub fn reset_password(
    run: &mut Run<'_>,
    actor: Option<&Actor>,
    client: &Client,
    link: LinkToken,
    password_hash: &str,
) -> Result<SessionToken, Failure> {
    let (proof, account) = find(run, ProofPurpose::ResetPassword, link)?;
    let account = lock(run, account.id)?;
    still_theirs(&proof, &account, run.now)?;
    if !store::proofs::close(run.db, proof.id, run.now)? {
        return Err(Refusal::ProofUsed.into());
    }
    store::accounts::set_password(run.db, account.id, password_hash)?;
    run.prove(account.id, None)?;
    store::sessions::delete_others(run.db, account.id, None)?;
    // A change of address that somebody else asked for must not take the account away again.
    close_open(run, account.id)?;
    if let Some(before) = actor {
        store::sessions::delete(run.db, before.session.key())?;
    }
    let what = Notification::new(NotificationKind::PasswordChanged);
    run.notify(account.id, &account.email, &what)?;
    run.open_session(account.id, None, client)
}

/// The account as it is, before anything of it changes.
fn lock(run: &mut Run<'_>, account: AccountId) -> Result<Account, Failure> {
    store::accounts::lock(run.db, account)?.ok_or_else(|| Refusal::ProofUnknown.into())
}

/// A way to a new password goes with the mailbox: not to one that the account has left meanwhile.
fn still_theirs(proof: &Proof, account: &Account, now: Timestamp) -> Result<(), Refusal> {
    proof.good(now)?;
    if account.email.same_mailbox(&proof.email) {
        Ok(())
    } else {
        Err(Refusal::ProofUsed)
    }
}

/// Ends every open proof of an account, whatever for.
fn close_open(run: &mut Run<'_>, account: AccountId) -> Result<(), Failure> {
    for purpose in ProofPurpose::ALL {
        store::proofs::close_all(run.db, account, purpose, run.now)?;
    }
    Ok(())
}

/// The proof of a link, and its account.
fn find(
    run: &mut Run<'_>,
    purpose: ProofPurpose,
    link: LinkToken,
) -> Result<(Proof, Account), Failure> {
    store::proofs::find_by_link(run.db, purpose, ProofId(link.id), link.version)?
        .ok_or_else(|| Refusal::ProofUnknown.into())
}
