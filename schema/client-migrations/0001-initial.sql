-- The configuration of `holdfast init`. One row.
CREATE TABLE config (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    set_name       TEXT NOT NULL CHECK (length(set_name) BETWEEN 1 AND 64),
    profile        TEXT NOT NULL CHECK (length(profile) BETWEEN 1 AND 64),
    device_id      TEXT,    -- NULL: from device_id_file, or derived from the machine-id
    device_id_file TEXT,
    server_ca      TEXT,    -- PEM
    export_file    TEXT,    -- absolute path
    on_swap        TEXT,    -- a command for /bin/sh
    CHECK (device_id IS NULL OR device_id_file IS NULL)
) STRICT;

-- Mirrors of the one repository, in the order given.
CREATE TABLE mirror (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 15),
    url       TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    PRIMARY KEY (config_id, position)
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
