"""root finish is killed at every rename, and real devices look at what lies there then: one that was
online, and one that is new. Afterwards the same root finish goes on, and both are right."""
import os
import shutil
import subprocess

import pytest

from kit import programs, roots
from kit.device import Device
from kit.publisher import Publisher
from kit.runbook import Desk
from kit.servers import PlainServer

NEW_KEYS = """
holdfastctl root draft --from "$REPO" --keys "$KEYS" --draft "$DRAFT"
for role in targets snapshot timestamp; do
    half=online
    [ "$role" = targets ] && half=offline
    holdfastctl key generate --key "$KEYS/$half/$role-2.key.json"
    holdfastctl root add-key --draft "$DRAFT" --role "$role" --key "$KEYS/$half/$role-2.key.json"
    holdfastctl root remove-key --draft "$DRAFT" --role "$role" --key "$KEYS/$half/$role-1.key.json"
done
holdfastctl root sign --draft "$DRAFT" --keys "$KEYS"
"""


class Scene:
    def __init__(self, folder, keeps_old):
        self.folder, self.draft = folder, folder / "root.draft"
        self.publisher = Publisher(folder / "publisher")
        self.publisher.add(*roots.amazon(1, 2, 3, 4))
        self.server = PlainServer(self.publisher.repo)
        self.online = Device(folder / "online").init(self.publisher.root, self.server.url)
        assert self.online.update() == "updated amazon-iot/full none -> 1"
        Desk(self.publisher, folder / "desk").run(NEW_KEYS, DRAFT=self.draft)
        if not keeps_old:
            for old in self.publisher.keys.glob("*/[st]*-1.key.json"):
                old.unlink()
        shutil.copytree(folder / "publisher", folder / "start")

    @property
    def command(self):
        return ["root", "finish", *self.publisher.place, self.draft]

    def killed_at(self, rename):
        """From the beginning again. False when it came to its end before that."""
        shutil.rmtree(self.folder / "publisher")
        shutil.copytree(self.folder / "start", self.folder / "publisher")
        done = subprocess.run(["strace", "-f", "-e", "trace=renameat", "-e",
                               f"inject=renameat:signal=KILL:when={rename}",
                               *programs.command("holdfastctl", *self.command)],
                              capture_output=True, text=True, timeout=programs.TIMEOUT_S,
                              env=programs.environment(ASAN_OPTIONS="detect_leaks=0"))
        if "PTRACE_TRACEME" in done.stderr:
            pytest.skip("strace may not trace here")
        return done.returncode != 0

    def visible(self):
        """(is root 2 there, is the timestamp a new one): all that a device looks for by name."""
        now, before = (self.folder / part / "repository" / "metadata" / "timestamp.json"
                       for part in ("publisher", "start"))
        return (self.publisher.repo / "metadata" / "2.root.json").exists(), \
            now.read_bytes() != before.read_bytes()

    def devices(self, name):
        """The one that was online as it was before all this, and a new one."""
        shutil.copytree(self.online.state, self.folder / f"online-{name}")
        return (Device(self.folder / f"online-{name}"),
                Device(self.folder / f"new-{name}").init(self.publisher.root, self.server.url))


@pytest.fixture(params=[True, False], ids=["old keys sign too", "old keys stolen"])
def scene(request, folder):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    made = Scene(folder, request.param)
    made.keeps_old = request.param
    yield made
    made.server.close()


def look(devices, is_fine):
    """Either both take what is there, or both refuse it and keep what they have."""
    online, new = devices
    if is_fine:
        assert online.update() == "current amazon-iot/full 1"
        assert new.update() == "updated amazon-iot/full none -> 1"
        return
    before = online.export(online.state / "before.pem")
    programs.says(online.refuses_update(), "timestamp", "its threshold is 1")
    programs.says(new.refuses_update(), "timestamp", "its threshold is 1")
    assert online.export(online.state / "after.pem") == before


def test_killed_at_any_rename(scene):
    seen = set()
    for cut in range(1, 60):
        if not scene.killed_at(cut):
            break
        state = has_root, is_new = scene.visible()
        if state in seen:
            continue
        seen.add(state)
        devices = scene.devices(cut)
        look(devices, is_fine=not has_root or is_new)
        programs.ok("holdfastctl", *scene.command)
        for device in devices:
            assert device.update() in ("current amazon-iot/full 1",
                                       "updated amazon-iot/full none -> 1")
            assert device.metadata_versions()["root"] == 2
    between = (False, True) if scene.keeps_old else (True, False)
    assert seen == {(False, False), between, (True, True)} and 5 < cut < 59
