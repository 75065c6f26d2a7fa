"""The ways to the update server: TLS, proxies, mirrors; and what follows an update."""
import os
import signal

import pytest

from kit import pki, programs, roots
from kit.device import Device
from kit.processes import free_port, wait_until
from kit.servers import NginxTls, PlainServer, Proxy


@pytest.fixture
def ca(folder):
    authority = pki.Authority("Update Server Root")
    authority.file = authority.write(folder / "server-ca.pem")
    return authority


@pytest.fixture
def https(processes, folder, server, ca):
    """nginx with TLS before holdfastd."""
    chain, key = pki.write_chain(folder, "nginx", ca.leaf("127.0.0.1"))
    return NginxTls(processes, folder / "nginx", chain, key, backend=server.url)


def new_device(folder, publisher, *urls, options=()):
    return Device(folder / "device").init(publisher.root, *urls, options=options)


# ---- TLS -----------------------------------------------------------------------------------------

def test_https_with_the_servers_own_ca(https, folder, publisher, ca):
    publisher.add(*roots.amazon(1))
    device = new_device(folder, publisher, https.url, options=["--server-ca", ca.file])
    assert device.update() == "updated amazon-iot/full none -> 1"


def test_https_through_the_store_that_the_device_left_the_factory_with(https, folder, publisher, ca):
    publisher.add(*roots.amazon(1))
    device = new_device(folder, publisher, https.url, options=["--bundle", ca.file])
    assert device.status()["active"]["version"] == 0
    assert device.update() == "updated amazon-iot/full 0 -> 1"


def test_https_with_the_wrong_ca_is_refused_in_words(https, folder, publisher, ca):
    publisher.add(*roots.amazon(1))
    wrong = pki.Authority("Another Root").write(folder / "wrong.pem")
    device = new_device(folder, publisher, https.url, options=["--server-ca", wrong])
    programs.says(device.refuses_update(), "certificate", "Update Server Root")
    assert device.status()["active"] is None


def test_https_to_another_name_is_refused_in_words(processes, folder, publisher, server, ca):
    chain, key = pki.write_chain(folder, "nginx", ca.leaf("another.test"))
    https = NginxTls(processes, folder / "nginx", chain, key, backend=server.url)
    device = new_device(folder, publisher, https.url, options=["--server-ca", ca.file])
    programs.says(device.refuses_update(), "certificate", "another.test", "127.0.0.1")


# ---- proxies -------------------------------------------------------------------------------------

@pytest.fixture
def proxy():
    made = Proxy()
    yield made
    made.close()


def test_http_goes_through_the_proxy_of_the_environment(device, publisher, server, proxy):
    publisher.add(*roots.amazon(1))
    env = programs.environment(http_proxy=proxy.url)
    assert device.update(env=env) == "updated amazon-iot/full none -> 1"
    assert any(r.startswith(f"GET {server.url}/metadata/timestamp.json") for r in proxy.requests)


def test_https_goes_through_a_tunnel(https, folder, publisher, ca, proxy):
    publisher.add(*roots.amazon(1))
    device = new_device(folder, publisher, https.url, options=["--server-ca", ca.file])
    env = programs.environment(https_proxy=proxy.url)
    assert device.update(env=env) == "updated amazon-iot/full none -> 1"
    assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{https.port}")


def test_no_proxy_is_heard(device, publisher, proxy):
    publisher.add(*roots.amazon(1))
    env = programs.environment(http_proxy=proxy.url, no_proxy="127.0.0.1")
    assert device.update(env=env) == "updated amazon-iot/full none -> 1"
    assert proxy.requests == []


# ---- mirrors -------------------------------------------------------------------------------------

def test_the_second_mirror_is_asked_when_the_first_is_dead(folder, publisher, server):
    publisher.add(*roots.amazon(1))
    device = new_device(folder, publisher, f"http://127.0.0.1:{free_port()}", server.url)
    assert device.update() == "updated amazon-iot/full none -> 1"


def test_the_second_mirror_is_asked_when_the_first_answers_with_a_login_page(folder, publisher, server):
    publisher.add(*roots.amazon(1))
    portal = folder / "portal" / "metadata"
    portal.mkdir(parents=True)
    for name in ("timestamp.json", "1.root.json", "2.root.json"):
        (portal / name).write_text("<html>Please log in</html>")
    captive = PlainServer(portal.parent)
    try:
        device = new_device(folder, publisher, captive.url, server.url)
        assert device.update() == "updated amazon-iot/full none -> 1"
    finally:
        captive.close()


# ---- after the swap ------------------------------------------------------------------------------

TELL = 'echo "$HOLDFAST_SET/$HOLDFAST_PROFILE $HOLDFAST_OLD_VERSION $HOLDFAST_NEW_VERSION" >>{}'


def test_the_command_is_told_of_each_swap_and_of_nothing_else(folder, publisher, server):
    told = folder / "told"
    publisher.add(*roots.amazon(1))
    device = new_device(folder, publisher, server.url, options=["--on-swap", TELL.format(told)])
    assert device.update() == "updated amazon-iot/full none -> 1"
    assert device.update() == "current amazon-iot/full 1"
    publisher.add(*roots.amazon(1, 2))
    assert device.update() == "updated amazon-iot/full 1 -> 2"
    assert told.read_text() == "amazon-iot/full none 1\namazon-iot/full 1 2\n"


# ---- staying -------------------------------------------------------------------------------------

def test_run_updates_by_itself_and_ends_when_told(device_at_1, publisher, processes):
    agent = processes.start_ours("holdfast", "--state", device_at_1.state, "run", "--interval", "1")
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    agent.wait_for(lambda: device_at_1.status()["active"]["version"] == 2, "it has updated")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert device_at_1.update() == "current amazon-iot/full 2"


def test_run_ends_when_told_in_the_middle_of_waiting(device_at_1, processes):
    agent = processes.start_ours("holdfast", "--state", device_at_1.state, "run")
    wait_until(lambda: agent.is_running() and agent.err + agent.out, "it says something")
    os.kill(agent.popen.pid, signal.SIGTERM)
    assert agent.wait() == 0
