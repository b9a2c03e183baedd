-- Version 4. Released, so never changed again; `schema.sql` says what the columns mean.

ALTER TABLE network ADD COLUMN passive_bridging INTEGER NOT NULL DEFAULT 0 CHECK (passive_bridging IN (0, 1));

ALTER TABLE member ADD COLUMN fingerprint BLOB CHECK (length(fingerprint) = 48);

CREATE TABLE special_node (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    role     TEXT NOT NULL CHECK (role IN ('relay', 'anchor', 'replicator')),
    position INTEGER NOT NULL CHECK (position >= 0),
    address  BLOB NOT NULL CHECK (length(address) = 5),
    ip       BLOB CHECK (ip IS NULL OR (length(ip) IN (4, 16) AND role = 'relay')),
    port     INTEGER CHECK (port BETWEEN 0 AND 65535 AND (port IS NULL) = (ip IS NULL)),
    PRIMARY KEY (network, role, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE address_change (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    network BLOB NOT NULL,
    ip      BLOB NOT NULL,
    is_held INTEGER NOT NULL CHECK (is_held IN (0, 1))
) STRICT;

CREATE TRIGGER member_address_added AFTER INSERT ON member_address BEGIN
    INSERT INTO address_change (network, ip, is_held) VALUES (NEW.network, NEW.ip, 1);
END;

CREATE TRIGGER member_address_removed AFTER DELETE ON member_address BEGIN
    INSERT INTO address_change (network, ip, is_held) VALUES (OLD.network, OLD.ip, 0);
END;

CREATE TRIGGER member_address_changed AFTER UPDATE OF network, ip ON member_address BEGIN
    INSERT INTO address_change (network, ip, is_held) VALUES (OLD.network, OLD.ip, 0), (NEW.network, NEW.ip, 1);
END;

CREATE TRIGGER address_change_added AFTER INSERT ON address_change BEGIN
    DELETE FROM address_change WHERE number <= NEW.number - 10000;
END;
