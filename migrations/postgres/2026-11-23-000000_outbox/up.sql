-- The outbox as a whole: whether it is paused because the mail server does not take letters from this Roster at all.
-- The SQLite folder keeps the same tables and columns in the same order.
CREATE TABLE outbox (
    name         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Paused: since when, until when nobody tries, how often a try has met the fault, and the mail server's words.
    since        TIMESTAMPTZ,
    paused_until TIMESTAMPTZ,
    tries        INTEGER NOT NULL,
    reason       TEXT,
    -- When the fault was last met, and when a letter first went through after that.
    faulted_at   TIMESTAMPTZ,
    went_at      TIMESTAMPTZ,
    CHECK ((since IS NULL) = (paused_until IS NULL))
);
INSERT INTO outbox (name, tries) VALUES ('mail', 0);

-- When this letter last met such a fault.
ALTER TABLE deliveries ADD COLUMN faulted_at TIMESTAMPTZ;
