"""holdfastctl over a repository folder that an attacker has changed."""
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
        "repository, an old copy, or it was changed; use a copy that you trust")


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


@pytest.mark.parametrize("folder", ["targets", "metadata", "targets/roots"])
def test_a_folder_that_leads_elsewhere_is_not_written_into(p, a, tmp_path, folder):
    """An attacker who can change the public folder cannot make the publisher change other files."""
    p.add(a.file)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(p.repo / folder, elsewhere)
    (elsewhere / ".new").write_text("another file")
    (p.repo / folder).symlink_to(elsewhere)
    before = ctl.tree(elsewhere)
    assert f"{p.repo / folder} is no folder; a repository or mirror holds files and folders" in \
        p.refuses_to_add(a.file, Root(tmp_path, "Root B").file)
    assert ctl.tree(elsewhere) == before


def test_a_file_that_pretends_to_wait_is_called_what_it_is(p, a):
    """And refresh goes on: the timestamp must not end because of it."""
    p.add(a.file)
    (p.repo / "metadata/7.targets.json").write_text("{}")
    outcome = ctl.run("refresh", *p.place)
    assert outcome.code == 0 and outcome.out.startswith("refreshed: ")
    assert outcome.err.startswith("holdfastctl: metadata/7.targets.json waits to be published but "
                                  "must not be (delete it to go on without it): ")


def test_a_temporary_file_laid_out_beforehand_is_not_written_into(p):
    victim = p.folder / "victim"
    victim.write_text("mine")
    os.link(victim, p.repo / "metadata/.new")
    ctl.ok("refresh", *p.place)
    assert victim.read_text() == "mine"
    assert not (p.repo / "metadata/.new").exists()


# ---- what the keys remember -----------------------------------------------------------------------

def last(half):
    return json.loads((half / "last.json").read_text())


def put_back(p, old):
    shutil.rmtree(p.repo)
    shutil.copytree(old, p.repo)


def named(version, path):
    return {"version": version, "sha256": sha256(path)}


def test_both_halves_remember_what_they_signed(p):
    folder = p.repo / "metadata"
    files = {"targets": named(2, folder / "2.targets.json"),
             "snapshot": named(2, folder / "2.snapshot.json"),
             "timestamp": named(2, folder / "timestamp.json")}
    for half in (p.offline, p.online):
        assert last(half)["done"] == last(half)["begun"] == files


@pytest.mark.parametrize("command", ["bundle add", "refresh"])
def test_an_old_copy_of_the_repository_is_not_built_upon(p, a, tmp_path, command):
    shutil.copytree(p.repo, tmp_path / "old")
    p.add(a.file)
    put_back(p, tmp_path / "old")
    assert p.refuses(*command_line(p, a, command)) == (
        f"{p.repo} is an old copy: these keys signed targets 3 last, it has 2; "
        "restore the newest copy of the repository")


def test_an_old_timestamp_alone_is_noticed(p, a):
    timestamp = p.repo / "metadata/timestamp.json"
    old = timestamp.read_bytes()
    ctl.ok("refresh", *p.place)
    timestamp.write_bytes(old)
    assert "these keys signed timestamp 3 last, it has 2" in p.refuses("refresh", *p.place)


def test_signed_targets_that_waited_must_not_vanish(p, a):
    shutil.move(p.online, p.folder / "away")
    p.add(a.file)
    (p.repo / "metadata/3.targets.json").unlink()
    assert "these keys signed targets 3 last, it has 2" in p.refuses_to_add(a.file)


def test_other_bytes_under_the_same_version_are_noticed(p, a, tmp_path):
    shutil.copytree(p.repo, tmp_path / "old")
    memory = (p.online / "last.json").read_bytes()
    ctl.ok("refresh", *p.place, at="+1d")
    newest = (p.online / "last.json").read_bytes()
    put_back(p, tmp_path / "old")
    (p.online / "last.json").write_bytes(memory)
    ctl.ok("refresh", *p.place, at="+2d")
    (p.online / "last.json").write_bytes(newest)
    sentence = p.refuses("refresh", *p.place, at="+3d")
    assert sentence.startswith("timestamp 3 in ") and "is not the one that these keys signed" in sentence


def test_a_number_begun_before_a_crash_is_not_given_out_again(p):
    """The memory was written, the rename never came."""
    memory = last(p.online)
    memory["begun"]["timestamp"] = {"version": 7, "sha256": "0" * 64}
    memory["begun"]["snapshot"] = {"version": 5, "sha256": "0" * 64}
    (p.online / "last.json").write_text(json.dumps(memory))
    assert ctl.ok("refresh", *p.place, at="+24d") == "refreshed: timestamp 8, snapshot 6\n"


def test_a_crash_after_the_rename_is_nothing(p):
    memory = last(p.online)
    ctl.ok("refresh", *p.place)
    memory["begun"] = last(p.online)["begun"]
    (p.online / "last.json").write_text(json.dumps(memory))
    assert ctl.ok("refresh", *p.place) == "refreshed: timestamp 4, snapshot 2\n"


def test_a_number_that_lies_on_disk_is_never_signed_again(p, a):
    """Written before a crash and named by nothing: a cache may hold it all the same."""
    rest = p.repo / "metadata/3.snapshot.json"
    shutil.copy(p.repo / "metadata/2.snapshot.json", rest)
    before = rest.read_bytes()
    p.add(a.file)
    assert rest.read_bytes() == before
    assert p.versions()["snapshot"] == 4 and p.check()["updatable"] is True


# ---- the clock ------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", ["bundle add", "refresh"])
def test_a_clock_far_ahead_signs_nothing(p, a, command):
    sentence = p.refuses(*command_line(p, a, command), at="+38d")
    assert "more than 30 days after the timestamp ended" in sentence
    ctl.ok(*command_line(p, a, command), "--clock-is-right", at="+38d")


def test_a_rest_of_a_month_is_no_wrong_clock(p):
    ctl.ok("refresh", *p.place, at="+36d")


def test_refresh_compares_the_clock_with_the_last_refresh(p):
    ctl.ok("refresh", *p.place, at="+5d")
    sentence = p.refuses("refresh", *p.place, at="+4d")
    assert "but these keys signed at" in sentence
    ctl.ok("refresh", *p.place, "--clock-is-right", at="+4d")
