//! Organizations as a whole: found, change, delete.

use super::{Actor, Client, Failure, Run};
use crate::{
    domain::{
        account::Account,
        audit::{Event, Reason, Verb},
        ids::{AccountId, NotificationId, OrganizationId},
        notification::{Notification, NotificationKind},
        organization::{ApplicationUrl, Organization},
        policy::Permission,
        quota::FOUND_PERSON,
        refusal::Refusal,
        role::Role,
        slug,
        text::OrganizationName,
    },
    store,
};

/// Longest search for a free slug: `acme`, `acme-2`, … A name that popular gets a random ending.
const SLUG_TRIES: u32 = 20;

/// Founds an organization with `founder` as its Owner.
pub(super) fn found(
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
        application_url: None,
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
    // Whoever deletes the account at this moment holds its row: this waits for them.
    let founder = store::accounts::lock(run.db, founder.id)?.ok_or(Failure::SignedOut)?;
    store::memberships::insert(run.db, organization.id, &founder, Role::Owner, run.now)?;
    run.record(organization.id, Some(&founder), client, &Event::founded())?;
    Ok(organization)
}

/// Founds another organization for somebody who is signed in, and leads their session there (R-ORG-1).
///
/// # Errors
/// [`Refusal::TooManyAttempts`] when they founded too many today.
pub fn create(
    run: &mut Run<'_>,
    actor: &Actor,
    name: &OrganizationName,
) -> Result<Organization, Failure> {
    run.count(&[(FOUND_PERSON, &actor.account().id.to_string())])?;
    let organization = found(run, &actor.client, actor.account(), name)?;
    if !store::sessions::set_organization(run.db, actor.session.key(), organization.id)? {
        return Err(Failure::SignedOut);
    }
    Ok(organization)
}

/// The general settings of an organization.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it is called.
    pub name: OrganizationName,
    /// Where members go instead of Roster's own page of it (R-ACC-10).
    pub application_url: Option<ApplicationUrl>,
}

/// Changes the general settings. Its part of the address stays: links and bookmarks keep working. Only what really
/// changes is written and recorded; answers whether anything did.
///
/// # Errors
/// [`Failure::Denied`], [`Failure::NotFound`].
pub fn change_settings(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    after: &Settings,
) -> Result<bool, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::EditSettings)?;
    let before = &by.organization;
    let renamed = before.name != after.name.as_str();
    if renamed {
        store::organizations::set_name(run.db, before.id, after.name.as_str())?;
        let event = Event::new(Verb::Rename).from_to(&before.name, after.name.as_str());
        by.record(run, &event)?;
    }
    let url = after.application_url.as_ref().map(ApplicationUrl::as_str);
    let led_elsewhere = before.application_url.as_deref() != url;
    if led_elsewhere {
        store::organizations::set_application_url(run.db, before.id, url)?;
        let event = Event {
            before: before.application_url.clone(),
            after: url.map(str::to_owned),
            ..Event::new(Verb::SetApplicationUrl)
        };
        by.record(run, &event)?;
    }
    Ok(renamed || led_elsewhere)
}

/// How many members are told by mail, too, that their organization was deleted: more letters at once would hold up
/// everybody else's. Owners and admins come first.
pub const TOLD_BY_MAIL: usize = 1000;

/// Members and invitations that end in one step.
const BATCH: i64 = 500;

/// Deletes an organization: every open invitation is revoked, every membership ends, everybody else is told (R-ORG-3).
/// `typed` is its part of the address, typed to confirm; the password was verified before. Answers its name.
///
/// Everybody finds it behind the bell; the first [`TOLD_BY_MAIL`], owners and admins first, get a letter as well unless
/// they switched it off. Members are told and let go in batches, so that memory does not grow with the organization.
///
/// # Errors
/// [`Failure::Denied`], [`Failure::NotFound`], [`Refusal::SlugDiffers`].
pub fn delete(
    run: &mut Run<'_>,
    actor: &Actor,
    organization: &str,
    typed: &str,
) -> Result<String, Failure> {
    let by = run.enter(actor, organization)?;
    by.check(Permission::DeleteOrganization)?;
    by.organization.confirmed_by(typed)?;
    close(run, &by.organization, actor)?;
    Ok(by.organization.name)
}

/// Ends an organization that is locked: its open invitations, its memberships and itself. Everybody but the actor is
/// told.
pub(super) fn close(
    run: &mut Run<'_>,
    organization: &Organization,
    actor: &Actor,
) -> Result<(), Failure> {
    let id = organization.id;
    revoke_all(run, id, actor)?;
    let what = Notification::new(NotificationKind::OrganizationDeleted)
        .of(organization)
        .by(&actor.account().name);
    let mut letters = TOLD_BY_MAIL;
    for role in [Role::Owner, Role::Admin, Role::Member, Role::Viewer] {
        loop {
            let members = store::memberships::accounts_with_role(run.db, id, role, BATCH)?;
            if members.is_empty() {
                break;
            }
            tell_all(run, actor, &members, &what, &mut letters)?;
            let accounts: Vec<AccountId> = members.iter().map(|account| account.id).collect();
            store::memberships::delete_many(run.db, id, &accounts)?;
        }
    }
    store::organizations::set_deleted(run.db, id, run.now)?;
    let event = Event::new(Verb::DeleteOrganization).was(&organization.name);
    run.record(id, Some(actor.account()), &actor.client, &event)
}

/// Ends every invitation that has not ended, expired ones too, each with its event.
fn revoke_all(run: &mut Run<'_>, id: OrganizationId, actor: &Actor) -> Result<(), Failure> {
    loop {
        let open = store::invitations::not_ended(run.db, id, BATCH)?;
        if open.is_empty() {
            return Ok(());
        }
        for invitation in &open {
            let change = invitation.revoke(run.now)?;
            if !store::invitations::apply(run.db, invitation, change, Some(actor.account().id))? {
                // The organization is locked: nobody else can have ended it.
                return Err(Refusal::InvitationClosed.into());
            }
        }
        let revoked = |it| Event::of(Verb::Revoke, it).because(Reason::OrganizationDeleted);
        let events: Vec<Event> = open.iter().map(revoked).collect();
        run.record_all(id, Some(actor.account()), &actor.client, &events)?;
    }
}

/// Tells these members, but for the actor; as long as there are `letters` left, by mail as well.
fn tell_all(
    run: &mut Run<'_>,
    actor: &Actor,
    members: &[Account],
    what: &Notification,
    letters: &mut usize,
) -> Result<(), Failure> {
    let mut quietly = Vec::new();
    for member in members
        .iter()
        .filter(|member| member.id != actor.account().id)
    {
        if *letters == 0 {
            quietly.push((member.id, NotificationId(run.uuid())));
        } else {
            run.notify(member.id, &member.email, what)?;
            *letters -= 1;
        }
    }
    if !quietly.is_empty() {
        store::notifications::insert_many(run.db, &quietly, what, run.now)?;
    }
    Ok(())
}
