"""Full, read-only and corrupt disks: each is reported, the last good store still loads, and the next update
after the repair of the disk succeeds, without a person."""
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from kit import programs, roots
from kit.device import Device
from kit.processes import wait_until
from kit.rollout_fleet import Fleet
from kit.servers import PlainServer

UPDATED = "updated amazon-iot/full 1 -> 2"


@pytest.fixture
def waiting(publisher, device_at_1, folder):
    """A device at version 1, with an export, for which version 2 is published."""
    device_at_1.export(folder / "roots.pem", "--keep")
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    return device_at_1


def certificates(device, file):
    return device.export(file).count("BEGIN CERTIFICATE")


def holds(device, version, folder):
    """This version is active, also for readers of the export."""
    assert device.status()["active"]["version"] == version
    assert certificates(device, folder / "again.pem") == {1: 4, 2: 5}[version]


def journal(device, kind):
    return [text for text, in device.rows(f"SELECT text FROM event WHERE kind = '{kind}'")]


# ---- full ----------------------------------------------------------------------------------------

def mounted(place, options):
    place.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
                                          capture_output=True).returncode != 0:
        pytest.skip("a disk of its own wants root and the right to mount")


@pytest.fixture
def disk(folder):
    """A small disk of its own."""
    place = folder / "disk"
    mounted(place, "size=8m")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(disk):
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as f:
        try:
            while f.write(b"\0" * 4096):
                pass
        except OSError:
            pass
    return filler


@pytest.fixture
def on_disk(waiting, disk):
    """The same device, moved to that disk."""
    shutil.copytree(waiting.state, disk / "device", symlinks=True)
    return Device(disk / "device")


def test_a_full_disk_is_said_and_survived(on_disk, disk, folder):
    filler = fill(disk)
    before = on_disk.bundles()
    programs.says(on_disk.refuses_update(), "disk", "full", "free some space")
    assert on_disk.bundles() == before
    holds(on_disk, 1, folder)
    filler.unlink()
    assert on_disk.update() == UPDATED
    holds(on_disk, 2, folder)


def test_a_database_that_rots_on_a_full_disk_is_restored_all_the_same(on_disk, disk, folder):
    filler = fill(disk)
    overwrite(on_disk.database, 0, b"\xee" * on_disk.database.stat().st_size)
    holds(on_disk, 1, folder)
    programs.says(on_disk.refuses_update(), "disk")
    filler.unlink()
    assert on_disk.update() == UPDATED


def test_a_full_disk_of_the_fleet_service_stops_no_pause(disk, processes, folder):
    """The failure was counted before the disk was full; the desk resumes, and the service pauses again without a word on disk."""
    fleet = Fleet(processes, folder, database__path=disk / "fleet.db")
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    assert fleet.act("pause").status == 200
    fleet.lab[0].says("refused")
    fleet.counts(failed=1)
    filler = fill(disk)
    programs.ok("holdfastctl", "rollout", "resume", *fleet.publisher.place, "amazon-iot/full")
    at = fleet.wait("it pauses", state="paused", role_version=5)
    assert "1 of 1 devices that began to install the bundle failed" in at["reason"]
    programs.says(fleet.service.server.err, "without a record in the database", "amazon-iot/full version 2")
    assert fleet.act("resume").status == 500
    answer = fleet.act("abort")  # nor what an operator stops
    assert (answer.status, answer.json["state"], answer.json["role_version"]) == (200, "aborted", 6), answer.raw
    programs.says(fleet.service.server.err, "/abort: done for uid:", "without a record in the database")
    filler.unlink()
    wait_until(lambda: fleet.log("rollout.step")[-1]["details"]["had_intent"] is False, "the log has it", seconds=60)
    last = fleet.log("rollout.step")[-1]
    assert (last["actor"], last["details"]["state"], last["details"]["role_version"]) == ("holdfastd", "paused", 5)
    assert fleet.wait("it is aborted", state="aborted")["reason"] == "the test wants it"
    fleet.publisher.check()
    fleet.stop()


def test_a_locked_database_changes_no_answer_of_the_signer(processes, folder):
    """Another process holds the database once the signer is asked. The operator still hears that the stop was refused."""
    fleet = Fleet(processes, folder)
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    assert fleet.act("abort").status == 200
    fleet.service.signer.signal(signal.SIGSTOP)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(fleet.act, "pause")
        wait_until(lambda: len(fleet.log("rollout.asked")) == 2, "it is asked for")
        shell = sqlite3.connect(fleet.service.settings["database"]["path"], isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        fleet.service.signer.signal(signal.SIGCONT)
        answer = answer.result()
        shell.close()
    assert answer.status == 409 and "aborted" in answer.json["detail"], answer.raw
    programs.says(fleet.service.server.err, "/pause: done for uid:", "without a record in the database")
    fleet.stop()


def limited(device, file_bytes):
    """An update that may make no file longer than this: a write fails in the middle of one. (The
    signal for it stays ignored, as in Python.)"""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    return subprocess.run(programs.command("holdfast", "--state", device.state, "update"),
                          env=programs.environment(), preexec_fn=limit, restore_signals=False,
                          capture_output=True, text=True, timeout=programs.TIMEOUT_S)


def test_a_write_that_ends_halfway_anywhere_is_survived(waiting, folder):
    pristine = folder / "pristine"
    shutil.copytree(waiting.state, pristine, symlinks=True)
    refusals = set()
    largest = max(f.stat().st_size for f in waiting.state.rglob("*") if f.is_file())
    for file_bytes in range(0, largest + 16384, 6000):
        shutil.rmtree(waiting.state)
        shutil.copytree(pristine, waiting.state, symlinks=True)
        done = limited(waiting, file_bytes)
        version = waiting.status()["active"]["version"]
        if done.returncode == 0:
            assert version == 2, done
        else:
            refusals.add(done.stderr)
            assert len(done.stderr.splitlines()) <= 1, done
        holds(waiting, version, folder)
        waiting.update()
        holds(waiting, 2, folder)
    assert len(refusals) > 1, "no write failed: nothing was proven"


# ---- read-only -----------------------------------------------------------------------------------

def test_a_read_only_disk_is_said_and_survived(on_disk, disk, folder):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    before = on_disk.bundles()
    programs.says(on_disk.refuses_update(), "holdfast.db", "read-only")
    status = on_disk.status()
    assert status["writable"] is False
    programs.says(status["read_only_reason"], "read-only")
    holds(on_disk, 1, folder)
    assert on_disk.bundles() == before
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert on_disk.update() == UPDATED


def test_a_database_that_rots_on_a_read_only_disk_leaves_the_bundle_files(on_disk, disk, folder):
    on_disk.database.write_bytes(b"rotten")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    programs.says(on_disk.refuses_update(), "holdfast.db is damaged", "copy", "read-only")
    programs.says(on_disk.status()["read_only_reason"], "holdfast.db is damaged")
    holds(on_disk, 1, folder)
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert on_disk.update() == UPDATED


# ---- rotten --------------------------------------------------------------------------------------

def overwrite(file, offset, content):
    with open(file, "r+b") as f:
        f.seek(offset)
        f.write(content)


# The log goes too where it may hold the page, since SQLite would heal the database from it.

def rot_header(device):
    overwrite(device.database, 0, b"\0" * 100)
    log(device).unlink(missing_ok=True)


def rot_middle_page(device):
    overwrite(device.database, device.database.stat().st_size // 8192 * 4096, b"\xee" * 4096)
    log(device).unlink()


def truncate(device):
    os.truncate(device.database, device.database.stat().st_size // 2 + 100)
    log(device).unlink()


def empty(device):
    os.truncate(device.database, 0)


def lose(device):
    device.database.unlink()


def rot_log(device):
    overwrite(log(device), 0, b"\xee" * 4096)


def lose_log(device):
    log(device).unlink()


def log(device):
    return device.state / "holdfast.db-wal"


ROTS = {rot_header: ["holdfast.db is damaged", "not a database"],
        rot_middle_page: ["holdfast.db is damaged"],
        truncate: ["holdfast.db is damaged"],
        empty: ["holdfast.db is empty"],
        lose: ["holdfast.db is missing"],
        rot_log: ["holdfast.db is damaged", "lost the newest"],
        lose_log: ["holdfast.db is damaged", "lost the newest"]}


@pytest.mark.parametrize("rot", ROTS, ids=lambda rot: rot.__name__)
def test_a_device_whose_database_rots_gets_home_by_itself(waiting, folder, rot):
    before = waiting.status()
    rot(waiting)
    after = waiting.status()
    for same in ("set", "profile", "device_id", "mirrors", "export", "active", "previous"):
        assert after[same] == before[same]
    assert after["metadata"]["root"] == before["metadata"]["root"]
    assert after["metadata"]["targets"] == before["metadata"]["targets"]
    assert after["writable"] is True
    told, = journal(waiting, "restored")
    programs.says(told, "its copy has taken its place", "holdfast.db.damaged", *ROTS[rot])
    holds(waiting, 1, folder)
    assert waiting.update() == UPDATED
    holds(waiting, 2, folder)
    assert (folder / "roots.pem").read_text().count("BEGIN CERTIFICATE") == 5


@pytest.mark.parametrize("rot", ROTS, ids=lambda rot: rot.__name__)
def test_the_next_command_may_as_well_be_the_update(waiting, folder, rot):
    rot(waiting)
    assert waiting.update() == UPDATED
    holds(waiting, 2, folder)


def test_a_database_that_rots_again_and_again_is_restored_each_time(waiting, publisher):
    rot_header(waiting)
    assert waiting.update() == UPDATED
    publisher.add(*roots.amazon(1, 2, 3, 4), options=["--drop", "all"])
    rot_header(waiting)
    assert waiting.update() == "updated amazon-iot/full 2 -> 3"
    leftovers = {f.name for f in waiting.state.iterdir()}
    assert leftovers <= {"bundles", "lock", "holdfast.db", "holdfast.db-wal", "holdfast.db-shm",
                         "holdfast.db.backup", "holdfast.db.damaged", "holdfast.db.damaged-wal"}


def test_a_device_that_never_updated_gets_home_too(publisher, device):
    publisher.add(*roots.amazon(1))
    device.database.unlink()
    assert device.update() == "updated amazon-iot/full none -> 1"


def test_a_restored_device_still_refuses_what_is_older(publisher, folder):
    publisher.add(*roots.amazon(1, 2, 3, 4))
    shutil.copytree(publisher.repo, folder / "old")
    publisher.add(*roots.amazon(1, 2, 3, 4), roots.STARFIELD.file)
    server = PlainServer(folder / "served")
    shutil.copytree(publisher.repo, folder / "served")
    device = Device(folder / "device").init(publisher.root, server.url)
    assert device.update() == "updated amazon-iot/full none -> 2"
    versions = device.metadata_versions()

    rot_header(device)
    shutil.rmtree(folder / "served")
    shutil.copytree(folder / "old", folder / "served")
    programs.says(device.refuses_update(), "timestamp", "version")
    assert len(journal(device, "restored")) == 1
    assert device.metadata_versions() == versions
    holds(device, 2, folder)
    server.close()


def test_what_the_application_has_rejected_stays_rejected(waiting, folder):
    """Nothing but the rejection happened since, and no update."""
    assert waiting.update() == UPDATED
    assert waiting.reject("the broker is gone") == "rolled back"
    rot_header(waiting)
    holds(waiting, 1, folder)
    assert len(journal(waiting, "restored")) == 1
    programs.says(waiting.refuses_to_reject("again"), "no bundle is on trial")
    assert waiting.update() == "current amazon-iot/full 1"


def test_without_a_copy_the_bundle_files_are_what_is_left(waiting, folder):
    before = waiting.status()["active"]
    rot_header(waiting)
    overwrite(waiting.state / "holdfast.db.backup", 0, b"\0" * 100)
    programs.says(waiting.refuses_update(), "holdfast.db is damaged")
    assert waiting.status()["active"] == before
    holds(waiting, 1, folder)
