"""The HTTP transport against servers that behave, misbehave and lie: hf-fetch drives it alone."""

import hashlib
import os
import pathlib
import socket
import ssl
import subprocess
import time

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import net_pki
from net_pki import DAY, NOW, Authority
from net_servers import Proxy, RawServer, answer, raw, tls_context

FETCH = pathlib.Path(os.environ["HOLDFAST_BIN"]).parent / "tests" / "hf-fetch"
PROXY_VARIABLES = [
    v
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for v in (name, name.upper())
]


def fetch(*urls, env=None, at=NOW, **options):
    """Run hf-fetch; returns (exit code, lines, stderr)."""
    args = [str(FETCH), f"--at={at:%Y-%m-%dT%H:%M:%SZ}"]
    args += [f"--{k.replace('_', '-')}={v}" if v is not True else f"--{k}" for k, v in options.items()]
    environ = {k: v for k, v in os.environ.items() if k not in PROXY_VARIABLES} | (env or {})
    done = subprocess.run(
        [*args, *urls], capture_output=True, text=True, timeout=60, env=environ, check=False
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def fetched(*urls, **options):
    """All of it works; returns a (status, body length, hash, etag) for each URL."""
    code, lines, err = fetch(*urls, **options)
    assert (code, err) == (0, "")
    return [tuple(line.split(" ", 3)) for line in lines]


def refused(error, *urls, says, **options):
    """The last URL fails with `error` and a sentence that has `says` in it."""
    code, lines, err = fetch(*urls, **options)
    assert code == 1
    assert lines[-1] == error
    assert says in err, err
    return err


def of(body, etag="", status=200):
    return (str(status), str(len(body)), hashlib.sha256(body).hexdigest(), etag)


# ---- answers ---------------------------------------------------------------------------------------


def test_request_is_what_a_server_expects():
    with RawServer(answer()) as s:
        assert fetched(s.url("/metadata/timestamp.json?x=1#fragment")) == [of(b"hello")]
    lines = s.requests[0].decode().split("\r\n")
    assert lines[0] == "GET /metadata/timestamp.json?x=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{s.port}" in lines
    assert "Accept-Encoding: identity" in lines
    assert any(line.startswith("User-Agent: holdfast/") for line in lines)
    assert not any(line.startswith("If-None-Match") for line in lines)


def test_etag_comes_back_and_is_asked_with():
    not_modified = b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nContent-Length: 5\r\n\r\n'
    with RawServer(answer(headers=['ETag:  "v1" \t'])) as s:
        assert fetched(s.url()) == [of(b"hello", '"v1"')]
    with RawServer(raw(not_modified, keep=True)) as s:
        # The length of a 304 is that of the body it does not have: the connection goes on.
        assert fetched(s.url(), s.url(), etag='"v1"') == [of(b"", status=304)] * 2
        assert s.connections == 1
    assert b'\r\nIf-None-Match: "v1"\r\n' in s.requests[1]


def test_chunked_with_extensions_and_trailers():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    chunks = b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nETag: trailer\r\n\r\n"
    with RawServer(raw(head + chunks, keep=True)) as s:
        assert fetched(s.url(), s.url()) == [of(b"hello world")] * 2
        assert s.connections == 1


def test_answer_that_ends_with_the_connection():
    with RawServer(raw(b"HTTP/1.0 200 OK\r\n\r\nhello")) as s:
        assert fetched(s.url()) == [of(b"hello")]


def test_large_body_and_exactly_the_maximum():
    body = os.urandom(700_000)
    with RawServer(answer(body)) as s:
        assert fetched(s.url(), max_bytes=len(body)) == [of(body)]


def test_interim_answers_are_passed_over():
    early = b"HTTP/1.1 103 Early Hints\r\nETag: no\r\nContent-Length: 9\r\n\r\n"
    with RawServer(raw(early + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")) as s:
        assert fetched(s.url()) == [of(b"hello")]


def test_bodies_of_other_answers_are_dropped_and_the_connection_goes_on():
    with RawServer(answer(b"x" * 5000, "404 Not Found")) as s:
        assert fetched(s.url("/a"), s.url("/b")) == [of(b"", status=404)] * 2
        assert s.connections == 1


def test_endless_error_page_is_not_read_to_its_end():
    def endless(conn, _request, _number):
        conn.sendall(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            conn.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

    with RawServer(endless) as s:
        assert fetched(s.url()) == [of(b"", status=500)]


# ---- answers that are refused ------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
BAD_ANSWERS = {
    "length and chunked": (
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "",
    ),
    "chunked and length": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "",
    ),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "not proper HTTP"),
    "negative length": (HEAD + b"Content-Length: -5\r\n\r\nhello", "not proper HTTP"),
    "huge length": (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", "not proper HTTP"),
    "gzip transfer": (HEAD + b"Transfer-Encoding: gzip\r\n\r\nx", "transfer encoding"),
    "gzip then chunked": (
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "transfer encoding",
    ),
    "gzip content": (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "content encoding"),
    "bad chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\n", "not proper HTTP"),
    "chunk without end": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        "not proper HTTP",
    ),
    "junk behind": (HEAD + b"Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", "17 bytes follow"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "not proper HTTP"),
    "HTTP/2": (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "another version"),
    "header with a blank": (HEAD + b"Content-Length : 5\r\n\r\nhello", "not proper HTTP"),
    "switching protocols": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "changes the protocol",
    ),
    "nothing": (b"", "without an answer"),
    "cut in the header": (HEAD + b"Content-Le", "in the middle"),
    "cut in the body": (HEAD + b"Content-Length: 5\r\n\r\nhel", "in the middle"),
    "cut in a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", "in the middle"),
    "cut before the last chunk": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "in the middle",
    ),
    "error page cut": (b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhel", "in the middle"),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_bad_answer_is_refused(case):
    data, says = BAD_ANSWERS[case]
    with RawServer(raw(data)) as s:
        assert s.url() in refused("network", s.url(), says=says)


def by_byte(conn, data):
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(data)):
        conn.sendall(data[i : i + 1])


@pytest.mark.parametrize("case", ["two lengths", "gzip then chunked", "junk behind", "cut in a chunk"])
def test_bad_answer_byte_by_byte_is_refused_too(case):
    data, says = BAD_ANSWERS[case]
    says = "" if case == "junk behind" else says  # then the end is quicker than the junk

    def respond(conn, _request, _number):
        by_byte(conn, data)
        return False

    with RawServer(respond) as s:
        if case == "junk behind":
            # What comes after the answer spoils the connection, not the answer.
            code, lines, _ = fetch(s.url())
            assert (code, lines[-1]) in [(1, "network"), (0, " ".join(of(b"hello")))]
        else:
            refused("network", s.url(), says=says)


def test_longer_than_allowed_by_its_length():
    def announce(conn, _request, _number):
        conn.sendall(HEAD + b"Content-Length: 11\r\n\r\n")
        conn.recv(1)  # nothing but the end: the header is all that is waited for

    with RawServer(announce) as s:
        refused("limit", s.url(), says="announces 11 bytes, at most 10", max_bytes=10)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello world",
    ],
)
def test_longer_than_allowed_by_its_bytes(data):
    with RawServer(raw(data)) as s:
        refused("limit", s.url(), says="longer than the 10 bytes", max_bytes=10)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"X: " + b"y" * 17000,
        HEAD + b"X: y\r\n" * 3000,
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 17000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 3000,
    ],
)
def test_endless_headers(data):
    with RawServer(raw(data, linger=2)) as s:
        refused("limit", s.url(), says="headers are longer than 16384 bytes")


# ---- time ------------------------------------------------------------------------------------------


def test_silent_server_is_given_up():
    with RawServer(silent=True) as s:
        refused("network", s.url(), says="nothing came for 0.3 seconds", idle_ms=300)


def test_server_that_drips_is_given_up():
    def drip(conn, _request, _number):
        conn.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        while True:
            conn.sendall(b"x")
            time.sleep(0.05)

    with RawServer(drip) as s:
        refused("network", s.url(), says="longer than 0.8 seconds", total_ms=800, idle_ms=60000)


def test_body_that_keeps_coming_has_longer():
    """A bundle on a slow link. Both pieces come after the time of a request that brings nothing."""
    body = b"x" * 8192

    def slowly(conn, _request, _number):
        conn.sendall(HEAD + b"Content-Length: 8192\r\n\r\n" + body[:4096])
        time.sleep(1.2)
        conn.sendall(body[4096:])
        return True

    with RawServer(slowly) as s:
        assert fetched(s.url(), total_ms=600, idle_ms=60000) == [of(body)]


def test_handshake_that_never_comes_is_given_up(trusted):
    with RawServer(silent=True) as s:
        url = s.url().replace("http:", "https:")
        refused("network", url, says="0.4 seconds", connect_ms=400, store=trusted.store)


def test_nobody_there():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        refused("network", f"http://127.0.0.1:{s.getsockname()[1]}/", says="Connection refused")


def test_unknown_name():
    refused("network", "http://nowhere.invalid/", says='the address of "nowhere.invalid"')


# ---- connections that are kept -----------------------------------------------------------------------


def test_connection_is_used_again():
    with RawServer(answer()) as s:
        assert fetched(*[s.url()] * 5) == [of(b"hello")] * 5
        assert s.connections == 1
        fetched(s.url(), s.url(), forget=True)
        assert s.connections == 3


def test_server_that_says_close_is_believed():
    with RawServer(answer(headers=["Connection: close"])) as s:
        fetched(s.url(), s.url())
        assert s.connections == 2


def test_kept_connection_that_was_closed_meanwhile():
    with RawServer(answer(keep=False)) as s:
        fetched(s.url(), s.url(), pause_ms=200)
        assert s.connections == 2
        assert len(s.requests) == 2  # the end was seen, nothing was sent into it


def test_kept_connection_that_closes_on_the_second_request_is_retried_once():
    def respond(conn, request, number):
        return number != 1 and answer()(conn, request, number)

    with RawServer(respond) as s:
        assert fetched(s.url("/a"), s.url("/b")) == [of(b"hello")] * 2
        assert [r.split()[1] for r in s.requests] == [b"/a", b"/b", b"/b"]
        assert s.connections == 2


def test_no_third_try():
    def respond(conn, request, number):
        return number == 0 and answer()(conn, request, number)

    with RawServer(respond) as s:
        refused("network", s.url("/a"), s.url("/b"), says="without an answer")
        assert len(s.requests) == 3


def test_what_both_tries_met_is_said():
    """A way that died while the connection was open: asked once more over a new one."""
    def respond(conn, request, number):
        if number == 0:
            return answer()(conn, request, number)
        conn.recv(1)  # nothing but the end
        return False

    with RawServer(respond) as s:
        refused("network", s.url("/a"), s.url("/b"), idle_ms=1500,
                says="over a connection that was open: nothing came for 1.5 seconds; given up; "
                     "over a new one: nothing came for 1.5 seconds; given up")
        assert len(s.requests) == 3


def test_time_that_is_up_is_up_and_is_what_the_sentence_says():
    def respond(conn, request, number):
        if number == 0:
            return answer()(conn, request, number)
        conn.recv(1)  # nothing but the end
        return False

    with RawServer(respond) as s:
        refused("network", s.url("/a"), s.url("/b"), total_ms=1500, idle_ms=60000,
                says="/b: it took longer than 1.5 seconds; given up")
        assert len(s.requests) == 2 and s.connections == 1


def test_answer_that_has_begun_is_not_retried():
    def respond(conn, request, number):
        return answer()(conn, request, number) if number == 0 else raw(HEAD)(conn, request, number)

    with RawServer(respond) as s:
        refused("network", s.url("/a"), s.url("/b"), says="in the middle")
        assert len(s.requests) == 2


def test_unasked_bytes_on_a_kept_connection_are_not_taken_for_an_answer():
    def respond(conn, request, number):
        answer()(conn, request, number)
        time.sleep(0.1)
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        return True

    with RawServer(respond) as s:
        assert fetched(s.url(), s.url(), pause_ms=2000) == [of(b"hello")] * 2
        assert s.connections == 2


# ---- redirects ---------------------------------------------------------------------------------------


def redirect(location, status=302):
    return answer(b"moved", f"{status} Moved", [f"Location: {location}"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(status):
    with RawServer(answer()) as target:
        with RawServer(redirect(target.url("/b"), status)) as s:
            assert fetched(s.url("/a"), redirect_host=f"127.0.0.1:{target.port}") == [of(b"hello")]
    assert target.requests[0].startswith(b"GET /b ")


def test_relative_redirect():
    def respond(conn, request, number):
        return (redirect("../c?d=1") if number == 0 else answer())(conn, request, number)

    with RawServer(respond) as s:
        assert fetched(s.url("/a/x/b?q")) == [of(b"hello")]
        assert s.requests[1].startswith(b"GET /a/c?d=1 ")
        assert s.connections == 1


def test_redirect_loop_ends():
    with RawServer(redirect("/again")) as s:
        refused("network", s.url(), says="more than 3 times")
        assert len(s.requests) == 4


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("file:///etc/passwd", "http:// or https://"),
        ("ftp://127.0.0.1/", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("http://user:secret@127.0.0.1/", "user name or password"),
        ("http://[::1/", "not closed"),
        ("http://127.0.0.1:99999/", "65535"),
        ("http:///x", "host name is empty"),
        ("/a b", "0x20"),
    ],
)
def test_redirect_elsewhere_is_refused(location, says):
    with RawServer(redirect(location)) as s:
        assert "secret" not in refused("network", s.url(), says=says)
        assert len(s.requests) == 1


def test_redirect_without_a_target_is_refused():
    with RawServer(answer(status="302 Found")) as s:
        refused("network", s.url(), says="does not say where")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/", "http:// or https://"),
        ("http://user:pass@example.org/", "user name or password"),
        ("http://exa mple.org/", "0x20"),
        ("http://example.org:0/", "from 1 to 65535"),
        ("http://::1/", "in brackets"),
        ("relative", "http:// or https://"),
    ],
)
def test_bad_url(url, says):
    refused("format", url, says=says)


# ---- TLS ---------------------------------------------------------------------------------------------


class Pki:
    """One root, one intermediate, files of both, and server contexts for leaves of theirs."""

    def __init__(self, folder):
        self.folder = folder
        self.root = Authority("Trusted Root")
        self.middle = Authority("Middle", issuer=self.root)
        self.store = net_pki.write_pem(folder / "store.pem", self.root.cert)
        self.count = 0

    def context(self, *names, issuer=None, chain=None, version=None, **leaf):
        issuer = issuer or self.middle
        cert, key = issuer.leaf(*names, **leaf)
        self.count += 1
        base = self.folder / f"leaf{self.count}"
        chain = [self.middle.cert] if chain is None else chain
        return tls_context(
            net_pki.write_pem(base.with_suffix(".pem"), cert, *chain),
            net_pki.write_key(base.with_suffix(".tmpkey"), key),
            version,
        )


@pytest.fixture(name="trusted", scope="module")
def make_trusted(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(name="other", scope="module")
def make_other(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("other"))


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_https_with_sni_and_alpn(trusted, version):
    context = trusted.context("localhost", version=version)
    with RawServer(answer(b"x" * 100_000), tls=context) as s:
        url = s.url("/a", host="localhost")
        assert fetched(url, url, store=trusted.store) == [of(b"x" * 100_000)] * 2
        assert (s.connections, s.alpn, context.names) == (1, ["http/1.1"], ["localhost"])


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_resumed(trusted, version):
    context = trusted.context("localhost", version=version)
    with RawServer(answer(), tls=context) as s:
        url = s.url(host="localhost")
        assert fetched(url, url, url, store=trusted.store, forget=True) == [of(b"hello")] * 3
        assert s.reused_sessions == [False, True, True]


def test_address_is_checked_and_is_not_sent_as_sni(trusted):
    context = trusted.context("127.0.0.1", "::1")
    with RawServer(answer(), tls=context) as s:
        assert fetched(s.url(), store=trusted.store) == [of(b"hello")]
    with RawServer(answer(), tls=context, host="::1") as s:
        assert fetched(s.url(), store=trusted.store) == [of(b"hello")]
    assert f"\r\nHost: [::1]:{s.port}\r\n".encode() in s.requests[0]
    assert context.names == [None, None]
    with RawServer(answer(), tls=trusted.context("localhost", "127.0.0.2")) as s:
        refused(
            "untrusted",
            s.url(),
            says="issued for localhost, 127.0.0.2, not for 127.0.0.1",
            store=trusted.store,
        )
        assert s.requests == []


def test_server_ca_is_trusted_beside_the_store(trusted, other):
    with RawServer(answer(), tls=other.context("localhost")) as theirs:
        with RawServer(answer(), tls=trusted.context("localhost")) as ours:
            urls = [ours.url(host="localhost"), theirs.url(host="localhost")]
            expected = [of(b"hello")] * 2
            assert fetched(*urls, store=trusted.store, server_ca=other.store) == expected
            assert fetched(*urls, store=other.store, server_ca=trusted.store) == expected
            says = 'no usable trust anchor for issuer "O=Holdfast Test, CN=Trusted Root"'
            refused("untrusted", urls[0], says=says, server_ca=other.store)


def test_unknown_issuer_is_named(trusted, other):
    with RawServer(answer(), tls=other.context("localhost", chain=[])) as s:
        err = refused("untrusted", s.url(host="localhost"), says="not trusted", store=trusted.store)
        assert 'certificate 0 "O=Holdfast Test, CN=localhost"' in err
        assert 'no trust anchor for issuer "O=Holdfast Test, CN=Middle"' in err
        assert "0x" not in err
        assert s.requests == []


def test_empty_store_trusts_nobody(trusted):
    with RawServer(answer(), tls=trusted.context("localhost")) as s:
        refused("untrusted", s.url(host="localhost"), says="no trust anchor for issuer")


def test_same_name_with_another_key_is_not_trusted(trusted):
    impostor = Authority("Trusted Root")
    context = trusted.context("localhost", issuer=impostor, chain=[])
    with RawServer(answer(), tls=context) as s:
        says = "(the trust anchor of that name has a key with which the signature does not verify)"
        refused("untrusted", s.url(host="localhost"), says=says, store=trusted.store)
        assert s.requests == []


def test_expired(trusted):
    context = trusted.context("localhost", start=NOW - 60 * DAY, end=NOW - 10 * DAY)
    with RawServer(answer(), tls=context) as s:
        url = s.url(host="localhost")
        err = refused("untrusted", url, says="expired on 2026-05-22", store=trusted.store)
        assert "the clock says 2026-06-01" in err
        assert "CN=localhost" in err
        assert fetched(url, store=trusted.store, at=NOW - 20 * DAY) == [of(b"hello")]


def test_expired_intermediate_is_the_one_that_is_named(trusted):
    stale = Authority("Stale", issuer=trusted.root, end=NOW - DAY)
    context = trusted.context("localhost", issuer=stale, chain=[stale.cert])
    with RawServer(answer(), tls=context) as s:
        err = refused("untrusted", s.url(host="localhost"), says="CN=Stale", store=trusted.store)
        assert "expired on 2026-05-31" in err
        assert "CN=localhost" not in err


def test_clock_before_the_certificate(trusted):
    with RawServer(answer(), tls=trusted.context("localhost")) as s:
        refused(
            "untrusted",
            s.url(host="localhost"),
            says="not yet valid, only from 2026-05-02 on (the clock says 2025-01-01)",
            store=trusted.store,
            at=NOW.replace(year=2025, month=1),
        )


def test_wrong_host(trusted):
    with RawServer(answer(), tls=trusted.context("a.example", "*.b.example")) as s:
        refused(
            "untrusted",
            s.url(host="localhost"),
            says="issued for a.example, *.b.example, not for localhost",
            store=trusted.store,
        )


def test_distrusted_for_new_leaves(trusted):
    with RawServer(answer(), tls=trusted.context("localhost")) as s:
        url = s.url(host="localhost")
        assert fetched(url, store=trusted.store, distrust_after="2026-05-03") == [of(b"hello")]
        refused(
            "untrusted",
            url,
            says="distrusted for server certificates issued after 2026-05-01",
            store=trusted.store,
            distrust_after="2026-05-01",
        )


def test_expired_anchor_of_the_right_name(trusted):
    with RawServer(answer(), tls=trusted.context("localhost", end=NOW + 3000 * DAY)) as s:
        says = "(the trust anchor of that name expired on 2028-11-17)"
        late = NOW + 1000 * DAY
        refused("untrusted", s.url(host="localhost"), says=says, store=trusted.store, at=late)


def test_weak_key(trusted):
    context = trusted.context("localhost", key_bits=1024)
    with RawServer(answer(), tls=context) as s:
        refused("untrusted", s.url(host="localhost"), says="RSA key of 1024 bits (expected", store=trusted.store)
        assert s.requests == []


def test_certificate_of_a_client_is_none_of_a_server(trusted):
    context = trusted.context("localhost", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    with RawServer(answer(), tls=context) as s:
        says = "its extendedKeyUsage does not allow a TLS server"
        refused("untrusted", s.url(host="localhost"), says=says, store=trusted.store)
        assert s.requests == []


def test_key_that_may_not_sign_is_none_of_a_server(trusted):
    # With TLS 1.2 OpenSSL would not even show it.
    context = trusted.context(
        "localhost", version=ssl.TLSVersion.TLSv1_3, key_usage=net_pki.AGREEMENT_ONLY
    )
    with RawServer(answer(), tls=context) as s:
        says = "its keyUsage lacks digitalSignature, which the key exchange needs"
        refused("untrusted", s.url(host="localhost"), says=says, store=trusted.store)
        assert s.requests == []


def test_plain_http_on_a_tls_port(trusted):
    with RawServer(greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as s:
        url = s.url().replace("http:", "https:")
        refused("tls", url, says="is not TLS", store=trusted.store)


def test_client_certificate_wanted(trusted):
    context = trusted.context("localhost", version=ssl.TLSVersion.TLSv1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(trusted.store)
    with RawServer(answer(), tls=context) as s:
        refused("tls", s.url(host="localhost"), says="client certificate", store=trusted.store)


def test_redirect_from_https_down_to_http_is_refused(trusted):
    with RawServer(answer()) as plain:
        with RawServer(redirect(plain.url()), tls=trusted.context("localhost")) as s:
            url = s.url(host="localhost")
            refused("network", url, says="from https down to http", store=trusted.store,
                    redirect_host=f"127.0.0.1:{plain.port}")
        assert plain.requests == []


def test_redirect_from_http_up_to_https(trusted):
    with RawServer(answer(), tls=trusted.context("localhost")) as secure:
        with RawServer(redirect(secure.url(host="localhost"))) as s:
            assert fetched(s.url(), store=trusted.store,
                           redirect_host=f"localhost:{secure.port}") == [of(b"hello")]


def test_connection_cut_without_close_notify_does_not_end_an_answer(trusted):
    def respond(conn, _request, _number):
        conn.sendall(b"HTTP/1.0 200 OK\r\n\r\nhel")
        conn.shutdown(socket.SHUT_RDWR)  # of the socket below TLS

    with RawServer(respond, tls=trusted.context("localhost")) as s:
        refused("network", s.url(host="localhost"), says="closed", store=trusted.store)


# ---- proxies -----------------------------------------------------------------------------------------


def test_http_goes_to_the_proxy_whole():
    with RawServer(answer(keep=False)) as s:
        target = f"far.example:{s.port}"
        with Proxy({target: ("127.0.0.1", s.port)}) as p:
            env = {"http_proxy": f"http://me:p%40ss@127.0.0.1:{p.port}"}
            assert fetched(f"http://{target}/a", f"http://{target}/b", env=env) == [of(b"hello")] * 2
            assert p.connections == 1
    request = p.requests[0]
    assert request.startswith(f"GET http://{target}/a HTTP/1.1\r\nHost: {target}\r\n".encode())
    assert b"\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n" in request


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_https_goes_through_a_tunnel(trusted, variable):
    context = trusted.context("far.example")
    with RawServer(answer(), tls=context) as s:
        target = f"far.example:{s.port}"
        with Proxy({target: ("127.0.0.1", s.port)}) as p:
            env = {variable: f"http://me:pass@127.0.0.1:{p.port}"}
            urls = [f"https://{target}/a", f"https://{target}/b"]
            assert fetched(*urls, env=env, store=trusted.store) == [of(b"hello")] * 2
    assert (s.connections, p.connections, context.names) == (1, 1, ["far.example"])
    assert p.requests[0].startswith(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode())
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in p.requests[0]
    # The password is for the proxy, not for the server behind it.
    assert b"Proxy-Authorization" not in s.requests[0]
    assert s.requests[0].startswith(b"GET /a HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("status", "says"),
    [("403 Forbidden", "status 403"), ("407 Proxy Authentication Required", "user name and password")],
)
def test_proxy_that_refuses(status, says):
    with Proxy({}, refuse=status) as p:
        env = {"https_proxy": f"127.0.0.1:{p.port}"}
        err = refused("network", "https://far.example/", says=says, env=env)
        assert f"proxy 127.0.0.1:{p.port}" in err


def test_bytes_before_the_tunnel_is_used_are_refused(trusted):
    with RawServer(answer(), tls=trusted.context("far.example")) as s:
        target = f"far.example:{s.port}"
        with Proxy({target: ("127.0.0.1", s.port)}, junk=b"\x16\x03\x03") as p:
            env = {"https_proxy": f"127.0.0.1:{p.port}"}
            url = f"https://{target}/"
            refused("network", url, says="bytes follow", env=env, store=trusted.store)
        assert s.requests == []


def test_proxy_does_not_make_a_server_trusted(trusted, other):
    with RawServer(answer(), tls=other.context("far.example")) as s:
        target = f"far.example:{s.port}"
        with Proxy({target: ("127.0.0.1", s.port)}) as p:
            env = {"https_proxy": f"127.0.0.1:{p.port}"}
            says = "no usable trust anchor"
            refused("untrusted", f"https://{target}/", says=says, env=env, store=trusted.store)


def test_no_proxy_and_the_variable_that_is_ignored():
    with RawServer(answer()) as s, Proxy({}) as p:
        there = f"http://127.0.0.1:{p.port}"
        for env in (
            {"http_proxy": there, "no_proxy": "example.org, 127.0.0.0/8"},
            {"all_proxy": there, "NO_PROXY": "*"},
            {"HTTP_PROXY": there},
            {"https_proxy": there},
        ):
            assert fetched(s.url(), env=env) == [of(b"hello")]
        assert p.connections == 0


@pytest.mark.parametrize("value", ["socks5://me:secret@127.0.0.1:1080", "http://me:secret@[::1", "http://me:secret%zz@h"])
def test_proxy_of_another_kind_is_refused_without_its_password(value):
    err = refused("format", "http://far.example/", says="http_proxy", env={"http_proxy": value})
    assert "secret" not in err
