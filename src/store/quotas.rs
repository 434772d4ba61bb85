//! Counters of limits, in the database: they hold across restarts and instances.

use super::{connection::Conn, error::Result, prepared::Prepare as _, schema::quotas};
use crate::domain::{quota::Quota, time::Timestamp};
use diesel::{prelude::*, upsert::excluded};

/// What is counted, for whom.
pub type Use<'a> = (Quota, &'a str);

/// Counts one of each quota, which are different ones. When any of them was used up: the instant at which the window of
/// the first such one ends. Then everything is counted all the same, and the caller undoes it or gives it back.
pub fn take(
    conn: &mut Conn,
    uses: &[Use<'_>],
    now: Timestamp,
) -> Result<std::result::Result<(), Timestamp>> {
    let rows = uses.iter().map(|(quota, subject)| {
        (
            quotas::scope.eq(quota.scope),
            quotas::subject.eq(*subject),
            quotas::window_start.eq(now.window(quota.window)),
            quotas::used.eq(1),
        )
    });
    macro_rules! count {
        ($rows:expr) => {
            diesel::insert_into(quotas::table)
                .values($rows)
                .on_conflict((quotas::scope, quotas::subject, quotas::window_start))
                .do_update()
                .set(quotas::used.eq(quotas::used + excluded(quotas::used)))
                .returning((quotas::scope, quotas::used))
                .prepared()
        };
    }
    let counted: Vec<(String, i32)> = match conn {
        Conn::Sqlite(conn) => rows
            .map(|row| RunQueryDsl::get_result(count!(row), conn))
            .collect::<QueryResult<_>>()?,
        // One way there and back for all.
        Conn::Postgres(conn) => RunQueryDsl::load(count!(rows.collect::<Vec<_>>()), conn)?,
    };
    let over = uses.iter().find(|(quota, _)| {
        counted.iter().any(|(scope, used)| {
            scope == quota.scope && u32::try_from(*used).unwrap_or(u32::MAX) > quota.limit
        })
    });
    Ok(match over {
        None => Ok(()),
        Some((quota, _)) => Err(now.window(quota.window).plus(quota.window)),
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
    .prepared()
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
