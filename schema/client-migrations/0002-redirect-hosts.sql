-- Hosts that a mirror may redirect to, besides the mirrors themselves.
CREATE TABLE redirect_host (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 7),
    host      TEXT NOT NULL CHECK (length(host) BETWEEN 1 AND 261),    -- HOST or HOST:PORT
    PRIMARY KEY (config_id, position)
) STRICT;

CREATE TRIGGER redirect_host_made AFTER INSERT ON redirect_host
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER redirect_host_gone AFTER DELETE ON redirect_host
BEGIN
    UPDATE change SET count = count + 1;
END;
