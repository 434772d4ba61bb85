//! Rows whose column is among what several other queries all find.

use diesel::{
    QueryResult,
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment},
    sql_types::Bool,
    sqlite::Sqlite,
};

/// Whether a column is among what each of some queries finds.
///
/// SQLite asks one after the other. PostgreSQL, which cannot know how much each finds, may compare all that one finds
/// with all that another does: seconds, where both are a thousand. What all of them find it computes first.
#[derive(Clone, Debug)]
pub(super) struct Among<Column, Query> {
    column: Column,
    queries: Vec<Query>,
}

/// Whether `column` is among what each of `queries` finds: at least one, each with this one column, and none knows
/// anything of the row.
pub(super) fn among_all<Column, Found>(column: Column, queries: Vec<Found>) -> Among<Column, Found>
where
    Column: Expression,
    Found: Query<SqlType = Column::SqlType>,
{
    Among { column, queries }
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
        for (nth, query) in self.queries.iter().enumerate() {
            out.push_sql(if nth == 0 { " IN ((" } else { ") INTERSECT (" });
            query.walk_ast(out.reborrow())?;
        }
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
        for (nth, query) in self.queries.iter().enumerate() {
            out.push_sql(if nth == 0 { "(" } else { ") AND " });
            self.column.walk_ast(out.reborrow())?;
            out.push_sql(" IN (");
            query.walk_ast(out.reborrow())?;
        }
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
