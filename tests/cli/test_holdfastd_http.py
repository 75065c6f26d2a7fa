"""What holdfastd answers: methods, names, conditions, persistence, and everything it refuses."""
import email.utils
import hashlib
import json
import time

import pytest

from holdfastd_process import Server, request
from tuf_publisher import Repository

TIMESTAMP = "/metadata/timestamp.json"
BIG = bytes(range(256)) * 8192  # 2 MiB: more than any socket takes at once


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    repo = Repository(tmp_path_factory.mktemp("repo"))
    repo.targets = {"iot/full/1.pem": b"-----BEGIN\n" * 100, "big.bin": BIG, "a b+c%.txt": b"odd\n",
                    "empty.txt": b""}
    repo.publish()
    return repo


@pytest.fixture(scope="module")
def server(repo):
    with Server(repo.folder) as s:
        yield s


def test_a_file_comes_whole_with_its_headers(repo, server):
    a = server.get(TIMESTAMP)
    content = repo.read("metadata/timestamp.json")
    assert (a.version, a.status, a.phrase, a.body) == ("HTTP/1.1", 200, "OK", content)
    assert a.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert a.headers["content-type"] == "application/json"
    assert a.headers["cache-control"] == "public, max-age=60, must-revalidate"
    assert a.headers["server"] == "holdfastd"  # no version for those who look for old ones
    assert "connection" not in a.headers
    date = email.utils.parsedate_to_datetime(a.headers["date"]).timestamp()
    assert abs(time.time() - date) < 5


def test_every_file_of_the_repository_is_served(repo, server):
    for path, content in repo.targets.items():
        name = repo.target_name(path, content).replace("%", "%25").replace(" ", "%20")
        a = server.get("/" + name)
        assert (a.status, a.body) == (200, content), path
        assert a.headers["cache-control"] == "public, max-age=31536000, immutable"
    for name in ("1.root.json", "1.targets.json", "1.snapshot.json"):
        a = server.get("/metadata/" + name)
        assert (a.status, a.body) == (200, repo.read("metadata/" + name))
        assert a.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_pem_and_other_files_have_their_types(repo, server):
    pem = repo.target_name("iot/full/1.pem", repo.targets["iot/full/1.pem"])
    assert server.get("/" + pem).headers["content-type"] == "application/pem-certificate-chain"
    big = repo.target_name("big.bin", BIG)
    assert server.get("/" + big).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("target", [TIMESTAMP, "/nothing", "/healthz"])
def test_head_is_get_without_the_body(server, target):
    with server.connect() as c:
        c.send(request("GET", target) + request("HEAD", target) + request("GET", target))
        get, head, again = c.answer(), c.answer(is_head=True), c.answer()
    assert head.status == get.status == again.status
    # The answers may fall into different seconds.
    for a in (get, head, again):
        a.headers.pop("date")
        if target == "/healthz":
            a.headers.pop("content-length")
    assert head.headers == get.headers == again.headers


def test_a_known_entity_tag_gives_304(server):
    tag = server.get(TIMESTAMP).headers["etag"]
    for header in (tag, f"W/{tag}", "*", f'"x", {tag}', f'"x" ,W/"y",{tag} , "z"', f",, {tag}"):
        a = server.get(TIMESTAMP, f"If-None-Match: {header}")
        assert (a.status, a.body, a.headers["etag"]) == (304, b"", tag), header
        assert "content-length" not in a.headers
        assert a.headers["cache-control"] == "public, max-age=60, must-revalidate"
    a = server.get(TIMESTAMP, 'If-None-Match: "x"', f"if-none-match: {tag}")
    assert a.status == 304


def test_another_entity_tag_gives_the_file(server):
    tag = server.get(TIMESTAMP).headers["etag"]
    long_list = ", ".join(['"0123456789"'] * 100) + ", " + tag
    for header in ('"x"', tag.strip('"'), tag[:-1], '""', "x*", f"* , {tag}x", "", long_list):
        assert server.get(TIMESTAMP, f"If-None-Match: {header}").status == 200, header


def test_the_query_is_ignored_and_the_authority_too(server):
    want = server.get(TIMESTAMP).body
    for target in (TIMESTAMP + "?a=b", TIMESTAMP + "?", "http://example.org" + TIMESTAMP,
                   "HTTPS://example.org:8443" + TIMESTAMP + "?x=/../", "/metadata/timestamp%2Ejson",
                   "/%6detadata/%74imestamp.json", "/metadata%2ftimestamp.json"):
        a = server.get(target)
        assert (a.status, a.body) == (200, want), target


@pytest.mark.parametrize("target", [
    "/metadata/../metadata/timestamp.json", "/metadata/./timestamp.json", "//metadata/timestamp.json",
    "/metadata//timestamp.json", "/metadata/timestamp.json/", "/metadata", "/metadata/", "/",
    "/../secret", "/metadata/../../secret", "/metadata/%2e%2e/%2e%2e/secret", "/..%2fsecret",
    "/metadata/..%5c..%5csecret", "/%252e%252e/secret", "/metadata/%252e%252e/timestamp.json",
    "/metadata/timestamp.json%00", "/metadata/timestamp.json%00.txt", "/Metadata/timestamp.json",
    "/targets/../metadata/timestamp.json", "/metadata/2.root.json", "/healthz/", "/secret",
    "/proc/self/environ", "/etc/passwd", "/metadata/..%c0%af..%c0%afsecret"])
def test_no_other_name_reaches_anything(repo, server, target):
    repo.put("../secret", b"secret\n")
    repo.put("secret", b"secret\n")
    a = server.get(target)
    assert (a.status, a.headers["cache-control"]) == (404, "no-store")
    assert a.body == b"404 Not Found: this repository has no such file\n"


@pytest.mark.parametrize("target", ["/%", "/%2", "/%zz", "/metadata/%-1x", "*", "http://example.org"])
def test_what_is_no_path_is_a_bad_request(server, target):
    assert server.get(target).status == 400


def test_the_next_root_is_not_there_and_not_cached(server):
    a = server.get("/metadata/2.root.json")
    assert (a.status, a.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND"])
def test_other_methods_are_refused_and_the_connection_goes_on(server, method):
    with server.connect() as c:
        c.send(request(method, TIMESTAMP) + request("GET", TIMESTAMP))
        a = c.answer()
        assert (a.status, a.headers["allow"]) == (405, "GET, HEAD")
        assert c.answer().status == 200


@pytest.mark.parametrize("raw, status", [
    (b"GET\r\n\r\n", 400),
    (b"hello\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    (b"GET http:///metadata/timestamp.json HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://u@a/metadata/timestamp.json HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a?b/metadata/timestamp.json HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET http://a/metadata/timestamp.json HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    (b"GET /metadata/timestamp.json#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX : x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400),
    (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 413),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405),
    (b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Long: " + b"a" * 9000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 2000 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX:" + b" " * 9000 + b"1\r\n\r\n", 431),
])
def test_a_refusal_is_a_sentence_and_ends_the_connection(server, raw, status):
    with server.connect() as c:
        c.send(raw)
        a = c.answer()
        assert (a.status, a.headers["connection"]) == (status, "close")
        assert a.body.startswith(f"{status} {a.phrase}: ".encode()) and a.body.endswith(b"\n")
        assert c.is_closed()
    assert server.get(TIMESTAMP).status == 200


def test_what_follows_a_refused_request_is_not_looked_at(server):
    with server.connect() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n" + request("GET", TIMESTAMP))
        assert c.answer().status == 413
        assert c.is_closed()


def test_a_refusal_arrives_although_the_client_goes_on_sending(server):
    with server.connect() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        for _ in range(20):
            c.send(b"x" * 10000)
        assert c.answer().status == 405
        c.socket.shutdown(1)
        assert c.is_closed()


def test_an_empty_content_length_and_an_upgrade_are_no_body(server):
    for header in ("Content-Length: 0", "Connection: Upgrade\r\nUpgrade: h2c", "Expect: 100-continue"):
        with server.connect() as c:
            c.send(request("GET", TIMESTAMP, header) + request("GET", "/nothing"))
            assert (c.answer().status, c.answer().status) == (200, 404), header


def test_blank_lines_before_a_request_are_skipped(server):
    with server.connect() as c:
        c.send(b"\r\n\r\n" + request("GET", TIMESTAMP) + b"\r\n" + request("GET", TIMESTAMP))
        assert (c.answer().status, c.answer().status) == (200, 200)


def test_a_request_may_come_byte_by_byte(server):
    want = server.get(TIMESTAMP).headers["etag"]
    with server.connect() as c:
        for _ in range(2):
            for byte in request("GET", TIMESTAMP, f"If-None-Match: {want}", "X-Filler: abc"):
                c.send(bytes([byte]))
            assert c.answer().status == 304


def test_persistence_is_what_the_client_asked_for(server):
    with server.connect() as c:
        c.send(request("GET", TIMESTAMP, "Connection: close") + request("GET", TIMESTAMP))
        assert c.answer().headers["connection"] == "close"
        assert c.is_closed()
    with server.connect() as c:
        c.send(request("GET", TIMESTAMP, version="HTTP/1.0", host=False))
        assert c.answer().headers["connection"] == "close"
        assert c.is_closed()
    with server.connect() as c:
        for _ in range(3):
            c.send(request("GET", TIMESTAMP, "Connection: keep-alive", version="HTTP/1.0"))
            a = c.answer()
            assert (a.status, a.headers["connection"]) == (200, "keep-alive")


def test_a_large_file_arrives_whole_also_on_the_last_answer(repo, server):
    name = "/" + repo.target_name("big.bin", BIG)
    for headers in ([], ["Connection: close"]):
        with server.connect() as c:
            c.send(request("GET", name, *headers))
            time.sleep(0.2)  # the socket is full by now
            assert c.answer().body == BIG
            assert not headers or c.is_closed()


def test_ten_thousand_pipelined_requests_are_answered_in_order(repo, server):
    names = ["metadata/timestamp.json", "metadata/1.root.json", "nothing", "metadata/1.targets.json"]
    want = [repo.read(n) if n != "nothing" else None for n in names]
    raw = b"".join(request("GET", "/" + n) for n in names) * 2500
    with server.connect() as c:
        # Sent before anything is read, as far as buffers go: the server must stop reading.
        c.socket.setblocking(False)
        sent = 0
        try:
            while sent < len(raw):
                sent += c.socket.send(raw[sent:])
        except BlockingIOError:
            pass
        c.socket.settimeout(60)
        for i in range(10000):
            if sent < len(raw):
                sent += c.socket.send(raw[sent:sent + 500])
            a = c.answer()
            assert (a.status, a.body) == ((200, want[i % 4]) if want[i % 4] else (404, a.body)), i
        assert c.buffer == b""


def test_pipelined_large_files_wait_for_a_slow_reader(repo, server):
    name = "/" + repo.target_name("big.bin", BIG)
    with server.connect() as c:
        c.send((request("GET", name) + request("GET", TIMESTAMP)) * 6)
        time.sleep(0.5)
        for _ in range(6):
            assert c.answer().body == BIG
            assert c.answer().status == 200
    assert server.get(TIMESTAMP).status == 200


def test_a_request_may_be_cut_behind_an_answer_that_waits(repo, server):
    name = "/" + repo.target_name("big.bin", BIG)
    with server.connect() as c:
        c.send(request("GET", name) * 4 + request("GET", TIMESTAMP)[:20])
        time.sleep(0.3)
        for _ in range(4):
            assert c.answer().body == BIG
        c.send(request("GET", TIMESTAMP)[20:])
        assert c.answer().status == 200


def test_a_client_that_stops_sending_still_gets_its_answers(server):
    with server.connect() as c:
        c.send(request("GET", TIMESTAMP) * 3)
        c.socket.shutdown(1)
        assert [c.answer().status for _ in range(3)] == [200] * 3
        assert c.is_closed()


def test_health_says_what_is_served_and_until_when(server):
    a = server.get("/healthz")
    assert (a.status, a.headers["content-type"]) == (200, "application/json")
    assert a.headers["cache-control"] == "no-store"
    state = json.loads(a.body)
    assert 86000 < state.pop("seconds_left") <= 86400
    assert state.pop("expires").endswith("Z")
    assert state == {"status": "ok", "root": 1, "timestamp": 1, "snapshot": 1, "targets": 1,
                     "expires_role": "timestamp"}
