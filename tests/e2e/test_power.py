"""An update that is killed at any moment leaves the old or the new store, whole, and the next goes on."""
import random
import shutil
import subprocess
import time

import pytest

from kit import programs, roots
from kit.device import Device

KILLS = 60
SEED = 20261122


@pytest.fixture
def waiting(publisher, device_at_1, folder):
    """A device at version 1, with an export, for which version 2 is published; and how long its
    update takes."""
    device_at_1.export(folder / "roots.pem", "--keep")
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    trial = Device(folder / "trial")
    shutil.copytree(device_at_1.state, trial.state, symlinks=True)
    started = time.monotonic()
    assert trial.update() == "updated amazon-iot/full 1 -> 2"
    return device_at_1, time.monotonic() - started


def kill_after(device, seconds):
    """Whether it was still at work."""
    update = subprocess.Popen(programs.command("holdfast", "--state", device.state, "update"),
                              env=programs.environment(), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        update.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        update.kill()
        update.wait()
        return True


def certificates(device, file):
    return device.export(file).count("BEGIN CERTIFICATE")


def test_killed_at_any_moment_it_holds_the_old_or_the_new_store(waiting, folder):
    pristine, duration_s = waiting
    dice = random.Random(SEED)
    kills, versions = 0, set()
    for attempt in range(KILLS * 10):
        if kills == KILLS:
            break
        device = Device(folder / "victim")
        shutil.rmtree(device.state, ignore_errors=True)
        shutil.copytree(pristine.state, device.state, symlinks=True)
        kills += kill_after(device, dice.uniform(0, duration_s))
        version = device.status()["active"]["version"]
        assert certificates(device, folder / "victim.pem") == {1: 4, 2: 5}[version], attempt
        assert device.update() in ("updated amazon-iot/full 1 -> 2", "current amazon-iot/full 2")
        assert device.status()["active"]["version"] == 2
        versions.add(version)
    assert kills == KILLS
    assert 1 in versions, "no kill came before the swap: nothing was proven"


def test_killed_again_and_again_it_still_gets_there(waiting, folder):
    device, duration_s = waiting
    dice = random.Random(SEED)
    for _ in range(20):
        kill_after(device, dice.uniform(0, duration_s))
        assert device.status()["active"]["version"] in (1, 2)
    device.update()
    assert device.status()["active"]["version"] == 2
    assert certificates(device, folder / "roots.pem") == 5
