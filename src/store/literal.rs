//! Conditions that stand in a statement letter for letter.
//!
//! SQLite uses a partial index only where the statement repeats the words of its `WHERE`; a bound value would keep it
//! away. PostgreSQL makes one plan for all values (see `connection.rs`), so where a value is rare, the text has to say
//! which one it is.
//!
//! Diesel's own `sql("…")` writes such words too, but a statement with it is prepared anew each time it runs, which costs
//! more than running it. These are types, so Diesel knows that the text never changes.

use super::schema::{invitations, memberships};
use crate::domain::role::Role;
use diesel::{
    QueryResult,
    backend::Backend,
    expression::{
        AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate::Never,
    },
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::Bool,
};

macro_rules! literal {
    ($(#[$doc:meta])* $name:ident = $words:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, QueryId)]
        pub(super) struct $name;

        impl Expression for $name {
            type SqlType = Bool;
        }

        impl<DB: Backend> QueryFragment<DB> for $name {
            fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
                pass.push_sql($words);
                Ok(())
            }
        }

        impl<Tables> SelectableExpression<Tables> for $name where
            invitations::state: SelectableExpression<Tables>
        {
        }
        impl<Tables> AppearsOnTable<Tables> for $name where
            invitations::state: AppearsOnTable<Tables>
        {
        }
        impl<Group> ValidGrouping<Group> for $name {
            type IsAggregate = Never;
        }
    };
}

literal! {
    /// The invitation waits for an answer, expired or not.
    IsPending = "invitations.state = 'pending'"
}

literal! {
    /// The invitation waits for an answer, or was replaced by a newer one after it had expired: the index of what ends by time.
    IsOpen = "invitations.state IN ('pending', 'superseded')"
}

literal! {
    /// The invitation had expired when a newer one replaced it.
    IsSuperseded = "invitations.state = 'superseded'"
}

literal! {
    /// The invitation is one for an admin.
    IsForAdmin = "invitations.role = 'admin'"
}

/// The membership has this role. One of four texts, so only for a query that is put together when it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct HasRole(pub(super) Role);

impl Expression for HasRole {
    type SqlType = Bool;
}

impl<DB: Backend> QueryFragment<DB> for HasRole {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        pass.push_sql("memberships.role = '");
        pass.push_sql(self.0.as_str());
        pass.push_sql("'");
        Ok(())
    }
}

impl SelectableExpression<memberships::table> for HasRole {}
impl AppearsOnTable<memberships::table> for HasRole {}
impl<Group> ValidGrouping<Group> for HasRole {
    type IsAggregate = Never;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{invitation::State, role::InvitableRole};
    use diesel::{debug_query, pg::Pg, sqlite::Sqlite};

    fn words(condition: &(impl QueryFragment<Pg> + QueryFragment<Sqlite>)) -> String {
        let said = |text: String| text.split(" -- binds").next().unwrap().to_owned();
        let sqlite = said(debug_query::<Sqlite, _>(condition).to_string());
        assert_eq!(said(debug_query::<Pg, _>(condition).to_string()), sqlite);
        sqlite
    }

    #[test]
    fn the_words_are_those_that_are_stored() {
        let (pending, superseded) = (State::Pending.as_str(), State::Superseded.as_str());
        let is = |state| format!("invitations.state = '{state}'");
        assert_eq!(words(&IsPending), is(pending));
        assert_eq!(words(&IsSuperseded), is(superseded));
        let either = format!("invitations.state IN ('{pending}', '{superseded}')");
        assert_eq!(words(&IsOpen), either);
        let admin = InvitableRole::Admin.as_str();
        assert_eq!(words(&IsForAdmin), format!("invitations.role = '{admin}'"));
        for role in Role::ALL {
            let is = format!("memberships.role = '{}'", role.as_str());
            assert_eq!(words(&HasRole(role)), is);
        }
    }
}
