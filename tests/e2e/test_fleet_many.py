"""Many real agents at once: enrol, update, rotate, a device CA replaced, one shut out in the middle of a connection.
20 agents in a short run, 200 in a long one."""
import concurrent.futures
import os
import socket
import ssl
import time

import pytest

from kit import programs, roots
from kit.service import HOST, Service

N = 200 if os.environ.get("HOLDFAST_LONG") else 20
AT_ONCE = 8


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher).start()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


def all_at_once(do, things):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(do, things))


def ok(device, *words):
    return programs.ok("holdfast", "--state", device.state, *words).out.strip()


def enrolled(service, token_file):
    def one(i):
        device = service.device(f"pump-{i}")
        ok(device, "enroll", "--token-file", token_file)
        return device
    return one


def open_connection(service, device):
    """TLS with the device's certificate, kept open."""
    context = ssl.create_default_context(cafile=service.server_ca)
    current = device.state / "identity" / "current"
    context.load_cert_chain(current / "certificate.pem", current / "key.pem")
    plain = socket.create_connection(("127.0.0.1", service.port), timeout=10)
    return context.wrap_socket(plain, server_hostname=HOST)


def answered(connection, path="/v1/whoami"):
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    return connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_fleet_through_its_life(service, publisher, folder):
    token_file = folder / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(service.token("--uses", str(N)))

    # Enrol with one token, each once.
    devices = all_at_once(enrolled(service, token_file), range(N))
    credentials = service.credentials()
    assert len(credentials) == N and {c["status"] for c in credentials} == {"ACTIVE"}
    assert {c["device"] for c in credentials} == {f"pump-{i}" for i in range(N)}
    late = service.device("late")
    assert programs.call("holdfast", "--state", late.state, "enroll", "--token-file",
                         token_file).code == 1

    # Update over mutual TLS.
    assert set(all_at_once(lambda d: d.update(), devices)) == {"updated amazon-iot/full none -> 1"}

    # Rotate while others update.
    def rotate_or_update(i):
        return ok(devices[i], "rotate") if i % 2 else devices[i].update()
    said = all_at_once(rotate_or_update, range(N))
    assert all(s.startswith("rotated ") for s in said[1::2])
    assert set(said[::2]) == {"current amazon-iot/full 1"}
    assert len(service.credentials()) == N + N // 2

    # Another device CA issues from now on. Certificates of the first stay good, and rotate to the second.
    programs.ok("holdfast-signer", "ca", "new", "ca-2", "--account", "pumps", "--config", service.config)
    service.admin("ca", "register", "--account", "pumps", "--signer-ca", "ca-2")
    assert set(all_at_once(lambda d: d.update(), devices)) == {"current amazon-iot/full 1"}
    ok(devices[0], "rotate")
    issuer = (devices[0].state / "identity" / "current" / "certificate.pem").read_text()
    assert (folder / "service" / "signer" / "device-ca" / "ca-2.pem").read_text().strip() in issuer
    assert devices[0].update() == "current amazon-iot/full 1"

    # One is stolen: its open, idle connection ends within a second, the others go on.
    stolen, honest = open_connection(service, devices[1]), open_connection(service, devices[2])
    assert answered(stolen) and answered(honest)
    began = time.monotonic()
    for one in service.credentials("--device", "pump-1"):
        if one["status"] == "ACTIVE":
            service.admin("credential", "revoke", "--account", "pumps", one["sha256"])
    revoked_after = time.monotonic() - began
    stolen.settimeout(5)
    try:
        rest = stolen.recv(1)
    except ssl.SSLError:
        rest = b""
    assert rest == b""
    assert time.monotonic() - began - revoked_after <= 1.0
    assert answered(honest)
    outcome = programs.call("holdfast", "--state", devices[1].state, "update")
    assert outcome.code != 0 and "certificate_revoked" in outcome.err
    service.admin("log", "export")  # its chain verifies while it is printed
