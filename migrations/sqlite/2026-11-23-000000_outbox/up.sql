-- The outbox as a whole: whether it is paused because the mail server does not take letters from this Roster at all.
-- The PostgreSQL folder keeps the same tables and columns in the same order.
CREATE TABLE outbox (
    name         TEXT NOT NULL PRIMARY KEY,
    -- Paused: since when, until when nobody tries, how often a try has met the fault, and the mail server's words.
    since        INTEGER,
    paused_until INTEGER,
    tries        INTEGER NOT NULL,
    reason       TEXT,
    -- When the fault was last met, and when a letter first went through after that.
    faulted_at   INTEGER,
    went_at      INTEGER,
    CHECK ((since IS NULL) = (paused_until IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO outbox (name, tries) VALUES ('mail', 0);

-- When this letter last met such a fault.
ALTER TABLE deliveries ADD COLUMN faulted_at INTEGER;
