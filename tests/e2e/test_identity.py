"""The device's own certificate: enrolment, rotation, what interrupts them, and mutual TLS with the update server."""
import glob
import http.client
import json
import os
import re
import sqlite3
import ssl
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import json_schema
import net_pki
from kit import programs, roots
from kit.device import Device
from kit.fleet_service import SECOND, FleetService, sha256, spki
from kit.programs import says

DAY = 86400 * SECOND


class Member(Device):
    """A device of the fleet."""

    def __init__(self, state, service):
        super().__init__(state)
        self.service = service

    def holdfast(self, *args, run=programs.ok, **how):
        return run("holdfast", "--state", self.state, *args, **how)

    def enroll(self, *options, token=None, **how):
        token_file = self.state.parent / f"{self.state.name}.token"
        token_file.write_text((token or self.service.token()) + "\n")
        token_file.chmod(0o600)
        return self.holdfast("enroll", "--token-file", token_file, *options, **how)

    def rotate(self, **how):
        return self.holdfast("rotate", **how)

    @property
    def identity(self):
        return self.state / "identity"

    @property
    def current(self):
        return self.identity / "current"

    @property
    def certificate(self):
        return x509.load_pem_x509_certificate((self.current / "certificate.pem").read_bytes())

    @property
    def key(self):
        return serialization.load_pem_private_key((self.current / "key.pem").read_bytes(), None)

    def slots(self):
        return sorted(f.name for f in self.identity.iterdir() if f.name != "current")

    def connects(self):
        """What `current` leads to is a pair that the service accepts; no other program is needed for it."""
        assert spki(self.key.public_key()) == spki(self.certificate.public_key())
        context = ssl.create_default_context(cafile=self.service.ca_file)
        context.load_cert_chain(self.current / "certificate.pem", self.current / "key.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", int(self.service.url.rsplit(":", 1)[1]),
                                                 context=context, timeout=30)
        connection.request("GET", "/v1/whoami")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert json.loads(answer.read())["credential"] == sha256(self.certificate)
        connection.close()

    def has_had_it_for_long(self):
        """The device remembers that its certificate came years ago."""
        connection = sqlite3.connect(self.database)
        connection.execute("UPDATE value SET value = '0 0 -9223372036854775808 0 1000000000 0' "
                           "WHERE name = 'identity.rotation'")
        connection.commit()
        connection.close()

    def journal(self, kind):
        return [text for (text,) in self.rows(f"SELECT text FROM event WHERE kind = '{kind}' ORDER BY id")]


@pytest.fixture
def service(folder, publisher):
    publisher.add(*roots.amazon(1, 2, 3, 4))
    made = FleetService(folder, publisher.repo)
    yield made
    made.close()


@pytest.fixture
def new(folder, publisher, service):
    """A device that is not enrolled."""
    member = Member(folder / "member", service)
    member.init(publisher.root, service.url, options=["--server-ca", service.ca_file])
    return member


@pytest.fixture
def member(new):
    new.enroll()
    return new


# ---- enrolment ------------------------------------------------------------------------------------------


def test_a_device_enrols_and_updates_over_mutual_tls(new, service):
    said = new.enroll().last_line
    assert said.startswith("enrolled e2e: certificate " + sha256(new.certificate))
    assert new.certificate.subject.rfc4514_string().startswith("CN=e2e")
    assert isinstance(new.key.curve, ec.SECP256R1)
    assert [oct(f.stat().st_mode & 0o777) for f in (new.identity, new.current, new.current / "key.pem",
            new.current / "certificate.pem")] == ["0o700", "0o700", "0o600", "0o600"]
    assert os.readlink(new.current) == "1" and new.slots() == ["1"]
    new.connects()
    assert new.update() == "updated amazon-iot/full none -> 1"
    assert {credential for _, credential in service.fetches} == {sha256(new.certificate)}
    config = json.loads(new.holdfast("config", "--json").out)
    assert config["client_cert"] == {"certificate": str(new.current / "certificate.pem"),
                                     "key": str(new.current / "key.pem")}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind, bits", [("p256", 256), ("p384", 384), ("rsa2048", 2048)])
def test_every_key_type_enrols_and_rotates(new, service, version, kind, bits):
    service.speak(version)
    new.enroll("--key-type", kind)
    assert new.key.key_size == bits
    first = sha256(new.certificate)
    new.rotate()
    assert new.key.key_size == bits and sha256(new.certificate) != first
    new.connects()
    assert new.update() == "updated amazon-iot/full none -> 1"


def test_what_is_printed_fits_its_schema(new):
    json_schema.check(new.status(), "status.schema.json")
    assert new.status()["identity"] is None
    report = json.loads(new.enroll("--json").out)
    json_schema.check(report, "credential.schema.json")
    assert report["credential"] == sha256(new.certificate)
    json_schema.check(json.loads(new.holdfast("rotate", "--json").out),
                      "credential.schema.json")
    status = new.status()
    json_schema.check(status, "status.schema.json")
    assert status["identity"]["current"]["credential"] == sha256(new.certificate)
    assert status["identity"]["last_failure"] is None and not status["identity"]["pending"]
    text = new.status_text()
    assert re.search(rf"^identity +{sha256(new.certificate)}$", text, re.MULTILINE)
    assert re.search(r"^rotation +\d{4}-", text, re.MULTILINE)


def test_a_device_with_an_identity_enrols_only_when_told_so(member, service):
    before = sha256(member.certificate)
    says(member.enroll(run=programs.refused), "has an identity", "--again")
    assert sha256(member.certificate) == before and len(service.calls) == 2
    member.enroll("--again")
    assert sha256(member.certificate) != before
    member.connects()


def test_a_claim_certificate_enrols_without_a_token(new, service, folder):
    claim_key = ec.generate_private_key(ec.SECP256R1())
    claim = service.issue(claim_key.public_key(), "claim")
    service.register(claim, "claim", kind="claim")
    cert_file = net_pki.write_pem(folder / "claim.pem", claim)
    key_file = net_pki.write_key(folder / "claim.key", claim_key)
    new.holdfast("enroll", "--claim-cert", cert_file, "--claim-key", key_file)
    assert service.calls == [("/v1/enroll", sha256(claim)), ("/v1/whoami", sha256(new.certificate))]
    new.connects()


def test_another_client_certificate_stays_that_of_the_endpoints(new, service, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    cert_file = net_pki.write_pem(folder / "own.pem", service.issue(key.public_key(), "own"))
    key_file = net_pki.write_key(folder / "own.key", key)
    new.holdfast("config", "set", "client-cert", cert_file, key_file)
    new.enroll()
    config = json.loads(new.holdfast("config", "--json").out)
    assert config["client_cert"]["certificate"] == cert_file
    new.update()
    assert {credential for _, credential in service.fetches} == {sha256(new.certificate)}


def test_a_configured_certificate_is_shown_to_the_update_server(new, service, folder):
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = service.issue(key.public_key(), "configured")
    service.register(certificate, "configured")
    new.holdfast("config", "set", "client-cert", net_pki.write_pem(folder / "own.pem", certificate),
                 net_pki.write_key(folder / "own.key", key))
    new.update()
    assert {credential for _, credential in service.fetches} == {sha256(certificate)}


# ---- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault, words", [
    (403, ["refuses (HTTP 403): told to answer 403??[31m"]),
    (404, ["refuses (HTTP 404)"]),
    (503, ["cannot do it now (HTTP 503)"]),
    ("garbage", ["the service's answer"]),
    ("redirect", ["found HTTP 302", "not redirected"]),
    ("wrong key", ["for another key"]),
    ("wrong purpose", ["clientAuth"]),
    ("expired", ["ended at", "clock"]),
    ("cut", ["closed"]),
])
def test_an_enrolment_that_fails_leaves_no_identity(new, service, fault, words):
    service.faults["/v1/enroll"] = [fault]
    before = new.holdfast("config", "--json").out
    says(new.enroll(run=programs.refused), *words)
    assert not new.current.exists() and not new.current.is_symlink()
    assert new.holdfast("config", "--json").out == before
    new.enroll()
    new.connects()


def test_a_wrong_token_is_refused_and_never_written_down(new, service):
    says(new.enroll(token="not-a-token-9f8e7d", run=programs.refused), "token is unknown or used up")
    assert new.slots() == []
    assert programs.call("holdfast", "--state", new.state, "enroll", "--token", "another-5c4b3a",
                         "--verbose").code == 1
    for file in new.state.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert b"not-a-token-9f8e7d" not in content and b"another-5c4b3a" not in content, file


def test_the_token_is_never_sent_to_a_server_that_does_not_validate(new, service, folder, publisher):
    stranger = Member(folder / "stranger", service)
    stranger.init(publisher.root, service.url)  # knows no CA
    said = stranger.enroll(run=programs.refused)
    says(said, "not trusted")
    assert service.calls == []


@pytest.mark.parametrize("options, words", [
    (["--url", "http://127.0.0.1:1"], ["expected https://"]),
    (["--url", "ftp://x"], ["not usable"]),
])
def test_the_service_is_asked_over_tls_only(new, options, words):
    says(new.enroll(*options, run=lambda *a, **k: _usage(*a, **k)), *words)


def _usage(*args, **how):
    outcome = programs.call(*args, **how)
    assert (outcome.code, outcome.out) == (2, ""), outcome
    return outcome.err


def test_neither_token_nor_claim_is_a_usage_error(new):
    says(new.holdfast("enroll", run=_usage), "neither", "--token-file")
    assert not new.identity.exists()


def test_a_token_file_that_others_may_read_is_refused(new, folder):
    token = folder / "open.token"
    token.write_text("x" * 40)
    token.chmod(0o644)
    says(new.holdfast("enroll", "--token-file", token, run=programs.refused), "--token-file", "read")


def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key(new, service):
    service.faults["/v1/enroll"] = ["lost answer"]
    says(new.enroll(run=programs.refused), "closed")
    key = (new.identity / "1" / "key.pem").read_bytes()
    new.enroll()
    assert (new.current / "key.pem").read_bytes() == key and new.slots() == ["1"]


def test_an_enrolment_that_was_cut_after_the_certificate_needs_no_token(new, service):
    service.faults["/v1/whoami"] = ["cut"]
    says(new.enroll(run=programs.refused), "cannot be used yet")
    assert not new.current.exists()
    assert "not finished" in new.status_text()
    json_schema.check(new.status(), "status.schema.json")
    new.holdfast("enroll")
    new.connects()
    assert [path for path, _ in service.calls].count("/v1/enroll") == 1


def test_an_update_finishes_an_enrolment_with_the_service_that_it_began_with(folder, publisher, service):
    """The mirror is another host, which does not have the API."""
    mirror = FleetService(_made(folder / "mirror"), publisher.repo)
    mirror.faults["/v1/whoami"] = [404] * 9
    both = folder / "both.pem"
    both.write_text(service.ca_file.read_text() + mirror.ca_file.read_text())
    device = Member(folder / "member", service)
    device.init(publisher.root, mirror.url, options=["--server-ca", both])
    try:
        service.faults["/v1/whoami"] = ["cut"]
        says(device.enroll("--url", service.url, run=programs.refused), "cannot be used yet")
        device.update()
        device.connects()
        device.rotate()
        device.connects()
        assert mirror.asked_for("/v1/enroll") == mirror.asked_for("/v1/rotate") == 0
    finally:
        mirror.close()


def test_an_update_finishes_an_enrolment(new, service):
    service.faults["/v1/whoami"] = ["cut"]
    new.enroll(run=programs.refused)
    new.update()
    new.connects()


# ---- rotation -------------------------------------------------------------------------------------------


def test_a_rotation_brings_a_new_key_and_a_new_certificate(member, service):
    old_key, old = member.key, sha256(member.certificate)
    said = member.rotate().last_line
    assert said.startswith("rotated e2e: certificate " + sha256(member.certificate))
    assert spki(member.key.public_key()) != spki(old_key.public_key())
    assert service.calls[2:] == [("/v1/rotate", old), ("/v1/whoami", sha256(member.certificate))]
    assert os.readlink(member.current) == "2" and member.slots() == ["1", "2"]
    member.rotate()
    assert os.readlink(member.current) == "3" and member.slots() == ["2", "3"]
    member.connects()
    member.update()
    assert service.fetches[-1][1] == sha256(member.certificate)


@pytest.mark.parametrize("path, fault, words", [
    ("/v1/rotate", 403, ["refuses (HTTP 403)"]),
    ("/v1/rotate", 500, ["cannot do it now (HTTP 500)"]),
    ("/v1/rotate", "cut", ["closed"]),
    ("/v1/rotate", "lost answer", ["closed"]),
    ("/v1/rotate", "garbage", ["the service's answer"]),
    ("/v1/rotate", "wrong key", ["for another key"]),
    ("/v1/rotate", "wrong purpose", ["clientAuth"]),
    ("/v1/rotate", "expired", ["ended at"]),
    ("/v1/rotate", "not registered", ["cannot be used and is removed", "not active"]),
    ("/v1/whoami", 403, ["cannot be used and is removed", "HTTP 403"]),
    ("/v1/whoami", 503, ["cannot be used yet", "HTTP 503"]),
    ("/v1/whoami", "cut", ["cannot be used yet"]),
    ("/v1/whoami", "garbage", ["the service's answer"]),
    ("/v1/whoami", "another", ["took the device for another one"]),
])
def test_a_rotation_that_fails_keeps_the_old_pair_and_says_so(member, service, path, fault, words):
    old, key = sha256(member.certificate), (member.current / "key.pem").read_bytes()
    service.faults[path] = [fault]
    said = member.rotate(run=programs.refused)
    says(said, *words)
    assert sha256(member.certificate) == old and (member.current / "key.pem").read_bytes() == key
    assert len(member.slots()) <= 2
    member.connects()
    failure = member.status()["identity"]["last_failure"]
    assert failure["count"] == 1 and failure["text"] in said
    json_schema.check(member.status(), "status.schema.json")
    assert member.journal("rotation") == [failure["text"]]
    check = programs.call("holdfast", "--state", member.state, "status", "--check")
    assert check.code in (1, 2) and failure["text"][:60] in check.out
    member.rotate()
    assert sha256(member.certificate) != old
    member.connects()
    assert member.status()["identity"]["last_failure"] is None


def test_an_update_rotates_when_the_service_asks_for_it(member, service):
    old = sha256(member.certificate)
    service.asked_to_rotate.add(old)
    assert member.update() == "updated amazon-iot/full none -> 1"
    assert sha256(member.certificate) != old and service.asked_to_rotate == set()
    member.connects()
    asked = service.asked_for("/v1/rotate")
    member.update()
    assert service.asked_for("/v1/rotate") == asked == 1


@pytest.fixture
def mirror(folder, publisher, service):
    """Another host, which sees the device's certificate and accepts what the service accepts."""
    made = FleetService(_made(folder / "mirror"), publisher.repo, service.device_ca)
    made.credentials = service.credentials
    yield made
    made.close()


def test_only_the_service_of_the_certificate_can_ask_for_a_rotation(folder, publisher, service, mirror):
    both = folder / "both.pem"
    both.write_text(service.ca_file.read_text() + mirror.ca_file.read_text())
    device = Member(folder / "member", service)
    device.init(publisher.root, mirror.url, options=["--server-ca", both])
    device.enroll("--url", service.url)
    old = sha256(device.certificate)
    mirror.asked_to_rotate.add(old)
    assert device.update() == "updated amazon-iot/full none -> 1"
    assert {credential for _, credential in mirror.fetches} == {old}  # it was shown it, and asked
    assert sha256(device.certificate) == old and mirror.calls == []
    assert not device.status()["identity"]["current"]["rotation_requested"]
    service.asked_to_rotate.add(old)
    device.update()
    assert sha256(device.certificate) != old and mirror.calls == []
    device.connects()


# ---- a service that does not accept what is in use -----------------------------------------------------------


def test_a_service_that_lost_the_newest_certificate_renews_the_one_before(member, service):
    """As after a restore of its database."""
    member.rotate()
    lost = sha256(member.certificate)
    del service.credentials[lost]
    member.refuses_update()
    assert sha256(member.certificate) != lost
    member.connects()
    assert member.update() == "updated amazon-iot/full none -> 1"
    assert member.journal("identity") == ["the service does not accept the current certificate; the one before "
                                          "it is renewed"]
    assert member.status()["identity"]["last_failure"] is None and len(member.slots()) == 2


def test_a_device_that_is_shut_out_says_so_and_stays_out(member, service):
    member.rotate()
    for known in service.credentials.values():
        known["status"] = "REVOKED"
    current = sha256(member.certificate)
    member.refuses_update()
    assert sha256(member.certificate) == current and service.asked_for("/v1/rotate") == 2
    failure = member.status()["identity"]["last_failure"]["text"]
    says(failure, "does not accept the certificate of this device", "--again", "HTTP 403")
    assert failure[:60] in member.status_text()
    json_schema.check(member.status(), "status.schema.json")
    calls = len(service.calls)
    member.refuses_update()
    assert service.calls[calls:] == [("/v1/whoami", current)]  # of the update; the rest waits
    service.credentials[current]["status"] = "ACTIVE"
    member.update()
    assert sha256(member.certificate) == current


def test_a_certificate_that_can_never_connect_is_replaced(member, service):
    """The service issued it and does not know it; what answers in its place is no refusal of the service."""
    old = sha256(member.certificate)
    service.faults["/v1/whoami"] = ["cut", "cut"]
    says(member.rotate(run=programs.refused), "cannot be used yet")
    for _ in range(5):
        # The candidate meets garbage, the current certificate an answer.
        service.faults["/v1/whoami"] = ["garbage"]
        outcome = programs.call("holdfast", "--state", member.state, "rotate")
    assert outcome.code == 0 and sha256(member.certificate) != old
    assert service.asked_for("/v1/rotate") == 2 and len(member.slots()) == 2
    member.connects()


def test_nothing_waits_for_a_service_that_keeps_silent(member, service, processes):
    """Other commands work while the identity is at work; a second one that would work on it says what is wrong."""
    member.update()
    gate = service.gates["/v1/rotate"] = threading.Event()
    rotation = processes.start_ours("holdfast", "--state", member.state, "rotate")
    rotation.wait_for(lambda: len(member.slots()) == 2, "it has made a key")
    assert member.update() == "current amazon-iot/full 1"
    assert member.status()["identity"]["current"]["credential"] == sha256(member.certificate)
    member.holdfast("config", "set", "redirect-hosts", "127.0.0.1:1")
    says(member.rotate(run=programs.refused), "another process is enrolling this device or rotating")
    assert rotation.is_running() and sha256(member.certificate) in service.credentials
    gate.set()
    assert rotation.wait(60) == 0
    member.connects()


def test_a_rotation_that_fails_does_not_fail_the_update_and_waits_as_it_is_told(member, service):
    old = sha256(member.certificate)
    service.asked_to_rotate.add(old)
    service.faults["/v1/rotate"] = [503]
    assert member.update() == "updated amazon-iot/full none -> 1"
    identity = member.status()["identity"]
    assert identity["current"]["rotation_requested"] and sha256(member.certificate) == old
    due = time.mktime(time.strptime(identity["current"]["rotation_due"], "%Y-%m-%dT%H:%M:%SZ"))
    tried = time.mktime(time.strptime(identity["last_failure"]["time"], "%Y-%m-%dT%H:%M:%SZ"))
    assert 7200 <= due - tried <= 7200 * 9 / 8
    assert member.update() == "current amazon-iot/full 1"
    assert service.asked_for("/v1/rotate") == 1


def test_an_update_rotates_at_two_thirds_of_the_life(new, service):
    service.starts, service.ends = -3000 * SECOND, 1000 * SECOND
    new.enroll()
    first = sha256(new.certificate)
    new.update()
    assert sha256(new.certificate) == first  # a third of its life after it came, at the soonest
    service.ends = 300 * DAY
    new.has_had_it_for_long()
    new.update()
    assert sha256(new.certificate) != first
    due = new.status()["identity"]["current"]["rotation_due"]
    assert due > time.strftime("%Y-%m-%dT", time.gmtime(time.time() + 190 * 86400))


def test_run_rotates_by_itself(new, service, processes):
    service.starts, service.ends = -3000 * SECOND, 1000 * SECOND
    new.enroll()
    new.update()
    first = sha256(new.certificate)
    service.ends = 300 * DAY
    new.has_had_it_for_long()
    agent = processes.start_ours("holdfast", "--state", new.state, "run")
    agent.wait_for(lambda: sha256(new.certificate) != first, "it rotates")
    agent.stop()
    new.connects()


def test_a_certificate_that_has_expired_is_not_shown(new, service):
    service.starts, service.ends = -60 * SECOND, 10 * SECOND
    new.enroll()
    time.sleep(10.5)
    assert new.update() == "updated amazon-iot/full none -> 1"
    assert {credential for _, credential in service.fetches} == {None}
    said = programs.call("holdfast", "--state", new.state, "status", "--check")
    assert said.code == 2 and "has expired" in said.out


def test_a_certificate_that_only_looked_expired_is_shown_when_the_clock_is_right(member, service, folder,
                                                                              processes):
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not library:
        pytest.skip("libfaketime is not installed")
    clock = folder / "clock"
    clock.write_text("+400d")
    agent = processes.start_ours(
        "holdfast", "--state", member.state, "run", "--interval", "1",
        env=programs.environment(LD_PRELOAD=library[0], FAKETIME_TIMESTAMP_FILE=str(clock),
                                 FAKETIME_NO_CACHE="1", NO_FAKE_STAT="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
                                 ASAN_OPTIONS="verify_asan_link_order=0"))
    agent.wait_for(lambda: service.fetches, "it fetches while its clock is ahead")
    assert {credential for _, credential in service.fetches} == {None}
    clock.write_text("+0d")
    agent.wait_for(lambda: service.fetches[-1][1] == sha256(member.certificate), "it shows it")
    agent.stop()


def test_the_certificate_is_not_shown_to_another_host(member, service, folder, publisher):
    """Not by a redirect to a host that the configuration allows, either."""
    other = FleetService(_made(folder / "other"), publisher.repo)
    other.server_ca, other.credentials = service.server_ca, service.credentials
    try:
        redirecting = _Redirecting(service, other.url)
        with open(member.state.parent / "both.pem", "w", encoding="ascii") as file:
            file.write(service.ca_file.read_text() + other.ca_file.read_text())
        member.holdfast("config", "set", "server-ca", member.state.parent / "both.pem")
        member.holdfast("config", "set", "redirect-hosts", other.url.removeprefix("https://"))
        with redirecting:
            assert member.update() == "updated amazon-iot/full none -> 1"
        assert other.fetches and {credential for _, credential in other.fetches} == {None}
    finally:
        other.close()


def _made(path):
    path.mkdir()
    return path


class _Redirecting:
    """While it is open, the service redirects what is fetched of the repository."""

    def __init__(self, service, url):
        self.handler, self.url = service.server.RequestHandlerClass.func, url

    def __enter__(self):
        self.do_get = self.handler.do_GET
        url, do_get = self.url, self.do_get

        def redirect(handler):
            if handler.path.startswith("/v1/") or handler.service.url == url:
                return do_get(handler)
            handler.send_response(302)
            handler.send_header("Location", url + handler.path)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        self.handler.do_GET = redirect

    def __exit__(self, *_):
        self.handler.do_GET = self.do_get


def test_a_reset_keeps_the_identity(member):
    before = sha256(member.certificate)
    member.holdfast("reset", "--yes")
    assert sha256(member.certificate) == before
    member.rotate()
    member.connects()


def test_rotate_without_an_identity_says_what_to_do(new):
    says(new.rotate(run=programs.refused), "no identity", "holdfast enroll")
    assert new.status()["identity"] is None
