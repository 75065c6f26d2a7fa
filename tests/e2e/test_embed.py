"""The rotation that the product is for, in an application: an MQTT device built against what
`cmake --install` gives, a real Mosquitto broker, and a broker's chain that moves to a new root."""
import re
import signal
import tempfile
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from kit import installed, pki
from kit.device import Device
from kit.processes import free_port
from kit.servers import MosquittoTls

NAME = "pump-7"
NOT_TRUSTED = "session: the broker is not trusted"


# ---- the package ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def package():
    with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as folder:
        yield installed.Installed(Path(folder))


def sources(package):
    return [package.examples / "mqtt_device.c", package.examples / "mqtt.c"]


def with_pkg_config(package, folder, *more):
    return package.compile(folder / "mqtt_device", [*sources(package), *more],
                           *package.pkg_config("--cflags", "--libs", "holdfast"))


def with_pkg_config_static(package, folder, *more):
    return package.compile(folder / "mqtt_device", [*sources(package), *more],
                           *package.pkg_config("--cflags", "--libs", "holdfast-static"))


def with_find_package(package, folder):
    return package.build_example(folder / "build")


BUILDS = {"pkg-config": with_pkg_config, "pkg-config holdfast-static": with_pkg_config_static,
          "find_package": with_find_package}


def test_the_library_exports_what_its_headers_declare_and_nothing_else(package, folder):
    declared = package.declared(folder)
    assert "hf_posix_open" in declared and "hf_trust_store_bind_checked" in declared
    exported = package.exported()
    assert {n for n in exported if n.startswith("hf_")} == declared
    others = {n for n in exported if not n.startswith("hf_")}
    assert "holdfast_mbedtls_ssl_handshake" in others
    assert [n for n in others if not n.startswith(("holdfast_mbedtls_", "holdfast_psa_"))] == []


def test_an_image_with_archives_alone_links_with_pkg_config_static(package, folder):
    archives = package.only_static(folder / "archives")
    program = package.compile(folder / "mqtt_device", sources(package), f"-L{archives}",
                              *package.pkg_config("--cflags", "holdfast"),
                              *package.pkg_config("--static", "--libs", "holdfast"))
    assert b"libholdfast.so" not in program.read_bytes()


def test_the_static_target_of_the_cmake_package(package, folder):
    program = package.build_example(folder / "build", "-DHOLDFAST_STATIC=ON")
    assert b"libholdfast.so" not in program.read_bytes()


@pytest.mark.parametrize("library", ["holdfast", "holdfast-static"])
def test_firmware_in_cxx(package, folder, library):
    source = Path(__file__).parent / "kit" / "embedded.cpp"
    included = set(re.findall(r"<holdfast/(.*)>", source.read_text()))
    assert included == {h.name for h in (package.include / "holdfast").glob("*.h")} - {
        "mbedtls_config.h"}
    program = package.compile_cxx(folder / "embedded", source,
                                  *package.pkg_config("--cflags", "--libs", library))
    said = installed.run(program, folder / "nowhere", LD_LIBRARY_PATH=str(package.lib))
    assert said == (f"not-found: {folder}/nowhere is not initialised: run holdfast init first\n"
                    "bound\n")


def test_headers_of_another_mbedtls_are_told_apart(package, folder):
    """As if the system's came first: whatever it is, it is not configured as ours."""
    (folder / "mbedtls").mkdir()
    (folder / "mbedtls" / "mbedtls_config.h").write_text("#define MBEDTLS_SSL_TLS_C\n")
    source = folder / "application.c"
    source.write_text("#include <holdfast/trust_store.h>\n")
    with pytest.raises(AssertionError, match="those that are installed with Holdfast must come "
                                             "first on the include path"):
        package.compile(folder / "application", [source], f"-I{folder}", "-c",
                        *package.pkg_config("--cflags", "holdfast"))


def test_the_programs_are_there(package):
    for program in ("holdfast", "holdfastctl", "holdfastd"):
        assert program in installed.run(package.prefix / "bin" / program, "--help")


# ---- a broker and a device --------------------------------------------------------------------------

class World:
    """A broker for clients of one CA, whose own chain comes from another."""

    def __init__(self, processes, folder):
        self.processes, self.folder = processes, folder
        self.old, self.new = pki.Authority("Old Root"), pki.Authority("New Root")
        clients = pki.Authority("Device CA")
        self.client_ca = clients.write(folder / "client-ca.pem")
        leaf = clients.leaf(NAME, usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        self.client_chain, self.client_key = pki.write_chain(folder, "client", leaf)
        self.port = free_port()
        self.broker = None

    def start_broker(self, root):
        """In the place of the one before, if there was one."""
        if self.broker:
            self.broker.stop()
        name = f"broker-{len(self.processes.started)}"
        chain, key = pki.write_chain(self.folder, name, root.leaf("localhost"))
        self.broker = MosquittoTls(self.processes, self.folder / name, chain, key, self.port,
                                   self.client_ca)

    def roots(self, *authorities):
        return [a.write(self.folder / f"{a.common_name}.pem") for a in authorities]


@pytest.fixture
def world(processes, folder):
    return World(processes, folder)


@pytest.fixture
def state(folder, publisher, server, world):
    """What the device left the factory with: the old root, and the broker that it must always reach."""
    factory, = world.roots(world.old)
    return Device(folder / "device").init(publisher.root, server.url, options=[
        "--bundle", factory, "--endpoint", f"mqtts://localhost:{world.port}",
        "--client-cert", world.client_chain, "--client-key", world.client_key])


class MqttDevice:
    def __init__(self, processes, package, program, state, world):
        argv = [program, state.state, "localhost", world.broker.port, world.client_chain,
                world.client_key, NAME]
        self.process = processes.start([str(a) for a in argv], "mqtt_device", package.environment())

    @property
    def lines(self):
        return self.process.out.splitlines()

    def count(self, words):
        return sum(line.startswith(words) for line in self.lines)

    def wait_for(self, words, times=1):
        self.process.wait_for(lambda: self.count(words) >= times, f"{times} times: {words}")

    def update(self, version):
        """Have it look now, unless its first check came before, and see the broker hear of the new
        roots over the same connection. Those from the factory are generation 1."""
        self.process.signal(signal.SIGUSR1)
        self.wait_for(f"roots: updated to version {version}")
        self.wait_for(f"session: the broker knows of generation {version + 1}")

    def stop(self):
        assert self.process.stop() == 0, self.process.err
        assert self.process.err == ""


def assert_one_unbroken_connection(broker):
    log = broker.log_of(NAME)
    assert sum("New client connected" in line for line in log) == 1, log
    assert not [line for line in log if "disconnected" in line or "closed" in line], log


# ---- the rotation -----------------------------------------------------------------------------------

@pytest.mark.parametrize("build", BUILDS)
def test_a_broker_moves_to_a_new_root_and_no_reconnect_fails(package, world, processes, publisher,
                                                             state, folder, build):
    program = BUILDS[build](package, folder)
    publisher.add(*world.roots(world.old))
    world.start_broker(world.old)
    device = MqttDevice(processes, package, program, state, world)
    device.wait_for("session: the broker knows")
    device.update(1)

    # Both roots, while it is connected: only the trust store notices.
    publisher.add(*world.roots(world.old, world.new))
    device.update(2)
    assert_one_unbroken_connection(world.broker)

    # The broker moves. The device comes back by itself.
    world.start_broker(world.new)
    device.wait_for("session: connected", 2)
    assert device.count(NOT_TRUSTED) == 0

    # The old root goes, on purpose, again without a broken connection.
    publisher.add(*world.roots(world.new), options=["--drop", "all"])
    device.update(3)
    assert_one_unbroken_connection(world.broker)
    assert device.count(NOT_TRUSTED) == 0
    active = state.status()["active"]
    assert active["version"] == 3
    assert ["New Root" in root["subject"] for root in active["roots"]] == [True]

    # Who still comes with the old one is refused and learns nothing.
    world.start_broker(world.old)
    device.wait_for("session: what the broker showed is not valid: ")
    device.wait_for(NOT_TRUSTED)
    assert device.count("session: connected") == 2
    assert world.broker.log_of(NAME) == []

    world.start_broker(world.new)
    device.wait_for("session: connected", 3)
    device.stop()


# ---- two Mbed TLS in one program --------------------------------------------------------------------

# What a library that came with a Mbed TLS of its own brings into the program.
ANOTHER_MBEDTLS = """
#include <stdlib.h>
#define ANOTHER(name) void name(void); void name(void) { abort(); }
ANOTHER(psa_crypto_init)
ANOTHER(mbedtls_ssl_config_init)
ANOTHER(mbedtls_ssl_handshake)
ANOTHER(mbedtls_x509_crt_parse_der)
ANOTHER(mbedtls_sha256)
"""


@pytest.mark.parametrize("build", ["pkg-config", "pkg-config holdfast-static"])
def test_another_mbedtls_in_the_same_program_is_not_mistaken_for_ours(package, world, processes,
                                                                      publisher, state, folder, build):
    another = folder / "another.c"
    another.write_text(ANOTHER_MBEDTLS)
    program = BUILDS[build](package, folder, another)
    publisher.add(*world.roots(world.old))
    world.start_broker(world.old)
    device = MqttDevice(processes, package, program, state, world)
    device.wait_for("session: the broker knows")
    device.update(1)
    device.stop()
