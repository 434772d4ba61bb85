//! The life of an invitation (R-INV-2): pending → accepted | rejected | revoked | superseded.
//!
//! A decision is a value: a [`Transition`] that the store writes only if the row is still pending.

use super::{
    account::Account,
    email::EmailAddress,
    ids::{AccountId, InvitationId, OrganizationId},
    refusal::Refusal,
    role::InvitableRole,
    time::Timestamp,
};
use time::Duration;

/// How long an invitation is valid from its last sending, unless the operator says otherwise (R-INV-3).
pub const VALID_FOR: Duration = Duration::hours(7 * 24);

/// The invitee is reminded this long before the invitation expires (R-INV-16).
pub const REMIND_BEFORE: Duration = Duration::days(2);

/// The inviter is told of a lapse within this time after it, or not at all (R-INV-16).
pub const LAPSE_TOLD_WITHIN: Duration = Duration::days(7);

/// Addresses taken in one go (R-INV-13).
pub const MOST_AT_ONCE: usize = 100;

/// What a link says: which invitation, and which key made the link (R-INV-5). A link made with another of our keys than
/// the invitation's own names nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// The invitation.
    pub id: InvitationId,
    /// The key's version.
    pub version: i32,
}

/// What a row says. *Expired* is not among them: it is computed, see [`Standing`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Open: it can be accepted until it expires.
    Pending,
    /// Accepted; the membership exists or existed.
    Accepted,
    /// Rejected by the invitee.
    Rejected,
    /// Withdrawn by the organization.
    Revoked,
    /// It expired, and a newer invitation took its place.
    Superseded,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Accepted,
        Self::Rejected,
        Self::Revoked,
        Self::Superseded,
    ];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What an invitation is worth at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// Can be accepted.
    Pending,
    /// Pending, but its time is over.
    Expired,
    /// See [`State::Accepted`].
    Accepted,
    /// See [`State::Rejected`].
    Rejected,
    /// See [`State::Revoked`].
    Revoked,
    /// See [`State::Superseded`].
    Superseded,
}

/// An invitation, as far as rules need it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invitation {
    /// Its id, part of its link.
    pub id: InvitationId,
    /// Into which organization.
    pub organization: OrganizationId,
    /// For which mailbox.
    pub email: EmailAddress,
    /// The role that accepting gives.
    pub role: InvitableRole,
    /// The inviter's words.
    pub note: Option<String>,
    /// What the row says.
    pub state: State,
    /// Who sent it.
    pub invited_by: AccountId,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this instant on it is expired.
    pub expires_at: Timestamp,
    /// When its link was first shown to somebody other than the mailbox (R-INV-6).
    pub exposed_at: Option<Timestamp>,
    /// Which key made its link (R-INV-5).
    pub link_version: i32,
    /// When it left the pending state.
    pub closed_at: Option<Timestamp>,
}

/// A change of state that was decided; the store applies it only to a row that is still pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    to: State,
    at: Timestamp,
}

impl Transition {
    /// The new state.
    pub const fn to(self) -> State {
        self.to
    }

    /// When it was decided.
    pub const fn at(self) -> Timestamp {
        self.at
    }
}

/// Who looks at a live invitation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Welcome {
    /// Nobody is signed in: sign in, or make an account on the spot.
    SignedOut,
    /// The invited address: accept or reject.
    Invitee,
    /// The invited address, already a member: nothing to accept (R-ACC-6).
    AlreadyIn,
}

/// What sending an invitation again means for it (R-INV-7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resending {
    /// Same link, valid until this instant.
    Extend(Timestamp),
    /// It has expired: it gives way to a new one with a new link.
    Replace,
}

impl Invitation {
    /// What the invitation is worth at `now`: valid one second before `expires_at`, expired at it (R-INV-3).
    pub fn standing(&self, now: Timestamp) -> Standing {
        standing(self.state, self.expires_at, now)
    }

    /// Whether an account finds it without its link: only with the invited address, and only once that is proved
    /// (R-ACC-4, R-ACC-11).
    pub fn is_shown_to(&self, account: &Account) -> bool {
        account.verified_at.is_some() && account.email.same_mailbox(&self.email)
    }

    /// Accepting.
    ///
    /// # Errors
    /// The refusal of the dead-link page that fits (R-ACC-7).
    pub fn accept(&self, now: Timestamp) -> Result<Transition, Refusal> {
        match self.standing(now) {
            Standing::Pending => Ok(Transition {
                to: State::Accepted,
                at: now,
            }),
            Standing::Expired => Err(Refusal::LinkExpired(self.expires_at)),
            closed => Err(dead_link(closed)),
        }
    }

    /// Rejecting. An expired one can still be rejected (R-ACC-8).
    ///
    /// # Errors
    /// The refusal of the dead-link page that fits.
    pub fn reject(&self, now: Timestamp) -> Result<Transition, Refusal> {
        match self.standing(now) {
            Standing::Pending | Standing::Expired => Ok(Transition {
                to: State::Rejected,
                at: now,
            }),
            closed => Err(dead_link(closed)),
        }
    }

    /// Revoking, pending or expired.
    ///
    /// # Errors
    /// [`Refusal::InvitationClosed`] when it has already ended.
    pub fn revoke(&self, now: Timestamp) -> Result<Transition, Refusal> {
        self.still_open(now)?;
        Ok(Transition {
            to: State::Revoked,
            at: now,
        })
    }

    /// Sending it again: a pending one is extended, an expired one replaced (R-INV-7).
    ///
    /// # Errors
    /// [`Refusal::InvitationClosed`] when it has already ended.
    pub fn resend(&self, now: Timestamp, valid_for: Duration) -> Result<Resending, Refusal> {
        Ok(match self.still_open(now)? {
            Standing::Expired => Resending::Replace,
            _ => Resending::Extend(now.plus(valid_for)),
        })
    }

    /// Whether its role may still be edited or its link copied: only while it can be accepted.
    ///
    /// # Errors
    /// [`Refusal::InvitationExpired`] or [`Refusal::InvitationClosed`].
    pub fn acceptable(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.still_open(now)? {
            Standing::Expired => Err(Refusal::InvitationExpired),
            _ => Ok(()),
        }
    }

    /// Making room for a new one to the same address: only an expired one gives way (R-INV-4).
    pub fn give_way(&self, now: Timestamp) -> Option<Transition> {
        (self.standing(now) == Standing::Expired).then_some(Transition {
            to: State::Superseded,
            at: now,
        })
    }

    /// What whoever holds the link is shown, and what accepting starts from. `viewer` is the address they are signed
    /// in with and whether it is a member already.
    ///
    /// # Errors
    /// The refusal of the page that fits: a dead link (R-ACC-7) or another account (R-ACC-3).
    pub fn welcome(
        &self,
        viewer: Option<(&EmailAddress, bool)>,
        now: Timestamp,
    ) -> Result<Welcome, Refusal> {
        let invitee = viewer.filter(|(email, _)| email.same_mailbox(&self.email));
        if let Some((_, true)) = invitee {
            return Ok(Welcome::AlreadyIn);
        }
        self.accept(now)?;
        match (viewer, invitee) {
            (None, _) => Ok(Welcome::SignedOut),
            (Some(_), Some(_)) => Ok(Welcome::Invitee),
            (Some((email, _)), None) => Err(Refusal::WrongAccount {
                invited: self.email.masked(),
                signed_in_as: email.clone(),
            }),
        }
    }

    fn still_open(&self, now: Timestamp) -> Result<Standing, Refusal> {
        match self.standing(now) {
            open @ (Standing::Pending | Standing::Expired) => Ok(open),
            _ => Err(Refusal::InvitationClosed),
        }
    }
}

/// What a row in `state` that expires at `expires_at` is worth at `now`. The only place that decides expiry.
fn standing(state: State, expires_at: Timestamp, now: Timestamp) -> Standing {
    match state {
        State::Pending if now >= expires_at => Standing::Expired,
        State::Pending => Standing::Pending,
        State::Accepted => Standing::Accepted,
        State::Rejected => Standing::Rejected,
        State::Revoked => Standing::Revoked,
        State::Superseded => Standing::Superseded,
    }
}

/// What a closed invitation answers to whoever holds its link.
fn dead_link(standing: Standing) -> Refusal {
    match standing {
        Standing::Rejected => Refusal::LinkRejected,
        Standing::Revoked => Refusal::LinkRevoked,
        Standing::Superseded => Refusal::LinkReplaced,
        Standing::Pending | Standing::Expired | Standing::Accepted => Refusal::LinkUsed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn invitation(state: State, expires_at: Timestamp) -> Invitation {
        Invitation {
            id: InvitationId(Uuid::nil()),
            organization: OrganizationId(Uuid::nil()),
            email: EmailAddress::from_stored("a@b.c".into(), "a@b.c".into()),
            role: InvitableRole::Member,
            note: None,
            state,
            invited_by: AccountId(Uuid::nil()),
            created_at: expires_at.minus(VALID_FOR),
            expires_at,
            exposed_at: None,
            link_version: 0,
            closed_at: None,
        }
    }

    #[test]
    fn valid_at_minus_one_second_and_expired_at_zero() {
        let second = Duration::seconds(1);
        assert!(
            invitation(State::Pending, NOW)
                .accept(NOW.minus(second))
                .is_ok()
        );
        assert_eq!(
            invitation(State::Pending, NOW).accept(NOW),
            Err(Refusal::LinkExpired(NOW))
        );
        assert_eq!(
            invitation(State::Pending, NOW).accept(NOW.plus(second)),
            Err(Refusal::LinkExpired(NOW))
        );
        assert_eq!(VALID_FOR, Duration::seconds(604_800));
    }

    fn states() -> impl Strategy<Value = State> {
        prop::sample::select(State::ALL.to_vec())
    }

    proptest! {
        /// Final states never change: no verb yields a transition from one.
        #[test]
        fn nothing_leaves_a_final_state(state in states(), offset in -2_000_000i64..2_000_000) {
            let it = invitation(state, NOW);
            let now = NOW.plus(Duration::microseconds(offset));
            let all = [
                it.accept(now).ok(),
                it.reject(now).ok(),
                it.revoke(now).ok(),
                it.give_way(now),
            ];
            if state != State::Pending {
                prop_assert!(all.iter().all(Option::is_none));
                prop_assert!(it.resend(now, VALID_FOR).is_err());
                prop_assert!(it.acceptable(now).is_err());
            }
            for change in all.into_iter().flatten() {
                prop_assert_ne!(change.to(), State::Pending);
                prop_assert_eq!(change.at(), now);
            }
        }

        /// Expiry has one edge and nothing un-expires by waiting.
        #[test]
        fn acceptable_exactly_before_expiry(offset in -2_000_000i64..2_000_000) {
            let it = invitation(State::Pending, NOW);
            let now = NOW.plus(Duration::microseconds(offset));
            prop_assert_eq!(it.accept(now).is_ok(), offset < 0);
            prop_assert_eq!(it.acceptable(now).is_ok(), offset < 0);
            prop_assert_eq!(it.give_way(now).is_some(), offset >= 0);
            prop_assert_eq!(matches!(it.resend(now, VALID_FOR), Ok(Resending::Extend(_))), offset < 0);
            prop_assert!(it.reject(now).is_ok() && it.revoke(now).is_ok());
        }
    }
}
