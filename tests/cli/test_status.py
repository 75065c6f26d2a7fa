"""holdfast status: what people and programs are told, also where little can be read."""
import datetime
import json
import os
import sqlite3
import tempfile
from pathlib import Path

import agent
import json_schema
import pytest

NOW = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
DAY = datetime.timedelta(days=1)


@pytest.fixture
def good():
    return agent.Root("Good Root", start=NOW - 100 * DAY, end=NOW + 1000 * DAY)


@pytest.fixture
def dead():
    return agent.Root("Dead Root", start=NOW - 100 * DAY, end=NOW - 10.5 * DAY)


@pytest.fixture
def device(tmp_path, good, dead):
    return agent.Device(tmp_path).init_with_roots(good.pem, dead.pem)


def text_of(device):
    return agent.ok("--state", device.state, "status")


def test_json_is_what_its_schema_says(device, tmp_path):
    json_schema.check(device.status(), "status.schema.json")
    (tmp_path / "bare").mkdir()
    json_schema.check(agent.Device(tmp_path / "bare").init().status(), "status.schema.json")


def test_each_root_is_told_with_its_hashes_and_dates(device, good, dead):
    first, second = device.status()["active"]["roots"]
    assert (first["sha256"], first["spki_sha256"]) == (good.sha256, good.spki_sha256)
    assert "Good Root" in first["subject"]
    assert first["not_after"] == (NOW + 1000 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (first["state"], first["days_left"]) in (("usable", 999), ("usable", 1000))
    assert first["distrust_after"] is None and first["remove_after"] is None
    assert (second["sha256"], second["state"]) == (dead.sha256, "expired")
    assert second["days_left"] == -11


def test_people_are_told_the_same(device, good, dead):
    text = text_of(device)
    for part in ("roots/full", "Good Root", good.sha256, good.spki_sha256, dead.sha256,
                 (NOW + 1000 * DAY).strftime("%Y-%m-%d"), "-11 days left), expired",
                 "active: version 0 (from the factory), 2 roots", "previous: none",
                 "last check   never", agent.NOWHERE, str(device.state)):
        assert part in text, part


def test_a_device_without_a_bundle_is_told_what_to_do(tmp_path):
    assert "active: none; run holdfast update" in text_of(agent.Device(tmp_path).init())


def test_the_state_may_be_named_before_or_after_the_command(device):
    after = agent.ok("status", "--state", device.state)
    assert after.splitlines()[0] == text_of(device).splitlines()[0]
    assert agent.ok("--state", "/nonexistent", "status", "-s", device.state).startswith("bundle")


def test_the_last_check_is_told_with_its_reason(device):
    sentence = agent.refused("--state", device.state, "update").removeprefix("holdfast: ")
    last = device.status()["last_check"]
    assert last["outcome"] == "network"
    assert last["text"] == sentence
    assert f"failed: {sentence}" in text_of(device)


def test_a_folder_that_was_never_initialised_is_said(tmp_path):
    sentence = agent.refused("--state", tmp_path / "none", "status")
    assert "is not initialised: run holdfast init first" in sentence
    assert not (tmp_path / "none").exists()


def assert_lives_on_files(device, good, reason):
    status = device.status()
    json_schema.check(status, "status.schema.json")
    assert status["writable"] is False
    assert reason in status["read_only_reason"]
    assert status["active"]["roots"][0]["sha256"] == good.sha256
    assert (status["set"], status["profile"]) == ("roots", "full")
    assert f"read-only: {status['read_only_reason']}" in text_of(device)
    before = agent.tree(device.state)
    assert reason in agent.refused("--state", device.state, "update")
    assert reason in agent.refused("--state", device.state, "export", "--out",
                                   device.folder / "kept.pem", "--keep")
    assert not (device.folder / "kept.pem").exists()
    assert agent.tree(device.state) == before


def test_a_damaged_database_is_said_and_survived(device, good):
    content = bytearray(device.database.read_bytes())
    content[:64] = bytes(64)
    device.database.write_bytes(content)
    assert_lives_on_files(device, good, "holdfast.db is damaged")


def test_a_lost_database_is_said_and_survived(device, good):
    device.database.unlink()
    assert_lives_on_files(device, good, "holdfast.db is missing")


def test_a_newer_schema_is_said_and_left_alone(device, good):
    with sqlite3.connect(device.database) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("ALTER TABLE bundle RENAME TO bundles_of_tomorrow")
    connection.close()
    assert_lives_on_files(device, good, "was written by a newer holdfast: its schema is 99")


@pytest.fixture
def another_user():
    """Root may write everywhere, so it calls as somebody who may not."""
    how = {"user": agent.NOBODY} if os.getuid() == 0 else {}
    try:
        agent.run("--version", **how)
    except PermissionError:
        pytest.skip("another user cannot reach the programs")
    return how


@pytest.fixture
def open_folder():
    """pytest's own is closed to other users."""
    with tempfile.TemporaryDirectory(prefix="holdfast-cli-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


def test_a_read_only_folder_is_said_and_read(open_folder, good, another_user):
    device = agent.Device(open_folder).init_with_roots(good.pem)
    for path in [device.state, *device.state.rglob("*")] if another_user else []:
        os.chown(path, agent.NOBODY, agent.NOBODY, follow_symlinks=False)
    device.state.chmod(0o500)
    status = json.loads(agent.ok("--state", device.state, "status", "--json", **another_user))
    assert "cannot be written" in status["read_only_reason"]
    assert status["mirrors"] == [agent.NOWHERE]
    assert status["active"]["roots"][0]["sha256"] == good.sha256
    assert "cannot be written" in agent.refused("--state", device.state, "update", **another_user)
    device.state.chmod(0o700)


def test_a_torn_bundle_file_is_put_right(device, good, dead):
    active = device.state / "bundles" / "active"
    active.write_text("torn")
    assert device.status()["active"]["roots"][0]["sha256"] == good.sha256
    assert active.read_text() == good.pem + dead.pem


def test_the_file_beside_a_bundle_is_what_its_schema_says(device):
    for file in (device.state / "bundles").glob("*.json"):
        json_schema.check(json.loads(file.read_text()), "bundle-file.schema.json")
        assert file.with_suffix(".pem").is_file()
