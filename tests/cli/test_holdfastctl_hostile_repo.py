"""holdfastctl over a repository folder that somebody else has had their hands on."""
import hashlib
import json
import os
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import ctl
from ctl import Root

COMMANDS = ["bundle add", "publish", "refresh"]


@pytest.fixture
def a(tmp_path):
    return Root(tmp_path, "Root A")


@pytest.fixture
def p(tmp_path, a):
    """A publisher of one bundle."""
    publisher = ctl.Publisher(tmp_path)
    publisher.add(a.file)
    return publisher


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def command_line(p, a, command):
    return p.add_args(a.file) if command == "bundle add" else [command, *p.place]


# ---- whose repository it is -----------------------------------------------------------------------

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Intruder:
    """One key that stands in every role beside the publisher's own, which thereby still sign."""

    def __init__(self, p):
        self.folder = p.repo / "metadata"
        self.key = Ed25519PrivateKey.generate()
        self.public = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {
            "public": self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()}}
        self.id = hashlib.sha256(canonical(self.public)).hexdigest()

    def read(self, name):
        return json.loads((self.folder / name).read_text())["signed"]

    def sign(self, name, signed):
        """Returns how a file above names this one."""
        signature = {"keyid": self.id, "sig": self.key.sign(canonical(signed)).hex()}
        data = json.dumps({"signatures": [signature], "signed": signed}).encode()
        (self.folder / name).write_bytes(data)
        return {"version": signed["version"], "length": len(data),
                "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}

    def take_over(self, is_published):
        """Another root 1, and targets 3 under it with a passenger, for the publisher to carry on."""
        root = self.read("1.root.json")
        root["keys"][self.id] = self.public
        root["roles"]["root"] = {"keyids": [self.id], "threshold": 1}
        for role in ("targets", "snapshot", "timestamp"):
            root["roles"][role]["keyids"].append(self.id)
        self.sign("1.root.json", root)
        targets = self.read("2.targets.json")
        targets["version"] = 3
        targets["targets"]["passenger"] = {"length": 1, "hashes": {"sha256": "0" * 64}}
        named = self.sign("3.targets.json", targets)
        if is_published:
            snapshot = self.read("2.snapshot.json")
            snapshot.update(version=3, meta={"targets.json": named})
            timestamp = self.read("timestamp.json")
            timestamp.update(version=3, meta={"snapshot.json": self.sign("3.snapshot.json", snapshot)})
            self.sign("timestamp.json", timestamp)


@pytest.mark.parametrize("is_published", [True, False])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_key_signs_for_a_repository_with_another_first_root(p, a, command, is_published):
    expected = sha256(p.repo / "metadata/1.root.json")
    Intruder(p).take_over(is_published)
    found = sha256(p.repo / "metadata/1.root.json")
    assert p.refuses(*command_line(p, a, command)) == (
        f"expected root 1 with SHA-256 {expected}, found {found} in {p.repo}: it is another "
        "repository, an old copy, or somebody changed it; use a copy that you trust")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_key_signs_for_another_publishers_repository(p, a, tmp_path, command):
    (tmp_path / "other").mkdir()
    stranger = ctl.Publisher(tmp_path / "other")
    shutil.rmtree(p.repo)
    shutil.copytree(stranger.repo, p.repo)
    assert p.refuses(*command_line(p, a, command)).startswith("expected root 1 with SHA-256 ")


def test_the_online_keys_have_a_word_too_when_a_bundle_is_added(p, a, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = ctl.Publisher(tmp_path / "other")
    shutil.copy(stranger.online / "root.json", p.online / "root.json")
    assert p.refuses_to_add(a.file).startswith("expected root 1 with SHA-256 ")


@pytest.mark.parametrize("command", COMMANDS)
def test_keys_without_a_pinned_root_sign_nothing(p, a, command):
    half = p.offline if command == "bundle add" else p.online
    (half / "root.json").unlink()
    assert p.refuses(*command_line(p, a, command)) == (
        f"{half}/root.json is not there or empty; it names the repository that these keys sign, "
        "put the root metadata there that your devices ship with")


def test_both_halves_pin_the_first_root(p):
    first = (p.repo / "metadata/1.root.json").read_bytes()
    assert (p.offline / "root.json").read_bytes() == first
    assert (p.online / "root.json").read_bytes() == first


def test_check_begins_at_the_root_it_is_given(p):
    pinned = p.online / "root.json"
    assert p.check("--root", pinned)["updatable"] is True
    Intruder(p).take_over(is_published=True)
    assert ctl.run("check", "--repo", p.repo).err.count("no device could update") == 0
    outcome = ctl.run("check", "--repo", p.repo, "--root", pinned)
    assert outcome.code == 1 and "expected root 1 with SHA-256 " in outcome.err


# ---- what is no file ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), os.mkdir])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(p, name, make):
    path = p.repo / "metadata" / name
    path.unlink(missing_ok=True)
    make(path)
    sentence = ctl.refused("refresh", *p.place)
    assert sentence == f"{path} is no regular file; a repository holds nothing else, take it away"


def test_a_temporary_file_laid_out_beforehand_is_not_written_into(p):
    victim = p.folder / "victim"
    victim.write_text("mine")
    os.link(victim, p.repo / "metadata/.new")
    ctl.ok("refresh", *p.place)
    assert victim.read_text() == "mine"
    assert not (p.repo / "metadata/.new").exists()
