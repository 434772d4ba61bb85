//! How our values travel to both databases: ids as UUID or BLOB, instants as TIMESTAMPTZ or INTEGER, words as TEXT.

use super::connection::MultiBackend;
use crate::domain::{
    delivery::{DeliveryState, LetterKind},
    ids::{
        AccountId, AuditEventId, AvatarId, DeliveryId, InvitationId, NotificationId,
        OrganizationId, ProofId, SessionId,
    },
    invitation::State,
    notification::NotificationKind,
    proof::ProofPurpose,
    role::{InvitableRole, Role},
    time::Timestamp,
};
use diesel::{
    Queryable,
    backend::Backend,
    deserialize::{self, FromSql, FromStaticSqlRow},
    expression::AsExpression,
    internal::derives::as_expression::Bound,
    pg::Pg,
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{BigInt, HasSqlType, Nullable, SqlOrd, SqlType, Text, Timestamptz},
    sqlite::Sqlite,
};
use std::io::Write as _;
use uuid::Uuid;

/// An id: `UUID` on PostgreSQL, a 16-byte `BLOB` on SQLite.
#[derive(SqlType, QueryId, Clone, Copy, Debug)]
#[diesel(
    postgres_type(oid = 2950, array_oid = 2951),
    sqlite_type(name = "Binary")
)]
pub struct DbUuid;

/// An instant: `TIMESTAMPTZ` on PostgreSQL, microseconds in an `INTEGER` on SQLite.
#[derive(SqlType, QueryId, Clone, Copy, Debug)]
#[diesel(
    postgres_type(oid = 1184, array_oid = 1185),
    sqlite_type(name = "Long")
)]
pub struct DbTime;

impl SqlOrd for DbTime {}
impl SqlOrd for DbUuid {}

/// Microseconds from 1970 to 2000, where PostgreSQL starts counting.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Lets a type stand for a column of `$sql`, nullable or not, in queries and results.
macro_rules! column {
    ($rust:ty => $sql:ty) => {
        impl AsExpression<$sql> for $rust {
            type Expression = Bound<$sql, Self>;
            fn as_expression(self) -> Self::Expression {
                Bound::new(self)
            }
        }
        impl AsExpression<$sql> for &$rust {
            type Expression = Bound<$sql, Self>;
            fn as_expression(self) -> Self::Expression {
                Bound::new(self)
            }
        }
        impl AsExpression<Nullable<$sql>> for $rust {
            type Expression = Bound<Nullable<$sql>, Self>;
            fn as_expression(self) -> Self::Expression {
                Bound::new(self)
            }
        }
        impl AsExpression<Nullable<$sql>> for &$rust {
            type Expression = Bound<Nullable<$sql>, Self>;
            fn as_expression(self) -> Self::Expression {
                Bound::new(self)
            }
        }
        impl<DB: Backend> ToSql<Nullable<$sql>, DB> for $rust
        where
            Self: ToSql<$sql, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                ToSql::<$sql, DB>::to_sql(self, out)
            }
        }
        impl<ST, DB: Backend> Queryable<ST, DB> for $rust
        where
            Self: FromStaticSqlRow<ST, DB>,
        {
            type Row = Self;
            fn build(row: Self::Row) -> deserialize::Result<Self> {
                Ok(row)
            }
        }
    };
}

/// What [`MultiBackend`] needs to pass a value of our own SQL types on to the database behind it.
macro_rules! on_multi_backend {
    ($sql:ident: $($rust:ty),+ $(,)?) => {
        impl HasSqlType<$sql> for MultiBackend {
            fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
                MultiBackend::lookup_sql_type::<$sql>(lookup)
            }
        }
        $(
            impl ToSql<$sql, MultiBackend> for $rust {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
                    out.set_value(($sql, self));
                    Ok(IsNull::No)
                }
            }
            impl FromSql<$sql, MultiBackend> for $rust {
                fn from_sql(raw: <MultiBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                    raw.from_sql::<Self, $sql>()
                }
            }
        )+
    };
}

macro_rules! ids {
    ($($name:ident),+ $(,)?) => {
        $(
            impl ToSql<DbUuid, Pg> for $name {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                    out.write_all(self.0.as_bytes())?;
                    Ok(IsNull::No)
                }
            }
            impl FromSql<DbUuid, Pg> for $name {
                fn from_sql(raw: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                    Ok(Self(Uuid::from_slice(raw.as_bytes())?))
                }
            }
            impl ToSql<DbUuid, Sqlite> for $name {
                fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                    out.set_value(&self.0.as_bytes()[..]);
                    Ok(IsNull::No)
                }
            }
            impl FromSql<DbUuid, Sqlite> for $name {
                fn from_sql(mut raw: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                    Ok(Self(Uuid::from_slice(raw.read_blob())?))
                }
            }
            column!($name => DbUuid);
        )+
        on_multi_backend!(DbUuid: $($name),+);
    };
}
ids!(
    AccountId,
    OrganizationId,
    InvitationId,
    DeliveryId,
    SessionId,
    AuditEventId,
    NotificationId,
    ProofId,
    AvatarId
);

impl ToSql<DbTime, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let value = diesel::data_types::PgTimestamp(self.micros().saturating_sub(POSTGRES_EPOCH));
        ToSql::<Timestamptz, Pg>::to_sql(&value, &mut out.reborrow())
    }
}

impl FromSql<DbTime, Pg> for Timestamp {
    fn from_sql(raw: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let value: diesel::data_types::PgTimestamp = FromSql::<Timestamptz, Pg>::from_sql(raw)?;
        Ok(Self::from_micros(value.0.saturating_add(POSTGRES_EPOCH)))
    }
}

impl ToSql<DbTime, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.micros());
        Ok(IsNull::No)
    }
}

impl FromSql<DbTime, Sqlite> for Timestamp {
    fn from_sql(raw: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(raw).map(Self::from_micros)
    }
}

column!(Timestamp => DbTime);
on_multi_backend!(DbTime: Timestamp);

fn word_of<T>(word: &str, parse: impl FnOnce(&str) -> Option<T>) -> deserialize::Result<T> {
    parse(word).ok_or_else(|| {
        let kind = std::any::type_name::<T>();
        format!("{kind}: unknown word {word:?}").into()
    })
}

/// Enums are the word of their `as_str` on both databases; a word we do not know is an error, not a guess.
macro_rules! words {
    ($($name:ident),+ $(,)?) => {$(
        impl<DB: Backend> ToSql<Text, DB> for $name
        where
            str: ToSql<Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
                <str as ToSql<Text, DB>>::to_sql(self.as_str(), out)
            }
        }
        impl FromSql<Text, Pg> for $name {
            fn from_sql(raw: <Pg as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                word_of(std::str::from_utf8(raw.as_bytes())?, Self::parse)
            }
        }
        impl FromSql<Text, Sqlite> for $name {
            fn from_sql(mut raw: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                word_of(raw.read_text(), Self::parse)
            }
        }
        impl FromSql<Text, MultiBackend> for $name {
            fn from_sql(raw: <MultiBackend as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
                raw.from_sql::<Self, Text>()
            }
        }
        column!($name => Text);
    )+};
}
words!(
    Role,
    InvitableRole,
    State,
    LetterKind,
    DeliveryState,
    NotificationKind,
    ProofPurpose
);
