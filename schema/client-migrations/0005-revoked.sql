-- The keys that the newest signed bundle revoked (its `drops`): SHA-256 of the SubjectPublicKeyInfo as 64
-- hexadecimal digits, a line each. One row, none before the first list. client/port/posix/store_bundles.c
CREATE TABLE revoked (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    keys   TEXT NOT NULL CHECK (length(keys) % 65 = 0 AND length(keys) <= 33280),
    sha256 TEXT CHECK (length(sha256) = 64)    -- of `keys`, to notice rot; NULL: written before version 5
) STRICT;

CREATE TRIGGER revoked_made AFTER INSERT ON revoked
BEGIN
    UPDATE change SET count = count + 1;
END;

INSERT INTO revoked (id, keys)
    SELECT 1, replace(value, ' ', char(10)) FROM value
    WHERE name = 'bundle.drops' AND length(value) % 65 = 0;
DELETE FROM value WHERE name = 'bundle.drops';
