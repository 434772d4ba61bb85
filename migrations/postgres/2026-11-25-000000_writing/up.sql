-- Every index is one more to write for a change. These are the ones that another index, or a smaller one, stands in for;
-- the new ones are made before the old ones go: until then everybody can read on.

-- The events and letters of an invitation are found among those of its address.
UPDATE audit_events SET target_key = (
    SELECT i.email_key FROM invitations i WHERE i.organization_id = audit_events.organization_id AND i.id = audit_events.invitation_id
) WHERE target_key IS NULL AND invitation_id IS NOT NULL;
CREATE INDEX new_deliveries_by_email ON deliveries (organization_id, email_key, id);
-- Events of members.
CREATE INDEX new_audit_events_by_subject ON audit_events (organization_id, subject_id, id) WHERE subject_id IS NOT NULL;
-- What waits has an index of its own.
CREATE INDEX new_invitations_by_closing ON invitations (organization_id, state, closed_at, id) WHERE closed_at IS NOT NULL;
-- An inviter who goes takes the admins along, nobody else.
CREATE INDEX new_invitations_by_inviter ON invitations (organization_id, invited_by) WHERE state = 'pending' AND role = 'admin';
-- Whoever names a session knows whose it is. An organization that is gone is no longer looked for in sessions.
CREATE INDEX new_sessions_by_account ON sessions (account_id, id);

DROP INDEX audit_events_by_invitation;
DROP INDEX audit_events_by_subject;
ALTER INDEX new_audit_events_by_subject RENAME TO audit_events_by_subject;
DROP INDEX deliveries_by_invitation;
DROP INDEX deliveries_by_email;
ALTER INDEX new_deliveries_by_email RENAME TO deliveries_by_email;
DROP INDEX invitations_by_closing;
ALTER INDEX new_invitations_by_closing RENAME TO invitations_by_closing;
DROP INDEX invitations_by_inviter;
ALTER INDEX new_invitations_by_inviter RENAME TO invitations_by_inviter;
DROP INDEX sessions_by_id;
DROP INDEX sessions_by_organization;
DROP INDEX sessions_by_account;
ALTER INDEX new_sessions_by_account RENAME TO sessions_by_account;
