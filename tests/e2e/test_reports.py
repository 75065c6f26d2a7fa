"""A device's reports, end to end: the real agent and, in the place of the fleet service, a server that verifies them."""
import json
import os
import random
import socket
import ssl
import subprocess
import time

import pytest

from kit import programs, roots
from kit.client_pki import Ca, new_key, write_pair
from kit.pki import Authority, write_chain
from kit.report_service import ReportService
from kit.service import Service

FOUR, FIVE = roots.amazon(1, 2, 3, 4), roots.amazon(1, 2, 3, 4) + [roots.STARFIELD.file]
VERSIONS, KILLS = (40, 20) if "HOLDFAST_LONG" in os.environ else (4, 6)


@pytest.fixture
def service():
    running = ReportService()
    yield running
    running.close()


def holdfast(device, *args):
    return programs.ok("holdfast", "--state", device.state, *args)


@pytest.fixture
def reporting(publisher, device, service):
    """A device that reports, and holds version 1."""
    publisher.add(*FOUR)
    holdfast(device, "config", "set", "groups", "lab", "ring-1")
    holdfast(device, "config", "set", "report", service.url)
    assert device.update() == "updated amazon-iot/full none -> 1"
    return device


def waiting(device):
    return [json.loads(row[0]) for row in device.rows("SELECT json FROM report ORDER BY seq")]


def test_an_update_is_announced_and_reported(publisher, reporting, service):
    assert service.kinds() == ["announce", "confirmed"]
    publisher.add(*FIVE)
    assert reporting.update() == "updated amazon-iot/full 1 -> 2"
    assert service.kinds()[2:] == ["announce", "swapped"]
    assert reporting.update() == "current amazon-iot/full 2"
    assert service.kinds()[4:] == ["confirmed"]
    assert waiting(reporting) == []
    report = service.reports[max(service.reports, key=lambda key: key[1])]
    assert (report["device"], report["set"], report["profile"]) == ("e2e", "amazon-iot", "full")
    assert (report["to"], report["outcome"], report["groups"]) == (2, "ok", ["lab", "ring-1"])
    assert report["sha256"] == reporting.status()["active"]["sha256"]
    assert "next_expiry" in report and "clock" in report
    # over http each is signed, by the key that the device shows
    key = holdfast(reporting, "report", "--key").last_line
    assert {signer for _, _, signer, _ in service.requests} == {key}
    assert {path for path, _, _, _ in service.requests} == {"/v1/reports"}
    # the service knows the device again
    assert service.requests[0][1][0].get("nonce") is None
    assert service.requests[-1][1][0]["nonce"] == f"{service.nonces - 1:016x}"


def test_what_the_application_decides_is_reported_at_once(publisher, reporting, service):
    holdfast(reporting, "config", "set", "await-confirm", "yes")
    publisher.add(*FIVE)
    reporting.update()
    reporting.reject("no connection to the broker")
    assert service.kinds()[-1] == "rolled-back"
    report = service.reports[max(service.reports, key=lambda key: key[1])]
    assert (report["from"], report["to"], report["outcome"]) == (2, 1, "policy")
    assert "no connection to the broker" in report["text"]
    publisher.add(*FOUR, options=["--drop", "all"])
    assert reporting.update() == "updated amazon-iot/full 1 -> 3"
    reporting.confirm()
    assert service.kinds()[-1] == "confirmed" and waiting(reporting) == []


def test_what_is_shown_is_what_is_sent(reporting, service):
    service.answers = [(503, "{}")]
    assert "(HTTP 503)" in programs.refused("holdfast", "--state", reporting.state, "report", "--send")
    shown = json.loads(holdfast(reporting, "report", "--show", "--json").out)
    assert shown["url"] == f"{service.url}/v1/reports" and shown["waiting"] == 1
    assert holdfast(reporting, "report", "--send").last_line == f"sent 1 report to {service.url}/v1/reports"
    sent = service.requests[-1][1]
    for report in [*shown["body"], *sent]:
        report.pop("sent")
    assert shown["body"] == sent
    assert holdfast(reporting, "report", "--show").last_line == "nothing waits to be sent"


def test_the_status_says_how_it_goes(reporting, service):
    reports = reporting.status()["reports"]
    assert (reports["url"], reports["waiting"], reports["last_error"]) == (f"{service.url}/v1/reports", 0, None)
    service.answers = [(403, json.dumps({"detail": "this device is not registered"}))]
    programs.refused("holdfast", "--state", reporting.state, "report", "--send")
    reports = reporting.status()["reports"]
    assert (reports["waiting"], reports["failures"]) == (1, 1)
    assert "(HTTP 403): this device is not registered" in reports["last_error"]
    assert "this device is not registered" in reporting.status_text()
    holdfast(reporting, "config", "set", "report", "off")
    assert reporting.status()["reports"] is None


def test_off_is_off(publisher, device, service):
    publisher.add(*FOUR)
    device.update()
    assert service.connections == 0 and waiting(device) == []
    assert device.rows("SELECT count(*) FROM value WHERE name GLOB 'report.*' AND value <> ''") == [(0,)]
    assert not (device.state / "report.key").exists()


def test_a_service_that_hangs_stops_no_update(publisher, reporting, service):
    """It takes the connection and says nothing. The announce gives up by itself (its limit is in test_client_report.c),
    and what could not be sent waits until the service is back."""
    silent = socket.create_server(("127.0.0.1", 0))
    holdfast(reporting, "config", "set", "report", f"http://127.0.0.1:{silent.getsockname()[1]}")
    publisher.add(*FIVE)
    assert reporting.update() == "updated amazon-iot/full 1 -> 2"
    # one try for the announce, and none in the wait after it
    silent.settimeout(0)
    silent.accept()
    with pytest.raises(BlockingIOError):
        silent.accept()
    silent.close()
    assert [report["kind"] for report in waiting(reporting)] == ["announce", "swapped"]
    holdfast(reporting, "config", "set", "report", service.url)
    assert holdfast(reporting, "report", "--send").last_line.startswith("sent 2 reports")
    assert service.kinds() == ["announce", "confirmed", "announce", "swapped"]


def test_a_report_that_the_service_never_takes_is_given_up(reporting, service):
    service.answers = [(400, json.dumps({"detail": "no such set"}))] * 3
    for _ in range(3):
        sentence = programs.refused("holdfast", "--state", reporting.state, "report", "--send")
        assert "(HTTP 400): no such set" in sentence
    assert waiting(reporting) == []
    journal = holdfast(reporting, "journal").out
    assert "report 3 is given up" in journal


def test_a_newer_service_may_say_more(reporting, service):
    service.answers = [(200, json.dumps({"accepted": 1, "duplicates": 0, "nonce": "0" * 15 + "7", "v": 9,
                                         "advice": {"rest": ["a while"]}}))]
    assert holdfast(reporting, "report", "--send").last_line.startswith("sent 1 report")
    assert waiting(reporting) == []
    holdfast(reporting, "report", "--send")
    assert service.requests[-1][1][0]["nonce"] == "0" * 15 + "7"


# ---- over TLS, by the device's certificate ----------------------------------------------------------


def test_over_tls_the_certificate_says_who_reports(folder, publisher, device):
    authority, devices, key = Authority("Fleet CA"), Ca(), new_key()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*write_chain(folder, "service", authority.leaf()))
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_verify_locations(cadata=devices.pem)
    service = ReportService(tls)
    publisher.add(*FOUR)
    holdfast(device, "config", "set", "server-ca", authority.write(folder / "ca.pem"))
    holdfast(device, "config", "set", "client-cert", *write_pair(folder, "device", devices.issue("e2e", key), key))
    holdfast(device, "config", "set", "report", service.url)
    device.update()
    assert service.kinds() == ["announce", "confirmed"]
    # The announce and what follows it, over two connections: the trust store was swapped in between.
    assert service.connections == 2
    for _, _, signer, certificate in service.requests:
        assert signer is None
        assert certificate["subject"] == ((("commonName", "e2e"),),)
    assert holdfast(device, "report", "--send").last_line.startswith("sent 1 report")
    holdfast(device, "config", "set", "report-signature", "yes")
    holdfast(device, "report", "--send")
    assert service.requests[-1][2] == holdfast(device, "report", "--key").last_line
    service.close()


def test_nothing_goes_to_a_service_that_does_not_validate(folder, publisher, device):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*write_chain(folder, "service", Authority("Another CA").leaf()))
    service = ReportService(tls)
    publisher.add(*FOUR)
    holdfast(device, "config", "set", "report", service.url)
    assert device.update() == "updated amazon-iot/full none -> 1"
    assert service.received == 0 and len(waiting(device)) == 2
    assert "is not trusted" in device.status()["reports"]["last_error"] or service.requests == []
    service.close()


# ---- the fleet service itself -------------------------------------------------------------------------


def test_the_fleet_service_knows_what_a_device_does(processes, folder, publisher):
    publisher.add(*FOUR)
    service = Service(processes, folder / "service", publisher).start().with_account()
    device = service.device("pump-7")
    holdfast(device, "config", "set", "report", "service")
    service.enroll(device)
    device.update()
    publisher.add(*FIVE)
    service.server.wait_for(lambda: device.update() == "updated amazon-iot/full 1 -> 2", "it serves version 2")
    device.update()
    reports = service.admin_json("device", "reports", "--account", "pumps", "pump-7")["reports"]
    assert [report["kind"] for report in reports if report["kind"] != "current"] == [
        "confirmed", "swapped", "announce", "confirmed", "announce"]
    assert device.status()["reports"]["last_error"] is None and waiting(device) == []
    service.stop()


def test_the_fleet_service_takes_signed_reports_of_a_device_without_a_certificate(processes, folder, publisher):
    publisher.add(*FOUR)
    service = Service(processes, folder / "service", publisher).start().with_account()
    service.enrolled("pump-8")  # so that the device is known; it reports from a state folder without that certificate
    device = service.device("plain")
    holdfast(device, "config", "set", "device-id", "pump-8")
    holdfast(device, "config", "set", "report-signature", "yes")
    holdfast(device, "config", "set", "report", "service")
    service.admin("device", "report-key", "--account", "pumps", "pump-8", holdfast(device, "report", "--key").last_line)
    device.update()
    assert holdfast(device, "report", "--send").last_line.startswith("sent ")
    kinds = [report["kind"] for report in service.admin_json("device", "reports", "--account", "pumps", "pump-8")["reports"]]
    assert "confirmed" in kinds and "announce" in kinds
    service.stop()


# ---- kill -9 ------------------------------------------------------------------------------------------


def test_kills_lose_no_report_and_change_none(publisher, reporting, service):
    """Updates that are killed anywhere. ReportService fails the test if a number comes with two contents."""
    dice = random.Random(13)
    for version in range(2, 2 + VERSIONS):
        if version % 2 == 0:
            publisher.add(*FIVE)
        else:
            publisher.add(*FOUR, options=["--drop", "all"])
        for _ in range(KILLS):
            process = subprocess.Popen(programs.command("holdfast", "--state", reporting.state, "update"),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(dice.uniform(0, 0.15))
            process.kill()
            process.wait()
        reporting.update()
        holdfast(reporting, "report", "--send")
        seen = {report["kind"] for report in service.reports.values() if report.get("to") == version}
        assert "announce" in seen and seen & {"swapped", "confirmed"}, (version, seen)
    assert waiting(reporting) == []
    installation, = {installation for installation, _ in service.reports}
    numbers = sorted(seq for _, seq in service.reports)
    assert numbers == list(range(1, len(numbers) + 1)), "a report is missing"
    assert installation


# ---- what it costs --------------------------------------------------------------------------------------


def test_a_day_costs_one_request_and_one_more_transaction(publisher, reporting, service):
    """24 checks without news make one `current` at most: on the wire, with the head of its request, it is far below 5 KB."""
    before, n_requests = service.received, len(service.requests)
    for _ in range(24):
        reporting.update()
    holdfast(reporting, "report", "--send")
    assert len(service.requests) - n_requests <= 2
    per_request = (service.received - before) / (len(service.requests) - n_requests)
    print(f"bytes of a report's request, signed: {per_request:.0f}")
    assert per_request < 2000
