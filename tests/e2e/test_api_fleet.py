"""What operators see of the fleet: counts, series, and why a device is not updated."""
import sqlite3

import pytest

from kit import client_pki, roots
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
    for view in ("fleet", "series"):
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
