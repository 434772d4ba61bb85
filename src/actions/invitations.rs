//! Invitations from the organization's side: invite, resend, copy link, change role, revoke.

use super::{Actor, Failure, Inside, Run};
use crate::{
    domain::{
        audit::{Event, Verb},
        delivery::LetterKind,
        email::{EmailAddress, NotAnAddress},
        ids::{DeliveryId, InvitationId},
        invitation::{Invitation, Resending, State},
        policy::Permission,
        refusal::Refusal,
        role::InvitableRole,
        text::Note,
        time::Timestamp,
    },
    link::Purpose,
    store::{self, audit_events::Changed},
};

/// One of those to be invited.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The address, or what is none: it gets a result all the same.
    pub email: Result<EmailAddress, NotAnAddress>,
    /// With which role.
    pub role: InvitableRole,
}

/// What the invite form, or a file, asks for.
#[derive(Clone, Debug)]
pub struct Invite {
    /// To whom, bad entries included: each gets a result, in this order (R-INV-13).
    pub entries: Vec<Entry>,
    /// The inviter's words.
    pub note: Option<Note>,
    /// No letter: the inviter shares the link.
    pub link_only: bool,
}

/// What became of one entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A new invitation.
    Invited(InvitationId),
    /// Is a member, by this name.
    AlreadyMember(String),
    /// Has a pending invitation (R-INV-4).
    AlreadyInvited {
        /// Which.
        invitation: InvitationId,
        /// With which role.
        role: InvitableRole,
        /// When it was last sent.
        sent_at: Timestamp,
    },
    /// Too soon, or too many (R-INV-8).
    OverLimit(Refusal),
    /// Not an address.
    Bad(NotAnAddress),
}

/// An entry with what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invited {
    /// The address, or the text that is none.
    pub entry: String,
    /// With which role it was to be invited.
    pub role: InvitableRole,
    /// What became of it.
    pub outcome: Outcome,
}

/// Invites everybody on the list, and says for each what became of it. Good ones are invited, whatever the others.
///
/// # Errors
/// [`Failure::Denied`], [`Failure::NotFound`]; [`Refusal::AddressUnverified`] for the whole list.
pub fn invite(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    form: &Invite,
) -> Result<Vec<Invited>, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::InviteMember)?;
    if !form.link_only {
        may_mail_others(run, &by)?;
    }
    // All are looked up at once and written at once: on another machine's database each would be a way there and back.
    let asked: Vec<&EmailAddress> = form.entries.iter().flat_map(|it| &it.email).collect();
    let organization = by.organization.id;
    let mut list = List {
        members: store::memberships::find_by_emails(run.db, organization, &asked)?,
        pending: store::invitations::list_pending(run.db, organization, &asked)?,
        new: Vec::new(),
    };
    let mut results = Vec::with_capacity(form.entries.len());
    for entry in &form.entries {
        let role = entry.role;
        let (entry, outcome) = match &entry.email {
            Ok(email) => {
                let outcome = invite_one(run, &by, &mut list, email, role, form)?;
                (email.shown().to_owned(), outcome)
            }
            Err(bad) => (bad.text.clone(), Outcome::Bad(bad.clone())),
        };
        results.push(Invited {
            entry,
            role,
            outcome,
        });
    }
    add(run, &by, &list.new, !form.link_only)?;
    let events: Vec<Event> = list
        .new
        .iter()
        .map(|(invitation, _)| Event::of(Verb::Invite, invitation))
        .collect();
    by.record_all(run, &events)?;
    Ok(results)
}

/// What is known of the addresses on a list while it is gone through.
struct List {
    /// The members among them: address and name.
    members: Vec<(String, String)>,
    /// Their pending invitations, expired ones too.
    pending: Vec<Invitation>,
    /// The invitations that are to be added.
    new: Vec<New>,
}

/// An invitation that is not written yet, and its first letter.
type New = (Invitation, DeliveryId);

fn invite_one(
    run: &mut Run<'_>,
    by: &Inside<'_>,
    list: &mut List,
    email: &EmailAddress,
    role: InvitableRole,
    form: &Invite,
) -> Result<Outcome, Failure> {
    if let Some((_, name)) = list.members.iter().find(|(key, _)| key == email.key()) {
        return Ok(Outcome::AlreadyMember(name.clone()));
    }
    let is_theirs = |it: &Invitation| it.email.key() == email.key();
    if let Some((twice, _)) = list.new.iter().find(|(it, _)| is_theirs(it)) {
        return Ok(Outcome::AlreadyInvited {
            invitation: twice.id,
            role: twice.role,
            sent_at: run.now,
        });
    }
    let earlier = list.pending.iter().find(|it| is_theirs(it));
    if let Some(pending) = earlier.filter(|it| it.give_way(run.now).is_none()) {
        let organization = by.organization.id;
        let sent_at = store::deliveries::last_invitation_to(run.db, organization, email)?;
        return Ok(Outcome::AlreadyInvited {
            invitation: pending.id,
            role: pending.role,
            sent_at: sent_at.unwrap_or(pending.created_at),
        });
    }
    if let Err(limit) = may_mail(run, by, email, !form.link_only)? {
        return Ok(Outcome::OverLimit(limit));
    }
    if let Some(expired) = earlier {
        supersede(run, by, expired)?;
    }
    let note = form.note.as_ref().map(|note| note.as_str().to_owned());
    let new = draft(run, by, email, role, note);
    let id = new.0.id;
    list.new.push(new);
    Ok(Outcome::Invited(id))
}

/// What resending did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resent {
    /// The invitation that now stands: the same, or the one that replaced it.
    pub invitation: InvitationId,
    /// For whom.
    pub email: EmailAddress,
    /// Whether a letter goes out.
    pub emailed: bool,
}

/// Sends an invitation again: a pending one keeps its link and gets more time, an expired one is replaced by a new one
/// with a new link (R-INV-7), and so is one whose link was made with a key that is no longer configured.
///
/// # Errors
/// [`Refusal::InvitationClosed`], [`Refusal::AlreadyMember`], [`Refusal::Cooldown`], [`Refusal::MailQuota`],
/// [`Refusal::AddressUnverified`].
pub fn resend(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    id: InvitationId,
) -> Result<Resent, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::ResendInvitation)?;
    may_mail_others(run, &by)?;
    let found = find(run, &by, id)?;
    let found = expire_dead_link(run, found)?;
    let resending = found.resend(run.now, run.means.rules.valid_for)?;
    if let Some((_, name)) =
        store::memberships::find_by_email(run.db, found.organization, &found.email)?
    {
        return Err(Refusal::AlreadyMember(name).into());
    }
    may_mail(run, &by, &found.email, true)??;
    let stands = match resending {
        Resending::Extend(until) => {
            let delivery = run.deliver(&found, LetterKind::Invitation, true, Some(by.account()))?;
            if !store::invitations::set_resent(run.db, &found, until, delivery)? {
                return Err(Refusal::InvitationClosed.into());
            }
            found
        }
        Resending::Replace => {
            supersede(run, &by, &found)?;
            let new = draft(run, &by, &found.email, found.role, found.note.clone());
            add(run, &by, std::slice::from_ref(&new), true)?;
            new.0
        }
    };
    by.record(run, &Event::of(Verb::Resend, &stands))?;
    Ok(Resent {
        invitation: stands.id,
        email: stands.email,
        emailed: run.means.rules.mail_ready,
    })
}

/// A link, shown to somebody other than its mailbox.
#[derive(Clone, PartialEq, Eq)]
pub struct CopiedLink {
    /// The token at the end of the link.
    pub token: String,
    /// Who alone can use it.
    pub email: EmailAddress,
}

/// Shows the link that was mailed, byte for byte, and marks it as exposed (R-INV-6).
///
/// # Errors
/// [`Refusal::InvitationExpired`], [`Refusal::InvitationClosed`], [`Refusal::LinkKeyGone`].
pub fn copy_link(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    id: InvitationId,
) -> Result<CopiedLink, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::CopyInvitationLink)?;
    let found = find(run, &by, id)?;
    found.acceptable(run.now)?;
    let token = run
        .means
        .links
        .make(Purpose::Invitation, found.id.0, found.link_version)
        .ok_or(Refusal::LinkKeyGone)?;
    store::invitations::set_exposed(run.db, &found, run.now)?;
    by.record(run, &Event::of(Verb::CopyLink, &found))?;
    Ok(CopiedLink {
        token,
        email: found.email,
    })
}

/// Changes the role a pending invitation will give. `before` is the role the form was made for.
///
/// # Errors
/// [`Refusal::StaleRole`] when somebody else changed it meanwhile; [`Refusal::InvitationExpired`],
/// [`Refusal::InvitationClosed`].
pub fn change_role(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    id: InvitationId,
    before: InvitableRole,
    after: InvitableRole,
) -> Result<EmailAddress, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::ChangeInvitationRole)?;
    let found = find(run, &by, id)?;
    found.acceptable(run.now)?;
    if found.role == after {
        return Ok(found.email);
    }
    if found.role != before {
        let by = store::audit_events::last_actor(
            run.db,
            found.organization,
            Changed::Invitation(&found),
            &[Verb::ChangeInvitationRole],
        )?;
        return Err(Refusal::StaleRole {
            now: found.role.role(),
            by,
        }
        .into());
    }
    if !store::invitations::set_role(run.db, &found, after)? {
        return Err(Refusal::InvitationClosed.into());
    }
    let event =
        Event::of(Verb::ChangeInvitationRole, &found).from_to(before.as_str(), after.as_str());
    by.record(run, &event)?;
    Ok(found.email)
}

/// Withdraws an invitation: its link stops working at once.
///
/// # Errors
/// [`Refusal::InvitationClosed`] when it has already ended.
pub fn revoke(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    id: InvitationId,
) -> Result<EmailAddress, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::RevokeInvitation)?;
    let found = find(run, &by, id)?;
    let change = found.revoke(run.now)?;
    if !store::invitations::apply(run.db, &found, change, Some(by.account()))? {
        return Err(Refusal::InvitationClosed.into());
    }
    by.record(run, &Event::of(Verb::Revoke, &found))?;
    Ok(found.email)
}

fn find(run: &mut Run<'_>, by: &Inside<'_>, id: InvitationId) -> Result<Invitation, Failure> {
    store::invitations::find(run.db, by.organization.id, id)?.ok_or(Failure::NotFound)
}

/// A pending invitation whose link nobody can use or make any more is over: its time ends now, and what follows is what
/// follows for any expired one.
fn expire_dead_link(run: &mut Run<'_>, found: Invitation) -> Result<Invitation, Failure> {
    let works = run.means.links.knows(found.link_version);
    if works || found.acceptable(run.now).is_err() {
        return Ok(found);
    }
    if !store::invitations::set_expired(run.db, &found, run.now)? {
        return Err(Refusal::InvitationClosed.into());
    }
    Ok(Invitation {
        expires_at: run.now,
        ..found
    })
}

/// A pending invitation, to be added.
fn draft(
    run: &Run<'_>,
    by: &Inside<'_>,
    email: &EmailAddress,
    role: InvitableRole,
    note: Option<String>,
) -> New {
    let invitation = Invitation {
        id: InvitationId(run.uuid()),
        organization: by.organization.id,
        email: email.clone(),
        role,
        note,
        state: State::Pending,
        invited_by: by.account(),
        created_at: run.now,
        expires_at: run.now.plus(run.means.rules.valid_for),
        exposed_at: None,
        link_version: run.means.links.current_version(),
        closed_at: None,
    };
    (invitation, DeliveryId(run.uuid()))
}

/// Adds invitations with their first letters.
fn add(run: &mut Run<'_>, by: &Inside<'_>, new: &[New], emailed: bool) -> Result<(), Failure> {
    if new.is_empty() {
        return Ok(());
    }
    let letters = new.iter().map(|(about, id)| (*id, about));
    run.deliver_many(letters, LetterKind::Invitation, emailed, Some(by.account()))?;
    if store::invitations::insert(run.db, new)? {
        Ok(())
    } else {
        // The organization is locked and no pending one was seen: only a lost lock could bring us here.
        Err(Failure::Broken(
            "a second pending invitation for one address".to_owned(),
        ))
    }
}

/// An expired invitation gives way to a newer one.
fn supersede(run: &mut Run<'_>, by: &Inside<'_>, expired: &Invitation) -> Result<(), Failure> {
    let Some(change) = expired.give_way(run.now) else {
        return Err(Refusal::InvitationClosed.into());
    };
    if !store::invitations::apply(run.db, expired, change, Some(by.account()))? {
        return Err(Refusal::InvitationClosed.into());
    }
    by.record(run, &Event::of(Verb::Supersede, expired))
}

/// Nobody mails others through Roster before their own address is proved (R-ORG-6): it would be a way to have letters
/// sent in a stranger's name.
fn may_mail_others(run: &mut Run<'_>, by: &Inside<'_>) -> Result<(), Failure> {
    let account = by.actor.account();
    let may = account.may_mail_others(run.means.rules.mail_ready, || {
        store::accounts::is_first(run.db, account.id)
    })?;
    if may {
        Ok(())
    } else {
        Err(Refusal::AddressUnverified.into())
    }
}

/// Uses one mail of the cooldown and of every quota, or names the first that has none left (R-INV-8). A link that is
/// only shared uses none.
fn may_mail(
    run: &mut Run<'_>,
    by: &Inside<'_>,
    email: &EmailAddress,
    emailed: bool,
) -> Result<Result<(), Refusal>, Failure> {
    if !emailed || !run.means.rules.mail_ready {
        return Ok(Ok(()));
    }
    let limits = run.means.rules.mail;
    let organization = by.organization.id;
    if let Some(last) = store::deliveries::last_invitation_to(run.db, organization, email)? {
        let until = last.plus(limits.cooldown);
        if run.now < until {
            return Ok(Err(Refusal::Cooldown(until)));
        }
    }
    let (for_address, person) = (
        format!("{organization} {}", email.key()),
        by.account().to_string(),
    );
    let everywhere = organization.to_string();
    // Whoever has used up their own is not counted for each address that they try all the same.
    let steps = [
        vec![
            (limits.person(), person.as_str()),
            (limits.organization(), &everywhere),
        ],
        vec![(limits.address(), for_address.as_str())],
    ];
    for (nth, uses) in steps.iter().enumerate() {
        if let Err(until) = store::quotas::take(run.db, uses, run.now)? {
            for (quota, subject) in steps[..=nth].iter().flatten() {
                store::quotas::give_back(run.db, *quota, subject, run.now)?;
            }
            return Ok(Err(Refusal::MailQuota(until)));
        }
    }
    Ok(Ok(()))
}
