"""holdfastd and the signer are stopped and killed between the intent of a step and its outcome: no stage is skipped, no pause is
undone, and at every moment the repository is one that devices accept."""
import json
import os
import random
import signal
import subprocess
import time

import pytest

from kit import programs
from kit.processes import wait_until
from kit.rollout import PATH, ROLE, RolloutPublisher
from kit.rollout_fleet import ROLLOUT, Client
from kit.servers import PlainServer
from kit.service import Service
from kit.signer import Signer
from kit.signer_wire import SignerWire

# No device is in these stages, so each passes at once: three are opened, and then the rollout is complete.
STAGES = [{"groups": ["lab"], "bake": "0s"}, {"groups": ["pilots"], "bake": "0s"}, {"share": "100%"}]
N_STEPS = 4
KILLS = 60 if "HOLDFAST_LONG" in os.environ else 6
MAY_FOLLOW = {None: {"open"}, "open": {"open", "paused", "aborted", "complete"}, "paused": {"open", "aborted"},
              "complete": {"paused", "aborted"}, "aborted": set()}


class Repository:
    """What lies on disk, as others see it."""

    def __init__(self, folder, publisher):
        self.folder, self.publisher, self.n = folder, publisher, 0

    def history(self):
        """Each (stage, state) that was ever signed; none of them follows where it must not."""
        files = sorted((self.publisher.repo / "metadata").glob(f"*.{ROLE}.json"), key=lambda f: int(f.name.split(".")[0]))
        entries = [json.loads(f.read_text())["signed"]["targets"].get(PATH) for f in files]
        steps = [e["custom"]["holdfast"]["activation"] for e in entries if e]
        signed = [(s["stage"], s["state"]) for s in steps]
        for before, now in zip([(-1, None), *signed], signed):
            if before == now:
                continue  # signed again in time
            assert now[1] in MAY_FOLLOW[before[1]], signed
            opens_next = now[1] == "open" and before[1] in (None, "open")
            assert now[0] == before[0] + opens_next, signed
        return signed

    def check(self):
        """holdfastctl, and python-tuf where it is there, as a device that is new."""
        self.publisher.check()
        self.history()
        try:
            from kit.python_tuf import updater  # pylint: disable=import-outside-toplevel
        except ImportError:
            return
        self.n += 1
        server = PlainServer(self.publisher.repo)
        folder = self.folder / f"python-tuf-{self.n}"
        folder.mkdir()
        client = updater(folder, self.publisher.root, server.url)
        assert client.get_targetinfo(PATH) is not None
        # Only the role can know this path, so it is read.
        assert client.get_targetinfo("amazon-iot/full/999.pem") is None
        server.close()


class Scene(Repository):
    """A service whose rollout goes on by itself, with a wire between its two processes."""

    def __init__(self, processes, folder, stages=None):
        super().__init__(folder, RolloutPublisher(folder / "publisher", stages=stages or STAGES))
        self.service = Service(processes, folder / "service", self.publisher)
        self.sockets = {"signer": self.service.settings["signer"]["socket"], "wire": folder / "wire.sock"}
        self.wire = SignerWire(self.sockets["wire"], self.sockets["signer"])
        self.start_signer()

    def _use(self, socket):
        self.service.settings["signer"]["socket"] = self.sockets[socket]
        self.service.write_config()

    def start_signer(self):
        self._use("signer")
        self.service.start_signer()
        self._use("wire")

    def start_server(self):
        self.service.start_server()
        self.client = Client(self.service)

    def kill(self, process):
        process.signal(signal.SIGKILL)
        process.wait()

    def kill_server(self):
        self.kill(self.service.server)
        self.check()

    def rollout(self):
        answer = self.client.get(f"{ROLLOUT}/2")
        return answer.json if answer.status == 200 else {}

    def wait(self, state):
        wait_until(lambda: self.rollout().get("state") == state, lambda: f"{state}: {self.rollout()}")

    def settled(self):
        """What was found of each intent that a process left behind."""
        return [line["entry"]["details"]["was_signed"] for line in self.service.exported_log()
                if "entry" in line and line["entry"]["action"] == "rollout.settled"]

    def ends_complete(self):
        self.wait("complete")
        self.check()
        signed = [s for i, s in enumerate(self.history()) if i == 0 or self.history()[i - 1] != s]
        assert signed == [(0, "open"), (1, "open"), (2, "open"), (2, "complete")]
        wait_until(lambda: self.rollout()["intent"] is None, "no intent is left")


    def close(self):
        for process in (self.service.server, self.service.signer):
            if process:
                process.signal(signal.SIGCONT)
                process.stop()
        self.wire.close()


@pytest.fixture
def scene(processes, folder):
    made = Scene(processes, folder)
    yield made
    made.close()


# ---- holdfastd ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("point, was_signed", [("asked", False), ("signed", True)])
def test_holdfastd_is_killed_in_each_step(scene, point, was_signed):
    for _ in range(N_STEPS):
        scene.wire.hold(point)
        scene.start_server()
        held = scene.wire.next()
        intent = scene.rollout()["intent"]
        assert all(intent[name] == held.request[name] for name in ("from", "stage", "state"))
        scene.kill_server()
        held.lose()
    scene.start_server()
    scene.ends_complete()
    assert scene.settled() == [was_signed] * N_STEPS


def test_a_request_that_comes_late_is_refused(scene):
    """The process that asked is dead, its request is still on the way, and its successor has gone on."""
    scene.wire.hold("asked")
    scene.start_server()
    late = scene.wire.next()
    scene.kill_server()
    scene.start_server()
    scene.ends_complete()
    before = scene.history()
    late.go()
    assert late.wait()["error"] == "state"
    assert scene.history() == before


@pytest.mark.parametrize("verb, state", [("pause", "paused"), ("abort", "aborted")])
def test_a_stop_is_not_undone_by_a_step_that_was_decided_before(scene, verb, state):
    scene.wire.hold("asked")
    scene.start_server()
    first = scene.wire.next()
    scene.wire.hold("asked")  # the keeper opens the second stage
    first.go()
    late = scene.wire.next()
    answer = scene.client.call("POST", f"{ROLLOUT}/2/{verb}", {"reason": "an operator is faster"})
    assert (answer.status, answer.json["state"]) == (200, state)
    late.go()
    assert late.wait()["error"] == "state"
    scene.check()
    for _ in range(2):
        scene.kill_server()
        scene.start_server()
        scene.wait(state)
    assert scene.history()[-1] == (0, state)
    assert "an operator is faster" in scene.rollout()["reason"]


@pytest.mark.parametrize("point", ["asked", "signed"])
def test_holdfastd_is_stopped_while_the_desk_pauses(scene, point):
    scene.wire.hold(point)
    scene.start_server()
    held = scene.wire.next()
    scene.service.server.signal(signal.SIGSTOP)
    held.go()
    held.wait()
    programs.ok("holdfastctl", "rollout", "pause", *scene.publisher.place, "--reason", "by hand", "amazon-iot/full")
    scene.check()
    scene.service.server.signal(signal.SIGCONT)
    scene.wait("paused")
    wait_until(lambda: scene.rollout()["intent"] is None, "the step is over")
    assert scene.history() == [(0, "open"), (0, "paused")] and scene.rollout()["wait"] == "paused"


# ---- the signer -----------------------------------------------------------------------------------------------

def test_the_signer_is_stopped_after_holdfastd_is_killed(scene):
    """It wakes up with the request of a dead process and that of its successor, and signs one of them."""
    scene.wire.hold("asked")
    scene.start_server()
    first = scene.wire.next()
    scene.kill_server()
    scene.wire.hold("asked")
    scene.start_server()
    second = scene.wire.next()
    assert second.request == first.request
    scene.service.signer.signal(signal.SIGSTOP)
    first.go()
    second.go()
    scene.service.signer.signal(signal.SIGCONT)
    answers = [held.wait() for held in (first, second)]
    assert [answer["error"] for answer in answers if not answer["ok"]] == ["state"]
    scene.ends_complete()


@pytest.mark.parametrize("point", ["asked", "signed"])
def test_both_are_killed_in_each_step(scene, point):
    for _ in range(N_STEPS):
        scene.wire.hold(point)
        scene.start_server()
        held = scene.wire.next()
        scene.kill(scene.service.signer)
        held.go()  # no signer is there to hear it, or the answer comes although its sender is gone
        scene.kill_server()
        scene.start_signer()
    scene.start_server()
    scene.ends_complete()


if "HOLDFAST_LONG" in os.environ:
    def test_a_signer_that_is_away_for_a_while(scene):
        """holdfastd asks again by itself. Without an answer it does not know what was signed, so that takes a while."""
        scene.wire.hold("asked")
        scene.start_server()
        held = scene.wire.next()
        scene.kill(scene.service.signer)
        held.go()
        wait_until(lambda: "signer" in (scene.rollout().get("wait_text") or ""), lambda: f"it says so: {scene.rollout()}")
        scene.start_signer()
        wait_until(lambda: scene.rollout().get("state") == "complete", "it goes on", seconds=180)
        scene.ends_complete()


# ---- at any moment ------------------------------------------------------------------------------------------------

def test_kills_at_random_moments(processes, folder):
    """A rollout of sixteen stages, which takes about as many seconds, arrives all the same."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    stages = [{"groups": [f"group-{n}"], "bake": "0s"} for n in range(15)] + [{"share": "100%"}]
    scene = Scene(processes, folder, stages)
    scene.start_server()
    for _ in range(KILLS):
        time.sleep(dice.uniform(0, 2.5))
        with_signer = dice.random() < 0.6
        if with_signer:
            scene.kill(scene.service.signer)
        scene.kill_server()
        if with_signer:
            scene.start_signer()
        scene.start_server()
    scene.wait("complete")
    scene.check()
    signed = scene.history()
    assert signed[-1] == (15, "complete"), f"seed {seed}"
    assert sorted(set(signed)) == sorted([(n, "open") for n in range(16)] + [(15, "complete")]), f"seed {seed}"
    scene.close()


# ---- the signer, within a step ----------------------------------------------------------------------------------

CALLS = "renameat,renameat2,rename,fsync,fdatasync"


def attach(signer, nth):
    """Whatever it does next, it is killed at its nth call that makes something last."""
    tracer = subprocess.Popen(["strace", "-f", "-p", str(signer.process.popen.pid), "-e", f"trace={CALLS}", "-e",
                               f"inject={CALLS}:signal=KILL:when={nth}"], stderr=subprocess.PIPE, text=True)
    for line in tracer.stderr:
        if "attached" in line:
            return tracer
    tracer.wait()
    pytest.skip("strace may not trace here")


def test_the_signer_is_killed_at_each_call_that_makes_a_step_last(processes, folder):
    """Pauses and resumes by turns; after each kill the step was signed whole or not at all, and it is noted."""
    publisher = RolloutPublisher(folder / "publisher", stages=STAGES)
    repository = Repository(folder, publisher)
    signer = Signer(processes, folder / "signer", publisher).start()
    members = {"path": PATH, "stage": 0, "reason": "killed"}
    signer.ok("step", **members, **{"from": publisher.role_version}, state="open")
    state, n_signed, n_killed = "paused", 0, 0
    for nth in range(1, 100):
        before = publisher.role_version
        tracer = attach(signer, nth)
        try:
            answer = signer.ask("step", **members, **{"from": before}, state=state)
        except (OSError, json.JSONDecodeError):
            answer = None
        was_killed = answer is None
        if not was_killed:
            tracer.terminate()
        tracer.communicate()
        signer.hang_up()
        if was_killed:
            signer.process.wait()
            signer.start()
        repository.check()
        was_signed = publisher.activation()["state"] == state
        # Numbers of files that were written in vain are not used again.
        assert (publisher.role_version > before) == was_signed and (was_killed or answer["ok"])
        noted = [n["subject"] for n in signer.ok("signatures", after=0)["signatures"] if n["kind"] == ROLE]
        assert noted[-1].startswith(f"version {publisher.role_version}")
        n_signed, n_killed = n_signed + was_signed, n_killed + was_killed
        if not was_killed:
            break
        if was_signed:
            state = {"paused": "open", "open": "paused"}[state]
    # It died both before a step was signed and after it.
    assert n_killed > 8 and 1 < n_signed < n_killed
