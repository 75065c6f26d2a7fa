"""What operators see of the fleet: counts, series, and why a device is not updated."""
import datetime
import sqlite3

import pytest

from kit import client_pki, roots
from kit.processes import wait_until
from kit.reports import PATH, as_body, report
from kit.service import Service

A, B = "/v1/accounts/pumps", "/v1/accounts/valves"
HOST = "pumps.example"
DAYS = 86400


@pytest.fixture
def pumps(api):
    assert api.call("POST", "/v1/accounts", {"name": "pumps", "snis": [HOST]}).status == 201
    return api


def add_device(api, folder, name, status="ACTIVE"):
    """A device whose certificate is registered; sends reports."""
    cert, key = client_pki.self_signed(name)
    answer = api.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert), "status": status, "device": name})
    assert answer.status == 201, answer.raw
    pair = client_pki.write_pair(folder, name, cert, key)

    def send(*reports):
        answer = api.device_call("POST", PATH, as_body(list(reports)), sni=HOST, cert=pair[0], key=pair[1],
                                 headers={"Content-Type": "application/json"})
        assert answer.status == 200, answer.raw
    return send


def explain(api, name):
    answer = api.get(f"{A}/devices/{name}/explanation")
    assert answer.status == 200, answer.raw
    return answer.json, {s["check"]: s for s in answer.json["statements"]}


# ---- one device --------------------------------------------------------------------------------------


def test_a_device_is_explained_from_what_it_reported(pumps, folder):
    send = add_device(pumps, folder, "pump-1")
    said, checks = explain(pumps, "pump-1")
    assert said["cause"] == checks["contact"] and "never reported" in said["cause"]["text"]
    assert not said["is_up_to_date"] and "report=service" in said["cause"]["advice"]
    send(report("pump-1", 1, "refused", text="mqtt.example would not be reached", endpoint="mqtts://mqtt.example",
                root="ab" * 32, root_name="CN=Old Root"),
         report("pump-1", 2, "current", **{"from": 2, "to": 2}))
    said, checks = explain(pumps, "pump-1")
    assert said["cause"] == checks["result"]
    assert "refused the bundle (version 3)" in said["cause"]["text"]
    assert f"mqtts://mqtt.example. Missing root: CN=Old Root (key {'ab' * 32})." in said["cause"]["text"]
    assert checks["contact"]["verdict"] == "ok" and "serves no repository" in checks["version"]["text"]


def test_the_newest_active_certificate_counts(pumps, folder):
    add_device(pumps, folder, "pump-1")
    add_device(pumps, folder, "pump-1", status="INACTIVE")
    assert explain(pumps, "pump-1")[1]["certificate"]["verdict"] == "ok"
    add_device(pumps, folder, "pump-2", status="INACTIVE")
    said, checks = explain(pumps, "pump-2")
    assert said["cause"] == checks["certificate"] and "the newest one is INACTIVE" in said["cause"]["text"]


def test_the_words_of_a_device_stay_text(pumps, folder):
    send = add_device(pumps, folder, "pump-1")
    send(report("pump-1", 1, "failed", text='%s%n {0} "quoted" \\ Ünïcode'))
    assert 'Reason: %s%n {0} "quoted" \\ Ünïcode.' in explain(pumps, "pump-1")[1]["result"]["text"]


# ---- all of them -------------------------------------------------------------------------------------


def test_the_fleet_in_numbers(pumps, folder):
    empty = pumps.get(f"{A}/fleet").json
    assert (empty["devices"], empty["versions"], empty["results"]) == (0, [], [])
    add_device(pumps, folder, "pump-1")(report("pump-1", 1))
    add_device(pumps, folder, "pump-2")(report("pump-2", 1, "refused"))
    add_device(pumps, folder, "pump-3")(report("pump-3", 1, "made-up"))
    add_device(pumps, folder, "pump-4", status="INACTIVE")
    fleet = pumps.get(f"{A}/fleet").json
    assert (fleet["devices"], fleet["never_reported"], fleet["silent"]) == (4, 1, 0)
    assert fleet["versions"] == [{"set": "amazon-iot", "version": 2, "devices": 1},
                                 {"set": "amazon-iot", "version": 3, "devices": 1}]
    assert {r["result"]: r["devices"] for r in fleet["results"]} == {None: 1, "confirmed": 1, "refused": 1, "other": 1}
    assert fleet["certificates"]["ACTIVE"] == 3 and fleet["certificates"]["INACTIVE"] == 1
    assert pumps.call("POST", "/v1/accounts", {"name": "valves"}).status == 201
    assert pumps.get(f"{B}/fleet").json["devices"] == 0


def test_a_series_is_listed_page_by_page(pumps, folder):
    send = add_device(pumps, folder, "pump-1")
    send(*(report("pump-1", n, "failed", to=n) for n in range(1, 6)))
    whole = pumps.get(f"{A}/series?what=failed").json["series"]
    assert [point["version"] for point in whole] == [1, 2, 3, 4, 5] and all(point["n"] == 1 for point in whole)
    pages, path = [], f"{A}/series?what=failed&limit=2"
    while path:
        answer = pumps.get(path)
        pages.append(len(answer.json["series"]))
        path = answer.next()
    assert pages == [2, 2, 1]
    assert pumps.get(f"{A}/series?set=other").json["series"] == []
    assert pumps.get(f"{A}/series?until=2020-01-01T00:00:00Z").json["series"] == []


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-01-01", "after=1", "after=1/a/b/c", "after=1/a/2",
                                   "since=2026-01-01T00:00:00Z&until=2025-12-31T00:00:00Z", "what=active&color=red",
                                   "since=2026-01-01T00:00:00Z&until=2026-06-01T00:00:00Z",
                                   "after=1/a/2/" + "w" * 33, "after=1/" + "s" * 65 + "/2/active"])
def test_a_series_that_makes_no_sense_is_refused(pumps, query):
    assert pumps.get(f"{A}/series?{query}").status == 400


@pytest.mark.parametrize("path", ["devices/pump-9/explanation", "devices/pump-1/explanation"])
def test_one_account_does_not_see_the_devices_of_another(pumps, folder, path):
    add_device(pumps, folder, "pump-1")
    assert pumps.call("POST", "/v1/accounts", {"name": "valves"}).status == 201
    assert pumps.get(f"{B}/{path}").status == 404
    for view in ("fleet", "series", "readiness"):
        assert pumps.get(f"/v1/accounts/missing/{view}").status == 404


# ---- the whole service -------------------------------------------------------------------------------


def test_without_a_repository_no_bundle_is_published(pumps):
    assert pumps.get(f"{A}/bundles").json == {"is_served": False, "bundles": []}


def test_published_bundles_and_who_uses_them(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    publisher.add(*roots.amazon(1, 2))
    service = Service(processes, folder / "service", publisher).start().with_account()
    try:
        with sqlite3.connect(service.folder / "fleet.db", timeout=20) as db:
            db.execute("INSERT INTO version_count VALUES (1, 'amazon-iot', 1, 7), (1, 'amazon-iot', 9, 3), "
                       "(1, 'other', 2, 5)")
        bundles = service.admin_json("fleet", "bundles", "--account", "pumps")["bundles"]
        assert [(b["set"], b["profile"], b["version"], b["is_newest"], b["devices"]) for b in bundles] == [
            ("amazon-iot", "full", 2, True, 0), ("amazon-iot", "full", 1, False, 7)]
        names = [path.name for path in publisher.repo.rglob("*.pem")]
        assert sorted(f"{b['sha256']}.{b['version']}.pem" for b in bundles) == sorted(names)
    finally:
        service.stop()


def test_without_a_count_nothing_is_said_of_readiness(pumps, folder):
    add_device(pumps, folder, "pump-1")
    assert pumps.get(f"{A}/readiness").json == {"is_served": False, "counted": None, "unknown": 0, "shut_out": 0,
                                                "anchors": []}


def test_by_which_day_the_fleet_is_ready(processes, folder, publisher):
    """Root 1 ends first, in 2038, and root 2 is its successor; a signed date makes it end soon."""
    publisher.add(*roots.amazon(1))
    publisher.add(*roots.amazon(1, 2))
    service = Service(processes, folder / "service", publisher).start().with_account()
    name = "ANCHOR_ENDS_BEFORE_FLEET_IS_READY"

    def has_run(n):
        with sqlite3.connect(service.folder / "fleet.db", timeout=20) as db:
            return db.execute("SELECT run FROM check_run WHERE check_name = ?", (name,)).fetchone() == (n,)

    def write(*statements):
        with sqlite3.connect(service.folder / "fleet.db", timeout=20) as db:
            for statement in statements:
                db.execute(*statement)
    try:
        wait_until(lambda: has_run(1), "the audit of the start ends")
        said = service.admin("fleet", "readiness", "--account", "pumps")
        assert "0 devices whose version is unknown" in said or "have not been counted yet" in said
        for number in range(1, 6):
            cert, _ = client_pki.self_signed(f"pump-{number}")
            (folder / "pump.pem").write_text(client_pki.pem(cert))
            made = service.admin_json("credential", "register", "--account", "pumps", folder / "pump.pem", "--device",
                                      f"pump-{number}", "--status", "ACTIVE")
        service.admin("credential", "revoke", made["sha256"], "--account", "pumps")
        write(("UPDATE device_state SET seen_s = 1, set_name = 'amazon-iot', profile = 'full', active_version = "
               "CASE WHEN device_id = 3 THEN 2 ELSE 1 END WHERE device_id <> 4",))
        service.admin("audit", "run", name)
        wait_until(lambda: has_run(2), "the audit ends")
        readiness = service.admin_json("fleet", "readiness", "--account", "pumps")
        assert (readiness["unknown"], readiness["shut_out"], readiness["is_served"]) == (1, 1, True)
        first, last = readiness["anchors"]
        assert first["sha256"] == roots.AMAZON[0].sha256 and first["spki_sha256"] == roots.AMAZON[0].spki
        assert "Amazon Root CA 1" in first["subject"] and first["because"] == "expires"
        assert first["ends"] == first["not_after"] == "2038-01-17T00:00:00Z" and first["distrust_after"] is None
        assert (first["holding"], first["lacking"], first["verdict"], first["ready"]) == (1, 2, "no-pace", None)
        assert (first["newest"], first["unknown"]) == (2, 1) and "device explain" in first["advice"]
        assert last["sha256"] == roots.AMAZON[1].sha256 and last["verdict"] == "no-successor"
        assert service.admin_json("finding", "list", "--check", name)["findings"] == []  # it ends in years

        # A week ago no device had one, so two weeks are left, until 2028; and it is to be removed earlier.
        write(("UPDATE census SET day_s = day_s - 7 * 86400, counted_s = counted_s - 7 * 86400",),
                    ("UPDATE census_version SET day_s = day_s - 7 * 86400",),
                    ("DELETE FROM census_version WHERE version = 2",))
        service.admin("audit", "run", name)
        wait_until(lambda: has_run(3), "the audit ends")
        first, _ = service.admin_json("fleet", "readiness", "--account", "pumps")["anchors"]
        assert first["verdict"] == "in-time" and first["ready"] < first["ends"]
        shown = service.admin("fleet", "readiness", "--account", "pumps")
        assert "in-time" in shown and "1 devices whose version is unknown" in shown

        soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=3)).strftime("%Y-%m-%d")
        publisher.add(*roots.amazon(1, 2), options=["--remove-after", f"{roots.AMAZON[0].sha256}={soon}"])
        wait_until(lambda: len(service.admin_json("fleet", "bundles", "--account", "pumps")["bundles"]) == 3,
                   "version 3 is served")
        first, _ = service.admin_json("fleet", "readiness", "--account", "pumps")["anchors"]
        assert first["because"] == "is removed" and first["ends"].startswith(soon) and first["verdict"] == "late"
        service.admin("audit", "run", name)
        wait_until(lambda: has_run(4), "the audit ends")
        one, = service.admin_json("finding", "list", "--check", name)["findings"]
        assert one["kind"] == "anchor" and one["subject"] == f"amazon-iot/full {roots.AMAZON[0].sha256}"
        assert f"is removed by devices after {soon}, and 2 of 3 devices hold no successor" in one["sentence"]
        assert "fleet readiness" in one["what_to_do"]
    finally:
        service.stop()


def test_the_status_says_what_is_not_ready(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    service = Service(processes, folder / "service", publisher, signer__issue_per_day=7,
                      signer__issue_per_day_per_ca=5).start().with_account()
    status = service.admin_json("status")
    assert status["not_ready"] is None and status["quota"]["per_day"] == 7 and status["quota"]["issued"] == 0
    assert "not_ready   -" in service.admin("status")
    assert service.signer.stop() == 0
    status = service.admin_json("status")
    assert status["not_ready"].startswith("signer: ") and status["quota"] is None
    assert status["not_ready"] in service.admin("status")
    assert service.server.stop() == 0


def test_an_operator_asks_why(processes, folder, publisher):
    """The service compares a device with the repository that it serves."""
    publisher.add(*roots.amazon(1))
    service = Service(processes, folder / "service", publisher).start().with_account()
    try:
        cert, _ = client_pki.self_signed("pump-1")
        (folder / "pump-1.pem").write_text(client_pki.pem(cert))
        service.admin("credential", "register", "--account", "pumps", folder / "pump-1.pem", "--device", "pump-1",
                      "--status", "ACTIVE")
        said = service.admin("device", "explain", "--account", "pumps", "pump-1")
        assert said.startswith("pump-1 is not up to date: It has never reported.")
        assert "What to do: Check on the device that reports are on" in said

        def pretend(version):
            with sqlite3.connect(service.folder / "fleet.db", timeout=20) as db:
                db.execute("UPDATE device_state SET set_name = 'amazon-iot', profile = 'full', active_version = ?, "
                           "seen_s = CAST(strftime('%s', 'now') AS INTEGER)", (version,))
        pretend(0)
        said = service.admin("device", "explain", "--account", "pumps", "pump-1")
        assert said.startswith("pump-1 is not up to date: It uses version 0 of amazon-iot/full; version 1 is published.")
        pretend(1)
        said = service.admin("device", "explain", "--account", "pumps", "pump-1")
        assert said.startswith("pump-1 is up to date: It uses version 1 of amazon-iot/full, the newest one.")
        assert service.admin_json("device", "explain", "--account", "pumps", "pump-1")["is_up_to_date"]
        shown = service.admin("fleet", "show", "--account", "pumps")
        assert "devices         1" in shown and "never_reported  0" in shown and "ACTIVE" in shown
        assert service.admin_json("fleet", "series", "--account", "pumps")["series"] == []
    finally:
        service.stop()
