//! Verbs. One function is one thing a person can do, and one transaction.
//!
//! Every action on an organization has the same shape: lock, read again, decide, write, append to the audit log. HTML
//! and JSON call the same ones. Passwords are hashed before the transaction, letters are sent after it, by the worker.

pub mod accounts;
pub mod housekeeping;
pub mod invitations;
pub mod invitees;

use crate::{
    domain::{
        account::{Account, Session},
        audit::Event,
        delivery::LetterKind,
        email::EmailAddress,
        ids::{AccountId, AuditEventId, DeliveryId, OrganizationId, SessionId},
        invitation::Invitation,
        organization::Organization,
        policy::{self, Denied, Permission},
        quota::MailLimits,
        refusal::Refusal,
        role::Role,
        session::GRACE,
        slug,
        time::Timestamp,
    },
    entropy::Entropy,
    link::LinkKeys,
    store::{self, Conn},
    token::SessionToken,
};
use std::{fmt, net::Ipv6Addr};
use time::Duration;
use uuid::Uuid;

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How long an invitation is valid from its last sending (R-INV-3).
    pub valid_for: Duration,
    /// Cooldown and quotas of invitation mail (R-INV-8).
    pub mail: MailLimits,
    /// Whether letters can be sent at all (R-INV-11).
    pub mail_ready: bool,
    /// Whether anybody may make an account, or invited people only (R-ORG-5).
    pub open_sign_up: bool,
}

/// What every action needs besides the database: made once, shared by all.
#[derive(Clone, Debug)]
pub struct Means {
    /// Randomness and ids.
    pub entropy: Entropy,
    /// Makes and reads the tokens in links.
    pub links: LinkKeys,
    /// The operator's rules.
    pub rules: Rules,
}

/// One action under way: its transaction, its moment, its means.
pub struct Run<'a> {
    /// The open transaction.
    pub db: &'a mut Conn,
    /// The one moment at which everything in this action happens.
    pub now: Timestamp,
    /// Randomness, links, rules.
    pub means: &'a Means,
    /// Whether a letter was queued, so that the worker is woken after the commit.
    pub queued: bool,
}

/// From where a request came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// The network address, as far as it can be trusted.
    pub address: String,
    /// The browser's description of itself, shortened.
    pub agent: String,
}

impl Client {
    /// What limits count: the address, or the /64 of an IPv6 address, which is what one subscriber gets (RFC 6177).
    pub(crate) fn network(&self) -> String {
        match self.address.parse::<Ipv6Addr>() {
            Ok(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Err(_) => self.address.clone(),
        }
    }
}

/// Somebody who is signed in, read from the database in this action's own transaction.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The session and its account.
    pub session: Session,
    /// From where.
    pub client: Client,
}

impl Actor {
    /// Who.
    pub const fn account(&self) -> &Account {
        &self.session.account
    }
}

/// Why an action did not happen. Nothing of it was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Not signed in, or not any more.
    SignedOut,
    /// There is no such thing, or it is none of theirs: the two are not told apart (R-ROLE-3).
    NotFound,
    /// The role is too low.
    Denied(Denied),
    /// A rule says no.
    Refused(Refusal),
    /// Come back in a moment. `repeat` tells the store that trying the same again may work at once.
    Unavailable {
        /// Two transactions met.
        repeat: bool,
        /// For the log.
        why: String,
    },
    /// A defect; the text is for the log.
    Broken(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedOut => f.write_str("signed out"),
            Self::NotFound => f.write_str("not found"),
            Self::Denied(denied) => write!(
                f,
                "denied: {} may not {}",
                denied.role,
                denied.permission.label()
            ),
            Self::Refused(refusal) => f.write_str(refusal.code()),
            Self::Unavailable { why, .. } => write!(f, "unavailable: {why}"),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Collision(why) => Self::Unavailable { repeat: true, why },
            store::Error::Unavailable(why) => Self::Unavailable { repeat: false, why },
            store::Error::Broken(why) => Self::Broken(why),
        }
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl store::Repeatable for Failure {
    fn repeatable(&self) -> bool {
        matches!(self, Self::Unavailable { repeat: true, .. })
    }
}

/// A member acting inside an organization that is locked for the rest of the transaction.
pub(crate) struct Inside<'a> {
    actor: &'a Actor,
    pub(crate) organization: Organization,
    role: Role,
}

impl Inside<'_> {
    /// Asks the policy, on the role that was read after the lock.
    fn check(&self, permission: Permission) -> Result<(), Failure> {
        Ok(policy::check(self.role, permission)?)
    }

    fn account(&self) -> AccountId {
        self.actor.account().id
    }

    /// Appends to the audit log.
    fn record(&self, run: &mut Run<'_>, event: &Event) -> Result<(), Failure> {
        run.record(
            self.organization.id,
            Some(self.actor.account()),
            &self.actor.client,
            event,
        )
    }
}

impl<'a> Run<'a> {
    /// Starts an action on an open transaction.
    pub const fn new(db: &'a mut Conn, now: Timestamp, means: &'a Means) -> Self {
        Self {
            db,
            now,
            means,
            queued: false,
        }
    }

    /// Locks the organization and reads again who the actor is in it.
    ///
    /// # Errors
    /// [`Failure::NotFound`] when there is no such organization, or the actor is no member (R-ROLE-3).
    pub(crate) fn enter<'b>(
        &mut self,
        actor: &'b Actor,
        slug: &str,
    ) -> Result<Inside<'b>, Failure> {
        if !slug::possible(slug) {
            return Err(Failure::NotFound);
        }
        let organization =
            store::organizations::lock_by_slug(self.db, slug)?.ok_or(Failure::NotFound)?;
        let membership = store::memberships::find(self.db, organization.id, actor.account().id)?
            .ok_or(Failure::NotFound)?;
        Ok(Inside {
            actor,
            organization,
            role: membership.role,
        })
    }

    fn uuid(&self) -> Uuid {
        self.means.entropy.uuid_v7(self.now.utc())
    }

    fn record(
        &mut self,
        organization: OrganizationId,
        account: Option<&Account>,
        client: &Client,
        event: &Event,
    ) -> Result<(), Failure> {
        let id = AuditEventId(self.uuid());
        let account = account.map(|account| (account.id, account.name.as_str()));
        let by = store::audit_events::By {
            account,
            address: &client.address,
        };
        Ok(store::audit_events::append(
            self.db,
            organization,
            id,
            by,
            event,
            self.now,
        )?)
    }

    /// Queues a letter about an invitation, or records that none goes out.
    fn deliver(
        &mut self,
        about: &Invitation,
        kind: LetterKind,
        to: &EmailAddress,
        emailed: bool,
        requested_by: Option<AccountId>,
    ) -> Result<DeliveryId, Failure> {
        let id = DeliveryId(self.uuid());
        let emailed = emailed && self.means.rules.mail_ready;
        let new = store::deliveries::NewDelivery {
            id,
            organization: about.organization,
            invitation: about.id,
            kind,
            to,
            emailed,
            requested_by,
        };
        store::deliveries::insert(self.db, &new, self.now)?;
        self.queued |= emailed;
        Ok(id)
    }

    /// Signs a browser in: a new row, a new token.
    fn open_session(
        &mut self,
        account: AccountId,
        organization: Option<OrganizationId>,
        client: &Client,
    ) -> Result<SessionToken, Failure> {
        let id = SessionId(self.uuid());
        self.insert_session(id, account, organization, self.now, client)
    }

    /// Gives the same session a new token; the old one lives on for a minute, for requests already on their way.
    fn renew_session(
        &mut self,
        actor: &Actor,
        organization: OrganizationId,
    ) -> Result<SessionToken, Failure> {
        let old = &actor.session;
        let ends_at = self.now.plus(GRACE);
        if !store::sessions::set_ending(self.db, old.id, ends_at)? {
            // It was ended while this action waited for the organization: it must not come back to life.
            return Err(Failure::SignedOut);
        }
        self.add_token(actor, organization)
    }

    /// Gives the same session one more token.
    fn add_token(
        &mut self,
        actor: &Actor,
        organization: OrganizationId,
    ) -> Result<SessionToken, Failure> {
        let old = &actor.session;
        self.insert_session(
            old.id,
            old.account.id,
            Some(organization),
            old.created_at,
            &actor.client,
        )
    }

    fn insert_session(
        &mut self,
        id: SessionId,
        account: AccountId,
        organization: Option<OrganizationId>,
        created_at: Timestamp,
        client: &Client,
    ) -> Result<SessionToken, Failure> {
        let token = SessionToken::new(self.means.entropy.token());
        let new = store::sessions::NewSession {
            token_hash: &token.hash(),
            id,
            account,
            organization,
            created_at,
            address: &client.address,
            agent: &client.agent,
        };
        store::sessions::insert(self.db, &new, self.now)?;
        Ok(token)
    }
}
