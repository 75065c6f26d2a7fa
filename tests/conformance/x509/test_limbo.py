"""The harness for x509-limbo reads what that suite writes, and writes what it reads."""
import datetime
import ipaddress
import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROGRAM = Path(os.environ["HOLDFAST_BIN"]) / "holdfast-x509-limbo"
FROM, UNTIL = (datetime.datetime(year, 1, 1) for year in (2020, 2040))


class Issuer:
    """A CA whose certificates are made here: self-signed, or signed by another one."""

    def __init__(self, name, by=None):
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.pem = self.sign(self.name, self.key, by or self, x509.BasicConstraints(True, None))

    @staticmethod
    def sign(subject, key, by, *extensions):
        builder = x509.CertificateBuilder(by.name, subject, key.public_key(), x509.random_serial_number(), FROM, UNTIL)
        for extension in extensions:
            builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
        return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def server(self, *names):
        """A certificate for a server of these names."""
        return self.sign(x509.Name([]), ec.generate_private_key(ec.SECP256R1()), self, x509.SubjectAlternativeName(names),
                         x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))


@pytest.fixture(scope="module")
def limbo():
    """A good chain, and members that change something about it: {id: (test case, expected result)}."""
    root, other = Issuer("Root"), Issuer("Other")
    middle = Issuer("Middle", by=root)
    leaf = middle.server(x509.DNSName("a.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.1")))
    good = {"conflicts_with": [], "features": [], "importance": "high", "description": "", "validation_kind": "SERVER",
            "trusted_certs": [root.pem], "untrusted_intermediates": [middle.pem], "peer_certificate": leaf,
            "peer_certificate_key": None, "validation_time": "2026-01-01T00:00:00+00:00", "signature_algorithms": [],
            "key_usage": [], "extended_key_usage": ["serverAuth"], "expected_result": "SUCCESS",
            "expected_peer_name": {"kind": "DNS", "value": "a.example"}, "expected_peer_names": [],
            "max_chain_depth": None, "crls": []}
    changes = {
        "good": ({}, "SUCCESS"),
        "good-to-the-millisecond": ({"validation_time": "2026-01-01T00:00:00.500+00:00"}, "SUCCESS"),
        "any-name": ({"expected_peer_name": None}, "SUCCESS"),
        "address": ({"expected_peer_name": {"kind": "IP", "value": "192.0.2.1"}}, "SUCCESS"),
        "other-name": ({"expected_peer_name": {"kind": "DNS", "value": "b.example"}}, "FAILURE"),
        "other-address": ({"expected_peer_name": {"kind": "IP", "value": "192.0.2.2"}}, "FAILURE"),
        "other-root": ({"trusted_certs": [other.pem]}, "FAILURE"),
        "no-intermediate": ({"untrusted_intermediates": []}, "FAILURE"),
        "expired": ({"validation_time": "2041-01-01T00:00:00+00:00"}, "FAILURE"),
        "no-time": ({"validation_time": "soon"}, "FAILURE"),
        "no-certificate": ({"peer_certificate": "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"}, "FAILURE"),
        "client": ({"validation_kind": "CLIENT"}, "SKIPPED"),
        "revocation": ({"crls": ["-----BEGIN X509 CRL-----"]}, "SKIPPED"),
        "e-mail": ({"expected_peer_name": {"kind": "RFC822", "value": "a@a.example"}}, "SKIPPED"),
        "depth": ({"max_chain_depth": 1}, "SKIPPED"),
        "for-clients": ({"extended_key_usage": ["clientAuth"]}, "SKIPPED"),
    }
    return {name: ({**good, "id": name, **change}, expected) for name, (change, expected) in changes.items()}


def run(arguments, text):
    return subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, text=True)


@pytest.mark.parametrize("judge", ["verdict", "tls12", "tls13"])
def test_each_case_has_its_result(limbo, judge):
    done = run(["--judge", judge], json.dumps({"version": 1, "testcases": [case for case, _ in limbo.values()]}))
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["version"] == 1 and answer["harness"].startswith("holdfast-")
    assert all(result.keys() == {"id", "actual_result", "context"} for result in answer["results"])
    assert [(r["id"], r["actual_result"]) for r in answer["results"]] == [
        (name, expected) for name, (_, expected) in limbo.items()]
    for result in answer["results"]:
        assert (result["context"] is None) == (result["actual_result"] == "SUCCESS"), result


def test_what_is_no_limbo_file_is_refused(limbo):
    for text, part in (("", "standard input: "), ("{", "standard input: "),
                       ('{"version": 1, "testcases": [{}]}', "a test case has no id")):
        done = run([], text)
        assert (done.returncode, done.stdout) == (2, "") and part in done.stderr


@pytest.mark.parametrize("arguments", [["--judge", "judge"], ["file"], ["--no-option"]])
def test_a_usage_error_is_named(arguments):
    done = run(arguments, "{}")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "holdfast-x509-limbo: usage error: see --help\n")
