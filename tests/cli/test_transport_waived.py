"""Requests that waive the validation of the server's chain (recovery): what they get, what they never
send, and that they leave nothing behind for those that validate."""

import ssl

import pytest

from net_pki import DAY, NOW, Authority
from net_servers import RawServer, answer, raw
from test_transport import Pki, fetch, fetched, of, redirect, refused

FIRST, SECOND = 1, 2  # of the URLs, as bits


@pytest.fixture(name="trusted", scope="module")
def make_trusted(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("trusted"))


@pytest.fixture(name="other", scope="module")
def make_other(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("other"))


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "leaf",
    [
        {"names": ["localhost"]},
        {"names": ["elsewhere.example"]},
        {"names": ["localhost"], "start": NOW - 60 * DAY, "end": NOW - 10 * DAY},
    ],
    ids=["unknown", "wrong name", "expired"],
)
def test_chain_is_not_judged(trusted, other, version, leaf):
    leaf = dict(leaf)
    context = other.context(*leaf.pop("names"), version=version, **leaf)
    with RawServer(answer(), tls=context) as s:
        url = s.url(host="localhost")
        refused("untrusted", url, says="not trusted", store=trusted.store)
        assert fetched(url, store=trusted.store, waive=FIRST) == [of(b"hello")]


def test_empty_store_and_an_address(other):
    context = other.context("localhost")
    with RawServer(answer(), tls=context) as s:
        assert fetched(s.url(), waive=FIRST) == [of(b"hello")]
    assert context.names == [None]


def test_chain_that_is_too_long(trusted):
    chain, issuer = [], trusted.root
    for i in range(20):
        issuer = Authority(f"Middle {i}", issuer=issuer)
        chain.insert(0, issuer.cert)
    with RawServer(answer(), tls=trusted.context("localhost", issuer=issuer, chain=chain)) as s:
        url = s.url(host="localhost")
        refused("untrusted", url, says="ends in no trust anchor", store=trusted.store)
        assert fetched(url, store=trusted.store, waive=FIRST) == [of(b"hello")]


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_on_the_wire_tells_who_asks(trusted, other, version):
    """Also where the server asks for a certificate, and where it sets what may come back."""
    context = other.context("localhost", version=version)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(trusted.store)
    shown = []

    def respond(conn, request, number):
        shown.append((conn.getpeercert(binary_form=True), conn.session_reused))
        return answer(headers=['ETag: "who"', "Set-Cookie: who=1"])(conn, request, number)

    with RawServer(respond, tls=context) as s:
        url = s.url(host="localhost")
        assert fetched(url, url, waive=FIRST | SECOND) == [of(b"hello", '"who"')] * 2
        assert s.connections == 2
    assert shown == [(None, False)] * 2
    assert context.names == ["localhost"] * 2
    assert s.requests[0] == s.requests[1]
    names = [line.split(b":")[0] for line in s.requests[0].split(b"\r\n")[1:-2]]
    assert names == [b"Host", b"User-Agent", b"Accept", b"Accept-Encoding"]
    agent = next(line for line in s.requests[0].split(b"\r\n") if line.startswith(b"User-Agent"))
    assert agent.startswith(b"User-Agent: holdfast/0") and b" " not in agent[len(b"User-Agent: ") :]


@pytest.mark.parametrize("version", VERSIONS)
def test_connections_are_not_shared(trusted, version):
    """A kept connection that was validated is neither used nor taken away."""
    used = []

    def respond(conn, request, number):
        used.append(conn)
        return answer()(conn, request, number)

    with RawServer(respond, tls=trusted.context("localhost", version=version)) as s:
        url = s.url(host="localhost")
        assert fetched(url, url, url, store=trusted.store, waive=SECOND) == [of(b"hello")] * 3
    validated, waived, again = used
    assert validated is again and waived is not validated


@pytest.mark.parametrize("version", VERSIONS)
def test_sessions_are_not_shared(trusted, version):
    with RawServer(answer(), tls=trusted.context("localhost", version=version)) as s:
        url = s.url(host="localhost")
        options = {"store": trusted.store, "forget": True}
        assert fetched(url, url, url, waive=SECOND, **options) == [of(b"hello")] * 3
        assert s.reused_sessions == [False, False, True]
        assert fetched(url, url, waive=FIRST, **options) == [of(b"hello")] * 2
        assert s.reused_sessions[3:] == [False, False]


@pytest.mark.parametrize("version", VERSIONS)
def test_waiver_ends_with_its_request(trusted, other, version):
    with RawServer(answer(), tls=other.context("localhost", version=version)) as s:
        url = s.url(host="localhost")
        code, lines, err = fetch(url, url, store=trusted.store, waive=FIRST)
        assert (code, lines[0].split()[0], lines[1]) == (1, "200", "untrusted")
        assert "no usable trust anchor for issuer" in err
        assert len(s.requests) == 1


def test_redirects_are_under_the_same_waiver_and_never_down_to_http(other):
    with RawServer(answer(), tls=other.context("localhost")) as target:
        there = redirect(target.url(host="localhost"))
        with RawServer(there, tls=other.context("localhost")) as s:
            refused("network", s.url(host="localhost"), says="redirects to another server",
                    waive=FIRST)
        assert target.requests == []

    def here(conn, request, number):
        found = answer() if request.startswith(b"GET /there") else redirect("/there")
        return found(conn, request, number)

    with RawServer(here, tls=other.context("localhost")) as s:
        assert fetched(s.url(host="localhost"), waive=FIRST) == [of(b"hello")]
    with RawServer(answer()) as plain:
        with RawServer(redirect(plain.url()), tls=other.context("localhost")) as s:
            url = s.url(host="localhost")
            refused("network", url, says="from https down to http", waive=FIRST)
        assert plain.requests == []


def test_what_is_no_tls_stays_refused(trusted):
    with RawServer(raw(b"", linger=0), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as s:
        url = s.url().replace("http:", "https:")
        refused("tls", url, says="is not TLS", store=trusted.store, waive=FIRST)
