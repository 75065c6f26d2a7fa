"""kill -9 of either process at any moment, under load: whatever was answered is there afterwards.
A few kills, or 300 in a long run."""
import os
import random
import threading
import time

import pytest

from kit import programs, roots
from kit.service import Service

KILLS = 300 if os.environ.get("HOLDFAST_LONG") else 8
WORKERS = 3


class Load:
    """Devices enrol and are set INACTIVE; what was answered is remembered."""

    def __init__(self, service, number):
        self.service, self.number = service, number
        self.answered, self.is_over, self.failures = {}, False, 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def call(self, program, *words):
        outcome = programs.call(program, *words)
        self.failures += outcome.code != 0
        return outcome if outcome.code == 0 else None

    def run(self):
        service, config = self.service, ["--config", self.service.config]
        for i in range(100000):
            if self.is_over:
                return
            name = f"pump-{self.number}-{i}"
            file = service.folder / f"{name}.token"
            token = self.call("holdfast-admin", "enroll-token", "create", "--account", "pumps", "--json",
                              *config)
            if not token:
                continue
            file.touch(mode=0o600)
            file.write_text(token.out.split('"token": "')[1].split('"')[0])
            device = service.device(name)
            said = self.call("holdfast", "--state", device.state, "enroll", "--token-file", file)
            if not said:
                continue
            sha256 = said.out.split("certificate ")[1].split(",")[0]
            self.answered[sha256] = "ACTIVE"
            if i % 2 and self.call("holdfast-admin", "credential", "deactivate", "--account", "pumps",
                                   sha256, *config):
                self.answered[sha256] = "INACTIVE"
            elif i % 2:
                self.answered[sha256] = None  # either is right: nothing was answered

    def stop(self):
        self.is_over = True
        self.thread.join()


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher, signer__timestamp_every="2s",
                   signer__issue_per_day="1000000").start()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


def test_a_storm_of_kills(service, publisher):
    chance = random.Random(KILLS)
    loads = [Load(service, n) for n in range(WORKERS)]
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.0))
            victim, again = chance.choice([(service.server, service.start_server),
                                           (service.signer, service.start_signer)])
            victim.popen.kill()
            victim.wait()
            again()
            publisher.check()
    finally:
        for load in loads:
            load.stop()
    answered = {sha256: status for load in loads for sha256, status in load.answered.items()}
    assert answered
    found = {c["sha256"]: c["status"] for c in service.credentials()}
    for sha256, status in answered.items():
        assert found[sha256] == status or (status is None and sha256 in found), sha256
    # The log's chain verifies while it is printed, and has an entry for each.
    log = service.admin("log", "export")
    for sha256 in answered:
        assert sha256 in log
    publisher.check()
