-- What the audits find, and what operators have said about it.

-- One row for each time that a check finds something about a subject, until it is gone. If it comes back there is
-- a new row. `version` grows with each change that a person should hear of: opened, another sentence, muted, its mute
-- ended, closed. Who delivers findings sets `notified_version` to the version that was delivered, after that.
CREATE TABLE finding (
    id               @id@,
    account_id       BIGINT NOT NULL,    -- 0: of the service itself; no reference, since findings outlive accounts
    check_name       TEXT NOT NULL,
    subject_kind     TEXT NOT NULL,      -- 'ca', 'certificate', 'device', 'repository', …
    subject          TEXT NOT NULL,      -- the SHA-256 of a certificate in hexadecimal, a device id, …
    device_name      TEXT NOT NULL,      -- '': of no device
    sentence         TEXT NOT NULL,
    opened_s         BIGINT NOT NULL,
    seen_s           BIGINT NOT NULL,    -- when it was found last
    run              BIGINT NOT NULL,    -- by this run of the check
    closed_s         BIGINT,             -- NULL: it is open
    version          BIGINT NOT NULL,
    notified_version BIGINT NOT NULL     -- 0: none
);
CREATE UNIQUE INDEX finding_subject ON finding (check_name, account_id, subject) WHERE closed_s IS NULL;
CREATE INDEX finding_open ON finding (id) WHERE closed_s IS NULL;
CREATE INDEX finding_closed ON finding (closed_s) WHERE closed_s IS NOT NULL;
CREATE INDEX finding_to_notify ON finding (id) WHERE notified_version < version;

-- Findings that an operator does not want to hear of until then, also if they close and come back.
CREATE TABLE mute (
    check_name TEXT NOT NULL,
    account_id BIGINT NOT NULL,
    subject    TEXT NOT NULL,
    reason     TEXT NOT NULL CHECK (length(reason) BETWEEN 1 AND 256),
    until_s    BIGINT NOT NULL,
    created_s  BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (check_name, account_id, subject)
);
CREATE INDEX mute_until ON mute (until_s);

-- The newest run of each check.
CREATE TABLE check_run (
    check_name TEXT NOT NULL PRIMARY KEY,
    run        BIGINT NOT NULL,
    started_s  BIGINT NOT NULL,
    ended_s    BIGINT NOT NULL,
    found      BIGINT NOT NULL,    -- also those that are too many to be listed
    problem    TEXT NOT NULL       -- why it did not run, or did not end; '': it did
);

-- What is known of the keys of certificates: computed once for each, and again when the list of weak keys changes.
CREATE TABLE credential_key (
    credential_id @key@ REFERENCES credential (id),
    spki_sha256   @bytes@ NOT NULL CHECK (length(spki_sha256) = 32),
    fault         TEXT NOT NULL,      -- '': none
    mark          BIGINT NOT NULL     -- of the rules and the list by which it was judged
);
CREATE INDEX credential_key_spki ON credential_key (spki_sha256);

-- A census: which versions the devices hold that may connect, counted by the audit ANCHOR_ENDS_BEFORE_FLEET_IS_READY. The
-- last one of each day is kept for a while; how it changes is the pace at which the fleet adopts a version. No references,
-- since an audit may end after its account.
CREATE TABLE census (
    account_id BIGINT NOT NULL,
    day_s      BIGINT NOT NULL,    -- its first second
    counted_s  BIGINT NOT NULL,
    unknown    BIGINT NOT NULL,    -- devices whose version is unknown: most of them have never reported
    shut_out   BIGINT NOT NULL,    -- devices that do not count: no ACTIVE certificate and no report key
    PRIMARY KEY (account_id, day_s)
);
CREATE TABLE census_version (
    account_id BIGINT NOT NULL,
    day_s      BIGINT NOT NULL,
    set_name   TEXT NOT NULL,
    profile    TEXT NOT NULL,
    version    BIGINT NOT NULL,
    devices    BIGINT NOT NULL,
    PRIMARY KEY (account_id, day_s, set_name, profile, version)
);

-- Since when the service knows of a published bundle: the metadata does not say when it was published.
CREATE TABLE bundle_since (
    set_name TEXT NOT NULL,
    profile  TEXT NOT NULL,
    version  BIGINT NOT NULL,
    since_s  BIGINT NOT NULL,
    PRIMARY KEY (set_name, profile, version)
);
