"""Reports of devices: who may report, what is taken and what is refused, and what operators see of it."""
import http.client
import json
import sqlite3

import pytest

from kit import client_pki, programs, roots
from kit.reports import ONE, PATH, TWO, Signer, as_body, report
from kit.service import Service

A, B = "/v1/accounts/pumps", "/v1/accounts/valves"
HOST = "pumps.example"


@pytest.fixture
def pumps(api):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": [HOST]}).status == 201
    return api


class Device:
    """One with a certificate that the operator registered."""

    def __init__(self, api, folder, name="pump-1", **more):
        self.api, self.name = api, name
        cert, key = client_pki.self_signed(name)
        answer = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE",
                                                       **({"device": name} if "kind" not in more else {}), **more})
        assert answer.status == 201, answer.raw
        self.credential = f"{A}/credentials/{answer.json['sha256']}"
        self.pair = client_pki.write_pair(folder, name, cert, key)

    def send(self, reports, **more):
        return self.api.device_call("POST", PATH, reports if isinstance(reports, str) else as_body(reports), sni=HOST,
                                    cert=self.pair[0], key=self.pair[1],
                                    headers={"Content-Type": "application/json"}, **more)

    def seen(self):
        return self.api.get(f"{A}/devices/{self.name}").json

    def history(self, query=""):
        return self.api.get(f"{A}/devices/{self.name}/reports{query}").json["reports"]


def everything(api):
    """All that the database holds about reports."""
    with sqlite3.connect(f"file:{api.folder}/fleet.db?mode=ro", uri=True) as db:
        return [db.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("device", "device_state", "report", "unverified_report", "report_key", "series",
                              "version_count")]


def refused(answer, status, part):
    assert answer.status == status, answer.raw
    assert part in answer.json["detail"], answer.json


# ---- by certificate ----------------------------------------------------------------------------------


def test_a_device_reports_and_operators_see_it(pumps, folder):
    device = Device(pumps, folder)
    assert device.seen()["last_seen"] is None and device.seen()["result"] is None
    answer = device.send([report("pump-1", 1, "announce"),
                          report("pump-1", 2, "refused", text="mqtt.example would not be reached", outcome="policy",
                                 endpoint="mqtts://mqtt.example", root="ab" * 32, root_name="CN=Old Root",
                                 agent="0.9.0", groups=["lab", "north"], next_expiry="2037-01-17T00:00:00Z",
                                 clock="1970-01-01T00:01:00Z", sent="1970-01-01T00:02:00Z")])
    assert answer.status == 200 and (answer.json["accepted"], answer.json["duplicates"]) == (2, 0)
    seen = device.seen()
    assert seen["last_seen"] and seen["active_version"] == 2 and seen["result"] == "refused"
    assert seen["text"] == "mqtt.example would not be reached" and seen["outcome"] == "policy"
    assert seen["reported_groups"] == ["lab", "north"] and seen["group"] is None
    assert seen["clock_offset_s"] < -10**9 and seen["next_expiry"] == "2037-01-17T00:00:00Z"
    newest, oldest = device.history()
    assert (newest["kind"], oldest["kind"]) == ("refused", "announce")
    assert newest["endpoint"] == "mqtts://mqtt.example" and newest["root_name"] == "CN=Old Root"
    assert newest["clock"] == "1970-01-01T00:01:00Z" and newest["from"] == 2 and newest["to"] == 3


def test_a_report_that_comes_again_changes_nothing(pumps, folder):
    device = Device(pumps, folder)
    first = device.send(report("pump-1", 5))
    before = everything(pumps)
    for _ in range(3):
        answer = device.send(report("pump-1", 5))
        assert answer.json == {"accepted": 0, "duplicates": 1, "nonce": first.json["nonce"]}
    assert everything(pumps) == before
    assert device.send([report("pump-1", n) for n in (7, 4, 5, 6)]).json["accepted"] == 3
    assert [r["text"] for r in device.history()] == ["report 6", "report 4", "report 7", "report 5"]


def test_the_history_comes_in_pages(pumps, folder):
    device = Device(pumps, folder)
    device.send([report("pump-1", n) for n in range(1, 8)])
    target, texts = f"{A}/devices/pump-1/reports?limit=3", []
    while target:
        page = pumps.get(target)
        texts += [r["text"] for r in page.json["reports"]]
        target = page.next()
    assert texts == [f"report {n}" for n in range(7, 0, -1)]


def test_a_device_reports_about_itself_only(pumps, folder):
    device, other = Device(pumps, folder), Device(pumps, folder, "pump-2")
    before = everything(pumps)
    refused(device.send(report("pump-2", 1)), 403, 'belongs to the device "pump-1"')
    refused(device.send([report("pump-1", 1), report("pump-2", 2)]), 400, "report 2 of 2")
    assert everything(pumps) == before
    assert other.send(report("pump-2", 1)).status == 200


def test_a_claim_certificate_and_one_of_no_device_may_not_report(pumps, folder):
    claim = Device(pumps, folder, "line-1", kind="claim")
    refused(claim.send(report("line-1", 1)), 403, "claim certificate")


def test_a_revoked_device_reports_no_more(pumps, folder):
    device = Device(pumps, folder)
    assert device.send(report("pump-1", 1)).status == 200
    assert pumps.change("PATCH", device.credential, {"status": "REVOKED"}).status == 200
    with pytest.raises(OSError):
        device.send(report("pump-1", 2))
    assert len(device.history()) == 1


def test_another_installation_without_the_nonce_is_a_conflict(pumps, folder):
    device = Device(pumps, folder)
    nonce = device.send(report("pump-1", 9)).json["nonce"]
    for n in range(2):
        refused(device.send(report("pump-1", n + 1, installation=TWO)), 409, "look for a copy of it")
    assert device.seen()["conflicts"] == 2 and device.seen()["last_conflict"]
    assert len(device.history()) == 1
    answer = device.send(report("pump-1", 3, installation=TWO, nonce=nonce))
    assert answer.status == 200 and answer.json["accepted"] == 1


# ---- by signature ------------------------------------------------------------------------------------


@pytest.fixture
def signing(pumps, folder):
    """A device whose key is registered."""
    device = Device(pumps, folder)
    device.signer = Signer()
    put = pumps.call("PUT", f"{A}/devices/pump-1/report-key", {"key": device.signer.key})
    assert put.status == 200 and put.json["key"] == device.signer.key
    return device


def send_signed(api, signer, reports, host=HOST, headers=None, path=PATH, signed_host=None, signed_body=None):
    body = as_body(reports)
    made = signer.headers(signed_body or body, signed_host or host)
    made.update(headers or {})
    return api.plain_call("POST", path, body, host, {k: v for k, v in made.items() if v is not None})


def test_a_signed_report_needs_no_tls(pumps, signing):
    answer = send_signed(pumps, signing.signer, report("pump-1", 1))
    assert answer.status == 200 and answer.json["accepted"] == 1
    assert send_signed(pumps, signing.signer, report("pump-1", 1)).json["duplicates"] == 1
    body = as_body(report("pump-1", 2))
    over_tls = pumps.device_call("POST", PATH, body, sni=HOST, headers=signing.signer.headers(body, HOST))
    assert over_tls.status == 200 and over_tls.json["accepted"] == 1
    assert len(signing.history()) == 2


def test_a_signature_that_is_not_right_changes_nothing(pumps, signing):
    one, other_signer = report("pump-1", 1), Signer()
    before = everything(pumps)
    refused(send_signed(pumps, other_signer, one), 403, "not registered")
    refused(send_signed(pumps, signing.signer, one, signed_body=as_body(report("pump-1", 2))), 400,
            "Content-Digest")
    other = other_signer.headers(as_body(one), HOST)["Signature"]
    refused(send_signed(pumps, signing.signer, one, headers={"Signature": other}), 403, "signature")
    refused(send_signed(pumps, signing.signer, one, signed_host="other.example"), 403, "signature")
    refused(send_signed(pumps, signing.signer, one, headers={"Content-Type": "application/json; x=1"}), 403, "signature")
    refused(send_signed(pumps, signing.signer, report("pump-2", 1)), 403, "reports about itself only")
    for name in ("Content-Digest", "Signature-Input", "Signature"):
        refused(send_signed(pumps, signing.signer, one, headers={name: None}), 400, name)
        refused(send_signed(pumps, signing.signer, one, headers={name: "x"}), 400, name)
    refused(send_signed(pumps, signing.signer, one, host="unknown.example"), 421, "belongs to no account")
    refused(pumps.plain_call("POST", PATH, as_body(one), HOST, {"Content-Type": "application/json"}), 403, "over TLS")
    assert everything(pumps) == before


def test_a_key_is_of_one_account(pumps, signing):
    assert pumps.call("POST", "/v1/accounts", {"name": "valves", "snis": ["valves.example"]}).status == 201
    refused(send_signed(pumps, signing.signer, report("pump-1", 1), host="valves.example"), 403, "not registered")


def test_a_key_is_replaced_and_revoked_at_once_and_for_good(pumps, signing, folder):
    key, newer = f"{A}/devices/pump-1/report-key", Signer()
    assert pumps.get(key).json["key"] == signing.signer.key
    assert pumps.call("PUT", key, {"key": signing.signer.key}).etag == pumps.get(key).etag
    assert pumps.call("PUT", key, {"key": newer.key}).status == 200
    refused(send_signed(pumps, signing.signer, report("pump-1", 1)), 403, "not registered")
    refused(pumps.call("PUT", key, {"key": signing.signer.key}), 409, "revoked or replaced")
    Device(pumps, folder, "pump-2")
    refused(pumps.call("PUT", f"{A}/devices/pump-2/report-key", {"key": newer.key}), 409, "another device")
    assert send_signed(pumps, newer, report("pump-1", 1)).status == 200
    refused(pumps.call("DELETE", key, If_Match='"99"'), 412, "changed meanwhile")
    assert pumps.change("DELETE", key).status == 204
    refused(send_signed(pumps, newer, report("pump-1", 2)), 403, "not registered")
    refused(pumps.get(key), 404, "no key")
    pumps.stop()
    pumps.start()
    refused(send_signed(pumps, newer, report("pump-1", 2)), 403, "not registered")
    actions = [e["entry"]["action"] for e in pumps.get(f"{A}/log?limit=1000").json["entries"]]
    assert actions.count("report-key.register") == 2 and actions.count("report-key.revoke") == 1


@pytest.mark.parametrize("key", ["", "x", "A" * 43, "A" * 42, "A" * 44, "AQ" + "A" * 41, "+" * 43])
def test_what_is_no_key_is_refused(pumps, folder, key):
    Device(pumps, folder)
    before = everything(pumps)
    assert pumps.call("PUT", f"{A}/devices/pump-1/report-key", {"key": key}).status == 400
    assert everything(pumps) == before


def test_keys_outlive_a_restart(pumps, signing):
    pumps.stop()
    pumps.start()
    assert send_signed(pumps, signing.signer, report("pump-1", 1)).status == 200


# ---- unverified --------------------------------------------------------------------------------------


def send_unverified(api, reports):
    return api.device_call("POST", PATH, as_body(reports), sni=HOST, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("policy", ["enroll", "read"])
def test_without_a_certificate_the_policy_decides(pumps, policy):
    pumps.change("PATCH", A, {"policy": policy})
    before = everything(pumps)
    refused(send_unverified(pumps, report("pump-1", 1)), 403, "known devices only")
    assert everything(pumps) == before


def test_unverified_reports_are_kept_apart_and_the_newest_only(pumps, folder):
    device = Device(pumps, folder)
    pumps.change("PATCH", A, {"policy": "read+report"})
    before = device.seen()
    for request in range(10):
        answer = send_unverified(pumps, [report(f"pump-{request}{n}" if n else "pump-1", n + 1,
                                                installation=f"{request:032x}") for n in range(50)])
        assert answer.status == 200 and answer.json["accepted"] == 50
    assert send_unverified(pumps, report("pump-99", 50, installation=f"{9:032x}")).json["duplicates"] == 1
    assert device.seen() == before and device.history() == []
    target, found = f"{A}/unverified-reports?limit=30", []
    while target:
        page = pumps.get(target)
        found += page.json["reports"]
        target = page.next()
    assert len(found) == 70  # as tests/support/api_main.c says
    assert found[0]["device"] == "pump-949" and found[0]["installation"] == f"{9:032x}"


# ---- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("body, status, part", [
    ("", 400, ""), ("{", 400, ""), ("[]", 400, "1 to 50"), ("[1]", 400, "JSON object"), ("7", 400, "not valid JSON"),
    (as_body([report("pump-1", n) for n in range(1, 52)]), 413, "1 to 50"),
    (as_body(report("pump-1", 1, text="x" * 501)), 413, "text"),
    (as_body(report("pump-1", 1, junk="x" * 4096)), 413, "4096"),
    (as_body(report("pump-1", 0)), 400, "seq"), (as_body(report("pump-1", -1)), 400, "seq"),
    (as_body(report("pump-1", "1")), 400, "seq"), (as_body(report("pump-1", 2**53)), 400, "seq"),
    (as_body(report("pump-1", 1, installation="1")), 400, "installation"),
    (as_body(report("", 1)), 400, "device"), (as_body(report("'; DROP TABLE report; --", 1)), 400, "device"),
    (as_body(report("pump-1", 1, kind="A B")), 400, "kind"), (as_body(report("pump-1", 1, v=0)), 400, '"v"'),
    (as_body(report("pump-1", 1, clock="yesterday")), 400, "clock"),
    (as_body(report("pump-1", 1, groups=["x"] * 9)), 413, "groups"),
    ('{"v":1,"v":1}', 400, ""), ("[" * 1000, 400, ""), ("\xff", 400, ""),
])
def test_what_is_no_report_is_refused_and_changes_nothing(pumps, folder, body, status, part):
    device = Device(pumps, folder)
    before = everything(pumps)
    answer = device.send(body)
    assert answer.status in (status, 413 if part == "" else status), answer.raw
    assert part in answer.json["detail"], answer.json
    assert everything(pumps) == before


def test_a_body_of_another_type_or_too_long_is_refused(pumps, folder):
    device = Device(pumps, folder)
    answer = pumps.device_call("POST", PATH, as_body(report("pump-1", 1)), sni=HOST, cert=device.pair[0],
                               key=device.pair[1], headers={"Content-Type": "text/plain"})
    refused(answer, 415, "application/json")
    assert device.send("x" * (50 * 4096 + 1)).status == 413
    answer = pumps.device_call("POST", PATH + "?x=1", "{}", sni=HOST, cert=device.pair[0], key=device.pair[1])
    refused(answer, 400, "unknown or repeated parameter")
    assert pumps.device_call("GET", PATH, sni=HOST).status == 405


def test_newer_devices_report_to_this_service(pumps, folder):
    device = Device(pumps, folder)
    answer = device.send(report("pump-1", 1, "teleported", v=7, beam={"to": [1, 2]}, to=9))
    assert answer.json["accepted"] == 1
    assert device.history()[0]["kind"] == "teleported" and device.seen()["result"] == "teleported"


def test_texts_of_devices_are_only_texts(pumps, folder):
    device = Device(pumps, folder)
    text = "'; DELETE FROM report; -- \u001b[31m <script> \" \\ %s"
    assert device.send(report("pump-1", 1, text=text, root_name=text, agent="'--")).json["accepted"] == 1
    assert device.history()[0]["text"] == text.replace("\u001b", "?")


def test_a_device_that_floods_is_slowed_down_and_no_other(pumps, folder):
    device, other = Device(pumps, folder), Device(pumps, folder, "pump-2")
    answers = [device.send(report("pump-1", n)) for n in range(1, 60)]
    slowed = [a for a in answers if a.status == 429]
    assert len(slowed) >= 10 and {a.status for a in answers} == {200, 429}
    assert all(int(a.headers["Retry-After"]) >= 1 for a in slowed)
    assert other.send(report("pump-2", 1)).status == 200
    assert len(device.history("?limit=1000")) == len(answers) - len(slowed)


# ---- lists -------------------------------------------------------------------------------------------


def ids(api, query):
    target, found = f"{A}/devices?" + query.strip("&"), []
    while target:
        page = api.get(target)
        assert page.status == 200, page.raw
        found += [d["id"] for d in page.json["devices"]]
        target = page.next()
    return found


def test_devices_are_found_by_what_they_report(pumps, folder):
    devices = [Device(pumps, folder, name) for name in ("pump-1", "pump-10", "pump-2", "valve:1")]
    devices[0].send(report("pump-1", 1, "refused"))
    devices[1].send(report("pump-10", 1, "confirmed"))
    pumps.change("PATCH", f"{A}/devices/pump-2", {"group": "lab"})
    for limit in ("", "&limit=1"):
        assert ids(pumps, limit) == ["pump-1", "pump-10", "pump-2", "valve:1"]
        assert ids(pumps, f"prefix=pump-1{limit}") == ["pump-1", "pump-10"]
        assert ids(pumps, f"prefix=valve:{limit}") == ["valve:1"]
        assert ids(pumps, f"group=lab{limit}") == ["pump-2"]
        assert ids(pumps, f"group={limit}") == ["pump-1", "pump-10", "valve:1"]
        assert ids(pumps, f"version=3{limit}") == ["pump-10"]
        assert ids(pumps, f"result=refused{limit}") == ["pump-1"]
        assert ids(pumps, f"result={limit}") == ["pump-2", "valve:1"]
        assert ids(pumps, f"set=amazon-iot&version=2{limit}") == ["pump-1"]
        assert ids(pumps, f"silent_since=2020-01-01T00:00:00Z{limit}") == ["pump-2", "valve:1"]
        assert ids(pumps, f"silent_since=2100-01-01T00:00:00Z&prefix=pump{limit}") == ["pump-1", "pump-10", "pump-2"]


@pytest.mark.parametrize("query", ["version=x", "version=", "silent_since=yesterday", "result=A%20B", "group=%27",
                                   "set=%00", "prefix=a%20b", "after=x", "prefix=a&after=%27", "prefix=a&prefix=b",
                                   "silent_since=2100-01-01T00:00:00Z&after=1", "color=red"])
def test_a_condition_that_makes_no_sense_is_refused(pumps, query):
    assert pumps.get(f"{A}/devices?{query}").status == 400


def test_what_a_device_reported_goes_with_it(pumps, signing):
    signing.send([report("pump-1", 1), report("pump-1", 2)])
    assert pumps.change("PATCH", signing.credential, {"status": "REVOKED"}).status == 200
    assert pumps.change("DELETE", f"{A}/devices/pump-1").status == 204
    refused(pumps.get(f"{A}/devices/pump-1/reports"), 404, "no such device")
    refused(send_signed(pumps, signing.signer, report("pump-1", 3)), 403, "not registered")
    assert everything(pumps)[1:5] == [[], [], [], []]


def test_one_account_does_not_see_the_reports_of_another(pumps, signing):
    assert pumps.call("POST", "/v1/accounts", {"name": "valves"}).status == 201
    signing.send(report("pump-1", 1))
    for path in ("devices/pump-1", "devices/pump-1/reports", "devices/pump-1/report-key"):
        assert pumps.get(f"{B}/{path}").status == 404
    assert pumps.get(f"{B}/devices").json["devices"] == []


# ---- the whole service -------------------------------------------------------------------------------


def test_an_operator_at_the_command_line(processes, folder, publisher):
    """Signed reports over the service's plain HTTP listener."""
    publisher.add(*roots.amazon(1))
    service = Service(processes, folder / "service", publisher, http__listen="127.0.0.1:0").start().with_account()
    try:
        port = int(service.server.err.split("listening on http://127.0.0.1:")[1].split(" ")[0])
        cert, key = client_pki.self_signed("pump-1")
        (folder / "pump-1.pem").write_text(client_pki.pem(cert))
        service.admin("credential", "register", "--account", "pumps", folder / "pump-1.pem", "--device", "pump-1",
                      "--status", "ACTIVE")
        signer = Signer()
        assert signer.key in service.admin("device", "report-key", "--account", "pumps", "pump-1", signer.key)

        def post(body):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("POST", PATH, body, {"Host": f"localhost:{port}",
                                                    **signer.headers(body, f"localhost:{port}")})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

        status, said = post(as_body(report("pump-1", 1, "refused", endpoint="mqtts://mqtt.example")))
        assert status == 200 and said["accepted"] == 1
        assert "refused" in service.admin("device", "list", "--account", "pumps", "--result", "refused")
        assert "report 1" in service.admin("device", "show", "--account", "pumps", "pump-1")
        assert "mqtts://mqtt.example" in service.admin("device", "reports", "--account", "pumps", "pump-1")
        assert service.admin_json("device", "list", "--account", "pumps", "--prefix", "x")["devices"] == []
        assert service.admin_json("device", "unverified", "--account", "pumps")["reports"] == []
        assert "revoked the key" in service.admin("device", "revoke-report-key", "--account", "pumps", "pump-1")
        assert post(as_body(report("pump-1", 2)))[0] == 403
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/metadata/timestamp.json")
        assert connection.getresponse().status == 200
        assert signer.key not in service.server.err and said["nonce"] not in service.server.err
    finally:
        service.stop()


def test_a_real_agent_reports(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    service = Service(processes, folder / "service", publisher).start().with_account()
    try:
        device = service.enrolled("pump-7")
        programs.ok("holdfast", "--state", device.state, "config", "set", "report", service.url)
        device.update()
        seen = service.admin_json("device", "show", "--account", "pumps", "pump-7")
        assert (seen["set"], seen["active_version"], seen["conflicts"]) == ("amazon-iot", 1, 0)
        assert abs(seen["clock_offset_s"]) < 120 and seen["active_sha256"] == device.status()["active"]["sha256"]
        assert seen["result"] == service.admin_json("device", "reports", "--account", "pumps",
                                                    "pump-7")["reports"][0]["kind"]
    finally:
        service.stop()
