"""kill -9 of either process of the service and of agents at any moment, under load: whatever was answered is there
afterwards, and every report once. A few kills of the service, or 300 in a long run, and about as many of agents."""
import http.client
import json
import os
import random
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest

from kit import client_pki, programs, roots
from kit.processes import wait_until
from kit.reports import PATH, as_body, report
from kit.service import Service

KILLS = 300 if os.environ.get("HOLDFAST_LONG") else 8
WORKERS = 3
AGENTS = 12 if os.environ.get("HOLDFAST_LONG") else 3


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


class Reporter:
    """Devices report one after the other, again and again until they are answered; then they know no more of it."""

    PER_DEVICE = 300  # fewer than the history keeps

    def __init__(self, service, number):
        self.service, self.number = service, number
        self.answered, self.is_over = {}, False  # the texts of each device
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def register(self, name):
        cert, key = client_pki.self_signed(name)
        self.pair = client_pki.write_pair(self.service.folder, name, cert, key)
        while not self.is_over:
            outcome = programs.call("holdfast-admin", "credential", "register", "--account", "pumps", self.pair[0],
                                    "--device", name, "--status", "ACTIVE", "--config", self.service.config)
            if outcome.code == 0 or "already" in outcome.err:
                return

    def send(self, reports):
        """The status, or None without an answer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*self.pair)
        connection = http.client.HTTPSConnection("localhost", self.service.port, timeout=20, context=context)
        try:
            connection.request("POST", PATH, as_body(reports), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = json.loads(answer.read())
            assert answer.status != 200 or said["accepted"] + said["duplicates"] == len(reports)
            return answer.status
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def run(self):
        seq = 0
        while not self.is_over:
            name = f"meter-{self.number}-{seq // self.PER_DEVICE}"
            if seq % self.PER_DEVICE == 0:
                self.register(name)
            reports = [report(name, seq + i + 1, "failed") for i in range(3)]
            while not self.is_over:
                status = self.send(reports)
                assert status in (None, 200, 429, 503), status
                if status == 200:
                    self.answered.setdefault(name, []).extend(r["text"] for r in reports)
                    seq += 3
                    break
                time.sleep(0.1)

    def stop(self):
        self.is_over = True
        self.thread.join()


class Agent:
    """A real one, which is killed too. Each of its checks fails in other words, which is one report: it is seen while it
    waits, because only `report --send` sends it."""

    def __init__(self, service, number):
        self.service, self.name = service, f"agent-{number}"
        self.device = service.enrolled(self.name)
        self.words = ["--state", self.device.state]
        programs.ok("holdfast", *self.words, "config", "set", "report", "service")
        self.chance, self.is_over = random.Random(number), False
        self.noted = {}  # number: what the report says
        self.kills = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def start(self, *words):
        """To its end, or until it is killed."""
        process = subprocess.Popen(programs.command("holdfast", *self.words, *words), env=programs.environment(),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.chance.random() < 0.5:
            time.sleep(self.chance.uniform(0, 0.2))
            process.kill()
        self.kills += process.wait() < 0

    def waiting(self):
        return {seq: json.loads(text) for seq, text in self.device.rows("SELECT seq, json FROM report")}

    def look(self):
        for seq, said in self.waiting().items():
            assert self.noted.setdefault(seq, said) == said, f"{self.name}: one number, two reports"

    def run(self):
        for i in range(400):  # fewer than the history keeps
            if self.is_over:
                return
            programs.ok("holdfast", *self.words, "config", "set", "url", f"http://127.0.0.1:1/{i}")
            self.start("update")
            self.look()
            self.start("report", "--send")
            self.look()

    def stop(self):
        self.is_over = True
        self.thread.join()

    def acknowledged(self):
        """The failures whose reports do not wait any more."""
        left = self.waiting()
        return {seq: said["text"] for seq, said in self.noted.items() if said["kind"] == "failed" and seq not in left}

    def check(self, is_all):
        """What it saw acknowledged is there once, and nothing is there twice or from nowhere."""
        with sqlite3.connect(f"file:{self.service.folder}/fleet.db?mode=ro", uri=True, timeout=20) as db:
            kept = [text for (text,) in db.execute(
                "SELECT r.reason FROM report r JOIN device d ON d.id = r.device_id WHERE d.name = ? AND r.kind = 'failed'",
                [self.name])]
            installation, sequence, seen = db.execute(
                "SELECT s.installation, s.sequence, s.seen FROM device_state s JOIN device d ON d.id = s.device_id "
                "WHERE d.name = ?", [self.name]).fetchone()
        noted = [said["text"] for said in self.noted.values() if said["kind"] == "failed"]
        assert len(noted) == len(set(noted)) and len(kept) == len(set(kept)), self.name
        assert set(self.acknowledged().values()) <= set(kept) <= set(noted), self.name
        for seq in self.acknowledged():
            assert seq <= sequence and (seq <= sequence - 64 or seen >> sequence - seq & 1), (self.name, seq)
        if is_all:
            assert set(kept) == set(noted) and self.waiting() == {}
        assert {said["installation"] for said in self.noted.values()} <= {(installation or b"").hex()}

    def send_all(self):
        def is_sent():
            return programs.call("holdfast", *self.words, "report", "--send").code == 0
        wait_until(is_sent, f"{self.name} sends all")


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
    reporters = [Reporter(service, n) for n in range(2)]
    agents = [Agent(service, n) for n in range(AGENTS)]
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
        for load in loads + reporters + agents:
            load.stop()
    answered = {sha256: status for load in loads for sha256, status in load.answered.items()}
    assert answered
    found = {c["sha256"]: c["status"] for c in service.credentials()}
    for sha256, status in answered.items():
        assert found[sha256] == status or (status is None and sha256 in found), sha256
    for name, texts in [item for reporter in reporters for item in reporter.answered.items()]:
        kept = [r["text"] for r in service.admin_json("device", "reports", "--account", "pumps", name)["reports"]]
        assert len(kept) == len(set(kept)) and set(texts) <= set(kept), name
    assert all(reporter.answered for reporter in reporters)
    for is_all in (False, True):
        for agent in agents:
            agent.check(is_all)
            agent.send_all()
    print(f"{KILLS} kills of the service, {sum(agent.kills for agent in agents)} of agents; "
          f"{sum(len(agent.acknowledged()) for agent in agents)} reports of agents and "
          f"{sum(len(texts) for r in reporters for texts in r.answered.values())} of others acknowledged, each there once")
    # The log's chain verifies while it is printed, and has an entry for each.
    log = service.admin("log", "export")
    for sha256 in answered:
        assert sha256 in log
    publisher.check()
