"""A rollout that the service steers, with real agents: a good bundle reaches all of them, stage by stage; a bad one, and one
after which devices fall silent, stop in the first stage, and no agent loses an endpoint. 12 agents, or 200 in a long run."""
import os

import pytest

from kit import clock, programs
from kit.agents import World
from kit.processes import wait_until

N_AGENTS, N_LAB = (200, 20) if os.environ.get("HOLDFAST_LONG") else (12, 3)


@pytest.fixture
def world(processes, folder):
    made = World(processes, folder, N_AGENTS, N_LAB)
    yield made
    made.stop()


def stays_where_it_is(world, versions):
    """However often the agents check, and each reaches its endpoint."""
    world.check_all()
    world.check_all()
    assert world.versions() == versions
    assert all(world.all_at_once(lambda agent: agent.reaches_its_endpoint(), world.agents))
    assert world.rollout()["state"] == "paused"


def test_a_good_bundle_reaches_all(world, processes):
    world.make_agents().roll_out(1, world.main, world.old, world.new)
    typed = world.name.replace("/1", "/01")  # which the service takes for the same
    watch = processes.start(programs.command("holdfast-admin", "rollout", "watch", typed, "--config",
                                             world.service.config), "watch")
    world.goes_on(1)
    assert all(world.all_at_once(lambda agent: agent.reaches_its_endpoint(), world.agents))
    assert watch.wait() == 0
    lines = watch.out.splitlines()
    assert lines[0].startswith(f"{world.name} open, stage 1 of 3: ")
    assert lines[-1].startswith(f"{world.name} complete, stage 3 of 3: ")
    stages = [line.split("stage ")[1][0] for line in lines]
    assert stages == sorted(stages)
    world.publisher.check()


def test_a_bad_bundle_stops_in_its_stage(world):
    """It lacks the root that the endpoints of the lab need. The next version has it, and reaches all."""
    world.make_agents().roll_out(1, world.main)
    world.check_all()
    at = world.wait("it pauses", state="paused", stage=0)
    assert "install the bundle failed" in at["reason"] and "CN=Old Root" in at["reason"]
    assert f"endpoint tls://127.0.0.1:{world.of_old.port}" in at["reason"]
    shown = world.service.admin("rollout", "show", world.name)
    assert at["reason"] in shown and "mandatory from" in shown
    stays_where_it_is(world, [0] * N_AGENTS)
    counted = world.counted()  # those that came after the pause wait
    assert set(counted) == {agent.name for agent in world.lab} and "failed" in counted.values()
    assert set(counted.values()) <= {"failed", "waiting"}
    wait_until(lambda: [f for f in world.service.admin_json("finding", "list")["findings"]
                        if f["check"] == "ROLLOUT_PAUSED" and f["subject"] == world.name], "the audit finds it")
    world.service.admin("rollout", "abort", world.name, "--reason", "a root is missing", "--yes")
    world.roll_out(2, world.main, world.old)
    world.goes_on(2)
    world.publisher.check()


def test_silence_stops_it(world):
    """The bundle itself is good, and the way to the service breaks with it."""
    world.make_agents(with_ways=True).roll_out(1, world.main, world.old, world.new)
    world.all_at_once(lambda agent: agent.check(), world.lab)
    assert [agent.version for agent in world.lab] == [1] * N_LAB
    wait_until(lambda: set(world.counted().values()) == {"on-trial"}, lambda: f"they are on trial: {world.counted()}")
    assert world.service.server.stop() == 0
    world.service.start_server(env=clock.at("+1h"))
    at = world.wait("it pauses", state="paused", stage=0)
    assert "silent" in at["reason"]
    assert set(world.counted().values()) == {"silent"}
    stays_where_it_is(world, [1] * N_LAB + [0] * (N_AGENTS - N_LAB))

    for way in world.ways:
        way.is_cut.unlink()
    world.all_at_once(lambda agent: agent.check("+2h"), world.lab)  # they do not try to report all the time
    wait_until(lambda: set(world.counted().values()) == {"confirmed"}, lambda: f"the lab is back: {world.counted()}")
    said = world.service.admin("rollout", "resume", world.name, "--reason", "the route is repaired")
    assert said.startswith(f"{world.name}: open, stage ")
    world.goes_on(1)
    world.publisher.check()
