//! Team settings: members, invitations, roles.

pub(super) mod import;
pub(super) mod invitation;
pub(super) mod invitations;
pub(super) mod invite;
pub(super) mod member;
pub(super) mod members;
pub(super) mod roles;

use crate::{
    actions::{Failure, Rules},
    domain::{policy::Permission, role::Role},
    store::{self, Conn, invitations::Shelf},
    web::{page, visit::Member},
};

/// Heading, counts and tabs: the same on every team page.
struct TeamHead {
    tab: &'static str,
    members: String,
    members_plural: bool,
    /// "12 of 15 seats", for whoever may invite.
    seats: Option<String>,
    pending: Option<Pending>,
    can_invite: bool,
    invite_url: String,
    ask: Vec<String>,
}

/// How many invitations are pending, counted up to a limit.
struct Pending {
    count: String,
    plural: bool,
}

/// How far pending invitations are counted on every team page, as the bell is; their own page counts on.
const HEAD_LIMIT: i64 = page::BELL_LIMIT;

/// Owners and admins named to whoever may not invite.
const ASK: i64 = 2;

/// What [`TeamHead`] reads.
struct HeadFacts {
    pending: Option<i64>,
    ask: Vec<String>,
}

fn head_facts(conn: &mut Conn, member: Member<'_>) -> Result<HeadFacts, Failure> {
    let (organization, now) = (member.place.organization, member.now);
    let pending = if member.may(Permission::SeeInvitations) {
        let (shelf, most) = (Shelf::Pending, HEAD_LIMIT + 1);
        let count = store::invitations::count(conn, organization, shelf, None, most, now)?;
        Some(count)
    } else {
        None
    };
    head_facts_with(conn, member, pending)
}

/// [`head_facts`] where the pending invitations are counted already, this far at least.
fn head_facts_with(
    conn: &mut Conn,
    member: Member<'_>,
    pending: Option<i64>,
) -> Result<HeadFacts, Failure> {
    let organization = member.place.organization;
    let mut ask = Vec::new();
    if !member.may(Permission::InviteMember) {
        for role in [Role::Owner, Role::Admin] {
            ask.extend(
                store::memberships::with_role(conn, organization, role, ASK)?
                    .into_iter()
                    .map(|(_, name)| name),
            );
        }
        ask.truncate(ASK as usize);
    }
    Ok(HeadFacts { pending, ask })
}

impl TeamHead {
    fn new(tab: &'static str, member: Member<'_>, facts: HeadFacts, rules: &Rules) -> Self {
        let can_invite = member.may(Permission::InviteMember);
        let members = page::thousands(i64::from(member.place.member_count));
        let seats = rules.seats.filter(|_| can_invite);
        Self {
            seats: seats
                .map(|seats| format!("{members} of {} seats", page::thousands(i64::from(seats)))),
            tab,
            members,
            members_plural: member.place.member_count != 1,
            pending: facts.pending.map(|count| Pending {
                count: page::up_to(count, HEAD_LIMIT),
                plural: count != 1,
            }),
            can_invite,
            invite_url: super::urls::invite(&member.place.slug),
            ask: facts.ask,
        }
    }
}
