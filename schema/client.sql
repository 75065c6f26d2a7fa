-- The device's database, STATE/holdfast.db, as it is today: the sum of client-migrations/, which is
-- what the agent runs (client/port/posix/db_check.c). tests/cli/test_schema.py holds the two equal.
--
-- To change it: add client-migrations/NNNN-subject.sql with the next number, change this file to
-- what comes out, and raise user_version below. A migration that was released is never edited.
-- No RENAME: the text that it leaves differs from one SQLite to the next, and a database whose text is
-- not that of a new one counts as damaged.
-- Only forward: an older agent refuses to write a newer database and lives on the bundle files.
--
-- application_id and user_version are set by the agent in the transaction of the migration.

PRAGMA application_id = 0x48464354;    -- "HFCT"
PRAGMA user_version = 4;

-- The configuration of `holdfast init`. One row.
CREATE TABLE config (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    set_name         TEXT NOT NULL CHECK (length(set_name) BETWEEN 1 AND 64),
    profile          TEXT NOT NULL CHECK (length(profile) BETWEEN 1 AND 64),
    device_id        TEXT,    -- NULL: from device_id_file, or derived from the machine-id
    device_id_file   TEXT,
    server_ca        TEXT,    -- PEM
    export_file      TEXT,    -- absolute path
    on_swap          TEXT,    -- a command for /bin/sh
    client_cert_file TEXT,    -- absolute paths; shown to endpoints whose chain validates
    client_key_file  TEXT CHECK ((client_key_file IS NULL) = (client_cert_file IS NULL)),
    awaits_confirm   INTEGER NOT NULL DEFAULT 0 CHECK (awaits_confirm IN (0, 1)),
    has_legacy_ciphers INTEGER NOT NULL DEFAULT 0 CHECK (has_legacy_ciphers IN (0, 1)),
    report TEXT CHECK (length(report) BETWEEN 1 AND 2048),    -- NULL: none are sent; 'service', or a URL
    signs_reports INTEGER NOT NULL DEFAULT 0 CHECK (signs_reports IN (0, 1)),
    accepts_common_names INTEGER NOT NULL DEFAULT 0 CHECK (accepts_common_names IN (0, 1)),
    CHECK (device_id IS NULL OR device_id_file IS NULL)
) STRICT;

-- Mirrors of the one repository, in the order given.
CREATE TABLE mirror (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 15),
    url       TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    PRIMARY KEY (config_id, position)
) STRICT;

-- Hosts that a mirror may redirect to, besides the mirrors themselves.
CREATE TABLE redirect_host (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 7),
    host      TEXT NOT NULL CHECK (length(host) BETWEEN 1 AND 261),    -- HOST or HOST:PORT
    PRIMARY KEY (config_id, position)
) STRICT;

-- The device's own servers, asked before and after a change of anchors, in the order given.
CREATE TABLE endpoint (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 7),
    url       TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    alpn      TEXT CHECK (length(alpn) BETWEEN 1 AND 255),    -- NULL: the usual
    PRIMARY KEY (config_id, position)
) STRICT;

-- Groups that the device says it is in, in the order given.
CREATE TABLE report_group (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 7),
    name      TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    PRIMARY KEY (config_id, position)
) STRICT;

-- Reports to the fleet service that wait to be sent (client/core/report.c), at most 64. A report keeps its
-- content under its number for ever.
CREATE TABLE report (
    seq  INTEGER PRIMARY KEY CHECK (seq >= 1),
    json TEXT NOT NULL CHECK (length(CAST(json AS BLOB)) BETWEEN 1 AND 4096)
) STRICT;

-- Verified metadata, the newest of each role only, byte for byte as it was signed.
CREATE TABLE metadata (
    role    TEXT NOT NULL PRIMARY KEY CHECK (length(role) BETWEEN 1 AND 256),
    version INTEGER NOT NULL CHECK (version >= 1),
    bytes   BLOB NOT NULL
) STRICT;

-- A slot holds at most one bundle; activation moves rows from slot to slot.
CREATE TABLE bundle (
    slot     TEXT NOT NULL PRIMARY KEY CHECK (slot IN ('active', 'previous', 'staged')),
    set_name TEXT NOT NULL CHECK (length(set_name) BETWEEN 1 AND 64),
    profile  TEXT NOT NULL CHECK (length(profile) BETWEEN 1 AND 64),
    version  INTEGER NOT NULL CHECK (version >= 0),    -- 0: left the factory with it
    sha256   TEXT NOT NULL CHECK (length(sha256) = 64),
    pem      BLOB NOT NULL,
    custom   BLOB NOT NULL    -- JSON as signed; empty for version 0
) STRICT;

-- The keys that the newest signed bundle revoked (its `drops`): SHA-256 of the SubjectPublicKeyInfo as 64
-- hexadecimal digits, a line each. One row, none before the first list. client/port/posix/store_bundles.c
CREATE TABLE revoked (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    keys   TEXT NOT NULL CHECK (length(keys) % 65 = 0 AND length(keys) <= 33280),
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64)    -- of `keys`, to notice rot
) STRICT;

-- Small named values of the update cycle: clock floor, last check, entity tags
CREATE TABLE value (
    name  TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
    value TEXT NOT NULL CHECK (length(CAST(value AS BLOB)) <= 4096)
) STRICT;

-- The journal: the newest 1000 lines. A device that checks hourly keeps six weeks of them.
CREATE TABLE event (
    id     INTEGER PRIMARY KEY,
    time_s INTEGER NOT NULL,    -- seconds since 1970-01-01 UTC
    level  INTEGER NOT NULL CHECK (level BETWEEN 0 AND 3),    -- enum hf_level
    kind   TEXT NOT NULL,
    text   TEXT NOT NULL
) STRICT;

CREATE TRIGGER event_bound AFTER INSERT ON event
BEGIN
    DELETE FROM event WHERE id <= NEW.id - 1000;
END;

-- How often something has changed that must not be lost with this database: the copy beside it
-- (client/port/posix/README.md) is due when it has seen fewer changes, and a database that has seen
-- fewer than its copy has lost some.
CREATE TABLE change (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO change (id, count) VALUES (1, 0);

-- What only init or a person can say.
CREATE TRIGGER config_made AFTER INSERT ON config
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER config_changed AFTER UPDATE ON config
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER endpoint_made AFTER INSERT ON endpoint
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER endpoint_gone AFTER DELETE ON endpoint
BEGIN
    UPDATE change SET count = count + 1;
END;

CREATE TRIGGER redirect_host_made AFTER INSERT ON redirect_host
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER redirect_host_gone AFTER DELETE ON redirect_host
BEGIN
    UPDATE change SET count = count + 1;
END;

CREATE TRIGGER report_group_made AFTER INSERT ON report_group
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER report_group_gone AFTER DELETE ON report_group
BEGIN
    UPDATE change SET count = count + 1;
END;

-- Root, targets and what targets delegates to. Timestamp and snapshot are re-signed every day, and an
-- older one does no harm.
CREATE TRIGGER metadata_made AFTER INSERT ON metadata WHEN NEW.role NOT IN ('timestamp', 'snapshot')
BEGIN
    UPDATE change SET count = count + 1;
END;

-- What is in use, and which versions may never be again.
CREATE TRIGGER bundle_moved AFTER UPDATE ON bundle
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER bundle_gone AFTER DELETE ON bundle WHEN OLD.slot <> 'staged'
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER bundle_value_made AFTER INSERT ON value WHEN NEW.name GLOB 'bundle.*'
BEGIN
    UPDATE change SET count = count + 1;
END;

-- What may never be trusted again.
CREATE TRIGGER revoked_made AFTER INSERT ON revoked
BEGIN
    UPDATE change SET count = count + 1;
END;
