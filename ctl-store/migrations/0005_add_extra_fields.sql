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
