"""A rollout as static files: the desk signs the plan, an online key opens stages, devices obey. And what an attacker with the
online keys gains: time until the last day of the plan, and the pace of its calendar."""
import json

import pytest

from kit import clock, programs, roots
from kit.device import Device
from kit.forge import Forge, canonical, sha256
from kit.publisher import Publisher
from kit.servers import Holdfastd, PlainServer

ROLE = "rollout-amazon-iot"
PLAN = {"stages": [{"groups": ["lab"], "bake": "1d"}, {"share": "100%"}], "mandatory_after": "30d"}


@pytest.fixture
def publisher(folder):
    made = Publisher(folder / "publisher", "--rollout", "amazon-iot")
    made.add(*roots.amazon(1, 2, 3, 4))
    return made


@pytest.fixture
def devices(folder, publisher, server):
    """One in the lab and one that is not; both have version 1, and version 2 with a plan is published."""
    made = [Device(folder / name).init(publisher.root, server.url, options=options)
            for name, options in (("lab", ["--group", "lab"]), ("field", []))]
    for device in made:
        assert device.update() == "updated amazon-iot/full none -> 1"
    plan = folder / "plan.json"
    plan.write_text(json.dumps(PLAN))
    publisher.add(*roots.amazon(1, 2, 3), options=["--plan", plan, "--drop", "all"])
    return made


def step(publisher, word, at=None):
    how = {} if at is None else {"env": clock.at(at)}
    programs.ok("holdfastctl", "rollout", word, *publisher.place, "amazon-iot/full", **how)
    publisher._tell()


def version(device):
    return device.status()["active"]["version"]


def update(device, at=None):
    how = {} if at is None else {"env": clock.at(at)}
    device.update(**how)
    return version(device)


def test_devices_wait_for_their_stage(publisher, devices):
    lab, field = devices
    assert (update(lab), update(field)) == (1, 1)
    step(publisher, "open")
    assert (update(lab), update(field)) == (2, 1)
    assert "stage 1 of 2 is open, this device is in stage 2" in field.status_text()
    step(publisher, "step", at="+25h")
    assert update(field) == 1  # by its own clock, stage 2 is not to come before tomorrow
    assert update(field, at="+26h") == 2


def test_a_pause_holds_and_a_resume_goes_on(publisher, devices):
    lab, field = devices
    step(publisher, "open")
    step(publisher, "pause")
    assert update(lab) == 1 and "paused" in lab.status_text()
    step(publisher, "resume")
    assert update(lab) == 2


def test_from_the_last_day_on_every_device_installs_it(publisher, devices):
    lab, field = devices
    step(publisher, "open")
    step(publisher, "abort")
    programs.ok("holdfastctl", "refresh", *publisher.place, env=clock.at("+31d"))
    publisher._tell()
    assert update(field) == 1
    assert update(field, at="+31d") == 2


def test_the_last_day_of_an_aborted_bundle_comes_although_a_higher_one_waits(publisher, devices, folder):
    _, field = devices
    step(publisher, "open")
    step(publisher, "abort")
    plan = folder / "longer.json"
    plan.write_text(json.dumps({**PLAN, "mandatory_after": "60d"}))
    said = publisher.add(*roots.amazon(1, 2, 3, 4), options=["--plan", plan]).out
    assert "devices that wait for version 3 install version 2 from " in said
    assert f"bundle unlist --repo {publisher.repo} --keys {publisher.keys} --set amazon-iot --profile full 2\n" in said
    programs.ok("holdfastctl", "refresh", *publisher.place, env=clock.at("+31d"))
    publisher._tell()
    assert update(field) == 1
    programs.ok("holdfastctl", "bundle", "unlist", *publisher.place, "--set", "amazon-iot", "--profile", "full", "2",
                env=clock.at("+31d"))
    publisher._tell()
    assert update(field, at="+31d") == 1
    programs.ok("holdfastctl", "refresh", *publisher.place, env=clock.at("+61d"))
    publisher._tell()
    assert update(field, at="+61d") == 3


# ---- an attacker with the online keys -------------------------------------------------------------------

class Attacker(Forge):
    """Signs the role of the stages, snapshot and timestamp as it likes."""

    def sign_stage(self, **activation):
        self.change_role(lambda signed: signed["targets"]["amazon-iot/full/2.pem"]["custom"]["holdfast"][
            "activation"].update(activation))

    def change_role(self, edit, step_by=1):
        file = self.publisher.newest_file(ROLE)
        signed = json.loads(file.read_text())["signed"]
        signed["version"] += step_by
        edit(signed)
        delegations = self.publisher.metadata("targets")["signed"]["delegations"]
        key_id, = delegations["roles"][0]["keyids"]
        self.root["keys"][key_id] = delegations["keys"][key_id]
        content = self.write(ROLE, signed, [key_id])
        meta = {"version": signed["version"], "length": len(content),
                "hashes": {"sha256": sha256(content)}}
        self.change("snapshot", lambda s: s["meta"].update({f"{ROLE}.json": meta}))


@pytest.fixture
def stolen(publisher, devices):
    """Stage 1 is open, and the attacker has the keys."""
    step(publisher, "open")
    return Attacker(publisher)


@pytest.fixture
def field(folder, publisher, devices):
    """The device that is not in the lab, before a web server that looks at nothing."""
    server = PlainServer(publisher.repo)
    programs.ok("holdfast", "--state", devices[1].state, "config", "set", "url", server.url)
    yield devices[1]
    server.close()


def test_it_cannot_hurry(stolen, field):
    stolen.sign_stage(stage=1, state="open", since="2020-01-01T00:00:00Z")
    assert update(field) == 1
    assert "stage 1 of 2 is open" in field.status_text()
    stolen.sign_stage(stage=15, state="complete")
    assert update(field) == 1


def test_it_cannot_hold_back_beyond_the_last_day(publisher, stolen, field):
    stolen.sign_stage(state="aborted", reason="by an attacker")
    assert update(field) == 1
    ends = "2099-01-01T00:00:00Z"
    for role in ("snapshot",):
        stolen.change(role, lambda s: s.update(expires=ends))
    stolen.change("timestamp", lambda s: s.update(expires=ends))
    assert update(field, at="+31d") == 2


def test_it_cannot_unlist_the_bundle_beyond_the_last_day(stolen, field):
    stolen.change_role(lambda signed: signed["targets"].clear())
    assert update(field) == 1
    assert "no valid document" in field.status_text()
    ends = "2099-01-01T00:00:00Z"
    for role in ("snapshot", "timestamp"):
        stolen.change(role, lambda s: s.update(expires=ends))
    assert update(field, at="+31d") == 2


def test_it_can_resume_without_the_desk_and_no_faster_than_the_calendar(publisher, stolen, devices, field, folder):
    """Nothing that devices read says who approved a stage: an approval binds the signer, not an attacker with its key."""
    step(publisher, "pause")
    stolen.sign_stage(stage=1, state="open", since="2020-01-01T00:00:00Z")
    server = PlainServer(publisher.repo)
    programs.ok("holdfast", "--state", devices[0].state, "config", "set", "url", server.url)
    assert update(devices[0]) == 2  # the lab, whose stage had begun
    server.close()
    assert update(field) == 1
    assert update(field, at="+26h") == 2


def test_it_cannot_withhold_the_role(stolen, field):
    """A snapshot must not lose a role (TUF 5.5.5): devices refuse it and keep what they have."""
    stolen.change("snapshot", lambda s: s["meta"].pop(f"{ROLE}.json"))
    sentence = field.refuses_update()
    assert ROLE in sentence
    assert version(field) == 1


def test_it_cannot_speak_of_another_file(stolen, field):
    def swap(signed):
        entry = signed["targets"]["amazon-iot/full/2.pem"]
        entry["hashes"]["sha256"] = "00" * 32
        entry["custom"]["holdfast"]["activation"].update(stage=1)
    stolen.change_role(swap)
    assert update(field, at="+2d") == 1
    assert "no valid document" in field.status_text()


def test_it_cannot_list_a_bundle(stolen, field):
    def add(signed):
        signed["targets"]["amazon-iot/full/9.pem"] = json.loads(
            canonical(signed["targets"]["amazon-iot/full/2.pem"]))
    stolen.change_role(add)
    assert update(field) == 1


def test_it_cannot_replay(stolen, field, publisher):
    assert update(field) == 1
    stolen.sign_stage(state="paused")
    assert update(field) == 1
    # The same number again, or a lower one, with another content.
    stolen.change_role(lambda signed: signed["targets"].clear(), step_by=-1)
    programs.says(field.refuses_update(), ROLE)
    assert version(field) == 1


def test_the_desk_stops_what_an_attacker_signed(publisher, stolen):
    """A stage that the plan does not have, since a time far ahead, is no obstacle."""
    stolen.sign_stage(stage=15, since="2099-01-01T00:00:00Z")
    publisher.check()  # genuine signatures
    shown = programs.ok("holdfastctl", "rollout", "pause", *publisher.place, "amazon-iot").out
    assert "paused at stage 2 of 2" in shown
