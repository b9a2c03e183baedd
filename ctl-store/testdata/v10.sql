-- A database of schema version 10 with something in every table. Never changed again.
PRAGMA application_id = 0x5a546374;
PRAGMA user_version = 10;
BEGIN TRANSACTION;
CREATE TABLE capability (
    network    BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    id         INTEGER NOT NULL CHECK (id BETWEEN 0 AND 4294967295),
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    rules      BLOB NOT NULL,
    PRIMARY KEY (network, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "capability" VALUES(X'8056C2E21C000001',4294967295,1,X'0100');
CREATE TABLE dns_server (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    ip       BLOB NOT NULL CHECK (length(ip) IN (4, 16)),
    PRIMARY KEY (network, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "dns_server" VALUES(X'8056C2E21C000001',0,X'0A930035');
CREATE TABLE join_token (
    network BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    token   TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (network, token)
) STRICT, WITHOUT ROWID;
INSERT INTO "join_token" VALUES(X'8056C2E21C000001','let me in',1795356999999);
CREATE TABLE member (
    network           BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    address           BLOB NOT NULL CHECK (length(address) = 5),
    revision          INTEGER NOT NULL,
    authorized        INTEGER NOT NULL CHECK (authorized IN (0, 1)),
    active_bridge     INTEGER NOT NULL CHECK (active_bridge IN (0, 1)),
    no_auto_assign    INTEGER NOT NULL CHECK (no_auto_assign IN (0, 1)),
    sso_exempt        INTEGER NOT NULL CHECK (sso_exempt IN (0, 1)),
    identity          BLOB CHECK (length(identity) = 71),
    name              TEXT,
    created           INTEGER NOT NULL,
    last_authorized   INTEGER NOT NULL,
    last_deauthorized INTEGER NOT NULL,
    credential        TEXT CHECK (credential IN ('api', 'public', 'token')),
    credential_token  TEXT CHECK ((credential IS 'token') = (credential_token IS NOT NULL)),
    sso_expires       INTEGER NOT NULL,
    version_major     INTEGER,
    version_minor     INTEGER CHECK ((version_minor IS NULL) = (version_major IS NULL)),
    version_revision  INTEGER CHECK ((version_revision IS NULL) = (version_major IS NULL)),
    version_protocol  INTEGER CHECK ((version_protocol IS NULL) = (version_major IS NULL)),
    trace_target      TEXT,
    trace_level       INTEGER NOT NULL,
    PRIMARY KEY (network, address)
) STRICT, WITHOUT ROWID;
INSERT INTO "member" VALUES(X'8056C2E21C000001',X'0000000001',1,0,0,1,1,NULL,NULL,1795356830107,0,1795356830108,NULL,NULL,-4,NULL,NULL,NULL,NULL,'abcdef0123',5);
INSERT INTO "member" VALUES(X'8056C2E21C000001',X'89E92CEEE5',3,1,1,0,0,X'89E92CEEE5001111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111100','router',1795356830105,1795356830106,0,'token','let me in',0,1,14,2,12,NULL,0);
INSERT INTO "member" VALUES(X'8056C2E21C0000F2',X'89E92CEEE5',2,1,0,0,0,X'89E92CEEE5001111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111100',NULL,1795356830109,1795356830110,0,'public',NULL,0,1,16,0,13,NULL,0);
CREATE TABLE member_address (
    network  BLOB NOT NULL,
    member   BLOB NOT NULL,
    position INTEGER NOT NULL CHECK (position >= 0),
    ip       BLOB NOT NULL CHECK (length(ip) IN (4, 16)),
    PRIMARY KEY (network, ip),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO "member_address" VALUES(X'8056C2E21C000001',X'0000000001',0,X'0A930003');
INSERT INTO "member_address" VALUES(X'8056C2E21C000001',X'89E92CEEE5',0,X'0A930002');
INSERT INTO "member_address" VALUES(X'8056C2E21C000001',X'89E92CEEE5',1,X'FD000000000000000000000000000002');
CREATE TABLE member_capability (
    network    BLOB NOT NULL,
    member     BLOB NOT NULL,
    position   INTEGER NOT NULL CHECK (position >= 0),
    capability INTEGER NOT NULL CHECK (capability BETWEEN 0 AND 4294967295),
    PRIMARY KEY (network, member, position),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO "member_capability" VALUES(X'8056C2E21C000001',X'89E92CEEE5',0,4294967295);
INSERT INTO "member_capability" VALUES(X'8056C2E21C000001',X'89E92CEEE5',1,5);
CREATE TABLE member_tag (
    network BLOB NOT NULL,
    member  BLOB NOT NULL,
    tag     INTEGER NOT NULL CHECK (tag BETWEEN 0 AND 4294967295),
    value   INTEGER NOT NULL CHECK (value BETWEEN 0 AND 4294967295),
    PRIMARY KEY (network, member, tag),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO "member_tag" VALUES(X'8056C2E21C000001',X'89E92CEEE5',1000,42);
CREATE TABLE network (
    id                BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 8),
    name              TEXT NOT NULL,
    private           INTEGER NOT NULL CHECK (private IN (0, 1)),
    created           INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    broadcast         INTEGER NOT NULL CHECK (broadcast IN (0, 1)),
    multicast_limit   INTEGER NOT NULL,
    mtu               INTEGER NOT NULL CHECK (mtu BETWEEN 0 AND 65535),
    v4_pool           INTEGER NOT NULL CHECK (v4_pool IN (0, 1)),
    v6_pool           INTEGER NOT NULL CHECK (v6_pool IN (0, 1)),
    v6_rfc4193        INTEGER NOT NULL CHECK (v6_rfc4193 IN (0, 1)),
    v6_sixplane       INTEGER NOT NULL CHECK (v6_sixplane IN (0, 1)),
    dns_domain        TEXT,
    rules             BLOB NOT NULL,
    rules_source      TEXT NOT NULL,
    trace_target      TEXT,
    trace_level       INTEGER NOT NULL,
    sso_enabled       INTEGER NOT NULL CHECK (sso_enabled IN (0, 1)),
    credential_window INTEGER
, rule_tests TEXT NOT NULL DEFAULT '', rule_tests_required INTEGER NOT NULL DEFAULT 0 CHECK (rule_tests_required IN (0, 1))) STRICT;
INSERT INTO "network" VALUES(X'8056C2E21C000001','büro',1,1795356830104,7,1,32,2800,1,0,1,0,'home.example',X'0100','accept;',NULL,0,0,NULL,'test x
  accept tcp 443',1);
INSERT INTO "network" VALUES(X'8056C2E21C0000F2','',0,0,-1,0,0,65535,0,1,0,1,NULL,X'','','0123456789',-2,1,-3,'',0);
CREATE TABLE pool (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    first    BLOB NOT NULL CHECK (length(first) IN (4, 16)),
    last     BLOB NOT NULL CHECK (length(last) = length(first)),
    PRIMARY KEY (network, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "pool" VALUES(X'8056C2E21C000001',0,X'0A930001',X'0A93FFFE');
INSERT INTO "pool" VALUES(X'8056C2E21C0000F2',0,X'FD000000000000000000000000000001',X'FD0000000000000000000000000000FF');
CREATE TABLE route (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 0),
    target   BLOB NOT NULL CHECK (length(target) IN (4, 16)),
    bits     INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 8 * length(target)),
    via      BLOB CHECK (length(via) = length(target)),
    PRIMARY KEY (network, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "route" VALUES(X'8056C2E21C000001',0,X'0A930000',16,NULL);
INSERT INTO "route" VALUES(X'8056C2E21C000001',1,X'00000000',0,X'0A930001');
INSERT INTO "route" VALUES(X'8056C2E21C0000F2',0,X'FD000000000000000000000000000000',8,X'FD000000000000000000000000000001');
CREATE TABLE tag (
    network       BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    id            INTEGER NOT NULL CHECK (id BETWEEN 0 AND 4294967295),
    default_value INTEGER CHECK (default_value BETWEEN 0 AND 4294967295),
    PRIMARY KEY (network, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "tag" VALUES(X'8056C2E21C000001',1000,NULL);
INSERT INTO "tag" VALUES(X'8056C2E21C000001',1001,7);
CREATE INDEX member_revision ON member (network, address, revision, authorized);
CREATE INDEX member_bridge ON member (network, address) WHERE active_bridge = 1 AND authorized = 1;
CREATE INDEX member_identity ON member (address) WHERE identity IS NOT NULL;
CREATE INDEX member_address_order ON member_address (network, member, position, ip);
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
INSERT INTO member_sighting VALUES (x'8056c2e21c000001',x'89e92ceee5',6,1795356830111,1795356830112,x'c0000201',9993,1,14,2,12,'linux/x86_64');
INSERT INTO member_sighting VALUES (x'8056c2e21c000001',x'89e92ceee5',7,1795356830113,1795356830114,NULL,NULL,NULL,NULL,NULL,NULL,'');
INSERT INTO verified_identity VALUES (x'89e92ceee5',x'11111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111',1795356830115);
INSERT INTO audit VALUES (41,1795356830116,'authtoken.secret','member.update',x'8056c2e21c000001',x'89e92ceee5','{"authorized":false}','{"authorized":true}');
INSERT INTO audit VALUES (42,1795356830117,'backup','backup',NULL,NULL,NULL,NULL);
INSERT INTO api_token VALUES ('monitoring',x'2222222222222222222222222222222222222222222222222222222222222222','read',1795356830118,0,1800000000000);
INSERT INTO lease VALUES (1,'process 7','host a',1795356890000);
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
UPDATE network SET passive_bridging = 1 WHERE id = x'8056c2e21c000001';
UPDATE member SET fingerprint = x'333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333333' WHERE network = x'8056c2e21c000001' AND address = x'0000000001';
INSERT INTO special_node VALUES (x'8056c2e21c000001','relay',0,x'89e92ceee5',x'c0000201',9993);
INSERT INTO special_node VALUES (x'8056c2e21c000001','anchor',0,x'0000000001',NULL,NULL);
INSERT INTO address_change VALUES (70,x'8056c2e21c000001',x'0a930002',1);
INSERT INTO address_change VALUES (71,x'8056c2e21c000001',x'0a930009',0);

CREATE TABLE network_extra (
    network BLOB PRIMARY KEY NOT NULL REFERENCES network (id) ON DELETE CASCADE,
    fields  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE member_extra (
    network BLOB NOT NULL,
    member  BLOB NOT NULL,
    fields  TEXT NOT NULL,
    PRIMARY KEY (network, member),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO network_extra VALUES (x'8056c2e21c000001','{"clientId":"x"}');
INSERT INTO member_extra VALUES (x'8056c2e21c000001',x'0000000001','{"lastRequestMetaData":"v=7"}');

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
INSERT INTO removed_network VALUES (x'8056c2e21c0000ff');
INSERT INTO revoked VALUES (x'8056c2e21c000001',x'0000000009',1795356830200);
INSERT INTO issued VALUES (1,1795356890000);
INSERT INTO pending VALUES (x'8056c2e21c000001',x'0000000001',1795356830300,x'c00002');

ALTER TABLE api_token ADD COLUMN previous_hash BLOB CHECK (length(previous_hash) = 32);
ALTER TABLE api_token ADD COLUMN previous_until INTEGER;

CREATE UNIQUE INDEX api_token_previous ON api_token (previous_hash) WHERE previous_hash IS NOT NULL;
UPDATE api_token SET previous_hash = x'4444444444444444444444444444444444444444444444444444444444444444', previous_until = 1795356999000;

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

ALTER TABLE audit ADD COLUMN caused INTEGER;

CREATE UNIQUE INDEX audit_caused ON audit (caused) WHERE caused IS NOT NULL;
INSERT INTO audit VALUES (43,1795356830118,'89e92ceee5','member.update',x'8056c2e21c000001',x'89e92ceee5','{"ipAssignments":[]}','{"ipAssignments":["10.147.0.5"]}',1);

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
INSERT INTO webhook VALUES (x'55555555555555555555555555555555','https://example.com/hook','büro',x'6666666666666666666666666666666666666666666666666666666666666666','member.authorized',x'8056c2e21c000001',1,1795356830200,1795356830300,NULL,0);
INSERT INTO webhook_delivery VALUES (1,x'55555555555555555555555555555555','{}',1795356830250,1,1795356830400,'status 500',0);
COMMIT;
