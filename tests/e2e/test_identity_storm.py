"""A storm of kill -9 over rotations: after each one the device connects with what `current` leads to, and so
does the next update.

A few kills, or 120 with HOLDFAST_LONG=1 (`tests/run.sh --long`), or HOLDFAST_KILLS.
"""
import os
import random
import subprocess
import time

import pytest

from kit import programs, roots
from kit.fleet_service import FleetService, sha256
from test_identity import Member

KILLS = int(os.environ.get("HOLDFAST_KILLS", "120" if "HOLDFAST_LONG" in os.environ else "12"))
SEED = 20261129
# What is lost, cut or refused on the way: a kill meets each of them.
FAULTS = [("/v1/rotate", None), ("/v1/rotate", "lost answer"), ("/v1/whoami", "cut"), ("/v1/rotate", "cut"),
          ("/v1/whoami", 403), ("/v1/rotate", "not registered"), ("/v1/rotate", None)]


@pytest.fixture
def service(folder, publisher):
    publisher.add(*roots.amazon(1, 2, 3, 4))
    made = FleetService(folder, publisher.repo)
    yield made
    made.close()


@pytest.fixture
def member(folder, publisher, service):
    made = Member(folder / "member", service)
    made.init(publisher.root, service.url, options=["--server-ca", service.ca_file])
    made.enroll()
    made.update()
    return made


def kill_a_rotation(member, after_s):
    """Was it still at work?"""
    rotation = subprocess.Popen(programs.command("holdfast", "--state", member.state, "rotate"),
                                env=programs.environment(), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
    try:
        rotation.wait(after_s)
        return False
    except subprocess.TimeoutExpired:
        rotation.kill()
        rotation.wait()
        return True


def test_whenever_a_rotation_is_killed_the_device_connects(member, service):
    dice = random.Random(SEED)
    started = time.monotonic()
    member.rotate()
    duration_s = time.monotonic() - started
    kills = rotations = tries = 0
    before = sha256(member.certificate)
    while kills < KILLS:
        tries += 1
        assert tries < 20 * KILLS, "hardly a kill comes in time"
        path, fault = dice.choice(FAULTS)
        service.faults = {path: [fault]}
        kills += kill_a_rotation(member, dice.uniform(0, duration_s))
        service.faults = {}
        member.connects()
        assert len(member.slots()) <= 4  # current, the one before, a candidate, a draft
        now = sha256(member.certificate)
        rotations += now != before
        before = now
        if tries % 4 == 0:
            n = len(service.fetches)
            assert member.update() == "current amazon-iot/full 1"
            assert len(service.fetches) > n and service.fetches[-1][1] in service.credentials
            member.connects()
    left = member.holdfast("rotate", run=programs.call)  # settles what the last kill left: perhaps a certificate
    assert left.code == 0 or "the certificate is not active" in left.err  # that the service never registered
    member.rotate()
    member.connects()
    json_status = member.status()["identity"]
    assert json_status["last_failure"] is None and not json_status["pending"]
    print(f"\n{kills} kills hit a rotation at work, {tries - kills} came too late; {rotations} times another "
          f"certificate was in use afterwards")
