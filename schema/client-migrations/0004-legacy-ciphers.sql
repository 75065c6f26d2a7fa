-- For servers so old that they only have cipher suites with static RSA or CBC.
ALTER TABLE config ADD COLUMN has_legacy_ciphers INTEGER NOT NULL DEFAULT 0
    CHECK (has_legacy_ciphers IN (0, 1));
