"""Who is admitted, with openssl's own client against the whole service: the rows of the identity table
(server/identity/identity.h) in both versions of TLS, and each status with each way out of it."""
import base64
import datetime
import itertools
import re
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kit import client_pki, compromise, roots
from kit.compromise import A, B
from kit.processes import wait_until
from kit.service import HOST
from tls_serve import ALERTS

VERSIONS = ["-tls1_2", "-tls1_3"]
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.utcnow()


class World:
    """Certificates, and what comes of connecting with them."""

    def __init__(self, service, client, folder):
        self.service, self.client, self.folder = service, client, folder
        self.numbers = itertools.count(1)

    def pair(self, cert, key):
        return client_pki.write_pair(self.folder, f"pair-{next(self.numbers)}", cert, key)

    def self_signed(self, **more):
        cert, key = client_pki.self_signed(f"own-{next(self.numbers)}", **more)
        return cert, self.pair(cert, key)

    def of(self, ca, **more):
        key = client_pki.new_key()
        cert = ca.issue(f"pump-{next(self.numbers)}", key, **more)
        return cert, self.pair(cert, key)

    def register(self, cert, account=A, status="ACTIVE"):
        answer = self.client.call("POST", f"{account}/credentials", {
            "certificate": client_pki.pem(cert), "status": status})
        assert answer.status == 201, answer.raw
        return f"{account}/credentials/{answer.json['sha256']}"

    def add_ca(self, mode, **more):
        ca = client_pki.Ca(f"CA {next(self.numbers)}")
        body = {"certificate": ca.pem, "mode": mode, **more}
        if mode == "DEFAULT":
            code = self.client.get(f"{A}/registration-code").json["registration_code"]
            body["proof"] = client_pki.pem(ca.issue(code, client_pki.new_key()))
        assert self.client.call("POST", f"{A}/cas", body).status == 201
        return ca

    def connect(self, pair=None, version="-tls1_3", name=HOST, host=HOST, *options):
        """The alert's name, the HTTP status, or "closed"."""
        own = ["-cert", pair[0], "-key", pair[1]] if pair else []
        request = f"GET /v1/whoami HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        self.said = self.service.s_client(version, "-ign_eof", *own, *options, name=name, send=request)
        alert = re.search(r"SSL alert number (\d+)", self.said)
        status = re.search(r"HTTP/1\.1 (\d{3}) ", self.said)
        assert "unable to load" not in self.said and "too small" not in self.said, self.said
        return ALERTS[int(alert[1])] if alert else int(status[1]) if status else "closed"

    def both(self, *args, **more):
        """The same in TLS 1.2 and TLS 1.3."""
        found = [self.connect(*args[:1], version, *args[1:], **more) for version in VERSIONS]
        assert found[0] == found[1], found
        return found[0]

    def account(self):
        """The account in the last answer."""
        return re.search(r'"account":"(\w+)"', self.said)[1]


@pytest.fixture
def world(service, client, folder):
    return World(service, client, folder)


# ---- the rows -----------------------------------------------------------------------------------------

def test_row_1_without_a_name_or_with_that_of_no_account(world):
    cert, pair = world.self_signed()
    world.register(cert)
    for own in (None, pair):
        assert world.connect(own, "-tls1_3", name=None) == "missing_extension"
        assert world.connect(own, "-tls1_2", name=None) == "handshake_failure"
        assert world.both(own, name="other.example") == "unrecognized_name"
    assert world.both(pair) == world.both(pair, name=HOST.upper()) == 200


@pytest.fixture
def optional(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = compromise.start(processes, folder, publisher, devices__sni="optional")
    yield World(made, compromise.Client(made), folder)
    made.server.stop()
    made.signer.stop()


def test_row_1_where_the_name_is_optional(optional):
    world = optional
    ca = world.add_ca("DEFAULT", auto_registration="active")
    cert, pair = world.of(ca)
    world.register(cert)
    assert world.both(pair, name=None) == 200 and world.account() == "pumps"
    assert world.both(pair) == 200
    assert world.both(pair, name="valves.example", host="valves.example") == "unknown_ca"
    assert world.both(pair, name=None, host="valves.example") == 421
    # A certificate of mode SNI_ONLY says nothing of an account, and neither does none.
    cert, pair = world.self_signed()
    world.register(cert)
    assert world.both(pair, name=None) == "unknown_ca" and world.both(pair) == 200
    assert world.connect(None, "-tls1_3", name=None) == "certificate_required"
    assert world.connect(None, "-tls1_2", name=None) == "handshake_failure"
    # Just in time, too: the CA says which account.
    cert, pair = world.of(ca)
    assert world.connect(pair, name=None) == "closed"
    path = f"{A}/credentials/{client_pki.sha256(cert)}"
    wait_until(lambda: world.client.get(path).status == 200, "it is registered")
    assert world.both(pair, name=None) == 200
    ca = world.add_ca("SNI_ONLY", auto_registration="active")
    assert world.both(world.of(ca)[1], name=None) == "unknown_ca"


@pytest.mark.parametrize("policy, answers", [
    ("none", ["handshake_failure", "certificate_required"]), ("enroll", [200, 200]), ("read", [200, 200]),
    ("read+report", [200, 200])])
def test_row_2_without_a_certificate(world, policy, answers):
    world.service.admin("account", "change", "pumps", "--policy", policy)
    assert [world.connect(None, version) for version in VERSIONS] == answers


def forged_key(folder, certificate, key):
    """A file that OpenSSL takes for the key of `certificate`: its public half, and another private one."""
    point = certificate.public_key().public_bytes(serialization.Encoding.X962,
                                                  serialization.PublicFormat.UncompressedPoint)
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    curve = bytes.fromhex("a00a06082a8648ce3d030107")
    public = b"\xa1\x44\x03\x42\x00" + point
    body = b"\x02\x01\x01\x04\x20" + scalar + curve + public
    der = b"\x30" + bytes([len(body)]) + body
    path = folder / "forged.key"
    path.write_text("-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(der).decode()
                    + "-----END EC PRIVATE KEY-----\n")
    return path


@pytest.mark.parametrize("automatic, status, answer", [
    ("pending", "PENDING_ACTIVATION", "bad_certificate"), ("active", "ACTIVE", 200)])
def test_row_3_only_who_has_the_key_registers(world, automatic, status, answer):
    ca = world.add_ca("SNI_ONLY", auto_registration=automatic)
    for version in VERSIONS:
        cert, pair = world.of(ca)
        path = f"{A}/credentials/{client_pki.sha256(cert)}"
        # The certificate is public. With another key it proves nothing, and nothing is recorded.
        stolen = pair[0], forged_key(world.folder, cert, client_pki.new_key())
        assert world.connect(stolen, version) == "decrypt_error"
        assert world.client.get(path).status == 404
        assert world.connect(pair, version) == "closed"
        wait_until(lambda: world.client.get(path).status == 200, "it is registered")
        found = world.client.get(path).json
        assert (found["status"], found["source"]) == (status, "auto")
        assert world.connect(pair, version) == answer
    expired = world.of(ca, begin=NOW - 9 * DAY, end=NOW - DAY)[1]
    early = world.of(ca, begin=NOW + DAY, end=NOW + 9 * DAY)[1]
    imposter = client_pki.Ca()
    key = client_pki.new_key()  # names the CA as its issuer, which did not sign it
    forged = client_pki.certificate("pump-x", key, issuer=ca.cert, issuer_key=imposter.key)
    for pair in (expired, early, world.pair(forged, key)):
        assert world.both(pair) == "unknown_ca"
    world.client.change("PATCH", f"{A}/cas/{ca.sha256}", {"status": "INACTIVE"})
    assert world.both(world.of(ca)[1]) == "unknown_ca"


def test_row_4_what_nobody_registered(world):
    before = world.client.get(f"{A}/credentials").json
    assert world.both(world.self_signed()[1]) == "unknown_ca"
    assert world.both(world.of(world.add_ca("SNI_ONLY", auto_registration="off"))[1]) == "unknown_ca"
    assert world.client.get(f"{A}/credentials").json == before


def test_row_5_in_the_account_where_it_is_registered(world):
    cert, pair = world.self_signed()
    world.register(cert)
    assert world.both(pair, name="valves.example", host="valves.example") == "unknown_ca"
    world.register(cert, account=B)
    assert world.both(pair, name="valves.example", host="valves.example") == 200
    assert world.account() == "valves"
    assert world.both(pair) == 200 and world.account() == "pumps"
    assert world.both(pair, host="valves.example") == 421
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "--cacert", world.service.server_ca, "--cert", pair[0], "--key",
         pair[1], "--resolve", f"{HOST}:{world.service.port}:127.0.0.1", "-H", "Host: valves.example", "-o",
         "/dev/null", "-w", "%{http_code}", f"{world.service.url}/v1/whoami"],
        capture_output=True, text=True, timeout=30)
    assert done.stdout == "421", done.stderr
    # Mode DEFAULT is one account: no other may have it.
    of_default, _ = world.of(world.add_ca("DEFAULT"))
    world.register(of_default)
    answer = world.client.call("POST", f"{B}/credentials", {"certificate": client_pki.pem(of_default)})
    assert answer.status == 409


def test_row_7_outside_its_dates(world):
    soon = datetime.datetime.utcnow() + datetime.timedelta(seconds=3)
    cert, pair = world.self_signed(end=soon)
    world.register(cert)
    wait_until(lambda: datetime.datetime.utcnow() > soon + datetime.timedelta(seconds=1), "it has expired")
    assert world.both(pair) == "certificate_expired"


def test_row_8_rsa_pss_in_tls_1_3_only(world):
    made, key = world.folder / "pss.pem", world.folder / "pss.key"
    for words in (["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
                  ["req", "-x509", "-new", "-key", key, "-subj", "/CN=pss", "-days", "9", "-out", made]):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    answer = world.client.call("POST", f"{A}/credentials", {"certificate": made.read_text(),
                                                            "status": "ACTIVE"})
    assert answer.status == 201, answer.raw
    assert world.connect((made, key), "-tls1_3") == 200
    assert world.connect((made, key), "-tls1_2") == "unsupported_certificate"


def test_row_8_an_rsa_key_that_is_too_short_is_not_registered(world):
    key = rsa.generate_private_key(65537, 1024)
    cert = client_pki.certificate("short", key)
    answer = world.client.call("POST", f"{A}/credentials", {"certificate": client_pki.pem(cert)})
    assert answer.status == 400 and "RSA 1024" in answer.json["detail"]
    for version in VERSIONS:
        assert world.connect(world.pair(cert, key), version, HOST, HOST, "-cipher",
                             "DEFAULT@SECLEVEL=0") == "unknown_ca"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ticket_is_good_only_while_its_certificate_is(world, version):
    cert, pair = world.self_signed()
    path, session = world.register(cert), world.folder / "session"
    assert world.connect(pair, version, HOST, HOST, "-sess_out", session) == 200
    again = "-sess_in", session, "-sess_out", world.folder / "other"
    assert world.connect(pair, version, HOST, HOST, *again) == 200 and "Reused, TLSv1." in world.said
    # For another account it is a full handshake, and the certificate is unknown there.
    assert world.connect(pair, version, "valves.example", "valves.example", *again) == "unknown_ca"
    for status, alert in (("INACTIVE", "bad_certificate"), ("REVOKED", "certificate_revoked")):
        world.client.change("PATCH", path, {"status": status})
        assert world.connect(pair, version, HOST, HOST, *again) == alert
        assert "Reused" not in world.said


# ---- statuses -----------------------------------------------------------------------------------------

STATUSES = ["ACTIVE", "INACTIVE", "REVOKED", "PENDING_TRANSFER", "PENDING_ACTIVATION"]
ANSWERS = {"ACTIVE": 200, "INACTIVE": "bad_certificate", "REVOKED": "certificate_revoked",
           "PENDING_TRANSFER": "bad_certificate", "PENDING_ACTIVATION": "bad_certificate"}
# What an operator may set; all else is refused with 409, and PENDING_* with 400.
MAY_SET = {("ACTIVE", "INACTIVE"), ("INACTIVE", "ACTIVE"), ("PENDING_ACTIVATION", "ACTIVE"),
           *((status, "REVOKED") for status in STATUSES),
           ("ACTIVE", "ACTIVE"), ("INACTIVE", "INACTIVE")}


class Certificate:
    """One that is at a status, by the way that leads there."""

    def __init__(self, world, status):
        self.world, self.client = world, world.client
        if status == "PENDING_ACTIVATION":
            if not hasattr(world, "pending_ca"):
                world.pending_ca = world.add_ca("SNI_ONLY", auto_registration="pending")
            cert, self.pair = world.of(world.pending_ca)
            world.connect(self.pair)
            self.path = f"{A}/credentials/{client_pki.sha256(cert)}"
            wait_until(lambda: self.client.get(self.path).status == 200, "it is registered")
        else:
            cert, self.pair = world.self_signed()
            self.path = world.register(cert, status="INACTIVE")
            if status == "PENDING_TRANSFER":
                self.act("transfer", {"to": "valves"})
            elif status != "INACTIVE":
                self.set(status)
        self.there = self.path.replace(A, B)
        self.is_now(status)

    def set(self, status):
        return self.client.call("PATCH", self.path, {"status": status}, If_Match="*").status

    def act(self, act, body=None):
        place = self.there if act in ("accept", "reject") else self.path
        return self.client.call("POST", f"{place}/{act}", body).status

    def is_now(self, status):
        assert self.client.get(self.path).json["status"] == status
        assert self.world.connect(self.pair) == ANSWERS[status]


@pytest.mark.parametrize("begin", STATUSES)
def test_each_status_is_set_to_what_may_follow(world, begin):
    for end in STATUSES:
        certificate = Certificate(world, begin)
        if (begin, end) in MAY_SET:
            assert certificate.set(end) == 200, (begin, end)
            certificate.is_now(end)
        else:
            assert certificate.set(end) == (400 if end.startswith("PENDING") else 409), (begin, end)
            certificate.is_now(begin)


@pytest.mark.parametrize("begin", STATUSES)
def test_each_step_of_a_transfer_begins_where_it_may(world, begin):
    for act, body, needed, refusal in (("transfer", {"to": "valves"}, "INACTIVE", 409),
                                       ("cancel", None, "PENDING_TRANSFER", 409),
                                       ("accept", None, "PENDING_TRANSFER", 404),
                                       ("reject", None, "PENDING_TRANSFER", 404)):
        certificate = Certificate(world, begin)
        status = certificate.act(act, body)
        if begin != needed:
            assert status == refusal, (begin, act)
            certificate.is_now(begin)
        elif act == "accept":
            assert status == 200 and world.client.get(certificate.path).status == 404
            assert world.connect(certificate.pair) == "unknown_ca"
            in_valves = {"name": "valves.example", "host": "valves.example"}
            assert world.connect(certificate.pair, **in_valves) == "bad_certificate"
            certificate.path = certificate.there
            assert certificate.set("ACTIVE") == 200
            assert world.connect(certificate.pair, **in_valves) == 200 and world.account() == "valves"
        else:
            assert status in (200, 204), (begin, act)
            certificate.is_now("PENDING_TRANSFER" if act == "transfer" else "INACTIVE")


def test_a_certificate_that_is_revoked_while_it_is_offered_is_accepted_by_nobody(world):
    certificate = Certificate(world, "PENDING_TRANSFER")
    assert certificate.set("REVOKED") == 200
    for act, status in (("accept", 404), ("reject", 404), ("cancel", 409)):
        assert certificate.act(act) == status
    certificate.is_now("REVOKED")
    assert world.client.get(certificate.there).status == 404
