"""schema/: the device's database, whole and as the sum of its migrations."""
import re
import sqlite3
from pathlib import Path

import agent
import json_schema
import pytest

SCHEMA = Path(__file__).resolve().parents[2] / "schema"


def objects(connection):
    """What the database is made of, whatever its layout and comments."""
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    return sorted((t, n, of, re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql or "")))
                  for t, n, of, sql in rows)


def pragma(connection, name):
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def whole():
    connection = sqlite3.connect(":memory:")
    connection.executescript((SCHEMA / "client.sql").read_text())
    yield connection
    connection.close()


def test_the_sum_of_the_migrations_is_the_schema(whole):
    migrations = sorted((SCHEMA / "client-migrations").glob("*.sql"))
    migrated = sqlite3.connect(":memory:")
    for migration in migrations:
        migrated.executescript(migration.read_text())
    assert objects(migrated) == objects(whole)
    assert pragma(whole, "user_version") == len(migrations)
    migrated.close()


def test_the_agent_makes_that_very_schema(whole, tmp_path):
    device = agent.Device(tmp_path).init()
    made = sqlite3.connect(f"file:{device.database}?mode=ro", uri=True)
    assert objects(made) == objects(whole)
    for name in ("user_version", "application_id"):
        assert pragma(made, name) == pragma(whole, name)
    assert pragma(made, "journal_mode") == "wal"
    made.close()


REFUSED = [
    "INSERT INTO config (id, set_name, profile) VALUES (2, 's', 'p')",
    "INSERT INTO config (id, set_name, profile, device_id, device_id_file) "
    "VALUES (1, 's', 'p', 'a', '/b')",
    "INSERT INTO mirror (position, url) VALUES (0, 'http://x')",  # without a configuration
    "INSERT INTO config (id, set_name, profile, client_key_file) VALUES (1, 's', 'p', '/k')",
    "INSERT INTO config (id, set_name, profile, awaits_confirm) VALUES (1, 's', 'p', 2)",
    "INSERT INTO endpoint (position, url) VALUES (0, 'mqtts://x')",  # without a configuration
    "INSERT INTO metadata VALUES ('root', 0, x'00')",
    "INSERT INTO metadata VALUES ('root', 'one', x'00')",  # STRICT
    "INSERT INTO metadata VALUES ('root', 1, 'text')",  # STRICT
    "INSERT INTO bundle VALUES ('other', 's', 'p', 1, hex(zeroblob(32)), x'00', x'')",
    "INSERT INTO bundle VALUES ('active', 's', 'p', -1, hex(zeroblob(32)), x'00', x'')",
    "INSERT INTO bundle VALUES ('active', 's', 'p', 1, 'short', x'00', x'')",
    "INSERT INTO value VALUES ('name', hex(zeroblob(2049)))",
    "INSERT INTO event (time_s, level, kind, text) VALUES (0, 4, 'kind', 'text')",
]


@pytest.mark.parametrize("statement", REFUSED)
def test_what_makes_no_sense_cannot_be_stored(whole, statement):
    whole.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        whole.execute(statement)


def test_the_checker_of_json_schemas_can_say_no():
    schema = {"type": "object", "required": ["a"], "properties": {
        "a": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/n"}]}}, "$defs": {"n": {"type": "integer"}}}
    assert json_schema.fault({"a": None}, schema, schema) is None
    assert json_schema.fault({"a": 1}, schema, schema) is None
    for wrong in ({"a": True}, {"a": "1"}, {}, {"a": 1, "b": 2}, []):
        assert json_schema.fault(wrong, schema, schema) is not None
