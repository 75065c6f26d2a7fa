"""root finish is killed, or its disk fails, at every write, fsync and rename: what devices find then is
good or good at their next check, and the same root finish goes on."""
import json
import os
import re
import shutil
import subprocess

import pytest

import ctl
from ceremony import Holder, digest, edit, new_draft, new_key, pins
from ctl import Root



def strace(options, *command):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    done = subprocess.run(["strace", "-f", "-y", "-s", "0", *options, ctl.BIN / "holdfastctl",
                           *command], capture_output=True, text=True, timeout=ctl.TIMEOUT_S,
                          env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    if "PTRACE_TRACEME" in done.stderr:
        pytest.skip("strace may not trace here")
    return done


class Scene:
    """A ceremony that is signed and not published: files, to begin again and again from."""

    def __init__(self, folder, name, is_bridged=True):
        self.folder, self.is_bridged = folder, is_bridged
        self.live, self.start = folder / "live", folder / "start"
        self.live.mkdir()
        self.p = ctl.Publisher(self.live, "--insecure-no-passphrase")
        self.p.add(Root(folder, "Root A").file)
        self.root, self.targets = folder / "root.draft", None
        getattr(self, name)()
        shutil.copytree(self.live, self.start)
        self.old = self.p.versions()

    @property
    def command(self):
        targets = [] if self.targets is None else ["--targets", self.targets]
        return ["root", "finish", *self.p.place, self.root, *targets]

    @property
    def new_root(self):
        return self.p.repo / "metadata/2.root.json"

    def restart(self):
        shutil.rmtree(self.live)
        shutil.copytree(self.start, self.live)

    def sign_root(self):
        ctl.ok("root", "sign", "--draft", self.root, "--keys", self.p.keys, "--yes",
               digest(self.root))

    def replace(self, role, half, keeps_old):
        old, new = self.p.keys / half / f"{role}-1.key.json", new_key(self.p, half, f"{role}-2")
        edit("add-key", self.root, role, "--key", new)
        edit("remove-key", self.root, role, "--key", old)
        if not keeps_old:
            old.unlink()

    # ---- the ceremonies

    def renewal(self):
        new_draft(self.p, self.root)
        self.sign_root()

    def all_stolen(self):
        """The new online keys lie in a new folder, which knows nothing yet."""
        new_draft(self.p, self.root)
        self.replace("targets", "offline", False)
        self.replace("timestamp", "online", False)
        self.replace("snapshot", "online", False)
        for record in ("root.json", "last.json"):
            (self.p.online / record).unlink()
        self.sign_root()

    def targets_elsewhere(self):
        self._draft_new_targets()
        self.sign_root()
        self._sign_targets([self.carol])

    def all_sign_along(self):
        self._draft_new_targets()
        self.replace("timestamp", "online", True)
        self.replace("snapshot", "online", True)
        self.sign_root()
        self._sign_targets([self.carol, self.alice])

    def _draft_new_targets(self):
        """Carol's key instead of alice's, and neither where the repository is."""
        self.carol = Holder(self.folder, "carol")
        self.alice = Holder(self.folder, "alice", self.p.offline / "targets-1.key.json")
        (self.p.offline / "targets-1.key.json").unlink()
        new_draft(self.p, self.root)
        edit("add-key", self.root, "targets", "--key", self.carol.public)
        edit("remove-key", self.root, "targets", "--key", self.alice.file)

    def _sign_targets(self, holders):
        self.targets = self.folder / "targets.draft"
        ctl.ok("targets", "draft", *self.p.place, "--draft", self.targets, "--under", self.root)
        for holder in holders:
            holder.sign(self.targets, "targets")


SCENES = [("renewal", True), ("all_stolen", False), ("targets_elsewhere", False),
          ("all_sign_along", True)]
NAMES = [name for name, _ in SCENES]


@pytest.fixture
def scene(request, tmp_path):
    return Scene(tmp_path, *request.param)


def numbered(p):
    return {f.name: f.read_bytes() for f in (p.repo / "metadata").glob("[0-9]*.json")}


def shape_of(file):
    """What makes one state differ from another; times and hashes do not."""
    content = file.read_bytes()
    try:
        data = json.loads(content)
    except ValueError:
        return len(content)
    if "signed" in data:
        return data["signed"]["version"], len(data["signatures"])
    return [[(role, f["version"]) for role, f in sorted(data[when].items())]
            for when in ("done", "begun")] if "begun" in data else len(content)


def state_of(p):
    files = [f for top in (p.repo, p.keys) for f in sorted(top.rglob("*")) if f.is_file()]
    return repr([(str(f), shape_of(f)) for f in files])


def finds_all_in_order(p, *options):
    return ctl.run("check", "--repo", p.repo, *options).code == 0


def devices_look(scene):
    """With what they may see now: "old", "new", or the one moment between, where it is documented."""
    p = scene.p
    has_root = scene.new_root.exists()
    is_new = p.metadata("timestamp")["signed"]["version"] > scene.old["timestamp"]
    if not finds_all_in_order(p):
        assert has_root and not is_new and not scene.is_bridged
        return "between"
    # A device that asked for the next root before it came.
    away = scene.folder / "2.root.json"
    if has_root and scene.is_bridged:
        shutil.move(scene.new_root, away)
        assert finds_all_in_order(p)
        shutil.move(away, scene.new_root)
    return "new" if has_root else "old"


def goes_on(scene):
    """The same command ends what was begun; the records of all keys are right; nothing is done twice."""
    p, before = scene.p, numbered(scene.p)
    outcome = ctl.run(*scene.command)
    if outcome.code != 0:  # it had come to its end
        assert "nothing is left to do" in outcome.err, outcome
    after = numbered(p)
    assert {n: after[n] for n in before} == before, "a number was given to another file"
    assert pins(p) == [scene.new_root.read_bytes()] * 2
    assert finds_all_in_order(p, "--root", p.online / "root.json")
    for half in (p.offline, p.online):
        last = json.loads((half / "last.json").read_text())
        assert last["done"] == last["begun"]
        for role, file in last["done"].items():
            assert file["version"] == p.metadata(role)["signed"]["version"]
    assert not list(p.repo.rglob(".new"))
    assert "nothing is left to do" in p.refuses(*scene.command)
    ctl.ok("refresh", *p.place)


def cut_everywhere(scene, calls, injected):
    """Yields what the program said after each cut that left something not seen before."""
    seen = set()
    for call in calls:
        for cut in range(1, 100):
            scene.restart()
            done = strace(["-e", f"trace={call}", "-e", f"inject={call}:{injected}:when={cut}"],
                          *scene.command)
            if done.returncode == 0:
                break
            state = state_of(scene.p)
            if state not in seen:
                seen.add(state)
                yield done
        assert done.returncode == 0 and cut > 5, f"{call}: it never came to its end"


@pytest.mark.parametrize("scene", SCENES, ids=NAMES, indirect=True)
def test_killed_anywhere(scene):
    """Before a write a file is made and empty; before fsync it is whole, or just renamed."""
    looks = []
    for _ in cut_everywhere(scene, ("write", "fsync"), "signal=KILL"):
        looks.append(devices_look(scene))
        goes_on(scene)
    assert len(looks) > 8 and set(looks) >= {"old", "new"}
    assert ("between" in looks) == (not scene.is_bridged)


@pytest.mark.parametrize("scene", [SCENES[-1]], ids=[NAMES[-1]], indirect=True)
def test_a_disk_that_fails_anywhere(scene):
    looks = []
    for done in cut_everywhere(scene, ("write", "fsync", "renameat"), "error=EIO"):
        assert (done.returncode, done.stdout) == (1, "") and "Input/output error" in done.stderr
        looks.append(devices_look(scene))
        goes_on(scene)
    assert set(looks) >= {"old", "new"}


@pytest.mark.parametrize("scene", [SCENES[1]], ids=[NAMES[1]], indirect=True)
def test_cut_before_the_keys_knew_and_gone_on_with_weeks_later(scene):
    """All is out, and has expired since: what is left is for the keys to learn of their root."""
    p = scene.p
    assert "published: root 2, targets 3" in ctl.ok(*scene.command)
    shutil.rmtree(p.keys)
    shutil.copytree(scene.start / "keys", p.keys)
    before = ctl.tree(p.repo)
    said = ctl.ok(*scene.command, at="+20d")
    assert said.endswith("published: root 2\nIt was published before; root.json beside the keys is now up to date.\n")
    assert ctl.tree(p.repo) == before and pins(p) == [scene.new_root.read_bytes()] * 2
    ctl.ok("refresh", *p.place, at="+20d")
    assert p.check(at="+20d")["updatable"] is True


def test_each_file_is_whole_before_its_name_and_its_name_before_the_next(tmp_path):
    """So that a power cut takes at most what a kill takes: the order of fsync and rename."""
    scene = Scene(tmp_path, "all_stolen", False)
    done = strace(["-e", "trace=fsync,renameat"], *scene.command)
    assert done.returncode == 0, done.stderr
    steps = [re.match(r"(?:\[pid +\d+\] )?(fsync|renameat)\((.*)\) += 0", line)
             for line in done.stderr.splitlines()]
    steps = [(step[1], re.findall(r'[<"]([^>"]*)[>"]', step[2])) for step in steps if step]
    assert len(steps) % 3 == 0 and len(steps) >= 24
    for (first, whole), (then, names), (last, folder) in zip(*[iter(steps)] * 3):
        assert (first, then, last) == ("fsync", "renameat", "fsync")
        temporary, name = [n for n in names if n.startswith(str(tmp_path))]
        assert whole == [temporary] and folder == [os.path.dirname(name)]
