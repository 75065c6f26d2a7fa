"""Each runbook, to the letter, and the devices that live through it: one that is online, one asleep for
five rotations, and one that took what an attacker signed. All end on the right store."""
import copy
import datetime
import json
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from kit import pki, programs, roots
from kit.device import Device
from kit.forge import Forge
from kit.publisher import Publisher
from kit.runbook import RUNBOOKS, Desk, commands
from kit.servers import Holdfastd, PlainServer

HIGHEST = 2**53 - 1
CURRENT = "current amazon-iot/full 1"


def certificates(pem):
    blocks = re.findall(r"BEGIN CERTIFICATE-----(.*?)-----END", pem, re.DOTALL)
    return sorted("".join(block.split()) for block in blocks)


def moved(publisher, folder):
    """The same publisher, whose files lie in another folder."""
    other = copy.copy(publisher)
    other.repo, other.keys, other.followers = folder / "repository", folder / "keys", []
    return other


class History:
    """A publisher's files `before` and `after` four rotations: made once, copied for every test."""

    def __init__(self, folder):
        self.before, self.after = folder / "before", folder / "after"
        self.publisher = Publisher(self.after, "--root-keys", "3", "--root-threshold", "2")
        self.publisher.add(*roots.amazon(1, 2, 3, 4))
        shutil.copytree(self.after, self.before)
        desk = Desk(self.publisher, folder / "desk")
        for role in ("snapshot", "timestamp", "targets", "root"):
            desk.rotate(role)


class Fleet:
    """Three devices at version 1, four rotations later; `asleep` has seen none of them."""

    def __init__(self, folder, processes, history):
        self.folder = folder
        shutil.copytree(history.before, folder / "publisher")
        self.publisher = moved(history.publisher, folder / "publisher")
        self.desk = Desk(self.publisher, folder / "desk")
        self.server = Holdfastd(processes, self.publisher.repo)
        self.publisher.followers.append(self.server.catch_up)
        self.way = folder / "way"  # where the wire of `fooled` leads
        self.way.symlink_to(self.publisher.repo)
        self.wire = PlainServer(self.way)
        self.online, self.asleep = (self._device(n, self.server.url) for n in ("online", "asleep"))
        self.fooled = self._device("fooled", self.wire.url)
        for device in self.devices:
            assert device.update() == "updated amazon-iot/full none -> 1"
        shutil.copytree(history.after, folder / "publisher", dirs_exist_ok=True)
        self.server.catch_up()
        for device in (self.online, self.fooled):
            assert device.update() == CURRENT

    @property
    def devices(self):
        return self.online, self.asleep, self.fooled

    def _device(self, name, url):
        return Device(self.folder / name).init(self.publisher.root, url)

    def attack(self):
        """The attacker's copy of everything, to which the wire of `fooled` leads from now on."""
        shutil.copytree(self.folder / "publisher", self.folder / "attacker")
        his = moved(self.publisher, self.folder / "attacker")
        self._lead_to(his.repo)
        return Forge(his)

    def _lead_to(self, repo):
        self.way.unlink()
        self.way.symlink_to(repo)

    def end_attack(self):
        self._lead_to(self.publisher.repo)

    def ends_right(self, outcomes=(CURRENT, CURRENT, CURRENT), n_rotations=1):
        """At the next check, and when the publisher goes on from there."""
        self.end_attack()
        for device, outcome in zip(self.devices, outcomes):
            assert device.update() == outcome
        self.publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
        listed = Forge(self.publisher).bundle_file(2).read_text()
        for number, device in enumerate(self.devices):
            assert device.update() == "updated amazon-iot/full 1 -> 2"
            assert device.update() == "current amazon-iot/full 2"
            assert device.metadata_versions()["root"] == 5 + n_rotations
            exported = device.export(self.folder / f"{number}.pem")
            assert certificates(exported) == certificates(listed)


@pytest.fixture(scope="module")
def history():
    with tempfile.TemporaryDirectory(prefix="holdfast-e2e-") as path:
        yield History(Path(path))


@pytest.fixture
def fleet(folder, processes, history):
    made = Fleet(folder, processes, history)
    yield made
    made.wire.close()
    made.server.stop()


@pytest.fixture
def rogue(folder):
    """A root of the attacker's, as a bundle."""
    return pki.Authority("Mallory Root").write(folder / "mallory.pem").read_bytes()


def has_nothing_of(rogue, device):
    """Not even as the bundle before, once there is a version after the right one."""
    files, _ = device.bundles()
    pems = [content.decode() for content in files.values() if isinstance(content, bytes)]
    assert pems, "the device keeps its bundles as files"
    return not any(set(certificates(rogue.decode())) & set(certificates(pem)) for pem in pems)


def freeze_and_end_the_numbers(forge):
    """What a thief of online keys can do: the state of today, for ten years, under the last number."""
    def last(signed):
        signed.update(version=HIGHEST, expires="2036-01-01T00:00:00Z")
    forge.change("snapshot", last)
    forge.change("timestamp", last)


def test_every_runbook_is_listed_and_has_commands():
    pages = sorted(p.name for p in RUNBOOKS.glob("*.md") if p.name != "README.md")
    listed = re.findall(r"\]\(([a-z-]+\.md)\)", (RUNBOOKS / "README.md").read_text())
    assert pages == sorted(listed)
    for page in pages:
        assert "holdfastctl check" in commands(page)


def nearly_ended(fleet):
    """Root and targets as a year and a half later: 20 days are left."""
    periods = fleet.publisher.keys / "offline" / "expiry.json"
    usual = periods.read_text()
    periods.write_text(usual.replace("540", "20"))
    fleet.desk.run(commands("renewal.md").replace("root draft", "root draft --expires 20"))
    periods.write_text(usual)
    for draft in fleet.desk.folder.iterdir():
        draft.unlink()


def days_left(metadata):
    return (datetime.datetime.fromisoformat(metadata["expires"].rstrip("Z")) - pki.NOW).days


def test_renewal(fleet):
    nearly_ended(fleet)
    before = {role: fleet.publisher.metadata(role)["signed"] for role in ("root", "targets")}
    fleet.attack()  # a mirror that stays behind
    fleet.desk.follow("renewal.md")
    assert fleet.fooled.update() == CURRENT
    for role, was in before.items():
        now = fleet.publisher.metadata(role)["signed"]
        assert now["version"] == was["version"] + 1
        assert days_left(was) <= 20 and days_left(now) >= 539
    fleet.ends_right(n_rotations=2)


def test_rotate_online_keys(fleet):
    before = fleet.publisher.metadata("root")["signed"]["roles"]
    with_old_keys = fleet.attack().publisher.keys  # as on the timer's machine, if nobody cares
    fleet.desk.follow("rotate-online-keys.md")
    now = fleet.publisher.metadata("root")["signed"]["roles"]
    for role in ("snapshot", "timestamp"):
        assert not set(now[role]["keyids"]) & set(before[role]["keyids"])
    assert fleet.fooled.update() == CURRENT
    timestamp = fleet.publisher.newest_file("timestamp").read_bytes()
    sentence = programs.refused("holdfastctl", "refresh", "--repo", fleet.publisher.repo,
                                "--keys", with_old_keys)
    programs.says(sentence, "holds 0 of the 1 timestamp keys that root 6 asks for")
    assert fleet.publisher.newest_file("timestamp").read_bytes() == timestamp
    fleet.ends_right()


def test_stolen_online_key(fleet):
    freeze_and_end_the_numbers(fleet.attack())
    assert fleet.fooled.update() == CURRENT
    assert fleet.fooled.metadata_versions()["timestamp"] == HIGHEST
    fleet.end_attack()
    programs.says(fleet.fooled.refuses_update(), "older than version 9007199254740991")
    fleet.desk.follow("stolen-online-key.md")
    fleet.ends_right()


def test_stolen_targets_key(fleet, rogue):
    """His bundle has the last version there is, and his metadata the last numbers."""
    forge = fleet.attack()
    forge.add_bundle(HIGHEST, rogue)
    freeze_and_end_the_numbers(forge)
    took = f"updated amazon-iot/full 1 -> {HIGHEST}"
    assert fleet.fooled.update() == took
    fleet.desk.follow("stolen-targets-key.md")
    fleet.ends_right((CURRENT, CURRENT, f"updated amazon-iot/full {HIGHEST} -> 1"))
    assert has_nothing_of(rogue, fleet.fooled)


def test_stolen_targets_key_that_wrote_into_the_repository(fleet, rogue):
    """The publisher's own timer signs it on, and whoever is online takes his bundle."""
    backup = fleet.folder / "backup"
    shutil.copytree(fleet.publisher.repo, backup)
    Forge(fleet.publisher).add_bundle(HIGHEST, rogue)
    fleet.publisher.refresh()
    for device in (fleet.online, fleet.fooled):
        assert device.update() == f"updated amazon-iot/full 1 -> {HIGHEST}"
    fleet.desk.follow("stolen-targets-key.md", "restore", BACKUP=backup)
    back = f"updated amazon-iot/full {HIGHEST} -> 1"
    fleet.ends_right((back, CURRENT, back))
    assert has_nothing_of(rogue, fleet.online) and has_nothing_of(rogue, fleet.fooled)


def test_stolen_root_keys(fleet):
    """One of three, of which two must sign: he makes himself the only holder, and nobody takes it."""
    forge = fleet.attack()
    stolen = fleet.publisher.keys / "offline" / "root-1.key.json"
    public = json.loads(stolen.read_text())["public"]
    root = fleet.publisher.metadata("root")["signed"]
    his = next(k for k, key in root["keys"].items() if key["keyval"]["public"] == public)

    def become_the_only_holder(signed):
        signed["roles"]["root"] = {"keyids": [his], "threshold": 1}
    forge.change("root", become_the_only_holder, [his])
    before = fleet.fooled.bundles()
    programs.says(fleet.fooled.refuses_update(), "root", "2")
    assert fleet.fooled.bundles() == before
    assert fleet.fooled.metadata_versions()["root"] == 5
    fleet.desk.follow("stolen-root-keys.md")
    keys = fleet.publisher.metadata("root")["signed"]["roles"]["root"]
    assert his not in keys["keyids"] and (len(keys["keyids"]), keys["threshold"]) == (3, 2)
    fleet.ends_right()


def test_lost_key(fleet):
    fleet.attack()
    fleet.desk.follow("lost-key.md")
    assert fleet.fooled.update() == CURRENT
    fleet.ends_right()
