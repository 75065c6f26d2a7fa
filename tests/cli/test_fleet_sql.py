"""server/fleet: the SQL that is written once runs in SQLite and in PostgreSQL.

A real PostgreSQL takes every step of the schema, prepares every statement, and has the same rules
as SQLite. Without one, this says so; the checks of SQLite run anyway.
"""
import json
import os
import pathlib
import pwd
import re
import shutil
import sqlite3
import subprocess

import pytest

BIN = pathlib.Path(os.environ.get("HOLDFAST_BIN", "build/bin"))
TOOL = BIN.parent / "tests" / "hf-fleet-sql"
SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "schema" / "fleet-migrations"
PARAMETER = re.compile(r"(?<!:):([a-z][a-z0-9_]*)")


@pytest.fixture(scope="module")
def sql():
    return json.loads(subprocess.run([TOOL], check=True, capture_output=True, text=True).stdout)


# ---- SQLite ----------------------------------------------------------------------------------------


def sqlite_schema():
    text = "".join(path.read_text() for path in sorted(SCHEMA.glob("*.sql")))
    return (text.replace("@id@", "INTEGER PRIMARY KEY AUTOINCREMENT").replace("@key@", "INTEGER PRIMARY KEY").replace("@bytes@", "BLOB"))


def test_every_statement_is_one_that_sqlite_takes(sql):
    database = sqlite3.connect(":memory:")
    database.executescript(sqlite_schema())
    names = [statement["name"] for statement in sql["statements"]]
    assert len(names) == len(set(names)) > 60
    for statement in sql["statements"]:
        values = {name: None for name in PARAMETER.findall(statement["text"])}
        database.execute("EXPLAIN " + statement["text"], values)
    database.close()


# Other than by its primary key or an index, no table that grows is searched.
LARGE = ("credential", "credential_der", "device", "audit_log", "enroll_use", "idempotency", "device_state", "report",
         "report_key", "series", "census", "census_version", "credential_key", "c", "d", "k", "s")
READS_ALL = {"credential_list_registered", "credential_count", "restore_revoked", "report_key_list_registered",
             "restore_revoked_keys"}
SORTS = {"series_keep"}  # once an hour, the versions in use


def test_no_statement_searches_a_large_table_from_end_to_end(sql):
    database = sqlite3.connect(":memory:")
    database.executescript(sqlite_schema())
    for statement in sql["statements"]:
        if statement["name"] in READS_ALL:
            continue
        values = {name: None for name in PARAMETER.findall(statement["text"])}
        plan = database.execute("EXPLAIN QUERY PLAN " + statement["text"], values).fetchall()
        for *_, step in plan:
            scanned = re.match(r"SCAN (\w+)(.*)", step)
            assert not scanned or scanned[1] not in LARGE or "LIMIT" in statement["text"], \
                f"{statement['name']}: {step}"
            assert "TEMP B-TREE" not in step or statement["name"] in SORTS, f"{statement['name']}: {step}"
    database.close()


def test_a_page_of_devices_is_found_by_an_index_whatever_is_asked_for(sql):
    """A condition is of use only if the search begins with it: not with all devices of the account."""
    database = sqlite3.connect(":memory:")
    database.executescript(sqlite_schema())
    starts = {}
    for statement in sql["statements"]:
        if not statement["name"].startswith("device_view_list"):
            continue
        values = {name: None for name in PARAMETER.findall(statement["text"])}
        plan = [step for *_, step in database.execute("EXPLAIN QUERY PLAN " + statement["text"], values)]
        assert all(step.startswith("SEARCH") for step in plan), plan
        starts[statement["name"].removeprefix("device_view_list").removeprefix("_by_")] = plan[0]
    database.close()
    assert set(starts) == {"", "name", "group", "version", "result", "seen", "seen_at"}
    for name, condition in {"": "account_id=? AND id>?", "name": "account_id=? AND name>? AND name<?",
                            "group": "account_id=? AND group_name=? AND id>?",
                            "version": "account_id=? AND active_version=? AND device_id>?",
                            "result": "account_id=? AND result=? AND device_id>?",
                            "seen": "account_id=? AND seen_s>? AND seen_s<?",
                            "seen_at": "account_id=? AND seen_s=? AND device_id>?"}.items():
        assert f"({condition})" in starts[name].replace("rowid>?", "device_id>?" if "device_id" in condition
                                                        else "id>?"), (name, starts[name])


def test_a_step_of_an_audit_begins_where_the_last_one_ended(sql):
    """By number, within the account: not at the first row again. What it looks up for each row is found by a key."""
    database = sqlite3.connect(":memory:")
    database.executescript(sqlite_schema())
    steps = [statement for statement in sql["statements"] if statement["name"].startswith("check_")
             and ":after" in statement["text"]]
    assert len(steps) >= 6
    for statement in steps:
        values = {name: None for name in PARAMETER.findall(statement["text"])}
        plan = [step for *_, step in database.execute("EXPLAIN QUERY PLAN " + statement["text"], values)]
        assert plan[0].startswith("SEARCH c USING ") and "(account_id=? AND id>?)" in plan[0].replace("rowid>?", "id>?"), \
            (statement["name"], plan)
        for step in plan:
            assert not step.startswith("SCAN") or step.startswith("SCAN o"), (statement["name"], step)
    database.close()


# ---- PostgreSQL ------------------------------------------------------------------------------------


def find(program):
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    return str(found[-1]) if found else shutil.which(program)


def user():
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("there is no user that PostgreSQL may run as")


class Postgres:
    """A cluster of its own, reached by a socket in its folder."""

    def __init__(self, folder):
        self.folder = folder
        self.who = user()
        if self.who:
            os.chown(folder, self.who.pw_uid, self.who.pw_gid)
        self.run(find("initdb"), "-D", folder / "data", "-A", "trust", "-U", "holdfast", "-N",
                 "-E", "UTF8", "--locale=C")
        self.run(find("pg_ctl"), "-D", folder / "data", "-w", "-l", folder / "log", "-o",
                 f"-k {folder} -c listen_addresses='' -c fsync=off", "start")

    def run(self, *command, text=None):
        as_user = {"user": self.who.pw_uid, "group": self.who.pw_gid} if self.who else {}
        done = subprocess.run([str(part) for part in command], input=text, text=True, cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                              **as_user)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def psql(self, text):
        return self.run(find("psql"), "-h", self.folder, "-U", "holdfast", "-d", "postgres", "-X", "-q",
                        "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", text=text)

    def stop(self):
        self.run(find("pg_ctl"), "-D", self.folder / "data", "-m", "immediate", "-w", "stop")


@pytest.fixture(scope="module")
def postgres(sql, tmp_path_factory):
    if not (find("initdb") and find("pg_ctl") and find("psql")):
        pytest.skip("PostgreSQL is missing")
    folder = pathlib.Path(subprocess.run(["mktemp", "-d", "/tmp/holdfast-pg-XXXXXX"], check=True,
                                         capture_output=True, text=True).stdout.strip())
    server = None
    try:
        server = Postgres(folder)
        server.psql("BEGIN;\n" + "\n".join(sql["migrations"]) + "COMMIT;\n")
        yield server
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder)


def positional(text):
    """`:name` as `$1`, and how many there are."""
    names = list(dict.fromkeys(PARAMETER.findall(text)))
    return PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", text), len(names)


# What the letters of struct hf_sql mean there.
TYPES = {"i": {"bigint", "integer"}, "t": {"text"}, "b": {"bytea"}}


def test_postgresql_prepares_every_statement(sql, postgres):
    script = ""
    for statement in sql["statements"]:
        text, _ = positional(statement["text"])
        script += f"PREPARE {statement['name']} AS {text};\n"
    prepared = postgres.psql(script + "SELECT count(*) FROM pg_prepared_statements;\n")
    assert int(prepared) == len(sql["statements"])


def test_columns_have_the_types_that_are_declared(sql, postgres):
    for statement in sql["statements"]:
        if not statement["columns"] or not statement["text"].startswith("SELECT"):
            continue
        text = PARAMETER.sub("NULL", statement["text"])
        columns = postgres.psql(text + " \\gdesc\n").split("\n")[:-1]
        assert len(columns) == len(statement["columns"]), statement["name"]
        for letter, column in zip(statement["columns"].lower(), columns):
            assert column.split("|")[-1] in TYPES[letter], (statement["name"], column)


def test_the_rules_of_the_schema_hold_there_too(postgres):
    postgres.psql("INSERT INTO account (name, anonymous, registration_code, created_s, version) "
                  "VALUES ('one', 'read', repeat('a', 64), 1, 1);\n")
    for wrong in (
            "INSERT INTO account (name, anonymous, registration_code, created_s, version) "
            "VALUES ('one', 'read', repeat('a', 64), 1, 1)",
            "INSERT INTO account (name, anonymous, registration_code, created_s, version) "
            "VALUES ('two', 'all', repeat('a', 64), 1, 1)",
            "INSERT INTO sni (name, account_id) VALUES ('a', 99)",
            "INSERT INTO audit_log (sequence, hash, entry) VALUES (1, 'short', '{}')"):
        with pytest.raises(AssertionError, match="ERROR:"):
            postgres.psql(wrong + ";\n")
