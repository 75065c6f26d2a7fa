"""Backup and restore as an operator does them, by the runbook: a mistake, a lost disk with and without the log."""
import os
import shutil
import subprocess
import time

import pytest

from kit import programs, roots
from kit.programs import BIN, environment
from kit.runbook import commands
from kit.service import Service

PAGE = "backup-and-restore.md"


@pytest.fixture
def service(processes, folder, publisher):
    publisher.add(*roots.amazon(1))
    made = Service(processes, folder / "service", publisher).start()
    (folder / "backup").mkdir()
    yield made.with_account()
    made.server.stop()
    made.signer.stop()


# The programs of this build, with the configuration of this service.
SHIM = """#!/bin/sh
case "$1 $2" in
"log verify") exec "{program}" "$@" ;;
*) exec "{program}" "$@" --config "{config}" ;;
esac
"""


def follow(service, tag=""):
    """The blocks of the page with that tag. Returns what they say."""
    folder = service.folder.parent
    (folder / "bin").mkdir(exist_ok=True)
    for name in ("holdfast-admin", "holdfast-signer"):
        (folder / "bin" / name).write_text(SHIM.format(program=BIN / name, config=service.config))
        (folder / "bin" / name).chmod(0o755)
    text = commands(PAGE, tag).removeprefix(commands(PAGE) if tag else "")
    assert text
    done = subprocess.run(["sh", "-euc", text], capture_output=True, text=True, timeout=120,
                          env=environment(PATH=f"{folder / 'bin'}:{os.environ['PATH']}", NAME="monday",
                                          BACKUP=str(folder / "backup"), LOG_KEY=service.log_key))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


def shown(said):
    return dict(line.split() for line in said.splitlines())


def statuses(service):
    return {c["sha256"]: c["status"] for c in service.credentials()}


def revoke(service, device):
    credential = service.credential_of(device)
    service.admin("credential", "revoke", "--account", "pumps", credential)
    return credential


def seal(service):
    """The signer seals all that there is: at the start of the service."""
    service.server.stop()
    service.start_server()
    service.wait_until_sealed()


def lose_the_disk(service):
    service.server.stop()
    for end in ("", "-wal", "-shm"):
        (service.folder / f"fleet.db{end}").unlink(missing_ok=True)
    service.start_server()
    service.server.wait_for(lambda: "the log differs from what the signer sealed" in service.server.err,
                            "says so")


def test_a_mistake_is_taken_back_and_a_revocation_is_not(service, folder):
    service.enrolled("pump-1"), service.enrolled("pump-2")
    follow(service)
    backup = folder / "backup" / "monday.db"
    assert backup.stat().st_mode & 0o777 == 0o600
    before = backup.read_bytes()
    assert "the file exists" in service.refuses("backup", backup)
    assert backup.read_bytes() == before
    stolen = revoke(service, "pump-1")
    kept = service.credential_of("pump-2")
    service.admin("credential", "deactivate", "--account", "pumps", kept)
    service.enrolled("pump-3")
    said = shown(follow(service, "mistake"))
    assert statuses(service) == {stolen: "REVOKED", kept: "ACTIVE"}
    assert (said["certificates_gone"], said["statuses_changed"], said["revocations_kept"]) == ("1", "1", "1")
    # Each signature of the signer is in the log once, also after its number was restored.
    time.sleep(11)
    log = service.admin("log", "export")
    ids = [line.split('"id":')[1].split(",")[0] for line in log.splitlines() if '"signer.signature"' in line]
    assert ids == [str(n + 1) for n in range(len(ids))]


def test_a_restore_is_confirmed_and_a_bad_file_changes_nothing(service, folder):
    service.enrolled("pump-1")
    follow(service)
    before = service.admin("log", "export")
    asked = programs.call("holdfast-admin", "restore", folder / "backup" / "monday.db", "--config",
                          service.config)
    assert asked.code == 2 and "pass --yes" in asked.err
    (folder / "backup" / "bad.db").write_bytes(b"no database" * 1000)
    assert "bad.db" in service.refuses("restore", folder / "backup" / "bad.db", "--yes")
    assert "there is no database" in service.refuses("restore", folder / "none.db", "--yes")
    assert service.admin("log", "export") == before


def test_a_file_that_never_ends_holds_up_nothing(service, folder):
    service.enrolled("pump-1")
    follow(service)
    backup, pipe, long = (folder / "backup" / name for name in ("monday.db", "pipe", "long.jsonl"))
    os.mkfifo(pipe)
    long.write_text("x" * 100000)
    before = service.admin("log", "export")
    for log, said in ((pipe, "is not a regular file"), ("/dev/zero", "is not a regular file"),
                      (long, "a line is longer than one of a log can be")):
        assert said in service.refuses("restore", backup, "--log", log, "--yes")
    for file in (pipe, "/dev/zero", folder):
        assert "expected a regular file" in service.refuses("restore", file, "--yes")
    assert "longer than one of a log" in programs.refused("holdfast-admin", "log", "verify", "/dev/zero",
                                                          "--key", service.log_key)
    assert service.admin("log", "export") == before


def test_a_lost_disk_with_a_copy_of_the_log(service, folder):
    service.enrolled("pump-1"), service.enrolled("pump-2")
    follow(service)
    stolen = revoke(service, "pump-1")
    kept = service.credential_of("pump-2")
    service.enrolled("pump-3")
    seal(service)
    (folder / "backup" / "log.jsonl").write_text(service.admin("log", "export"))
    lose_the_disk(service)
    assert "entries that the signer sealed are missing" in subprocess.run(
        ["curl", "-s", "--unix-socket", service.folder / "admin.sock", "http://localhost/readyz"],
        capture_output=True, text=True).stdout
    said = shown(follow(service, "lost"))
    assert statuses(service) == {stolen: "REVOKED", kept: "ACTIVE"}
    assert said["certificates_unknown"] == "1"
    service.server.wait_for(lambda: "the audit log is sealed again" in service.server.err, "agrees")
    assert "GAP" not in follow(service, "check")
    service.enrolled("pump-4")


def test_a_lost_disk_and_a_lost_log_is_a_gap_that_is_stated(service, folder):
    service.enrolled("pump-1")
    follow(service)
    revoke(service, "pump-1")
    seal(service)
    lose_the_disk(service)
    service.admin("restore", folder / "backup" / "monday.db", "--yes")
    # A known device is served; a new one is not let in.
    device = service.device("pump-9")
    file = folder / "late.token"
    file.touch(mode=0o600)
    file.write_text(service.token())
    late = ["holdfast", "--state", device.state, "enroll", "--token-file", file]
    time.sleep(11)
    assert programs.call(*late).code != 0
    assert service.credentials("--device", "pump-9") == []
    assert "stop it first" in programs.refused("holdfast-signer", "log", "restart", "--reason", "x",
                                               "--config", service.config)
    service.signer.stop()
    assert follow(service, "gap").startswith("the log may go on without the entries that were sealed up to entry")
    service.start_signer()
    service.server.wait_for(lambda: "it states the gap" in service.server.err, "goes on")
    verified = follow(service, "check")
    assert verified.startswith("GAP: entry ") and "states that the log was restarted" in verified
    shutil.rmtree(device.state)
    service.enrolled("pump-9")
