"""What handlers of an API need: headers, statuses, bodies with a limit by path, 100 Continue."""
import json
import subprocess
import time

import pytest

from holdfastd_process import Client
from tls_serve import Pair, TlsServe


@pytest.fixture(scope="module")
def serve():
    with TlsServe("--body-prefix", "/echo", "--body-max", 100000) as s:
        yield s


def ask(serve, raw, is_head=False):
    with Client(serve.tcp()) as c:
        c.send(raw)
        return c.answer(is_head)


@pytest.mark.parametrize("status, phrase", [
    (201, "Created"), (202, "Accepted"), (401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"),
    (409, "Conflict"), (412, "Precondition Failed"), (415, "Unsupported Media Type"), (421, "Misdirected Request"),
    (422, "Unprocessable Content"), (428, "Precondition Required"), (429, "Too Many Requests"),
    (500, "Internal Server Error"), (503, "Service Unavailable")])
def test_statuses_with_headers_and_a_body(serve, status, phrase):
    with Client(serve.tcp()) as c:
        for _ in range(2):  # and the connection goes on
            c.send(f"GET /status/{status} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            a = c.answer()
            assert (a.status, a.phrase, a.body) == (status, phrase, b"{}\n")
            assert (a.headers["location"], a.headers["content-type"]) == ("/there", "application/json")
            assert a.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(serve, status):
    with serve.tcp() as s:
        request = f"GET /status/{status} HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.0\r\n\r\n"
        s.sendall(request.encode())
        data = b""
        while more := s.recv(65536):
            data += more
        first, second = data.split(b"\r\n\r\n")[:2]
        assert first.startswith(f"HTTP/1.1 {status} ".encode()) and b"Content-" not in first
        assert second.startswith(b"HTTP/1.1 200 OK\r\n")


def test_head_has_the_length_and_no_body(serve):
    a = ask(serve, b"HEAD /big/100000 HTTP/1.1\r\nHost: x\r\n\r\n", is_head=True)
    assert a.headers["content-length"] == "100000"


@pytest.mark.parametrize("size", [0, 8192, 8193, 200000])
def test_long_answers_come_whole_and_in_order(serve, size):
    with Client(serve.tcp()) as c:
        c.send((f"GET /big/{size} HTTP/1.1\r\nHost: x\r\n\r\n" * 3).encode())
        for _ in range(3):
            assert c.answer().body == (b"0123456789abcde\n" * (size // 16 + 1))[:size]


def test_headers_reach_the_handler(serve):
    a = ask(serve, b"GET /headers HTTP/1.1\r\nHost: ACME.example:8443 \t\r\nAuthorization: Bearer abc\r\nAccept: a/b\r\n"
                   b"Content-Type: text/plain\r\nIf-Match: \"7\"\r\nIdempotency-Key: k\r\nLast-Event-ID: 9\r\n"
                   b"Content-Digest: d\r\nSignature: s\r\nSignature-Input: i\r\n\r\n")
    assert a.body == b'host=ACME.example:8443;0=a/b;1=Bearer abc;2=d;3=text/plain;5=k;6="7";7=9;8=s;9=i'
    repeated = b"GET /headers HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"
    assert ask(serve, repeated).status == 400


def test_the_path_decides_about_bodies(serve):
    def post(target, length, method="POST"):
        return ask(serve, f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
                   + b"x" * length).status
    assert post("/echo", 100000) == 200
    assert post("/echo", 100001) == 413
    assert post("/other", 1) == 405
    assert post("/echo", 5, method="PUT") == 200
    assert ask(serve, b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").status == 411


@pytest.mark.parametrize("tls", [False, True])
def test_100_continue_comes_before_the_body_is_sent(serve, tmp_path, tls):
    pair = Pair(tmp_path, "server")
    with TlsServe("--body-prefix", "/echo", "--body-max", 100, pairs=[pair] if tls else []) as s:
        connection = s.tls() if tls else s.tcp()
        with Client(connection) as c:
            for _ in range(2):
                c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
                while not c.buffer.endswith(b"\r\n\r\n"):
                    assert c.more()
                assert c.buffer == b"HTTP/1.1 100 Continue\r\n\r\n"
                c.buffer = b""
                c.send(b"hello")
                assert c.answer().body == b"hello"


def test_who_sends_the_body_at_once_is_not_told_to(serve):
    a = ask(serve, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
    assert (a.status, a.body) == (200, b"hello")


def test_a_body_that_is_refused_is_not_asked_for(serve):
    for head, status in [(b"POST /echo HTTP/1.1\r\nContent-Length: 999999\r\nExpect: 100-continue\r\n", 413),
                         (b"POST /other HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n", 405),
                         (b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nExpect: cake\r\n", 417)]:
        a = ask(serve, head + b"Host: x\r\n\r\n")
        assert (a.status, a.headers["connection"]) == (status, "close")


def test_curl_sends_a_body_over_tls(tmp_path):
    pair = Pair(tmp_path, "server", names=["localhost"])
    body = tmp_path / "body"
    body.write_bytes(b"0123456789" * 10000)
    with TlsServe("--body-prefix", "/echo", "--body-max", 100000, pairs=[pair]) as serve:
        for version in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"]):
            out = subprocess.run(["curl", "-sS", *version, "--cacert", pair.chain, "--data-binary", f"@{body}", "-H",
                                  "Expect: 100-continue", f"https://localhost:{serve.port}/echo"], capture_output=True)
            assert (out.stdout, out.stderr) == (body.read_bytes(), b"")
            out = subprocess.run(["curl", "-sS", *version, "--cacert", pair.chain,
                                  f"https://localhost:{serve.port}/whoami"], capture_output=True, text=True)
            assert json.loads(out.stdout)["sni"] == "localhost"


def test_a_slow_body_has_more_time_than_a_head(tmp_path):
    with TlsServe("--body-prefix", "/echo", "--body-max", 100, "--header-ms", 1500) as s, Client(s.tcp()) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
        for byte in b"hello":
            time.sleep(0.7)
            c.send(bytes([byte]))
        assert c.answer().body == b"hello"
