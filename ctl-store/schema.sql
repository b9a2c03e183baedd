-- The database of the controller as the newest release lays it out; `docs/storage.md` explains it.
-- No program runs this file. The migrations build the same, and a test holds them to it.
--
-- application_id  0x5a546374, "ZTct": tells the file from other programs' databases
-- user_version    number of migrations applied
--
-- Unless a column says otherwise:
--   time     milliseconds since 1970-01-01 UTC
--   flag     0 or 1
--   u64      an unsigned 64-bit number whose bits are kept as a signed one
--   ip       an IP address, big-endian: 4 bytes are IPv4, 16 bytes are IPv6
--   position 0, 1, 2, …: the place in the list as it was given

CREATE TABLE network (
    id                BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 8),     -- network id, 8 bytes, big-endian
    name              TEXT NOT NULL,                                        -- any length
    private           INTEGER NOT NULL CHECK (private IN (0, 1)),           -- flag: members need authorization
    created           INTEGER NOT NULL,                                     -- time
    revision          INTEGER NOT NULL,                                     -- u64, one more with each change
    broadcast         INTEGER NOT NULL CHECK (broadcast IN (0, 1)),         -- flag
    multicast_limit   INTEGER NOT NULL,                                     -- u64, recipients per multicast
    mtu               INTEGER NOT NULL CHECK (mtu BETWEEN 0 AND 65535),     -- bytes
    v4_pool           INTEGER NOT NULL CHECK (v4_pool IN (0, 1)),           -- flag: IPv4 from the pools
    v6_pool           INTEGER NOT NULL CHECK (v6_pool IN (0, 1)),           -- flag: IPv6 from the pools
    v6_rfc4193        INTEGER NOT NULL CHECK (v6_rfc4193 IN (0, 1)),        -- flag: computed /128 in a /88
    v6_sixplane       INTEGER NOT NULL CHECK (v6_sixplane IN (0, 1)),       -- flag: computed /80 per member
    dns_domain        TEXT,                                                 -- null: DNS was never set
    rules             BLOB NOT NULL,                                        -- rule table, binary, `vl2.md` §6.1
    rules_source      TEXT NOT NULL,                                        -- of the rules language, or a rule editor's
    trace_target      TEXT,                                                 -- ten characters; null: none
    trace_level       INTEGER NOT NULL,                                     -- u64, no unit
    sso_enabled       INTEGER NOT NULL CHECK (sso_enabled IN (0, 1)),       -- flag
    credential_window INTEGER,                                              -- u64, milliseconds; null: the default
    rule_tests        TEXT NOT NULL DEFAULT '',                             -- tests of the rules, `docs/rules.md`
    rule_tests_required INTEGER NOT NULL DEFAULT 0 CHECK (rule_tests_required IN (0, 1)), -- flag: failing refuses a change
    passive_bridging  INTEGER NOT NULL DEFAULT 0 CHECK (passive_bridging IN (0, 1))       -- flag: for clients to 1.2.4
) STRICT;

CREATE TABLE route (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,       -- network.id
    position INTEGER NOT NULL CHECK (position >= 0),                        -- position
    target   BLOB NOT NULL CHECK (length(target) IN (4, 16)),               -- ip, host bits as given
    bits     INTEGER NOT NULL CHECK (bits BETWEEN 0 AND 8 * length(target)), -- prefix length, bits
    via      BLOB CHECK (length(via) = length(target)),                     -- ip of the gateway; null: none
    PRIMARY KEY (network, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE pool (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,       -- network.id
    position INTEGER NOT NULL CHECK (position >= 0),                        -- position
    first    BLOB NOT NULL CHECK (length(first) IN (4, 16)),                -- ip, included
    last     BLOB NOT NULL CHECK (length(last) = length(first)),            -- ip, included
    PRIMARY KEY (network, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE special_node (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,       -- network.id
    role     TEXT NOT NULL CHECK (role IN ('relay', 'anchor', 'replicator')), -- what members use it for
    position INTEGER NOT NULL CHECK (position >= 0),                        -- position among those of its role
    address  BLOB NOT NULL CHECK (length(address) = 5),                     -- node address, 5 bytes, big-endian
    ip       BLOB CHECK (ip IS NULL OR (length(ip) IN (4, 16) AND role = 'relay')), -- ip where a relay is; null: not known
    port     INTEGER CHECK (port BETWEEN 0 AND 65535 AND (port IS NULL) = (ip IS NULL)), -- UDP port, likewise
    PRIMARY KEY (network, role, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE dns_server (
    network  BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,       -- network.id
    position INTEGER NOT NULL CHECK (position >= 0),                        -- position
    ip       BLOB NOT NULL CHECK (length(ip) IN (4, 16)),                   -- ip
    PRIMARY KEY (network, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE capability (
    network    BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,     -- network.id
    id         INTEGER NOT NULL CHECK (id BETWEEN 0 AND 4294967295),        -- capability id, 32 bits
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),               -- flag: new members get it
    rules      BLOB NOT NULL,                                               -- rule table, binary, `vl2.md` §6.1
    PRIMARY KEY (network, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag (
    network       BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,  -- network.id
    id            INTEGER NOT NULL CHECK (id BETWEEN 0 AND 4294967295),     -- tag id, 32 bits
    default_value INTEGER CHECK (default_value BETWEEN 0 AND 4294967295),   -- 32 bits; null: none
    PRIMARY KEY (network, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE join_token (
    network BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE,        -- network.id
    token   TEXT NOT NULL,                                                  -- secret that a node presents
    expires INTEGER NOT NULL,                                               -- time; 0: never
    PRIMARY KEY (network, token)
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    network           BLOB NOT NULL REFERENCES network (id) ON DELETE CASCADE, -- network.id
    address           BLOB NOT NULL CHECK (length(address) = 5),            -- node address, 5 bytes, big-endian
    revision          INTEGER NOT NULL,                                     -- u64, one more with each change
    authorized        INTEGER NOT NULL CHECK (authorized IN (0, 1)),        -- flag
    active_bridge     INTEGER NOT NULL CHECK (active_bridge IN (0, 1)),     -- flag
    no_auto_assign    INTEGER NOT NULL CHECK (no_auto_assign IN (0, 1)),    -- flag: no address from the pools
    sso_exempt        INTEGER NOT NULL CHECK (sso_exempt IN (0, 1)),        -- flag
    identity          BLOB CHECK (length(identity) = 71),                   -- public, binary, `vl1.md` §3; null: unknown
    name              TEXT,                                                 -- any length; null: never set
    created           INTEGER NOT NULL,                                     -- time
    last_authorized   INTEGER NOT NULL,                                     -- time; 0: never
    last_deauthorized INTEGER NOT NULL,                                     -- time; 0: never
    credential        TEXT CHECK (credential IN ('api', 'public', 'token')), -- through what it was last authorized
    credential_token  TEXT CHECK ((credential IS 'token') = (credential_token IS NOT NULL)), -- the token, if it was one
    sso_expires       INTEGER NOT NULL,                                     -- time at which the session ends; 0: none
    version_major     INTEGER,                                              -- u64, of the client; null: unknown
    version_minor     INTEGER CHECK ((version_minor IS NULL) = (version_major IS NULL)),    -- u64, likewise
    version_revision  INTEGER CHECK ((version_revision IS NULL) = (version_major IS NULL)), -- u64, likewise
    version_protocol  INTEGER CHECK ((version_protocol IS NULL) = (version_major IS NULL)), -- u64, likewise
    trace_target      TEXT,                                                 -- ten characters; null: none
    trace_level       INTEGER NOT NULL,                                     -- u64, no unit
    fingerprint       BLOB CHECK (length(fingerprint) = 48),                -- SHA-384 of the identity; null: not named
    PRIMARY KEY (network, address)
) STRICT, WITHOUT ROWID;

-- Answers "which members, at which revision" and counts them without reading the wide rows.
CREATE INDEX member_revision ON member (network, address, revision, authorized);

-- Every decision needs the few bridges of a network, however many members it has.
CREATE INDEX member_bridge ON member (network, address) WHERE active_bridge = 1 AND authorized = 1;

-- Finds the identity of a node whatever its networks: without it, that reads every member there is.
CREATE INDEX member_identity ON member (address) WHERE identity IS NOT NULL;

-- Finds the sessions that end now, of which there are few at a time, and where nobody logs in none.
CREATE INDEX member_session ON member (sso_expires) WHERE sso_expires > 0;

CREATE TABLE member_address (
    network  BLOB NOT NULL,                                                 -- member.network
    member   BLOB NOT NULL,                                                 -- member.address
    position INTEGER NOT NULL CHECK (position >= 0),                        -- position
    ip       BLOB NOT NULL CHECK (length(ip) IN (4, 16)),                   -- ip
    PRIMARY KEY (network, ip),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- The key above finds the holder of an address, and all that are taken; this one finds those of a member.
CREATE INDEX member_address_order ON member_address (network, member, position, ip);

-- The last changes of the table above, so that whoever knows which addresses are held can catch up.
CREATE TABLE address_change (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,                              -- ascending in the order of the changes
    network BLOB NOT NULL,                                                  -- network.id
    ip      BLOB NOT NULL,                                                  -- ip
    is_held INTEGER NOT NULL CHECK (is_held IN (0, 1))                      -- flag: a member has it from then on
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

CREATE TABLE member_tag (
    network BLOB NOT NULL,                                                  -- member.network
    member  BLOB NOT NULL,                                                  -- member.address
    tag     INTEGER NOT NULL CHECK (tag BETWEEN 0 AND 4294967295),          -- tag id, 32 bits, defined or not
    value   INTEGER NOT NULL CHECK (value BETWEEN 0 AND 4294967295),        -- 32 bits
    PRIMARY KEY (network, member, tag),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE member_capability (
    network    BLOB NOT NULL,                                               -- member.network
    member     BLOB NOT NULL,                                               -- member.address
    position   INTEGER NOT NULL CHECK (position >= 0),                      -- position
    capability INTEGER NOT NULL CHECK (capability BETWEEN 0 AND 4294967295), -- capability id, 32 bits, defined or not
    PRIMARY KEY (network, member, position),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- When and from where members asked: the newest rows of each member, one for each change of what they asked with.
CREATE TABLE member_sighting (
    network          BLOB NOT NULL,                                         -- member.network
    member           BLOB NOT NULL,                                         -- member.address
    number           INTEGER NOT NULL CHECK (number >= 0),                  -- one more than that of the row before
    first            INTEGER NOT NULL,                                      -- time of the first request like this
    last             INTEGER NOT NULL,                                      -- time of the last one
    ip               BLOB CHECK (length(ip) IN (4, 16)),                    -- ip it came from; null: unknown, or relayed
    port             INTEGER CHECK (port BETWEEN 0 AND 65535 AND (port IS NULL) = (ip IS NULL)), -- UDP port of the last one
    version_major    INTEGER,                                               -- u64, of the client; null: unknown
    version_minor    INTEGER CHECK ((version_minor IS NULL) = (version_major IS NULL)),    -- u64, likewise
    version_revision INTEGER CHECK ((version_revision IS NULL) = (version_major IS NULL)), -- u64, likewise
    version_protocol INTEGER CHECK ((version_protocol IS NULL) = (version_major IS NULL)), -- u64, likewise
    platform         TEXT NOT NULL CHECK (octet_length(platform) <= 64),    -- "linux/x86_64"; empty: unknown
    PRIMARY KEY (network, member, number),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Identities whose address was checked against their keys, which takes milliseconds, so that no restart does it again.
-- Only those that a member has; the first one of an address stays as long as a member has the address.
CREATE TABLE verified_identity (
    address  BLOB PRIMARY KEY NOT NULL CHECK (length(address) = 5),         -- node address, 5 bytes, big-endian
    key      BLOB NOT NULL CHECK (length(key) = 64),                        -- both public keys, `vl1.md` §3
    verified INTEGER NOT NULL                                               -- time of the check
) STRICT, WITHOUT ROWID;

CREATE TRIGGER member_removed AFTER DELETE ON member BEGIN
    DELETE FROM verified_identity WHERE address = OLD.address AND NOT EXISTS
        (SELECT 1 FROM member WHERE address = OLD.address AND identity IS NOT NULL);
END;

-- Who changed what. No foreign keys: an entry outlives what it is about.
CREATE TABLE audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,                         -- ascending, never given twice
    time         INTEGER NOT NULL,                                          -- time
    actor        TEXT NOT NULL CHECK (octet_length(actor) <= 256),          -- name of the token, or of a command
    action       TEXT NOT NULL CHECK (octet_length(action) <= 64),          -- "network.update", "member.remove", …
    network      BLOB CHECK (length(network) = 8),                          -- what it is about; null: no network
    member       BLOB CHECK (length(member) = 5),                           -- likewise; null: no member
    value_before TEXT CHECK (octet_length(value_before) <= 65536),          -- JSON of what changed; null: there was nothing
    value_after  TEXT CHECK (octet_length(value_after) <= 65536),           -- likewise; null: there is nothing
    caused       INTEGER                                                    -- number among what members caused, negative among what limited tokens did; null: neither
) STRICT;

-- Finds the first and the last of those that members caused, and of those by tokens that may not do everything: both are
-- bounded apart from the others.
CREATE UNIQUE INDEX audit_caused ON audit (caused) WHERE caused IS NOT NULL;

-- Tokens of the API beside the one in the home directory. None can be computed from its hash.
CREATE TABLE api_token (
    name      TEXT PRIMARY KEY NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 256), -- what the audit log calls it
    hash      BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),               -- SHA-256, `ctl_store::TokenHash`
    scope     TEXT NOT NULL,                                                -- what it may do
    created   INTEGER NOT NULL,                                             -- time
    last_used INTEGER NOT NULL,                                             -- time, may lag by a minute; 0: never
    expires   INTEGER NOT NULL,                                             -- time; 0: never
    previous_hash  BLOB CHECK (length(previous_hash) = 32),                 -- hash that was renewed; null: none
    previous_until INTEGER                                                  -- time until which that is valid too
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX api_token_previous ON api_token (previous_hash) WHERE previous_hash IS NOT NULL;

-- Which of several controllers with one identity is the one that serves: no row or one.
CREATE TABLE lease (
    id     INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),                     -- 1
    holder TEXT NOT NULL CHECK (octet_length(holder) BETWEEN 1 AND 256),    -- drawn by each process at its start
    hint   TEXT NOT NULL CHECK (octet_length(hint) <= 256),                 -- where an administrator finds it
    until  INTEGER NOT NULL                                                 -- time at which it ends unless renewed
) STRICT;

-- Tables of their own, so that the rows which every request reads stay short.
CREATE TABLE network_extra (
    network BLOB PRIMARY KEY NOT NULL REFERENCES network (id) ON DELETE CASCADE, -- network.id
    fields  TEXT NOT NULL                                                   -- JSON object: what its record had beyond ours
) STRICT, WITHOUT ROWID;

CREATE TABLE member_extra (
    network BLOB NOT NULL,                                                  -- member.network
    member  BLOB NOT NULL,                                                  -- member.address
    fields  TEXT NOT NULL,                                                  -- JSON object: what its record had beyond ours
    PRIMARY KEY (network, member),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Networks that were here once. Who comes back and asks for one is told that it is over, whenever that is.
CREATE TABLE removed_network (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 8)                     -- network id; not in `network`
) STRICT, WITHOUT ROWID;

-- Members that lost their authorization, or were removed, or whose network was, while others may still believe their
-- certificates.
CREATE TABLE revoked (
    network BLOB NOT NULL CHECK (length(network) = 8),                      -- network id, of one that is here or was
    member  BLOB NOT NULL CHECK (length(member) = 5),                       -- node address, of a member or not
    since   INTEGER NOT NULL,                                               -- time
    PRIMARY KEY (network, member)
) STRICT, WITHOUT ROWID;

-- Finds those that no longer matter.
CREATE INDEX revoked_since ON revoked (since);

-- Up to when configurations may have been issued; the times in them never go back, whatever the clock does.
CREATE TABLE issued (
    id    INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),                      -- one row
    until INTEGER NOT NULL                                                  -- time; nothing was issued later
) STRICT;

-- Members of which nothing is known but that they asked: nobody ever authorized or edited them, and they expire.
CREATE TABLE pending (
    network    BLOB NOT NULL,                                               -- member.network
    member     BLOB NOT NULL,                                               -- member.address
    last_asked INTEGER NOT NULL,                                            -- time, up to an hour behind
    source     BLOB NOT NULL CHECK (length(source) IN (0, 3, 6)),           -- IPv4 /24, IPv6 /48; empty: relayed
    PRIMARY KEY (network, member),
    FOREIGN KEY (network, member) REFERENCES member (network, address) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- Counts those of a network, and finds the one that asked longest ago.
CREATE INDEX pending_order ON pending (network, last_asked);

-- Counts those of one source, and finds the one that asked longest ago.
CREATE INDEX pending_source ON pending (network, source, last_asked);

-- Finds those that have expired and the one that asked longest ago, and counts all.
CREATE INDEX pending_age ON pending (last_asked);

-- Who is told over HTTP of what happens.
CREATE TABLE webhook (
    id          BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),          -- UUID, drawn
    url         TEXT NOT NULL CHECK (octet_length(url) BETWEEN 1 AND 2048), -- where it is sent to
    description TEXT NOT NULL CHECK (octet_length(description) <= 1024),    -- for people
    secret      BLOB NOT NULL CHECK (length(secret) = 32),                  -- key of the signatures, as the receiver has it
    kinds       TEXT NOT NULL CHECK (octet_length(kinds) <= 1024),          -- what it is told, with blanks between; empty: everything
    network     BLOB CHECK (length(network) = 8),                           -- of which network; null: of all
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),                 -- boolean
    created     INTEGER NOT NULL,                                           -- time
    delivered   INTEGER NOT NULL,                                           -- time of the last that arrived; 0: never
    failure     TEXT CHECK (octet_length(failure) <= 1024),                 -- of the last attempt; null: it arrived
    dropped     INTEGER NOT NULL                                            -- how many found the outbox full
) STRICT, WITHOUT ROWID;

-- What a webhook is still to be told, and what it could not be told. Written in the transaction of what happened.
CREATE TABLE webhook_delivery (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,                             -- ascending, never given twice
    webhook  BLOB NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,       -- webhook.id
    body     TEXT NOT NULL CHECK (octet_length(body) <= 4096),              -- JSON, as it is sent
    created  INTEGER NOT NULL,                                              -- time
    attempts INTEGER NOT NULL,                                              -- how many failed
    next     INTEGER NOT NULL,                                              -- time of the next attempt at the earliest
    failure  TEXT CHECK (octet_length(failure) <= 1024),                    -- of the last attempt; null: there was none
    dead     INTEGER NOT NULL CHECK (dead IN (0, 1))                        -- boolean: it is given up
) STRICT;

-- Finds what is due, and counts what waits.
CREATE INDEX webhook_delivery_order ON webhook_delivery (webhook, dead, next);
