-- Version 9. Released, so never changed again; `schema.sql` says what the columns mean.

ALTER TABLE audit ADD COLUMN caused INTEGER;

CREATE UNIQUE INDEX audit_caused ON audit (caused) WHERE caused IS NOT NULL;
