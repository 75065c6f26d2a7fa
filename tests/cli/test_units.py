"""deploy/systemd: units that systemd takes without a word, with command lines that the programs take."""
import re
import shutil
import subprocess

import pytest

import ctl

UNITS = sorted((ctl.CHECKOUT / "deploy" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


def settings(unit):
    """What a unit says, by name; the last one counts."""
    lines = [line for line in unit.read_text().splitlines() if "=" in line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing")
def test_systemd_has_nothing_to_say(tmp_path):
    for unit in UNITS:
        text = unit.read_text().replace("/usr/bin/holdfast", f"{ctl.BIN}/holdfast")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
                          capture_output=True, text=True, timeout=ctl.TIMEOUT_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_bounded_and_confined(unit):
    said = settings(unit)
    assert {"MemoryMax", "TasksMax"} <= said.keys()
    assert said.get("User", "root") != "root" or said.get("DynamicUser") == "yes"
    for name in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "MemoryDenyWriteExecute"):
        assert said[name] == "yes", name
    assert (said["ProtectSystem"], said["CapabilityBoundingSet"]) == ("strict", "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_its_command_line_is_one(unit):
    program, *words = settings(unit)["ExecStart"].split()
    command = [word for word in words if re.fullmatch(r"[a-z]+", word)]
    text = subprocess.run([ctl.BIN / program.removeprefix("/usr/bin/"), *command, "--help"],
                          capture_output=True, text=True, check=True, timeout=ctl.TIMEOUT_S).stdout
    for option in (word for word in words if word.startswith("--")):
        assert option in text, option


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_a_notifying_service_needs_is_allowed(unit):
    said = settings(unit)
    if said.get("Type") == "notify":
        assert "AF_UNIX" in said["RestrictAddressFamilies"].split()
        assert int(said["WatchdogSec"]) > 0
        assert said["Restart"] in ("always", "on-failure")  # which a missed watchdog is, too
