"""A certificate that loses its right closes its connections within a second, whatever they are doing."""
import select
import ssl
import time

import pytest

from holdfastd_process import WAIT_S
from tls_serve import Pair, Rules, TlsServe, VERSIONS, ask, client_context, closed_after

both = pytest.mark.parametrize("version", VERSIONS)
WITHIN_S = 1.0


class World:
    def __init__(self, folder):
        self.rules = Rules(folder / "rules")
        self.device, self.other = Pair(folder, "device"), Pair(folder, "other")
        self.rules.certs.update({self.device.sha256: 0, self.other.sha256: 0})
        self.server = Pair(folder, "server", names=["dev.test"])

    def revoke(self):
        self.rules.certs[self.device.sha256] = 44
        self.serve.reload()


@pytest.fixture
def world(tmp_path):
    w = World(tmp_path)
    options = ("--body-prefix", "/echo", "--body-max", 1000, "--idle-ms", 600000)
    with TlsServe("--loops", "2", *options, rules=w.rules, pairs=[w.server]) as w.serve:
        yield w


def start(world, version, state):
    """A connection in that state."""
    c = world.serve.tls(pair=world.device, version=version)
    assert ask(c)["sha256"] == world.device.sha256
    if state == "head":
        c.sendall(b"GET /whoami HTTP/1.1\r\nHost:")
    elif state == "body":
        c.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    elif state == "answer":
        c.sendall(b"GET /late/2000 HTTP/1.1\r\nHost: x\r\n\r\n")
    elif state == "write":
        c.sendall(b"GET /big/20000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.3)
    return c


@both
@pytest.mark.parametrize("state", ["idle", "head", "body", "answer", "write"])
def test_open_connections_are_closed_within_a_second(world, version, state):
    with start(world, version, state) as c, world.serve.tls(pair=world.other, version=version) as other, \
            world.serve.tls(version=version) as anonymous:
        ask(other), ask(anonymous)
        world.revoke()
        assert closed_after(c) < WITHIN_S
        # Those of others, and without a certificate, go on.
        assert ask(other)["sha256"] == world.other.sha256
        assert ask(anonymous)["sha256"] == ""


@both
def test_the_next_request_is_not_answered(world, version):
    """At once, before any sweep: the request is on its way when the server hears of it."""
    for _ in range(10):
        with world.serve.tls(pair=world.device, version=version) as c:
            ask(c)
            world.revoke()
            answer = b""
            try:
                c.sendall(b"GET /whoami HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = c.recv(65536)
            except (ConnectionError, ssl.SSLError):
                pass
            assert answer == b""
        world.rules.certs[world.device.sha256] = 0
        world.serve.reload()


@both
def test_a_late_answer_is_dropped_and_the_loop_goes_on(world, version):
    with start(world, version, "answer") as c:
        world.revoke()
        assert closed_after(c) < WITHIN_S
    time.sleep(2)
    with world.serve.tls(version=version) as c:
        assert ask(c)["tag"] == 5


def test_a_thousand_connections_are_closed_within_a_second(world):
    context = client_context(world.device)
    connections = {}
    for _ in range(1000):
        c = world.serve.tls(context=context)
        ask(c)
        connections[c.fileno()] = c
    poll = select.poll()
    for fd in connections:
        poll.register(fd, select.POLLIN)
    world.revoke()
    begun, closed = time.monotonic(), 0
    while closed < len(connections):
        for fd, _ in poll.poll(WAIT_S * 1000):
            poll.unregister(fd)
            closed += 1
    taken = time.monotonic() - begun
    for c in connections.values():
        closed_after(c)
        c.close()
    assert taken < WITHIN_S
