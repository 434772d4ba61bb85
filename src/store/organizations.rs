//! Organizations.

use super::{connection::Conn, error::Result, prepared::Prepare as _, schema::organizations};
use crate::domain::{ids::OrganizationId, organization::Organization, time::Timestamp};
use diesel::prelude::*;

type Row = (
    OrganizationId,
    String,
    String,
    i32,
    Option<String>,
    Option<Timestamp>,
);

fn organization((id, slug, name, member_count, application_url, deleted_at): Row) -> Organization {
    Organization {
        id,
        slug,
        name,
        member_count,
        application_url,
        deleted_at,
    }
}

/// The columns of [`Organization`], in the order of [`Row`].
const COLUMNS: (
    organizations::id,
    organizations::slug,
    organizations::name,
    organizations::member_count,
    organizations::application_url,
    organizations::deleted_at,
) = (
    organizations::id,
    organizations::slug,
    organizations::name,
    organizations::member_count,
    organizations::application_url,
    organizations::deleted_at,
);

/// Adds an organization; `false` when the slug is taken.
pub fn insert(conn: &mut Conn, organization: &Organization, now: Timestamp) -> Result<bool> {
    let values = (
        organizations::id.eq(organization.id),
        organizations::slug.eq(&organization.slug),
        organizations::name.eq(&organization.name),
        organizations::member_count.eq(organization.member_count),
        organizations::created_at.eq(now),
    );
    let added = on_each!(conn, conn => diesel::insert_into(organizations::table).values(values).on_conflict_do_nothing().execute(conn))?;
    Ok(added == 1)
}

/// The organization of an id, deleted ones too.
pub fn find(conn: &mut Conn, id: OrganizationId) -> Result<Option<Organization>> {
    let row = organizations::table
        .filter(organizations::id.eq(id))
        .select(COLUMNS)
        .prepared()
        .get_result::<Row>(conn)
        .optional()?;
    Ok(row.map(organization))
}

/// The organization, locked until the transaction ends: every change of members or invitations starts here, so that
/// two of them never decide on the same facts (R-ROLE-5). SQLite holds the write lock already; on PostgreSQL the lock
/// lets foreign keys be checked meanwhile.
pub fn lock(conn: &mut Conn, id: OrganizationId) -> Result<Option<Organization>> {
    if let Conn::Postgres(conn) = conn {
        let row = organizations::table
            .filter(organizations::id.eq(id))
            .select(COLUMNS)
            .for_no_key_update();
        return Ok(row.get_result::<Row>(conn).optional()?.map(organization));
    }
    find(conn, id)
}

/// [`lock`] for the organization of a slug; deleted ones are left out.
pub fn lock_by_slug(conn: &mut Conn, slug: &str) -> Result<Option<Organization>> {
    let open = organizations::table
        .filter(organizations::slug.eq(slug))
        .filter(organizations::deleted_at.is_null())
        .select(COLUMNS);
    let row = match conn {
        Conn::Postgres(conn) => open.for_no_key_update().get_result::<Row>(conn),
        conn @ Conn::Sqlite(_) => open.prepared().get_result::<Row>(conn),
    };
    Ok(row.optional()?.map(organization))
}

/// Adds `by` to the total that pages show. The organization is locked already.
pub fn add_members(conn: &mut Conn, id: OrganizationId, by: i32) -> Result<()> {
    diesel::update(organizations::table.filter(organizations::id.eq(id)))
        .set(organizations::member_count.eq(organizations::member_count + by))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Gives the organization another name; its part of the address stays.
pub fn set_name(conn: &mut Conn, id: OrganizationId, name: &str) -> Result<()> {
    diesel::update(organizations::table.filter(organizations::id.eq(id)))
        .set(organizations::name.eq(name))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Sets or takes away the address that members are led to.
pub fn set_application_url(conn: &mut Conn, id: OrganizationId, url: Option<&str>) -> Result<()> {
    diesel::update(organizations::table.filter(organizations::id.eq(id)))
        .set(organizations::application_url.eq(url))
        .prepared()
        .execute(conn)?;
    Ok(())
}

/// Marks the organization as deleted, without members. Its row stays: old links can say so, and nobody else gets its
/// part of the address.
pub fn set_deleted(conn: &mut Conn, id: OrganizationId, now: Timestamp) -> Result<()> {
    diesel::update(organizations::table.filter(organizations::id.eq(id)))
        .set((
            organizations::deleted_at.eq(now),
            organizations::member_count.eq(0),
        ))
        .execute(conn)?;
    Ok(())
}
