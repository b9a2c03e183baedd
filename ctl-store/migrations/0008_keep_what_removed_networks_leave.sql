-- Version 8. Released, so never changed again; `schema.sql` says what the columns mean.

-- What was revoked in a network is still to be told if one is made under the same id. The reference cannot be taken out of
-- the table, so it is made anew.
CREATE TEMPORARY TABLE kept AS SELECT network, member, since FROM revoked;
DROP TABLE revoked;

CREATE TABLE revoked (
    network BLOB NOT NULL CHECK (length(network) = 8),
    member  BLOB NOT NULL CHECK (length(member) = 5),
    since   INTEGER NOT NULL,
    PRIMARY KEY (network, member)
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_since ON revoked (since);

INSERT INTO revoked (network, member, since) SELECT network, member, since FROM kept;
DROP TABLE kept;

DROP INDEX pending_source;
CREATE INDEX pending_source ON pending (network, source, last_asked);
