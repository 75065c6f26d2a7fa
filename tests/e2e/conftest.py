"""Fixtures of the end-to-end tests: real programs, real processes, one folder a test."""
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cli")]

import pytest

from kit import compromise, roots
from kit.api import Api, Description
from kit.device import Device
from kit.fake_signer import FakeSigner
from kit.fleet import Fleet, History
from kit.processes import Processes
from kit.publisher import Publisher
from kit.servers import Holdfastd


@pytest.fixture
def folder():
    """Gone when the test ends, however it ends."""
    with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as path:
        yield Path(path)


@pytest.fixture
def processes(folder):
    started = Processes(folder)
    try:
        yield started
    finally:
        started.stop_all()


@pytest.fixture
def publisher(folder):
    """A repository that is still empty."""
    return Publisher(folder / "publisher")


@pytest.fixture
def server(processes, publisher):
    """holdfastd before the publisher's repository; it must end cleanly and in silence."""
    holdfastd = Holdfastd(processes, publisher.repo)
    publisher.subscribers.append(holdfastd.catch_up)
    yield holdfastd
    holdfastd.stop()


@pytest.fixture
def device(folder, publisher, server):
    """A device that knows the publisher's first root and nothing else."""
    return Device(folder / "device").init(publisher.root, server.url)


@pytest.fixture
def device_at_1(publisher, device):
    """A device that holds version 1: Amazon Root CA 1 to 4."""
    publisher.add(*roots.amazon(1, 2, 3, 4))
    assert device.update() == "updated amazon-iot/full none -> 1"
    return device


@pytest.fixture(scope="session")
def history():
    with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as path:
        yield History(Path(path))


@pytest.fixture
def fleet(folder, processes, history):
    """Devices to live through a runbook."""
    made = Fleet(folder, processes, history)
    yield made
    made.wire.close()
    made.server.stop()


@pytest.fixture
def signer(folder):
    """The other end of signer.sock, which issues what it is asked for."""
    fake = FakeSigner(folder / "signer.sock")
    yield fake
    fake.stop()


@pytest.fixture
def api(folder, signer):
    """The API of the service, whose every answer is checked against schema/openapi.yaml."""
    running = Api(folder / "api", Description(), signer.path)
    yield running
    running.stop()


@pytest.fixture
def service(processes, folder, publisher):
    """The fleet service with two accounts, for an attacker."""
    publisher.add(*roots.amazon(1))
    made = compromise.start(processes, folder, publisher)
    yield made
    made.server.stop()
    made.signer.stop()


@pytest.fixture
def client(service):
    return compromise.Client(service)
