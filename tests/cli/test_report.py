"""holdfast report: what is printed, the key, and what is refused. What is sent is in tests/e2e/test_reports.py."""
import json
import sqlite3
import stat

import pytest

import agent
import json_schema

URL = "https://fleet.example.com"


@pytest.fixture
def device(tmp_path):
    return agent.Device(tmp_path).init("--device-id", "pump-17")


def report(device, *args):
    return agent.ok("--state", device.state, "report", *args)


def config(device, *args):
    return agent.ok("--state", device.state, "config", *args)


def shown(device):
    found = json.loads(report(device, "--show", "--json"))
    json_schema.check(found, "report.schema.json")
    return found


def test_reports_are_off_at_first(device):
    assert report(device) == report(device, "--show") == "reports are off; set the service with `holdfast config set report URL`\n"
    assert shown(device) == {"format": 1, "on": False, "url": None, "waiting": 0, "body": []}
    assert "holdfast config set report" in agent.refused("--state", device.state, "report", "--send")


@pytest.mark.parametrize("words, says", [
    (["--show", "--send"], "--show, --send and --key exclude each other"),
    (["--send", "--key"], "--show, --send and --key exclude each other"),
    (["--send", "--json"], "--json belongs to --show"),
])
def test_a_usage_error_says_what_is_expected(device, words, says):
    assert says in agent.refused("--state", device.state, "report", *words, code=2)


def test_init_can_turn_them_on(tmp_path):
    device = agent.Device(tmp_path).init("--report", URL, "--group", "lab", "--group", "ring-1", "--device-id", "a")
    found = json.loads(config(device, "--json"))
    assert (found["report"], found["report_signature"], found["groups"]) == (URL, False, ["lab", "ring-1"])
    assert shown(device)["url"] == f"{URL}/v1/reports"


@pytest.mark.parametrize("given, used", [
    (URL, f"{URL}/v1/reports"),
    (f"{URL}/", f"{URL}/v1/reports"),
    ("https://Fleet.example.com:8443/iot/reports", "https://fleet.example.com:8443/iot/reports"),
    ("http://10.0.0.1", "http://10.0.0.1/v1/reports"),
])
def test_the_address_is_the_service_s_or_a_whole_one(device, given, used):
    config(device, "set", "report", given)
    assert shown(device)["url"].lower() == used
    config(device, "set", "report", "off")
    assert shown(device)["on"] is False


def test_service_is_the_first_https_mirror_of_a_device_that_is_not_enrolled(device):
    config(device, "set", "report", "service")
    assert "enrolled at none" in agent.refused("--state", device.state, "report", "--send")
    assert "enrolled at none" in device.status()["reports"]["last_error"]
    config(device, "set", "url", "http://a.example", "https://b.example:8443/roots", "https://c.example")
    assert shown(device)["url"] == "https://b.example:8443/v1/reports"


@pytest.mark.parametrize("key, values, says", [
    ("report", ["fleet.example.com"], "does not begin with http:// or https://"),
    ("report", ["https://user:secret@fleet.example.com"], "not usable"),
    ("groups", ["Lab"], "cannot be a group"),
    ("groups", list("abcdefghi"), "at most 8 groups, found 9"),
    ("report-signature", ["maybe"], "expected yes or no"),
])
def test_a_bad_configuration_is_refused_and_changes_nothing(device, key, values, says):
    before = config(device, "--json")
    assert says in agent.refused("--state", device.state, "config", "set", key, *values, code=2)
    assert config(device, "--json") == before


def test_the_key_is_made_once_and_is_secret(device):
    key = report(device, "--key").strip()
    file = device.state / "report.key"
    assert len(key) == 43 and file.stat().st_size == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert report(device, "--key").strip() == key
    file.chmod(0o644)
    assert "report.key" in agent.refused("--state", device.state, "report", "--key")
    file.chmod(0o600)
    file.write_bytes(b"short")
    assert "is damaged (expected 32 bytes, found 5)" in agent.refused("--state", device.state, "report", "--key")


def test_a_restored_database_begins_a_new_installation(device):
    """Its copy may hold numbers of reports that were used since."""
    def value(name):
        connection = sqlite3.connect(device.database)
        row = connection.execute("SELECT value FROM value WHERE name = ?", (name,)).fetchone()
        connection.close()
        return row and row[0]

    config(device, "set", "report", "http://127.0.0.1:1")
    agent.refused("--state", device.state, "report", "--send")
    installation = value("report.installation")
    assert len(installation) == 32 and value("report.seq") == "1"
    config(device, "set", "groups", "lab")  # the copy has all this
    device.database.write_bytes(b"damaged")
    assert shown(device)["waiting"] == 0
    assert not (device.state / "reports.doubt").exists()
    assert value("report.installation") is None
    agent.refused("--state", device.state, "report", "--send")
    assert value("report.installation") not in (None, installation)
