"""Where an answer ends: header smuggling, wrong Content-Length, chunked bodies, and servers that stop
in the middle. The file inside is genuine each time: only how it is sent is not."""
import socket
import struct

import pytest

from hostile import STAGES
from net_servers import answer, raw

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked"


def head(*lines):
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def length(n):
    return b"Content-Length: %d" % n


def chunks(body, last=b"0\r\n\r\n"):
    half = len(body) // 2
    return b"".join(b"%x\r\n%s\r\n" % (len(b), b) for b in (body[:half], body[half:])) + last


def both_stages(cases):
    """Each case for a file whose length is not known before, and for one whose length is signed."""
    return pytest.mark.parametrize(
        ("case", "stage"), [(c, s) for c in cases for s in ("timestamp", "bundle")])


# ---- header smuggling ----------------------------------------------------------------------------

SMUGGLED = {
    "length and chunked": lambda b: head(length(len(b)), CHUNKED) + chunks(b),
    "chunked and length": lambda b: head(CHUNKED, length(len(b))) + chunks(b),
    "chunked and its own length": lambda b: head(CHUNKED, length(len(chunks(b)))) + chunks(b),
    "two lengths": lambda b: head(length(len(b)), length(len(b) + 1)) + b,
    "the right length second": lambda b: head(length(3), length(len(b))) + b,
    "the same length twice": lambda b: head(length(len(b)), length(len(b))) + b,
    "a list of lengths": lambda b: head(b"Content-Length: %d, %d" % (len(b), len(b))) + b,
    "a blank before the colon": lambda b: head(b"Content-Length : %d" % len(b)) + b,
    "a blank before the name": lambda b: head(b"X: y", b" Content-Length: 3", length(len(b)), b"\tX: y") + b,
    "a carriage return in a value": lambda b: head(b"X: y\rContent-Length: 3", length(len(b))) + b,
    "a NUL in a value": lambda b: head(b"X: y\0z", length(len(b))) + b,
    "a NUL in a name": lambda b: head(b"Content-Length\0: 3", length(len(b))) + b,
    "a line without a colon": lambda b: head(b"Content-Length", length(len(b))) + b,
    "two encodings": lambda b: head(CHUNKED, b"Transfer-Encoding: identity") + chunks(b),
    "two encodings in a line": lambda b: head(b"Transfer-Encoding: identity, chunked") + chunks(b),
    "an encoding that sounds like one": lambda b: head(b"Transfer-Encoding: xchunked") + chunks(b),
    "chunked, and then something else": lambda b: head(b"Transfer-Encoding: chunked, gzip") + chunks(b),
    "an encoding with a vertical tab": lambda b: head(b"Transfer-Encoding: \x0bchunked") + chunks(b),
    "a second answer behind the first": lambda b: head(length(len(b))) + b + head(length(4)) + b"evil",
    "another version": lambda b: b"HTTP/2.0 200 OK\r\n" + length(len(b)) + b"\r\n\r\n" + b,
    "a version without end": lambda b: b"HTTP/1.11 200 OK\r\n" + length(len(b)) + b"\r\n\r\n" + b,
    "a status without end": lambda b: b"HTTP/1.1 2000 OK\r\n" + length(len(b)) + b"\r\n\r\n" + b,
    "no header at all": lambda b: b,
}


@both_stages(SMUGGLED)
def test_header_smuggling(scene, case, stage):
    scene.answers(stage, raw(SMUGGLED[case](scene.genuine(stage))))
    scene.refuses(stage, "network")
    scene.is_over()


def test_header_smuggling_behind_an_answer_without_body(scene):
    """What is taken for the end of the first answer must not be read as the second one."""
    forged = head(length(4)) + b"evil"
    scene.answers("root", raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" + forged, keep=True))
    scene.refuses("root", "network", f"{len(forged)} bytes follow the end of the answer")
    scene.is_over()


def test_header_smuggling_into_another_protocol(scene):
    """What follows is no HTTP any more, or is it?"""
    change = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    body = scene.genuine("timestamp")
    scene.answers("timestamp", raw(change + head(length(len(body))) + body))
    scene.refuses("timestamp", "network", "changes the protocol")
    scene.is_over()


@pytest.mark.parametrize("tag", ['"a b"', '"a\tb"', '"' + "x" * 200 + '"', '"\xe9 x"'])
def test_header_smuggling_by_an_entity_tag_that_is_sent_back(scene, tag):
    body = scene.genuine("timestamp")
    scene.answers("timestamp", raw(head(b"ETag: " + tag.encode("latin-1"), length(len(body))) + body))
    scene.answers("snapshot", answer(b"", "503 Busy"))
    scene.refuses("snapshot", "network", "503")
    seen = len(scene.site.requests)
    scene.is_over()
    assert not any(b"If-None-Match" in request for request in scene.site.requests[seen:])


# ---- wrong Content-Length ------------------------------------------------------------------------

LENGTHS = {
    "one too many": (lambda n: b"%d" % (n + 1), "network", "in the middle of its answer"),
    "one too few": (lambda n: b"%d" % (n - 1), "network", "1 bytes follow the end"),
    "none": (lambda n: b"0", "network", "bytes follow the end"),
    "empty": (lambda n: b"", "network", ""),
    "negative": (lambda n: b"-%d" % n, "network", "not proper HTTP"),
    "with a sign": (lambda n: b"+%d" % n, "network", "not proper HTTP"),
    "hexadecimal": (lambda n: b"0x%x" % n, "network", "not proper HTTP"),
    "with a blank": (lambda n: b"%d %d" % (n // 10, n % 10), "network", "not proper HTTP"),
    "with a fraction": (lambda n: b"%d.0" % n, "network", "not proper HTTP"),
    "2^64 and that many": (lambda n: b"%d" % (2**64 + n), "network", "not proper HTTP"),
    "2^64 - 1": (lambda n: b"%d" % (2**64 - 1), "limit", "announces 18446744073709551615 bytes"),
    "2^63": (lambda n: b"%d" % 2**63, "limit", "announces 9223372036854775808 bytes"),
}


@both_stages(LENGTHS)
def test_wrong_content_length(scene, case, stage):
    value, error, says = LENGTHS[case]
    body = scene.genuine(stage)
    if (case, stage) == ("one too many", "bundle"):
        error, says = "limit", "at most"  # more than was signed
    scene.answers(stage, raw(head(b"Content-Length: " + value(len(body))) + body))
    scene.refuses(stage, error, says)
    scene.is_over()


# ---- chunked bodies ------------------------------------------------------------------------------

CHUNKS = {
    "a size that is none": lambda b: b"x\r\n" + b,
    "a size with a prefix": lambda b: b"0x%x\r\n%s\r\n0\r\n\r\n" % (len(b), b),
    "a size with a sign": lambda b: b"+%x\r\n%s\r\n0\r\n\r\n" % (len(b), b),
    "a negative size": lambda b: b"-1\r\n" + chunks(b),
    "a size beyond 64 bits": lambda b: b"1%016x\r\n%s\r\n0\r\n\r\n" % (len(b), b),
    "a size with a blank before it": lambda b: b" " + chunks(b),
    "an empty size": lambda b: b"\r\n" + chunks(b),
    "more than its size": lambda b: b"%x\r\n%s\r\n0\r\n\r\n" % (len(b) - 1, b),
    "less than its size": lambda b: b"%x\r\n%s\r\n0\r\n\r\n" % (len(b) + 1, b),
    "no end of line behind it": lambda b: b"%x\r\n%s0\r\n\r\n" % (len(b), b),
    "no last chunk": lambda b: chunks(b, last=b""),
    "no end of the last chunk": lambda b: chunks(b, last=b"0\r\n"),
    "something behind the last chunk": lambda b: chunks(b) + b"evil",
    "a trailer that is none": lambda b: chunks(b, last=b"0\r\nevil\r\n\r\n"),
}


@both_stages(CHUNKS)
def test_chunked_body(scene, case, stage):
    scene.answers(stage, raw(head(CHUNKED) + CHUNKS[case](scene.genuine(stage))))
    before = "limit" if (case, stage) == ("less than its size", "bundle") else "network"
    scene.refuses(stage, before)
    scene.is_over()


def test_chunked_body_whose_trailer_redefines_it(scene):
    """What stands behind a body says nothing about it any more; the file itself is genuine."""
    # no Content-Length here: later versions of llhttp refuse that one by themselves
    last = b"0\r\nETag: \"evil\"\r\nLocation: file:///etc/passwd\r\n\r\n"
    scene.answers("timestamp", raw(head(CHUNKED) + chunks(scene.genuine("timestamp"), last), keep=True))
    scene.answers("snapshot", answer(b"", "503 Busy"))
    scene.refuses("snapshot", "network", "503")
    assert not scene.value("etag.timestamp")
    scene.is_over()


# ---- a server that stops mid-byte ----------------------------------------------------------------

def cut_points(stage_bytes):
    whole = head(length(len(stage_bytes))) + stage_bytes
    start = len(whole) - len(stage_bytes)
    return {"before its answer": (whole[:0], "without an answer"),
            "in its first byte": (whole[:1], "in the middle of its answer"),
            "in its headers": (whole[:start - 3], "in the middle of its answer"),
            "before the body": (whole[:start], "in the middle of its answer"),
            "in the body": (whole[:start + len(stage_bytes) // 2], "in the middle of its answer"),
            "before the last byte": (whole[:-1], "in the middle of its answer")}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("where", cut_points(b""))
def test_server_that_stops_mid_byte(scene, stage, where):
    body = b"{}" if stage == "root" else scene.genuine(stage)
    data, says = cut_points(body)[where]
    scene.answers(stage, raw(data))
    scene.refuses(stage, "network", says)
    scene.is_over()


def test_server_that_resets_the_connection(scene):
    def reset(conn, _request, _number):
        conn.sendall(head(length(100)) + b"{")
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    scene.answers("timestamp", reset)
    scene.refuses("timestamp", "network")
    scene.is_over()
