//! The tables, as both migration folders make them. A parity test compares all three.

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    accounts (id) {
        id -> DbUuid,
        email -> Text,
        email_key -> Text,
        name -> Text,
        password_hash -> Text,
        verified_at -> Nullable<DbTime>,
        created_at -> DbTime,
        avatar_id -> Nullable<DbUuid>,
        deleted_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    organizations (id) {
        id -> DbUuid,
        slug -> Text,
        name -> Text,
        member_count -> Integer,
        created_at -> DbTime,
        deleted_at -> Nullable<DbTime>,
        application_url -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    memberships (organization_id, account_id) {
        organization_id -> DbUuid,
        account_id -> DbUuid,
        role -> Text,
        name_key -> Text,
        joined_at -> DbTime,
        last_active_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    membership_words (organization_id, word, account_id) {
        organization_id -> DbUuid,
        word -> Text,
        account_id -> DbUuid,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    sessions (token_hash) {
        token_hash -> Binary,
        id -> DbUuid,
        account_id -> DbUuid,
        organization_id -> Nullable<DbUuid>,
        created_at -> DbTime,
        last_seen_at -> DbTime,
        ends_at -> Nullable<DbTime>,
        address -> Text,
        agent -> Text,
        consent_due_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    invitations (organization_id, id) {
        organization_id -> DbUuid,
        id -> DbUuid,
        email -> Text,
        email_key -> Text,
        role -> Text,
        note -> Nullable<Text>,
        state -> Text,
        invited_by -> DbUuid,
        created_at -> DbTime,
        expires_at -> DbTime,
        link_version -> Integer,
        exposed_at -> Nullable<DbTime>,
        delivery_id -> Nullable<DbUuid>,
        closed_at -> Nullable<DbTime>,
        closed_by -> Nullable<DbUuid>,
        reminded_at -> Nullable<DbTime>,
        lapse_told_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    deliveries (id) {
        id -> DbUuid,
        organization_id -> Nullable<DbUuid>,
        invitation_id -> Nullable<DbUuid>,
        kind -> Text,
        email -> Text,
        email_key -> Text,
        state -> Text,
        attempts -> Integer,
        due_at -> Nullable<DbTime>,
        lease_owner -> Nullable<DbUuid>,
        reason -> Nullable<Text>,
        requested_by -> Nullable<DbUuid>,
        created_at -> DbTime,
        finished_at -> Nullable<DbTime>,
        account_id -> Nullable<DbUuid>,
        notification_id -> Nullable<DbUuid>,
        proof_id -> Nullable<DbUuid>,
        faulted_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    audit_events (organization_id, id) {
        organization_id -> DbUuid,
        id -> DbUuid,
        at -> DbTime,
        account_id -> Nullable<DbUuid>,
        actor -> Nullable<Text>,
        verb -> Text,
        invitation_id -> Nullable<DbUuid>,
        target -> Nullable<Text>,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
        address -> Text,
        subject_id -> Nullable<DbUuid>,
        target_key -> Nullable<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    quotas (scope, subject, window_start) {
        scope -> Text,
        subject -> Text,
        window_start -> DbTime,
        used -> Integer,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    avatars (id) {
        id -> DbUuid,
        account_id -> DbUuid,
        image -> Binary,
        created_at -> DbTime,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    proofs (id) {
        id -> DbUuid,
        account_id -> DbUuid,
        purpose -> Text,
        email -> Text,
        email_key -> Text,
        link_version -> Integer,
        created_at -> DbTime,
        expires_at -> DbTime,
        closed_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    notifications (account_id, id) {
        account_id -> DbUuid,
        id -> DbUuid,
        kind -> Text,
        organization_id -> Nullable<DbUuid>,
        organization -> Nullable<Text>,
        organization_slug -> Nullable<Text>,
        invitation_id -> Nullable<DbUuid>,
        actor -> Nullable<Text>,
        subject -> Nullable<Text>,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
        at -> DbTime,
        read_at -> Nullable<DbTime>,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    muted_letters (account_id, kind) {
        account_id -> DbUuid,
        kind -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    consents (account_id, document, version) {
        account_id -> DbUuid,
        document -> Text,
        version -> Text,
        accepted_at -> DbTime,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer, Nullable, Text};
    use crate::store::types::{DbTime, DbUuid};

    outbox (name) {
        name -> Text,
        since -> Nullable<DbTime>,
        paused_until -> Nullable<DbTime>,
        tries -> Integer,
        reason -> Nullable<Text>,
        faulted_at -> Nullable<DbTime>,
        went_at -> Nullable<DbTime>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    accounts,
    organizations,
    memberships,
    membership_words,
    sessions,
    invitations,
    deliveries,
    audit_events,
    quotas,
    avatars,
    proofs,
    notifications,
    muted_letters,
    consents,
    outbox,
);

diesel::joinable!(memberships -> accounts (account_id));
diesel::joinable!(memberships -> organizations (organization_id));
diesel::joinable!(sessions -> accounts (account_id));
diesel::joinable!(invitations -> organizations (organization_id));
