-- People, organizations and accounts: what a membership needs after the first invitation was accepted.
-- The PostgreSQL folder keeps the same tables and columns in the same order.

-- Which picture; none: the initials are drawn.
ALTER TABLE accounts ADD COLUMN avatar_id BLOB;
-- The row stays when a person deletes their account: history names it.
ALTER TABLE accounts ADD COLUMN deleted_at INTEGER;

-- Where members go instead of Roster's own page of the organization (R-ACC-10).
ALTER TABLE organizations ADD COLUMN application_url TEXT;

-- Set at sign-in when a newer version of a legal document waits to be accepted (R-ACC-9).
ALTER TABLE sessions ADD COLUMN consent_due_at INTEGER;

-- When the invitee was reminded, and when the inviter was told that it lapsed: once each (R-INV-16).
ALTER TABLE invitations ADD COLUMN reminded_at INTEGER;
ALTER TABLE invitations ADD COLUMN lapse_told_at INTEGER;
CREATE INDEX invitations_to_remind ON invitations (expires_at) WHERE state = 'pending' AND reminded_at IS NULL;
CREATE INDEX invitations_to_tell ON invitations (expires_at) WHERE state = 'pending' AND lapse_told_at IS NULL;
CREATE INDEX invitations_by_inviter ON invitations (organization_id, invited_by) WHERE state = 'pending';

-- What a letter that is not about an invitation is written from.
ALTER TABLE deliveries ADD COLUMN account_id BLOB REFERENCES accounts (id);
ALTER TABLE deliveries ADD COLUMN notification_id BLOB;
ALTER TABLE deliveries ADD COLUMN proof_id BLOB;

-- On whom; the target column keeps what they were called then.
ALTER TABLE audit_events ADD COLUMN subject_id BLOB;
-- The target as it is compared, where it is an address: finds people who left.
ALTER TABLE audit_events ADD COLUMN target_key TEXT;
CREATE INDEX audit_events_by_subject ON audit_events (organization_id, subject_id, id);
CREATE INDEX audit_events_by_account ON audit_events (organization_id, account_id, id);
CREATE INDEX audit_events_by_target ON audit_events (organization_id, target_key, id);
CREATE INDEX audit_events_by_verb ON audit_events (organization_id, verb, id);

CREATE INDEX memberships_by_joining ON memberships (organization_id, joined_at, account_id);
CREATE INDEX memberships_by_activity ON memberships (organization_id, last_active_at, account_id);

-- Pictures, as Roster itself encoded them.
CREATE TABLE avatars (
    id         BLOB NOT NULL PRIMARY KEY,
    account_id BLOB NOT NULL REFERENCES accounts (id),
    image      BLOB NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX avatars_by_account ON avatars (account_id);

-- Letters that ask for a proof of a mailbox: the link is derived from id and key, never stored.
CREATE TABLE proofs (
    id           BLOB NOT NULL PRIMARY KEY,
    account_id   BLOB NOT NULL REFERENCES accounts (id),
    purpose      TEXT NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    -- Which mailbox: the account's own, or the one it is to get.
    email        TEXT NOT NULL,
    email_key    TEXT NOT NULL,
    link_version INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    -- Used, or replaced by a newer one.
    closed_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX proofs_by_account ON proofs (account_id, purpose);
CREATE INDEX proofs_by_expiry ON proofs (expires_at);

-- What happened to a person, for the bell. Names are what they were then.
CREATE TABLE notifications (
    account_id        BLOB NOT NULL REFERENCES accounts (id),
    id                BLOB NOT NULL,
    kind              TEXT NOT NULL,
    organization_id   BLOB REFERENCES organizations (id),
    organization      TEXT,
    organization_slug TEXT,
    invitation_id     BLOB,
    -- Who did it.
    actor             TEXT,
    -- Whom or what else it is about.
    subject           TEXT,
    before            TEXT,
    after             TEXT,
    at                INTEGER NOT NULL,
    read_at           INTEGER,
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_unread ON notifications (account_id) WHERE read_at IS NULL;
CREATE INDEX notifications_by_time ON notifications (at);

-- Kinds of notification that a person does not want by mail.
CREATE TABLE muted_letters (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    kind       TEXT NOT NULL,
    PRIMARY KEY (account_id, kind)
) STRICT, WITHOUT ROWID;

-- Which version of which legal document an account accepted, and when (R-ACC-9).
CREATE TABLE consents (
    account_id  BLOB NOT NULL REFERENCES accounts (id),
    document    TEXT NOT NULL,
    version     TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, document, version)
) STRICT, WITHOUT ROWID;
