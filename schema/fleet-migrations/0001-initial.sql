-- The fleet service: who is who. One text for SQLite 3.40 and PostgreSQL 15; the build writes the types
-- that differ (@id@, @key@, @bytes@: schema/embed-sql.cmake). Each statement ends with ";" at the end of a line.
-- Times are seconds since 1970-01-01 UTC. `version` of a row is its ETag: each change adds one.

CREATE TABLE account (
    id         @id@,
    name       TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    -- What a client without a certificate may do
    anonymous  TEXT NOT NULL CHECK (anonymous IN ('none', 'enroll', 'read', 'read+report')),
    -- The CN of the certificate by which a CA's owner proves possession of its key
    registration_code TEXT NOT NULL CHECK (length(registration_code) = 64),
    issuing_ca TEXT CHECK (length(issuing_ca) BETWEEN 1 AND 64),    -- a CA of the signer; NULL: it issues none
    created_s  BIGINT NOT NULL,
    version    BIGINT NOT NULL
);

-- The names by which devices reach an account, in lower case.
CREATE TABLE sni (
    name       TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 253),
    account_id BIGINT NOT NULL REFERENCES account (id)
);
CREATE INDEX sni_account ON sni (account_id, name);

CREATE TABLE ca (
    id           @id@,
    account_id   BIGINT NOT NULL REFERENCES account (id),
    sha256       @bytes@ NOT NULL CHECK (length(sha256) = 32),
    der          @bytes@ NOT NULL,
    subject      TEXT NOT NULL,
    mode         TEXT NOT NULL CHECK (mode IN ('DEFAULT', 'SNI_ONLY')),
    status       TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE')),
    -- What becomes of an unknown certificate that this CA has signed; 'off': it is refused
    auto_registration TEXT NOT NULL CHECK (auto_registration IN ('off', 'pending', 'active')),
    signer_name  TEXT CHECK (length(signer_name) BETWEEN 1 AND 64),    -- the signer has its key; NULL: it has not
    not_before_s BIGINT NOT NULL,
    not_after_s  BIGINT NOT NULL,
    created_s    BIGINT NOT NULL,
    version      BIGINT NOT NULL,
    CHECK (signer_name IS NULL OR auto_registration = 'off'),
    UNIQUE (account_id, sha256)
);
CREATE INDEX ca_account ON ca (account_id, id);
CREATE INDEX ca_sha256 ON ca (sha256);
CREATE UNIQUE INDEX ca_default ON ca (sha256) WHERE mode = 'DEFAULT';

CREATE TABLE device (
    id         @id@,
    account_id BIGINT NOT NULL REFERENCES account (id),
    name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    group_name TEXT NOT NULL CHECK (length(group_name) <= 64),    -- '': none
    created_s  BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    UNIQUE (account_id, name)
);
CREATE INDEX device_account ON device (account_id, id);

CREATE TABLE credential (
    id                  @id@,
    account_id          BIGINT NOT NULL REFERENCES account (id),
    sha256              @bytes@ NOT NULL CHECK (length(sha256) = 32),
    subject             TEXT NOT NULL,
    serial              TEXT NOT NULL,
    kind                TEXT NOT NULL CHECK (kind IN ('device', 'claim')),
    mode                TEXT NOT NULL CHECK (mode IN ('DEFAULT', 'SNI_ONLY')),
    status              TEXT NOT NULL CHECK (status IN ('ACTIVE', 'INACTIVE', 'REVOKED',
                                                        'PENDING_TRANSFER', 'PENDING_ACTIVATION')),
    source              TEXT NOT NULL CHECK (source IN ('registered', 'issued', 'auto')),
    ca_id               BIGINT REFERENCES ca (id),            -- NULL: registered without a CA
    device_id           BIGINT REFERENCES device (id),        -- NULL: of no device yet, or a claim
    not_before_s        BIGINT NOT NULL,
    not_after_s         BIGINT NOT NULL,
    created_s           BIGINT NOT NULL,
    transfer_account_id BIGINT REFERENCES account (id),
    replaces_id         BIGINT REFERENCES credential (id),    -- what it was rotated from
    is_confirmed        BIGINT NOT NULL CHECK (is_confirmed IN (0, 1)),  -- 0: its first request is awaited
    is_rotation_asked   BIGINT NOT NULL CHECK (is_rotation_asked IN (0, 1)),
    retire_at_s         BIGINT,                               -- the service sets it INACTIVE then
    version             BIGINT NOT NULL,
    CHECK ((status = 'PENDING_TRANSFER') = (transfer_account_id IS NOT NULL)),
    CHECK (kind = 'device' OR device_id IS NULL),
    UNIQUE (account_id, sha256)
);
CREATE INDEX credential_account ON credential (account_id, id);
CREATE INDEX credential_sha256 ON credential (sha256);
CREATE UNIQUE INDEX credential_default ON credential (sha256) WHERE mode = 'DEFAULT';
CREATE INDEX credential_device ON credential (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX credential_ca ON credential (ca_id) WHERE ca_id IS NOT NULL;
CREATE INDEX credential_transfer ON credential (transfer_account_id) WHERE transfer_account_id IS NOT NULL;
CREATE INDEX credential_retire ON credential (retire_at_s) WHERE retire_at_s IS NOT NULL;
CREATE INDEX credential_replaces ON credential (replaces_id) WHERE replaces_id IS NOT NULL;

-- Certificates that were revoked and that a restore has lost: they are never registered again. No reference,
-- since the restore may have lost the account as well.
CREATE TABLE lost_revocation (
    account_id BIGINT NOT NULL,
    sha256     @bytes@ NOT NULL CHECK (length(sha256) = 32),
    PRIMARY KEY (account_id, sha256)
);

-- Beside the rows that change: a change of a status rewrites its page, and the start reads them all.
CREATE TABLE credential_der (
    credential_id @key@ REFERENCES credential (id),
    der           @bytes@ NOT NULL
);

-- The right to enrol a device. Only the SHA-256 of the token is kept.
CREATE TABLE enroll_token (
    id          @id@,
    account_id  BIGINT NOT NULL REFERENCES account (id),
    hash        @bytes@ NOT NULL UNIQUE CHECK (length(hash) = 32),
    group_name  TEXT NOT NULL CHECK (length(group_name) <= 64),
    device_name TEXT CHECK (length(device_name) BETWEEN 1 AND 128),    -- NULL: any
    kind        TEXT NOT NULL CHECK (kind IN ('device', 'claim')),     -- of the certificates
    uses_max    BIGINT NOT NULL CHECK (uses_max BETWEEN 1 AND 1000000),
    uses        BIGINT NOT NULL CHECK (uses BETWEEN 0 AND uses_max),
    expires_s   BIGINT NOT NULL,
    is_revoked  BIGINT NOT NULL CHECK (is_revoked IN (0, 1)),
    created_s   BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    version     BIGINT NOT NULL
);
CREATE INDEX enroll_token_account ON enroll_token (account_id);

-- One use of a token: for one device and one signing request, so that a device that did not get its
-- answer may ask again.
CREATE TABLE enroll_use (
    id            @id@,
    token_id      BIGINT NOT NULL REFERENCES enroll_token (id),
    csr_sha256    @bytes@ NOT NULL CHECK (length(csr_sha256) = 32),
    device_name   TEXT NOT NULL,
    credential_id BIGINT REFERENCES credential (id),    -- NULL: not issued yet
    created_s     BIGINT NOT NULL,
    UNIQUE (token_id, csr_sha256)
);

-- How many devices a claim certificate has enrolled in the hour that ends at `ends_s`.
CREATE TABLE claim_use (
    credential_id @key@ REFERENCES credential (id),
    used          BIGINT NOT NULL CHECK (used >= 1),
    ends_s        BIGINT NOT NULL
);

CREATE TABLE admin_token (
    id         @id@,
    hash       @bytes@ NOT NULL UNIQUE CHECK (length(hash) = 32),
    name       TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    role       TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'registrar', 'admin')),
    expires_s  BIGINT,    -- NULL: never
    last_use_s BIGINT,    -- good to an hour; NULL: never used
    is_revoked BIGINT NOT NULL CHECK (is_revoked IN (0, 1)),
    created_s  BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    version    BIGINT NOT NULL
);

-- Answers to POST with an Idempotency-Key, for a day.
CREATE TABLE idempotency (
    actor          TEXT NOT NULL,
    key            TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 128),
    request_sha256 @bytes@ NOT NULL CHECK (length(request_sha256) = 32),
    status         BIGINT NOT NULL,
    answer         TEXT NOT NULL,
    created_s      BIGINT NOT NULL,
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_created ON idempotency (created_s);

-- Every administrative act and every signature (server/audit). hash = SHA-256(hash before || entry).
CREATE TABLE audit_log (
    sequence   @key@ CHECK (sequence >= 1),
    hash       @bytes@ NOT NULL CHECK (length(hash) = 32),
    account_id BIGINT,           -- to search by; no reference, since the log outlives accounts
    entry      TEXT NOT NULL     -- canonical JSON
);
CREATE INDEX audit_log_account ON audit_log (account_id, sequence) WHERE account_id IS NOT NULL;

-- The signer's signatures over entries of the log and all before them.
CREATE TABLE seal (
    sequence  @key@ REFERENCES audit_log (sequence),
    sealed_s  BIGINT NOT NULL,
    signature @bytes@ NOT NULL CHECK (length(signature) = 64)
);

-- One row: the number of the signer's newest signature that is in the audit log.
CREATE TABLE signer_position (
    id        BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    signature BIGINT NOT NULL
);
