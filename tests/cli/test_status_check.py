"""holdfast status --check: is the device well? Exit codes as monitoring systems expect them."""
import sqlite3

import agent
import ctl
import json_schema
import net_pki
import pytest

DAY = net_pki.DAY


def check(device, *options):
    outcome = agent.run("--state", device.state, "status", "--check", *options)
    assert outcome.err == ""
    return outcome.code, outcome.out


def never_checked(tmp_path, **dates):
    return agent.Device(tmp_path).init_with_roots(agent.Root("A", **dates).pem)


def checked(device, outcome="ok"):
    """As if a check had ended like that just now."""
    agent.run("--state", device.state, "update")
    connection = sqlite3.connect(device.database)
    with connection:
        connection.execute("UPDATE value SET value = ? WHERE name = 'check.outcome'", [outcome])
    connection.close()
    return device


@pytest.fixture
def device(tmp_path):
    return never_checked(tmp_path)


def test_all_is_well(device):
    assert check(checked(device)) == (0, "OK: roots/full 0 is active, the last check succeeded\n")


def test_a_failed_check(device):
    agent.run("--state", device.state, "update")
    code, line = check(device)
    assert code == 1 and line.startswith("WARNING: the last check failed: ")


def test_a_version_that_waits(device):
    code, line = check(checked(device, "postponed"))
    assert code == 1 and line.startswith("WARNING: ") and "failed" not in line.split(":")[1]


def test_an_endpoint_that_is_refused(device):
    agent.ok("--state", device.state, "endpoints", "--endpoint", "tls://127.0.0.1:1")
    connection = sqlite3.connect(checked(device).database)
    with connection:
        connection.execute("INSERT INTO value VALUES ('endpoint.0.refused', "
                           "'tls://127.0.0.1:1 1790000000 expired on 2025-12-31')")
    connection.close()
    assert check(device) == (1, "WARNING: tls://127.0.0.1:1 was seen on 2026-09-21T14:13:20Z and is refused: "
                                "expired on 2025-12-31\n")
    status = device.status()
    json_schema.check(status, "status.schema.json")
    assert status["endpoints"][0]["refused"] == {"seen": "2026-09-21T14:13:20Z", "text": "expired on 2025-12-31"}
    warning = status["warnings"][0]
    assert (warning["kind"], warning["level"], warning["endpoint"]) == ("refused", "warning", "tls://127.0.0.1:1")
    assert ("endpoint     tls://127.0.0.1:1\n"
            "             seen on 2026-09-21T14:13:20Z, refused: expired on 2025-12-31\n") in agent.ok(
                "--state", device.state, "status")


def test_no_check_yet(device):
    assert check(device) == (1, "WARNING: it has never checked for an update\n")


def test_the_last_root_ends_soon(tmp_path):
    code, line = check(checked(never_checked(tmp_path, end=ctl.NOW + 20 * DAY)))
    assert code == 1 and "the last valid root ends in" in line


def test_no_bundle(tmp_path):
    code, line = check(agent.Device(tmp_path).init("--device-id", "test"))
    assert code == 2 and line.startswith("CRITICAL: no bundle is installed")


def test_other_programs_do_not_know(device, tmp_path):
    agent.ok("--state", device.state, "config", "set", "on-swap", "exit 1")
    code, line = check(checked(device))
    assert code == 1 and "on-swap command" in line


@pytest.mark.parametrize("days, lost, code, says", [
    (60, None, 0, "OK"), (20, None, 1, "expires on"), (-1, None, 2, "expired on"),
    (60, "device.key", 1, "there is no key file"), (60, "device.pem", 1, "device.pem"),
])
def test_the_client_certificate_ends_or_is_gone(device, tmp_path, days, lost, code, says):
    """Servers that ask for it would not let the device in, and its bundle cannot show that."""
    files = [tmp_path / "device.pem", tmp_path / "device.key"]
    cert, key = net_pki.Authority("Owner").leaf("device.example", end=ctl.NOW + days * DAY)
    net_pki.write_pem(files[0], cert)
    net_pki.write_key(files[1], key)
    agent.ok("--state", device.state, "config", "set", "client-cert", *files)
    if lost:
        (tmp_path / lost).unlink()
    found, line = check(checked(device))
    assert found == code and says in line and ("certificate" in line) == (code > 0)
    assert f"client cert  {files[0]}\n" in agent.ok("--state", device.state, "status")


@pytest.mark.parametrize("days, says", [(20, "the update server's CA expires on"),
                                        (-1, "the update server's CA expired on"), (200, "OK")])
def test_the_update_server_s_ca_ends(device, tmp_path, days, says):
    agent.ok("--state", device.state, "config", "set", "server-ca",
             net_pki.write_pem(tmp_path / "ca.pem", agent.Root("Server", end=ctl.NOW + days * DAY).cert))
    code, line = check(checked(device))
    assert code == (0 if says == "OK" else 1) and says in line


@pytest.mark.parametrize("failures, code", [(1, 0), (3, 1)])
def test_reports_that_are_not_sent(device, failures, code):
    agent.ok("--state", device.state, "config", "set", "report", "http://127.0.0.1:1")
    for _ in range(failures):
        agent.refused("--state", device.state, "report", "--send")
    found, line = check(checked(device))
    assert found == code and ("no reports are sent: POST http://127.0.0.1:1" in line) == (code == 1)


def test_an_export_without_a_command_is_all_they_need(device, tmp_path):
    checked(device)
    agent.ok("--state", device.state, "export", "--out", tmp_path / "roots.pem", "--keep")
    assert check(device)[0] == 0


def test_the_state_cannot_be_read(tmp_path):
    outcome = agent.run("--state", tmp_path / "none", "status", "--check")
    assert outcome.code == 3 and outcome.out.startswith("UNKNOWN: ")


def test_json_and_quiet(device):
    assert check(checked(device), "--quiet") == (0, "")
    assert check(device, "--json")[1].startswith("{")


def test_usage_errors_stay_2(device):
    assert agent.run("--state", device.state, "status", "--check", "now").code == 2
