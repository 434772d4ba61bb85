//! What the program says by itself about invitations: the invitee is reminded before one expires, the inviter is told
//! when one has lapsed, once each (R-INV-16). Several instances may do so at once: the organization's lock and a
//! guarded update see to "once".

use super::{Failure, Run, invitees};
use crate::{
    domain::{
        delivery::{DeliveryState, LetterKind},
        invitation::{LAPSE_TOLD_WITHIN, REMIND_BEFORE},
        notification::NotificationKind,
        organization::Organization,
    },
    store::{
        self,
        invitations::{Due, InvitationRow},
    },
};

/// Invitations dealt with in one transaction, all of one organization: few enough that nobody waits for it long.
const BATCH: i64 = 50;

/// Reminds the invitees of one organization whose invitations expire soon. Answers whether there may be more.
///
/// # Errors
/// Only the store's.
pub fn remind(run: &mut Run<'_>) -> Result<bool, Failure> {
    if !run.means.rules.reminders || !run.means.rules.mail_ready {
        return Ok(false);
    }
    let due = Due::Reminder {
        from: run.now,
        until: run.now.plus(REMIND_BEFORE),
    };
    let Some((organization, rows)) = next(run, due)? else {
        return Ok(false);
    };
    for row in rows {
        let it = &row.invitation;
        // What is not to be reminded of is marked as well, so that nobody looks at it again every minute.
        if store::invitations::set_reminded(run.db, it, run.now)?
            && organization.deleted_at.is_none()
            && wants_reminder(&row)
        {
            run.deliver(it, LetterKind::Reminder, true, None)?;
        }
    }
    Ok(true)
}

/// Whether this invitation was mailed, and for longer than the reminder would come before its end.
fn wants_reminder(row: &InvitationRow) -> bool {
    row.delivery.as_ref().is_some_and(|(state, _, sent_at)| {
        *state != DeliveryState::NotEmailed
            && row.invitation.expires_at.since(*sent_at) > REMIND_BEFORE
    })
}

/// Tells the inviters of one organization whose invitations have lapsed. Answers whether there may be more.
///
/// # Errors
/// Only the store's.
pub fn tell_of_lapses(run: &mut Run<'_>) -> Result<bool, Failure> {
    if !run.means.rules.lapse_notices {
        return Ok(false);
    }
    let due = Due::LapseNotice {
        // Where this is switched on for the first time, nobody is told of what ended long ago.
        since: run.now.minus(LAPSE_TOLD_WITHIN),
        until: run.now,
    };
    let Some((organization, rows)) = next(run, due)? else {
        return Ok(false);
    };
    for row in rows {
        let it = &row.invitation;
        if store::invitations::set_lapse_told(run.db, it, run.now)?
            && organization.deleted_at.is_none()
        {
            invitees::tell_inviter(run, &organization, it, NotificationKind::InvitationLapsed)?;
        }
    }
    Ok(true)
}

/// Locks the organization whose turn it is, and only then reads the invitations: one that was accepted or sent again
/// meanwhile is not due any more.
fn next(
    run: &mut Run<'_>,
    what: Due,
) -> Result<Option<(Organization, Vec<InvitationRow>)>, Failure> {
    let due = store::invitations::due(run.db, what, BATCH)?;
    let Some((id, _)) = due.first().copied() else {
        return Ok(None);
    };
    let organization = store::organizations::lock(run.db, id)?
        .ok_or_else(|| Failure::Broken("an invitation without its organization".to_owned()))?;
    let mut rows = Vec::new();
    for (_, invitation) in due.into_iter().filter(|(other, _)| *other == id) {
        let row = store::invitations::details(run.db, id, invitation)?;
        rows.extend(row.filter(|row| what.holds(&row.invitation)));
    }
    Ok(Some((organization, rows)))
}
