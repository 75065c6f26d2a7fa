-- What devices report about themselves. A report is a hint: nothing here decides who may do what.

-- One row a device, made with it and written at each of its reports.
CREATE TABLE device_state (
    device_id          @key@ REFERENCES device (id),
    account_id         BIGINT NOT NULL REFERENCES account (id),

    -- Which reports were taken. A device numbers them within an installation, which is a random number.
    installation       @bytes@ CHECK (length(installation) = 16),        -- NULL: it has never reported
    sequence           BIGINT NOT NULL DEFAULT 0,    -- the highest
    seen               BIGINT NOT NULL DEFAULT 0,    -- bit n: number sequence - n was taken
    recent             @bytes@ CHECK (length(recent) = 128),    -- two bytes of a hash of each of these
    nonce              BIGINT NOT NULL DEFAULT 0,    -- a new installation must know it; 0: none
    credential_id      BIGINT NOT NULL DEFAULT 0,    -- the newest certificate and the newest key that it
    report_key_id      BIGINT NOT NULL DEFAULT 0,    -- has reported with; 0: none
    -- The installation before, or one that was refused: a clone reports while the device does
    other_installation @bytes@ CHECK (length(other_installation) = 16),
    other_sequence     BIGINT NOT NULL DEFAULT 0,
    conflicts          BIGINT NOT NULL DEFAULT 0,    -- reports that were refused for that
    conflict_s         BIGINT NOT NULL DEFAULT 0,

    -- What the device says
    seen_s             BIGINT NOT NULL DEFAULT 0,    -- when it reported last, by our clock; 0: never
    kind               TEXT NOT NULL DEFAULT '',     -- of its newest report
    set_name           TEXT NOT NULL DEFAULT '',
    profile            TEXT NOT NULL DEFAULT '',
    active_version     BIGINT NOT NULL DEFAULT -1,   -- of the bundle in use; 0: the factory's, -1: unknown
    active_sha256      TEXT NOT NULL DEFAULT '',     -- hexadecimal; '': unknown
    result             TEXT NOT NULL DEFAULT '',     -- the kind of its last report about an update; '': none
    result_s           BIGINT NOT NULL DEFAULT 0,
    result_version     BIGINT NOT NULL DEFAULT -1,   -- of the bundle that it is about
    outcome            TEXT NOT NULL DEFAULT '',
    reason             TEXT NOT NULL DEFAULT '',
    next_expiry_s      BIGINT NOT NULL DEFAULT 0,    -- of the first anchor in use; 0: unknown
    clock_offset_s     BIGINT NOT NULL DEFAULT 0,    -- the device's clock minus ours
    agent              TEXT NOT NULL DEFAULT '',
    group_names        TEXT NOT NULL DEFAULT '',     -- as the device has them, separated by commas

    reports            BIGINT NOT NULL DEFAULT 0,    -- the number of its newest row in `report`
    said               BIGINT NOT NULL DEFAULT 0     -- a hash of what that row says
);
CREATE INDEX device_state_version ON device_state (account_id, active_version, device_id);
CREATE INDEX device_state_result ON device_state (account_id, result, device_id);
CREATE INDEX device_state_seen ON device_state (account_id, seen_s, device_id);
CREATE INDEX device_group ON device (account_id, group_name, id);

INSERT INTO device_state (device_id, account_id) SELECT id, account_id FROM device;

-- The history: reports that say something new. The newest of each device are kept, for a while.
CREATE TABLE report (
    id            @id@,
    device_id     BIGINT NOT NULL REFERENCES device (id),
    number        BIGINT NOT NULL,    -- within the device, without gaps
    received_s    BIGINT NOT NULL,
    clock_s       BIGINT,             -- the device's, when it happened
    kind          TEXT NOT NULL,
    set_name      TEXT NOT NULL,
    profile       TEXT NOT NULL,
    from_version  BIGINT,
    to_version    BIGINT,
    sha256        TEXT NOT NULL,      -- hexadecimal, as root; '': none
    outcome       TEXT NOT NULL,
    reason        TEXT NOT NULL,
    endpoint      TEXT NOT NULL,
    root          TEXT NOT NULL,
    root_name     TEXT NOT NULL,
    agent         TEXT NOT NULL,
    UNIQUE (device_id, number)
);

-- What clients without a certificate or a key have reported: the newest of each account.
CREATE TABLE unverified_report (
    account_id    BIGINT NOT NULL REFERENCES account (id),
    number        BIGINT NOT NULL,    -- within the account, without gaps
    device_name   TEXT NOT NULL,      -- as the client says
    installation  TEXT NOT NULL,
    sequence      BIGINT NOT NULL,
    received_s    BIGINT NOT NULL,
    clock_s       BIGINT,
    kind          TEXT NOT NULL,
    set_name      TEXT NOT NULL,
    profile       TEXT NOT NULL,
    from_version  BIGINT,
    to_version    BIGINT,
    sha256        TEXT NOT NULL,
    outcome       TEXT NOT NULL,
    reason        TEXT NOT NULL,
    endpoint      TEXT NOT NULL,
    root          TEXT NOT NULL,
    root_name     TEXT NOT NULL,
    agent         TEXT NOT NULL,
    PRIMARY KEY (account_id, number),
    UNIQUE (account_id, installation, sequence)
);

-- The Ed25519 keys with which devices sign reports. A device has one that is not revoked.
CREATE TABLE report_key (
    id          @id@,
    account_id  BIGINT NOT NULL REFERENCES account (id),
    device_id   BIGINT NOT NULL REFERENCES device (id),
    public_key  @bytes@ NOT NULL CHECK (length(public_key) = 32),
    created_s   BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    revoked_s   BIGINT,    -- NULL: it is good
    UNIQUE (account_id, public_key)
);
CREATE UNIQUE INDEX report_key_device ON report_key (device_id) WHERE revoked_s IS NULL;
CREATE INDEX report_key_of_device ON report_key (device_id);

-- How many devices use a version now; kept up with device_state.
CREATE TABLE version_count (
    account_id BIGINT NOT NULL REFERENCES account (id),
    set_name   TEXT NOT NULL,
    version    BIGINT NOT NULL,
    devices    BIGINT NOT NULL,
    PRIMARY KEY (account_id, set_name, version)
);

-- The same over time: for each hour how many devices used a version ('active'), and how many reports of each
-- kind came about it.
CREATE TABLE series (
    account_id BIGINT NOT NULL REFERENCES account (id),
    hour_s     BIGINT NOT NULL,    -- its first second
    set_name   TEXT NOT NULL,
    version    BIGINT NOT NULL,
    what       TEXT NOT NULL,
    n          BIGINT NOT NULL,
    PRIMARY KEY (account_id, hour_s, set_name, version, what)
);
CREATE INDEX series_hour ON series (hour_s);
