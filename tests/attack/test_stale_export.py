"""An attacker holds the key of a root that the device no longer accepts. Programs that read the PEM export
must refuse a server under it as well, from the moment on which the device does."""
import datetime
import json
import os
import select
import subprocess
from pathlib import Path

import agent
import ctl
import net_pki
import pytest
from hostile import Site

DAY = net_pki.DAY
LONG = {"start": ctl.NOW - 30 * DAY, "end": ctl.NOW + 900 * DAY}
LATER = "+4d"


def agent_at(at):
    return dict(ctl.environment(at), **{k: "" for k in ("http_proxy", "https_proxy")})


class World:
    """Version 1 holds four roots. After four days one has expired and one is removed."""

    def __init__(self, folder):
        self.folder = folder
        self.ends_soon = net_pki.Authority("Ends Soon", start=LONG["start"], end=ctl.NOW + 2 * DAY)
        self.removed = net_pki.Authority("Removed", **LONG)
        self.dated = net_pki.Authority("Dated", **LONG)
        self.stays = net_pki.Authority("Stays", **LONG)
        self.publisher = ctl.Publisher(self.make("publisher"))
        files = [net_pki.write_pem(folder / f"{n}.pem", ca.cert) for n, ca in
                 enumerate((self.ends_soon, self.removed, self.dated, self.stays))]
        self.publisher.add("--remove-after", self.on_day(self.removed, 1), "--distrust-after",
                           self.on_day(self.dated, 30), *files)
        self.site = Site(self.publisher.repo).__enter__()
        self.device = agent.Device(self.make("device"))
        self.device.root = self.publisher.repo / "metadata" / "1.root.json"
        self.export, self.swaps = folder / "export.pem", folder / "swaps"
        self.device.init("--device-id", "test", "--export", self.export, "--on-swap",
                         f"echo $HOLDFAST_NEW_VERSION >>{self.swaps}", url=self.site.url(""))

    def make(self, name):
        (self.folder / name).mkdir()
        return self.folder / name

    @staticmethod
    def on_day(ca, days):
        return f"{net_pki.fingerprint(ca.cert)}={(ctl.NOW + days * DAY):%Y-%m-%d}"

    def holdfast(self, *args, at=None):
        return agent.run("--state", self.device.state, *args, env=agent_at(at))

    def openssl_accepts(self, ca, export, at):
        """A server certificate of this root, issued today, validated with the export at that time."""
        leaf, _ = ca.leaf("device.example.test", start=ctl.NOW - DAY, end=ctl.NOW + 60 * DAY)
        file = net_pki.write_pem(self.folder / "leaf.pem", leaf)
        return subprocess.run(["openssl", "verify", "-no-CApath", "-no-CAstore", "-partial_chain",
                               "-CAfile", export, file], env=agent_at(at),
                              capture_output=True).returncode == 0


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.site.__exit__()


def names_in(export):
    text = Path(export).read_text()
    assert text.count("BEGIN CERTIFICATE") == text.count("CN=")
    return [line.rpartition("CN=")[2] for line in text.splitlines() if "CN=" in line]


def device_uses(status):
    return [r["subject"].rpartition("CN=")[2] for r in status["active"]["roots"]
            if r["state"] == "usable"]


def test_a_root_leaves_the_export_with_the_device_s_trust_in_it(world):
    assert world.holdfast("update").code == 0
    assert names_in(world.export) == ["Ends Soon", "Removed", "Dated", "Stays"]
    assert world.openssl_accepts(world.removed, world.export, None)
    outcome = world.holdfast("update", at=LATER)
    status = json.loads(world.holdfast("status", "--json", at=LATER).out)
    assert names_in(world.export) == device_uses(status) == ["Dated", "Stays"], outcome
    for ca in (world.removed, world.ends_soon):
        assert not world.openssl_accepts(ca, world.export, LATER)
    assert world.openssl_accepts(world.stays, world.export, LATER)
    # The other programs were told, once a change, though the version is the same.
    assert world.swaps.read_text() == "1\n1\n"
    world.holdfast("update", at=LATER)
    assert world.swaps.read_text() == "1\n1\n"


def test_a_check_that_fails_renews_the_export_too(world):
    assert world.holdfast("update").code == 0
    world.site.hostile = {"/": lambda *_: None}
    assert world.holdfast("update", at=LATER).code == 1
    assert names_in(world.export) == ["Dated", "Stays"]


def test_the_command_says_the_same_at_any_time(world):
    assert world.holdfast("update").code == 0
    once = world.folder / "once.pem"
    for at, names in ((None, ["Ends Soon", "Removed", "Dated", "Stays"]), (LATER, ["Dated", "Stays"])):
        assert world.holdfast("export", "--out", once, at=at).code == 0
        assert names_in(once) == names
    assert world.holdfast("export", "--out", once, at="+5000d").code == 0
    assert once.read_text() == "# No root of the active bundle is valid today.\n"


def test_what_pem_cannot_say_stands_in_a_comment(world):
    assert world.holdfast("update").code == 0
    comments = [line for line in world.export.read_text().splitlines() if line.startswith("# d")]
    assert len(comments) == 1
    assert f"{(ctl.NOW + 30 * DAY):%Y-%m-%d}" in comments[0] and "PEM cannot" in comments[0]


def test_a_running_agent_renews_it_without_a_check(world):
    """It starts three seconds before the date. Should it be slow, it finds that the date has passed."""
    assert world.holdfast("update").code == 0
    status = world.device.status()
    ends = next(r["remove_after"] for r in status["active"]["roots"] if r["subject"].endswith("Removed"))
    left_s = (datetime.datetime.fromisoformat(ends) - datetime.datetime.now(datetime.UTC)).total_seconds()
    requests = len(world.site.requests)
    world.swaps.unlink()
    os.mkfifo(world.swaps)
    process = subprocess.Popen([agent.BIN / "holdfast", "--state", world.device.state, "run",
                                "--on-demand"], env=agent_at(f"+{int(left_s) - 3}"),
                               stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    swaps = os.open(world.swaps, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert select.select([swaps], [], [], agent.TIMEOUT_S)[0], "the on-swap command did not run"
        assert os.read(swaps, 10) == b"1\n"
        assert names_in(world.export) == ["Ends Soon", "Dated", "Stays"]
        assert len(world.site.requests) == requests
    finally:
        os.close(swaps)
        process.terminate()
        process.wait(timeout=agent.TIMEOUT_S)
