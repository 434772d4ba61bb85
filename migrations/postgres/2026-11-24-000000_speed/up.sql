-- The last indexes that were missing: with them a page of a list is one range of one index. The new ones are made before
-- the old ones go: until then everybody can read on.

-- The open invitations of an address, newest first.
CREATE INDEX new_invitations_by_invitee ON invitations (email_key, id) WHERE state = 'pending';
-- Pending and replaced ones apart: neither list steps over the rows of the other.
CREATE INDEX new_invitations_by_expiry ON invitations (organization_id, state, expires_at, id) WHERE state IN ('pending', 'superseded');
-- The column is named for SQLite, which otherwise reads each row to see that it is empty. The folders stay the same.
CREATE INDEX new_notifications_unread ON notifications (account_id, read_at, id) WHERE read_at IS NULL;
-- The newest proof of an account.
CREATE INDEX new_proofs_by_account ON proofs (account_id, purpose, id);
-- Those that remember an organization that is deleted.
CREATE INDEX sessions_by_organization ON sessions (organization_id) WHERE organization_id IS NOT NULL;
-- A page of members is read from the index alone, without a look at the table for each row.
CREATE INDEX new_memberships_by_name ON memberships (organization_id, name_key, account_id, role, joined_at, last_active_at);

DROP INDEX invitations_by_invitee;
ALTER INDEX new_invitations_by_invitee RENAME TO invitations_by_invitee;
DROP INDEX invitations_by_expiry;
ALTER INDEX new_invitations_by_expiry RENAME TO invitations_by_expiry;
DROP INDEX notifications_unread;
ALTER INDEX new_notifications_unread RENAME TO notifications_unread;
DROP INDEX proofs_by_account;
ALTER INDEX new_proofs_by_account RENAME TO proofs_by_account;
DROP INDEX memberships_by_name;
ALTER INDEX new_memberships_by_name RENAME TO memberships_by_name;
