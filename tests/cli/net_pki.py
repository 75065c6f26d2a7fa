"""A throw-away certificate authority for tests that speak TLS. Keys live as long as the test."""

import base64
import datetime
import hashlib
import ipaddress
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime(2026, 6, 1)  # the time the tests verify at, unless they say otherwise
DAY = datetime.timedelta(days=1)


def name(common_name):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Holdfast Test"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


AGREEMENT_ONLY = x509.KeyUsage(False, False, False, False, True, False, False, False, False)


class Authority:
    """A CA with its key; a root unless `issuer` is given. `critical`: an extension beside the usual ones."""

    def __init__(self, common_name, issuer=None, start=NOW - 900 * DAY, end=NOW + 900 * DAY, key=None, critical=None,
                 path_length=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.subject = name(common_name)
        signer = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(signer.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                critical=True,
            )
        )
        if critical:
            builder = builder.add_extension(critical, critical=True)
        self.cert = builder.sign(signer.key, hashes.SHA256())

    def leaf(
        self,
        *names,
        start=NOW - 30 * DAY,
        end=NOW + 30 * DAY,
        key_bits=None,
        usage=ExtendedKeyUsageOID.SERVER_AUTH,
        key_usage=None,
        signer=None,
    ):
        """A server certificate for DNS names and addresses; returns (certificate, key). `signer`: an Ed25519 key,
        instead of that of the CA."""
        key = (
            rsa.generate_private_key(65537, key_bits)
            if key_bits
            else ec.generate_private_key(ec.SECP256R1())
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(names[0]))
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([general_name(n) for n in names]), critical=False)
        )
        if key_usage:
            builder = builder.add_extension(key_usage, critical=True)
        return builder.sign(signer or self.key, None if signer else hashes.SHA256()), key


def general_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def pem(*certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)


def fingerprint(cert):
    return cert.fingerprint(hashes.SHA256()).hex()


def pins(*files):
    """--pin for every certificate in those of `files` that are files; what does not parse has none."""
    found = []
    for file in files:
        content = Path(file).read_bytes() if Path(file).is_file() else b""
        ders = [content] if content[:2] == b"\x30\x82" else []  # a table may begin with the digit 0
        for block in re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", content, re.DOTALL):
            try:
                ders.append(base64.b64decode(block, validate=False))
            except ValueError:
                pass
        for der in ders:
            found += ["--pin", hashlib.sha256(der).hexdigest()]
    return found


def write_pem(path, *certs):
    path.write_bytes(pem(*certs))
    return str(path)


def write_key(path, key):
    """For its owner only, or programs refuse it."""
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(path)
