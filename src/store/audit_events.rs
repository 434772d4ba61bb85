//! The audit log: appended in the transaction of the change, never edited.

use super::{connection::Conn, error::Result, schema::audit_events};
use crate::domain::{
    audit::Event,
    ids::{AccountId, AuditEventId, OrganizationId},
    time::Timestamp,
};
use diesel::prelude::*;

/// Who did it, and from where.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The account and what it was called then; nobody when a link's holder was not signed in.
    pub account: Option<(AccountId, &'a str)>,
    /// The client's network address.
    pub address: &'a str,
}

/// Appends one event.
pub fn append(
    conn: &mut Conn,
    organization: OrganizationId,
    id: AuditEventId,
    by: By<'_>,
    event: &Event,
    at: Timestamp,
) -> Result<()> {
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::organization_id.eq(organization),
            audit_events::id.eq(id),
            audit_events::at.eq(at),
            audit_events::account_id.eq(by.account.map(|(id, _)| id)),
            audit_events::actor.eq(by.account.map(|(_, name)| name)),
            audit_events::verb.eq(event.verb.as_str()),
            audit_events::invitation_id.eq(event.invitation),
            audit_events::target.eq(event.target.as_deref()),
            audit_events::before.eq(event.before),
            audit_events::after.eq(event.after),
            audit_events::address.eq(by.address),
        ))
        .execute(conn)?;
    Ok(())
}
