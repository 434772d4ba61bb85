//! Rows whose column is among what another query finds, found from there.

use diesel::{
    QueryResult,
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    pg::Pg,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::Bool,
    sqlite::Sqlite,
};

/// `column IN (query)`, for a query that usually finds little.
///
/// PostgreSQL cannot know how little and reads every row that may be meant beside it. An array it finds first, and then
/// looks each of its values up.
#[derive(Clone, Copy, Debug, QueryId)]
pub(super) struct Among<Column, Query> {
    column: Column,
    query: Query,
}

/// Whether `column` is among what `query` finds, which has this one column and knows nothing of the row.
pub(super) fn among<Column, Query>(column: Column, query: Query) -> Among<Column, Query> {
    Among { column, query }
}

impl<Column: Expression, Query> Expression for Among<Column, Query> {
    type SqlType = Bool;
}

impl<Column, Query> QueryFragment<Pg> for Among<Column, Query>
where
    Column: QueryFragment<Pg>,
    Query: QueryFragment<Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(");
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" = ANY(ARRAY(");
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(")))");
        Ok(())
    }
}

impl<Column, Query> QueryFragment<Sqlite> for Among<Column, Query>
where
    Column: QueryFragment<Sqlite>,
    Query: QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("(");
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (");
        self.query.walk_ast(out.reborrow())?;
        out.push_sql("))");
        Ok(())
    }
}

impl<Tables, Column, Query> SelectableExpression<Tables> for Among<Column, Query> where
    Column: SelectableExpression<Tables>
{
}
impl<Tables, Column, Query> AppearsOnTable<Tables> for Among<Column, Query> where
    Column: AppearsOnTable<Tables>
{
}
impl<Group, Column, Query> ValidGrouping<Group> for Among<Column, Query> {
    type IsAggregate = Never;
}
