"""A storm of kill -9 over updates: after each one the old store or the new one, whole, and the next
update succeeds.

50 kills, or 1000 with HOLDFAST_LONG=1 (`tests/run.sh --long`), or HOLDFAST_KILLS; tests/crash/README.md says what it has shown.
"""
import hashlib
import os
import random
import re
import shutil
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kit import programs, roots
from kit.device import Device
from kit.publisher import PROFILE, SET

KILLS = int(os.environ.get("HOLDFAST_KILLS", "1000" if "HOLDFAST_LONG" in os.environ else "50"))
SEED = 20261122
FOUR, FIVE = roots.amazon(1, 2, 3, 4), roots.amazon(1, 2, 3, 4) + [roots.STARFIELD.file]


def fingerprints(pem):
    """Of each certificate; a text that ends within one does not parse."""
    blocks = re.findall(b"-----BEGIN CERTIFICATE-----.*?(?:-----END CERTIFICATE-----|$)", pem, re.S)
    return {x509.load_pem_x509_certificate(b).fingerprint(hashes.SHA256()) for b in blocks}


class Storm:
    """One device that is killed again and again; versions alternate between four roots and five."""

    def __init__(self, folder, publisher, url):
        self.folder, self.publisher = folder, publisher
        self.dice = random.Random(SEED)
        self.exported = folder / "exported" / "roots.pem"
        self.exported.parent.mkdir()
        self.told = folder / "told"
        self.versions = {}  # by number: the bundle as published, and its roots
        self.newest = 0
        self.counts = {"old": 0, "new": 0, "too late": 0}
        self.publish()
        self.device = Device(folder / "device").init(
            publisher.root, url, options=["--export", self.exported, "--on-swap",
                                          f"echo $HOLDFAST_NEW_VERSION >> {self.told}"])
        self.device.update()
        self.duration_s = 1.0

    def publish(self):
        self.newest += 1
        if self.newest == 1 or self.newest % 2 == 0:
            self.publisher.add(*FIVE)
        else:
            self.publisher.add(*FOUR, options=["--drop", "all"])
        file, = (self.publisher.repo / "targets" / SET / PROFILE).glob(f"*.{self.newest}.pem")
        pem = file.read_bytes()
        self.versions[self.newest] = (pem, fingerprints(pem))

    # ---- one kill ----------------------------------------------------------------------------------

    def kill(self):
        """Kill an update after a random part of the time that it takes, earlier while fewer came before the
        commit than after it; was it still at work?"""
        until_s = self.duration_s * (0.3 if self.counts["old"] < self.counts["new"] else 1)
        update = subprocess.Popen(
            programs.command("holdfast", "--state", self.device.state, "update"),
            env=programs.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            update.wait(self.dice.uniform(0, until_s))
            return False
        except subprocess.TimeoutExpired:
            update.kill()
            update.wait()
            return True

    def check(self, device, allowed):
        """What is active is one of these versions, to the byte, in the status, in the files, and in
        what other programs read."""
        active = device.status()["active"]
        assert active["version"] in allowed
        pem, wanted = self.versions[active["version"]]
        assert active["sha256"] == hashlib.sha256(pem).hexdigest()
        assert {bytes.fromhex(r["sha256"]) for r in active["roots"]} == wanted
        link = device.state / "bundles" / "active"
        assert os.readlink(link) == f"{active['sha256']}.{active['version']}.pem"
        assert link.read_bytes() == pem
        return active["version"]

    def check_export(self, allowed):
        found = fingerprints(self.exported.read_bytes())
        assert found in [self.versions[v][1] for v in allowed]

    def check_next_update(self):
        """Of a copy, so that the storm goes on where it was."""
        copy = Device(self.folder / "copy")
        shutil.rmtree(copy.state, ignore_errors=True)
        shutil.copytree(self.device.state, copy.state, symlinks=True)
        export = self.exported.read_bytes()
        started = time.monotonic()
        copy.update()
        self.duration_s = 0.8 * self.duration_s + 0.2 * (time.monotonic() - started)
        self.check(copy, [self.newest])
        self.exported.write_bytes(export)

    def strike(self):
        """Kill, look, go on. Was the update still at work?"""
        if not self.kill():
            self.counts["too late"] += 1
            return False
        allowed = [self.newest - 1, self.newest]
        version = self.check(self.device, allowed)
        self.check_export(allowed)
        self.counts["new" if version == self.newest else "old"] += 1
        self.check_next_update()
        return True

    # ---- one version -------------------------------------------------------------------------------

    def finish(self):
        """The storm is over for this version: whatever was left to do is done, and was told."""
        self.device.update()
        self.check(self.device, [self.newest])
        self.check_export([self.newest])
        assert str(self.newest) in self.told.read_text().split()
        held = sorted(f.name for f in (self.device.state / "bundles").iterdir())
        assert len(held) == 7, held

    def is_open(self):
        return self.device.status()["active"]["version"] != self.newest

    def rage(self, kills):
        while kills > 0:
            self.publish()
            # Also once more when it is committed: what follows a commit can be killed as well.
            strikes_left = 2
            while kills > 0 and (self.is_open() or strikes_left > 0):
                strikes_left -= 1
                kills -= self.strike()
            self.finish()


@pytest.fixture
def storm(folder, publisher, server):
    return Storm(folder, publisher, server.url)


def test_whenever_it_is_killed_it_holds_the_old_or_the_new_store(storm):
    storm.rage(KILLS)
    counts = storm.counts
    print(f"\n{KILLS} kills hit an update at work: {counts['old']} before the commit, "
          f"{counts['new']} after it; {counts['too late']} came too late; {storm.newest} versions")
    assert counts["old"] + counts["new"] == KILLS
    assert counts["old"] >= KILLS // 10, "hardly a kill came before the commit: nothing was proven"
    assert counts["new"] > 0, "no kill came after the commit: nothing was proven of the rest"
