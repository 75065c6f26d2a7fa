"""Devices live through every rotation of the signing keys that holdfastctl makes: those that are
online, those that slept for five of them, and python-tuf's client."""
import json

import pytest

from kit import programs, roots
from kit.device import Device
from kit.publisher import Publisher
from kit.servers import Holdfastd

ROLES = ("root", "targets", "snapshot", "timestamp")


def key_id(file):
    return programs.ok("holdfastctl", "key", "inspect", file).out.split("key id")[1].split()[0]


class Ceremony:
    """Changes to the next root, signed with the keys that lie in KEYS, and published."""

    def __init__(self, publisher, folder):
        self.publisher = publisher
        self.folder = folder
        self.made = 0

    def key_file(self, role, name):
        half = "offline" if role in ("root", "targets") else "online"
        return self.publisher.keys / half / f"{name}.key.json"

    def new_key(self, role):
        self.made += 1
        file = self.key_file(role, f"{role}-new-{self.made}")
        programs.ok("holdfastctl", "key", "generate", "--key", file, "--insecure-no-passphrase")
        return file

    def hold(self, *changes):
        self.made += 1
        draft = self.folder / f"{self.made}.draft"
        programs.ok("holdfastctl", "root", "draft", "--from", self.publisher.repo, "--draft", draft)
        for verb, role, *options in changes:
            programs.ok("holdfastctl", "root", verb, "--draft", draft, "--role", role, *options)
        shown = programs.ok("holdfastctl", "root", "status", draft).out
        digest = shown.split("SHA-256")[1].split()[0]
        programs.ok("holdfastctl", "root", "sign", "--draft", draft, "--keys", self.publisher.keys,
                    "--yes", digest)
        done = programs.ok("holdfastctl", "root", "finish", *self.publisher.place, draft)
        self.publisher._tell()
        return done.last_line

    def replace(self, role, old):
        """Another key instead of `old`, which is deleted afterwards."""
        new = self.new_key(role)
        self.hold(("add-key", role, "--key", new), ("remove-key", role, "--key", old))
        old.unlink()
        return new


@pytest.fixture
def ceremony(publisher, folder):
    return Ceremony(publisher, folder)


def publishes_a_version(publisher, number):
    publisher.add(*roots.amazon(*range(1, number + 1)))


@pytest.mark.parametrize("role", ROLES)
def test_a_device_follows_the_rotation_of_any_key(publisher, device_at_1, ceremony, role):
    ceremony.replace(role, ceremony.key_file(role, f"{role}-1"))
    assert device_at_1.update() == "current amazon-iot/full 1"
    assert device_at_1.metadata_versions()["root"] == 2
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    assert device_at_1.update() == "updated amazon-iot/full 1 -> 2"


def test_a_threshold_is_raised_and_lowered(publisher, device_at_1, ceremony):
    keys = [ceremony.key_file("root", "root-1"), ceremony.new_key("root"), ceremony.new_key("root")]
    ceremony.hold(("add-key", "root", "--key", keys[1], "--key", keys[2], "--threshold", "2"))
    assert device_at_1.update() == "current amazon-iot/full 1"
    ceremony.hold(("set-threshold", "root", "--threshold", "3"))
    ceremony.hold(("set-threshold", "root", "--threshold", "1"))
    assert device_at_1.update() == "current amazon-iot/full 1"
    assert device_at_1.metadata_versions()["root"] == 4
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    assert device_at_1.update() == "updated amazon-iot/full 1 -> 2"


def test_all_root_keys_are_replaced_one_at_a_time(folder, processes):
    publisher = Publisher(folder / "p", "--root-keys", "3", "--root-threshold", "2")
    publisher.add(*roots.amazon(1, 2, 3, 4))
    server = Holdfastd(processes, publisher.repo)
    publisher.subscribers.append(server.catch_up)
    online = Device(folder / "online").init(publisher.root, server.url)
    asleep = Device(folder / "asleep").init(publisher.root, server.url)
    for device in (online, asleep):
        assert device.update() == "updated amazon-iot/full none -> 1"
    ceremony = Ceremony(publisher, folder)
    before = {k["keyval"]["public"] for k in publisher.metadata("root")["signed"]["keys"].values()}
    for number in (1, 2, 3):
        ceremony.replace("root", ceremony.key_file("root", f"root-{number}"))
        assert online.update() == "current amazon-iot/full 1"
    root = publisher.metadata("root")["signed"]
    now = {root["keys"][k]["keyval"]["public"] for k in root["roles"]["root"]["keyids"]}
    assert len(now) == 3 and not now & before
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    for device in (online, asleep):
        assert device.update() == "updated amazon-iot/full 1 -> 2"
        assert device.metadata_versions()["root"] == 4
    server.stop()


def test_a_device_that_slept_through_five_rotations_walks_them(publisher, device_at_1, ceremony):
    for role in (*ROLES, "root"):
        ceremony.replace(role, sorted(ceremony.key_file(role, "x").parent.glob(f"{role}-*"))[0])
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    assert device_at_1.update() == "updated amazon-iot/full 1 -> 2"
    assert device_at_1.metadata_versions()["root"] == 6


def test_a_new_device_begins_at_the_first_root(publisher, server, ceremony, folder):
    publisher.add(*roots.amazon(1, 2))
    for role in ROLES:
        ceremony.replace(role, ceremony.key_file(role, f"{role}-1"))
    device = Device(folder / "new").init(publisher.root, server.url)
    assert device.update() == "updated amazon-iot/full none -> 1"
    assert device.metadata_versions()["root"] == 5


def test_with_the_old_keys_at_hand_no_device_ever_sees_a_fault(publisher, server, device_at_1, ceremony):
    """What lies there between the two renames of a rotation: all but the new root."""
    publisher.subscribers.clear()
    old, new = ceremony.key_file("timestamp", "timestamp-1"), ceremony.new_key("timestamp")
    ceremony.hold(("add-key", "timestamp", "--key", new), ("remove-key", "timestamp", "--key", old))
    new_root = publisher.newest_file("root")
    content = new_root.read_bytes()
    new_root.unlink()
    server.catch_up()
    assert device_at_1.update() == "current amazon-iot/full 1"
    assert device_at_1.metadata_versions()["root"] == 1
    new_root.write_bytes(content)
    server.catch_up()
    assert device_at_1.update() == "current amazon-iot/full 1"
    assert device_at_1.metadata_versions()["root"] == 2


@programs.needs_python_tuf
def test_python_tuf_follows_from_the_first_root(publisher, server, ceremony, folder):
    """One client that was there all along and one that is new, after every kind of rotation."""
    from kit.python_tuf import updater

    def follows(client):
        client.refresh()
        info = client.get_targetinfo("amazon-iot/full/2.pem")
        with open(client.download_target(info), "rb") as content:
            assert content.read().count(b"BEGIN CERTIFICATE") == 2

    publisher.add(*roots.amazon(1))
    publisher.add(*roots.amazon(1, 2))
    follows(updater(folder / "old", publisher.root, server.url))
    changes = [lambda role=role: ceremony.replace(role, oldest(ceremony, role))
               for role in (*ROLES, "root")]
    changes += [lambda: ceremony.hold(("add-key", "root", "--key", ceremony.new_key("root"),
                                       "--threshold", "2")),
                lambda: ceremony.hold(("set-threshold", "root", "--threshold", "1")),
                lambda: ceremony.hold()]
    for number, change in enumerate(changes, start=1):
        change()
        follows(updater(folder / f"new-{number}", publisher.root, server.url))
        follows(updater(folder / "old", publisher.root, server.url))
    kept = json.loads((folder / "old" / "metadata" / "root.json").read_text())
    assert kept["signed"]["version"] == 1 + len(changes)


def oldest(ceremony, role):
    return sorted(ceremony.key_file(role, "x").parent.glob(f"{role}-*"))[0]
