CREATE TABLE removed_network (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 8)
) STRICT, WITHOUT ROWID;

CREATE TABLE revoked (
    network BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    member  BLOB NOT NULL CHECK (length(member) = 5),
    since   INTEGER NOT NULL,
    PRIMARY KEY (network, member)
) STRICT, WITHOUT ROWID;

CREATE INDEX revoked_since ON revoked (since);

CREATE TABLE issued (
    id    INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    until INTEGER NOT NULL
) STRICT;

CREATE TABLE pending (
    network    BLOB NOT NULL,
    member     BLOB NOT NULL,
    last_asked INTEGER NOT NULL,
    source     BLOB NOT NULL CHECK (length(source) IN (0, 3, 6)),
    PRIMARY KEY (network, member),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX pending_order ON pending (network, last_asked);

CREATE INDEX pending_source ON pending (network, source);

CREATE INDEX pending_age ON pending (last_asked);
