"""Endless data over real sockets: an answer ends when it has been too long, and no later."""
import pytest

from hostile import STAGES
from net_servers import raw

OK = b"HTTP/1.1 200 OK\r\n"
MANY = 1 << 24  # bytes: more than sockets hold back on their own
BLOCK = b"x" * 65536


class Endless:
    """A respond function that sends `first` and then `again` until the device has had enough."""

    def __init__(self, first, again):
        self.first, self.again, self.n_sent = first, again, 0

    def __call__(self, conn, _request, _number):
        conn.sendall(self.first)
        while self.n_sent < 8 * MANY:
            conn.sendall(self.again)
            self.n_sent += len(self.again)
        return False


def check_refused(scene, stage, endless, *words):
    scene.answers(stage, endless)
    scene.refuses(stage, "limit", *words)
    assert endless.n_sent < MANY
    scene.is_over()


BODIES = {
    "until the connection ends": (b"HTTP/1.0 200 OK\r\n\r\n", BLOCK, "is longer than the"),
    "in chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + BLOCK + b"\r\n",
                  "is longer than the"),
    "in one chunk of 2^63 - 1 bytes": (OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
                                       BLOCK, "is longer than the"),
    "of a known length": (OK + b"Content-Length: 1000000000000\r\n\r\n", BLOCK,
                          "announces 1000000000000 bytes"),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("case", BODIES)
def test_endless_body(scene, stage, case):
    first, again, says = BODIES[case]
    check_refused(scene, stage, Endless(first, again), says)


HEADS = {
    "status line": (b"HTTP/1.1 200 ", BLOCK),
    "header name": (OK, BLOCK),
    "header value": (OK + b"X: ", BLOCK),
    "headers": (OK, b"X: y\r\n" * 1000),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "chunk extension": (OK + b"Transfer-Encoding: chunked\r\n\r\n5;x=", BLOCK),
    "trailers": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
    "chunk size": (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
}


@pytest.mark.parametrize("case", HEADS)
def test_endless_headers(scene, case):
    check_refused(scene, "timestamp", Endless(*HEADS[case]), "headers are longer than 16384 bytes")


def test_endless_chunks_of_one_byte(scene):
    check_refused(scene, "timestamp",
                  Endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 1000),
                  "is longer than the 16384 bytes")


def test_endless_error_page(scene):
    """Its status is all that counts: it is not read to its end, and it stays what it says."""
    page = Endless(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + BLOCK + b"\r\n")
    scene.answers("timestamp", page)
    scene.refuses("timestamp", "network", "found HTTP 500")
    assert page.n_sent < MANY
    scene.is_over()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x-gzip", "identity, gzip"])
def test_endless_data_in_a_few_bytes(scene, encoding):
    """A compressed body could unpack to anything; none was asked for."""
    scene.answers("timestamp", raw(OK + f"Content-Encoding: {encoding}\r\n".encode() +
                                   b"Content-Length: 3\r\n\r\nxyz"))
    scene.refuses("timestamp", "network", "a content encoding although none was accepted")
    scene.is_over()
