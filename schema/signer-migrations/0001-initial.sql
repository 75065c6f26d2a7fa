-- What holdfast-signer must not forget, each change synced before it answers.

-- One row: how many certificates were issued for new devices on `day`, days since 1970-01-01 UTC.
CREATE TABLE quota (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    day BIGINT NOT NULL,
    issued BIGINT NOT NULL
);
INSERT INTO quota (id, day, issued) VALUES (1, 0, 0);

-- When a device last renewed its certificate, by the SHA-256 of "account/device". Rows older than the limit are removed.
CREATE TABLE renewal (
    sha256 @bytes@ PRIMARY KEY,
    at_s BIGINT NOT NULL
);
CREATE INDEX renewal_by_time ON renewal (at_s);

-- One row: the head of the audit log as it was last sealed.
CREATE TABLE seal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    hash @bytes@ NOT NULL,
    sealed_s BIGINT NOT NULL
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
