"""Servers so old that they only have cipher suites with static RSA or CBC: programs offer these only
with --legacy-ciphers, and the errors name the option. Against openssl s_server and Python's TLS."""
import ssl

import agent
import ctl
import net_pki
import pytest
from net_servers import RawServer, answer, tls_context
from test_holdfastctl_lint_live import report, server_files
from test_endpoint_probe import is_silence, probe
from test_probe import not_valid, s_server, valid

OPTION = "--legacy-ciphers"
OLD = ["AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA"]


class World:
    def __init__(self, folder):
        self.root = net_pki.Authority("Root", start=ctl.NOW - 9 * ctl.DAY, end=ctl.NOW + 9000 * ctl.DAY)
        self.ca = net_pki.write_pem(folder / "ca.pem", self.root.cert)
        self.files = server_files(folder, "rsa", self.root, bits=2048)

    def server(self, cipher):
        return s_server(*self.files, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")


@pytest.fixture(name="world", scope="module")
def make_world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("cipher", OLD)
def test_probe_offers_old_suites_on_request_only(world, cipher):
    with world.server(cipher) as endpoint:
        assert not_valid(endpoint, "--ca", world.ca, at=None, says=OPTION) == ""
        assert "2 certificates" not in valid(endpoint, "--ca", world.ca, OPTION, at=None)


@pytest.mark.parametrize("cipher", ["ECDHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384",
                                    "ECDHE-RSA-CHACHA20-POLY1305"])
def test_suites_with_forward_secrecy_need_no_option(world, cipher):
    with world.server(cipher) as endpoint:
        valid(endpoint, "--ca", world.ca, at=None)


def test_lint_says_which_option_would_ask(world):
    with world.server("AES128-SHA") as endpoint:
        silent = report("--endpoint", f"tls://{endpoint}", world.ca)["endpoints"]
        assert silent["chains"] == []
        assert all(OPTION in s["why"] for s in silent["silent"]) and silent["silent"]
        asked = report("--endpoint", f"tls://{endpoint}", OPTION, world.ca)["endpoints"]
        assert asked["chains"] != []


def test_for_a_device_such_an_endpoint_is_silent_and_the_reason_names_the_option(world):
    with world.server("AES128-SHA") as endpoint:
        port = endpoint.rsplit(":", 1)[1]
        for offer in ("tls12-rsa", "tls12-any"):
            how = {"offer": offer, "sets": [world.ca], "at": ctl.NOW}
            assert is_silence(probe(port, **how), says=OPTION)
            seen = probe(port, options=[OPTION], **how)
            assert seen["has_proof"] and seen["is_valid"] == [True]


def test_simulate_asks_on_request(world):
    with world.server("AES128-SHA") as endpoint:
        words = ["simulate", "--bundle", world.ca, "--at", f"{ctl.NOW:%Y-%m-%d}", "--endpoint",
                 f"tls://{endpoint}"]
        assert OPTION in agent.run(*words).out + agent.run(*words).err
        outcome = agent.run(*words, OPTION)
        assert OPTION not in outcome.out + outcome.err


def test_the_agent_fetches_over_old_suites_only_if_it_was_told_to(world, tmp_path):
    tls = tls_context(*world.files, version=ssl.TLSVersion.TLSv1_2)
    tls.set_ciphers("AES128-SHA:@SECLEVEL=0")
    device = agent.Device(tmp_path)
    with RawServer(answer(status="404 Not Found"), tls=tls) as server:
        device.init("--server-ca", world.ca, url=server.url("/", host="localhost"))
        assert OPTION in agent.run("--state", device.state, "update").err
        assert server.requests == []
        agent.ok("--state", device.state, "endpoints", OPTION)
        assert OPTION not in agent.run("--state", device.state, "update").err
        assert server.requests != []
        agent.ok("--state", device.state, "endpoints", "--modern-ciphers")
        assert OPTION in agent.run("--state", device.state, "update").err
