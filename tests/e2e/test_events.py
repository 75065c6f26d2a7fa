"""GET /v1/events and `holdfast-admin fleet watch`: what happens is told once it is committed, to those who may see it, and
a client that watches costs the others nothing, whatever it does."""
import json
import re
import resource
import select
import signal
import threading

import pytest

from kit import client_pki, programs, roots
from kit.events import Stream
from kit.processes import wait_until
from kit.reports import PATH, TWO, as_body, report

A = "/v1/accounts/pumps"
STREAMS_MAX, PER_ACTOR_MAX, KEPT = 64, 8, 16384


@pytest.fixture
def pumps(api):
    for name in ("pumps", "valves"):
        assert api.call("POST", "/v1/accounts", {"name": name, "snis": [f"{name}.example"]}).status == 201
    return api


@pytest.fixture(autouse=True)
def enough_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Device:
    """One with a certificate that the operator registered."""

    def __init__(self, api, folder, name="pump-1", account="pumps"):
        self.api, self.name, self.sni = api, name, f"{account}.example"
        cert, key = client_pki.self_signed(name)
        answer = api.call("POST", f"/v1/accounts/{account}/credentials",
                          {"certificate": client_pki.pem(cert), "status": "ACTIVE", "device": name})
        assert answer.status == 201, answer.raw
        self.sha256 = answer.json["sha256"]
        self.credential = f"/v1/accounts/{account}/credentials/{self.sha256}"
        self.pair = client_pki.write_pair(folder, name, cert, key)

    def send(self, *reports):
        return self.api.device_call("POST", PATH, as_body(reports), sni=self.sni, cert=self.pair[0],
                                    key=self.pair[1], headers={"Content-Type": "application/json"})


def token(api, name, role="viewer"):
    answer = api.call("POST", "/v1/tokens", {"name": name, "role": role})
    assert answer.status == 201
    return answer.json["token"], f"/v1/tokens/{answer.json['id']}"


def number(event_id):
    run, digits = event_id.rsplit("-", 1)
    assert re.fullmatch("[0-9a-f]{16}", run)
    return int(digits)


# ---- what is told -------------------------------------------------------------------------------------

def test_certificates_and_reports(pumps, folder):
    stream = Stream(pumps)
    device = Device(pumps, folder)
    kind, first, data = stream.next()
    assert kind == "certificate" and number(first) == 1
    assert data == {"account": "pumps", "time": data["time"], "device": "pump-1", "credential": device.sha256,
                    "from": None, "status": "ACTIVE", "reason": ""}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["time"])

    hostile = 'data: id: 7 "quoted" \\ <b>'
    sent = report("pump-1", 2, "rolled-back", text=hostile, outcome="tls")
    assert device.send(report("pump-1", 1, "swapped"), sent).status == 200
    assert stream.next()[2]["kind"] == "swapped"
    kind, last, data = stream.next()
    assert kind == "report" and number(last) == 3
    assert data == {"account": "pumps", "time": data["time"], "device": "pump-1", "kind": "rolled-back",
                    "set": "amazon-iot", "profile": "full", "from": 2, "to": 3, "outcome": "tls",
                    "text": hostile}

    # Nothing that is no news, was refused, or was rolled back
    assert device.send(sent).json["duplicates"] == 1
    assert device.send(report("pump-1", 9, installation=TWO)).status == 409
    assert device.send(report("pump-2", 1)).status == 403
    refused = pumps.call("POST", f"{A}/credentials", {"certificate": "-----BEGIN"})
    assert refused.status == 400
    assert pumps.call("PATCH", device.credential, {"status": "REVOKED", "reason": "stolen"},
                      If_Match="*").status == 200
    kind, last, data = stream.next()
    assert (kind, number(last)) == ("certificate", 4)
    assert (data["from"], data["status"], data["reason"]) == ("ACTIVE", "REVOKED", "stolen")
    stream.close()


def test_unverified_reports_make_no_events(pumps, folder):
    assert pumps.change("PATCH", A, {"policy": "read+report"}).status == 200
    stream = Stream(pumps)
    assert pumps.device_call("POST", PATH, as_body([report("x", 1)]), sni="pumps.example",
                             headers={"Content-Type": "application/json"}).status == 200
    Device(pumps, folder)
    assert stream.next()[0] == "certificate"
    stream.close()


def test_a_finding_opens_and_closes(pumps):
    stream = Stream(pumps, "/v1/events?account=pumps")

    def audit():
        assert pumps.call("POST", "/v1/audits/DEVICE_CERTIFICATE_SHARED/run").status == 202

    key = client_pki.new_key()
    made = []
    for name in ("pump-1", "pump-2"):
        made.append(pumps.call("POST", f"{A}/credentials", {
            "certificate": client_pki.pem(client_pki.certificate(name, key)), "status": "ACTIVE", "device": name}).json)
    audit()
    kind, _, opened = stream.next("finding-opened")
    assert opened["check"] == "DEVICE_CERTIFICATE_SHARED" and opened["device"] in ("pump-1", "pump-2")
    assert opened["account"] == "pumps" and opened["kind"] == "certificate"
    found = pumps.get(f"/v1/findings/{opened['finding']}").json
    assert (found["sentence"], found["subject"]) == (opened["sentence"], opened["subject"])
    stream.next("finding-opened")
    for one in made:
        assert pumps.call("PATCH", f"{A}/credentials/{one['sha256']}", {"status": "REVOKED"}, If_Match="*").status == 200
    audit()
    closed = [stream.next("finding-closed")[2] for _ in range(2)]
    assert opened["finding"] in [c["finding"] for c in closed]
    assert opened | {"time": 0} in [c | {"time": 0} for c in closed]
    stream.close()


def test_an_account_sees_its_own_and_what_concerns_all(pumps, folder):
    ours, all_of_them = Stream(pumps, "/v1/events?account=pumps"), Stream(pumps)
    Device(pumps, folder, "valve-1", account="valves")
    Device(pumps, folder, "pump-1")
    assert ours.next()[2]["account"] == "pumps"
    assert [all_of_them.next()[2]["account"] for _ in range(2)] == ["valves", "pumps"]
    ours.close()
    all_of_them.close()
    for target, status, part in (("/v1/events?account=none", 404, "there is no"),
                                 ("/v1/events?acount=pumps", 400, "acount"),
                                 ("/v1/events?limit=3", 400, "limit")):
        answer = pumps.get(target)
        assert answer.status == status and part in answer.json["detail"], answer.raw


def test_a_head_has_no_stream(pumps):
    answer = pumps.raw("HEAD", "/v1/events")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream" and answer.raw == b""


# ---- going on -----------------------------------------------------------------------------------------

def test_a_client_goes_on_where_it_was(pumps, folder):
    stream = Stream(pumps)
    names = [Device(pumps, folder, f"pump-{n}").name for n in range(5)]
    seen = [stream.next() for _ in range(3)]
    stream.close()
    again = Stream(pumps, last_id=seen[-1][1])
    assert [again.next()[2]["device"] for _ in range(2)] == names[3:]
    again.close()
    # At the end, there is nothing to be told
    last = Stream(pumps, last_id=again.last_id)
    Device(pumps, folder, "pump-9")
    assert last.next()[2]["device"] == "pump-9"
    last.close()


@pytest.mark.parametrize("last_id", ["", "7", "0" * 16 + "-3", "{run}-99", "{run}-", "{run}-1x", "{run}--1", "{run}",
                                     "x" * 500, "{run}-" + "9" * 30])
def test_an_id_that_is_not_ours_is_a_gap(pumps, folder, last_id):
    Device(pumps, folder)
    run = Stream(pumps).last_id.split("-")[0]
    stream = Stream(pumps, last_id=last_id.format(run=run))
    assert stream.next() == ("gap", f"{run}-0", {"lost": None})
    assert stream.next()[2]["device"] == "pump-1"
    stream.close()


def test_a_restart_is_a_gap(pumps, folder):
    stream = Stream(pumps)
    Device(pumps, folder)
    last = stream.next()[1]
    pumps.stop()
    stream.ends()
    pumps.start()
    again = Stream(pumps, last_id=last)
    kind, first, data = again.next()
    assert (kind, data) == ("gap", {"lost": None}) and number(first) == 0
    Device(pumps, folder, "pump-2")
    kind, second, _ = again.next()
    assert kind == "certificate" and number(second) == 1 and second.split("-")[0] != last.split("-")[0]
    again.close()


# ---- clients that do not behave -----------------------------------------------------------------------

def memory_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def flood(api, folder):
    """More events than are kept, by as many devices as it takes at the rate of each."""
    devices = [Device(api, folder, f"flood-{n}") for n in range(12)]

    def send(device):
        for request in range(29):
            sent = device.send(*[report(device.name, 1 + 50 * request + n, text=f"{request} {n} " + "x" * 400)
                                 for n in range(50)])
            assert sent.status == 200 and sent.json["accepted"] == 50, sent.raw

    threads = [threading.Thread(target=send, args=(device,)) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_one_that_never_reads_is_cut_off_and_holds_nobody(pumps, folder):
    """The ring overtakes it. A second one that reads gets everything, in its order, or is told what it misses."""
    deaf = Stream(pumps, reads=False, buffer=4096)
    before = memory_kb(pumps.process.pid)
    reader, numbers, lost = Stream(pumps), [], 0
    done = threading.Event()

    def read():
        nonlocal lost
        while True:
            kind, event_id, data = reader.next()
            lost += data["lost"] if kind == "gap" else 0
            numbers.extend([] if kind == "gap" else [number(event_id)])
            if data.get("device") == "last":
                done.set()
                return

    thread = threading.Thread(target=read)
    thread.start()
    flood(pumps, folder)
    Device(pumps, folder, "last")
    assert done.wait(120)
    thread.join()
    assert numbers == sorted(set(numbers)) and len(numbers) + lost == numbers[-1] > KEPT
    # What is kept is 8 MiB at most; a report has 600 bytes here. The rest is the database's cache and its queue.
    assert memory_kb(pumps.process.pid) - before < 64 * 1024
    while deaf.plain.recv(65536):
        pass  # what its socket held; then the end, long before all that was sent
    reader.close()
    # It goes on with a gap.
    late = Stream(pumps, last_id=f"{reader.last_id.split('-')[0]}-1")
    kind, _, data = late.next()
    assert kind == "gap" and data["lost"] > 0
    assert late.next()[0] == "report"
    late.close()


def test_one_that_falls_silent_is_cut_off(pumps, folder):
    """It takes nothing, not even the beginning. Another one that takes what comes, though nothing happens, stays."""
    deaf, hearing = Stream(pumps, reads=False), Stream(pumps)
    poll = select.poll()
    poll.register(deaf.plain, select.POLLRDHUP)
    assert poll.poll(60000)
    deaf.close()
    hearing._until(lambda: hearing.comments > 0)
    Device(pumps, folder)
    assert hearing.next()[0] == "certificate"
    hearing.close()


@pytest.mark.parametrize("more", [b"GET /v1/accounts HTTP/1.1\r\nHost: a\r\n\r\n", b"\0", b"x" * 100000])
def test_one_that_says_more_is_closed(pumps, more):
    stream = Stream(pumps)
    try:
        stream.plain.sendall(more)
    except OSError:
        pass  # closed already
    stream.ends()
    assert pumps.get("/v1/accounts").status == 200


def test_streams_are_counted(pumps):
    """For each token and all together, on each listener for itself; what ends makes room."""
    def refused(status, part, **how):
        stream = Stream(pumps, **how)
        assert stream.status == status and int(stream.headers["Retry-After"]) > 0
        stream._until(lambda: part.encode() in stream.rest)
        stream.close()

    tokens = [token(pumps, f"seer-{n}")[0] for n in range(STREAMS_MAX // PER_ACTOR_MAX + 1)]
    streams = [Stream(pumps, token=t) for t in tokens[:-1] for _ in range(PER_ACTOR_MAX)]
    assert all(s.status == 200 for s in streams) and len(streams) == STREAMS_MAX
    refused(429, f"{PER_ACTOR_MAX} streams of events open", token=tokens[0])
    refused(503, f"{STREAMS_MAX} streams of events are open", token=tokens[-1])
    assert pumps.get("/v1/accounts", token=tokens[-1]).status == 200
    local = Stream(pumps)
    assert local.status == 200
    streams.pop().close()

    def has_room():
        stream = Stream(pumps, token=tokens[-1])
        stream.close()
        return stream.status == 200
    wait_until(has_room, "the place is free")
    for stream in [*streams, local]:
        stream.close()


def test_a_thousand_that_want_to_watch(pumps, folder):
    """Each listener takes 256 connections; those that it takes are answered, and the others wait."""
    before = memory_kb(pumps.process.pid)
    seer = token(pumps, "seer")[0]
    crowd = [Stream(pumps, token=seer, reads=False) for _ in range(1000)]
    watched = Stream(pumps)
    Device(pumps, folder)
    assert watched.next()[0] == "certificate"
    assert memory_kb(pumps.process.pid) - before < 16 * 1024
    for stream in crowd:
        stream.close()
    wait_until(lambda: pumps.get("/v1/accounts", token=seer).status == 200, "operators are served")
    watched.close()


# ---- who may go on ------------------------------------------------------------------------------------

def test_a_revoked_token_ends_its_stream_and_no_other(pumps, folder):
    streams = {}
    for name in ("good", "bad"):
        secret, path = token(pumps, name)
        streams[name] = Stream(pumps, token=secret)
        assert streams[name].status == 200
    assert pumps.change("DELETE", path).status in (200, 204)
    streams["bad"].ends()
    again = Stream(pumps, token=secret)
    assert again.status == 401
    again.close()
    Device(pumps, folder)
    assert streams["good"].next()[0] == "certificate"
    streams["good"].close()


def test_without_a_token_nothing_is_told(pumps):
    for secret in ("hfa_" + "x" * 43, "x"):
        stream = Stream(pumps, token=secret)
        assert stream.status == 401
        stream.close()
    assert pumps.get("/v1/events", token="").status == 401
    assert pumps.device_call("GET", "/v1/events", sni="pumps.example").status == 404


# ---- the whole service --------------------------------------------------------------------------------

def lines(process):
    return [json.loads(line) for line in process.out.splitlines()]


def watch(processes, service, *options):
    return processes.start_ours("holdfast-admin", "fleet", "watch", "--config", service.config, *options)


def seen(process, condition, what):
    process.wait_for(lambda: any(condition(e) for e in lines(process)), what)
    return next(e for e in lines(process) if condition(e))


def register(service, name):
    cert, _ = client_pki.self_signed(name)
    file = service.folder / f"{name}.pem"
    file.write_text(client_pki.pem(cert))
    service.admin("credential", "register", file, "--account", "pumps", "--device", name, "--status", "ACTIVE")


def is_connected(process, service):
    """Nothing is printed before the first event; so one is made until it is seen."""
    n = iter(range(10000))

    def comes():
        register(service, f"first-{next(n)}")
        return process.out != ""
    process.wait_for(comes, "is connected")


def test_watch_goes_on_over_a_restart_and_ends_at_ctrl_c(processes, service):
    process = watch(processes, service, "--json")
    is_connected(process, service)
    service.enrolled("pump-7")
    event = seen(process, lambda e: e.get("device") == "pump-7", "prints the enrolment")
    assert event["event"] == "enrolled" and event["account"] == "pumps" and event["status"] == "ACTIVE"
    assert event["credential"] == service.credential_of("pump-7")

    service.server.signal(signal.SIGKILL)
    service.server.wait()
    process.wait_for(lambda: "Connecting again in" in process.err, "sees the end")
    service.start_server()
    seen(process, lambda e: e["event"] == "gap" and e["lost"] is None, "connects again")
    register(service, "pump-8")
    seen(process, lambda e: e.get("device") == "pump-8", "goes on")
    ids = [e["id"] for e in lines(process)]
    assert len(ids) == len(set(ids))

    service.server.signal(signal.SIGHUP)  # a reload ends no stream
    register(service, "pump-9")
    seen(process, lambda e: e.get("device") == "pump-9", "goes on after the reload")
    assert process.err.count("Connecting again in") == process.err.count("\n")
    process.signal(signal.SIGINT)
    assert process.wait() == 0


def test_watch_prints_lines_for_people(processes, service):
    process = watch(processes, service, "--account", "pumps")
    is_connected(process, service)
    register(service, "pump-1")
    pattern = (r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ pumps certificate credential=[0-9a-f]{64} device=pump-1 "
               r"status=ACTIVE$")
    process.wait_for(lambda: re.search(pattern, process.out, re.M), "prints the line")
    service.admin("account", "create", "other")
    process.signal(signal.SIGTERM)
    assert process.wait() == 0 and process.err == ""


def test_a_publication_is_told(processes, service, client, publisher):
    stream = Stream(client)
    publisher.add(*roots.amazon(1, 2))
    _, _, published = stream.next("published")
    assert published["account"] is None and published["root"] == 1 and published["targets"] >= 2
    _, _, bundle = stream.next("bundle")
    assert (bundle["set"], bundle["profile"], bundle["version"]) == ("amazon-iot", "full", 2)
    stream.close()


def test_watch_fails_at_once_when_it_cannot_begin(service, client):
    programs.says(service.refuses("fleet", "watch", "--account", "none"), "no such account")
    said = programs.refused("holdfast-admin", "fleet", "watch", "--socket", service.folder / "none.sock")
    programs.says(said, "does not answer")


def test_a_revoked_token_ends_the_watch(processes, service, client, folder):
    secret, path = token(client, "seer")
    file = folder / "seer.token"
    file.touch(mode=0o600)
    file.write_text(secret)
    process = processes.start_ours(
        "holdfast-admin", "fleet", "watch", "--url", f"https://localhost:{client.admin.split(':')[1]}", "--token-file",
        file, "--ca-file", service.settings["admin"]["certificate"])
    is_connected(process, service)
    assert client.change("DELETE", path).status in (200, 204)
    assert process.wait(60) == 1
    assert "the token is not valid" in process.err.splitlines()[-1]


def test_streams_end_with_the_service(processes, service, client):
    secret, _ = token(client, "seer")
    streams = [Stream(client), Stream(client, token=secret)]
    assert service.server.stop() == 0
    for stream in streams:
        stream.ends()
    service.start_server()
