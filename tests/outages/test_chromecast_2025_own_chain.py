"""Chromecast, 2025-03-09: an intermediate in the chain that the devices showed had expired. Whatever asked
them for a certificate refused them, and they could not be told anything any more.

Here the device's own chain is no part of an update: its servers refuse the device, and the device still
learns from their chain what its next roots must hold."""
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from kit import pki, programs
from kit.device import Device
from kit.servers import MosquittoTls, OpensslServer


def start_broker(processes, folder, chain, key, client_ca):
    return MosquittoTls(processes, folder / "broker", chain, key, client_ca=client_ca)


def start_server_of_tls_12(processes, folder, chain, key, client_ca):
    return OpensslServer(processes, chain, key, None, "-tls1_2", "-Verify", "3",
                         "-verify_return_error", "-CAfile", client_ca)


@pytest.fixture(params=[start_broker, start_server_of_tls_12])
def world(request, folder, processes, publisher, server):
    return World(request.param, folder, processes, publisher, server)


class World:
    """A server that wants certificates, and a device whose own has an expired issuer."""

    def __init__(self, start, folder, processes, publisher, server):
        self.root, self.next_root = pki.Authority("Root"), pki.Authority("Next Root")
        self.root_file = self.root.write(folder / "root.pem")
        self.next_file = self.next_root.write(folder / "next.pem")
        devices = pki.Authority("Devices")
        gone = pki.Authority("Device CA", devices, end=pki.NOW - pki.DAY)
        cert, key = pki.write_chain(folder, "device", gone.leaf(
            "speaker-7", usage=ExtendedKeyUsageOID.CLIENT_AUTH), gone)
        self.server = start(processes, folder, *pki.write_chain(folder, "server", self.root.leaf()),
                            client_ca=devices.write(folder / "devices.pem"))
        self.proves_its_chain = start is start_broker
        self.endpoint = f"mqtts://127.0.0.1:{self.server.port}"
        self.device = Device(folder / "device").init(publisher.root, server.url, options=[
            "--bundle", self.root_file, "--endpoint", self.endpoint, "--client-cert", cert,
            "--client-key", key])

    def wait_until_it_refused_the_device(self):
        log = self.server.process
        log.wait_for(lambda: "certificate verify failed" in log.err
                     or "certificate has expired" in log.err, "it refuses the device's certificate")


def test_a_device_that_is_refused_everywhere_is_updated_all_the_same(world, publisher):
    publisher.add(world.root_file, world.next_file)
    assert world.device.update() == "updated amazon-iot/full 0 -> 1"
    world.wait_until_it_refused_the_device()


def test_and_still_takes_no_roots_without_those_of_its_servers(world, publisher):
    publisher.add(world.next_file)
    before = world.device.bundles()
    if world.proves_its_chain:
        programs.says(world.device.refuses_update(), world.endpoint,
                      "the anchor \"O=Holdfast Test, CN=Root\" is missing")
    else:  # it ends the handshake before the Finished, which alone covers the chain in TLS 1.2
        waits = world.device.postpones_update()
        programs.says(waits, world.endpoint, "before it had proved the chain", "8 checks from now")
    assert world.device.bundles() == before
    world.wait_until_it_refused_the_device()
