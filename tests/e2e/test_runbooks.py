"""The runbooks for stolen keys, to the letter, and the devices that live through them: one that is online,
one asleep for five rotations, and one that took what an attacker signed. All end with the right store."""
import json
import re
import shutil

import pytest

from kit import pki, programs
from kit.fleet import CURRENT, HIGHEST, certificates, freeze_and_end_the_numbers
from kit.forge import Forge
from kit.runbook import RUNBOOKS, commands


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


def test_every_runbook_is_listed_and_has_commands():
    pages = sorted(p.name for p in RUNBOOKS.glob("*.md") if p.name != "README.md")
    listed = re.findall(r"\]\(([a-z-]+\.md)\)", (RUNBOOKS / "README.md").read_text())
    assert pages == sorted(set(listed))
    for page in pages:
        text = commands(page)
        assert any(look in text for look in ("holdfastctl check", "holdfastctl plan", "holdfast-admin log",
                                             "holdfast-admin rollout show"))


@pytest.mark.parametrize("roles", [("timestamp",), ("snapshot", "timestamp")],
                         ids=["timestamp", "both"])
def test_stolen_online_key(fleet, roles):
    freeze_and_end_the_numbers(fleet.attack(), roles)
    assert fleet.fooled.update() == CURRENT
    assert fleet.fooled.metadata_versions()["timestamp"] == HIGHEST
    fleet.end_attack()
    programs.says(fleet.fooled.refuses_update(), "older than version 9007199254740991")
    fleet.desk.follow("stolen-online-key.md")
    fleet.ends_right()


@pytest.mark.parametrize("version", [2, HIGHEST])
def test_stolen_targets_key(fleet, rogue, version):
    """The attacker's bundle has the next version, or the last possible one, and the metadata the last numbers."""
    forge = fleet.attack()
    forge.add_bundle(version, rogue)
    freeze_and_end_the_numbers(forge)
    assert fleet.fooled.update() == f"updated amazon-iot/full 1 -> {version}"
    fleet.desk.follow("stolen-targets-key.md")
    fleet.ends_right((CURRENT, CURRENT, f"updated amazon-iot/full {version} -> 1"))
    assert has_nothing_of(rogue, fleet.fooled)


def test_stolen_targets_key_beyond_the_last_version(fleet, rogue):
    """2^53, which not every reader of JSON tells from its neighbours: no device takes that bundle."""
    forge = fleet.attack()
    forge.add_bundle(HIGHEST + 1, rogue)
    freeze_and_end_the_numbers(forge)
    before = fleet.fooled.bundles()
    assert fleet.fooled.update() == CURRENT
    assert fleet.fooled.bundles() == before
    assert fleet.fooled.metadata_versions()["timestamp"] == HIGHEST
    fleet.desk.follow("stolen-targets-key.md")
    fleet.ends_right()


def test_stolen_targets_key_whose_root_is_dropped_by_name(fleet, rogue):
    """Then no chain of the attacker at an endpoint delays the right bundle."""
    fleet.attack().add_bundle(2, rogue)
    assert fleet.fooled.update() == "updated amazon-iot/full 1 -> 2"
    fleet.desk.follow("stolen-targets-key.md", "drop", HIS=fleet.folder / "mallory.pem")
    custom = fleet.publisher.metadata("targets")["signed"]["targets"]["amazon-iot/full/2.pem"]
    assert len(custom["custom"]["holdfast"]["drops"]) == 1
    newest = "updated amazon-iot/full 1 -> 2"
    fleet.ends_right((newest, newest, "updated amazon-iot/full 2 -> 2"), version=2)
    assert has_nothing_of(rogue, fleet.fooled)


def test_stolen_targets_key_that_wrote_into_the_repository(fleet, rogue):
    """The publisher's own timer signs on top of it, and online devices install the attacker's bundle."""
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
    """One of three, of which two must sign: the attacker signs a root with only this key, and no device accepts it."""
    forge = fleet.attack()
    stolen = fleet.publisher.keys / "offline" / "root-1.key.json"
    public = json.loads(stolen.read_text())["public"]
    root = fleet.publisher.metadata("root")["signed"]
    stolen_id = next(k for k, key in root["keys"].items() if key["keyval"]["public"] == public)

    def become_the_only_holder(signed):
        signed["roles"]["root"] = {"keyids": [stolen_id], "threshold": 1}
    forge.change("root", become_the_only_holder, [stolen_id])
    before = fleet.fooled.bundles()
    programs.says(fleet.fooled.refuses_update(), "root", "2")
    assert fleet.fooled.bundles() == before
    assert fleet.fooled.metadata_versions()["root"] == 5
    fleet.desk.follow("stolen-root-keys.md")
    keys = fleet.publisher.metadata("root")["signed"]["roles"]["root"]
    assert stolen_id not in keys["keyids"] and (len(keys["keyids"]), keys["threshold"]) == (3, 2)
    fleet.ends_right()
