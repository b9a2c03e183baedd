-- Version 11. Released, so never changed again; `schema.sql` says what the columns mean.

CREATE INDEX member_session ON member (sso_expires) WHERE sso_expires > 0;
