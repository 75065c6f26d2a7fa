"""Slow retrieval: a server that keeps a device waiting is left, however it does it. hf-fetch is the
device's transport with the patience of a test; limits.h has the real one (15, 20 and 120 s)."""
import subprocess
import time

import pytest

import agent
import net_pki
from net_servers import RawServer, answer, tls_context

FETCH = agent.BIN.resolve().parent / "tests" / "hf-fetch"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


LONG_MS = 60000  # what does not matter in a test must not end it, however slow the machine is


def refused(url, *words, connect_ms=LONG_MS, idle_ms=LONG_MS, total_ms=LONG_MS, options=()):
    """Given up when its time is over, with nothing to show for it; returns how long it took. Servers
    here wait until the device has closed, so that only the device can end it."""
    start = time.monotonic()
    done = subprocess.run(
        [FETCH, f"--connect-ms={connect_ms}", f"--idle-ms={idle_ms}", f"--total-ms={total_ms}",
         *options, url],
        capture_output=True, text=True, timeout=LONG_MS / 1000, env=agent.environment(), check=False)
    took = time.monotonic() - start
    assert (done.returncode, done.stdout) == (1, "network\n"), done
    for word in (url.split("?")[0], *words):
        assert word in done.stderr
    return took


# ---- a server that goes silent -------------------------------------------------------------------

STOPS = {
    "before its answer": b"",
    "in the status line": b"HTTP/1.1 2",
    "in the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "before the body": HEAD,
    "in the body": HEAD + b"x" * 5000,
    "in the size of a chunk": CHUNKED + b"5",
    "in a chunk": CHUNKED + b"5\r\nhel",
    "before the last chunk": CHUNKED + b"5\r\nhello\r\n",
    "in the trailers": CHUNKED + b"0\r\nX: ",
    "behind an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\n",
}


@pytest.mark.parametrize("where", STOPS)
def test_server_that_stops_mid_byte_and_stays(where):
    def stop(conn, _request, _number):
        conn.sendall(STOPS[where])
        conn.recv(1)  # nothing but the end
        return False

    with RawServer(stop) as s:
        refused(s.url("/timestamp.json"), "nothing came for 0.3 seconds", idle_ms=300)


def test_server_that_never_reads():
    with RawServer(silent=True) as s:
        refused(s.url("/timestamp.json"), "nothing came for 0.3 seconds", idle_ms=300)


# ---- slow retrieval ------------------------------------------------------------------------------

DRIPS = {
    "the body": (HEAD, b"x"),
    "the status line": (b"HTTP/1.1 200 ", b"x"),
    "the headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
    "the extension of a chunk": (CHUNKED + b"5;x=", b"x"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "an error page": (HEAD.replace(b"200 OK", b"500 Oops"), b"x"),
}


@pytest.mark.parametrize("what", DRIPS)
def test_slow_retrieval(what):
    """Always a byte in time, never an end."""
    first, again = DRIPS[what]

    def drip(conn, _request, _number):
        conn.sendall(first)
        while True:
            conn.sendall(again)
            time.sleep(0.05)

    with RawServer(drip) as s:
        assert refused(s.url("/timestamp.json"), "longer than 0.9 seconds",
                       total_ms=900) >= 0.9


def test_slow_retrieval_by_way_of_redirects():
    """The time of a request is one for all the places that it is sent to."""
    def slow(conn, request, number):
        time.sleep(0.25)
        return answer(b"", "302 Found", ["Location: /again"], keep=False)(conn, request, number)

    with RawServer(slow) as s:
        refused(s.url("/again"), "longer than 0.6 seconds", total_ms=600)
        assert len(s.requests) < 4


def test_slow_handshake():
    with RawServer(silent=True) as s:
        refused(s.url("/timestamp.json").replace("http:", "https:"), "0.4 seconds", connect_ms=400)


# ---- a server that never lets the device wait ----------------------------------------------------

def flood(first, again):
    def respond(conn, _request, _number):
        conn.sendall(first)
        while True:
            conn.sendall(again)

    return respond


def test_flood_over_tls_ends_in_time(tmp_path):
    """There is always a record at hand, so nothing is waited for; the time counts all the same."""
    now = net_pki.datetime.datetime.now()
    day = net_pki.DAY
    root = net_pki.Authority("Root", start=now - day, end=now + day)
    cert, key = root.leaf("127.0.0.1", start=now - day, end=now + day)
    context = tls_context(net_pki.write_pem(tmp_path / "leaf.pem", cert),
                          net_pki.write_key(tmp_path / "leaf.tmpkey", key))
    store = net_pki.write_pem(tmp_path / "root.pem", root.cert)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n"
    with RawServer(flood(head, b"x" * (1 << 20)), tls=context) as s:
        refused(s.url("/timestamp.json"), "longer than 4 seconds", total_ms=500,
                options=[f"--store={store}", "--max-bytes=4000000000"])


def test_flood_in_the_handshake_ends_in_time():
    """Warnings are passed over one after the other within a single call of Mbed TLS."""
    warning = b"\x15\x03\x03\x00\x02\x01\x5a"

    class Flooding(RawServer):
        def _serve(self, conn):
            conn.recv(65536)
            try:
                flood(b"", warning * 10000)(conn, None, None)
            except OSError:
                conn.close()

    with Flooding() as s:
        refused(s.url("/timestamp.json").replace("http:", "https:"), "0.4 seconds", connect_ms=400)
