-- Version 7. Released, so never changed again; `schema.sql` says what the columns mean.

ALTER TABLE api_token ADD COLUMN previous_hash BLOB CHECK (length(previous_hash) = 32);
ALTER TABLE api_token ADD COLUMN previous_until INTEGER;

CREATE UNIQUE INDEX api_token_previous ON api_token (previous_hash) WHERE previous_hash IS NOT NULL;
