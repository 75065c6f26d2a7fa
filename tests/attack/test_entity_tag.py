"""An entity tag as a lever: one that matches everything freezes a device, one of its own tells a device
from the others."""
import hashlib

import agent
import pytest

from net_servers import RawServer, answer
from test_transport import fetched, of, refused

BAD_TAGS = ["*", '"x", *', 'W/"x", *', '"x", "y"', '"x"y', "x", "'x'", '"', 'w/"x"', 'W/ "x"', '"a"b"', '"a b"',
            '"\xe9"', '"' + "x" * 200 + '"', ""]


def tagged(body, *tags):
    return answer(body, headers=[f"ETag: {tag}" for tag in tags])


@pytest.mark.parametrize("tag", BAD_TAGS)
def test_what_is_no_entity_tag_is_not_kept(scene, tag):
    body = scene.genuine("timestamp")

    def respond(conn, _request, _number):
        conn.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nETag: {tag}\r\n\r\n".encode("latin-1") + body)
        return True

    scene.answers("timestamp", respond)
    agent.ok("--state", scene.state, "update")
    assert not scene.value("etag.timestamp")
    agent.ok("--state", scene.state, "update")
    assert b"If-None-Match" not in scene.site.requests[-1]


@pytest.mark.parametrize("tag", ['"x"', 'W/"x"', '""', '"*"', '"a,b"'])
def test_an_entity_tag_that_came_twice_is_sent_back(scene, tag):
    scene.answers("timestamp", tagged(scene.genuine("timestamp"), tag))
    url = hashlib.sha256(scene.site.url("").encode()).hexdigest()
    for mark in ["?", ""]:
        agent.ok("--state", scene.state, "update")
        assert b"If-None-Match" not in scene.site.requests[-1]
        assert scene.value("etag.timestamp") == f"{mark}{url} {tag}"
    agent.ok("--state", scene.state, "update")
    assert f"\r\nIf-None-Match: {tag}\r\n".encode() in scene.site.requests[-1]


def test_of_two_entity_tags_none_is_kept(scene):
    scene.answers("timestamp", tagged(scene.genuine("timestamp"), '"x"', '"y"'))
    agent.ok("--state", scene.state, "update")
    assert not scene.value("etag.timestamp")


@pytest.mark.parametrize("stored", ['"x"', "*", 'http://127.0.0.1:1 "x"', 64 * "0" + ' "x"'])
def test_an_entity_tag_of_another_origin_is_not_sent(scene, stored):
    """Stored by an older program, or before the URL was changed."""
    agent.ok("--state", scene.state, "update")
    scene.sql("INSERT OR REPLACE INTO value VALUES ('etag.timestamp', ?)", stored)
    agent.ok("--state", scene.state, "update")
    assert b"If-None-Match" not in scene.site.requests[-1]
    assert not scene.value("etag.timestamp")


def test_an_entity_tag_does_not_follow_a_redirect():
    def respond(conn, request, number):
        return answer(b"", "302 Found", [f"Location: {other.url()}"])(conn, request, number)

    with RawServer(tagged(b"hello", '"who"')) as other, RawServer(respond) as site:
        allowed = {"redirect_host": f"127.0.0.1:{other.port}"}
        assert fetched(site.url(), etag='"mine"', **allowed) == [of(b"hello")]
        assert b'\r\nIf-None-Match: "mine"\r\n' in site.requests[0]
        assert b"If-None-Match" not in other.requests[0]


def test_a_304_after_a_redirect_answers_nothing_that_was_asked():
    with RawServer(answer(b"", "304 Not Modified")) as other:
        with RawServer(answer(b"", "302 Found", [f"Location: {other.url()}"])) as site:
            refused("network", site.url(), etag='"mine"', says="no entity tag",
                    redirect_host=f"127.0.0.1:{other.port}")
