"""Clients that are half open, slow, or speak something else, by the thousand, at each listener of the fleet service:
bounded memory, and everyone else is served."""
import re
import resource
import signal
import socket
import ssl

import pytest

from kit import compromise, roots
from kit.compromise import A
from kit.service import HOST

MANY = 2000
ADMIN_CONNECTIONS_MAX = 256


@pytest.fixture
def service(processes, folder, publisher):
    """Short patience, so that the test need not have much."""
    publisher.add(*roots.amazon(1))
    made = compromise.start(processes, folder, publisher, server__loops=2, server__max_per_address=100000,
                            server__header_timeout="2s")
    yield made
    assert made.server.stop() == 0
    made.signer.stop()


@pytest.fixture(autouse=True)
def enough_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def memory_kb(service):
    with open(f"/proc/{service.server.popen.pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def is_served(client):
    """A device over TLS, an operator by each way, an act that is written."""
    assert client.device_call("GET", "/v1/whoami", sni=HOST).status == 200
    assert client.get("/v1/accounts").status == 200
    assert client.call("POST", f"{A}/enroll-tokens", {}).status == 201


def tcp(address):
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=20)


OPENINGS = {
    "silent": lambda i: b"",
    "half a hello": lambda i: client_hello()[:20 + i % 200],
    "garbage": lambda i: bytes([i % 256]) * (1 + i % 3000),
    "plain HTTP": lambda i: b"POST /v1/enroll HTTP/1.1\r\nContent-Length: 60000\r\n\r\n",
}


@pytest.mark.parametrize("opening", OPENINGS)
def test_thousands_that_never_finish_a_handshake(service, client, opening):
    is_served(client)
    before, held = memory_kb(service), []
    for i in range(MANY):
        held.append(tcp(client.device))
        try:
            held[-1].sendall(OPENINGS[opening](i))
        except OSError:
            pass  # it has been turned away already
        if i % 500 == 499:
            is_served(client)
    grown = memory_kb(service) - before
    for s in held:
        s.close()
    print(f"{opening}: {grown / MANY:.1f} KB each")
    assert grown < MANY * 60  # what OpenSSL needs for a handshake
    is_served(client)


HEADER = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 192, 0, 2, 1, 0x9C, 0x40, 0x20, 0xFB])


def through_the_balancer(client):
    """The status of a request of a device behind a balancer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    s = tcp(client.device)
    s.sendall(HEADER)
    with context.wrap_socket(s, server_hostname=HOST) as tls:
        tls.sendall(f"GET /metadata/timestamp.json HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        return tls.recv(4096)[:12]


PROXY_HEADERS = {
    "half": lambda i: HEADER[:1 + i % (len(HEADER) - 1)],
    "one that announces all that there is room for": lambda i: HEADER[:14] + (2032).to_bytes(2, "big") + bytes(i % 2031),
    "one that announces too much": lambda i: HEADER[:14] + b"\xff\xff" + bytes(i % 3000),
    "whole, and nothing behind it": lambda i: HEADER,
}


@pytest.mark.parametrize("header", PROXY_HEADERS)
def test_thousands_behind_a_balancer_that_never_finish(service, client, header):
    service.settings["devices"]["balancer"] = "127.0.0.0/8"
    service.write_config()
    service.server.signal(signal.SIGHUP)
    service.server.wait_for(lambda: "[devices] balancer has changed: it counts from now on" in service.server.err, "reloads")
    assert through_the_balancer(client) == b"HTTP/1.1 200"
    before, held = memory_kb(service), []
    for i in range(MANY):
        held.append(tcp(client.device))
        try:
            held[-1].sendall(PROXY_HEADERS[header](i))
        except OSError:
            pass  # it has been turned away already
        if i % 500 == 499:
            assert through_the_balancer(client) == b"HTTP/1.1 200"
    grown = memory_kb(service) - before
    for s in held:
        s.close()
    assert grown < MANY * 8  # 2 KiB of a header, and the connection
    assert through_the_balancer(client) == b"HTTP/1.1 200"


def established(client, n):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return [context.wrap_socket(tcp(client.device), server_hostname=HOST) for _ in range(n)]


def test_hundreds_of_slow_bodies_from_devices(service, client):
    """Each has sent its head and half of a body: 16 KiB at most are held of each."""
    head = (f"POST /v1/enroll HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
            "Content-Length: 10000\r\n\r\n")
    slow = established(client, 300)
    before = memory_kb(service)
    for s in slow:
        s.sendall(head.encode() + b" " * 5000)
    is_served(client)
    grown = memory_kb(service) - before
    assert grown < 300 * 64
    slow[-1].sendall(b" " * 5000)  # one that goes on is answered
    assert slow[-1].recv(4096).startswith(b"HTTP/1.1 400 ")
    # A body that is too long is refused by its head, before a byte of it is kept.
    s, = established(client, 1)
    s.sendall(head.replace("10000", "100000000").encode())
    assert s.recv(4096).startswith(b"HTTP/1.1 413 ")
    for s in slow:
        s.close()


def local(client):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(str(client.socket))
    return s


def test_a_full_admin_socket_leaves_the_others_alone(service, client):
    """As many clients as it takes, each with half a request. Devices, and operators at the port, do not notice; and
    when their time is over, the socket is free again."""
    token = client.call("POST", "/v1/tokens", {"name": "ops", "role": "admin"}).json["token"]
    before, held = memory_kb(service), []
    head = b"POST /v1/accounts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    for i in range(ADMIN_CONNECTIONS_MAX):
        held.append(local(client))
        held[-1].sendall(head[:10 + i % 60])
    assert client.device_call("GET", "/v1/whoami", sni=HOST).status == 200
    assert client.get("/v1/accounts", token=token).status == 200
    assert memory_kb(service) - before < 64 * ADMIN_CONNECTIONS_MAX
    assert client.get("/v1/accounts").status == 200  # waits until the slow ones are told 408
    assert held[0].recv(4096).startswith(b"HTTP/1.1 408 ")
    for s in held:
        s.close()


@pytest.mark.parametrize("raw, status", [
    (b"\x16\x03\x01\x02\x00\x01\x00", 400), (b"\0" * 5000, 400), (b"GET /" + b"a" * 20000, 414),
    (b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000, 431)])
def test_garbage_at_the_admin_socket(client, raw, status):
    for _ in range(50):
        with local(client) as s:
            s.sendall(raw)
            assert s.recv(4096).startswith(f"HTTP/1.1 {status} ".encode())
    is_served(client)


def test_half_open_connections_at_the_admin_port(client):
    """They are as many as it takes; the Unix socket has its own loop, and the port is free again when they timed out."""
    token = client.call("POST", "/v1/tokens", {"name": "ops", "role": "admin"}).json["token"]
    held = [tcp(client.admin) for _ in range(ADMIN_CONNECTIONS_MAX * 2)]
    is_served(client)
    assert client.get("/v1/accounts", token=token).status == 200
    for s in held:
        s.close()
