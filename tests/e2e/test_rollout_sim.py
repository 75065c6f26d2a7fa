"""Small runs of the simulation (tests/sim): what it says of the presets must stay true.

Each run is the same on every machine. The large ones, and the figures, are made by tests/sim/run.sh.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess

import pytest

SIM = pathlib.Path(os.environ.get("HOLDFAST_BIN", "build/bin")).parent / "tests" / "hf-rollout-sim"
PLANS = ("careful", "normal", "urgent")
DEVICES = 20000


def simulate(*options):
    done = subprocess.run([SIM, *map(str, options)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)["runs"]


def run(plan, scenario, rule="holdfast", devices=DEVICES):
    outcome, = simulate("--plan", plan, "--scenario", scenario, "--rule", rule, "--devices", devices)
    return outcome


@pytest.fixture(scope="module")
def outcomes():
    """All single runs at once: each is a process of its own."""
    wanted = [(plan, scenario, rule) for plan in PLANS for scenario in ("good", "group", "silencing")
              for rule in ("holdfast", "hawkbit", "none") if (scenario, rule) != ("good", "none")]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(lambda key: run(*key), wanted)))


@pytest.mark.parametrize("plan", PLANS)
def test_a_good_bundle_reaches_all_devices_that_check(outcomes, plan):
    outcome = outcomes[plan, "good", "holdfast"]
    assert (outcome["paused_s"], outcome["harmed"], outcome["left_out"]) == (None, 0, 0)
    assert outcome["complete_s"] is not None and None not in outcome["opened_s"]
    tally = outcome["all_stages"]
    assert tally["devices"] == sum(tally[key] for key in
                                   ("waiting", "on_trial", "confirmed", "failed", "silent"))


@pytest.mark.parametrize("plan", PLANS)
def test_no_stage_opens_before_its_day(outcomes, plan):
    bakes_s = {"careful": (2, 2, 3, 3), "normal": (2, 2, 2), "urgent": (1 / 24, 2 / 24)}[plan]
    opened_s = outcomes[plan, "good", "holdfast"]["opened_s"]
    for before_s, after_s, bake_d in zip(opened_s, opened_s[1:], bakes_s):
        assert after_s - before_s >= bake_d * 86400


@pytest.mark.parametrize("plan", PLANS)
def test_a_bundle_that_silences_devices_pauses_by_silence(outcomes, plan):
    ours, hawkbit, none = (outcomes[plan, "silencing", rule] for rule in ("holdfast", "hawkbit", "none"))
    assert ours["paused_s"] is not None and "fell silent" in ours["reason"]
    assert hawkbit["paused_s"] is None  # no device reports an error
    assert ours["harmed"] < hawkbit["harmed"] <= none["harmed"]
    assert ours["harmed"] < none["harmed"] / 5


@pytest.mark.parametrize("plan", ("careful", "normal"))
def test_a_bundle_that_breaks_one_group_pauses_by_its_reports(outcomes, plan):
    ours, none = outcomes[plan, "group", "holdfast"], outcomes[plan, "group", "none"]
    assert ours["paused_s"] is not None and "failed" in ours["reason"]
    assert ours["harmed"] < none["harmed"] / 10


def test_more_than_the_plan_allows_is_needed_to_stop_it(outcomes):
    # 2 % of the devices fail, and "urgent" allows 5 %.
    outcome = outcomes["urgent", "group", "holdfast"]
    assert (outcome["paused_s"], outcome["stage"]) == (None, 3)


@pytest.mark.parametrize("plan", PLANS)
def test_an_ordinary_fleet_pauses_no_good_rollout(plan):
    runs = simulate("--plan", plan, "--devices", 5000, "--runs", 20)
    assert [r["reason"] for r in runs if r["paused_s"] is not None] == []
    assert all(r["complete_s"] is not None for r in runs)


def test_a_handful_of_liars_neither_stops_a_good_rollout_nor_saves_a_bad_one():
    # 0.5 % of all devices: they report before their turn, which is not heard, and in it.
    stopped = simulate("--scenario", "false-failures", "--liars", 25, "--devices", 5000, "--runs", 20)
    assert [r["reason"] for r in stopped if r["paused_s"] is not None] == []
    saved = simulate("--scenario", "false-confirmations", "--liars", 250, "--devices", 5000, "--runs", 20)
    assert all(r["paused_s"] is not None for r in saved)


def test_the_same_seed_gives_the_same_run():
    one, two, other = (simulate("--devices", 2000, "--seed", seed, "--curve") for seed in (7, 7, 8))
    assert one == two != other


@pytest.mark.parametrize("options, sentence", [
    (("--scenario", "unknown"), "there is no scenario \"unknown\""),
    (("--rule", "hope"), "--rule is holdfast, hawkbit or none, not \"hope\""),
    (("--plan", "reckless"), "there is no file reckless"),
    (("--devices", "10", "--liars", "11"), "--liars is more than --devices"),
    (("--devices", "0"), "--devices"),
    (("more",), "unexpected argument \"more\""),
])
def test_usage_errors(options, sentence):
    done = subprocess.run([SIM, *options], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr and done.stderr.count("\n") == 1


def test_help():
    done = subprocess.run([SIM, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("silencing", "--seed", "--curve", "Exit code"):
        assert word in done.stdout
