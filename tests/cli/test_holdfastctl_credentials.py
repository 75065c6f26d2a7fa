"""holdfastctl and secrets that a service manager provides: the passphrase of holdfast-refresh.service
as systemd lays it down, a PIN file, a key file."""
import ctypes
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import ctl

UNIT = ctl.CHECKOUT / "deploy/systemd/holdfast-refresh.service"
SERVICE = 61001     # a user that no system has
libc = ctypes.CDLL(None, use_errno=True)


def set_acl(path, *entries):
    """Entries are (tag, rights, id), as in linux/posix_acl.h."""
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", acl)
    except OSError:
        pytest.skip("no ACLs on this file system")


def only_user(rights):
    """What systemd 254 and later put on a credential and its folder, besides root's own rights."""
    none = 0xffffffff
    return ((1, rights, none), (2, rights, SERVICE), (4, 0, none), (16, rights, none), (32, 0, none))


@pytest.fixture
def service(open_folder):
    """A publisher whose online keys have a passphrase; all of it belongs to the service's user."""
    if os.geteuid() != 0:
        pytest.skip("only root can lay credentials as systemd does")
    passphrase = open_folder / "pass"
    passphrase.write_text("correct horse\n")
    passphrase.chmod(0o600)
    p = ctl.Publisher(open_folder, "--passphrase-file", passphrase)
    for path in (p.repo, p.keys, *p.repo.rglob("*"), *p.keys.rglob("*")):
        os.chown(path, SERVICE, SERVICE)
    return p


def lay_credential(p, mode, owner, acl):
    """Copies the passphrase into a folder as systemd makes it."""
    folder = p.folder / "credentials"
    folder.mkdir()
    file = folder / "online.pass"
    shutil.copy(p.folder / "pass", file)
    os.chown(file, owner, 0)
    file.chmod(mode)
    if acl:
        set_acl(file, *only_user(4))
    os.chown(folder, owner, 0)
    folder.chmod(0o550 if acl else 0o500)
    if acl:
        set_acl(folder, *only_user(5))
    return folder


def refresh(p, file, **variables):
    """As the service: its user, and what ExecStart= of the unit runs."""
    return subprocess.run(
        [ctl.BIN / "holdfastctl", "refresh", *map(str, p.place), "--passphrase-file", file],
        env={**ctl.environment(), **variables}, user=SERVICE, group=SERVICE, extra_groups=[],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ctl.TIMEOUT_S)


@pytest.mark.parametrize("mode,owner,acl", [(0o400, SERVICE, False), (0o440, 0, True)],
                         ids=["before-254", "254"])
def test_the_unit_reads_its_passphrase(service, mode, owner, acl):
    unit = UNIT.read_text()
    assert "--passphrase-file ${CREDENTIALS_DIRECTORY}/online.pass" in unit
    assert "LoadCredential=online.pass:" in unit
    folder = lay_credential(service, mode, owner, acl)
    done = refresh(service, folder / "online.pass", CREDENTIALS_DIRECTORY=str(folder))
    assert (done.returncode, done.stderr) == (0, ""), done
    assert "refreshed: timestamp 2" in done.stdout
    # What it says of the file alone is enough.
    done = refresh(service, folder / "online.pass")
    assert done.returncode == 0, done


def test_a_group_is_let_in_by_the_credentials_folder_only(service):
    folder = lay_credential(service, 0o440, 0, False)
    os.chown(folder / "online.pass", 0, SERVICE)
    os.chown(folder, 0, SERVICE)
    folder.chmod(0o550)
    done = refresh(service, folder / "online.pass", CREDENTIALS_DIRECTORY=str(folder))
    assert done.returncode == 0, done
    done = refresh(service, folder / "online.pass")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"the members of group {SERVICE} may read this secret (mode 0440)" in done.stderr


def test_a_key_file_is_judged_like_a_passphrase(tmp_path):
    p = ctl.Publisher(tmp_path)
    key = p.online / "timestamp-1.key.json"
    set_acl(key, (1, 6, 0xffffffff), (2, 4, SERVICE), (4, 0, 0xffffffff), (16, 4, 0xffffffff),
            (32, 0, 0xffffffff))
    sentence = p.refuses("refresh", *p.place)
    assert sentence.startswith(f"{key}: user {SERVICE} may read this secret (mode 0640)")
    key.chmod(0o600)    # the remedy that the sentence names
    ctl.ok("refresh", *p.place)


@pytest.mark.skipif(not Path("/run/systemd/system").is_dir() or os.geteuid() != 0,
                    reason="systemd does not run this machine")
def test_the_shipped_unit_under_systemd(service):
    """Its own settings, with the paths of this test."""
    replaced = {"/srv/holdfast/repo": str(service.repo), "/etc/holdfast/keys": str(service.keys),
                "/etc/holdfast/online.pass": str(service.folder / "pass"),
                "/usr/bin/holdfastctl": str(ctl.BIN / "holdfastctl")}
    settings, command = [], None
    for line in UNIT.read_text().split("[Service]")[1].splitlines():
        for old, new in replaced.items():
            line = line.replace(old, new)
        if line.startswith("ExecStart="):
            command = line.removeprefix("ExecStart=")
        elif line.startswith(("User=", "Group=")):
            settings += ["-p", f"{line.split('=')[0]}={SERVICE}"]
        elif "=" in line and not line.startswith(("#", "Type=", "ProtectHome=", "PrivateTmp=")):
            settings += ["-p", line]
    done = subprocess.run(["systemd-run", "--wait", "--pipe", "--quiet", "--service-type=oneshot",
                           *settings, "sh", "-c", command.replace("${CREDENTIALS_DIRECTORY}",
                                                                  "$CREDENTIALS_DIRECTORY")],
                          capture_output=True, text=True, timeout=ctl.TIMEOUT_S)
    assert done.returncode == 0 and "refreshed: timestamp 2" in done.stdout, done
