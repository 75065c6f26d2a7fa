"""holdfast status: what people and programs are told, also where little can be read."""
import datetime
import json
import os
import re
import sqlite3

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


def test_one_root_is_no_plural(good, tmp_path):
    alone = agent.Device(tmp_path).init_with_roots(good.pem)
    assert "active: version 0 (from the factory), 1 root, SHA-256 " in text_of(alone)


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


# ---- looking ahead -----------------------------------------------------------------------------------


def test_the_next_check_is_told(device):
    planned = device.status()["next_check"]
    assert planned["wait_s"] in range(0, 31)
    assert planned["reason"] == "this device has never checked"
    assert re.search(r"next check   \S+Z, in \d+ s: this device has never checked\n", text_of(device))
    agent.refused("--state", device.state, "update")
    planned = device.status()["next_check"]
    assert planned["wait_s"] in range(35, 76)
    assert planned["reason"] == "the last check failed"


@pytest.mark.parametrize("days, threshold", [
    (731, None), (729.9, 730), (365.5, 730), (364.9, 365), (180.5, 365), (179.9, 180), (90.5, 180),
    (89.9, 90), (30.5, 90), (29.9, 30), (0.5, 30),
])
def test_a_root_is_warned_of_before_it_goes(tmp_path, days, threshold):
    root = agent.Root("Soon", start=NOW - 100 * DAY, end=NOW + days * DAY)
    device = agent.Device(tmp_path).init_with_roots(root.pem)
    warnings = device.status()["warnings"]
    if threshold is None:
        assert warnings == [] and "warning " not in text_of(device)
        return
    (warning,) = warnings
    assert (warning["level"], warning["kind"]) == ("warning", "expiry")
    assert (warning["threshold_days"], warning["sha256"]) == (threshold, root.sha256)
    assert warning["endpoint"] is None and warning["days_left"] == int(days)
    assert f"warning      ({threshold} days) {warning['text']}\n" in text_of(device)
    json_schema.check(device.status(), "status.schema.json")


def test_endpoints_and_whom_a_warning_is_about(tmp_path):
    endpoint = "mqtts://a.test:8883"
    soon = agent.Root("Soon", start=NOW - 100 * DAY, end=NOW + 20 * DAY)
    long = agent.Root("Long", start=NOW - 100 * DAY, end=NOW + 2000 * DAY)
    device = agent.Device(tmp_path).init_with_roots(soon.pem, long.pem,
                                                    options=("--endpoint", endpoint))
    assert f"endpoint     {endpoint}, not seen yet" in text_of(device)
    for seen, level in ((soon.spki_sha256, "warning"), (f"{soon.spki_sha256} {long.spki_sha256}", "note")):
        with sqlite3.connect(device.database) as connection:
            connection.execute("INSERT OR REPLACE INTO value VALUES ('endpoint.0.ecc', ?)",
                               (f"{endpoint} 1790000000 1780000000 1800000000 {seen}",))
        connection.close()
        status = device.status()
        json_schema.check(status, "status.schema.json")
        (warning,) = status["warnings"]
        assert warning["level"] == level
        (found,) = status["endpoints"]
        assert (found["name"], found["chains"][1]["anchors"]) == (endpoint, seen.split())
        assert found["chains"][0]["seen"] is None
    assert "ECC key seen 2026-09-21T" in text_of(device)
    assert "note         (30 days)" in text_of(device)


def test_a_bundle_on_trial_is_told(device):
    with sqlite3.connect(device.database) as connection:
        connection.execute("INSERT INTO value VALUES ('trial', '0 754 1000')")
    connection.close()
    status = device.status()
    json_schema.check(status, "status.schema.json")
    assert (status["trial"]["version"], status["trial"]["uptime_s"]) == (0, 754)
    assert "on trial     version 0, for 12 min 34 s of uptime; it waits for" in text_of(device)


# ---- where little can be read ------------------------------------------------------------------------


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


def test_a_damaged_database_without_its_copy_is_said_and_survived(device, good):
    device.copy.unlink()
    content = bytearray(device.database.read_bytes())
    content[:64] = bytes(64)
    device.database.write_bytes(content)
    assert_lives_on_files(device, good, "holdfast.db is damaged")


def test_a_lost_database_without_its_copy_is_said_and_survived(device, good):
    device.copy.unlink()
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
    """Root may write everywhere, so the test calls it as another user."""
    how = {"user": agent.NOBODY} if os.getuid() == 0 else {}
    try:
        agent.run("--version", **how)
    except PermissionError:
        pytest.skip("another user cannot reach the programs")
    return how


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
