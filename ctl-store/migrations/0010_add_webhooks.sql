-- Version 10. Released, so never changed again; `schema.sql` says what the columns mean.

CREATE TABLE webhook (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    url         TEXT NOT NULL CHECK (octet_length(url) BETWEEN 1 AND 2048),
    description TEXT NOT NULL CHECK (octet_length(description) <= 1024),
    secret      BLOB NOT NULL CHECK (length(secret) = 32),
    kinds       TEXT NOT NULL CHECK (octet_length(kinds) <= 1024),
    network     BLOB CHECK (length(network) = 8),
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created     INTEGER NOT NULL,
    delivered   INTEGER NOT NULL,
    failure     TEXT CHECK (octet_length(failure) <= 1024),
    dropped     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE webhook_delivery (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook  BLOB NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    body     TEXT NOT NULL CHECK (octet_length(body) <= 4096),
    created  INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next     INTEGER NOT NULL,
    failure  TEXT CHECK (octet_length(failure) <= 1024),
    dead     INTEGER NOT NULL CHECK (dead IN (0, 1))
) STRICT;

CREATE INDEX webhook_delivery_order ON webhook_delivery (webhook, dead, next);
