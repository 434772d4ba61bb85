-- Ids and instants are made by the program; instants are whole microseconds.
-- The SQLite folder keeps the same tables and columns in the same order.
-- Text that is sorted or searched by its start compares by bytes, as SQLite does.

CREATE TABLE accounts (
    id            UUID NOT NULL PRIMARY KEY,
    email         TEXT NOT NULL,
    email_key     TEXT COLLATE "C" NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    verified_at   TIMESTAMPTZ,
    created_at    TIMESTAMPTZ NOT NULL
);

CREATE TABLE organizations (
    id           UUID NOT NULL PRIMARY KEY,
    slug         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    -- Kept by the transaction that adds or removes a member: a page never counts.
    member_count INTEGER NOT NULL CHECK (member_count >= 0),
    created_at   TIMESTAMPTZ NOT NULL,
    deleted_at   TIMESTAMPTZ
);

CREATE TABLE memberships (
    organization_id UUID NOT NULL REFERENCES organizations (id),
    account_id      UUID NOT NULL REFERENCES accounts (id),
    role            TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
    -- The account's name, folded for sorting: kept here so that a page of members is one range of one index.
    name_key        TEXT COLLATE "C" NOT NULL,
    joined_at       TIMESTAMPTZ NOT NULL,
    last_active_at  TIMESTAMPTZ,
    PRIMARY KEY (organization_id, account_id)
);
CREATE INDEX memberships_by_account ON memberships (account_id);
CREATE INDEX memberships_by_name ON memberships (organization_id, name_key, account_id);
CREATE INDEX memberships_by_role ON memberships (organization_id, role, name_key, account_id);

-- The words by which a member is found; a search matches the start of a word.
CREATE TABLE membership_words (
    organization_id UUID NOT NULL,
    word            TEXT COLLATE "C" NOT NULL,
    account_id      UUID NOT NULL,
    PRIMARY KEY (organization_id, word, account_id),
    FOREIGN KEY (organization_id, account_id) REFERENCES memberships (organization_id, account_id) ON DELETE CASCADE
);
CREATE INDEX membership_words_by_member ON membership_words (organization_id, account_id);

CREATE TABLE sessions (
    -- SHA-256 of the random token in the cookie: nothing here lets anybody sign in.
    token_hash      BYTEA NOT NULL PRIMARY KEY,
    -- Stays when the token is renewed: for a minute two rows have the same.
    id              UUID NOT NULL,
    account_id      UUID NOT NULL REFERENCES accounts (id),
    -- The organization opened last, for pages outside any.
    organization_id UUID REFERENCES organizations (id),
    created_at      TIMESTAMPTZ NOT NULL,
    last_seen_at    TIMESTAMPTZ NOT NULL,
    -- Set when a newer token replaced this one.
    ends_at         TIMESTAMPTZ,
    address         TEXT NOT NULL,
    agent           TEXT NOT NULL
);
CREATE INDEX sessions_by_id ON sessions (id);
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_last_seen ON sessions (last_seen_at);
CREATE INDEX sessions_by_end ON sessions (ends_at) WHERE ends_at IS NOT NULL;

CREATE TABLE invitations (
    organization_id UUID NOT NULL REFERENCES organizations (id),
    id              UUID NOT NULL,
    email           TEXT NOT NULL,
    email_key       TEXT COLLATE "C" NOT NULL,
    role            TEXT NOT NULL CHECK (role IN ('admin', 'member', 'viewer')),
    note            TEXT,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'rejected', 'revoked', 'superseded')),
    invited_by      UUID NOT NULL REFERENCES accounts (id),
    created_at      TIMESTAMPTZ NOT NULL,
    expires_at      TIMESTAMPTZ NOT NULL,
    -- Which key made its link. The link itself is derived, never stored.
    link_version    INTEGER NOT NULL,
    exposed_at      TIMESTAMPTZ,
    -- The latest letter with its link.
    delivery_id     UUID,
    closed_at       TIMESTAMPTZ,
    closed_by       UUID REFERENCES accounts (id),
    PRIMARY KEY (organization_id, id),
    CHECK ((state = 'pending') = (closed_at IS NULL))
);
CREATE UNIQUE INDEX invitations_by_id ON invitations (id);
-- At most one pending invitation per organization and address (R-INV-4).
CREATE UNIQUE INDEX invitations_one_pending ON invitations (organization_id, email_key) WHERE state = 'pending';
CREATE INDEX invitations_by_email ON invitations (organization_id, email_key, id);
CREATE INDEX invitations_by_expiry ON invitations (organization_id, expires_at, id) WHERE state IN ('pending', 'superseded');
CREATE INDEX invitations_by_closing ON invitations (organization_id, state, closed_at, id);
CREATE INDEX invitations_by_invitee ON invitations (email_key) WHERE state = 'pending';

CREATE TABLE deliveries (
    id              UUID NOT NULL PRIMARY KEY,
    organization_id UUID REFERENCES organizations (id),
    invitation_id   UUID,
    kind            TEXT NOT NULL,
    -- To whom.
    email           TEXT NOT NULL,
    email_key       TEXT COLLATE "C" NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'handing', 'sent', 'failed', 'unknown', 'not_emailed', 'dropped')),
    attempts        INTEGER NOT NULL,
    -- Queued: when its turn comes. Sending or handing: when the lease ends. Finished: nothing.
    due_at          TIMESTAMPTZ,
    lease_owner     UUID,
    -- What the server said.
    reason          TEXT,
    requested_by    UUID REFERENCES accounts (id),
    created_at      TIMESTAMPTZ NOT NULL,
    finished_at     TIMESTAMPTZ,
    CHECK ((due_at IS NOT NULL) = (state IN ('queued', 'sending', 'handing')))
);
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_by_invitation ON deliveries (organization_id, invitation_id, id);
CREATE INDEX deliveries_by_email ON deliveries (organization_id, email_key, kind, created_at);

CREATE TABLE audit_events (
    organization_id UUID NOT NULL REFERENCES organizations (id),
    id              UUID NOT NULL,
    at              TIMESTAMPTZ NOT NULL,
    -- Who, and what they were called then. Nobody: the holder of a link who was not signed in.
    account_id      UUID,
    actor           TEXT,
    verb            TEXT NOT NULL,
    invitation_id   UUID,
    target          TEXT,
    before          TEXT,
    after           TEXT,
    -- From which network address.
    address         TEXT NOT NULL,
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX audit_events_by_invitation ON audit_events (organization_id, invitation_id);

-- Counters of limits: so many uses of a subject in the window that began then.
CREATE TABLE quotas (
    scope        TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL,
    window_start TIMESTAMPTZ NOT NULL,
    used         INTEGER NOT NULL,
    PRIMARY KEY (scope, subject, window_start)
);
CREATE INDEX quotas_by_window ON quotas (window_start);
