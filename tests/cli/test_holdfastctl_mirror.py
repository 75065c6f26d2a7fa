"""holdfastctl mirror: what is exported, in which order, what may leave, and what is in the way."""
import hashlib
import json
import os
import shutil
import subprocess
import time

import pytest

import ctl
from ctl import Publisher, Root, ok, refused, tree


@pytest.fixture
def publisher(tmp_path):
    return Publisher(tmp_path)


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path, "A")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def mirror(publisher, out, *options, at=None):
    return ctl.report("mirror-report", "mirror", "--repo", publisher.repo, "--out", out, *options,
                      at=at)


def mirror_refuses(publisher, out, *options, code=1, at=None):
    """Refused, and neither folder has changed; returns the sentence."""
    before = tree(publisher.repo, out)
    sentence = refused("mirror", "--repo", publisher.repo, "--out", out, *options, code=code, at=at)
    assert tree(publisher.repo, out) == before
    return sentence


def files(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*")
            if f.is_file() and f.name != ".lock"}


def rotate(publisher, role="timestamp", lost=None):
    """A new root, with one more key for `role`; the key file `lost` goes, and signs nothing more."""
    half = "offline" if role in ("root", "targets") else "online"
    draft = publisher.folder / "root.draft"
    draft.unlink(missing_ok=True)
    new = publisher.keys / half / f"{role}-{time.monotonic_ns()}.key.json"
    ok("key", "generate", "--key", new, "--insecure-no-passphrase")
    ok("root", "draft", "--from", publisher.repo, "--draft", draft)
    ok("root", "add-key", "--draft", draft, "--role", role, "--key", new)
    if lost:
        ok("root", "remove-key", "--draft", draft, "--role", role, "--key", lost)
        lost.unlink()
    digest = ok("root", "status", draft).split("SHA-256")[1].split()[0]
    ok("root", "sign", "--draft", draft, "--keys", publisher.keys, "--yes", digest)
    ok("root", "finish", *publisher.place, draft)


def age(folder, days):
    """As if everything had been written that long ago."""
    then = time.time() - days * 86400
    for file in folder.rglob("*"):
        os.utime(file, (then, then))


# ---- what is exported ---------------------------------------------------------------------------

def test_all_that_the_timestamp_leads_to_and_nothing_else(publisher, root, out):
    publisher.add(root.file)
    (publisher.repo / "metadata" / "notes.txt").write_text("mine")
    (publisher.repo / "targets" / "draft.pem").write_text("mine")
    done = mirror(publisher, out)
    assert sorted(done["written"]) == sorted(files(out))
    versions = publisher.versions()
    assert {r: done[r] for r in versions} == versions
    assert done["removed"] == []
    names = set(files(out))
    bundle = next(n for n in names if n.startswith("targets/"))
    assert names == {"metadata/1.root.json", "metadata/timestamp.json", bundle,
                     f"metadata/{versions['targets']}.targets.json",
                     f"metadata/{versions['snapshot']}.snapshot.json"}
    assert files(out).items() <= files(publisher.repo).items()
    ok("check", "--repo", out)


def test_files_are_for_a_web_server_to_read(publisher, root, out):
    publisher.add(root.file)
    subprocess.run(["sh", "-c", 'umask 077; exec "$@"', "sh", ctl.BIN / "holdfastctl", "mirror",
                    "--repo", publisher.repo, "--out", out], check=True, capture_output=True)
    assert out.stat().st_mode & 0o777 == 0o755
    for path in out.rglob("*"):
        if path.name != ".lock":
            assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_what_waits_to_be_published_is_left_out(publisher, root, out, tmp_path):
    publisher.add(root.file)
    published = publisher.versions()["targets"]
    away = publisher.online.rename(tmp_path / "online")
    publisher.add(root.file, Root(tmp_path, "B").file)
    away.rename(publisher.online)
    assert publisher.versions()["targets"] == published + 1
    assert mirror(publisher, out)["targets"] == published
    assert f"metadata/{published + 1}.targets.json" not in files(out)
    assert len([n for n in files(out) if n.startswith("targets/")]) == 1
    ok("publish", *publisher.place)
    assert mirror(publisher, out)["targets"] == published + 1


def test_every_root_version_comes_along(publisher, root, out):
    publisher.add(root.file)
    for _ in range(2):
        rotate(publisher)
    assert mirror(publisher, out)["root"] == 3
    assert {f"metadata/{n}.root.json" for n in (1, 2, 3)} <= set(files(out))


def test_what_is_there_is_not_written_again(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    age(out, 1)
    before = {f: f.stat().st_mtime for f in out.rglob("*") if f.name != ".lock"}
    again = mirror(publisher, out)
    assert (again["written"], again["removed"]) == ([], [])
    assert {f: f.stat().st_mtime for f in before} == before
    ok("refresh", *publisher.place)
    assert mirror(publisher, out)["written"] == ["metadata/timestamp.json"]


def test_people_are_told_in_one_line(publisher, root, out):
    publisher.add(root.file)
    said = ok("mirror", "--repo", publisher.repo, "--out", out)
    v = publisher.versions()
    assert said == (f"mirrored: root 1, targets {v['targets']}, snapshot {v['snapshot']}, "
                    f"timestamp {v['timestamp']}; 5 written, 0 removed\n")


# ---- order --------------------------------------------------------------------------------------

CHANGES = "renameat,renameat2,rename,unlink,unlinkat"


def traced(publisher, out, *options):
    """`mirror` under strace, which keeps nothing of what was replaced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    done = subprocess.run(["strace", "-f", "-e", f"trace={CHANGES}", "-s", "400", *options,
                           ctl.BIN / "holdfastctl", "mirror", "--repo", publisher.repo,
                           "--out", out, "--keep", "0", "--keep-days", "0"],
                          capture_output=True, text=True, timeout=ctl.TIMEOUT_S,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    if "PTRACE_TRACEME" in done.stderr:
        pytest.skip("strace may not trace here")
    return done


def renames(publisher, out):
    """The names in OUT in the order in which they appear, and what is removed."""
    done = traced(publisher, out)
    assert done.returncode == 0, done.stderr
    seen = []
    for line in done.stderr.splitlines():
        if line.rstrip().endswith("= 0") and str(out) in line:
            path = line.rsplit(f"{out}/", 1)[1].split('"')[0]
            seen.append(("-" if "unlink" in line else "+") + path)
    return seen


def test_timestamp_comes_last_and_removal_after_it(publisher, root, out, tmp_path):
    publisher.add(root.file)
    mirror(publisher, out)
    age(out, 60)
    old = publisher.versions()
    publisher.add(root.file, Root(tmp_path, "B").file)
    new = publisher.versions()
    seen = renames(publisher, out)
    assert seen[0].startswith("+targets/")
    assert seen[1:4] == [f"+metadata/{new['snapshot']}.snapshot.json",
                         f"+metadata/{new['targets']}.targets.json", "+metadata/timestamp.json"]
    assert seen[4:] == [f"-metadata/{old['snapshot']}.snapshot.json",
                        f"-metadata/{old['targets']}.targets.json"]


def test_roots_appear_one_after_the_other(publisher, root, out):
    publisher.add(root.file)
    for _ in range(9):
        rotate(publisher)
    seen = [n for n in renames(publisher, out) if n.endswith(("root.json", "timestamp.json"))]
    assert seen == [f"+metadata/{n}.root.json" for n in range(1, 11)] + ["+metadata/timestamp.json"]


def test_a_root_waits_for_a_timestamp_that_is_good_under_both(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    rotate(publisher, "root")
    ok("refresh", *publisher.place)
    seen = [n for n in renames(publisher, out) if n.startswith("+")]
    assert seen[-2:] == ["+metadata/timestamp.json", "+metadata/2.root.json"]


def test_a_root_that_ends_a_lost_key_goes_first(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    rotate(publisher, lost=publisher.online / "timestamp-1.key.json")
    seen = [n for n in renames(publisher, out) if n.startswith("+")]
    assert seen[-2:] == ["+metadata/2.root.json", "+metadata/timestamp.json"]
    ok("check", "--repo", out)


# ---- what may leave -----------------------------------------------------------------------------

def publish_many(publisher, root, out, count):
    """`count` versions of the bundle, the last alone listed, each mirrored, all of it long ago."""
    for _ in range(count):
        publisher.add(root.file, "--keep", "1")
        mirror(publisher, out)
    age(out, 60)


def kept(out, role):
    return sorted(int(f.name.split(".")[0]) for f in (out / "metadata").glob(f"*.{role}.json"))


def bundles(out):
    return sorted(int(f.name.split(".")[1]) for f in (out / "targets").rglob("*.pem"))


def test_the_newest_that_were_replaced_stay_with_their_bundles(publisher, root, out):
    publish_many(publisher, root, out, 5)
    newest = publisher.versions()
    done = mirror(publisher, out, "--keep", "2", "--keep-days", "0")
    for role in ("snapshot", "targets"):
        assert kept(out, role) == [newest[role] - 2, newest[role] - 1, newest[role]]
    assert bundles(out) == [3, 4, 5]
    assert kept(out, "root") == [1]
    assert len(done["removed"]) == 2 * 2 + 2 and done["written"] == []
    ok("check", "--repo", out)


def test_what_was_replaced_lately_stays(publisher, root, out):
    publish_many(publisher, root, out, 4)
    assert mirror(publisher, out, "--keep", "0", "--keep-days", "90")["removed"] == []
    newest = publisher.versions()["targets"]
    # As if the one before the newest had been replaced yesterday.
    for role in ("targets", "snapshot"):
        version = publisher.versions()[role]
        yesterday = time.time() - 86400
        os.utime(out / "metadata" / f"{version}.{role}.json", (yesterday, yesterday))
    mirror(publisher, out, "--keep", "0", "--keep-days", "30")
    assert kept(out, "targets") == [newest - 1, newest]
    assert bundles(out) == [3, 4]


def test_what_a_timestamp_in_the_field_may_still_name_stays(root, out, tmp_path):
    """Where timestamps last for 90 days, one of 60 days ago is good; what it leads to is there."""
    publisher = Publisher(tmp_path, "--insecure-no-passphrase", "--expires-timestamp", "90",
                          "--expires-snapshot", "120")
    publish_many(publisher, root, out, 3)
    assert mirror(publisher, out, "--keep", "0", "--keep-days", "30")["removed"] == []
    age(out, 91)
    assert mirror(publisher, out, "--keep", "0", "--keep-days", "30")["removed"] != []


def test_a_bundle_that_is_listed_stays_however_old(publisher, root, out):
    for _ in range(3):
        publisher.add(root.file)
        mirror(publisher, out)
    age(out, 600)
    mirror(publisher, out, "--keep", "0", "--keep-days", "0")
    assert bundles(out) == [1, 2, 3]
    assert len(kept(out, "targets")) == 1


def test_all_roots_stay_for_good(publisher, root, out):
    publisher.add(root.file)
    for _ in range(3):
        rotate(publisher)
        mirror(publisher, out)
    age(out, 900)
    mirror(publisher, out, "--keep", "0", "--keep-days", "0")
    assert kept(out, "root") == [1, 2, 3, 4]


def test_what_is_not_known_is_never_removed(publisher, root, out):
    publish_many(publisher, root, out, 3)
    old = publisher.versions()["targets"] - 1
    strangers = ["index.html", "metadata/1.root.json.bak", "metadata/01.targets.json",
                 "metadata/999.targets.json", "metadata/0.snapshot.json", "targets/readme.txt",
                 f"targets/roots/full/{'a' * 64}.1.pem", "targets/roots/full/9.pem"]
    for name in strangers:
        (out / name).write_text("not yours")
    # Replaced, but not what its name says; and a bundle that is not what was signed.
    (out / "metadata" / f"{old}.targets.json").write_text("not yours")
    changed = next((out / "targets").rglob("*.1.pem"))
    changed.write_text("not yours")
    age(out, 60)
    mirror(publisher, out, "--keep", "0", "--keep-days", "0")
    for name in [*strangers, f"metadata/{old}.targets.json", str(changed.relative_to(out))]:
        assert (out / name).read_text() == "not yours", name


def test_nothing_is_removed_through_a_link(publisher, root, out, tmp_path):
    publish_many(publisher, root, out, 2)
    content = b"another file"
    digest = hashlib.sha256(content).hexdigest()
    for folder in (tmp_path / "elsewhere", out / "targets" / "here"):
        folder.mkdir()
        (folder / f"{digest}.file").write_bytes(content)
    (out / "targets" / "linked").symlink_to(tmp_path / "elsewhere")
    # Replaced metadata that was changed to describe these exactly.
    old = out / "metadata" / f"{publisher.versions()['targets'] - 1}.targets.json"
    forged = json.loads(old.read_text())
    for name in ("linked/file", "here/file"):
        forged["signed"]["targets"][name] = {"length": len(content), "hashes": {"sha256": digest}}
    old.write_text(json.dumps(forged))
    age(out, 60)
    removed = mirror(publisher, out, "--keep", "0", "--keep-days", "0")["removed"]
    assert f"targets/here/{digest}.file" in removed
    assert (tmp_path / "elsewhere" / f"{digest}.file").read_bytes() == content
    assert (out / "targets" / "linked").is_symlink()


# ---- interrupted --------------------------------------------------------------------------------

def test_what_an_interrupted_export_left_is_completed(publisher, root, out, tmp_path):
    publisher.add(root.file)
    mirror(publisher, out)
    publisher.add(root.file, Root(tmp_path, "B").file)
    whole = tmp_path / "whole"
    mirror(publisher, whole)
    # Cut before the timestamp: the numbered files are there, one half written beside its name.
    for name, content in files(whole).items():
        if name != "metadata/timestamp.json":
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content)
    (out / "metadata" / ".new").write_bytes(b'{"half')
    ok("check", "--repo", out)
    assert mirror(publisher, out)["written"] == ["metadata/timestamp.json"]
    assert files(out).items() >= files(whole).items()
    assert not (out / "metadata" / ".new").exists()


def test_killed_at_any_change_it_leaves_what_devices_take(publisher, root, out, tmp_path):
    publisher.add(root.file, "--keep", "1")
    mirror(publisher, out)
    rotate(publisher, "root")
    publisher.add(root.file, "--keep", "1")
    age(out, 60)
    whole, old = tmp_path / "whole", publisher.versions()["timestamp"]
    mirror(publisher, whole)
    seen = set()
    for cut in range(1, 40):
        scratch = tmp_path / f"cut-{cut}"
        shutil.copytree(out, scratch)
        done = traced(publisher, scratch, "-e", f"inject={CHANGES}:signal=KILL:when={cut}")
        check = json.loads(ok("check", "--repo", scratch, "--json"))
        seen.add(check["roles"]["timestamp"]["version"])
        mirror(publisher, scratch, "--keep", "0", "--keep-days", "0")
        assert files(scratch) == files(whole), cut
        if done.returncode == 0:
            break
    # A root, targets, snapshot, a bundle, the timestamp; and what goes.
    assert done.returncode == 0 and cut > 6 and old in seen and len(seen) == 2, (cut, seen)


def test_an_export_that_cannot_be_written_changes_nothing_a_device_sees(publisher, root, out,
                                                                       tmp_path):
    publisher.add(root.file)
    mirror(publisher, out)
    publisher.add(root.file, Root(tmp_path, "B").file)
    (out / "metadata" / ".new").mkdir()  # in the way of every temporary file there
    assert "cannot take away" in mirror_refuses(publisher, out)
    ok("check", "--repo", out)
    (out / "metadata" / ".new").rmdir()
    mirror(publisher, out)


def test_a_damaged_file_is_put_right(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    whole = files(out)
    for name in whole:
        if "root" not in name.rsplit("/", 1)[1]:
            (out / name).write_bytes(b"x" * 100000)
    assert sorted(mirror(publisher, out)["written"]) == sorted(
        n for n in whole if n != "metadata/1.root.json")
    assert files(out) == whole


# ---- refused ------------------------------------------------------------------------------------

def test_a_repository_that_devices_refuse_is_not_mirrored(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    assert "expired" in mirror_refuses(publisher, out, at="+30d")
    bundle = next((publisher.repo / "targets").rglob("*.pem"))
    bundle.write_bytes(bundle.read_bytes() + b"\n")
    assert "nothing was mirrored" in mirror_refuses(publisher, out)


def test_nothing_is_made_for_a_repository_that_is_none(publisher, tmp_path, out):
    said = refused("mirror", "--repo", tmp_path / "none", "--out", out)
    assert "nothing was mirrored" in said and "timestamp.json" in said
    assert not out.exists()


def test_an_old_copy_does_not_go_over_a_newer_mirror(publisher, root, out, tmp_path):
    publisher.add(root.file)
    old = tmp_path / "old"
    shutil.copytree(publisher.repo, old)
    ok("refresh", *publisher.place)
    mirror(publisher, out)
    before = tree(out)
    assert "old copy" in refused("mirror", "--repo", old, "--out", out)
    rotate(publisher)
    mirror(publisher, out)
    assert tree(out) != before
    before = tree(out)
    assert "old copy" in refused("mirror", "--repo", old, "--out", out)
    assert tree(out) == before


def test_an_old_copy_does_not_go_under_a_newer_root(publisher, root, out, tmp_path):
    publisher.add(root.file)
    old = tmp_path / "old"
    shutil.copytree(publisher.repo, old)
    rotate(publisher)
    mirror(publisher, out)
    (out / "metadata" / "timestamp.json").unlink()
    before = tree(out)
    said = refused("mirror", "--repo", old, "--out", out)
    assert "has root 2" in said and "only 1" in said
    assert tree(out) == before


def test_another_repository_does_not_go_over_a_mirror(publisher, root, out, tmp_path):
    publisher.add(root.file)
    mirror(publisher, out)
    (tmp_path / "b").mkdir()
    other = Publisher(tmp_path / "b")
    assert "another repository" in mirror_refuses(other, out)


@pytest.fixture
def shipped(publisher, tmp_path):
    """What devices ship with: the first root, kept elsewhere."""
    return shutil.copy(publisher.repo / "metadata/1.root.json", tmp_path / "shipped.json")


def test_with_root_only_what_follows_from_it_is_mirrored(publisher, root, out, tmp_path, shipped):
    publisher.add(root.file)
    assert mirror(publisher, out, "--root", shipped)["targets"] == 2
    (tmp_path / "other").mkdir()
    other = Publisher(tmp_path / "other")
    other.add(root.file)
    sentence = mirror_refuses(other, tmp_path / "new", "--root", shipped)
    assert sentence.startswith("nothing was mirrored: expected root 1 with SHA-256 "
                               f"{hashlib.sha256(shipped.read_bytes()).hexdigest()}, found ")
    assert not (tmp_path / "new").exists()
    ok("mirror", "--repo", other.repo, "--out", tmp_path / "new")  # whole, but whose?


def test_root_may_be_a_later_one_and_all_come_along(publisher, root, out, tmp_path, shipped):
    publisher.add(root.file)
    old = shutil.copytree(publisher.repo, tmp_path / "old")
    rotate(publisher)
    assert mirror(publisher, out, "--root", publisher.online / "root.json")["root"] == 2
    assert {"metadata/1.root.json", "metadata/2.root.json"} <= set(files(out))
    assert mirror(publisher, out, "--root", shipped)["root"] == 2
    sentence = refused("mirror", "--repo", old, "--out", tmp_path / "new", "--root",
                       publisher.online / "root.json")
    assert "expected root 2" in sentence and "found none" in sentence


def test_a_root_that_is_none_stops_it(publisher, root, out, tmp_path):
    publisher.add(root.file)
    empty = tmp_path / "empty"
    empty.touch()
    assert mirror_refuses(publisher, out, "--root", empty) == (
        f"{empty} is empty; it should be root metadata")
    assert 'expected _type "root"' in mirror_refuses(publisher, out, "--root",
                                                     publisher.repo / "metadata/timestamp.json")
    assert str(tmp_path / "none") in mirror_refuses(publisher, out, "--root", tmp_path / "none")
    assert not out.exists()


def test_a_forged_next_root_in_the_mirror_is_found(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    forged = json.loads((out / "metadata" / "1.root.json").read_text())
    forged["signed"]["version"] = 2
    (out / "metadata" / "2.root.json").write_text(json.dumps(forged))
    assert "devices would refuse it" in mirror_refuses(publisher, out)


def test_a_timestamp_that_nobody_signed_holds_nothing_up(publisher, root, out):
    publisher.add(root.file)
    mirror(publisher, out)
    timestamp = out / "metadata" / "timestamp.json"
    forged = json.loads(timestamp.read_text())
    forged["signed"]["version"] = 2 ** 53 - 1
    timestamp.write_text(json.dumps(forged))
    assert mirror(publisher, out)["written"] == ["metadata/timestamp.json"]
    ok("check", "--repo", out)


@pytest.mark.parametrize("name", ["metadata/timestamp.json", "metadata/1.root.json", "BUNDLE"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_written_through_or_waited_for(publisher, root, out, tmp_path, name,
                                                              kind):
    publisher.add(root.file)
    mirror(publisher, out)
    victim = next((out / "targets").rglob("*.pem")) if name == "BUNDLE" else out / name
    moved = victim.rename(tmp_path / "victim")
    if kind == "link":
        victim.symlink_to(moved)
    elif kind == "pipe":
        os.mkfifo(victim)
    else:
        victim.mkdir()
    before = moved.read_bytes()
    assert "is no regular file" in mirror_refuses(publisher, out)
    assert moved.read_bytes() == before


def test_a_linked_folder_is_not_written_through(publisher, root, out, tmp_path):
    publisher.add(root.file)
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / "metadata").symlink_to(tmp_path / "elsewhere")
    assert "is no folder" in mirror_refuses(publisher, out)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_repository_itself_is_no_place_for_a_mirror(publisher, root, tmp_path):
    publisher.add(root.file)
    assert "the repository itself" in publisher.refuses("mirror", "--repo", publisher.repo, "--out",
                                                        publisher.repo, code=2)
    (tmp_path / "link").symlink_to(publisher.repo)
    publisher.refuses("mirror", "--repo", publisher.repo, "--out", tmp_path / "link", code=2)


@pytest.mark.parametrize("words, sentence", [
    ((), "--repo is missing"),
    (("--repo", "x"), "--out is missing"),
    (("--repo", "x", "--out", "y", "z"), 'unexpected argument "z"'),
    (("--repo", "x", "--out", "y", "--keep", "-1"), "--keep N is 0 to 1000000, not -1"),
    (("--repo", "x", "--out", "y", "--keep-days", "9999999"),
     "--keep-days DAYS is 0 to 1000000, not 9999999"),
    (("--repo", "x", "--out", "y", "--keep", "some"), "invalid numeric value"),
])
def test_a_wrong_command_line_is_told_so(words, sentence):
    assert sentence in refused("mirror", *words, code=2)
