//! Consents: who accepted which version of which legal document, and when. Rows are only added (R-ACC-9).

use super::{connection::Conn, error::Result, prepared::Prepare as _, schema::consents};
use crate::domain::{
    consent::{self, Accepted, LegalDocument},
    ids::AccountId,
    time::Timestamp,
};
use diesel::prelude::*;

/// Keeps that an account accepted these. What it had accepted before keeps its time.
pub fn insert(
    conn: &mut Conn,
    account: AccountId,
    documents: &[LegalDocument],
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<_> = documents
        .iter()
        .map(|document| {
            (
                consents::account_id.eq(account),
                consents::document.eq(&document.name),
                consents::version.eq(&document.version),
                consents::accepted_at.eq(now),
            )
        })
        .collect();
    for row in rows {
        on_each!(conn, conn => diesel::insert_into(consents::table).values(row).on_conflict_do_nothing().execute(conn))?;
    }
    Ok(())
}

/// Every document and version an account has accepted.
fn accepted(conn: &mut Conn, account: AccountId) -> Result<Vec<Accepted>> {
    Ok(consents::table
        .filter(consents::account_id.eq(account))
        .select((consents::document, consents::version))
        .prepared()
        .load(conn)?)
}

/// The current documents an account has yet to accept; asks nothing where there are none.
pub fn missing(
    conn: &mut Conn,
    account: AccountId,
    current: &[LegalDocument],
) -> Result<Vec<LegalDocument>> {
    if current.is_empty() {
        return Ok(Vec::new());
    }
    Ok(consent::missing(current, &accepted(conn, account)?))
}
