//! Verbs. One function is one thing a person can do, and one transaction.
//!
//! Every action on an organization has the same shape: lock, read again, decide, write, append to the audit log. HTML
//! and JSON call the same ones. Passwords are hashed before the transaction, letters are sent after it, by the worker.

pub mod accounts;
pub mod consents;
pub mod farewell;
pub mod housekeeping;
pub mod invitations;
pub mod invitees;
pub mod letters;
pub mod members;
pub mod notifications;
pub mod organizations;
pub mod profile;
pub mod proofs;
pub mod reminders;
pub mod restoring;
pub mod sessions;

use crate::{
    domain::{
        account::{Account, Session},
        audit::Event,
        consent::LegalDocument,
        delivery::LetterKind,
        email::EmailAddress,
        ids::{
            AccountId, AuditEventId, DeliveryId, NotificationId, OrganizationId, ProofId, SessionId,
        },
        invitation::Invitation,
        membership::Membership,
        notification::Notification,
        organization::Organization,
        policy::{self, Denied, Permission},
        proof::{Proof, ProofPurpose},
        quota::MailLimits,
        refusal::Refusal,
        session::GRACE,
        slug,
        time::Timestamp,
    },
    entropy::Entropy,
    link::LinkKeys,
    store::{
        self, Conn,
        deliveries::{NewDelivery, Subject},
        quotas::Use,
    },
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
    /// Most members of an organization, if there is a limit (R-ACC-5).
    pub seats: Option<u32>,
    /// What everybody has to accept, in its current version (R-ACC-9).
    pub legal: Vec<LegalDocument>,
    /// Whether invitees are reminded before their invitation expires (R-INV-16).
    pub reminders: bool,
    /// Whether inviters are told when an invitation has expired (R-INV-16).
    pub lapse_notices: bool,
}

impl Rules {
    /// Whether an organization with this many members has a seat left. Only members count, not invitations (R-ACC-5).
    pub fn has_seat(&self, members: i32) -> bool {
        self.seats
            .is_none_or(|seats| i64::from(members) < i64::from(seats))
    }
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

/// Why an action did not happen. Nothing of it was kept, but for [`Failure::Unsure`].
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
    /// It may have happened or not: the database went away while it committed. The text is for the log.
    Unsure(String),
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
            Self::Unsure(why) => write!(f, "unsure: {why}"),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Collision(why) => Self::Unavailable { repeat: true, why },
            store::Error::Unavailable(why) => Self::Unavailable { repeat: false, why },
            store::Error::Unsure(why) => Self::Unsure(why),
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

    fn faulty(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { repeat: false, .. } | Self::Unsure(_) | Self::Broken(_)
        )
    }
}

/// A member acting inside an organization that is locked for the rest of the transaction.
pub(crate) struct Inside<'a> {
    actor: &'a Actor,
    pub(crate) organization: Organization,
    membership: Membership,
}

impl Inside<'_> {
    /// Asks the policy, on the role that was read after the lock.
    fn check(&self, permission: Permission) -> Result<(), Failure> {
        Ok(policy::check(self.membership.role, permission)?)
    }

    fn account(&self) -> AccountId {
        self.actor.account().id
    }

    /// What the actor is called.
    fn name(&self) -> &str {
        &self.actor.account().name
    }

    /// Appends to the audit log.
    fn record(&self, run: &mut Run<'_>, event: &Event) -> Result<(), Failure> {
        self.record_all(run, std::slice::from_ref(event))
    }

    /// [`Inside::record`] for several events.
    fn record_all(&self, run: &mut Run<'_>, events: &[Event]) -> Result<(), Failure> {
        run.record_all(
            self.organization.id,
            Some(self.actor.account()),
            &self.actor.client,
            events,
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
            membership,
        })
    }

    /// Locks every organization of a person, by id, then the account: from here on nobody changes their memberships,
    /// and no new one comes. Answers both as they are then.
    ///
    /// # Errors
    /// [`Failure::SignedOut`] when the account is gone. When they joined another organization while this waited, the
    /// transaction is to be repeated, with that one locked as well.
    fn lock_person(&mut self, id: AccountId) -> Result<(Account, Vec<Organization>), Failure> {
        let mine = store::memberships::organizations_of(self.db, id)?;
        let mut locked = Vec::with_capacity(mine.len());
        for organization in mine {
            locked.extend(store::organizations::lock(self.db, organization)?);
        }
        let account = store::accounts::lock(self.db, id)?.ok_or(Failure::SignedOut)?;
        let now = store::memberships::organizations_of(self.db, id)?;
        locked.retain(|organization| now.contains(&organization.id));
        if locked.len() == now.len() {
            Ok((account, locked))
        } else {
            Err(Failure::Unavailable {
                repeat: true,
                why: "the account got another membership meanwhile".to_owned(),
            })
        }
    }

    /// Uses one of each of these quotas.
    ///
    /// # Errors
    /// [`Refusal::TooManyAttempts`] when none is left of one of them in this window: nothing is counted then.
    fn count(&mut self, uses: &[Use<'_>]) -> Result<(), Failure> {
        store::quotas::take(self.db, uses, self.now)?
            .map_err(|until| Refusal::TooManyAttempts(until).into())
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
        self.record_all(organization, account, client, std::slice::from_ref(event))
    }

    fn record_all(
        &mut self,
        organization: OrganizationId,
        account: Option<&Account>,
        client: &Client,
        events: &[Event],
    ) -> Result<(), Failure> {
        let account = account.map(|account| (account.id, account.name.as_str()));
        let by = store::audit_events::By {
            account,
            address: &client.address,
        };
        let events: Vec<_> = events
            .iter()
            .map(|event| (AuditEventId(self.uuid()), event))
            .collect();
        Ok(store::audit_events::append(
            self.db,
            organization,
            by,
            &events,
            self.now,
        )?)
    }

    /// Queues a letter with an invitation's link, or records that none goes out.
    fn deliver(
        &mut self,
        about: &Invitation,
        kind: LetterKind,
        emailed: bool,
        requested_by: Option<AccountId>,
    ) -> Result<DeliveryId, Failure> {
        let id = DeliveryId(self.uuid());
        let one = std::iter::once((id, about));
        self.deliver_many(one, kind, emailed, requested_by)?;
        Ok(id)
    }

    /// [`Run::deliver`] for several invitations, each with the id of its letter.
    fn deliver_many<'b>(
        &mut self,
        about: impl Iterator<Item = (DeliveryId, &'b Invitation)>,
        kind: LetterKind,
        emailed: bool,
        requested_by: Option<AccountId>,
    ) -> Result<(), Failure> {
        let emailed = emailed && self.means.rules.mail_ready;
        let letters: Vec<_> = about
            .map(|(id, about)| NewDelivery {
                id,
                kind,
                about: Subject::Invitation(about.organization, about.id),
                to: &about.email,
                emailed,
                requested_by,
            })
            .collect();
        store::deliveries::insert(self.db, &letters, self.now)?;
        self.queued |= emailed;
        Ok(())
    }

    /// Tells a person what happened to them: behind the bell, and by mail to `to` unless they switched that off.
    /// Answers whether a letter goes out.
    fn notify(
        &mut self,
        account: AccountId,
        to: &EmailAddress,
        what: &Notification,
    ) -> Result<bool, Failure> {
        let id = NotificationId(self.uuid());
        store::notifications::insert(self.db, account, id, what, self.now)?;
        if !self.means.rules.mail_ready
            || (what.kind.can_be_muted()
                && store::notifications::is_muted(self.db, account, what.kind)?)
        {
            return Ok(false);
        }
        let about = Subject::Notification(account, id);
        self.queue(LetterKind::Notice, about, to, true, None)?;
        Ok(true)
    }

    /// Queues a letter that asks to prove a mailbox; only the newest of its purpose works. Nothing without mail.
    fn ask_for_proof(
        &mut self,
        account: AccountId,
        purpose: ProofPurpose,
        email: &EmailAddress,
    ) -> Result<(), Failure> {
        if !self.means.rules.mail_ready {
            return Ok(());
        }
        // Before its proofs, as everywhere: see `accounts::lock`.
        if store::accounts::lock(self.db, account)?.is_none() {
            return Ok(());
        }
        store::proofs::close_all(self.db, account, purpose, self.now)?;
        let proof = Proof {
            id: ProofId(self.uuid()),
            account,
            purpose,
            email: email.clone(),
            link_version: self.means.links.current_version(),
            created_at: self.now,
            expires_at: self.now.plus(purpose.valid_for()),
            closed_at: None,
        };
        store::proofs::insert(self.db, &proof)?;
        let kind = match purpose {
            ProofPurpose::VerifyEmail => LetterKind::VerifyEmail,
            ProofPurpose::ResetPassword => LetterKind::ResetPassword,
        };
        let about = Subject::Proof(account, proof.id);
        self.queue(kind, about, email, true, Some(account))?;
        Ok(())
    }

    /// Notes that a mailbox was proved. The first proof ends what somebody else may have left open under this address:
    /// every other session, and every letter that could still move the account elsewhere (R-ACC-4). Answers whether
    /// this was the first.
    fn prove(&mut self, account: AccountId, keep: Option<SessionId>) -> Result<bool, Failure> {
        let first = store::accounts::set_verified(self.db, account, self.now)?;
        if first {
            store::sessions::delete_others(self.db, account, keep)?;
            store::proofs::close_all(self.db, account, ProofPurpose::VerifyEmail, self.now)?;
        }
        Ok(first)
    }

    fn queue(
        &mut self,
        kind: LetterKind,
        about: Subject,
        to: &EmailAddress,
        emailed: bool,
        requested_by: Option<AccountId>,
    ) -> Result<DeliveryId, Failure> {
        let id = DeliveryId(self.uuid());
        let emailed = emailed && self.means.rules.mail_ready;
        let new = NewDelivery {
            id,
            kind,
            about,
            to,
            emailed,
            requested_by,
        };
        store::deliveries::insert(self.db, &[new], self.now)?;
        self.queued |= emailed;
        Ok(id)
    }

    /// Signs a browser in: a new row, a new token. Where a newer version of a legal document waits to be accepted, the
    /// session shows nothing else until then (R-ACC-9).
    fn open_session(
        &mut self,
        account: AccountId,
        organization: Option<OrganizationId>,
        client: &Client,
    ) -> Result<SessionToken, Failure> {
        let id = SessionId(self.uuid());
        let due = consents::due(self, account)?;
        self.insert_session((id, account), organization, (self.now, due), client)
    }

    /// Gives the same session a new token; the old one lives on for a minute, for requests already on their way.
    fn renew_session(
        &mut self,
        actor: &Actor,
        organization: OrganizationId,
    ) -> Result<SessionToken, Failure> {
        let old = &actor.session;
        let ends_at = self.now.plus(GRACE);
        if !store::sessions::set_ending(self.db, old.key(), ends_at)? {
            // It was ended while this action waited for the organization: it must not come back to life.
            return Err(Failure::SignedOut);
        }
        self.add_token(actor, organization)
    }

    /// Ends every session of the actor, this one's tokens too, and gives this browser a new token at once: a copied
    /// cookie is worth nothing any more, not even for the usual last minute.
    fn replace_sessions(&mut self, actor: &Actor) -> Result<SessionToken, Failure> {
        let old = &actor.session;
        if !store::sessions::set_ending(self.db, old.key(), self.now)? {
            // It was ended while this action waited: it must not come back to life.
            return Err(Failure::SignedOut);
        }
        store::sessions::delete_others(self.db, old.account.id, None)?;
        self.insert_session(
            (old.id, old.account.id),
            old.organization,
            (old.created_at, old.consent_due_at),
            &actor.client,
        )
    }

    /// Gives the same session one more token.
    fn add_token(
        &mut self,
        actor: &Actor,
        organization: OrganizationId,
    ) -> Result<SessionToken, Failure> {
        let old = &actor.session;
        self.insert_session(
            (old.id, old.account.id),
            Some(organization),
            (old.created_at, old.consent_due_at),
            &actor.client,
        )
    }

    fn insert_session(
        &mut self,
        (id, account): (SessionId, AccountId),
        organization: Option<OrganizationId>,
        (created_at, consent_due_at): (Timestamp, Option<Timestamp>),
        client: &Client,
    ) -> Result<SessionToken, Failure> {
        let token = SessionToken::new(self.means.entropy.token());
        let new = store::sessions::NewSession {
            token_hash: &token.hash(),
            id,
            account,
            organization,
            created_at,
            consent_due_at,
            address: &client.address,
            agent: &client.agent,
        };
        store::sessions::insert(self.db, &new, self.now)?;
        Ok(token)
    }
}
