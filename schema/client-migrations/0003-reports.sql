-- Reports to the fleet service.

ALTER TABLE config ADD COLUMN report TEXT CHECK (length(report) BETWEEN 1 AND 2048);    -- NULL: none are sent; 'service', or a URL
ALTER TABLE config ADD COLUMN signs_reports INTEGER NOT NULL DEFAULT 0 CHECK (signs_reports IN (0, 1));

-- Groups that the device says it is in, in the order given.
CREATE TABLE report_group (
    config_id INTEGER NOT NULL DEFAULT 1 REFERENCES config (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL CHECK (position BETWEEN 0 AND 7),
    name      TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    PRIMARY KEY (config_id, position)
) STRICT;

CREATE TRIGGER report_group_made AFTER INSERT ON report_group
BEGIN
    UPDATE change SET count = count + 1;
END;
CREATE TRIGGER report_group_gone AFTER DELETE ON report_group
BEGIN
    UPDATE change SET count = count + 1;
END;

-- What waits to be sent, at most 64. A report keeps its content under its number for ever.
CREATE TABLE report (
    seq  INTEGER PRIMARY KEY CHECK (seq >= 1),
    json TEXT NOT NULL CHECK (length(CAST(json AS BLOB)) BETWEEN 1 AND 4096)
) STRICT;
