"""deploy/quickstart.sh and quickstart-fleet.sh themselves, with the programs that are being tested."""
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from kit import roots
from kit.processes import accepts, wait_until
from kit.programs import BIN, CHECKOUT, environment

SCRIPT = CHECKOUT / "deploy" / "quickstart.sh"


FLEET = CHECKOUT / "deploy" / "quickstart-fleet.sh"


def quickstart(folder, bin_folder=BIN, script=SCRIPT):
    return subprocess.run([script, "--dir", folder, "--bin", bin_folder], env=environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


def port_of(output):
    return int(re.search(r"listening on http://127\.0\.0\.1:([0-9]+)", output).group(1))


def test_it_tells_the_whole_story_and_leaves_no_process(folder):
    played = folder / "played"
    for _ in ("first run", "second run"):
        done = quickstart(played)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert not accepts(port_of(done.stdout))
    lines = [line.strip() for line in done.stdout.splitlines()]
    told = [line for line in lines if line.startswith(("updated ", "current "))]
    assert told == ["updated amazon-iot/full none -> 1", "updated amazon-iot/full 1 -> 2",
                    "current amazon-iot/full 2"]
    for root in roots.ALL:
        assert root.sha256 in done.stdout
        assert root.not_after in done.stdout
    assert "What to try next" in lines
    assert "\x1b" not in done.stdout, "colours are for terminals"
    log = (played / "quickstart.log").read_text()
    for command in ("holdfastctl init", "holdfastctl bundle add", "holdfastctl check", "holdfastd --repo"):
        assert f"/{command}" in log


def test_it_leaves_a_folder_alone_that_is_not_its_own(folder):
    mine = folder / "mine"
    mine.mkdir()
    (mine / "letter").write_text("dear")
    done = quickstart(mine)
    assert done.returncode == 2
    assert str(mine) in done.stderr
    assert [f.name for f in mine.iterdir()] == ["letter"]


def test_it_says_which_step_failed_and_where_the_log_is(folder):
    programs = folder / "bin"
    programs.mkdir()
    for name in ("holdfast", "holdfastctl"):
        (programs / name).symlink_to(BIN / name)
    shutil.copy("/bin/false", programs / "holdfastd")
    done = quickstart(folder / "played", programs)
    assert done.returncode == 1
    assert "step 4 (Start the server) failed" in done.stderr
    assert str(folder / "played" / "quickstart.log") in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_takes_the_server_with_it(folder, processes, number):
    script = processes.start([SCRIPT, "--dir", folder / "played", "--bin", BIN], "quickstart")
    script.wait_for(lambda: "listening on" in script.out, "the server is up")
    script.signal(number)
    assert script.wait() == 143
    wait_until(lambda: not accepts(port_of(script.out)), "the server is gone")


def test_the_fleet_from_an_account_to_an_alert_and_a_device_that_is_shut_out(folder):
    played = folder / "played"
    done = quickstart(played, script=FLEET)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    told = [line.strip() for line in done.stdout.splitlines()]
    for beginning in ("enrolled pump-7: certificate ", "updated amazon-iot/full none -> 1",
                      "rotated pump-7: certificate ", "published: targets 3", "updated amazon-iot/full 1 -> 2",
                      "pump-8 is not up to date: At ", "published: targets 4", "updated amazon-iot/full 0 -> 3"):
        assert [line for line in told if line.startswith(beginning)], beginning
    port = re.search(r"for devices on https://127\.0\.0\.1:([0-9]+)", done.stdout).group(1)
    finding = re.compile(rf'sentence +the device "pump-8" refused version 2 of "amazon-iot": its endpoint tls://localhost:{port} '
                         r'needs the root "CN=Servers" \(key [0-9a-f]{64}\)')
    assert [line for line in told if finding.fullmatch(line)]
    assert any(line.startswith('ALERTS{alertname="HoldfastFinding", alertstate="firing", check="DEVICE_UPDATE_FAILED"')
               for line in told)
    assert "TLS alert certificate_revoked" in done.stdout
    reason = next(line for line in told if line.startswith("reason "))
    assert re.search(r'^reason +\d of \d devices that began to install the bundle failed .* \.\.\."; endpoint '
                     rf'tls://localhost:{port}; missing root "CN=Servers"$', reason), reason
    assert "agents with the bad bundle: 0 of 20" in told and "agents with the good bundle: 20 of 20" in told
    stages = [line for line in told if line.startswith("amazon-iot/legacy/2 ") and ": 20 devices, " in line]
    assert stages[-1].startswith("amazon-iot/legacy/2 complete, stage 3 of 3: 20 devices, 0 waiting, 0 on trial, 20 confirmed")
    assert "entries hang together" in done.stdout
    prometheus = re.search(r'msg="Listening on" address=127\.0\.0\.1:([0-9]+)', done.stdout).group(1)
    assert not accepts(int(port)) and not accepts(int(prometheus))
    token = (played / "token").read_text().strip()
    assert token and token not in done.stdout
    viewer = (played / "prometheus" / "token").read_text().strip()
    assert viewer and viewer not in done.stdout


def test_without_prometheus_the_alert_is_left_out_and_the_rest_is_told(folder):
    """With --bin nothing is installed."""
    tools = folder / "tools"
    tools.mkdir()
    for place in ("/bin", "/usr/bin", "/usr/sbin"):
        for program in Path(place).iterdir():
            link = tools / program.name
            if program.name not in ("prometheus", "promtool") and not link.is_symlink():
                link.symlink_to(program)
    done = subprocess.run([FLEET, "--dir", folder / "played", "--bin", BIN], env=environment(PATH=str(tools)),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    assert "left out: prometheus is not installed (deploy/install-deps.sh --prometheus)" in done.stdout
    assert "updated amazon-iot/full 0 -> 3" in done.stdout
