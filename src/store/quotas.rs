//! Counters of limits, in the database: they hold across restarts and instances.

use super::{connection::Conn, error::Result, schema::quotas};
use crate::domain::{quota::Quota, time::Timestamp};
use diesel::{prelude::*, upsert::excluded};

/// Uses one of `quota` for `subject`. When it is used up: the instant its window ends.
pub fn take(
    conn: &mut Conn,
    quota: Quota,
    subject: &str,
    now: Timestamp,
) -> Result<std::result::Result<(), Timestamp>> {
    let window = now.window(quota.window);
    let values = (
        quotas::scope.eq(quota.scope),
        quotas::subject.eq(subject),
        quotas::window_start.eq(window),
        quotas::used.eq(1),
    );
    let used: i32 = on_each!(conn, conn => diesel::insert_into(quotas::table)
        .values(values)
        .on_conflict((quotas::scope, quotas::subject, quotas::window_start))
        .do_update()
        .set(quotas::used.eq(quotas::used + excluded(quotas::used)))
        .returning(quotas::used)
        .get_result(conn))?;
    let within = u32::try_from(used).unwrap_or(u32::MAX) <= quota.limit;
    Ok(if within {
        Ok(())
    } else {
        Err(window.plus(quota.window))
    })
}

/// Whether `quota` has a use left for `subject`; when not: the instant its window ends.
pub fn peek(
    conn: &mut Conn,
    quota: Quota,
    subject: &str,
    now: Timestamp,
) -> Result<std::result::Result<(), Timestamp>> {
    let window = now.window(quota.window);
    let used = quotas::table
        .filter(quotas::scope.eq(quota.scope))
        .filter(quotas::subject.eq(subject))
        .filter(quotas::window_start.eq(window))
        .select(quotas::used)
        .get_result::<i32>(conn)
        .optional()?
        .unwrap_or(0);
    let left = u32::try_from(used).unwrap_or(u32::MAX) < quota.limit;
    Ok(if left {
        Ok(())
    } else {
        Err(window.plus(quota.window))
    })
}

/// Gives one use of `subject` in the current window back.
pub fn give_back(conn: &mut Conn, quota: Quota, subject: &str, now: Timestamp) -> Result<()> {
    diesel::update(
        quotas::table
            .filter(quotas::scope.eq(quota.scope))
            .filter(quotas::subject.eq(subject))
            .filter(quotas::window_start.eq(now.window(quota.window)))
            .filter(quotas::used.gt(0)),
    )
    .set(quotas::used.eq(quotas::used - 1))
    .execute(conn)?;
    Ok(())
}

/// Gives the uses of `subject` in the current window back.
pub fn reset(conn: &mut Conn, quota: Quota, subject: &str, now: Timestamp) -> Result<()> {
    diesel::delete(
        quotas::table
            .filter(quotas::scope.eq(quota.scope))
            .filter(quotas::subject.eq(subject))
            .filter(quotas::window_start.eq(now.window(quota.window))),
    )
    .execute(conn)?;
    Ok(())
}

/// Forgets windows that began before `before`, at most `most`, and answers how many.
pub fn delete_before(conn: &mut Conn, before: Timestamp, most: i64) -> Result<usize> {
    type Key = (String, String, Timestamp);
    let old = quotas::table
        .filter(quotas::window_start.lt(before))
        .order(quotas::window_start.asc())
        .limit(most)
        .select((quotas::scope, quotas::subject, quotas::window_start))
        .load::<Key>(conn)?;
    for (scope, subject, window) in &old {
        diesel::delete(
            quotas::table
                .filter(quotas::scope.eq(scope))
                .filter(quotas::subject.eq(subject))
                .filter(quotas::window_start.eq(window)),
        )
        .execute(conn)?;
    }
    Ok(old.len())
}
