-- Version 3. Released, so never changed again; `schema.sql` says what the columns mean.

CREATE TABLE member_sighting (
    network          BLOB NOT NULL,
    member           BLOB NOT NULL,
    number           INTEGER NOT NULL CHECK (number >= 0),
    first            INTEGER NOT NULL,
    last             INTEGER NOT NULL,
    ip               BLOB CHECK (length(ip) IN (4, 16)),
    port             INTEGER CHECK (port BETWEEN 0 AND 65535 AND (port IS NULL) = (ip IS NULL)),
    version_major    INTEGER,
    version_minor    INTEGER CHECK ((version_minor IS NULL) = (version_major IS NULL)),
    version_revision INTEGER CHECK ((version_revision IS NULL) = (version_major IS NULL)),
    version_protocol INTEGER CHECK ((version_protocol IS NULL) = (version_major IS NULL)),
    platform         TEXT NOT NULL CHECK (octet_length(platform) <= 64),
    PRIMARY KEY (network, member, number),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE verified_identity (
    address  BLOB PRIMARY KEY NOT NULL CHECK (length(address) = 5),
    key      BLOB NOT NULL CHECK (length(key) = 64),
    verified INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER member_removed AFTER DELETE ON member BEGIN
    DELETE FROM verified_identity WHERE address = OLD.address AND NOT EXISTS
        (SELECT 1 FROM member WHERE address = OLD.address AND identity IS NOT NULL);
END;

CREATE TABLE audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    time         INTEGER NOT NULL,
    actor        TEXT NOT NULL CHECK (octet_length(actor) <= 256),
    action       TEXT NOT NULL CHECK (octet_length(action) <= 64),
    network      BLOB CHECK (length(network) = 8),
    member       BLOB CHECK (length(member) = 5),
    value_before TEXT CHECK (octet_length(value_before) <= 65536),
    value_after  TEXT CHECK (octet_length(value_after) <= 65536)
) STRICT;

CREATE TABLE api_token (
    name      TEXT PRIMARY KEY NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256),
    hash      BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    scope     TEXT NOT NULL,
    created   INTEGER NOT NULL,
    last_used INTEGER NOT NULL,
    expires   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    id     INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    holder TEXT NOT NULL CHECK (octet_length(holder) BETWEEN 1 AND 256),
    hint   TEXT NOT NULL CHECK (octet_length(hint) <= 256),
    until  INTEGER NOT NULL
) STRICT;
