"""Every kind of bad input, end to end: refused in one sentence, and nothing has changed."""
import fcntl
import shutil
import sqlite3
from datetime import datetime, timedelta, timezone

import pytest

import net_pki
from kit import programs, roots
from kit.device import Device
from kit.forge import Forge
from kit.pki import Authority
from kit.processes import free_port
from kit.publisher import Publisher
from kit.servers import PlainServer

YESTERDAY = (datetime.now(timezone.utc) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Scene:
    """A device that holds version 1, before a server that hands out whatever lies there."""

    def __init__(self, folder, publisher):
        self.folder, self.publisher = folder, publisher
        publisher.add(*roots.amazon(1, 2, 3, 4))
        self.server = PlainServer(publisher.repo)
        self.device = Device(folder / "device").init(publisher.root, self.server.url)
        self.exported = folder / "exported.pem"
        self.device.update()
        self.device.export(self.exported, "--keep")

    def look(self):
        status = self.device.status()
        return (self.device.bundles(), self.exported.read_bytes(), status["active"],
                status["previous"])

    def refuses(self, *words):
        """The update fails with a sentence that names `words`, and leaves the bundles alone."""
        before = self.look()
        sentence = self.device.refuses_update()
        assert self.look() == before
        programs.says(sentence, *words)
        return sentence

    def recovers(self, line="updated amazon-iot/full 1 -> 2"):
        assert self.device.update() == line


@pytest.fixture
def publisher(folder):
    return Publisher(folder / "publisher", "--targets-keys", "2", "--targets-threshold", "2")


@pytest.fixture
def scene(folder, publisher):
    made = Scene(folder, publisher)
    yield made
    made.server.close()


def add_version_2(publisher):
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)


# ---- metadata ------------------------------------------------------------------------------------

def test_targets_with_too_few_signatures_are_refused(scene, publisher):
    add_version_2(publisher)
    forge = Forge(publisher)
    forge.change("targets", key_ids=forge.key_ids("targets")[:1])
    before = scene.device.metadata_versions()
    scene.refuses("targets", "signed by 1", "threshold is 2")
    after = scene.device.metadata_versions()
    assert after["targets"] == before["targets"]
    assert after["timestamp"] > before["timestamp"], "what was verified before it is kept"


def test_one_key_twice_is_not_two_signatures(scene, publisher):
    forge = Forge(publisher)
    first = forge.key_ids("targets")[0]
    forge.change("targets", key_ids=[first, first])
    before = scene.device.metadata_versions()
    scene.refuses("targets")
    assert scene.device.metadata_versions()["targets"] == before["targets"]


def test_metadata_signed_by_a_stranger_is_refused(scene, publisher, folder):
    stranger = Publisher(folder / "stranger")
    stranger.add(*roots.amazon(1))
    shutil.copy(stranger.newest_file("timestamp"), publisher.repo / "metadata" / "timestamp.json")
    before = scene.device.metadata_versions()
    scene.refuses("timestamp", "signed by 0", "threshold is 1")
    assert scene.device.metadata_versions() == before


def test_an_older_repository_is_refused(scene, publisher, folder):
    shutil.copytree(publisher.repo, folder / "old")
    add_version_2(publisher)
    scene.recovers()
    shutil.rmtree(publisher.repo)
    shutil.copytree(folder / "old", publisher.repo)
    before = scene.device.metadata_versions()
    scene.refuses("timestamp", "version", "2", "3")
    assert scene.device.metadata_versions() == before


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_metadata_is_refused(scene, publisher, role):
    add_version_2(publisher)
    Forge(publisher).change(role, lambda signed: signed.update(expires=YESTERDAY))
    scene.refuses(role, "expired", YESTERDAY[:10])


def test_expired_newest_root_is_refused_and_cured_by_the_next(scene, publisher):
    add_version_2(publisher)
    forge = Forge(publisher)
    forge.change("root", lambda signed: signed.update(expires=YESTERDAY))
    scene.refuses("root", "expired", YESTERDAY[:10])
    tomorrow = datetime.now(timezone.utc) + timedelta(days=1)
    forge.change("root", lambda s: s.update(expires=tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ")))
    scene.recovers()


def test_what_is_no_metadata_is_refused(scene, publisher):
    (publisher.repo / "metadata" / "timestamp.json").write_text("<html>Please log in</html>")
    before = scene.device.metadata_versions()
    scene.refuses("timestamp")
    assert scene.device.metadata_versions() == before


# ---- bundles -------------------------------------------------------------------------------------

def damaged(pem, at=None):
    """Three bytes changed, in the middle unless told where; it is still base64."""
    at = at or len(pem) // 2
    return pem[:at] + bytes(65 + (b + 1) % 26 for b in pem[at:at + 3]) + pem[at + 3:]


def test_a_bundle_with_another_hash_is_refused(scene, publisher):
    add_version_2(publisher)
    file = Forge(publisher).bundle_file(2)
    genuine = file.read_bytes()
    file.write_bytes(damaged(genuine))
    scene.refuses("amazon-iot/full/2.pem", "SHA-256")
    file.write_bytes(genuine)
    scene.recovers()


@pytest.mark.parametrize("change", [lambda c: c + b"\n", lambda c: c[:-1]], ids=["longer", "shorter"])
def test_a_bundle_of_another_length_is_refused(scene, publisher, change):
    add_version_2(publisher)
    file = Forge(publisher).bundle_file(2)
    file.write_bytes(change(file.read_bytes()))
    scene.refuses("2.pem")


def test_a_bundle_that_is_missing_is_refused(scene, publisher):
    add_version_2(publisher)
    Forge(publisher).bundle_file(2).unlink()
    scene.refuses("2.pem", "404")


def test_three_broken_bytes_are_refused_by_the_publisher(publisher, folder):
    broken = folder / "broken.pem"
    broken.write_bytes(damaged(roots.AMAZON[0].file.read_bytes()))
    before = publisher.newest_file("timestamp").read_bytes()
    sentence = publisher.refuses_to_add(broken)
    programs.says(sentence, "damaged")
    assert publisher.newest_file("timestamp").read_bytes() == before
    assert not list((publisher.repo / "targets").rglob("*.pem"))


def test_three_broken_bytes_are_refused_by_the_device_although_signed(scene, publisher):
    good = b"".join(f.read_bytes() for f in roots.amazon(2, 3))
    broken = roots.AMAZON[0].file.read_bytes()
    Forge(publisher).add_bundle(2, good + damaged(broken, broken.index(b"MII") + 8))
    scene.refuses("certificate 3", "damaged")


def leaf_pem():
    leaf, _ = Authority("Some Root").leaf()
    return net_pki.pem(leaf)


def test_a_leaf_is_refused_by_the_publisher(publisher, folder):
    file = folder / "leaf.pem"
    file.write_bytes(leaf_pem())
    before = publisher.newest_file("timestamp").read_bytes()
    programs.says(publisher.refuses_to_add(file), "CA")
    assert publisher.newest_file("timestamp").read_bytes() == before


def test_a_leaf_is_refused_by_the_device_although_signed(scene, publisher):
    good = roots.AMAZON[0].file.read_bytes()
    Forge(publisher).add_bundle(2, good + leaf_pem())
    scene.refuses("CA")


def test_a_private_key_in_a_bundle_is_refused_by_the_publisher(publisher, folder):
    ca = Authority("Some Root")
    file = folder / "both.pem"
    net_pki.write_key(file, ca.key)
    file.write_bytes(file.read_bytes() + net_pki.pem(ca.cert))
    programs.says(publisher.refuses_to_add(file), "PRIVATE KEY")


# ---- the world around ----------------------------------------------------------------------------

def test_a_server_that_is_down_is_said(scene):
    scene.server.close()
    scene.refuses("127.0.0.1", "refused")


def test_a_repository_that_is_not_there_is_said(scene, publisher):
    publisher.repo.rename(publisher.repo.with_name("elsewhere"))
    publisher.repo.mkdir()
    scene.refuses("timestamp.json", "404")


def test_a_first_start_without_a_server_leaves_a_device_that_can_try_again(publisher, folder):
    publisher.add(*roots.amazon(1))
    port = free_port()
    device = Device(folder / "device").init(publisher.root, f"http://127.0.0.1:{port}")
    programs.says(device.refuses_update(), str(port))
    assert device.status()["active"] is None


def test_a_database_of_a_newer_schema_is_read_only(scene, publisher, folder):
    add_version_2(publisher)
    before = scene.device.status()
    with sqlite3.connect(scene.device.database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    sentence = scene.refuses("99", "newer")
    assert "holdfast.db" in sentence or "database" in sentence
    assert scene.device.status()["active"] == before["active"]
    assert scene.device.export(folder / "again.pem") == scene.exported.read_text()


def test_a_damaged_database_leaves_the_bundle_files(scene, publisher, folder):
    add_version_2(publisher)
    before = scene.device.status()["active"]
    for file in scene.device.state.glob("holdfast.db*"):  # its log too, which could heal it
        file.write_bytes(b"\xff" * 100 + file.read_bytes()[100:])
    programs.says(scene.device.refuses_update(), "database")
    assert scene.device.status()["active"] == before
    assert scene.device.export(folder / "again.pem") == scene.exported.read_text()


def test_a_second_update_at_the_same_time_is_refused(scene):
    with open(scene.device.state / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        scene.refuses("another")
