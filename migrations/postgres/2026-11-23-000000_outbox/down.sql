ALTER TABLE deliveries DROP COLUMN faulted_at;
DROP TABLE outbox;
