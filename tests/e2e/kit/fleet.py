"""Devices that live through a runbook: one that is online, one that sleeps through five rotations, and
one whose wire an attacker has."""
import copy
import re
import shutil

from kit import roots
from kit.device import Device
from kit.forge import Forge
from kit.programs import HAS_PYTHON_TUF
from kit.publisher import Publisher
from kit.runbook import Desk
from kit.servers import Holdfastd, PlainServer

HIGHEST = 2**53 - 1
CURRENT = "current amazon-iot/full 1"


def certificates(pem):
    blocks = re.findall(r"BEGIN CERTIFICATE-----(.*?)-----END", pem, re.DOTALL)
    return sorted("".join(block.split()) for block in blocks)


def moved(publisher, folder):
    """The same publisher, whose files lie in another folder."""
    other = copy.copy(publisher)
    other.repo, other.keys, other.subscribers = folder / "repository", folder / "keys", []
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
        self.publisher.subscribers.append(self.server.catch_up)
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
        copy = moved(self.publisher, self.folder / "attacker")
        self._lead_to(copy.repo)
        return Forge(copy)

    def _lead_to(self, repo):
        self.way.unlink()
        self.way.symlink_to(repo)

    def end_attack(self):
        self._lead_to(self.publisher.repo)

    def ends_right(self, outcomes=(CURRENT, CURRENT, CURRENT), n_rotations=1, version=1):
        """At the next check, and when the publisher continues from there; `version` is the publisher's newest."""
        self.end_attack()
        for device, outcome in zip(self.devices, outcomes):
            assert device.update() == outcome
        self._hold_the_anchors_of(version)
        self.publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
        for device in self.devices:
            assert device.update() == f"updated amazon-iot/full {version} -> {version + 1}"
            assert device.update() == f"current amazon-iot/full {version + 1}"
            assert device.metadata_versions()["root"] == 5 + n_rotations
        self._hold_the_anchors_of(version + 1)
        if HAS_PYTHON_TUF:
            self._python_tuf_follows(version + 1)

    def _hold_the_anchors_of(self, version):
        """Exactly those, as the application and other programs get them."""
        listed = certificates(Forge(self.publisher).bundle_file(version).read_text())
        assert listed
        for device in self.devices:
            exported = device.export(self.folder / f"{device.state.name}-{version}.pem")
            assert certificates(exported) == listed

    def _python_tuf_follows(self, version):
        """Another implementation's client, from the first root."""
        from kit.python_tuf import updater
        client = updater(self.folder / "python-tuf", self.publisher.root, self.server.url)
        client.refresh()
        info = client.get_targetinfo(f"amazon-iot/full/{version}.pem")
        with open(client.download_target(info), encoding="ascii") as content:
            assert certificates(content.read()) == certificates(
                Forge(self.publisher).bundle_file(version).read_text())


def freeze_and_end_the_numbers(forge, roles=("snapshot", "timestamp")):
    """What an attacker with stolen online keys can do: the state of today, for ten years, under the last number."""
    def last(signed):
        signed.update(version=HIGHEST, expires="2036-01-01T00:00:00Z")
    for role in roles:
        forge.change(role, last)
