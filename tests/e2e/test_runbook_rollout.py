"""The runbooks for rollouts, to the letter, with real agents: the bundle is bad, devices are broken, or a root is replaced."""
import json
import os
import re
import subprocess
import time

import pytest

import net_pki  # of tests/cli
from kit import programs
from kit.agents import PLAN, World
from kit.processes import wait_until
from kit.programs import BIN, environment
from kit.runbook import commands

PAGE = "paused-rollout.md"
N_AGENTS, N_LAB = 4, 2

# The programs of this build: with the configuration of this service, and roots of a test are pinned.
SHIMS = {"holdfast-admin": 'exec "{program}" "$@" --config "{config}"',
         "holdfastctl": 'case "$2" in add) set -- "$@" {pins} --lead 0 --accept no-overlap --quiet ;; esac\n'
                        'exec "{program}" "$@"'}


@pytest.fixture
def world(processes, folder):
    made = World(processes, folder, N_AGENTS, N_LAB)
    yield made.make_agents()
    made.stop()


def follow(world, tag="", page=PAGE, **names):
    """The blocks of the page with that tag, and only those. Returns what they say."""
    shims = world.folder / "bin"
    shims.mkdir(exist_ok=True)
    pins = " ".join(net_pki.pins(*names.get("CERTS", "").split()))
    for name, line in SHIMS.items():
        (shims / name).write_text("#!/bin/sh\n" + line.format(program=BIN / name, config=world.service.config, pins=pins))
        (shims / name).chmod(0o755)
    text = commands(page, tag).removeprefix(commands(page) if tag else "")
    assert text
    env = {"ROLLOUT": world.name, "ACCOUNT": "pumps", "DEVICE": "lab-0", "REASON": "the runbook says so", "SET": "amazon-iot",
           "PROFILE": "full", "VERSION": world.name.rpartition("/")[2], "PLAN": world.publisher.plan_file,
           "REPO": world.publisher.repo, "KEYS": world.publisher.keys, **names}
    done = subprocess.run(["sh", "-euc", text], capture_output=True, text=True, timeout=programs.TIMEOUT_S,
                          env=environment(PATH=f"{shims}:{os.environ['PATH']}", **{k: str(v) for k, v in env.items()}))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def looks(world, at, result):
    """What the person at the terminal reads in the first steps."""
    said = follow(world)
    assert at["reason"] in said and "mandatory from" in said
    assert f"lab-0   0      {result}" in said
    assert "lab-0 is " in said
    return said


def test_the_bundle_is_bad(world):
    world.roll_out(1, world.main)
    world.lab[0].check()
    at = world.wait("it pauses", state="paused", stage=0)
    world.check_all()
    said = looks(world, at, "failed")
    assert f"tls://127.0.0.1:{world.of_old.port}" in said and "CN=Old Root" in said
    said = follow(world, "bad")
    assert f"{world.name}: aborted, stage 1\n" in said and "publish a higher" in said
    follow(world, "publish", CERTS=f"{world.main} {world.old}")
    world.name = "amazon-iot/full/2"
    listed = json.loads(programs.ok("holdfastctl", "bundle", "list", "--repo", world.publisher.repo, "--json").out)["bundles"]
    assert [b["version"] for b in listed if b["profile"] == "full"] == [2]  # no device installs the bad one on its last day
    world.goes_on(2)


def test_a_device_is_broken(world):
    """The plan allows no failed device of two. The application of one rejects the bundle."""
    world.roll_out(1, world.main, world.old)
    broken, _ = world.lab
    programs.call("holdfast", "--state", broken.device.state, "update")
    broken.device.reject("the flash is full")
    at = world.wait("it pauses", state="paused", stage=0)
    assert "the flash is full" in at["reason"]
    programs.call("holdfast", "--state", broken.device.state, "update")
    looks(world, at, "failed")
    said = follow(world, "broken")
    assert 'device "lab-0" is not counted any more' in said and f"{world.name}: open, stage 1\n" in said
    world.agents.remove(broken)
    world.goes_on(1)
    follow(world, "repaired")
    assert world.rollout()["excluded"] == []


def test_a_root_is_added_and_removed(world):
    """The root that comes and goes is one that no endpoint of the agents depends on."""
    page = "replace-a-root-certificate.md"
    world.publisher.plan_file.write_text(json.dumps(PLAN))
    world.name = "amazon-iot/full/1"
    assert "successor by" in follow(world, page=page)
    time.sleep(1.1)  # agents that were registered in the second in which the service sees the version do not count
    for version, tag, certificates in ((1, "add", (world.main, world.old, world.new)), (2, "remove", (world.main, world.old))):
        world.name = f"amazon-iot/full/{version}"
        follow(world, tag, page, CERTS=" ".join(map(str, certificates)))
        world.wait("the first stage opens", state="open", stage=0)
        world.goes_on(version)
        world.service.admin("audit", "run", "ANCHOR_ENDS_BEFORE_FLEET_IS_READY")
        wait_until(lambda: "\nCounted 2" in follow(world, "follow", page), "the devices are counted")
        assert re.search(r"^state +complete$", follow(world, "follow", page), re.MULTILINE)
