"""Reports as an attacker sends them: recorded ones again in any order, from the future, a thousand at once, and under
invented ids by the thousand, or by the million in a long run. Nothing changes that should not, memory and database stay
bounded, and devices that are known are served meanwhile."""
import http.client
import json
import os
import random
import re
import socket
import sqlite3
import ssl
import threading

import pytest

from kit import client_pki, roots
from kit.processes import wait_until
from kit.programs import BIN
from kit.reports import ONE, PATH, TWO, Signer, as_body, report
from kit.service import HOST, Service

A = "/v1/accounts/pumps"
IDS = 1_000_000 if os.environ.get("HOLDFAST_LONG") else 20_000
KEPT = 1000  # of unverified reports
# By which the server may grow meanwhile: two loops with their buffers, SQLite's cache; AddressSanitizer keeps 256 MB freed.
MEMORY_KB = (24 if b"__asan_init" not in (BIN / "holdfastd").read_bytes() else 320) * 1024
JSON = {"Content-Type": "application/json"}


# ---- by the API alone ----------------------------------------------------------------------------------


@pytest.fixture
def pumps(api):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": [HOST]}).status == 201
    return api


def everything(api):
    with sqlite3.connect(f"file:{api.folder}/fleet.db?mode=ro", uri=True) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("device_state", "report", "unverified_report", "series", "version_count")]


def new_device(api, name):
    """With a certificate and a key for signatures."""
    signer, cert = Signer(), client_pki.self_signed(name)[0]
    assert api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE",
                                                 "device": name}).status == 201
    assert api.call("PUT", f"{A}/devices/{name}/report-key", {"key": signer.key}).status == 200
    return signer


def test_recorded_requests_in_any_order_change_nothing(pumps):
    signer, recorded = new_device(pumps, "pump-1"), []

    def send(*reports):
        body = as_body(list(reports))
        recorded.append((body, signer.headers(body, HOST)))
        return pumps.plain_call("POST", PATH, *recorded[-1][:1], HOST, recorded[-1][1]).json
    for seq in range(1, 13, 2):
        said = send(report("pump-1", seq, "failed"), report("pump-1", seq + 1, "failed"))
        assert said["accepted"] == 2
    # The device is set up again, and shows that it is the same one.
    assert send(report("pump-1", 1, "confirmed", installation=TWO, nonce=said["nonce"]))["accepted"] == 1
    before, dice = everything(pumps), random.Random(13)
    for _ in range(3):
        dice.shuffle(recorded)
        for body, headers in recorded:
            answer = pumps.plain_call("POST", PATH, body, HOST, headers)
            assert answer.status == 200 and answer.json["accepted"] == 0
            # What would let another installation in is not for those who have only recorded an older one.
            assert (answer.json["nonce"] == "0" * 16) == (ONE in body)
    assert everything(pumps) == before
    assert pumps.get(f"{A}/devices/pump-1").json["conflicts"] == 0


def test_a_report_from_the_future_is_a_wrong_clock_and_nothing_else(pumps):
    signer = new_device(pumps, "pump-1")

    def send(*reports):
        body = as_body(list(reports))
        return pumps.plain_call("POST", PATH, body, HOST, signer.headers(body, HOST))
    assert send(report("pump-1", 1, "current", clock="9999-12-31T23:59:59Z", sent="9999-12-31T23:59:59Z",
                       next_expiry="9999-12-31T23:59:59Z")).status == 200
    seen = pumps.get(f"{A}/devices/pump-1").json
    assert seen["clock_offset_s"] > 200 * 10**9 and seen["last_seen"] < "2100"
    assert pumps.call("POST", "/v1/audits/CLOCK_WRONG/run").status == 202
    wait_until(lambda: not any(a["is_running"] for a in pumps.get("/v1/audits").json["audits"]), "the audit ends")
    one, = pumps.get("/v1/findings?check=CLOCK_WRONG").json["findings"]
    assert re.fullmatch(r'the clock of device "pump-1" is about 29\d{5} days ahead', one["sentence"])
    # The signature's time is information; only the service's clock and the numbers decide.
    body = as_body(report("pump-1", 2, "current", sent="2026-01-01T00:00:00Z"))
    headers = signer.headers(body, HOST, created=253402300799)
    assert pumps.plain_call("POST", PATH, body, HOST, headers).json["accepted"] == 1
    before = everything(pumps)
    for time in ("10000-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T00:00:61Z", "2026-01-01", 4102444800):
        assert send(report("pump-1", 3, clock=time)).status == 400, time
    assert send(report("pump-1", 2**53)).status == 400
    assert everything(pumps) == before
    # The last number there is: the device has nothing more to say until it is set up again, and the service says so.
    assert send(report("pump-1", 2**53 - 1)).json["accepted"] == 1
    assert send(report("pump-1", 3)).json == {**send(report("pump-1", 3)).json, "accepted": 0, "duplicates": 1}


@pytest.mark.parametrize("more", [{}, {"v": 2}, {"v": 2**53 - 1, "beam": {"to": [1, {"deep": None}]}, "wind": "1.5"}])
def test_older_and_newer_devices_report(pumps, more):
    """The members that each version has, and any others; numbers are whole in all of them."""
    signer = new_device(pumps, "pump-1")
    least = {"v": 1, "device": "pump-1", "installation": ONE, "seq": 1, "kind": "current", "set": "amazon-iot",
             "profile": "full", **more}
    body = as_body(least)
    answer = pumps.plain_call("POST", PATH, body, HOST, signer.headers(body, HOST))
    assert answer.status == 200 and answer.json["accepted"] == 1, answer.raw
    seen = pumps.get(f"{A}/devices/pump-1").json
    assert seen["last_seen"] and (seen["active_version"], seen["agent"], seen["result"]) == (None, None, None)


# ---- by the thousand, at the whole service ---------------------------------------------------------------


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher, database__unverified_reports=KEPT,
                   server__max_per_address=4096).start()
    yield made.with_account("--policy", "read+report")
    made.stop()


def memory_kb(service):
    with open(f"/proc/{service.server.popen.pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class Sender:
    """One connection over TLS, from an address of its own, which is opened again when the server has closed it."""

    def __init__(self, service, pair=None, address="127.0.0.1"):
        self.port, self.address, self.connection = service.port, address, None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        if pair:
            self.context.load_cert_chain(*pair)

    def open(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(self.address, 0))
        self.connection = http.client.HTTPSConnection(HOST, self.port, timeout=60)
        self.connection.sock = self.context.wrap_socket(plain, server_hostname=HOST)

    def send(self, reports):
        for _ in range(3):
            try:
                if self.connection is None:
                    self.open()
                self.connection.request("POST", PATH, as_body(reports), JSON)
                answer = self.connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                self.close()
        raise AssertionError("no answer")

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def registered(service, name):
    cert, key = client_pki.self_signed(name)
    pair = client_pki.write_pair(service.folder, name, cert, key)
    service.admin("credential", "register", "--account", "pumps", pair[0], "--device", name, "--status", "ACTIVE")
    return pair


def in_threads(work, n):
    """`work` of 0 to n - 1, at once; what they return."""
    results = [None] * n

    def run(i):
        results[i] = work(i)
    threads = [threading.Thread(target=run, args=[i]) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in results
    return results


def test_a_thousand_at_once_from_one_device(service):
    flooder, other = registered(service, "pump-1"), registered(service, "pump-2")
    before = memory_kb(service)

    def flood(worker):
        sender = Sender(service, flooder)
        statuses = [sender.send([report("pump-1", worker * 250 + n + 1, "failed")])[0] for n in range(250)]
        sender.close()
        return statuses
    done, served = threading.Event(), []

    def report_meanwhile():
        sender = Sender(service, other)
        for seq in range(1, 20):
            served.append(sender.send([report("pump-2", seq, "failed")])[0])
            if done.wait(0.2):
                break
        sender.close()
    meanwhile = threading.Thread(target=report_meanwhile)
    meanwhile.start()
    statuses = sum(in_threads(flood, 4), [])
    done.set()
    meanwhile.join()
    assert set(statuses) == {200, 429} and statuses.count(429) > 500
    assert set(served) == {200}
    # What was numbered too far back when it came is known as a duplicate; nothing was taken twice.
    kept = service.admin_json("device", "reports", "--account", "pumps", "pump-1")["reports"]
    assert len({r["text"] for r in kept}) == len(kept) <= statuses.count(200)
    assert memory_kb(service) - before < MEMORY_KB
    print(f"{len(statuses)} requests of one device: {statuses.count(200)} taken, {statuses.count(429)} answered 429")


def test_a_million_invented_ids_from_many_addresses(service):
    """The newest are kept, and known devices are none of them."""
    known = Sender(service, registered(service, "pump-1"))
    assert known.send([report("pump-1", 1)])[0] == 200
    seen = service.admin_json("device", "show", "--account", "pumps", "pump-1")
    before = memory_kb(service)

    def invent(worker):
        senders = [Sender(service, address=f"127.0.{worker + 1}.{n + 1}") for n in range(30)]
        accepted = refused = turn = 0
        while accepted < IDS // 4:
            batch = [report(f"ghost-{worker}-{accepted + n}" if n else "pump-1", 1, "failed",
                            installation=f"{worker:08x}{accepted + n:024x}") for n in range(50)]
            status, said = senders[turn % len(senders)].send(batch)
            assert status in (200, 429, 503), said
            accepted += said.get("accepted", 0)
            refused += status != 200
            turn += 1
        for sender in senders:
            sender.close()
        return accepted, refused
    results = in_threads(invent, 4)
    assert known.send([report("pump-1", 2)])[0] == 200
    known.close()
    grown = memory_kb(service) - before
    with sqlite3.connect(f"file:{service.folder}/fleet.db?mode=ro", uri=True, timeout=20) as db:
        number, = db.execute("SELECT max(number) FROM unverified_report").fetchone()
        kept = [n for (n,) in db.execute("SELECT number FROM unverified_report ORDER BY number")]
    assert number == sum(accepted for accepted, _ in results)
    assert kept == list(range(number - KEPT + 1, number + 1))
    assert grown < MEMORY_KB
    assert sum(file.stat().st_size for file in service.folder.glob("fleet.db*")) < 32 << 20
    devices = service.admin_json("device", "list", "--account", "pumps")["devices"]
    assert [d["id"] for d in devices] == ["pump-1"]
    now = service.admin_json("device", "show", "--account", "pumps", "pump-1")
    assert {**now, "last_seen": 0, "result_time": 0, "text": 0} == {**seen, "last_seen": 0, "result_time": 0, "text": 0}
    print(f"{number} reports under invented ids, {sum(r for _, r in results)} requests told to wait; {KEPT} kept, "
          f"memory grew by {grown} kB")
