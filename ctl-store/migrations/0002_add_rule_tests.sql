-- Version 2. Released, so never changed again; `schema.sql` says what the columns mean.

ALTER TABLE network ADD COLUMN rule_tests TEXT NOT NULL DEFAULT '';

ALTER TABLE network ADD COLUMN rule_tests_required INTEGER NOT NULL DEFAULT 0 CHECK (rule_tests_required IN (0, 1));
