//! Statements that a connection prepares once and keeps.
//!
//! Diesel keeps a statement where its text follows from its type. That leaves out every UPDATE, upserts, SQL given as
//! text and lists of values, for which there could be any number of texts; preparing one costs SQLite several times what
//! running it does, and PostgreSQL another way there and back. `MultiConnection` moreover writes the text of every query
//! anew, two or three times over. So what is asked often and has one text, or one of a few, says `prepared()`: it is kept,
//! and goes straight to the database behind [`Conn`].

use super::connection::Conn;
use diesel::{
    PgConnection, QueryResult, RunQueryDsl, SqliteConnection,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::methods::{ExecuteDsl, LoadQuery},
};

/// A statement with one text, or one of a few. It is found again by its type, or by that text.
#[derive(Clone, Copy, Debug, QueryId)]
pub(super) struct Prepared<Q>(Q);

/// Gives every statement its [`Prepared`].
pub(super) trait Prepare: Sized {
    /// Keeps the prepared statement. Not for what is put together at run time: each text that there may ever be stays in
    /// memory, once for each connection.
    fn prepared(self) -> Prepared<Self> {
        Prepared(self)
    }
}

impl<Q> Prepare for Q {}

impl<Q> Prepared<Q> {
    /// Runs the statement and answers how many rows it changed.
    pub(super) fn execute(self, conn: &mut Conn) -> QueryResult<usize>
    where
        Self: ExecuteDsl<SqliteConnection> + ExecuteDsl<PgConnection>,
    {
        on_each!(conn, conn => ExecuteDsl::execute(self, conn))
    }

    /// Every row.
    pub(super) fn load<'q, U>(self, conn: &mut Conn) -> QueryResult<Vec<U>>
    where
        Self: LoadQuery<'q, SqliteConnection, U> + LoadQuery<'q, PgConnection, U>,
    {
        on_each!(conn, conn => RunQueryDsl::load(self, conn))
    }

    /// The one row; `NotFound` without.
    pub(super) fn get_result<'q, U>(self, conn: &mut Conn) -> QueryResult<U>
    where
        Self: LoadQuery<'q, SqliteConnection, U> + LoadQuery<'q, PgConnection, U>,
    {
        on_each!(conn, conn => RunQueryDsl::get_result(self, conn))
    }
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Prepared<Q> {}

impl<Q, DB> QueryFragment<DB> for Prepared<Q>
where
    DB: Backend,
    Q: QueryFragment<DB>,
{
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}
