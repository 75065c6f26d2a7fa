"""ESP8266 SDK: when AWS IoT moved from VeriSign's roots to its own, devices that lacked the new root said
-0x2700 and nothing else, which looks the same as a wrong clock or a wrong host."""
import json
import re

import pytest

from kit import pki, programs
from kit.device import Device
from kit.servers import NginxTls

ATS, VERISIGN = "Amazon Root CA 1", "VeriSign Class 3 G5"


def check_is_in_words(text):
    programs.says(text, f"no trust anchor for issuer \"O=Holdfast Test, CN={ATS}\"", "CN=Server CA")
    assert not re.search(r"-?0x[0-9a-f]{3,}", text, re.IGNORECASE), f"a bare code: {text}"


class World:
    """A server under the new root, a device that holds the old one."""

    def __init__(self, folder, processes, publisher):
        self.ats, self.verisign = pki.Authority(ATS), pki.Authority(VERISIGN)
        server_ca = pki.Authority("Server CA", self.ats)
        chain, key = pki.write_chain(folder, "server", server_ca.leaf(), server_ca)
        self.server = NginxTls(processes, folder / "nginx", chain, key, root=publisher.repo)
        self.factory = self.verisign.write(folder / "factory.pem")
        self.new_root = self.ats.write(folder / "ats.pem")
        self.device = Device(folder / "device").init(publisher.root, self.server.url,
                                                     options=["--bundle", self.factory])


@pytest.fixture
def world(folder, processes, publisher):
    return World(folder, processes, publisher)


def test_an_update_says_which_certificate_and_which_root(world, publisher):
    publisher.add(world.new_root)
    before = world.device.bundles()
    sentence = world.device.refuses_update()
    programs.says(sentence, world.server.url)
    check_is_in_words(sentence)
    assert world.device.bundles() == before
    check_is_in_words(world.device.status_text())  # and still does later


def test_a_probe_says_it_certificate_by_certificate(world):
    host = f"127.0.0.1:{world.server.port}"
    shown = programs.call("holdfast", "probe", host, "--state", world.device.state)
    assert shown.code == 1
    check_is_in_words(shown.err)
    parts = shown.out.split("\n\n")
    assert len(parts) == 3 and "  verdict  valid" not in parts[2]
    report = json.loads(programs.call("holdfast", "probe", host, "--state", world.device.state,
                                      "--json").out)
    assert report["is_valid"] is False
    check_is_in_words(report["faults"])


def test_what_would_help_can_be_tried(world):
    host = f"127.0.0.1:{world.server.port}"
    outcome = programs.ok("holdfast", "probe", host, "--ca", world.new_root)
    assert outcome.last_line.startswith(f"valid {host} through \"O=Holdfast Test, CN={ATS}\"")
