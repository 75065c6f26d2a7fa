-- The device's own servers, asked before and after a change of anchors, in the order given.
CREATE TABLE endpoint (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 7),
    url       TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    alpn      TEXT CHECK (length(alpn) BETWEEN 1 AND 255),    -- NULL: the usual
    PRIMARY KEY (config_id, position)
) STRICT;

ALTER TABLE config ADD COLUMN client_cert_file TEXT;
ALTER TABLE config ADD COLUMN client_key_file TEXT
    CHECK ((client_key_file IS NULL) = (client_cert_file IS NULL));
ALTER TABLE config ADD COLUMN awaits_confirm INTEGER NOT NULL DEFAULT 0
    CHECK (awaits_confirm IN (0, 1));
