-- How often something has changed that must not be lost with this database: the copy beside it
-- (client/port/posix/README.md) is due when it has seen fewer changes, and a database that has seen
-- fewer than its copy has lost some.
CREATE TABLE change (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO change (id, count) VALUES (1, 0);

-- What only init or a person can say.
CREATE TRIGGER config_made AFTER INSERT ON config
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER config_changed AFTER UPDATE ON config
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER endpoint_made AFTER INSERT ON endpoint
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER endpoint_gone AFTER DELETE ON endpoint
BEGIN
    UPDATE change SET count = count + 1;
END;

-- Root, targets and what targets delegates to. Timestamp and snapshot are re-signed every day, and an
-- older one does no harm.
CREATE TRIGGER metadata_made AFTER INSERT ON metadata WHEN NEW.role NOT IN ('timestamp', 'snapshot')
BEGIN
    UPDATE change SET count = count + 1;
END;

-- What is in use, and which versions may never be again.
CREATE TRIGGER bundle_moved AFTER UPDATE ON bundle
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER bundle_gone AFTER DELETE ON bundle WHEN OLD.slot <> 'staged'
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER bundle_value_made AFTER INSERT ON value WHEN NEW.name GLOB 'bundle.*'
BEGIN
    UPDATE change SET count = count + 1;
END;
