"""Sets that are not Amazon's reach a device in the same way: Azure's, Google's, Let's Encrypt's, all
of Mozilla's, from Debian's ca-certificates by the table's name, and a private CA by its fingerprint."""
import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit import pki, programs, roots
from kit.device import Device
from kit.forge import Forge
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
@pytest.mark.parametrize("table, least", [("azure", 6), ("google", 4), ("letsencrypt", 2),
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


def test_another_set_and_back_again(publisher, server, folder):
    """The versions of a set count for that set, also when the device has left it and returns."""
    ours, others = (pki.Authority(name) for name in ("Ours", "Others"))
    file, other_file = (a.write(folder / f"{a.common_name}.pem") for a in (ours, others))
    device = follow(folder, publisher, server, "ours")

    def use(set_name):
        programs.ok("holdfast", "--state", device.state, "config", "set", "set", set_name)

    publisher.add(file, set_name="ours")  # the first set of all needs no --new
    publisher.add(file, set_name="ours")
    publisher.add(other_file, set_name="others", options=["--new"])
    assert device.update() == "updated ours/full none -> 2"
    use("others")
    assert device.update() == "updated others/full none -> 1"
    assert held(device) == {fingerprint(others.cert)}
    forge = Forge(publisher)
    forge.change("targets", lambda signed: signed["targets"].pop("ours/full/2.pem"))
    server.catch_up()
    use("ours")
    said = "all bundles of ours/full in the repository are older than version 2"
    assert said in device.refuses_update()
    assert held(device) == {fingerprint(others.cert)}
    forge.add_bundle(3, file.read_bytes(), set_name="ours")
    server.catch_up()
    assert device.update() == "updated ours/full none -> 3"
    assert held(device) == {fingerprint(ours.cert)}
