"""Redirects that lead nowhere, round in circles, out of HTTP, or to a login page."""
import pytest

from net_servers import RawServer, answer

PAGE = b"<!DOCTYPE html><html><title>Room 101</title><form action=/login>password</form></html>"


def redirect(location, status="302 Found"):
    return answer(b"moved", status, [f"Location: {location}"])


# ---- loops ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("stage", ["root", "timestamp", "snapshot", "targets", "bundle"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Moved", "308 Moved"])
def test_redirect_loop(scene, stage, status):
    def round_and_round(conn, request, number):
        return redirect(request.split(b" ")[1].decode(), status)(conn, request, number)

    seen = len(scene.site.requests)
    scene.answers(stage, round_and_round)
    scene.refuses(stage, "network", "redirects more than 3 times")
    last = scene.site.requests[-1].split(b" ")[1]
    assert [r.split(b" ")[1] for r in scene.site.requests[seen:]].count(last) == 4
    scene.is_over()


def test_redirect_loop_between_two_servers(scene):
    """The other one is no mirror of the device, so it is never asked."""
    with RawServer() as other:
        here = scene.site.url("/metadata/timestamp.json")
        other.respond = redirect(here)
        scene.answers("timestamp", redirect(other.url("/there")))
        scene.refuses("timestamp", "network", "neither a mirror nor a redirect host")
        assert other.requests == []
    scene.is_over()


def test_redirect_loop_within_one_server(scene):
    scene.answers("timestamp", redirect(scene.site.url("/metadata/timestamp.json")))
    scene.refuses("timestamp", "network", "redirects more than 3 times")
    scene.is_over()


def test_redirect_loop_that_grows(scene):
    deeper = redirect("x" * 1500 + "/")
    scene.answers("timestamp", deeper)
    scene.site.hostile["/metadata/x"] = deeper
    scene.refuses("timestamp", "network", "longer than 2048 bytes")
    scene.is_over()


def test_redirect_to_a_place_without_end(scene):
    scene.answers("timestamp", redirect("/" + "x" * 5000))
    scene.refuses("timestamp", "limit", "a URL that is too long")
    scene.is_over()


# ---- out of HTTP ---------------------------------------------------------------------------------

@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("file:///etc/passwd", "http:// or https://"),
        ("FILE:/etc/passwd", "http:// or https://"),
        ("file:timestamp.json", "http:// or https://"),
        ("ftp://127.0.0.1/timestamp.json", "http:// or https://"),
        ("gopher://127.0.0.1/_", "http:// or https://"),
        ("data:application/json,{}", "http:// or https://"),
        ("javascript:alert(1)", "http:// or https://"),
        ("httpx://127.0.0.1/", "http:// or https://"),
        ("http:/etc/passwd", "http:// or https://"),
        ("http:///etc/passwd", "host name is empty"),
        ("http://me:secret@127.0.0.1/", "user name or password"),
        ("http://127.0.0.1:0/", "65535"),
        ("//[::1/", "not closed"),
        ("/a b", "0x20"),
        ("/a\tb", "0x09"),
        ("/\xe9", "0xe9"),
    ],
)
def test_redirect_out_of_http(scene, location, says):
    data = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % location.encode("latin-1")

    def respond(conn, _request, _number):
        conn.sendall(data)
        return True

    seen = len(scene.site.requests)
    scene.answers("timestamp", respond)
    sentence = scene.refuses("timestamp", "network", "redirects to where Holdfast does not follow", says)
    assert "secret" not in sentence
    assert len(scene.site.requests) == seen + 2  # the next root, and timestamp once
    scene.is_over()


def test_redirect_to_a_file_that_would_do(scene):
    """Nothing but the scheme is wrong: what lies there is what the publisher signed."""
    folder = scene.repo / "metadata"
    scene.answers("timestamp", redirect(f"file://{folder}/timestamp.json"))
    scene.refuses("timestamp", "network", "http:// or https://")
    scene.is_over()


def test_redirect_without_a_place(scene):
    scene.answers("timestamp", answer(b"", "302 Found"))
    scene.refuses("timestamp", "network", "does not say where")
    scene.is_over()


# ---- captive portals -----------------------------------------------------------------------------

PORTALS = {
    "a page": (answer(PAGE, headers=["Content-Type: text/html"]), "format", "a web page came instead"),
    "a page behind a mark": (answer(b"\xef\xbb\xbf\r\n" + PAGE), "format", "a web page came instead"),
    "nothing, politely": (answer(b"", "204 No Content"), "network", "HTTP 204"),
    "an empty page": (answer(b""), "format", "empty"),
    "JSON of its own": (answer(b'{"error": "please log in"}'), "format", '"signed"'),
    "authentication required": (answer(PAGE, "511 Network Authentication Required"), "network", "HTTP 511"),
    "unauthorized": (answer(PAGE, "401 Unauthorized"), "network", "HTTP 401"),
    "a broken redirect": (answer(PAGE, "300 Multiple Choices"), "network", "HTTP 300"),
}


@pytest.mark.parametrize("stage", ["root", "timestamp"])
@pytest.mark.parametrize("case", PORTALS)
def test_captive_portal(scene, case, stage):
    respond, error, says = PORTALS[case]
    scene.answers(stage, respond)
    scene.refuses(stage, error, says)
    scene.is_over()


def test_captive_portal_that_redirects_to_its_login_page(scene):
    with RawServer(answer(PAGE)) as portal:
        scene.site.hostile["/"] = redirect(portal.url("/login?from=holdfast"))
        scene.refuses("root", "network", "neither a mirror nor a redirect host")
        assert portal.requests == []
    scene.is_over()


# ---- forged 304 ----------------------------------------------------------------------------------

@pytest.mark.parametrize("stage", ["root", "snapshot", "targets", "bundle"])
def test_forged_304_for_what_was_not_asked_about(scene, stage):
    scene.answers(stage, answer(b"", "304 Not Modified"))
    scene.refuses(stage, "network", "HTTP 304")
    scene.is_over()
