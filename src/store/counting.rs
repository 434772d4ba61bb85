//! Counting that stops: a page that counted every row would cost more, the more there are.

use super::error::Result;
use diesel::{
    QueryResult, RunQueryDsl,
    backend::Backend,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::methods::LoadQuery,
    serialize::ToSql,
    sql_types::{BigInt, HasSqlType},
};

/// `SELECT count(*) FROM (… LIMIT …)`: the database counts, and hands over one number.
#[derive(Clone, Copy, Debug, QueryId)]
pub(super) struct Counted<Q> {
    query: Q,
    most: i64,
}

/// How many rows a query without a limit of its own has, counting no further than `most`.
pub(super) fn counted<Q>(query: Q, most: i64) -> Counted<Q> {
    let most = most.max(0);
    Counted { query, most }
}

/// [`counted`], asked at once.
pub(super) fn count_up_to<'q, C, Q>(conn: &mut C, query: Q, most: i64) -> Result<i64>
where
    Counted<Q>: LoadQuery<'q, C, i64>,
{
    Ok(counted(query, most).get_result(conn)?)
}

impl<Q: Query> Query for Counted<Q> {
    type SqlType = BigInt;
}

impl<Q, C> RunQueryDsl<C> for Counted<Q> {}

impl<Q, DB> QueryFragment<DB> for Counted<Q>
where
    DB: Backend + HasSqlType<BigInt>,
    Q: QueryFragment<DB>,
    i64: ToSql<BigInt, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("SELECT count(*) FROM (");
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.most)?;
        out.push_sql(") AS counted");
        Ok(())
    }
}
