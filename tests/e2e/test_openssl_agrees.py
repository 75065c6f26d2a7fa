"""OpenSSL and Holdfast come to the same verdict: on real chains, and on real servers."""
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

import net_pki
from kit import openssl, pki, programs, roots
from kit.device import Device
from kit.programs import CHECKOUT
from kit.servers import MosquittoTls, NginxTls, OpensslServer

# ---- captured chains of AWS IoT, each at a day when it was in force --------------------------------

DATA = Path(os.environ.get("HOLDFAST_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
VERISIGN = DATA / "legacy" / "VeriSign-Class-3-Public-Primary-Certification-Authority-G5.pem"
CHAINS = {
    "us-east-1": ("iot-us-east-1-2022-leaf.pem", "server-ca-1b.pem",
                  datetime(2023, 1, 1, tzinfo=timezone.utc)),
    "eu-central-1": ("iot-eu-central-1-2025-leaf.pem", "amazon-rsa-2048-m04.pem",
                     datetime(2026, 3, 18, tzinfo=timezone.utc)),
}
# What a device has been given, and whether it still reaches AWS IoT with that.
STORES = {
    "Amazon 1 to 4": (roots.amazon(1, 2, 3, 4), True),
    "Amazon 1": (roots.amazon(1), True),
    "all that AWS advises": ([*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file], True),
    "Starfield G2, with the cross-sign at hand": ([roots.STARFIELD.file], True),
    "Amazon 2 to 4": (roots.amazon(2, 3, 4), False),
    "VeriSign G5": ([VERISIGN], False),
}
needs_data = pytest.mark.skipif(not DATA.exists(), reason=f"the captured chains are not in {DATA}; "
                                "HOLDFAST_TEST_DATA may name their folder")


@needs_data
@pytest.mark.parametrize("region", CHAINS)
@pytest.mark.parametrize("store", STORES)
def test_the_export_validates_what_aws_presents(publisher, device, folder, store, region):
    certificates, is_right = STORES[store]
    publisher.add(*certificates)
    device.update()
    exported = folder / "exported.pem"
    device.export(exported)
    leaf, intermediate, day = CHAINS[region]
    others = [DATA / "chains" / intermediate, DATA / "cross" / "G2-RootCA1.pem"]
    assert openssl.verifies(exported, DATA / "chains" / leaf, others, day) == is_right


@needs_data
def test_the_legacy_profile_holds_verisign_and_no_amazon(publisher, server, folder):
    publisher.add(VERISIGN, profile="legacy")
    device = Device(folder / "device").init(publisher.root, server.url, profile="legacy")
    assert device.update() == "updated amazon-iot/legacy none -> 1"
    anchors = device.status()["active"]["roots"]
    assert [a["sha256"][:16] for a in anchors] == ["9acfab7e43c8d880"]


# ---- real servers with a PKI of our own ------------------------------------------------------------

class World:
    """An old root that has cross-signed the new one, as Starfield has Amazon's."""

    def __init__(self, folder):
        self.old, self.new = pki.Authority("Old Root"), pki.Authority("New Root")
        self.stranger = pki.Authority("Stranger")
        self.cross = self.new.cross_signed_by(self.old)
        self.server_ca = pki.Authority("Server CA", self.new)
        past = {"start": pki.NOW - 60 * pki.DAY, "end": pki.NOW - pki.DAY}
        self.expired_root = pki.Authority("Expired Root", **past)
        self.leaves = {
            "good": self.server_ca.leaf(),
            "expired": self.server_ca.leaf(**past),
            "early": self.server_ca.leaf(start=pki.NOW + pki.DAY),
            "of the expired root": self.expired_root.leaf(),
        }
        self.folder = folder

    def ca_file(self, *authorities):
        net_pki.write_pem(self.folder / "ca.pem", *(a.cert for a in authorities))
        return self.folder / "ca.pem"


@pytest.fixture
def world(folder):
    return World(folder)


# name: leaf, what the server sends with it, what the store holds, the name asked for, and the words
# of the refusal (None: valid)
CASES = {
    "the right root": ("good", ["server_ca"], ["new"], pki.HOST, None),
    "both roots": ("good", ["server_ca"], ["old", "new"], pki.HOST, None),
    "the old root, through the cross-sign": ("good", ["server_ca", "cross"], ["old"], pki.HOST, None),
    "the new root, with a cross-sign in between": ("good", ["server_ca", "cross"], ["new"], pki.HOST,
                                                  None),
    "the old root, without the cross-sign": ("good", ["server_ca"], ["old"], pki.HOST, ["New Root"]),
    "another root": ("good", ["server_ca", "cross"], ["stranger"], pki.HOST, ["Old Root"]),
    "no intermediate": ("good", [], ["new"], pki.HOST, ["Server CA"]),
    "an expired leaf": ("expired", ["server_ca"], ["new"], pki.HOST, ["expired"]),
    "a leaf of tomorrow": ("early", ["server_ca"], ["new"], pki.HOST, ["not yet valid"]),
    "an expired root": ("of the expired root", [], ["expired_root"], pki.HOST, ["expired"]),
    "another name": ("good", ["server_ca"], ["new"], "elsewhere.test", ["elsewhere.test", pki.HOST]),
}


def start_nginx(processes, folder, leaf, others):
    chain, key = pki.write_chain(folder, "server", leaf, *others)
    return NginxTls(processes, folder / "nginx", chain, key)


def start_mosquitto(processes, folder, leaf, others):
    chain, key = pki.write_chain(folder, "server", leaf, *others)
    return MosquittoTls(processes, folder / "mosquitto", chain, key)


def start_openssl(processes, folder, leaf, others):
    leaf_file, key = pki.write_chain(folder, "server", leaf)
    more = folder / "others.pem"
    net_pki.write_pem(more, *(a.cert for a in others))
    return OpensslServer(processes, leaf_file, key, more if others else None)


SERVERS = {"nginx": start_nginx, "mosquitto": start_mosquitto, "s_server": start_openssl}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("case", CASES)
def test_probe_agrees_with_openssl(world, processes, folder, case, server):
    leaf, others, store, name, words = CASES[case]
    running = SERVERS[server](processes, folder, world.leaves[leaf],
                              [getattr(world, o) for o in others])
    ca_file = world.ca_file(*(getattr(world, s) for s in store))
    probe = programs.call("holdfast", "probe", f"127.0.0.1:{running.port}", "--ca", ca_file,
                          "--servername", name)
    assert openssl.connects(running.port, ca_file, name) == (words is None)
    assert probe.code == (0 if words is None else 1), probe.out + probe.err
    if words is None:
        assert probe.err == ""
        assert probe.last_line.startswith("valid ")
    else:
        assert len(probe.err.splitlines()) == 1
        programs.says(probe.err, *words)


@pytest.mark.parametrize(("option", "version"), [([], "TLSv1.3"), (["--tls12"], "TLSv1.2")])
def test_a_list_of_certificates_that_takes_several_records(world, processes, folder, option, version):
    unneeded = pki.Authority("A certificate that this server does not need")
    others = [unneeded] * 60 + [world.server_ca]
    assert 20_000 < sum(len(a.cert.public_bytes(Encoding.DER)) for a in others) < 40_000
    running = start_openssl(processes, folder, world.leaves["good"], others)
    probe = programs.ok("holdfast", "probe", f"127.0.0.1:{running.port}", "--ca", world.ca_file(world.new),
                        "--servername", pki.HOST, *option)
    assert version in probe.out and "62 certificates" in probe.out
    assert probe.last_line.startswith("valid ")


def test_probe_shows_the_chain_certificate_by_certificate(world, processes, folder):
    server = start_nginx(processes, folder, world.leaves["good"], [world.server_ca, world.cross])
    ca_file = world.ca_file(world.new)
    out = programs.ok("holdfast", "probe", f"127.0.0.1:{server.port}", "--ca", ca_file,
                      "--servername", pki.HOST).out
    for authority in (world.server_ca, world.cross, world.new):
        assert net_pki.fingerprint(authority.cert) in out
    assert net_pki.fingerprint(world.new.cert) in out.splitlines()[-1]


def test_probe_judges_by_the_store_of_a_device(world, publisher, device, processes, folder):
    server = start_nginx(processes, folder, world.leaves["good"], [world.server_ca])
    publisher.add(world.ca_file(world.stranger))
    device.update()
    where = ["probe", f"127.0.0.1:{server.port}", "--servername", pki.HOST, "--state", device.state]
    before = programs.call("holdfast", *where)
    assert before.code == 1
    publisher.add(world.ca_file(world.stranger, world.new))
    device.update()
    assert programs.ok("holdfast", *where).last_line.startswith("valid ")


ONLY_FOR_TESTS = x509.NameConstraints([x509.DNSName("test")], None)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_root_with_critical_name_constraints_is_one_for_its_names(publisher, device, processes, folder, version):
    """RFC 5280, 4.2.1.10: they MUST be critical. From the publisher's desk to a handshake of the device."""
    root = pki.Authority("Constrained Root", critical=ONLY_FOR_TESTS)
    root_file = root.write(folder / "root.pem")
    publisher.add(root_file)
    assert device.update() == "updated amazon-iot/full none -> 1"
    assert [a["sha256"] for a in device.status()["active"]["roots"]] == [net_pki.fingerprint(root.cert)]
    for host, is_permitted in ((pki.HOST, True), ("device.example", False)):
        leaf, key = pki.write_chain(folder, host, root.leaf(host))
        server = OpensslServer(processes, leaf, key, None, version)
        assert openssl.connects(server.port, root_file, host) == is_permitted
        probe = programs.call("holdfast", "probe", f"127.0.0.1:{server.port}", "--servername", host,
                              "--state", device.state)
        assert probe.code == (0 if is_permitted else 1), probe.out + probe.err
        if not is_permitted:
            programs.says(probe.err, "Constrained Root", host, "is not one that",
                          "(its name constraints do not permit it)")


def test_probe_says_when_nobody_is_there(world):
    ca_file = world.ca_file(world.new)
    sentence = programs.refused("holdfast", "probe", "127.0.0.1:1", "--ca", ca_file)
    programs.says(sentence, "127.0.0.1:1", "refused")
