"""Audits with real processes: a finding opens, says what to do, is muted, and closes; over the API each answer is as
described."""
import datetime
import json

import pytest

from kit import client_pki, roots
from kit.processes import wait_until
from kit.reports import ONE, PATH, TWO, as_body, report
from kit.service import Service

A = "/v1/accounts/pumps"
LATER = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher)
    made.start()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


def audit(service, name):
    """Run it, and wait for its end."""
    def state():
        one, = (a for a in service.admin_json("audit", "list")["audits"] if a["name"] == name)
        return one
    assert service.admin("audit", "run", name) == f"the audit {name} runs\n"
    wait_until(lambda: not state()["is_running"], f"{name} ends")
    return state()


def findings(service, *options):
    return service.admin_json("finding", "list", *options)["findings"]


def register(service, device, cert):
    file = service.folder / f"{device}.pem"
    file.write_text(client_pki.pem(cert))
    return service.admin_json("credential", "register", file, "--account", "pumps", "--device", device,
                              "--status", "ACTIVE")["sha256"]


def test_a_finding_from_its_opening_to_its_end(service):
    key = client_pki.new_key()
    cert, again = (client_pki.certificate(name, key) for name in ("pump-1", "pump-2"))
    first, second = register(service, "pump-1", cert), register(service, "pump-2", again)
    ran = audit(service, "DEVICE_CERTIFICATE_SHARED")
    assert ran["found"] == 2 and ran["problem"] is None and ran["ended"]

    found = findings(service, "--account", "pumps")
    assert {f["subject"] for f in found} == {first, second}
    one = next(f for f in found if f["subject"] == second)
    assert one["check"] == "DEVICE_CERTIFICATE_SHARED" and one["device"] == "pump-2"
    assert one["sentence"] == ('the certificate of device "pump-2" has the same key as that of device "pump-1"')
    assert "Enrol each of them with a new key" in one["what_to_do"]
    number = str(one["id"])
    assert one["sentence"] in service.admin("finding", "list")
    assert "Enrol each of them with a new key" in service.admin("finding", "show", number)

    # Muted with a reason, until a time
    assert service.admin("finding", "mute", number, "--reason", "both go to the lab", "--until", LATER) == \
        f"muted the finding {number}\n"
    assert [f["subject"] for f in findings(service)] == [first]
    muted, = findings(service, "--state", "muted")
    assert muted["mute"] == {"reason": "both go to the lab", "until": LATER, "by": muted["mute"]["by"]}
    assert muted["mute"]["by"].startswith("uid:")
    service.admin("finding", "unmute", number)
    assert len(findings(service)) == 2

    # Gone: the key of the second device is revoked, so it is not shared any more. The first has the key of a revoked one.
    service.admin("credential", "revoke", second, "--account", "pumps")
    assert audit(service, "DEVICE_CERTIFICATE_SHARED")["found"] == 0
    assert findings(service) == []
    closed = findings(service, "--state", "closed", "--check", "DEVICE_CERTIFICATE_SHARED")
    assert {f["subject"] for f in closed} == {first, second} and all(f["closed"] for f in closed)
    assert audit(service, "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE")["found"] == 1
    left, = findings(service)
    assert left["subject"] == first
    acts = [json.loads(line)["entry"]["action"] for line in service.admin("log", "export").splitlines()
            if "entry" in line]
    assert [a for a in acts if a.startswith("finding.")] == ["finding.mute", "finding.unmute"]


def test_every_audit_runs_by_itself(service):
    def all_ran():
        audits = service.admin_json("audit", "list")["audits"]
        return all(a["ended"] for a in audits) and not any(a["is_running"] for a in audits)
    wait_until(all_ran, "the audits of the start end")
    problems = {a["name"]: a["problem"] for a in service.admin_json("audit", "list")["audits"] if a["problem"]}
    assert problems == {
        "DEVICE_CERTIFICATE_AGE": "not run: it is turned off ([audits] device_certificate_age)",
        "REVOKED_CA_CERTIFICATE_STILL_ACTIVE": "not run: there is no revocation list ([audits] crl)"}
    assert findings(service) == []
    assert "there is no audit of this name" in service.refuses("audit", "run", "NONE")
    assert "there is no finding of this number" in service.refuses("finding", "show", "99")


def test_findings_over_the_api(api):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": ["pumps.example"]}).status == 201
    soon = datetime.datetime.utcnow() + datetime.timedelta(days=20)
    cert, _ = client_pki.self_signed("device", end=soon)
    made = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE",
                                                 "device": "pump-7"})
    assert made.status == 201, made.raw
    name = "DEVICE_CERTIFICATE_EXPIRING"
    asked = api.call("POST", f"/v1/audits/{name}/run")
    assert asked.status == 202 and asked.json["name"] == name

    def ended():
        return not any(a["is_running"] for a in api.get("/v1/audits").json["audits"] if a["name"] == name)
    wait_until(ended, "the audit ends")
    one, = api.get(f"/v1/findings?account=pumps&check={name}").json["findings"]
    path = f"/v1/findings/{one['id']}"
    assert api.get(path).json == one
    assert one["subject"] == made.json["sha256"] and one["account"] == "pumps"
    assert api.get("/v1/findings?account=valves").status == 404
    assert api.get("/v1/findings?check=NONE").status == 400
    assert api.get("/v1/findings?state=any").status == 400
    for body in ({"reason": "later"}, {"reason": "", "until": LATER}, {"reason": "later", "until": "2020-01-01T00:00:00Z"},
                 {"reason": "x" * 257, "until": LATER}):
        assert api.call("POST", f"{path}/mute", body).status == 400, body
    assert api.call("POST", "/v1/findings/99/mute", {"reason": "later", "until": LATER}).status == 404
    assert api.get(path).json == one
    muted = api.call("POST", f"{path}/mute", {"reason": "later", "until": LATER})
    assert muted.status == 200 and muted.json["state"] == "muted"
    assert api.get("/v1/findings").json["findings"] == []
    assert api.call("DELETE", f"{path}/mute").status == 428
    assert api.call("DELETE", f"{path}/mute", If_Match='"1"').status == 412
    assert api.call("DELETE", f"{path}/mute", If_Match=muted.etag).status == 204
    assert api.get(path).json["state"] == "open" and api.get(path).json["mute"] is None


def test_what_devices_report_is_audited(api, folder):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": ["pumps.example"]}).status == 201

    def send(pair, *reports):
        return api.device_call("POST", PATH, as_body(list(reports)), sni="pumps.example", cert=pair[0], key=pair[1],
                               headers={"Content-Type": "application/json"}).status

    def device(name):
        cert, key = client_pki.self_signed(name)
        made = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": "ACTIVE",
                                                     "device": name})
        assert made.status == 201, made.raw
        return client_pki.write_pair(folder, name, cert, key)

    def found(check):
        assert api.call("POST", f"/v1/audits/{check}/run").status == 202
        wait_until(lambda: not any(a["is_running"] for a in api.get("/v1/audits").json["audits"]), "the audit ends")
        return [(f["subject"], f["sentence"]) for f in api.get(f"/v1/findings?check={check}").json["findings"]]
    right, old, copied = device("pump-1"), device("pump-2"), device("pump-3")
    assert send(right, report("pump-1", 1, "current")) == 200
    assert send(old, report("pump-2", 1, "current", clock="1970-01-01T00:01:00Z",
                                      sent="1970-01-01T00:02:00Z")) == 200
    (subject, sentence), = found("CLOCK_WRONG")
    assert subject == "pump-2" and sentence.startswith('the clock of device "pump-2" is about ')
    assert sentence.endswith(" days behind")

    assert found("CONFLICTING_CLIENT_IDS") == []
    assert send(copied, report("pump-3", 1, "current", installation=ONE)) == 200
    assert send(copied, report("pump-3", 1, "current", installation=TWO)) == 409
    assert found("CONFLICTING_CLIENT_IDS") == [
        ("pump-3", 'two installations report as the device "pump-3": a copy of it is in use')]
    assert found("DEVICE_SILENT") == [] and found("DEVICE_SILENT_AFTER_UPDATE") == []
