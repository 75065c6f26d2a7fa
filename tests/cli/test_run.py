"""holdfast run: stays, checks when it is time, and goes when told. Its server is not there: that is not its end."""
import contextlib
import fcntl
import functools
import pathlib
import re
import signal
import subprocess
import threading
import time

import agent
import pytest

from supervisor import Supervisor

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (?:failed: )?(.*); next check (?:in )?(.*)$")


class Running:
    """The program, and its lines of standard error as they come."""

    def __init__(self, *words):
        self.process = subprocess.Popen([agent.BIN / "holdfast", *map(str, words)],
                                        env=agent.environment(), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.guard = threading.Timer(agent.TIMEOUT_S, self.process.kill)
        self.guard.start()

    def line(self):
        return self.process.stderr.readline().rstrip("\n")

    def started(self):
        """Its first line: it waits, and can be poked. Returns for how long."""
        word, wait = LINE.match(self.line()).groups()
        assert word == "started"
        return wait

    def poke(self):
        self.process.send_signal(signal.SIGUSR1)

    def listens_for(self, number):
        """Does it handle the signal already, which would end it otherwise?"""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(re.search(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)[1], 16)
        return caught >> (number - 1) & 1

    def end(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate()
        return self.process.returncode, out, err

    def close(self):
        self.guard.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def device(tmp_path):
    return agent.Device(tmp_path).init("--device-id", "test")


@pytest.fixture
def start_in():
    started = []

    def start_one(device, *options):
        started.append(Running("--state", device.state, "run", *options))
        return started[-1]

    yield start_one
    for one in started:
        one.close()


@pytest.fixture
def start(device, start_in):
    return functools.partial(start_in, device)


def test_it_checks_at_once_and_again_after_the_interval(start):
    agent_running = start("--interval", "1")
    assert agent_running.started() == "0 s"
    for _ in range(3):
        sentence, wait = LINE.match(agent_running.line()).groups()
        assert "127.0.0.1:1" in sentence
        assert wait == "1 s"
    assert agent_running.end(signal.SIGTERM) == (0, "", "")


def test_failures_are_tried_again_sooner_and_then_less_often(start):
    agent_running = start()
    assert seconds(agent_running.started()) in range(0, 31)
    waits = []
    for _ in range(3):
        agent_running.poke()
        waits.append(LINE.match(agent_running.line()).group(2))
    assert seconds(waits[0]) in range(45, 76)
    assert seconds(waits[1]) in range(90, 151)
    assert seconds(waits[2]) in range(180, 301)


def test_a_restart_keeps_to_the_schedule(start, device):
    agent_running = start()
    agent_running.started()
    agent_running.poke()
    wait = seconds(LINE.match(agent_running.line()).group(2))
    agent_running.end(signal.SIGTERM)
    planned = device.status()["next_check"]
    assert planned["reason"] == "the last check failed"
    assert wait - 10 <= planned["wait_s"] <= wait
    assert wait - 10 <= seconds(start().started()) <= wait


def test_on_demand_it_checks_when_it_is_told_to_and_not_otherwise(start, device):
    agent_running = start("--on-demand")
    assert agent_running.started() == "on demand"
    for _ in range(3):
        agent_running.poke()
        sentence, wait = LINE.match(agent_running.line()).groups()
        assert "127.0.0.1:1" in sentence
        assert wait == "on demand"
    assert agent_running.end(signal.SIGTERM) == (0, "", "")
    assert device.status()["next_check"]["reason"] == "the last 3 checks failed"


def test_a_check_that_cannot_be_written_down_is_not_made_again_and_again(start, device):
    with open(device.state / "lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        agent_running = start()
        agent_running.started()
        agent_running.poke()
        assert LINE.match(agent_running.line()).group(2) == "1 min 0 s"
        agent_running.poke()
        assert LINE.match(agent_running.line()).group(2) == "2 min 0 s"


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    supervisor = Supervisor(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", supervisor.path)
    yield supervisor
    supervisor.close()


def test_the_supervisor_hears_of_its_life(start, supervisor):
    agent_running = start("--on-demand")
    assert supervisor.wait_for("READY") == "READY=1"
    assert supervisor.wait_for("STATUS=") == "WATCHDOG=1\nSTATUS=waiting for the first check"
    agent_running.poke()
    said = supervisor.wait_for("STATUS=")
    assert said.startswith("WATCHDOG=1\nSTATUS=the last check failed: ") and "127.0.0.1:1" in said
    assert agent_running.end(signal.SIGTERM)[0] == 0
    assert supervisor.wait_for("STOPPING") == "STOPPING=1"


@pytest.mark.parametrize("usec", ["4000000", "1500000"])
def test_the_watchdog_hears_of_it_while_it_waits(start, supervisor, monkeypatch, usec):
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    start("--on-demand")
    supervisor.wait_for("STATUS=waiting")
    for _ in range(3):
        assert supervisor.wait_for("") == "WATCHDOG=1"


def seconds(text):
    units = {"h": 3600, "min": 60, "s": 1}
    return sum(int(n) * units[u] for n, u in re.findall(r"(\d+) (h|min|s)", text))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_its_wait(start, number):
    agent_running = start()
    agent_running.started()
    assert agent_running.end(number) == (0, "", "")


def test_the_last_check_is_in_the_status(start, device):
    agent_running = start()
    agent_running.started()
    agent_running.poke()
    sentence = LINE.match(agent_running.line()).group(1)
    assert device.status()["last_check"]["text"] == sentence


@pytest.fixture
def with_bundle(tmp_path):
    return agent.Device(tmp_path).init_with_roots(agent.Root("Root").pem)


@contextlib.contextmanager
def locked_and_damaged(device):
    """A program that starts now waits a while for the lock, to restore the database, and then continues without."""
    device.database.write_bytes(b"rotten")
    with open(device.state / "lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_a_poke_while_it_starts_is_not_its_end(with_bundle, start_in):
    with locked_and_damaged(with_bundle):
        agent_running = start_in(with_bundle, "--on-demand")
        while not agent_running.listens_for(signal.SIGUSR1):
            time.sleep(0.01)  # the guard ends this if that never comes
        agent_running.poke()
    agent_running.started()
    while "127.0.0.1:1" not in (line := agent_running.line()):
        assert "; next check " in line, line  # started once more, with the database


@pytest.mark.parametrize("options", [["--interval", "1"], ["--on-demand"]], ids=lambda o: o[0])
def test_it_goes_on_with_a_database_that_was_restored_after_its_start(with_bundle, start_in, options):
    with locked_and_damaged(with_bundle):
        agent_running = start_in(with_bundle, *options)
        agent_running.started()
    agent_running.poke()
    while "127.0.0.1:1" not in (line := agent_running.line()):
        assert "start this program again" not in line and line != "", line
    assert agent_running.end(signal.SIGTERM) == (0, "", "")


def test_a_lock_that_another_holds_is_a_failure_like_others(start, device):
    with open(device.state / "lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        agent_running = start("--interval", "1")
        agent_running.started()
        assert "another process is updating" in agent_running.line()
    while "another process" in (line := agent_running.line()):
        pass
    assert "127.0.0.1:1" in line


def test_a_folder_that_was_never_initialised_ends_it(tmp_path):
    assert "is not initialised" in agent.refused("--state", tmp_path / "none", "run")
