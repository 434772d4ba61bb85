-- The last indexes that were missing: with them a page of a list is one range of one index.

-- The open invitations of an address, newest first.
DROP INDEX invitations_by_invitee;
CREATE INDEX invitations_by_invitee ON invitations (email_key, id) WHERE state = 'pending';
-- Pending and replaced ones apart: neither list steps over the rows of the other.
DROP INDEX invitations_by_expiry;
CREATE INDEX invitations_by_expiry ON invitations (organization_id, state, expires_at, id) WHERE state IN ('pending', 'superseded');
-- The column is named although it is empty in every row: otherwise SQLite reads each row to see that, and so prefers all
-- notifications of the account.
DROP INDEX notifications_unread;
CREATE INDEX notifications_unread ON notifications (account_id, read_at, id) WHERE read_at IS NULL;
-- The newest proof of an account.
DROP INDEX proofs_by_account;
CREATE INDEX proofs_by_account ON proofs (account_id, purpose, id);
-- Those that remember an organization that is deleted.
CREATE INDEX sessions_by_organization ON sessions (organization_id) WHERE organization_id IS NOT NULL;
-- A page of members is read from the index alone, without a look at the table for each row.
DROP INDEX memberships_by_name;
CREATE INDEX memberships_by_name ON memberships (organization_id, name_key, account_id, role, joined_at, last_active_at);

-- How rows are spread, as SQLite keeps it (sqlite.org/fileformat2.html, "The sqlite_stat1 table"): rows in an index, and
-- rows that share its first column, its first two, … Without it SQLite takes an organization for ten rows, reads all of
-- them and sorts. The numbers are a large installation's and stay as they are, so that every file is read the same way:
-- do not run ANALYZE, it would count the file at hand. PostgreSQL counts by itself.
ANALYZE outbox;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('accounts', 'accounts', '1000000 1'),
    ('accounts', 'sqlite_autoindex_accounts_2', '1000000 1'),
    ('organizations', 'organizations', '10000 1'),
    ('organizations', 'sqlite_autoindex_organizations_2', '10000 1'),
    ('memberships', 'memberships', '1000000 10000 1 noskipscan'),
    ('memberships', 'memberships_by_account', '1000000 2'),
    ('memberships', 'memberships_by_name', '1000000 10000 2 1 1 1 1 noskipscan'),
    ('memberships', 'memberships_by_role', '1000000 10000 3000 2 1 noskipscan'),
    ('memberships', 'memberships_by_joining', '1000000 10000 2 1 noskipscan'),
    ('memberships', 'memberships_by_activity', '1000000 10000 2 1 noskipscan'),
    ('membership_words', 'membership_words', '3000000 30000 10 1 noskipscan'),
    ('membership_words', 'membership_words_by_member', '3000000 30000 3 noskipscan'),
    ('sessions', 'sessions', '1000000 1'),
    ('sessions', 'sessions_by_id', '1000000 2'),
    ('sessions', 'sessions_by_account', '1000000 2'),
    ('sessions', 'sessions_by_last_seen', '1000000 2'),
    ('sessions', 'sessions_by_end', '1000 1'),
    ('sessions', 'sessions_by_organization', '1000000 10000'),
    ('invitations', 'invitations', '1000000 10000 1 noskipscan'),
    ('invitations', 'invitations_by_id', '1000000 1'),
    ('invitations', 'invitations_one_pending', '100000 1000 1 noskipscan'),
    ('invitations', 'invitations_by_email', '1000000 10000 2 1 noskipscan'),
    ('invitations', 'invitations_by_expiry', '200000 2000 1000 2 1 noskipscan'),
    ('invitations', 'invitations_by_closing', '1000000 10000 3000 2 1 noskipscan'),
    ('invitations', 'invitations_by_invitee', '100000 2 1'),
    ('invitations', 'invitations_to_remind', '100000 2'),
    ('invitations', 'invitations_to_tell', '100000 2'),
    ('invitations', 'invitations_by_inviter', '100000 1000 100 noskipscan'),
    ('deliveries', 'deliveries', '1000000 1'),
    ('deliveries', 'deliveries_due', '1000 2 1'),
    ('deliveries', 'deliveries_by_invitation', '1000000 10000 2 1 noskipscan'),
    ('deliveries', 'deliveries_by_email', '1000000 10000 3 2 1 noskipscan'),
    ('audit_events', 'audit_events', '10000000 100000 1 noskipscan'),
    ('audit_events', 'audit_events_by_invitation', '10000000 100000 3 noskipscan'),
    ('audit_events', 'audit_events_by_subject', '10000000 100000 10 1 noskipscan'),
    ('audit_events', 'audit_events_by_account', '10000000 100000 1000 1 noskipscan'),
    ('audit_events', 'audit_events_by_target', '10000000 100000 5 1 noskipscan'),
    ('audit_events', 'audit_events_by_verb', '10000000 100000 10000 1 noskipscan'),
    ('quotas', 'quotas', '100000 10000 2 1 noskipscan'),
    ('quotas', 'quotas_by_window', '100000 100'),
    ('avatars', 'avatars', '100000 1'),
    ('avatars', 'avatars_by_account', '100000 1'),
    ('proofs', 'proofs', '100000 1'),
    ('proofs', 'proofs_by_account', '100000 3 2 1'),
    ('proofs', 'proofs_by_expiry', '100000 2'),
    ('notifications', 'notifications', '1000000 100 1'),
    ('notifications', 'notifications_unread', '100000 10 10 1'),
    ('notifications', 'notifications_by_time', '1000000 2'),
    ('muted_letters', 'muted_letters', '10000 3 1'),
    ('consents', 'consents', '1000000 4 2 1');
