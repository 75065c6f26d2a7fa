"""holdfast-signer: what it gives to a client of its socket, and what it never gives."""
import base64
import datetime
import hashlib
import json
import os
import socket
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kit import programs, roots
from kit.signer import DER, DeviceKey, Signer, encoded

UTC = datetime.timezone.utc


@pytest.fixture
def signer(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Signer(processes, folder / "signer", publisher, issue_per_day=3)
    made.new_ca("ca-1", "pumps")
    yield made.start()
    made.hang_up()


def name_of(certificate, oid):
    return certificate.subject.get_attributes_for_oid(oid)[0].value


def spent(signer):
    return signer.ok("status")["quota"]["issued"]


def order_of(device, ca="ca-1", account="pumps"):
    return {"ca": ca, "account": account, "device": device, "csr": encoded(DeviceKey().csr())}


# ---- certificates -----------------------------------------------------------------------------------

def test_a_certificate_says_what_the_signer_decided(signer):
    key = DeviceKey()
    certificate = signer.issue(key, "pump-1")
    assert key.is_in(certificate)
    assert name_of(certificate, NameOID.COMMON_NAME) == "pump-1"
    assert name_of(certificate, NameOID.ORGANIZATION_NAME) == "pumps"
    ca = signer.ca("ca-1")
    ca.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes,
                           ec.ECDSA(certificate.signature_hash_algorithm))
    assert certificate.issuer == ca.subject
    assert certificate.not_valid_after.replace(tzinfo=UTC) == datetime.datetime(
        2049, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert 120 < certificate.serial_number.bit_length() <= 127
    extensions = certificate.extensions
    assert extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH]
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_name_longer_than_a_common_name_stands_in_a_uri(signer):
    device = "p" * 128
    certificate = signer.issue(DeviceKey(), device)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"urn:holdfast:device:{device}"]


def test_a_certificate_ends_with_its_ca(signer):
    signer.new_ca("short", "pumps", "--days", "30")
    certificate = signer.issue(DeviceKey(), "pump-1", ca="short")
    assert certificate.not_valid_after == signer.ca("short").not_valid_after


def test_the_quota_bounds_new_devices_also_across_a_restart(signer):
    for i in range(3):
        signer.issue(DeviceKey(), f"pump-{i}")
    refusal = signer.refused("issue", **order_of("pump-4"))
    assert refusal[0] == "limit" and "the quota of the signer is used up (3 a day" in refusal[1]
    assert signer.stop() == 0
    signer.start()
    assert signer.refused("issue", **order_of("pump-4")) == refusal
    quota = signer.ok("status")["quota"]
    assert (quota["per_day"], quota["issued"]) == (3, 3)
    assert refusal[1].endswith(f"It opens again at {quota['opens']}")


def test_a_ca_cannot_use_up_what_another_one_needs(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    signer = Signer(processes, folder / "signer", publisher, issue_per_day_per_ca=2, issue_per_day=3)
    signer.new_ca("ca-1", "pumps")
    signer.new_ca("ca-2", "valves")
    signer.start()
    for i in range(2):
        signer.issue(DeviceKey(), f"pump-{i}")
    error, sentence = signer.refused("issue", **order_of("pump-3"))
    assert error == "limit" and "the device CA ca-1 is used up (2 a day" in sentence
    first, second = signer.ok("status")["cas"]
    assert (first["issued"], second["issued"]) == (2, 0)
    assert sentence.endswith(f"It opens again at {first['opens']}") and second["opens"] is None
    signer.issue(DeviceKey(), "valve-1", ca="ca-2", account="valves")
    assert "the signer is used up (3 a day" in signer.refused(
        "issue", **order_of("valve-2", ca="ca-2", account="valves"))[1]
    assert "issued" not in signer.ok("cas")["cas"][0]


def test_one_device_cannot_use_up_what_the_others_need(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    signer = Signer(processes, folder / "signer", publisher)
    signer.new_ca("ca-1", "pumps")
    signer.new_ca("ca-2", "pumps")
    signer.start()
    for ca in ("ca-1", "ca-2", "ca-1"):
        signer.issue(DeviceKey(), "pump-1", ca=ca)
    error, sentence = signer.refused("issue", **order_of("pump-1", ca="ca-2"))
    assert error == "limit" and "the device pumps/pump-1 is used up (3 an hour)" in sentence
    assert spent(signer) == 3
    signer.issue(DeviceKey(), "pump-2")


def forged_csr():
    """Another key than the one that signed."""
    csr, other = bytearray(DeviceKey().csr()), DeviceKey().csr()
    length = len(other) - 75
    csr[:length] = other[:length]
    return bytes(csr)


@pytest.mark.parametrize("change, error", [
    ({"csr": encoded(b"")}, "format"),
    ({"csr": "not base64!"}, "format"),
    ({"csr": encoded(DeviceKey().csr() + b"x")}, "format"),
    ({"csr": encoded(b"x" * 20000)}, "limit"),
    ({"csr": encoded(forged_csr())}, None),
    ({"csr": encoded(DeviceKey(ec.SECP256K1()).csr())}, "policy"),
    ({"device": ""}, "argument"),
    ({"device": "pump 1"}, "argument"),
    ({"device": "p" * 129}, "argument"),
    ({"device": "pump'; DROP TABLE quota;--"}, "argument"),
    ({"account": "valves"}, "policy"),
    ({"ca": "ca-2"}, "not-found"),
    ({"ca": "../../keys/x"}, "argument"),
    ({"ca": ""}, "argument"),
    ({"ca": 7}, "format"),
    ({"csr": None}, "format"),
])
def test_a_wrong_order_is_refused_and_costs_no_quota(signer, change, error):
    order = {"ca": "ca-1", "account": "pumps", "device": "pump-1",
             "csr": encoded(DeviceKey().csr()), **change}
    found, sentence = signer.refused("issue", **order)
    assert found == error or (error is None and found in ("signature", "format")), sentence
    assert spent(signer) == 0
    assert not [s for s in signer.ok("signatures", after=0)["signatures"]
                if s["kind"] == "certificate"]


# ---- renewal ------------------------------------------------------------------------------------------

def renewal(key, certificate, successor, **change):
    csr = successor.csr()
    return {"ca": "ca-1", "account": "pumps", "device": "pump-1", "csr": encoded(csr),
            "old": encoded(certificate.public_bytes(DER)),
            "signature": encoded(key.renewal_of(csr)), **change}


def test_a_renewal_needs_the_old_key_and_costs_no_quota(signer):
    key, successor = DeviceKey(), DeviceKey()
    certificate = signer.issue(key, "pump-1")
    answer = signer.ok("renew", **renewal(key, certificate, successor))
    renewed = x509.load_der_x509_certificate(base64.b64decode(answer["certificate"]))
    assert successor.is_in(renewed)
    assert name_of(renewed, NameOID.COMMON_NAME) == "pump-1"
    assert spent(signer) == 1
    # Once an hour a device; not by the new certificate either, and not after a restart.
    assert signer.refused("renew", **renewal(key, certificate, DeviceKey()))[0] == "limit"
    assert signer.refused("renew", **renewal(successor, renewed, DeviceKey()))[0] == "limit"
    signer.stop()
    signer.start()
    assert signer.refused("renew", **renewal(key, certificate, DeviceKey()))[0] == "limit"


def test_what_is_no_renewal_is_refused(signer):
    key, stranger = DeviceKey(), DeviceKey()
    certificate = signer.issue(key, "pump-1")
    signer.new_ca("ca-2", "pumps")
    signer.new_ca("valves-1", "valves")
    other_csr = renewal(key, certificate, DeviceKey())["signature"]
    for change, error in [
            ({"signature": encoded(stranger.renewal_of(DeviceKey().csr()))}, "signature"),
            ({"signature": other_csr}, "signature"),  # over another request
            ({"signature": encoded(b"")}, "signature"),
            ({"device": "pump-2"}, "policy"),
            ({"ca": "ca-2"}, "policy"),
            ({"ca": "valves-1", "account": "valves"}, "policy"),
            ({"ca": "valves-1"}, "policy"),
            ({"old": encoded(b"0")}, "format"),
            ({"old": encoded(signer.ca("ca-1").public_bytes(DER))}, "policy")]:
        found, sentence = signer.refused("renew", **renewal(key, certificate, DeviceKey(), **change))
        assert found == error, sentence
    assert not [s for s in signer.ok("signatures", after=0)["signatures"] if s["kind"] == "renewal"]
    # None of them spent the hour.
    signer.ok("renew", **renewal(key, certificate, DeviceKey()))


# ---- the repository ---------------------------------------------------------------------------------------

def test_what_the_desk_signed_is_published(signer, publisher, folder):
    before = publisher.metadata("timestamp")["signed"]["version"]
    desk = publisher.sign_offline(folder / "desk", *roots.amazon(1, 2, 3))
    answer = signer.publish(desk)
    assert answer["ok"] and answer["versions"]["targets"]["signed_now"], answer
    assert publisher.metadata("timestamp")["signed"]["version"] == before + 1
    assert "amazon-iot/full 2" in publisher.check().out
    # Again: nothing to do, nothing lost.
    assert signer.publish(desk)["versions"]["targets"]["signed_now"] is False


def test_a_folder_with_changed_signatures_is_not_published(signer, publisher, folder):
    desk = publisher.sign_offline(folder / "desk", *roots.amazon(1, 2))
    newest = max((desk / "metadata").glob("*.targets.json"), key=lambda f: int(f.name.split(".")[0]))
    newest.write_text(newest.read_text().replace("amazon-iot", "amazon-lot"))
    before = publisher.newest_file("timestamp").read_bytes()
    answer = signer.publish(desk)
    assert answer["ok"] is False and answer["error"] == "signature", answer
    assert signer.publish(folder)["ok"] is False
    assert signer.ask("publish")["error"] == "argument"
    with open("/etc/passwd") as file:
        assert signer.ask("publish", fd=file.fileno())["error"] == "argument"
    assert publisher.newest_file("timestamp").read_bytes() == before
    publisher.check()


def test_the_timestamp_is_renewed_without_a_client(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    Signer(processes, folder / "signer", publisher, timestamp_every="2s").start()
    first = publisher.metadata("timestamp")["signed"]["version"]
    deadline = time.monotonic() + 30
    while publisher.metadata("timestamp")["signed"]["version"] < first + 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    publisher.check()


def test_a_repository_that_is_broken_for_a_while(processes, folder, publisher):
    """The signer stays, says what is wrong, and signs again when it is right."""
    publisher.add(*roots.amazon(1))
    timestamp = publisher.newest_file("timestamp")
    good = timestamp.read_bytes()
    timestamp.write_bytes(b"{}")
    signer = Signer(processes, folder / "signer", publisher, timestamp_every="1s").start()
    assert "the timestamp cannot be signed" in signer.process.err
    assert signer.ask("refresh")["ok"] is False
    timestamp.write_bytes(good)
    assert signer.ask("refresh")["ok"] is True
    publisher.check()


def test_one_timestamp_a_minute(signer, publisher):
    signer.ok("refresh")
    version = publisher.metadata("timestamp")["signed"]["version"]
    for _ in range(20):
        assert signer.refused("refresh")[0] == "limit"
    assert publisher.metadata("timestamp")["signed"]["version"] == version


# ---- the log -----------------------------------------------------------------------------------------------

def entries(first, last):
    return [{"sequence": n, "action": f"act {n}"} for n in range(first, last + 1)]


def head_of(chain):
    head = bytes(32)
    for entry in chain:
        text = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()
        head = hashlib.sha256(head + text).digest()
    return head.hex()


def verify_seal(signer, seal):
    text = json.dumps({"hash": seal["hash"], "sequence": seal["sequence"], "time": seal["time"],
                       "type": "holdfast-seal"}, separators=(",", ":")).encode()
    Ed25519PublicKey.from_public_bytes(signer.log_key).verify(
        base64.b64decode(seal["signature"]), text)


def test_a_seal_extends_the_last_one_and_nothing_else(signer):
    verify_seal(signer, signer.ok("seal", entries=entries(1, 2)))
    for wrong in (entries(1, 3), entries(4, 5), entries(2, 3), [{"action": "x"}], ["x"],
                  [{"sequence": 3.5}]):
        assert signer.ask("seal", entries=wrong)["ok"] is False
    assert signer.refused("seal", entries=[])[0] == "limit"
    assert signer.refused("seal", entries=entries(3, 203))[0] == "limit"
    signer.stop()
    signer.start()
    assert signer.ok("status")["seal"]["sequence"] == 2
    seal = signer.ok("seal", entries=entries(3, 3))
    verify_seal(signer, seal)
    assert seal["sequence"] == 3
    with pytest.raises(InvalidSignature):
        verify_seal(signer, {**seal, "sequence": 4})


def test_a_new_ca_is_noted_also_while_the_signer_runs(signer):
    for name in ("ca-2", "ca-3"):
        signer.new_ca(name, "valves")
        [note] = [s for s in signer.ok("signatures", after=0)["signatures"]
                  if s["subject"] == f"valves/{name}"]
        der = signer.ca(name).public_bytes(DER)
        assert note["kind"] == "device-ca" and note["sha256"] == hashlib.sha256(der).hexdigest()
    signer.issue(DeviceKey(), "valve-1", ca="ca-3", account="valves")
    noted = signer.ok("signatures", after=0)["signatures"]
    refused = programs.refused("holdfast-signer", "ca", "new", "ca-3", "--account", "valves",
                               "--config", signer.config)
    assert "never overwritten" in refused
    assert signer.ok("signatures", after=0)["signatures"] == noted


@pytest.mark.parametrize("limit", [8, 9])
def test_without_descriptors_to_wait_with_it_fails(signer, limit):
    signer.stop()
    command = programs.command("holdfast-signer", "run", "--config", signer.config)
    done = subprocess.run(["sh", "-c", f"ulimit -n {limit} && exec \"$@\"", "sh", *command],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "cannot be" in done.stderr


def test_there_are_never_more_cas_than_the_service_is_told_of(signer):
    for number in range(2, 65):
        signer.new_ca(f"ca-{number}", "valves")
    refused = programs.refused("holdfast-signer", "ca", "new", "ca-65", "--account", "valves",
                               "--config", signer.config)
    assert "64 device CAs" in refused and not (signer.state / "device-ca" / "ca-65.key").exists()
    assert len(signer.ok("cas")["cas"]) == 64


def test_every_signature_is_noted(signer):
    signer.ok("refresh")
    signer.issue(DeviceKey(), "pump-1")
    signer.ok("seal", entries=entries(1, 1))
    noted = signer.ok("signatures", after=0)["signatures"]
    assert [n["kind"] for n in noted][-3:] == ["timestamp", "certificate", "seal"]
    assert [n["id"] for n in noted] == list(range(1, len(noted) + 1))
    assert signer.ok("signatures", after=noted[-1]["id"])["signatures"] == []


# ---- who may ask, and what is no request -------------------------------------------------------------------

def test_another_user_gets_nothing(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    signer = Signer(processes, folder / "signer", publisher, client_user="daemon").start()
    with pytest.raises((OSError, json.JSONDecodeError)):
        signer.ask("status")
    assert "was refused: only user" in signer.process.err


def test_what_is_no_request(signer):
    for packet in (b"{", b"[]", b"x" * 100000, b'{"verb":"status","verb":"cas"}', b'{"verb":null}',
                   b'{"verb":"sign"}', b"{}"):
        answer = signer.send(packet)
        assert answer["ok"] is False and answer["sentence"], packet
    assert signer.ok("status")
    # What a client sends makes no lines of its own in the log.
    signer.ask("x was refused\n2026-11-29T00:00:00Z holdfast-signer info: forged")
    assert not [l for l in signer.process.err.splitlines() if "refused: " not in l and "forged" in l]


def test_descriptors_that_nobody_asked_for_are_closed(signer):
    folder = f"/proc/{signer.process.popen.pid}/fd"
    signer.ok("status")
    before = len(os.listdir(folder))
    with open("/etc/passwd") as file:
        three = [file.fileno()] * 3
        for packet in (b'{"verb":"status"}', b"{", b"x" * 140000):
            socket.send_fds(signer.connection, [packet], three)
            assert json.loads(signer.connection.recv(1 << 18))
        for _ in range(5):  # a packet of no bytes ends the connection
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as one:
                one.connect(str(signer.socket))
                socket.send_fds(one, [b""], three)
                assert one.recv(1) == b""
    signer.ok("status")
    assert len(os.listdir(folder)) == before


def test_clients_that_come_and_stay(signer):
    held = []
    for _ in range(20):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        one.connect(str(signer.socket))
        held.append(one)
    deadline = time.monotonic() + 10
    while "one more is refused" not in signer.process.err and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "one more is refused" in signer.process.err
    for one in held:
        one.close()
    assert signer.ok("status")


def test_one_signer_a_folder(signer):
    said = programs.refused("holdfast-signer", "run", "--config", signer.config)
    assert "another holdfast-signer uses the state folder" in said


def test_keys_are_for_the_owner_alone(signer):
    for file in ("log.key.json", "device-ca/ca-1.key", "signer.db"):
        assert (signer.state / file).stat().st_mode & 0o077 == 0, file
    os.chmod(signer.state / "device-ca" / "ca-1.key", 0o644)
    assert signer.refused("issue", ca="ca-1", account="pumps", device="pump-1",
                          csr=encoded(DeviceKey().csr()))[0] == "key"
    assert "never overwritten" in programs.refused("holdfast-signer", "ca", "new", "ca-1",
                                                   "--account", "pumps", "--config", signer.config)


def test_seals_are_bounded_and_one_covers_any_number_of_entries(signer):
    before = signer.ok("signatures", after=0)["newest"]
    # Entries behind which more follow are read, not sealed: nothing is kept for them.
    for first in (1, 201, 401):
        read = signer.ok("seal", entries=entries(first, first + 199), more=True)
        assert read["sequence"] == first + 199 and "signature" not in read
    assert signer.ok("status")["seal"]["sequence"] == 0
    assert signer.ok("signatures", after=0)["newest"] == before
    # What was read can be left out or sent again, in no other way.
    assert signer.refused("seal", entries=entries(602, 602))[0] == "rollback"
    seal = signer.ok("seal", entries=entries(601, 650))
    verify_seal(signer, seal)
    assert seal["sequence"] == 650 and seal["hash"] == head_of(entries(1, 650))
    for sequence in range(651, 651 + 59):
        signer.ok("seal", entries=entries(sequence, sequence))
    code, sentence = signer.refused("seal", entries=entries(710, 710))
    assert code == "limit" and "quota of seals of the audit log is used up (60 an hour" in sentence
    assert signer.ok("status")["seal"]["sequence"] == 709
    assert signer.ok("signatures", after=before)["newest"] == before + 60
    # Reading goes on, and what was read is forgotten with the process.
    assert signer.ok("seal", entries=entries(710, 720), more=True)["sequence"] == 720
    signer.stop()
    signer.start()
    assert signer.refused("seal", entries=entries(721, 721))[0] == "rollback"
    assert signer.refused("seal", entries=entries(710, 710))[0] == "limit"


# ---- kill -9 ------------------------------------------------------------------------------------------------

def test_what_was_answered_is_remembered_after_a_kill(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    signer = Signer(processes, folder / "signer", publisher, issue_per_day=100000)
    signer.new_ca("ca-1", "pumps")
    answered, sequence = [], 0
    for round_number in range(10):
        signer.start()
        for i in range(3 + round_number % 4):
            certificate = signer.issue(DeviceKey(), f"pump-{round_number}-{i}")
            answered.append(certificate)
            sequence = signer.ok("seal", entries=entries(sequence + 1, sequence + 1))["sequence"]
        signer.process.popen.kill()
        signer.process.wait()
        signer.hang_up()
    signer.start()
    assert spent(signer) == len(answered)
    assert signer.ok("status")["seal"]["sequence"] == sequence
    noted = {s["subject"] for s in signer.ok("signatures", after=0)["signatures"]}
    assert {"pumps/" + name_of(c, NameOID.COMMON_NAME) for c in answered} <= noted
    publisher.check()
