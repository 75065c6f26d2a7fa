"""Redirects that would make a device send requests to services which trust it, and answers that would
end up in its log."""
import agent
import pytest

from net_servers import RawServer, answer
from test_transport import fetched, of, refused

SECRET = "s3cr3t-api-token"


def redirect(location):
    return answer(b"moved", "302 Found", [f"Location: {location}"])


def journal(scene):
    return agent.ok("--state", scene.state, "journal", "--json")


# ---- where a redirect leads ------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0",
                                  "127.1", "2130706433", "0x7f.1"])
@pytest.mark.parametrize("stage", ["root", "timestamp", "bundle"])
def test_redirect_to_another_service(scene, stage, host):
    with RawServer(answer(SECRET.encode())) as service:
        location = f"http://{host}:{service.port}/cgi-bin/reboot?confirm={SECRET}"
        scene.answers(stage, redirect(location))
        sentence = scene.refuses(stage, "network", "redirect")
        assert not service.requests and service.connections == 0
        assert SECRET not in sentence + journal(scene)
        assert str(service.port) not in sentence
    scene.is_over()


@pytest.mark.parametrize("location", ["http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::1]/",
                                      "http://192.168.1.1/", "https://127.0.0.1/", "//0.0.0.0/"])
def test_redirect_to_another_network(scene, location):
    scene.answers("timestamp", redirect(location))
    scene.refuses("timestamp", "network", "neither a mirror nor a redirect host")
    scene.is_over()


def test_redirect_within_the_server_is_followed(scene):
    scene.site.hostile["/metadata/timestamp.json"] = redirect("/elsewhere/t?x=1")
    scene.site.hostile["/elsewhere/t?x=1"] = answer(scene.genuine("timestamp"))
    assert agent.ok("--state", scene.state, "update") == "updated roots/full 1 -> 2\n"


def test_redirect_to_a_configured_host(world, tmp_path):
    """The configuration names the host, with its port. The same redirect without that is refused."""
    world.site.hostile = {}
    device = agent.Device(tmp_path)
    device.root = world.repo / "metadata" / "1.root.json"
    with RawServer(lambda conn, request, number: redirect(world.site.url(request.split(b" ")[1].decode()))(
            conn, request, number)) as mirror:
        device.init(url=mirror.url(""))
        seen = len(world.site.requests)
        assert "config set redirect-hosts" in agent.refused("--state", device.state, "update")
        assert len(world.site.requests) == seen
        device.state = tmp_path / "another"
        device.init("--redirect-host", f"127.0.0.1:{world.site.port}", url=mirror.url(""))
        assert agent.ok("--state", device.state, "update") == "updated roots/full none -> 2\n"


def test_in_recovery_only_to_the_same_server():
    with RawServer(answer()) as cdn, RawServer(redirect(cdn.url())) as site:
        assert fetched(site.url(), redirect_host=f"127.0.0.1:{cdn.port}") == [of(b"hello")]
        refused("network", site.url(), waive=1, says="recovery", redirect_host=f"127.0.0.1:{cdn.port}")
        assert len(cdn.requests) == 1


@pytest.mark.parametrize("option", ["a b", "http://cdn.example", "cdn.example:0", "", "me@cdn.example"])
def test_a_redirect_host_that_is_none(tmp_path, option):
    assert "HOST or HOST:PORT" in agent.Device(tmp_path).refuses_init("--redirect-host", option, code=2)


# ---- what an answer leaves behind in messages -------------------------------------------------------

BODIES = {
    "no JSON": '{"token": %s}',
    "a key twice": '{"%s": 1, "%s": 2}',
    "after its end": '{} %s',
    "another type": '{"signed": {"_type": "%s"}, "signatures": []}',
    "another version of TUF": '{"signed": {"_type": "TYPE", "spec_version": "%s"}, "signatures": []}',
    "no time": '{"signed": {"_type": "TYPE", "spec_version": "1.0.0", "version": 2, "expires": "%s"}, "signatures": []}',
    "a key id twice": '{"signed": {"_type": "TYPE", "spec_version": "1.0.0", "version": 2, '
                      '"expires": "2099-01-01T00:00:00Z"}, "signatures": [{"keyid": "%s", "sig": "00"}, '
                      '{"keyid": "%s", "sig": "00"}]}',
    "keys of its own": '{"signed": {"_type": "TYPE", "spec_version": "1.0.0", "version": 2, '
                       '"expires": "2099-01-01T00:00:00Z", "keys": {"%s": {}}, "roles": {}, "meta": {"%s": 1}}, '
                       '"signatures": []}',
    "a page": "<html>%s</html>",
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("stage", ["root", "timestamp"])
def test_answer_is_not_quoted(scene, stage, body):
    scene.answers(stage, answer(BODIES[body].replace("TYPE", stage).replace("%s", SECRET).encode()))
    said = agent.run("--state", scene.state, "update", "--verbose")
    assert said.code == 1
    assert SECRET not in said.out + said.err + journal(scene) + agent.ok("--state", scene.state, "status")


@pytest.mark.parametrize("head", [f"HTTP/1.1 200 {SECRET}", f"HTTP/1.1 500 {SECRET}", f"{SECRET}/1.1 200 OK",
                                  f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}",
                                  f"HTTP/1.1 200 OK\r\nContent-Encoding: {SECRET}",
                                  f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {SECRET}",
                                  f"HTTP/1.1 302 Found\r\nLocation: {SECRET}:{SECRET}",
                                  f"HTTP/1.1 302 Found\r\nLocation: http://{SECRET}@{SECRET}:{SECRET}/",
                                  f"HTTP/1.1 302 Found\r\nLocation: http://{SECRET}/{SECRET}",
                                  f"HTTP/1.1 302 Found\r\nLocation: /{SECRET}"])
def test_head_of_an_answer_is_not_quoted(scene, head):
    def respond(conn, _request, _number):
        conn.sendall(head.encode() + b"\r\n\r\n")
        return False

    scene.answers("timestamp", respond)
    said = agent.run("--state", scene.state, "update", "--verbose")
    assert said.code == 1
    assert SECRET not in said.out + said.err + journal(scene)
