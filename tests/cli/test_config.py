"""holdfast config: what init has written down, shown and changed."""
import json
import sqlite3

import agent
import json_schema
import pytest


@pytest.fixture
def device(tmp_path):
    return agent.Device(tmp_path).init_with_roots(agent.Root("A").pem)


def config(device, *words):
    return agent.ok("--state", device.state, "config", *words)


def shown(device):
    found = json.loads(config(device, "--json"))
    json_schema.check(found, "config.schema.json")
    return found


def refuses(device, *words, code=2):
    """Nothing is changed."""
    before = shown(device)
    sentence = agent.refused("--state", device.state, "config", *words, code=code)
    assert shown(device) == before
    return sentence


def kept(device):
    """All but the configuration."""
    connection = sqlite3.connect(f"file:{device.database}?mode=ro", uri=True)
    try:
        return [connection.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("metadata", "bundle", "event")] + [
            connection.execute("SELECT * FROM value WHERE name <> 'bundle.of'").fetchall()]
    finally:
        connection.close()


@pytest.mark.parametrize("key, json_key, values, expected", [
    ("url", "mirrors", ["https://a.example", "http://b.example/x"], ["https://a.example", "http://b.example/x"]),
    ("set", "set", ["other"], "other"),
    ("profile", "profile", ["ecc"], "ecc"),
    ("endpoints", "endpoints", ["https://a.example"], [{"url": "https://a.example:443", "alpn": None}]),
    ("export", "export", ["/x/roots.pem"], "/x/roots.pem"),
    ("on-swap", "on_swap", ["systemctl reload x"], "systemctl reload x"),
    ("device-id", "device_id", ["me"], "me"),
    ("device-id-file", "device_id_file", ["/etc/hostname"], "/etc/hostname"),
    ("await-confirm", "await_confirm", ["yes"], True),
    ("legacy-ciphers", "legacy_ciphers", ["yes"], True),
    ("common-names", "common_names", ["yes"], True),
    ("report", "report", ["https://fleet.example"], "https://fleet.example"),
    ("report-signature", "report_signature", ["yes"], True),
    ("groups", "groups", ["lab", "ring-1"], ["lab", "ring-1"]),
    ("redirect-hosts", "redirect_hosts", ["cdn.example", "b.example:8443"], ["cdn.example", "b.example:8443"]),
])
def test_a_part_is_changed_and_nothing_else(device, key, json_key, values, expected):
    before, others = kept(device), shown(device)
    config(device, "set", key, *values)
    after = shown(device)
    assert after.pop(json_key) == expected
    others.pop(json_key)
    if key.startswith("device-id"):
        others.pop("device_id", None), after.pop("device_id", None)
    assert after == others
    assert kept(device) == before


def test_damaged_names_of_the_device_count_as_none(device):
    """They take its turn in a rollout, and nothing else: it goes on, and they are set again."""
    config(device, "set", "device-id", "me")
    config(device, "set", "groups", "lab", "ring-1")
    connection = sqlite3.connect(device.database)
    connection.execute("UPDATE config SET device_id = 'm\x01e'")
    connection.execute("UPDATE report_group SET name = 'La b' WHERE position = 0")
    connection.commit()
    connection.close()
    status = device.status()
    assert status["device_id"] is None
    config(device, "set", "groups", "lab")
    config(device, "set", "device-id", "me")
    assert device.status()["device_id"] == "me"
    assert shown(device)["groups"] == ["lab"]


def test_a_device_of_before_gets_redirect_hosts_too(device):
    """The database as an older agent made it (schema 1) is migrated at the first open."""
    others = shown(device)
    device.copy.unlink()
    connection = sqlite3.connect(device.database)
    connection.executescript(
        "DROP TABLE redirect_host; DROP TABLE report; DROP TABLE report_group; ALTER TABLE config DROP COLUMN report;"
        "ALTER TABLE config DROP COLUMN signs_reports; ALTER TABLE config DROP COLUMN accepts_common_names;"
        "PRAGMA user_version = 1")
    connection.close()
    assert shown(device) == others
    config(device, "set", "redirect-hosts", "cdn.example")
    config(device, "set", "groups", "lab")
    assert shown(device) == {**others, "redirect_hosts": ["cdn.example"], "groups": ["lab"]}
    assert device.copy.exists()


def test_the_server_s_ca_is_copied(device, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(agent.Root("Server CA").pem)
    config(device, "set", "server-ca", ca)
    assert shown(device)["server_ca"] == ca.read_text()
    ca.write_text("no certificate")
    assert "server-ca" in agent.refused("--state", device.state, "config", "set", "server-ca", ca)
    config(device, "unset", "server-ca")
    assert shown(device)["server_ca"] is None


@pytest.mark.parametrize("words, says", [
    (["show"], "set or unset"),
    (["set"], "KEY"),
    (["set", "colour", "red"], "KEY"),
    (["set", "set"], "VALUE"),
    (["set", "profile", "a", "b"], "VALUE"),
    (["unset", "url"], "not unset"),
    (["unset", "on-swap", "x"], "nothing else"),
    (["set", "url", "ftp://x"], "http://"),
    (["set", "set", "No Such"], "cannot be a set"),
    (["set", "endpoints", "https://a.example", "https://a.example"], "given twice"),
    (["set", "await-confirm", "maybe"], "yes or no"),
    (["set", "client-cert", "/a"], "key file"),
])
def test_what_makes_no_sense_is_a_usage_error(device, words, says):
    assert says in refuses(device, *words)


def test_the_status_and_the_next_check_use_it(device):
    config(device, "set", "url", "http://127.0.0.1:1/elsewhere")
    assert device.status()["mirrors"] == ["http://127.0.0.1:1/elsewhere"]
    assert "/elsewhere/metadata/" in agent.refused("--state", device.state, "update")


def test_the_bundle_in_use_stays_when_the_set_changes(device):
    config(device, "set", "set", "other")
    status = device.status()
    assert (status["set"], status["active"]["version"]) == ("other", 0)
