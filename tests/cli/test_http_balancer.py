"""PROXY protocol 2 from balancers, and Unix-domain sockets: who the client is."""
import json
import os
import socket
import struct
import subprocess
import time

import pytest

from tls_serve import SERVE, Pair, TlsServe, ask, client_context, closed_after

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
REQUEST = b"GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n"


def header(client="192.0.2.7", port=40124, command=0x21, fields=b""):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    here = "2001:db8::1" if ":" in client else "192.0.2.1"
    body = socket.inet_pton(family, client) + socket.inet_pton(family, here) + struct.pack(">HH", port, 443) + fields
    return SIGNATURE + bytes([command, 0x21 if ":" in client else 0x11]) + struct.pack(">H", len(body)) + body


def is_refused(s):
    s.settimeout(30)
    try:
        return s.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def plain():
    with TlsServe("--balancer", "127.0.0.0/8", "--header-ms", 2000, "--per-address", 3) as serve:
        yield serve


@pytest.mark.parametrize("client, text", [("192.0.2.7", "192.0.2.7:40124"), ("2001:db8::7", "[2001:db8::7]:40124")])
def test_the_client_behind_a_balancer_is_the_peer(plain, client, text):
    with plain.tcp() as s:
        s.sendall(header(client, fields=b"\x02\0\x04name"))
        for _ in range(2):
            assert ask(s)["peer"] == text


def test_a_header_may_come_byte_by_byte_and_with_the_request(plain):
    with plain.tcp() as s:
        for byte in header():
            s.sendall(bytes([byte]))
            time.sleep(0.01)
        assert ask(s)["peer"] == "192.0.2.7:40124"
    with plain.tcp() as s:
        s.sendall(header() + REQUEST)
        assert b'"peer": "192.0.2.7:40124"' in s.recv(65536)


def test_the_balancers_own_connections_keep_its_address(plain):
    with plain.tcp() as s:
        s.sendall(SIGNATURE + b"\x20\0\0\0")
        assert ask(s)["peer"] == f"127.0.0.1:{s.getsockname()[1]}"


@pytest.mark.parametrize("first", [REQUEST, b"PROXY TCP4 192.0.2.7 192.0.2.1 40124 443\r\n" + REQUEST, b"\x16\x03\x01",
                                   header()[:13] + b"\x12\0\x0c" + header()[16:],
                                   SIGNATURE + b"\x21\x11\xff\xff" + bytes(3000), header(fields=b"\x02\xff\xff")])
def test_from_a_balancer_a_header_is_required(plain, first):
    with plain.tcp() as s:
        s.sendall(first)
        assert is_refused(s)


def test_a_header_that_does_not_come_has_a_time(plain):
    with plain.tcp() as s:
        s.sendall(header()[:20])
        assert 1 < closed_after(s, 20) < 6


def test_connections_of_the_real_client_are_counted(plain):
    """Not those of the balancer, which has them all."""
    open_ones = []
    for i in range(12):
        s = plain.tcp()
        s.sendall(header(f"192.0.2.{1 + i % 4}"))
        assert ask(s)["peer"].startswith(f"192.0.2.{1 + i % 4}:")
        open_ones.append(s)
    with plain.tcp() as s:
        s.sendall(header("192.0.2.1"))
        assert is_refused(s)
    open_ones[0].close()
    time.sleep(0.5)
    with plain.tcp() as s:
        s.sendall(header("192.0.2.1"))
        assert ask(s)["peer"].startswith("192.0.2.1:")
    for s in open_ones:
        s.close()


def test_from_other_addresses_a_header_is_no_request():
    with TlsServe("--balancer", "192.0.2.0/24") as serve:
        with serve.tcp() as s:
            assert ask(s)["peer"].startswith("127.0.0.1:")
        with serve.tcp() as s:
            s.sendall(header() + REQUEST)
            assert s.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_tls_behind_a_balancer(tmp_path):
    log = tmp_path / "log"
    pair = Pair(tmp_path, "server", names=["dev.test"])
    with TlsServe("--balancer", "127.0.0.1", "--access-log", log, pairs=[pair]) as serve:
        for version in ("1.2", "1.3"):
            s = serve.tcp()
            s.sendall(header())
            with client_context(version=version).wrap_socket(s, server_hostname="dev.test") as c:
                whoami = ask(c)
                assert (whoami["peer"], whoami["sni"]) == ("192.0.2.7:40124", "dev.test")
        with serve.tcp() as s:  # LOCAL, then TLS that comes later
            s.sendall(SIGNATURE + b"\x20\0\0\0")
            time.sleep(0.3)
            with client_context().wrap_socket(s, server_hostname="dev.test") as c:
                assert ask(c)["peer"].startswith("127.0.0.1:")
        with serve.tcp() as s:  # TLS without a header
            s.sendall(b"\x16\x03\x01\x02\0")
            assert is_refused(s)
    peers = [json.loads(line)["peer"] for line in log.read_text().splitlines()]
    assert peers[:2] == ["192.0.2.7:40124"] * 2


# ---- Unix-domain sockets ---------------------------------------------------------------------------


def local(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(path))
    return s


def test_a_local_client_is_known_by_its_user(tmp_path):
    path, log = tmp_path / "admin.sock", tmp_path / "log"
    with TlsServe("--unix", path, "--access-log", log, "--per-address", 1, listen=None):
        assert os.stat(path).st_mode & 0o777 == 0o660
        with local(path) as a, local(path) as b:  # they are not counted by address
            assert ask(a) == ask(b) == {"peer": f"unix:uid={os.getuid()}"}
        done = subprocess.run(["curl", "-sS", "--unix-socket", path, "http://x/whoami"], capture_output=True, text=True)
        assert json.loads(done.stdout) == {"peer": f"unix:uid={os.getuid()}"}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {x["peer"] for x in lines} == {f"unix:uid={os.getuid()}"}


def test_a_socket_in_use_is_not_taken_and_a_stale_one_is(tmp_path):
    path = tmp_path / "admin.sock"
    with TlsServe("--unix", path, listen=None):
        done = subprocess.run([SERVE, "--unix", str(path)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "another server listens there" in done.stderr
        with local(path) as s:
            assert ask(s)["peer"].startswith("unix:")
    assert path.exists()  # as after a crash
    with TlsServe("--unix", path, listen=None), local(path) as s:
        assert ask(s)["peer"].startswith("unix:")
