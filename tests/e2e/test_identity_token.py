"""The device's key stays in a PKCS#11 token (SoftHSM2): enrolment, mutual TLS, rotation, and what goes wrong."""
import json
import ssl
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import net_pki
import json_schema
from kit import programs
from kit.fleet_service import sha256, spki
from kit.programs import says
from softhsm import softhsm  # a fixture
from test_identity import new, service  # fixtures

KEYS = {"p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048)}


def put(softhsm, name, key, key_id="a1"):
    """Returns what names it."""
    file = softhsm.folder / f"{name}.key"
    net_pki.write_key(file, key)
    subprocess.run(["softhsm2-util", "--import", file, "--token", "alice", "--label", name, "--id", key_id,
                    "--pin", softhsm.pin], check=True, capture_output=True)
    file.unlink()
    return softhsm.uri(name)


@pytest.mark.parametrize("kind, version", [
    ("p256", ssl.TLSVersion.TLSv1_2), ("p256", ssl.TLSVersion.TLSv1_3),
    ("p384", ssl.TLSVersion.TLSv1_2), ("p384", ssl.TLSVersion.TLSv1_3),
    ("rsa2048", ssl.TLSVersion.TLSv1_2),
])
def test_a_key_in_a_token_enrols_updates_and_rotates(new, service, softhsm, kind, version):
    key = KEYS[kind]()
    uri = put(softhsm, "identity", key)
    service.speak(version)
    service.may_keep_keys = True
    report = json.loads(new.enroll("--client-key", uri, "--json").out)
    json_schema.check(report, "credential.schema.json")
    assert report["key_file"] is None
    first = sha256(new.certificate)
    assert spki(new.certificate.public_key()) == spki(key.public_key())
    assert sorted(f.name for f in new.current.iterdir()) == ["certificate.pem", "service"]
    config = json.loads(new.holdfast("config", "--json").out)
    assert config["client_cert"] == {"certificate": str(new.current / "certificate.pem"), "key": uri}
    assert new.update() == "updated amazon-iot/full none -> 1"
    assert {credential for _, credential in service.fetches} == {first}
    new.rotate()
    assert sha256(new.certificate) != first
    assert spki(new.certificate.public_key()) == spki(key.public_key())
    assert new.update() == "current amazon-iot/full 1"
    assert service.fetches[-1][1] == sha256(new.certificate)


def test_a_service_that_speaks_only_tls_1_3_refuses_an_rsa_key_in_a_token(new, service, softhsm):
    uri = put(softhsm, "identity", KEYS["rsa2048"]())
    service.speak(ssl.TLSVersion.TLSv1_3)
    says(new.enroll("--client-key", uri, run=programs.refused), "cannot be used yet")
    assert not new.current.exists()


def test_a_key_in_a_token_is_that_of_a_configured_certificate_too(new, service, softhsm, folder):
    key = KEYS["p256"]()
    uri = put(softhsm, "own", key)
    certificate = service.issue(key.public_key(), "own")
    service.register(certificate, "own")
    new.holdfast("config", "set", "client-cert", net_pki.write_pem(folder / "own.pem", certificate), uri)
    assert new.update() == "updated amazon-iot/full none -> 1"
    assert {credential for _, credential in service.fetches} == {sha256(certificate)}
    other = net_pki.write_pem(folder / "other.pem", service.issue(KEYS["p256"]().public_key(), "other"))
    said = new.holdfast("config", "set", "client-cert", other, uri, run=programs.refused)
    says(said, "belong together")
    says(new.enroll("--client-key", uri, run=programs.refused), "unset client-cert")


def test_a_wrong_pin_is_tried_once(new, service, softhsm):
    put(softhsm, "identity", KEYS["p256"]())
    wrong = softhsm.uri("identity", pin_file=softhsm.write_pin("wrong", "000000"))
    says(new.enroll("--client-key", wrong, run=programs.refused), "certificate request", "PIN is wrong")
    assert service.calls == [] and not new.current.exists()
    for _ in range(3):  # a program that tried it more than once each time would have locked it
        new.enroll("--client-key", wrong, run=programs.refused)
    new.enroll("--client-key", softhsm.uri("identity"))


@pytest.mark.parametrize("change, words", [
    (lambda uri: uri.replace("object=identity", "object=nothing"), ["no public key"]),
    (lambda uri: uri.replace("token=alice", "token=bob"), ["found 0"]),
    (lambda uri: uri.replace("module-path=", "module-path=/nonexistent"), ["cannot be loaded"]),
])
def test_a_token_or_key_that_is_not_there_is_named(new, service, softhsm, change, words):
    uri = put(softhsm, "identity", KEYS["p256"]())
    says(new.enroll("--client-key", change(uri), run=programs.refused), *words)
    assert service.calls == []


def test_a_pin_that_is_written_into_the_uri_is_refused(new, softhsm):
    uri = put(softhsm, "identity", KEYS["p256"]()).split("?")[0] + "?pin-value=123456"
    outcome = new.enroll("--client-key", uri, run=programs.call)
    assert outcome.code == 2 and "pin-source" in outcome.err and "123456" not in outcome.err
    assert not new.identity.exists()


def test_a_key_that_does_not_sign_is_not_shown_and_does_not_stop_updates(new, service, softhsm):
    """Its public half can be read without the PIN, so that it looks usable."""
    pin_file = softhsm.write_pin("its-pin", softhsm.pin)
    put(softhsm, "identity", KEYS["p256"]())
    new.enroll("--client-key", softhsm.uri("identity", pin_file=pin_file))
    softhsm.write_pin("its-pin", "000000")
    outcome = new.holdfast("update", "--verbose", run=programs.call)
    assert outcome.code == 0 and "updated amazon-iot/full none -> 1" in outcome.out
    assert {credential for _, credential in service.fetches} == {None}
    assert "update servers are shown no client certificate" in outcome.err and "PIN" in outcome.err
    softhsm.write_pin("its-pin", softhsm.pin)
    new.update()
    assert service.fetches[-1][1] == sha256(new.certificate)


def test_a_token_that_was_taken_out_does_not_stop_updates(new, service, softhsm):
    uri = put(softhsm, "identity", KEYS["p256"]())
    new.enroll("--client-key", uri)
    (softhsm.folder / "tokens").rename(softhsm.folder / "away")
    (softhsm.folder / "tokens").mkdir()
    assert new.update() == "updated amazon-iot/full none -> 1"
    assert {credential for _, credential in service.fetches} == {None}
    assert "PKCS#11" in new.status_text()
    json_schema.check(new.status(), "status.schema.json")
    (softhsm.folder / "tokens").rmdir()
    (softhsm.folder / "away").rename(softhsm.folder / "tokens")
    new.update()
    assert service.fetches[-1][1] == sha256(new.certificate)
