"""Which state of the folder holdfastd serves: the newest whole one, never half of one."""
import hashlib
import json
import os
import shutil
import signal
import threading
import time

import pytest

from holdfastd_process import Server, request, wait_until
from tuf_publisher import Key, Repository, write_whole

TIMESTAMP = "/metadata/timestamp.json"


@pytest.fixture
def repo(tmp_path):
    repo = Repository(tmp_path / "repo")
    repo.targets = {"iot/full/1.pem": b"one\n"}
    repo.publish()
    return repo


def version(server):
    return json.loads(server.get(TIMESTAMP).body)["signed"]["version"]


def health(server):
    a = server.get("/healthz")
    return a.status, json.loads(a.body)


def fetch(client, name):
    client.send(request("GET", name))
    a = client.answer()
    return a.body if a.status == 200 else None


def walk(client):
    """What a device does, without signatures: timestamp, snapshot, targets, every target, each as
    the one before announces it. The timestamp's version."""
    def announced(name, info):
        data = fetch(client, name)
        assert data is not None, f"{name} is announced and missing"
        assert len(data) == info.get("length", len(data)), name
        sha256 = info.get("hashes", {}).get("sha256")
        assert sha256 in (None, hashlib.sha256(data).hexdigest()), name
        return data

    timestamp = json.loads(fetch(client, TIMESTAMP))["signed"]
    info = timestamp["meta"]["snapshot.json"]
    snapshot = json.loads(announced(f"/metadata/{info['version']}.snapshot.json", info))["signed"]
    info = snapshot["meta"]["targets.json"]
    targets = json.loads(announced(f"/metadata/{info['version']}.targets.json", info))["signed"]
    for path, info in targets["targets"].items():
        folder, _, base = path.rpartition("/")
        announced(f"/targets/{folder}/{info['hashes']['sha256']}.{base}", info)
    return timestamp["version"]


def test_a_new_snapshot_is_served_without_a_restart(repo):
    with Server(repo.folder) as s:
        assert version(s) == 1
        repo.targets["iot/full/2.pem"] = b"two\n"
        repo.publish()
        wait_until(lambda: version(s) == 2, "version 2")
        with s.connect() as c:
            assert walk(c) == 2
        # What the version before named is still there for devices in the middle of a walk.
        assert s.get("/metadata/1.targets.json").status == 200
        assert s.lines_with("serving timestamp 2, snapshot 2, targets 2, root 1 (")


def test_hangup_looks_at_once(repo):
    with Server(repo.folder) as s:
        repo.publish()
        s.process.send_signal(signal.SIGHUP)
        wait_until(lambda: version(s) == 2, "version 2")


def test_a_new_root_is_served_though_no_timestamp_comes_with_it(repo):
    with Server(repo.folder) as s:
        assert s.get("/metadata/2.root.json").status == 404
        repo.publish_root()
        wait_until(lambda: s.get("/metadata/2.root.json").status == 200, "root 2")
        wait_until(lambda: health(s)[1]["root"] == 2, "root 2 in health")


@pytest.mark.parametrize("spoil, reason", [
    (lambda files: files.pop("snapshot"), "metadata/2.snapshot.json is missing"),
    (lambda files: files.pop("targets"), "metadata/2.targets.json is missing"),
    (lambda files: files.pop("target"), "targets/iot/full/HASH.2.pem is missing"),
    (lambda files: files.update(target=b"twp\n"), "HASH.2.pem"),
    (lambda files: files.update(target=b"tw"), "HASH.2.pem"),
    (lambda files: files.update(snapshot=files["snapshot"] + b" "), "snapshot"),
    (lambda files: files.update(targets=files["targets"].replace(b'"version": 2', b'"version": 3')),
     "targets"),
    (lambda files: files.update(timestamp=files["timestamp"][:-40]), "timestamp"),
    (lambda files: files.update(timestamp=b""), "timestamp"),
], ids=["no-snapshot", "no-targets", "no-target", "other-target", "short-target", "long-snapshot",
        "unsigned-targets", "cut-timestamp", "empty-timestamp"])
def test_half_a_snapshot_is_not_served_until_it_is_whole(repo, spoil, reason):
    with Server(repo.folder) as s:
        before = s.get(TIMESTAMP).body
        repo.targets["iot/full/2.pem"] = b"two\n"
        whole = repo.build_all()
        names = ("old-target", "target", "targets", "snapshot", "timestamp")
        files = {name: data for name, (_, data) in zip(names, whole)}
        spoil(files)
        for name, (path, _) in zip(names, whole):
            if name in files:
                repo.put(path, files[name])
        s.process.send_signal(signal.SIGHUP)
        reason = reason.replace("HASH", hashlib.sha256(b"two\n").hexdigest())
        said = s.wait_for_line("cannot be served as it is: ")
        assert reason in said and said.endswith("; still serving the one before")
        assert s.get(TIMESTAMP).body == before
        assert s.get("/metadata/2.snapshot.json").status == 404
        status, state = health(s)
        assert (status, state["status"], state["timestamp"]) == (200, "ok", 1)
        assert reason in state["problem"]
        with s.connect() as c:
            assert walk(c) == 1
        for path, data in whole:
            repo.put(path, data)
        s.process.send_signal(signal.SIGHUP)
        wait_until(lambda: version(s) == 2, "the whole one")
        assert "problem" not in health(s)[1]


@pytest.mark.parametrize(("spoil", "reason"), [(os.remove, "is missing"), (lambda path: open(path, "a").write("x"), "bytes")])
def test_a_target_lost_later_is_noticed_before_a_restart(repo, spoil, reason):
    """Nothing changes in the metadata, and what is in memory is served on."""
    name = f"targets/iot/full/{hashlib.sha256(b'one' + bytes([10])).hexdigest()}.1.pem"
    with Server(repo.folder) as s:
        time.sleep(4)  # longer than the second load after each publication
        spoil(repo.path(name))
        wait_until(lambda: reason in health(s)[1].get("problem", ""), "the problem", seconds=45)
        assert health(s)[1]["status"] == "ok"
        assert s.get(f"/{name}").body == b"one\n"
        repo.put(name, b"one\n")
        wait_until(lambda: "problem" not in health(s)[1], "it to be whole again", seconds=45)


def test_what_is_missing_is_said_once_and_looked_for_again(repo):
    with Server(repo.folder) as s:
        repo.targets["iot/full/2.pem"] = b"two\n"
        whole = repo.build_all()
        target, content = next((n, d) for n, d in whole if d == b"two\n")
        for name, data in whole:
            if name != target:
                repo.put(name, data)
        s.wait_for_line(f"{target} is missing")
        time.sleep(2.5)
        assert len(s.lines_with("cannot be served as it is")) == 1
        repo.put(target, content)  # changes neither timestamp.json nor its folder
        wait_until(lambda: version(s) == 2, "the whole one")


def test_a_reader_never_meets_half_a_snapshot_while_publishing_goes_on(repo):
    """Publishes as fast as it can, with every file of the version before removed now and then, and
    readers that verify what they get."""
    done = threading.Event()
    failures, seen = [], [set(), set()]

    def read(number):
        try:
            with server.connect() as c:
                while not done.is_set():
                    seen[number].add(walk(c))
        except BaseException as e:  # told by the main thread
            failures.append(e)
            raise

    def publish():
        n = repo.versions["timestamp"] + 1
        repo.targets[f"iot/full/{n}.pem"] = os.urandom(20000)
        if n % 3 == 0:  # timestamp first, as a careless copying tool would
            for name, data in reversed(repo.build_all()):
                repo.put(name, data)
        else:
            repo.publish()

    with Server(repo.folder, "--loops", "2") as server:
        readers = [threading.Thread(target=read, args=(i,), daemon=True) for i in range(2)]
        for r in readers:
            r.start()
        for _ in range(40):
            publish()
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.05)
            if failures:
                break
        last = repo.versions["timestamp"]
        wait_until(lambda: failures or all(last in s for s in seen), "the last version")
        done.set()
        for r in readers:
            r.join(20)
    # A file may be announced by a walk that began in one edition and ended in the next; files
    # stay, so even that walk is whole.
    assert not failures
    assert all(len(s) > 5 for s in seen)


def test_a_server_may_start_before_the_repository_is_there(tmp_path):
    folder = tmp_path / "later"
    with Server(folder, "--wait") as s:
        assert s.wait_for_line("cannot be served as it is").endswith("; answering 503 until it can")
        a = s.get(TIMESTAMP)
        assert (a.status, a.headers["retry-after"], a.headers["cache-control"]) == (503, "10", "no-store")
        status, state = health(s)
        assert (status, state["status"]) == (503, "unavailable")
        assert "cannot be opened" in state["problem"]
        repo = Repository(folder)  # its first root, and nothing else
        wait_until(lambda: "timestamp.json is missing" in health(s)[1]["problem"], "another reason")
        repo.targets = {"iot/full/1.pem": b"one\n"}
        repo.publish()
        wait_until(lambda: s.get(TIMESTAMP).status == 200, "the repository")
        assert health(s)[0] == 200


def test_a_repository_that_goes_away_is_still_served(repo, tmp_path):
    with Server(repo.folder) as s:
        os.rename(repo.folder, tmp_path / "elsewhere")
        s.wait_for_line("cannot be served as it is")
        with s.connect() as c:
            assert walk(c) == 1
        os.rename(tmp_path / "elsewhere", repo.folder)
        wait_until(lambda: "problem" not in health(s)[1], "it to be whole again")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_an_expired_repository_is_served_and_said_to_be(tmp_path, role):
    """200 for the load balancer; monitoring reads the status."""
    repo = Repository(tmp_path / "repo", days={role: -2})
    repo.publish()
    with Server(repo.folder) as s:
        assert version(s) == 1
        status, state = health(s)
        assert (status, state["status"], state["expires_role"]) == (200, "expired", role)
        assert state["seconds_left"] < -86400


# ---- a folder that goes back -----------------------------------------------------------------------


def snapshot_of(repo):
    shutil.copytree(repo.folder, repo.folder + ".old")
    return repo.folder + ".old"


def put_back(repo, old):
    shutil.rmtree(repo.folder)
    os.rename(old, repo.folder)


def test_an_older_timestamp_is_a_problem_and_not_served(repo):
    old = snapshot_of(repo)
    repo.publish()
    with Server(repo.folder) as s:
        assert version(s) == 2
        put_back(repo, old)
        s.process.send_signal(signal.SIGHUP)
        said = s.wait_for_line("timestamp version 1 is older than version 2")
        assert said.endswith("; still serving the one before")
        status, state = health(s)
        assert (status, state["status"], state["timestamp"]) == (200, "ok", 2)
        assert "a device that has the metadata served before refuses it" in state["problem"]
        assert "a restart serves it all the same" in state["problem"]
        with s.connect() as c:
            assert walk(c) == 2
        repo.versions["timestamp"] = 2
        repo.publish()
        wait_until(lambda: version(s) == 3, "version 3")
        assert "problem" not in health(s)[1]
    with Server(repo.folder) as s:  # and a restart without a state folder knows nothing of it
        assert version(s) == 3


def test_a_restart_with_a_state_folder_serves_nothing_older(repo, tmp_path):
    state = tmp_path / "state"
    old = snapshot_of(repo)
    repo.publish()
    with Server(repo.folder, "--state", state) as s:
        assert version(s) == 2
    put_back(repo, old)
    with Server(repo.folder, "--state", state) as s:
        assert s.wait_for_line("timestamp version 1 is older than version 2")
        assert s.get(TIMESTAMP).status == 503
        status, told = health(s)
        assert (status, told["status"]) == (503, "unavailable")
        assert f"a restart without {state}/root.json serves it all the same" in told["problem"]
    os.remove(state / "root.json")
    with Server(repo.folder, "--state", state) as s:
        assert version(s) == 1


def test_a_root_with_other_online_keys_begins_anew(repo, tmp_path):
    with Server(repo.folder, "--state", tmp_path / "state") as s:
        repo.publish()
        wait_until(lambda: version(s) == 2, "version 2")
        repo.keys["timestamp"] = Key()
        repo.publish_root()
        repo.versions["timestamp"] = repo.versions["snapshot"] = 0
        repo.publish()
        wait_until(lambda: version(s) == 1, "version 1 of the new keys")
        assert "problem" not in health(s)[1]


def test_a_state_folder_that_is_damaged_or_full_is_said(repo, tmp_path):
    state = tmp_path / "state"
    with Server(repo.folder, "--state", state):
        pass
    (state / "root.json").write_text("{")
    with Server(repo.folder, "--state", state) as s:
        assert s.wait_for_line("not all that was served before this start is known")
        assert version(s) == 1
    shutil.rmtree(state)
    (state / "root.json").mkdir(parents=True)
    with Server(repo.folder, "--state", state) as s:
        assert s.wait_for_line("after a restart an older repository may be served")
        assert version(s) == 1


def test_links_dot_files_and_temporary_files_are_not_served(repo, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text("secret\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside.json").write_text("secret\n")
    folder = repo.path("metadata")
    os.symlink(secret, os.path.join(folder, "link.json"))
    os.symlink(tmp_path / "folder", os.path.join(folder, "linked"))
    os.symlink(tmp_path / "folder", repo.path("targets/linked"))
    os.mkfifo(os.path.join(folder, "fifo.json"))
    for name in (".hidden.json", "a.json.tmp", "a.json~", "a.json.part", "notes.txt", "key.pem"):
        write_whole(os.path.join(folder, name), b"secret\n")
    write_whole(repo.path("targets/.hidden/x.pem"), b"secret\n")
    with Server(repo.folder) as s:
        assert version(s) == 1
        for name in ("metadata/link.json", "metadata/linked/inside.json", "targets/linked/inside.json",
                     "metadata/fifo.json", "metadata/.hidden.json", "metadata/a.json.tmp",
                     "metadata/a.json~", "metadata/a.json.part", "metadata/notes.txt",
                     "metadata/key.pem", "targets/.hidden/x.pem"):
            assert s.get("/" + name).status == 404, name


def test_a_linked_metadata_folder_is_refused(repo, tmp_path):
    os.rename(repo.path("metadata"), tmp_path / "metadata")
    os.symlink(tmp_path / "metadata", repo.path("metadata"))
    with Server(repo.folder) as s:
        assert s.get(TIMESTAMP).status == 503
        assert health(s)[1]["problem"].startswith("metadata is a symbolic link")


def test_a_link_is_named_as_such(repo, tmp_path):
    os.rename(repo.path("metadata/1.snapshot.json"), tmp_path / "snapshot")
    os.symlink(tmp_path / "snapshot", repo.path("metadata/1.snapshot.json"))
    with Server(repo.folder) as s:
        assert "metadata/1.snapshot.json is a symbolic link, which is not served; put the file" in \
            health(s)[1]["problem"]


def test_what_is_not_published_yet_is_not_served(repo):
    """Metadata names are told to be immutable: a cache that got them before the timestamp would
    keep them when a second try signs other bytes under the same names."""
    with Server(repo.folder) as s:
        repo.targets["iot/full/2.pem"] = b"never published\n"
        given_up = repo.build_all()
        for name, data in given_up[:-1]:  # all but the timestamp
            repo.put(name, data)
        repo.put("targets/free.txt", b"named by nothing\n")
        repo.publish_root()  # so that this state of the folder is certainly the one served
        wait_until(lambda: health(s)[1]["root"] == 2, "root 2 in health")
        pending = [name for name, _ in given_up[1:-1]] + ["targets/free.txt"]
        assert len(pending) == 4
        for name in pending:
            a = s.get("/" + name)
            assert (a.status, a.headers["cache-control"]) == (404, "no-store"), name
        assert version(s) == 1
        # The second try: same versions, other bytes.
        for role in ("timestamp", "snapshot", "targets"):
            repo.versions[role] -= 1
        repo.targets["iot/full/2.pem"] = b"two\n"
        repo.publish()
        wait_until(lambda: version(s) == 2, "version 2")
        assert s.get("/metadata/2.targets.json").body != dict(given_up)["metadata/2.targets.json"]
        with s.connect() as c:
            assert walk(c) == 2
        assert s.get("/" + given_up[1][0]).status == 404


def test_after_a_restart_only_what_the_timestamp_leads_to_is_served(repo):
    with Server(repo.folder) as s:
        repo.publish()
        wait_until(lambda: version(s) == 2, "version 2")
        assert s.get("/metadata/1.snapshot.json").status == 200
    with Server(repo.folder) as s:
        assert s.get("/metadata/1.snapshot.json").status == 404
        assert s.get("/metadata/1.root.json").status == 200
        with s.connect() as c:
            assert walk(c) == 2


def test_more_than_fits_in_memory_is_refused_in_words(repo):
    with Server(repo.folder) as s:
        with open(repo.path("targets/huge.bin"), "wb") as f:
            f.truncate(257 << 20)
        repo.publish()
        assert "the most that is served" in s.wait_for_line("cannot be served as it is")
        assert version(s) == 1
