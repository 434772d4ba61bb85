//! Invitations from the invitee's side: accept, reject, join with a new account, ask for a new one.

use super::{
    Actor, Client, Failure, Run,
    accounts::{self, Attempt},
    consents,
};
use crate::{
    domain::{
        account::Account,
        audit::{Event, Verb},
        consent::Consent,
        email::EmailAddress,
        ids::{AccountId, InvitationId},
        invitation::{Invitation, Link, Standing, Welcome},
        notification::{Notification, NotificationKind},
        organization::Organization,
        policy::{self, Permission},
        proof::ProofPurpose,
        quota::{ASK_AGAIN_EVERY, SIGN_UP_CLIENT},
        refusal::Refusal,
        role::Role,
        text::PersonName,
    },
    store,
    token::SessionToken,
};

/// Owners who are told when an inviter has left.
const OWNERS_TOLD: i64 = 10;

/// What accepting did.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The organization's part of the address.
    pub slug: String,
    /// Its name.
    pub organization: String,
    /// The role there.
    pub role: Role,
    /// Whether they were in already.
    pub already: bool,
    /// A new token for the browser's cookie, where it needs one.
    pub token: Option<SessionToken>,
}

impl Joined {
    fn new(
        organization: Organization,
        role: Role,
        already: bool,
        token: Option<SessionToken>,
    ) -> Self {
        Self {
            slug: organization.slug,
            organization: organization.name,
            role,
            already,
            token,
        }
    }
}

/// Joins the organization, with the role the invitation now has (R-ACC-5). Somebody who is in already stays as they
/// are (R-ACC-6): the second click of a double click leads to the same place as the first.
///
/// # Errors
/// The refusal of the dead-link page that fits, [`Refusal::WrongAccount`], [`Refusal::OrganizationFull`] or
/// [`Refusal::ConsentMissing`]. A failure consumes nothing.
pub fn accept(
    run: &mut Run<'_>,
    actor: &Actor,
    link: Link,
    consent: &Consent,
) -> Result<Joined, Failure> {
    let found = lock_and_find(run, link)?;
    accept_found(run, actor, found, consent)
}

/// [`accept`] from the bell, without a link: the address is the actor's own, and proved (R-ACC-4, R-ACC-11). What has to
/// be consented to is asked on a page of its own.
///
/// # Errors
/// As [`accept`]; [`Failure::NotFound`] for an invitation that is not theirs.
pub fn accept_by_bell(
    run: &mut Run<'_>,
    actor: &Actor,
    id: InvitationId,
) -> Result<Joined, Failure> {
    let found = lock_and_find_own(run, actor, id)?;
    accept_found(run, actor, found, &Consent::default())
}

fn accept_found(
    run: &mut Run<'_>,
    actor: &Actor,
    (organization, invitation): (Organization, Invitation),
    consent: &Consent,
) -> Result<Joined, Failure> {
    // After the organization, before everything of the person: one order for all who write (see `accounts::lock`).
    let account = store::accounts::lock(run.db, actor.account().id)?.ok_or(Failure::SignedOut)?;
    let membership = store::memberships::find(run.db, organization.id, account.id)?;
    let viewer = Some((&account.email, membership.is_some()));
    match (invitation.welcome(viewer, run.now)?, membership) {
        (Welcome::AlreadyIn, Some(membership)) => {
            if !store::sessions::set_organization(run.db, actor.session.key(), organization.id)? {
                return Err(Failure::SignedOut);
            }
            // A double click: the browser keeps the cookie of the last answer, so this one must not be the ending one.
            let ending = actor.session.ending;
            let token = ending
                .then(|| run.add_token(actor, organization.id))
                .transpose()?;
            Ok(Joined::new(organization, membership.role, true, token))
        }
        _ => {
            join(
                run,
                &actor.client,
                &organization,
                &invitation,
                &account,
                consent,
            )?;
            if invitation.exposed_at.is_none() && account.verified_at.is_none() {
                run.prove(account.id, Some(actor.session.id))?;
            }
            let token = run.renew_session(actor, organization.id)?;
            let role = invitation.role.role();
            Ok(Joined::new(organization, role, false, Some(token)))
        }
    }
}

/// Counts an attempt to join with a new account, before any password is hashed, and answers for which address.
///
/// # Errors
/// [`Refusal::TooManyAttempts`]; [`Refusal::OrganizationFull`]; the refusal of the dead-link page that fits.
pub fn begin_sign_up(
    run: &mut Run<'_>,
    client: &Client,
    link: Link,
) -> Result<EmailAddress, Failure> {
    let (organization, invitation) = lock_and_find(run, link)?;
    invitation.welcome(None, run.now)?;
    check_seat(run, &organization)?;
    run.count(&[(SIGN_UP_CLIENT, &client.network())])?;
    Ok(invitation.email)
}

/// Makes the account of the invited address and joins with it, in one transaction.
///
/// # Errors
/// As [`accept`]; [`Refusal::CannotSignUp`] when the address has an account. A failure consumes nothing.
pub fn sign_up_and_join(
    run: &mut Run<'_>,
    client: &Client,
    link: Link,
    name: &PersonName,
    password_hash: &str,
    consent: &Consent,
) -> Result<Joined, Failure> {
    let (organization, invitation) = lock_and_find(run, link)?;
    invitation.welcome(None, run.now)?;
    // Before the account: a full organization looks the same whether or not the address has one.
    check_seat(run, &organization)?;
    let account = Account {
        id: AccountId(run.uuid()),
        email: invitation.email.clone(),
        name: name.to_string(),
        // A link that nobody but the mailbox has seen proves the mailbox (R-ACC-4).
        verified_at: invitation.exposed_at.is_none().then_some(run.now),
        avatar: None,
    };
    if !store::accounts::insert(run.db, &account, password_hash, run.now)? {
        return Err(Refusal::CannotSignUp.into());
    }
    join(run, client, &organization, &invitation, &account, consent)?;
    if account.verified_at.is_none() {
        run.ask_for_proof(account.id, ProofPurpose::VerifyEmail, &account.email)?;
    }
    let token = run.open_session(account.id, Some(organization.id), client)?;
    let role = invitation.role.role();
    Ok(Joined::new(organization, role, false, Some(token)))
}

/// The sign-up form of a link that was used already may be the second click of a double click (R-ACC-5). With the right
/// password it leads to the same place as the first; this counts the attempt like any other to sign in.
///
/// # Errors
/// [`Refusal::LinkUsed`] when nobody with the invited address is in; [`Refusal::TooManyAttempts`].
pub fn begin_return(run: &mut Run<'_>, client: &Client, link: Link) -> Result<Attempt, Failure> {
    let (organization, invitation) = lock_and_find(run, link)?;
    let email = invitation.email;
    if store::memberships::find_by_email(run.db, organization.id, &email)?.is_none() {
        return Err(Refusal::LinkUsed.into());
    }
    accounts::begin_sign_in(run, client, &email)
}

/// Signs in and leads into the organization, after the password was verified.
///
/// # Errors
/// [`Refusal::LinkUsed`] when the account is no member any more.
pub fn finish_return(
    run: &mut Run<'_>,
    client: &Client,
    link: Link,
    account: AccountId,
    verified: &str,
) -> Result<Joined, Failure> {
    let (organization, invitation) = lock_and_find(run, link)?;
    let membership =
        store::memberships::find(run.db, organization.id, account)?.ok_or(Refusal::LinkUsed)?;
    let email = &invitation.email;
    let token = accounts::sign_in(run, client, None, account, email, verified)?;
    Ok(Joined::new(
        organization,
        membership.role,
        true,
        Some(token),
    ))
}

/// Whether somebody more may join (R-ACC-5). The organization is locked, so its total decides.
///
/// # Errors
/// [`Refusal::OrganizationFull`].
fn check_seat(run: &Run<'_>, organization: &Organization) -> Result<(), Failure> {
    if run.means.rules.has_seat(organization.member_count) {
        Ok(())
    } else {
        Err(Refusal::OrganizationFull(organization.name.clone()).into())
    }
}

/// The seat, the consent, the guarded update, the membership, the event: single use, whoever else tries at the same
/// moment.
fn join(
    run: &mut Run<'_>,
    client: &Client,
    organization: &Organization,
    invitation: &Invitation,
    account: &Account,
    consent: &Consent,
) -> Result<(), Failure> {
    let change = invitation.accept(run.now)?;
    check_seat(run, organization)?;
    consents::require(run, account.id, consent)?;
    if !store::invitations::apply(run.db, invitation, change, Some(account.id))? {
        return Err(Refusal::LinkUsed.into());
    }
    if !store::memberships::insert(
        run.db,
        organization.id,
        account,
        invitation.role.role(),
        run.now,
    )? {
        return Err(Failure::Broken(
            "accepted by somebody who is a member".to_owned(),
        ));
    }
    store::organizations::add_members(run.db, organization.id, 1)?;
    let inviter = store::memberships::find_account(run.db, organization.id, invitation.invited_by)?;
    if let Some(inviter) = inviter {
        let what = Notification::new(NotificationKind::InvitationAccepted)
            .of(organization)
            .about(invitation.id)
            .by(&account.name)
            .on(invitation.email.shown())
            .now(invitation.role.label());
        run.notify(inviter.id, &inviter.email, &what)?;
    }
    run.record(
        organization.id,
        Some(account),
        client,
        &Event::of(Verb::Accept, invitation),
    )
}

/// What rejecting did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// The organization's name.
    pub organization: String,
    /// Who was told.
    pub told: Told,
}

/// Who learns what an invitee did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// The inviter, by name.
    Inviter(String),
    /// The owners: the inviter has left.
    Owners,
}

/// Rejects the invitation and tells the inviter, or the owners if the inviter has left (R-ACC-8).
///
/// # Errors
/// The refusal of the dead-link page that fits, or [`Refusal::WrongAccount`].
pub fn reject(run: &mut Run<'_>, actor: &Actor, link: Link) -> Result<Rejected, Failure> {
    let found = lock_and_find(run, link)?;
    reject_found(run, actor, found)
}

/// [`reject`] from the bell, without a link.
///
/// # Errors
/// As [`reject`]; [`Failure::NotFound`] for an invitation that is not theirs.
pub fn reject_by_bell(
    run: &mut Run<'_>,
    actor: &Actor,
    id: InvitationId,
) -> Result<Rejected, Failure> {
    let found = lock_and_find_own(run, actor, id)?;
    reject_found(run, actor, found)
}

fn reject_found(
    run: &mut Run<'_>,
    actor: &Actor,
    (organization, invitation): (Organization, Invitation),
) -> Result<Rejected, Failure> {
    let change = invitation.reject(run.now)?;
    if !invitation.email.same_mailbox(&actor.account().email) {
        let signed_in_as = actor.account().email.clone();
        return Err(Refusal::WrongAccount {
            invited: invitation.email.masked(),
            signed_in_as,
        }
        .into());
    }
    if !store::invitations::apply(run.db, &invitation, change, Some(actor.account().id))? {
        return Err(Refusal::LinkUsed.into());
    }
    let event = Event::of(Verb::Reject, &invitation);
    run.record(
        organization.id,
        Some(actor.account()),
        &actor.client,
        &event,
    )?;
    let told = tell_inviter(
        run,
        &organization,
        &invitation,
        NotificationKind::InvitationRejected,
    )?;
    Ok(Rejected {
        organization: organization.name,
        told,
    })
}

/// The holder of an expired link asks for a new invitation: the inviter is told, at most once a day (R-ACC-7). Nobody
/// needs to be signed in: the link is the only thing that is proved. Answers who was told; nothing while the
/// invitation is still good.
///
/// # Errors
/// [`Refusal::AskedAlready`]; the refusal of the page that fits when the invitation did not simply expire.
pub fn ask_again(run: &mut Run<'_>, client: &Client, link: Link) -> Result<Option<Told>, Failure> {
    let (organization, invitation) = lock_and_find(run, link)?;
    match invitation.standing(run.now) {
        Standing::Expired => {}
        _ => {
            return invitation
                .accept(run.now)
                .map(|_| None)
                .map_err(Failure::from);
        }
    }
    if let Some(last) = store::audit_events::last(run.db, &invitation, Verb::AskAgain)? {
        let until = last.plus(ASK_AGAIN_EVERY);
        if run.now < until {
            return Err(Refusal::AskedAlready(until).into());
        }
    }
    run.record(
        organization.id,
        None,
        client,
        &Event::of(Verb::AskAgain, &invitation),
    )?;
    tell_inviter(
        run,
        &organization,
        &invitation,
        NotificationKind::InvitationAskedFor,
    )
    .map(Some)
}

/// Finds the invitation of a link, locks its organization, and reads the invitation again.
fn lock_and_find(run: &mut Run<'_>, link: Link) -> Result<(Organization, Invitation), Failure> {
    let unlocked = store::invitations::find_by_link(run.db, link)?.ok_or(Refusal::LinkUnknown)?;
    let organization =
        store::organizations::lock(run.db, unlocked.organization)?.ok_or(Refusal::LinkUnknown)?;
    if organization.deleted_at.is_some() {
        return Err(Refusal::OrganizationDeleted.into());
    }
    let invitation =
        store::invitations::find(run.db, organization.id, link.id)?.ok_or(Refusal::LinkUnknown)?;
    Ok((organization, invitation))
}

/// [`lock_and_find`] without a link: only for the proved address that was invited. Somebody else's invitation is
/// answered like one that does not exist.
fn lock_and_find_own(
    run: &mut Run<'_>,
    actor: &Actor,
    id: InvitationId,
) -> Result<(Organization, Invitation), Failure> {
    let unlocked = store::invitations::find_by_id(run.db, id)?.ok_or(Failure::NotFound)?;
    if !unlocked.is_shown_to(actor.account()) {
        return Err(Failure::NotFound);
    }
    let link = Link {
        id,
        version: unlocked.link_version,
    };
    lock_and_find(run, link)
}

/// Tells the inviter, or the owners if the inviter has left, what became of the invitation.
pub(super) fn tell_inviter(
    run: &mut Run<'_>,
    organization: &Organization,
    invitation: &Invitation,
    kind: NotificationKind,
) -> Result<Told, Failure> {
    let what = Notification::new(kind)
        .of(organization)
        .about(invitation.id)
        .on(invitation.email.shown());
    let inviter = store::accounts::find(run.db, invitation.invited_by)?;
    let membership = store::memberships::find(run.db, organization.id, invitation.invited_by)?;
    // Whoever can do something about it: an inviter who has left, or may no longer invite, cannot.
    let can_act =
        membership.is_some_and(|of| policy::allows(of.role, Permission::ResendInvitation));
    let what = match inviter {
        Some(inviter) if can_act => {
            run.notify(inviter.id, &inviter.email, &what)?;
            return Ok(Told::Inviter(inviter.name));
        }
        Some(inviter) => what.by(&inviter.name),
        None => what,
    };
    for owner in store::memberships::owners(run.db, organization.id, OWNERS_TOLD)? {
        run.notify(owner.id, &owner.email, &what)?;
    }
    Ok(Told::Owners)
}
