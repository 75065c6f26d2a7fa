-- What holdfast-signer must not forget, each change synced before it answers.

-- What was used of each limit until `ends_s`, in the signer's own time: of the signer ('signer'), of a device CA
-- ('ca NAME'), of a device ('issue ACCOUNT/DEVICE', 'renew ACCOUNT/DEVICE'). A row that has ended is removed.
CREATE TABLE quota (
    what TEXT NOT NULL PRIMARY KEY,
    used BIGINT NOT NULL,
    ends_s BIGINT NOT NULL,
    opens_s BIGINT NOT NULL -- the same in the time of day, as it was when the first was used
);
CREATE INDEX quota_by_end ON quota (ends_s);

-- One row: the signer's own time when it was counted last, and what the machine's clocks said then.
CREATE TABLE own_time (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    own_s BIGINT NOT NULL,
    boot TEXT NOT NULL,
    up_s BIGINT NOT NULL,
    wall_s BIGINT NOT NULL
);
INSERT INTO own_time (id, own_s, boot, up_s, wall_s) VALUES (1, 0, '', 0, 0);

-- One row: the head of the audit log as it was last sealed.
CREATE TABLE seal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    hash @bytes@ NOT NULL,
    sealed_s BIGINT NOT NULL
);

-- At most one row: the operator has restarted the log (holdfast-signer log restart), and it is not sealed again yet.
-- `statement` is JSON (server/audit/chain.h); sequence and hash are how far the new log was read, sequence -1 for
-- not at all.
CREATE TABLE restart (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    statement TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    hash @bytes@ NOT NULL
);

-- One row for each signature that was made.
CREATE TABLE signature (
    id @id@,
    at_s BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    version BIGINT NOT NULL, -- of metadata, otherwise 0
    sha256 @bytes@ NOT NULL
);
CREATE INDEX signature_by_version ON signature (kind, version);
