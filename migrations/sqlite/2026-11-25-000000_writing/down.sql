DROP INDEX sessions_by_account;
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_organization ON sessions (organization_id) WHERE organization_id IS NOT NULL;
CREATE INDEX sessions_by_id ON sessions (id);
DROP INDEX invitations_by_inviter;
CREATE INDEX invitations_by_inviter ON invitations (organization_id, invited_by) WHERE state = 'pending';
DROP INDEX invitations_by_closing;
CREATE INDEX invitations_by_closing ON invitations (organization_id, state, closed_at, id);
DROP INDEX audit_events_by_subject;
CREATE INDEX audit_events_by_subject ON audit_events (organization_id, subject_id, id);
DROP INDEX deliveries_by_email;
CREATE INDEX deliveries_by_email ON deliveries (organization_id, email_key, kind, created_at);
CREATE INDEX deliveries_by_invitation ON deliveries (organization_id, invitation_id, id);
CREATE INDEX audit_events_by_invitation ON audit_events (organization_id, invitation_id);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('sessions', 'sessions_by_id', '1000000 2'),
    ('sessions', 'sessions_by_account', '1000000 2'),
    ('sessions', 'sessions_by_organization', '1000000 10000'),
    ('invitations', 'invitations_by_closing', '1000000 10000 3000 2 1 noskipscan'),
    ('invitations', 'invitations_by_inviter', '100000 1000 100 noskipscan'),
    ('deliveries', 'deliveries_by_invitation', '1000000 10000 2 1 noskipscan'),
    ('deliveries', 'deliveries_by_email', '1000000 10000 3 2 1 noskipscan'),
    ('audit_events', 'audit_events_by_invitation', '10000000 100000 3 noskipscan'),
    ('audit_events', 'audit_events_by_subject', '10000000 100000 10 1 noskipscan');
