"""Sets that are not Amazon's reach a device in the same way: Azure's, Google's, Let's Encrypt's, all
of Mozilla's, from Debian's ca-certificates by the table's name, and a private CA by its fingerprint."""
import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit import pki, programs, roots
from kit.device import Device
from net_pki import fingerprint

debian = pytest.mark.skipif(not (roots.FOLDER / "ISRG_Root_X1.crt").exists(),
                            reason="Debian's ca-certificates is not installed")
TODAY = datetime.date.today().isoformat()


def shipped():
    """Certificates by content: files of reissued CAs have had one name and the other."""
    return [x509.load_pem_x509_certificate(file.read_bytes()) for file in roots.FOLDER.glob("*.crt")]


def key_of(cert):
    return hashlib.sha256(cert.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def in_date(table):
    """The fingerprints of what Debian ships of its keys and what has not expired: an older package may
    have an older certificate of a root."""
    keys = {r.spki for r in roots.of_table(table)}
    return {fingerprint(cert) for cert in shipped()
            if key_of(cert) in keys and cert.not_valid_after.date().isoformat() > TODAY}


def follow(folder, publisher, server, set_name):
    return Device(folder / "device").init(publisher.root, server.url, set_name=set_name)


def publish(publisher, command, set_name, *words):
    programs.ok("holdfastctl", "bundle", command, *publisher.place, "--set", set_name, "--profile",
                "full", *words)
    publisher._tell()


def held(device):
    return {r["sha256"] for r in device.status()["active"]["roots"]}


@debian
@pytest.mark.parametrize("table, least", [("azure", 4), ("google", 4), ("letsencrypt", 2),
                                          ("mozilla", 80)])
def test_a_table_of_debians_roots(publisher, server, folder, table, least):
    device = follow(folder, publisher, server, table)
    publish(publisher, "add", table, "--select", table)
    assert device.update() == f"updated {table}/full none -> 1"
    assert held(device) == in_date(table)
    assert len(held(device)) >= least


def test_a_private_ca_by_its_fingerprint(publisher, server, folder):
    ca = pki.Authority("Factory Root", end=pki.NOW + 3650 * pki.DAY)
    file = ca.write(folder / "factory.pem")
    device = follow(folder, publisher, server, "factory")
    publish(publisher, "add", "factory", "--pin", fingerprint(ca.cert), file)
    assert device.update() == "updated factory/full none -> 1"
    assert held(device) == {fingerprint(ca.cert)}


@debian
def test_a_private_ca_beside_a_public_one_and_alone_again(publisher, server, folder):
    ca = pki.Authority("Factory Root", end=pki.NOW + 3650 * pki.DAY)
    file = ca.write(folder / "factory.pem")
    device = follow(folder, publisher, server, "factory")
    publish(publisher, "add", "factory", "--pin", fingerprint(ca.cert), file)
    publish(publisher, "import", "factory", "--select", "letsencrypt")
    assert device.update() == "updated factory/full none -> 2"
    assert held(device) == {fingerprint(ca.cert)} | in_date("letsencrypt")
    publish(publisher, "remove", "factory", "--drop", "all", "letsencrypt")
    assert device.update() == "updated factory/full 2 -> 3"
    assert held(device) == {fingerprint(ca.cert)}
