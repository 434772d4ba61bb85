-- Every index is a page more to write for a change, and of an organization's own nobody else's change shares it. These are
-- the ones that another index, or a smaller one, stands in for.

-- The events and letters of an invitation are found among those of its address.
UPDATE audit_events SET target_key = (
    SELECT i.email_key FROM invitations i WHERE i.organization_id = audit_events.organization_id AND i.id = audit_events.invitation_id
) WHERE target_key IS NULL AND invitation_id IS NOT NULL;
DROP INDEX audit_events_by_invitation;
DROP INDEX deliveries_by_invitation;
DROP INDEX deliveries_by_email;
CREATE INDEX deliveries_by_email ON deliveries (organization_id, email_key, id);
-- Events of members.
DROP INDEX audit_events_by_subject;
CREATE INDEX audit_events_by_subject ON audit_events (organization_id, subject_id, id) WHERE subject_id IS NOT NULL;
-- What waits has an index of its own.
DROP INDEX invitations_by_closing;
CREATE INDEX invitations_by_closing ON invitations (organization_id, state, closed_at, id) WHERE closed_at IS NOT NULL;
-- An inviter who goes takes the admins along, nobody else.
DROP INDEX invitations_by_inviter;
CREATE INDEX invitations_by_inviter ON invitations (organization_id, invited_by) WHERE state = 'pending' AND role = 'admin';
-- Whoever names a session knows whose it is. An organization that is gone is no longer looked for in sessions.
DROP INDEX sessions_by_id;
DROP INDEX sessions_by_organization;
DROP INDEX sessions_by_account;
CREATE INDEX sessions_by_account ON sessions (account_id, id);

-- How the rows of the new ones are spread: see the migration before this one. What was known of the old ones went with them.
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('deliveries', 'deliveries_by_email', '1000000 10000 3 1 noskipscan'),
    ('audit_events', 'audit_events_by_subject', '1000000 10000 10 1 noskipscan'),
    ('invitations', 'invitations_by_closing', '1000000 10000 3000 2 1 noskipscan'),
    ('invitations', 'invitations_by_inviter', '1000 10 2 noskipscan'),
    ('sessions', 'sessions_by_account', '1000000 2 1');
