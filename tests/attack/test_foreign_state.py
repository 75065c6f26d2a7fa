"""A state folder, an export or a command that another user could exchange: a user who runs Holdfast there
would act for that user.

`update` meets every fault, the other commands take turns; HOLDFAST_LONG=1 tries all of them against each."""
import contextlib
import grp
import itertools
import json
import os
import pwd
import sqlite3
import struct
import tempfile
from pathlib import Path

import agent
import pytest

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root, who has rights to lend")
OWNER = 1
A_TURN = 6 if os.environ.get("HOLDFAST_LONG") else 2
OTHERS = itertools.cycle((["run"], ["confirm"], ["reject", "--reason", "x"],
                          ["reset", "--bundle", "{folder}/factory.pem", "--yes"],
                          ["endpoints", "--endpoint", "tls://a.example:1"],
                          ["export", "--out", "{folder}/kept.pem", "--keep"]))


@pytest.fixture(name="folder")
def make_folder():
    """Reachable by other users, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="holdfast-attack-") as path:
        os.chmod(path, 0o755)
        yield Path(path)


@pytest.fixture(name="victim")
def make_victim(folder):
    """A device of root, with a command and an export, and an update to come: version 0 is untold."""
    device = agent.Device(folder)
    protected = folder / "protected"
    protected.mkdir(mode=0o755)
    device.ran, device.export = folder / "ran", protected / "export.pem"
    factory = folder / "factory.pem"
    factory.write_text(agent.Root("A").pem)
    device.init("--bundle", factory, "--device-id", "test", "--export", device.export,
                "--on-swap", f"echo $(id -u) >{device.ran}")
    return device


def give_away(path, user=OWNER):
    for each in [path, *path.rglob("*")]:
        os.chown(each, user, user, follow_symlinks=False)


def files_of_root(path):
    return [str(each) for each in [path, *path.rglob("*")] if each.lstat().st_uid == 0]


def seen(device, *others):
    # Modes and content, without SQLite's shared memory: a reader notes there that it reads.
    return {k: v for path in (device.state, *others) for k, v in agent.tree(path).items() if not k.endswith("-shm")}


def check_refused(device, *words):
    """Nothing that writes or runs works, and nothing has changed; what only reads does."""
    before = seen(device, device.export.parent)
    for command in (["update"], *itertools.islice(OTHERS, A_TURN)):
        outcome = agent.run("--state", device.state, *(word.format(folder=device.folder) for word in command))
        assert outcome.code == 1, (command, outcome)
        for word in words:
            assert word in outcome.err, (command, outcome)
    (device.folder / "kept.pem").unlink(missing_ok=True)
    assert not device.ran.exists()
    assert seen(device, device.export.parent) == before


def check_read(device):
    before = seen(device)
    status = json.loads(agent.ok("--state", device.state, "status", "--json"))
    assert status["active"]["version"] == 0
    assert "BEGIN CERTIFICATE" in agent.ok("--state", device.state, "export", "--out", "-")
    agent.ok("--state", device.state, "journal")
    agent.ok("--state", device.state, "endpoints")
    assert seen(device) == before


def test_control_it_runs_for_its_owner(victim):
    agent.run("--state", victim.state, "update")
    assert victim.ran.read_text() == "0\n" and victim.export.exists()


def test_state_of_another_user(victim):
    give_away(victim.state)
    check_refused(victim, "belongs to user daemon", "sudo -u daemon holdfast")
    check_read(victim)
    assert files_of_root(victim.state) == []


@pytest.mark.parametrize("name", ["holdfast.db", "holdfast.db-wal", "holdfast.db.backup", "bundles", "lock"])
def test_one_file_in_it_of_another_user(victim, name):
    os.chown(victim.state / name, OWNER, OWNER)
    check_refused(victim, f"{name} belongs to user daemon")
    check_read(victim)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_state_that_others_may_write(victim, mode):
    os.chown(victim.state, 0, OWNER)
    victim.state.chmod(mode)
    check_refused(victim, "other users may write", "chmod go-w")
    check_read(victim)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_folder_above_it_that_others_may_write(victim, folder, mode):
    parent = folder / "parent"
    parent.mkdir()
    os.chown(parent, 0, OWNER)
    parent.chmod(mode)
    victim.state = victim.state.rename(parent / "device")
    check_refused(victim, f"other users may write {parent}")
    check_read(victim)


def set_acl(path, tag, ident):
    """One more user (2) or group (8) may write it, as setfacl does it: the mask takes the group's place."""
    entries = [(1, 7, -1), (4, 5, -1), (tag, 7, ident), (16, 7, -1), (32, 5, -1)]
    entries.sort()
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(
        struct.pack("<HHi", *entry) for entry in entries))


@pytest.mark.parametrize("tag", [2, 8])
@pytest.mark.parametrize("where", ["device", "device/holdfast.db.backup", "."])
def test_acl_that_lets_others_write(victim, folder, tag, where):
    try:
        set_acl(folder / where, tag, OWNER)
    except OSError:
        pytest.skip("this file system keeps no ACL")
    check_refused(victim, "other users may write", "chmod go-w")
    (folder / where).chmod(0o755)
    agent.run("--state", victim.state, "update")
    assert victim.ran.exists()


def test_acl_that_gives_root_what_it_has(victim):
    try:
        set_acl(victim.state, 2, 0)
    except OSError:
        pytest.skip("this file system keeps no ACL")
    agent.run("--state", victim.state, "update")
    assert victim.ran.exists()


def test_group_without_members_on_the_way(victim, folder):
    """As /var/local of Debian, which is staff's. The rule for the state folder itself is strict."""
    staff = grp.getgrnam("staff")
    if staff.gr_mem or any(user.pw_gid == staff.gr_gid for user in pwd.getpwall()):
        pytest.skip("the group staff has members")
    os.chown(victim.state, 0, staff.gr_gid)
    victim.state.chmod(0o770)
    check_refused(victim, "other users may write")
    victim.state.chmod(0o700)
    os.chown(folder, 0, staff.gr_gid)
    folder.chmod(0o2775)
    agent.run("--state", victim.state, "update")
    assert victim.ran.exists()


def test_folder_above_it_of_another_user(victim, folder):
    parent = folder / "parent"
    parent.mkdir()
    os.chown(parent, OWNER, OWNER)
    victim.state = victim.state.rename(parent / "device")
    check_refused(victim, f"{parent} belongs to user daemon")


def test_link_of_another_user(victim, folder):
    """In a folder with the sticky bit, as /tmp is, every user may make one."""
    parent = folder / "tmp"
    parent.mkdir()
    parent.chmod(0o1777)
    link = parent / "device"
    link.symlink_to(victim.state)
    real, victim.state = victim.state, link
    os.chown(link, OWNER, OWNER, follow_symlinks=False)
    check_refused(victim, f"{link} belongs to user daemon")
    os.chown(link, 0, 0, follow_symlinks=False)
    agent.run("--state", link, "update")
    assert victim.ran.exists() and (real / "lock").exists()


def test_link_that_leads_through_a_folder_of_another_user(victim, folder):
    theirs = folder / "theirs"
    theirs.mkdir()
    (theirs / "way").symlink_to(victim.state)
    link = folder / "device-link"
    link.symlink_to(theirs / "way")
    give_away(theirs)
    victim.state = link
    check_refused(victim, f"{theirs} belongs to user daemon")


def test_export_in_a_folder_of_another_user(victim):
    os.chown(victim.export.parent, OWNER, OWNER)
    agent.run("--state", victim.state, "update")
    assert "belongs to user daemon" in agent.ok("--state", victim.state, "journal")
    assert not victim.export.exists() and not victim.ran.exists()
    assert "belongs to user daemon" in agent.refused("--state", victim.state, "export", "--out",
                                                     victim.export.parent / "x.pem")
    assert list(victim.export.parent.iterdir()) == []


@pytest.mark.parametrize("command", ["{0}", "sh {0}", "true && {0} x", "A=b;'{0}'", "exec {0}", "env -i {0}",
                                     "cd {1} && ./told", "cd {1}; sh told"])
@pytest.mark.parametrize("how", ["owner", "mode", "folder"])
def test_command_of_another_user(folder, command, how):
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    program = bin_folder / "told"
    program.write_text(f"#!/bin/sh\necho told >{folder}/ran\n")
    program.chmod(0o755)
    device = agent.Device(folder)
    factory = folder / "factory.pem"
    factory.write_text(agent.Root("A").pem)
    device.init("--bundle", factory, "--device-id", "test", "--on-swap", command.format(program, bin_folder))
    if how == "owner":
        os.chown(program, OWNER, OWNER)
    elif how == "mode":
        program.chmod(0o777)
    else:
        bin_folder.chmod(0o777)
    said = agent.run("--state", device.state, "update").err + agent.ok("--state", device.state, "journal")
    assert "the on-swap command is not run: " in said
    assert not (folder / "ran").exists()
    device.state = folder / "second"
    device.refuses_init("--on-swap", command.format(program, bin_folder))
    program.chmod(0o755)
    bin_folder.chmod(0o755)
    os.chown(program, 0, 0)
    device.state = folder / "device"
    agent.run("--state", device.state, "update")
    assert (folder / "ran").read_text() == "told\n"


def test_script_of_another_user_need_not_be_executable(folder, victim):
    script = folder / "told.py"
    script.write_text("")
    os.chown(script, OWNER, OWNER)
    victim.state = folder / "second"
    for command in ("/usr/bin/python3 {0}", "python3 -B {0}", "cd {1}; python3 told.py"):
        said = victim.refuses_init("--on-swap", command.format(script, folder))
        assert f"{script} belongs to user daemon" in said
    # A file that is no program may belong to the service that is notified.
    agent.ok(*victim.init_args("--on-swap", f"cat {script} >{folder}/copy"))


def test_what_its_owner_wrote_there_steers_no_terminal(victim):
    steer = "a\x1b]0;b\x07c"
    with contextlib.closing(sqlite3.connect(victim.state / "holdfast.db")) as db, db:
        db.execute("UPDATE event SET kind = ?1, text = ?1", (steer,))
        db.execute("UPDATE mirror SET url = 'http://' || ?", (steer,))
        db.execute("UPDATE config SET on_swap = ?1, export_file = ?1, client_cert_file = ?1, client_key_file = ?1",
                   (steer,))
        db.execute("INSERT INTO endpoint (position, url, alpn) VALUES (0, 'tls://' || ?1, ?1)", (steer,))
        for name, value in (("check.time", "1"), ("check.text", steer), ("report.error", steer),
                            ("rollout.held", f"5 6 7 {steer}"), ("identity.rotation", "0 1 1 1 1 0"),
                            ("identity.error", steer)):
            db.execute("INSERT OR REPLACE INTO value (name, value) VALUES (?, ?)", (name, value))
    give_away(victim.state)
    for command in (["status"], ["status", "--check"], ["journal"], ["config"], ["endpoints"]):
        outcome = agent.run("--state", victim.state, *command)
        assert "a?]0;b?c" in outcome.out, (command, outcome)
        assert not set("\x1b\x07") & set(outcome.out + outcome.err), (command, outcome)


def test_pipe_in_place_of_a_file_holds_nothing_up(victim):
    give_away(victim.state)
    copy = victim.state / "holdfast.db.backup"
    copy.unlink(missing_ok=True)
    os.mkfifo(copy)
    agent.ok("--state", victim.state, "status")
    (victim.state / "holdfast.db").unlink()
    os.mkfifo(victim.state / "holdfast.db")
    agent.run("--state", victim.state, "status")
    agent.refused("--state", victim.state, "update")


def test_export_that_cannot_be_written_does_not_stop_the_command(victim, folder):
    victim.export.mkdir()
    agent.run("--state", victim.state, "update")
    assert victim.ran.exists()
    assert str(victim.export) in agent.ok("--state", victim.state, "journal")
    assert agent.run("--state", victim.state, "status", "--check").code != 0
    # The command succeeded once, which is enough for the same roots.
    victim.ran.unlink()
    agent.run("--state", victim.state, "update")
    agent.run("--state", victim.state, "update")
    assert not victim.ran.exists()
    victim.export.rmdir()
    agent.run("--state", victim.state, "update")
    assert victim.ran.exists() and victim.export.is_file()


def test_init_in_a_folder_of_another_user(folder):
    theirs = folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, OWNER, OWNER)
    device = agent.Device(folder)
    for device.state in (theirs, theirs / "device"):
        assert "belongs to user daemon" in device.refuses_init()
    device.state = folder / "device"
    assert "belongs to user daemon" in device.refuses_init("--export", theirs / "export.pem")


# ---- and for the user who may not read it ------------------------------------------------------------


@pytest.mark.parametrize("closed", ["", "holdfast.db"])
@pytest.mark.parametrize("command", [["status"], ["update"], ["export", "--out", "-"], ["journal"], ["run"]])
def test_who_may_not_read_it_is_told_so(victim, closed, command):
    victim.state.chmod(0o755 if closed else 0o700)
    try:
        sentence = agent.refused("--state", victim.state, *command, user=OWNER)
    except PermissionError:
        pytest.skip("another user cannot reach the programs")
    assert "permission denied" in sentence and "sudo holdfast" in sentence
    assert "init" not in sentence
