"""A device that knows the servers it must reach: before it takes a bundle it asks them, with it on
trial it asks them again."""
import socket
import threading

import pytest

from kit import pki, programs
from kit.device import Device
from kit.processes import accepts, free_port
from kit.servers import MosquittoTls, NginxTls, OpensslServer

TRIES = 8  # checks that a bundle waits for endpoints that say nothing; the next one takes it


class World:
    """An RSA and an ECC root, a server certificate under each, and a root without a server."""

    def __init__(self, folder):
        self.folder = folder
        self.rsa = pki.Authority("RSA Root", key=pki.net_pki.rsa.generate_private_key(65537, 2048))
        self.ecc = pki.Authority("ECC Root")
        self.other = pki.Authority("Other Root")
        self.roots = {n: str(getattr(self, n).write(folder / f"{n}.pem"))
                      for n in ("rsa", "ecc", "other")}
        self.by_rsa = pki.write_chain(folder, "by-rsa", self.rsa.leaf(key_bits=2048))
        self.by_ecc = pki.write_chain(folder, "by-ecc", self.ecc.leaf())
        self.clients = str(pki.Authority("Clients").write(folder / "clients.pem"))

    def factory(self, *names):
        file = self.folder / "factory.pem"
        file.write_text("".join(open(self.roots[n]).read() for n in names))
        return file


@pytest.fixture
def world(folder):
    return World(folder)


@pytest.fixture
def make(folder, publisher, server, world):
    """A device that left the factory with these roots and must reach 127.0.0.1 at these ports."""

    def made(roots, *ports, options=()):
        endpoints = [w for port in ports for w in ("--endpoint", f"tls://127.0.0.1:{port}")]
        return Device(folder / "device").init(
            publisher.root, server.url,
            options=["--bundle", world.factory(*roots), *endpoints, *options])

    return made


def publish(publisher, world, *names, options=()):
    publisher.add(*(world.roots[n] for n in names), options=options)


def journal(device):
    return device.rows("SELECT kind, text FROM event ORDER BY id")


def both_kinds(processes, folder, world):
    return NginxTls(processes, folder / "nginx", *world.by_rsa, more=[world.by_ecc])


# ---- what keeps a bundle away -----------------------------------------------------------------------


def test_a_missing_root_does(processes, folder, publisher, world, make):
    """The chain of one type of key would be lost, though the other would do."""
    server = both_kinds(processes, folder, world)
    device = make(["rsa", "ecc"], server.port)
    publish(publisher, world, "rsa", "other")
    before = device.bundles()
    sentence = device.refuses_update()
    programs.says(sentence, f"tls://127.0.0.1:{server.port}",  # the endpoint,
                  'issued by "O=Holdfast Test, CN=ECC Root"',  # what it presents,
                  'the anchor "O=Holdfast Test, CN=ECC Root" is missing',  # and what that needs
                  "version 1 is not taken", "bundle add --drop")
    assert device.bundles() == before
    assert [text for _, text in journal(device) if "is missing" in text] != []
    publish(publisher, world, "rsa", "ecc", "other")
    assert device.update() == "updated amazon-iot/full 0 -> 2"


@pytest.mark.parametrize("critical, reason", [
    (pki.net_pki.x509.NameConstraints([pki.net_pki.general_name("a.test")], None),
     'its name "device.test" is not one that "O=Holdfast Test, CN=ECC Root" may issue for (its name constraints do not '
     "permit it)"),
    (pki.net_pki.x509.PolicyConstraints(0, None),
     "a CA above it requires a certificate policy that the chain does not have"),
])
def test_a_root_of_the_same_key_with_other_limits_does(processes, folder, publisher, world, make, critical, reason):
    server = OpensslServer(processes, *world.by_ecc)
    device = make(["ecc"], server.port)
    limited = pki.Authority("ECC Root", key=world.ecc.key, critical=critical)
    publisher.add(str(limited.write(folder / "limited.pem")))
    programs.says(device.refuses_update(), 'the anchor "O=Holdfast Test, CN=ECC Root" does not accept it: certificate 0 '
                  f'"O=Holdfast Test, CN=device.test": {reason}; publish a version that validates this chain')


def test_a_missing_root_does_so_at_every_try(processes, folder, publisher, world, make):
    server = OpensslServer(processes, *world.by_ecc)
    device = make(["ecc"], server.port)
    publish(publisher, world, "other")
    before = device.bundles()
    for _ in range(TRIES + 1):
        programs.says(device.refuses_update(), "is missing")
    assert device.bundles() == before


def test_one_endpoint_of_several_is_enough(processes, folder, publisher, world, make):
    good = OpensslServer(processes, *world.by_rsa)
    lost = OpensslServer(processes, *world.by_ecc)
    device = make(["rsa", "ecc"], good.port, free_port(), lost.port)
    publish(publisher, world, "rsa")
    programs.says(device.refuses_update(), f"tls://127.0.0.1:{lost.port}", "ECC Root")


def test_the_wish_for_a_client_certificate_changes_nothing(processes, folder, publisher, world, make):
    """Mosquitto and s_server turn the device away, for it has nothing to show, and are judged by
    what they showed themselves."""
    broker = MosquittoTls(processes, folder / "mosquitto", *world.by_ecc, client_ca=world.clients)
    gateway = OpensslServer(processes, *world.by_rsa, None, "-Verify", "1", "-verify_return_error",
                            "-CAfile", world.clients)
    device = make(["rsa", "ecc"], broker.port, gateway.port)
    publish(publisher, world, "rsa")
    programs.says(device.refuses_update(), f"tls://127.0.0.1:{broker.port}", "ECC Root", "is missing")
    publish(publisher, world, "rsa", "ecc", "other")
    assert device.update() == "updated amazon-iot/full 0 -> 2"


# ---- what does not ---------------------------------------------------------------------------------------


def is_taken_with_a_warning(device, server):
    """The endpoint that the revoked root served is named."""
    said, warning = device.update_loses()
    assert said.startswith("updated amazon-iot/full 1 -> 2")
    programs.says(warning, f"tls://127.0.0.1:{server.port}", "is lost", "which the publisher revoked")


def test_a_root_that_is_dropped_on_purpose_does_not(processes, folder, publisher, world, make):
    server = both_kinds(processes, folder, world)
    device = make(["rsa"], server.port)
    publish(publisher, world, "rsa", "ecc")
    assert device.update() == "updated amazon-iot/full 0 -> 1"
    publish(publisher, world, "rsa", options=["--drop", "all"])
    is_taken_with_a_warning(device, server)


def test_a_dropped_ca_cannot_veto_its_removal(processes, folder, publisher, world, make):
    """All that the endpoint shows is a chain of the CA that goes: it delays, and no more."""
    server = OpensslServer(processes, *world.by_ecc)
    device = make(["rsa"], server.port)
    publish(publisher, world, "rsa", "ecc")
    assert device.update() == "updated amazon-iot/full 0 -> 1"
    publish(publisher, world, "rsa", options=["--drop", "all"])
    for _ in range(TRIES):
        device.postpones_update()
    is_taken_with_a_warning(device, server)


def is_taken_after_a_while(device, publisher, world, says):
    publish(publisher, world, "ecc", "other")
    before = device.bundles()
    for _ in range(TRIES):
        programs.says(device.postpones_update(), "version 1 waits", *says)
        assert device.bundles() == before
    assert device.status()["last_check"]["outcome"] == "postponed"
    assert device.update() == "updated amazon-iot/full 0 -> 1"
    assert device.update() == "current amazon-iot/full 1"


def test_an_endpoint_that_is_down_only_delays(publisher, world, make):
    port = free_port()
    device = make(["ecc"], port)
    is_taken_after_a_while(device, publisher, world,
                           [f"tls://127.0.0.1:{port}", "Connection refused"])


def test_an_endpoint_that_comes_back_ends_the_delay(processes, publisher, world, make):
    server = OpensslServer(processes, *world.by_ecc)
    server.process.stop()
    device = make(["ecc"], server.port)
    publish(publisher, world, "ecc", "other")
    device.postpones_update()
    back = processes.start(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{server.port}",
                            "-cert", world.by_ecc[0], "-key", world.by_ecc[1]], "s_server")
    back.wait_for(lambda: accepts(server.port), "it listens again")
    assert device.update() == "updated amazon-iot/full 0 -> 1"


class Garbage:
    """Answers every connection with the same bytes, and hangs up."""

    def __init__(self, answer):
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                conn, _ = self.socket.accept()
                with conn:
                    conn.sendall(self.answer)
            except OSError:
                if self.socket.fileno() < 0:
                    return


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK\r\n\r\nlogin here", ""])
def test_garbage_on_the_wire_cannot_block(publisher, world, make, answer):
    wire = Garbage(answer.encode())
    try:
        device = make(["ecc"], wire.port)
        is_taken_after_a_while(device, publisher, world, [f"tls://127.0.0.1:{wire.port}"])
    finally:
        wire.socket.close()


def test_a_chain_that_was_not_valid_before_either_cannot_block(processes, publisher, world, make):
    """An attacker in the middle with another certificate. The device says so from its first look on."""
    server = OpensslServer(processes, *world.by_rsa)
    device = make(["ecc"], server.port)
    reason = 'no trust anchor for issuer "O=Holdfast Test, CN=RSA Root"'
    said = programs.call("holdfast", "--state", device.state, "update")
    assert said.code == 1
    programs.says(said.err, "holds no bundle", f"holdfast: warning: tls://127.0.0.1:{server.port} is refused", reason)
    endpoint, = device.status()["endpoints"]
    programs.says(endpoint["refused"]["text"], reason)
    is_taken_after_a_while(device, publisher, world, [reason])
    assert [reason in text for kind, text in journal(device) if kind == "refused"] == [True]
    assert device.status()["warnings"][0]["kind"] == "refused"


def test_without_endpoints_nobody_is_asked(publisher, world, make):
    device = make(["ecc"])
    publish(publisher, world, "other")
    assert device.update() == "updated amazon-iot/full 0 -> 1"


# ---- afterwards, on trial -----------------------------------------------------------------------------------


class Subscribers:
    """The export and the on-swap command of a device."""

    def __init__(self, folder):
        self.export, self.log = folder / "export.pem", folder / "swaps.log"
        command = f'echo "$HOLDFAST_OLD_VERSION $HOLDFAST_NEW_VERSION" >> {self.log}'
        self.options = ["--export", self.export, "--on-swap", command]

    @property
    def swaps(self):
        return self.log.read_text().split("\n")[:-1]


def certificates(pem):
    return [line for line in pem.splitlines() if line and not line.startswith("#")]


def test_an_endpoint_that_is_lost_afterwards_brings_the_old_bundle_back(
        processes, folder, publisher, world, make):
    subscribers = Subscribers(folder)
    server = OpensslServer(processes, *world.by_rsa)
    device = make(["rsa", "ecc"], server.port, options=subscribers.options)
    publish(publisher, world, "rsa", "other")
    assert device.update() == "updated amazon-iot/full 0 -> 1"
    server.process.stop()
    moved = processes.start(["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{server.port}",
                             "-cert", world.by_ecc[0], "-key", world.by_ecc[1]], "s_server")
    moved.wait_for(lambda: accepts(server.port), "it shows another chain")
    assert device.update() == "rolled back amazon-iot/full 1 -> 0"
    assert subscribers.swaps == ["none 1", "1 0"]
    assert certificates(subscribers.export.read_text()) == certificates(
        world.factory("rsa", "ecc").read_text())
    assert [t for kind, t in journal(device) if kind == "rollback" and "ECC Root" in t] != []
    # Never that version again; a newer one is welcome.
    assert device.update() == "current amazon-iot/full 0"
    publish(publisher, world, "rsa", "ecc", "other")
    assert device.update() == "updated amazon-iot/full 0 -> 2"


def test_the_application_may_reject(folder, publisher, world, make):
    subscribers = Subscribers(folder)
    device = make(["ecc"], options=[*subscribers.options, "--await-confirm"])
    publish(publisher, world, "other")
    assert device.update() == "updated amazon-iot/full 0 -> 1"
    assert device.update() == "current amazon-iot/full 1"  # silence extends the trial
    assert device.reject("the broker is gone") == "rolled back"
    assert subscribers.swaps == ["none 1", "1 0"]
    assert certificates(subscribers.export.read_text()) == certificates(
        world.factory("ecc").read_text())
    assert [t for kind, t in journal(device) if kind == "rollback" and "the broker is gone" in t] != []
    assert device.update() == "current amazon-iot/full 0"


def test_what_was_confirmed_is_no_longer_rejected(publisher, world, make):
    device = make(["ecc"], options=["--await-confirm"])
    publish(publisher, world, "other")
    device.update()
    assert device.confirm() == "confirmed version 1"
    assert device.confirm() == "no bundle is on trial; nothing has changed"
    before = device.bundles()
    sentence = device.refuses_to_reject("too late")
    programs.says(sentence, "no bundle is on trial")
    assert device.bundles() == before
