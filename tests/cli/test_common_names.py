"""Old private servers whose certificates have a common name and no subjectAltName: programs accept these only with
--common-names, devices where they are configured so, and the errors name the option."""
import agent
import ctl
import json_schema
import json
import net_pki
import pytest
from test_holdfastctl_lint_live import nameless_files, report
from test_probe import not_valid, s_server, valid

OPTION = "--common-names"


class World:
    def __init__(self, folder):
        self.root = net_pki.Authority("Root", start=ctl.NOW - 9 * ctl.DAY, end=ctl.NOW + 9000 * ctl.DAY)
        self.ca = net_pki.write_pem(folder / "ca.pem", self.root.cert)
        self.files = nameless_files(folder, self.root, "localhost")


@pytest.fixture(name="world", scope="module")
def make_world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def test_probe_and_simulate_accept_it_on_request_only(world):
    with s_server(*world.files) as endpoint:
        not_valid(endpoint, "--ca", world.ca, at=None, says=OPTION)
        valid(endpoint, "--ca", world.ca, OPTION, at=None)
        words = ["simulate", "--bundle", world.ca, "--at", f"{ctl.NOW:%Y-%m-%d}", "--endpoint", f"tls://{endpoint}"]
        assert agent.run(*words).code == 4
        assert agent.run(*words, OPTION).code == 0


def test_another_common_name_is_none_of_the_host(world, tmp_path):
    with s_server(*nameless_files(tmp_path, world.root, "elsewhere.test")) as endpoint:
        not_valid(endpoint, "--ca", world.ca, OPTION, at=None, says="not for localhost")


def test_lint_is_told_what_devices_accept(world):
    with s_server(*world.files) as endpoint:
        ask = ["--endpoint", f"tls://{endpoint}", world.ca]
        assert [f["code"] for f in report(*ask)["findings"] if f["severity"] == "error"] == ["endpoint-refused"]
        assert [f for f in report(OPTION, *ask)["findings"] if f["severity"] == "error"] == []


def test_a_device_accepts_it_where_it_is_configured(world, tmp_path):
    with s_server(*world.files) as endpoint:
        device = agent.Device(tmp_path).init("--bundle", world.ca, OPTION)
        shown = json.loads(agent.ok("--state", device.state, "config", "--json"))
        json_schema.check(shown, "config.schema.json")
        assert shown["common_names"] is True
        valid(endpoint, "--state", str(device.state), at=None)
        agent.ok("--state", device.state, "config", "set", "common-names", "no")
        not_valid(endpoint, "--state", str(device.state), at=None, says=OPTION)
