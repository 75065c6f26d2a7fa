-- Servers of the device may be named by their common name alone.
ALTER TABLE config ADD COLUMN accepts_common_names INTEGER NOT NULL DEFAULT 0 CHECK (accepts_common_names IN (0, 1));
