"""How long a device waits for the answer to a report, which comes when it is on disk, while operators list the fleet page
by page. Four threads send, each over the open TLS connections of its devices; another one lists without pause."""
import http.client
import json
import os
import sqlite3
import ssl
import sys
import threading
import time
from pathlib import Path
from statistics import median

SENDERS, DEVICES_EACH = 4, 25
REPORTS_EACH = 5  # of each device in a round: six rounds are what it may send at once
PAGE = 1000


def kit(context):
    """The helpers of the end-to-end tests start the service."""
    os.environ["HOLDFAST_BIN"] = str(context.bin)
    tests = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(tests / "e2e"), str(tests / "cli")]
    try:
        from kit import api, client_pki, processes, publisher, reports, roots, service
    except ImportError as e:
        raise context.Skip(f"{e} (deploy/install-deps.sh --for test)") from e
    return api, client_pki, processes, publisher, reports, roots, service


def fill(path, n):
    """Devices that have reported."""
    with sqlite3.connect(path) as db:
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO device "
                   "(account_id, name, group_name, created_s, version) SELECT 1, printf('filled-%07d', i), 'field', 1, 1 "
                   "FROM n", (n,))
        db.execute("INSERT INTO device_state (device_id, account_id, seen_s, kind, set_name, profile, active_version, "
                   "result, result_s, agent) SELECT id, 1, 1800000000, 'current', 'amazon-iot', 'full', 2, 'confirmed', "
                   "1800000000, '1.0.0' FROM device WHERE name LIKE 'filled-%'")
    db.close()


class Sender(threading.Thread):
    """The connections of some devices; sends their reports in turn and notes how long each took."""

    def __init__(self, port, ca, reports, pairs):
        super().__init__()
        self.reports, self.took, self.problem = reports, [], None
        self.devices = []
        for name, pair in pairs:
            context = ssl.create_default_context(cafile=ca)
            context.load_cert_chain(*pair)
            connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=60)
            connection.connect()
            self.devices.append([name, connection, 0])

    def again(self):
        other = Sender.__new__(Sender)
        threading.Thread.__init__(other)
        other.reports, other.devices, other.took, other.problem = self.reports, self.devices, [], None
        return other

    def run(self):
        for _ in range(REPORTS_EACH):
            for device in self.devices:
                device[2] += 1
                body = self.reports.as_body([self.reports.report(device[0], device[2], "failed",
                                                                 text=f"try {device[2]}")])
                start = time.perf_counter()
                device[1].request("POST", self.reports.PATH, body, {"Content-Type": "application/json"})
                answer = device[1].getresponse()
                text = answer.read()
                self.took.append(1000 * (time.perf_counter() - start))
                if answer.status != 200:
                    self.problem = f"{answer.status} {text}"
                    return


class Lister(threading.Thread):
    """Lists all devices page by page, and begins again."""

    def __init__(self, connection):
        super().__init__()
        self.daemon = True
        self.connection, self.is_ending, self.pages = connection, False, 0

    def run(self):
        first = f"/v1/accounts/pumps/devices?limit={PAGE}"
        path = first
        while not self.is_ending:
            self.connection.request("GET", path)
            answer = self.connection.getresponse()
            answer.read()
            self.pages += 1
            link = answer.headers.get("Link")
            path = link.split("<")[1].split(">")[0] if link else first


def round_of(senders):
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
        if sender.problem:
            raise SystemExit(f"bench: a report was answered {sender.problem}")
    took = sorted(ms for sender in senders for ms in sender.took)
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "max": took[-1]}


def measure(context):
    api, client_pki, processes, publisher, reports, roots, service = kit(context)
    started = processes.Processes(context.folder)
    try:
        made = publisher.Publisher(context.folder / "reports-publisher")
        made.add(*roots.amazon(1))
        fleet = service.Service(started, context.folder / "reports", made).start().with_account()
        socket = fleet.folder / "admin.sock"
        pairs = []
        for i in range(SENDERS * DEVICES_EACH):
            cert, key = client_pki.self_signed(f"pump-{i}")
            operator = api._LocalConnection(socket)
            operator.request("POST", "/v1/accounts/pumps/credentials",
                             json.dumps({"certificate": client_pki.pem(cert), "status": "ACTIVE", "device": f"pump-{i}"}),
                             {"Content-Type": "application/json"})
            if operator.getresponse().status != 201:
                raise SystemExit("bench: a certificate was not registered")
            operator.close()
            pairs.append((f"pump-{i}", client_pki.write_pair(context.folder, f"pump-{i}", cert, key)))
        fleet.stop()
        listed = min(context.devices, 100000)
        fill(fleet.folder / "fleet.db", listed)
        fleet.start()
        senders = [Sender(fleet.port, fleet.server_ca, reports, pairs[i::SENDERS]) for i in range(SENDERS)]
        rounds, pages = [], 0
        for _ in range(min(context.rounds, 3)):  # more would be more than a device may send
            senders = [sender.again() for sender in senders]
            alone = round_of(senders)
            senders = [sender.again() for sender in senders]
            lister = Lister(api._LocalConnection(socket))
            lister.start()
            rounds.append({"alone": alone, "listing": round_of(senders)})
            lister.is_ending = True
            lister.join()
            pages += lister.pages
    finally:
        started.stop_all()
    alone, listing = ({key: median(r[side][key] for r in rounds) for key in rounds[0][side]}
                      for side in ("alone", "listing"))
    row = {"what": f"p99 of a report while {listed:,} devices are listed, to p99 without",
           "ratio": median(r["listing"]["p99"] / r["alone"]["p99"] for r in rounds),
           "detail": f"{listing['p99']:.1f} ms (p50 {listing['p50']:.1f}, the longest {listing['max']:.1f}) and "
                     f"{alone['p99']:.1f} ms (p50 {alone['p50']:.1f}, the longest {alone['max']:.1f}); "
                     f"{pages} pages of {PAGE} meanwhile"}
    return {"rows": [row], "rounds": rounds,
            "notes": [f"{SENDERS} at a time, each durable when it is answered, over mutual TLS that is already open"]}
