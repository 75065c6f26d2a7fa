"""Roots that Holdfast does not support, files that are no PEM, and chains with what is not supported:
the programs skip what they may skip, name it, and never call it damaged."""

import base64
import datetime
import json
import os
import pathlib
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

import json_schema
import net_pki
import test_probe
import test_transport
import tuf_publisher

BIN = pathlib.Path(os.environ["HOLDFAST_BIN"])
START = datetime.datetime(2020, 1, 1)
END = datetime.datetime(2040, 1, 1)


def root(common_name, key=None, critical=None, path_length=None):
    """A self-signed root; `critical`: an extension that it has beside the usual ones."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(net_pki.name(common_name))
        .issuer_name(net_pki.name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    )
    if critical:
        builder = builder.add_extension(critical, critical=True)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest)


def pem(*certs):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


def tlv(tag, body):
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (bytes([len(body)]) if len(body) < 128 else bytes([0x80 + len(size)]) + size) + body


def parts(body):
    while body:
        skip, n = 2, body[1]
        if n > 127:
            skip, n = n - 126, int.from_bytes(body[2 : n - 126], "big")
        yield body[: skip + n]
        body = body[skip + n :]


def inside(value):
    return next(parts(value))[2 if value[1] < 128 else value[1] - 126 :]


def with_key(like, key_algorithm, key, algorithm=None):
    """The certificate `like` with another key, and what `algorithm` has signed: the form is right."""
    tbs, usual, _ = parts(inside(der(like)))
    tbs, algorithm = list(parts(inside(tbs))), algorithm or usual
    tbs[2], tbs[6] = algorithm, tlv(0x30, key_algorithm + tlv(3, b"\0" + key))
    whole = tlv(0x30, tlv(0x30, b"".join(tbs)) + algorithm + tlv(3, b"\0" + os.urandom(3309)))
    text = base64.encodebytes(whole).replace(b"\n", b"")
    lines = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"


ML_DSA = tlv(0x30, bytes.fromhex("0609608648016503040312"))
RSA = tlv(0x30, bytes.fromhex("06092A864886F70D0101010500"))
RSA_9216 = tlv(0x30, tlv(2, b"\0" + b"\xff" * 1152) + tlv(2, b"\1\0\1"))
GOOD = root("Good")
UNSUPPORTED = {
    "Ed25519": pem(root("Ed25519 Root", key=ed25519.Ed25519PrivateKey.generate())),
    "ML-DSA-65": with_key(root("ML-DSA Root"), ML_DSA, os.urandom(1952), ML_DSA),
    "RSA key of 9216 bits (expected 2048 to 8192)": with_key(root("Long Root"), RSA, RSA_9216),
    "elliptic curve secp256k1": pem(root("Coin Root", key=ec.generate_private_key(ec.SECP256K1()))),
    "1.2.3.4": pem(root("Odd Root", critical=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"))),
}


def run(*args):
    done = subprocess.run([str(BIN / a) if i == 0 else str(a) for i, a in enumerate(args)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def lint(file):
    code, out, err = run("holdfastctl", "lint", "--set", "s", file)
    assert code == 1, out + err
    return out + err


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_lint_says_what_is_not_supported(what, tmp_path):
    (tmp_path / "root.pem").write_bytes(UNSUPPORTED[what])
    said = lint(tmp_path / "root.pem")
    assert "unsupported-certificate" in said and what in said and "damaged" not in said
    assert "Holdfast Test" in said  # the subject


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_bundle_add_refuses_it_with_that_sentence(what, tmp_path):
    (tmp_path / "roots.pem").write_bytes(pem(GOOD) + UNSUPPORTED[what])
    (tmp_path / "pass").write_text("a passphrase of tests\n")
    (tmp_path / "pass").chmod(0o600)
    place = ["--repo", tmp_path / "repo", "--keys", tmp_path / "keys", "--passphrase-file", tmp_path / "pass"]
    code, out, err = run("holdfastctl", "init", *place)
    assert code == 0, err
    code, out, err = run("holdfastctl", "bundle", "add", *place, "--set", "s", "--profile", "full", tmp_path / "roots.pem")
    assert code == 1 and "is not supported here" in out + err and what in out + err
    assert "damaged" not in out + err
    assert not list((tmp_path / "repo" / "targets").rglob("*.pem"))


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_simulate_lists_what_it_skips(what, tmp_path):
    (tmp_path / "roots.pem").write_bytes(pem(GOOD) + UNSUPPORTED[what])
    args = ["simulate", "--bundle", tmp_path / "roots.pem", "--at", "2030-01-01"]
    code, out, err = run("holdfast", *args)
    assert (code, err) == (0, "")
    said, = [line for line in out.splitlines() if line.startswith("skipped ")]
    assert "Holdfast Test" in said and what in said
    code, out, err = run("holdfast", *args, "--json")
    found = json.loads(out)
    json_schema.check(found, "simulate.schema.json")
    skipped, = found["skipped"]
    assert "Holdfast Test" in skipped["subject"] and what in skipped["unsupported"]
    cert = x509.load_pem_x509_certificate(UNSUPPORTED[what])
    assert skipped["sha256"] == cert.fingerprint(hashes.SHA256()).hex()


class OtherPublisher(tuf_publisher.Repository):
    """Signs bundles that holdfastctl would not, as one with newer software may."""

    def build(self, role, fields):
        for path, info in fields.get("targets", {}).items():
            set_name, profile, file = path.split("/")
            info["custom"] = {"holdfast": {"set": set_name, "profile": profile, "version": int(file[:-4])}}
        return super().build(role, fields)


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_bundle_diff_lists_what_it_skips(what, tmp_path):
    publisher = OtherPublisher(tmp_path)
    publisher.targets = {"roots/full/1.pem": pem(GOOD), "roots/full/2.pem": pem(GOOD) + UNSUPPORTED[what]}
    publisher.publish()
    sha256 = x509.load_pem_x509_certificate(UNSUPPORTED[what]).fingerprint(hashes.SHA256()).hex()
    args = ["bundle", "diff", "--repo", tmp_path, "--set", "roots", "--profile", "full"]
    code, out, err = run("holdfastctl", *args)
    assert code == 0 and err.startswith("holdfastctl: warning: the new side: skipped")
    assert out.startswith(f"+ {sha256}  ") and out.count("\n") == 1 and what in out
    code, out, _ = run("holdfastctl", *args, "--old", "2", "--new", "1")
    assert code == 0 and out.startswith(f"- {sha256}  ") and out.count("\n") == 1
    code, out, _ = run("holdfastctl", *args, "--json")
    found = json.loads(out)
    json_schema.check(found, "diff-report.schema.json")
    assert (code, found["added"], found["skipped"]["old"]) == (0, [], [])
    skipped, = found["skipped"]["new"]
    assert skipped["sha256"] == sha256 and what in skipped["unsupported"]


FILES = {
    "bom": lambda text: b"\xef\xbb\xbf" + text,
    "blanks": lambda text: text.replace(b"\n", b" \t\n"),
    "indented": lambda text: text.replace(b"\n", b"\n    ").rstrip(b" "),
    "returns": lambda text: text.replace(b"\n", b"\r\n"),
    "twice": lambda text: text + text,
}
KINDS = {
    "UTF-16": lambda: pem(GOOD).decode().encode("utf-16"),
    "PKCS#7": lambda: pkcs7.serialize_certificates([GOOD], serialization.Encoding.DER),
    "(found \"-----BEGIN PKCS7-----\")": lambda: pkcs7.serialize_certificates([GOOD], serialization.Encoding.PEM),
    "PKCS#12": lambda: pkcs12.serialize_key_and_certificates(b"x", None, None, [GOOD], serialization.BestAvailableEncryption(b"secret")),
    "JKS": lambda: b"\xfe\xed\xfe\xed\0\0\0\x02" + bytes(40),
}


@pytest.mark.parametrize("how", FILES)
def test_publisher_reads_pem_as_people_have_it(how, tmp_path):
    (tmp_path / "root.pem").write_bytes(FILES[how](pem(GOOD)))
    code, out, err = run("holdfastctl", "lint", "--set", "s", tmp_path / "root.pem")
    assert "broken-certificate" not in out and err == "", out + err


@pytest.mark.parametrize("kind", KINDS)
def test_publisher_names_files_of_another_kind(kind, tmp_path):
    (tmp_path / "root.cer").write_bytes(KINDS[kind]())
    said = lint(tmp_path / "root.cer")
    assert kind in said and "convert it: `" in said and "damaged" not in said


class Server:
    """A server with its chain, and what a probe of it says."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = net_pki.Authority("Root")
        self.middle = net_pki.Authority("Middle", issuer=self.ca)
        cert, self.key = self.middle.leaf("localhost")
        self.cert = cert
        self.key_file = net_pki.write_key(folder / "server.key", self.key)
        (folder / "ca.pem").write_bytes(pem(self.ca.cert))

    def probe(self, ca, *more_sent, chain=None, version="1.3"):
        above = pem(*([self.middle.cert] if chain is None else chain)) + b"".join(more_sent)
        (self.folder / "sent.pem").write_bytes(pem(self.cert) + above)
        (self.folder / "sent.pem.chain").write_bytes(above)
        (self.folder / "trusted.pem").write_bytes(ca)
        options = [{"1.3": "-tls1_3", "1.2": "-tls1_2"}[version], "-cipher", "DEFAULT@SECLEVEL=0"]
        with test_probe.s_server(self.folder / "sent.pem", self.key_file, *options) as endpoint:
            return run("holdfast", "probe", endpoint, "--ca", self.folder / "trusted.pem",
                       "--at", f"{net_pki.NOW:%Y-%m-%d}")


@pytest.fixture(name="server", scope="module")
def make_server(tmp_path_factory):
    return Server(tmp_path_factory.mktemp("server"))


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_probe_uses_the_rest_of_the_file(what, server):
    code, out, err = server.probe(pem(server.ca.cert) + UNSUPPORTED[what])
    assert code == 0, err
    assert err.startswith("holdfast: warning: ") and what in err and "damaged" not in err


@pytest.mark.parametrize("how", FILES)
def test_probe_reads_pem_as_people_have_it(how, server):
    code, _, err = server.probe(FILES[how](pem(server.ca.cert)))
    assert (code, err) == (0, "")


@pytest.mark.parametrize("kind", KINDS)
def test_probe_names_files_of_another_kind(kind, server):
    code, _, err = server.probe(KINDS[kind]())
    assert code == 1 and kind in err and "convert it: `" in err and "damaged" not in err


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_is_not_needed_of_a_chain_need_not_be_supported(what, version, server):
    code, _, err = server.probe(pem(server.ca.cert), UNSUPPORTED[what], version=version)
    assert (code, err) == (0, "")


def odd_leaf(what):
    """A server certificate that devices cannot use, its key, and its issuer."""
    issuer, key = net_pki.Authority("Odd Issuer"), ec.generate_private_key(ec.SECP256R1())
    signer, digest = issuer.key, hashes.SHA256()
    if what == "signature algorithm Ed25519":
        signer, digest = ed25519.Ed25519PrivateKey.generate(), None
    builder = (
        x509.CertificateBuilder()
        .subject_name(net_pki.name("localhost"))
        .issuer_name(net_pki.name("Odd Issuer"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
    )
    return builder.sign(signer, digest), key, issuer


ODD_LEAVES = ["signature algorithm Ed25519"]


@pytest.mark.parametrize("chain", [None, []], ids=["with its issuer", "alone"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("what", ODD_LEAVES)
def test_server_certificate_that_is_not_supported_is_named(what, version, chain, server):
    other = Server.__new__(Server)
    other.folder = server.folder
    other.cert, key, other.middle = odd_leaf(what)
    other.key_file = net_pki.write_key(server.folder / "odd.key", key)
    code, _, err = other.probe(pem(server.ca.cert), version=version, chain=chain)
    assert code == 1 and "the server's certificate cannot be used: " in err
    assert "CN=localhost" in err and f"Holdfast cannot use its {what}; supported are RSA" in err, err


@pytest.mark.parametrize("what, error", zip(ODD_LEAVES, ["untrusted"]))
def test_update_names_the_server_certificate_that_is_not_supported(what, error, tmp_path, server):
    cert, key, issuer = odd_leaf(what)
    chain = net_pki.write_pem(tmp_path / "chain.pem", cert, issuer.cert)
    tls = test_transport.tls_context(chain, net_pki.write_key(tmp_path / "server.key", key))
    with test_transport.RawServer(test_transport.answer(), tls=tls) as s:
        said = test_transport.refused(error, s.url(host="localhost"), says="the server's certificate cannot be used: ",
                                      store=server.folder / "ca.pem")
    assert "CN=localhost" in said and f"Holdfast cannot use its {what};" in said


def test_chain_out_of_order_is_valid(server):
    lower = net_pki.Authority("Lower", issuer=server.middle)
    cert, key = lower.leaf("localhost")
    other = Server.__new__(Server)
    other.folder, other.cert, other.middle = server.folder, cert, server.middle
    other.key_file = net_pki.write_key(server.folder / "lower.key", key)
    code, out, err = other.probe(pem(server.ca.cert), chain=[server.middle.cert, lower.cert])
    assert code == 0 and "valid" in out and err == "", out + err


def test_lint_tells_why_a_chain_is_refused(server, tmp_path):
    lower = net_pki.Authority("Lower", issuer=server.middle)
    namesake = net_pki.Authority("Lower", issuer=server.middle)
    cert, _ = lower.leaf("localhost")
    (tmp_path / "root.pem").write_bytes(pem(server.ca.cert))
    (tmp_path / "chain.pem").write_bytes(pem(cert, server.middle.cert, namesake.cert))
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfendpoint api chain.pem\r\n")
    code, out, err = run("holdfastctl", "lint", "--set", "s", "--endpoints", tmp_path / "list.txt", tmp_path / "root.pem")
    assert code == 1 and "that devices refuse" in out and "signature does not verify" in out, out + err
    # What devices pass over, lint passes over.
    good = pem(cert, lower.cert, server.middle.cert)
    (tmp_path / "chain.pem").write_bytes(good + UNSUPPORTED["Ed25519"])
    code, out, err = run("holdfastctl", "lint", "--set", "s", "--endpoints", tmp_path / "list.txt", tmp_path / "root.pem")
    assert "endpoint-anchor-missing" not in out and err == "", out + err


def test_wrong_signature_is_told(server):
    broken = bytearray(der(server.cert))
    broken[-1] ^= 1
    sound, server.cert = server.cert, x509.load_der_x509_certificate(bytes(broken))
    try:
        code, _, err = server.probe(pem(server.ca.cert))
    finally:
        server.cert = sound
    assert code == 1 and "signature does not verify with the key of its issuer" in err


def test_path_length_is_told(server):
    short = net_pki.Authority("Short")
    short.cert = root("Short", key=short.key, path_length=0)
    middle = net_pki.Authority("Below", issuer=short)
    other = Server.__new__(Server)
    other.folder, other.middle = server.folder, middle
    other.cert, key = middle.leaf("localhost")
    other.key_file = net_pki.write_key(server.folder / "below.key", key)
    code, _, err = other.probe(pem(short.cert))
    assert code == 1 and "allows no more than 0 intermediate certificates" in err
    assert "another key" not in err


def test_server_certificate_as_ca_is_told(server, tmp_path):
    code, _, err = server.probe(pem(server.cert))
    assert code == 1 and "is not a CA certificate" in err
