"""holdfastctl publish and refresh: what happens where only the online keys are."""
import fcntl
import json
import shutil

import pytest

import ctl
from ctl import DAY, NOW, Root


@pytest.fixture
def p(tmp_path, a):
    """A publisher of one bundle whose offline keys are somewhere else."""
    publisher = ctl.Publisher(tmp_path)
    publisher.add(a.file)
    return publisher


def away(p, half):
    shutil.move(p.keys / half, p.folder / f"{half}-away")


def back(p, half):
    shutil.move(p.folder / f"{half}-away", p.keys / half)


def leave_waiting(p, a, at=None):
    """Targets 3, signed on the machine without online keys."""
    away(p, "online")
    p.add(a.file, at=at)
    back(p, "online")
    away(p, "offline")


# ---- publish --------------------------------------------------------------------------------------

def test_publish_makes_what_waits_visible(p, a):
    leave_waiting(p, a)
    assert p.newest()["version"] == 1
    assert ctl.ok("publish", *p.place) == "published: targets 3, snapshot 3, timestamp 3\n"
    assert p.newest()["version"] == 2


def test_a_second_publish_changes_nothing(p, a):
    leave_waiting(p, a)
    ctl.ok("publish", *p.place)
    before = ctl.tree(p.repo, p.keys)
    assert ctl.ok("publish", *p.place) == "nothing to publish: targets 3 is the newest\n"
    assert ctl.report("publish-report", "publish", *p.place)["outcome"] == "unchanged"
    assert ctl.tree(p.repo, p.keys) == before


def test_a_second_publish_renews_a_timestamp_that_ends_soon(p, a):
    leave_waiting(p, a)
    ctl.ok("publish", *p.place)
    assert ctl.ok("publish", *p.place, at="+4d") == (
        "nothing to publish: targets 3 is the newest\n"
        "refreshed: timestamp 4, the one before would have expired soon\n")
    assert "timestamp" not in ctl.ok("publish", *p.place, at="+4d")


def test_publish_does_not_open_the_offline_keys(p, a):
    leave_waiting(p, a)
    back(p, "offline")
    watch = ctl.Watch(p.offline)
    ctl.ok("publish", *p.place)
    assert watch.end() == []


def test_what_was_signed_by_others_is_not_published(p, a, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = ctl.Publisher(tmp_path / "other")
    for _ in range(2):
        stranger.add(a.file)
    shutil.copy(stranger.repo / "metadata/3.targets.json", p.repo / "metadata/3.targets.json")
    sentence = p.refuses("publish", *p.place)
    assert sentence.startswith("metadata/3.targets.json waits to be published but must not be "
                               "(delete it to go on without it): ")


def test_an_old_version_under_a_new_name_is_not_published(p):
    shutil.copy(p.repo / "metadata/1.targets.json", p.repo / "metadata/9.targets.json")
    assert "it says that it is version 1" in p.refuses("publish", *p.place)


def test_what_expired_while_it_waited_is_not_published(p, tmp_path):
    young = Root(tmp_path, "Root Y", end=NOW + 9000 * DAY)
    (p.offline / "expiry.json").write_text('{"root": {"days": 540}, "targets": {"days": 3}}')
    away(p, "online")
    p.add("--drop", "all", young.file)
    back(p, "online")
    sentence = p.refuses("publish", *p.place, at="+5d")
    assert sentence.startswith("nothing was published, devices would refuse it: ")
    assert "targets" in sentence and "expired" in sentence


def test_a_missing_bundle_file_is_not_published(p, a):
    leave_waiting(p, a)
    for file in (p.repo / "targets/roots/full").glob("*.2.pem"):
        file.unlink()
    sentence = p.refuses("publish", *p.place)
    assert sentence.startswith("nothing was published, devices would refuse it: "
                               "bundle roots/full/2.pem: there is no ")


# ---- refresh --------------------------------------------------------------------------------------

def test_refresh_signs_a_new_timestamp_and_nothing_else(p):
    before = ctl.tree(p.repo)
    assert ctl.ok("refresh", *p.place, at="+1d") == "refreshed: timestamp 3, snapshot 2\n"
    after = ctl.tree(p.repo)
    changed = {k for k in before | after if before.get(k) != after.get(k)}
    assert changed == {str(p.repo / "metadata/timestamp.json")}
    assert p.check(at="+7d12h")["updatable"] is True


def test_refresh_does_not_open_the_offline_keys(p):
    watch = ctl.Watch(p.offline)
    ctl.ok("refresh", *p.place)
    assert watch.end() == []
    away(p, "offline")
    ctl.ok("refresh", *p.place)


def test_the_watch_would_notice(p, a):
    watch = ctl.Watch(p.offline)
    p.add(a.file)
    assert "targets-1.key.json" in watch.end()


def test_refresh_renews_a_snapshot_that_the_timestamp_would_outlive(p):
    assert ctl.ok("refresh", *p.place, at="+22d").endswith("snapshot 2\n")
    assert ctl.ok("refresh", *p.place, at="+24d").endswith("snapshot 3\n")
    assert p.metadata("snapshot")["signed"]["meta"]["targets.json"]["version"] == 2
    assert p.check(at="+30d12h")["updatable"] is True


def test_daily_refreshes_keep_a_repository_alive(p):
    for day in range(0, 60, 6):
        ctl.ok("refresh", *p.place, at=f"+{day}d")
        assert p.check(at=f"+{day + 6}d")["updatable"] is True


def test_refresh_revives_a_repository_that_nobody_refreshed(p):
    assert ctl.run("check", "--repo", p.repo, at="+50d").code == 1
    ctl.ok("refresh", *p.place, "--clock-is-right", at="+50d")
    assert p.check(at="+50d")["updatable"] is True


def test_refresh_does_not_publish_what_waits_but_says_so(p, a):
    leave_waiting(p, a)
    outcome = ctl.run("refresh", *p.place)
    assert (outcome.code, outcome.out) == (0, "refreshed: timestamp 3, snapshot 2\n")
    assert outcome.err == "holdfastctl: targets 3 is signed and waits for holdfastctl publish\n"
    assert p.newest()["version"] == 1


def test_refresh_warns_in_time_of_what_only_offline_keys_renew(p):
    ctl.ok("refresh", *p.place, "--clock-is-right", at="+470d")
    outcome = ctl.run("refresh", *p.place, at="+490d")
    assert outcome.code == 0
    lines = outcome.err.splitlines()
    assert [line.split(" expires on ")[0] for line in lines] == [
        "holdfastctl: root metadata", "holdfastctl: targets metadata"]
    assert all(line.endswith("; sign a new one with the offline keys") for line in lines)


def test_refresh_of_an_empty_repository(tmp_path):
    p = ctl.Publisher(tmp_path)
    assert ctl.ok("refresh", *p.place) == "refreshed: timestamp 2, snapshot 1\n"


def test_refresh_under_an_expired_root_is_refused(p):
    sentence = p.refuses("refresh", *p.place, "--clock-is-right", at="+600d")
    assert sentence.startswith("nothing was published, devices would refuse it: ")


@pytest.mark.parametrize("command", ["refresh", "publish"])
def test_without_online_keys_it_is_refused(p, a, command):
    leave_waiting(p, a)
    away(p, "online")
    assert p.refuses(command, *p.place) == (
        f"there is no folder {p.online}; the keys in it are needed for this")


@pytest.mark.parametrize("command", ["refresh", "publish"])
def test_one_writer_at_a_time(p, command):
    with open(p.repo / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert p.refuses(command, *p.place) == (
            f"another holdfastctl is writing to {p.repo}; wait until it is done and try again")


@pytest.mark.parametrize("command", ["refresh", "publish"])
def test_a_tampered_repository_is_not_signed(p, command):
    file = p.repo / "metadata/2.targets.json"
    targets = json.loads(file.read_text())
    targets["signed"]["targets"] = {}
    file.write_text(json.dumps(targets))
    sentence = p.refuses(command, *p.place)
    assert "targets" in sentence


@pytest.mark.parametrize("text,words", [
    ("nonsense", "is not valid JSON"),
    ('{"timestamp": {"days": 7}}', 'should have an object "snapshot"'),
    ('{"timestamp": {"days": 0}, "snapshot": {"days": 30}}', '"days" of'),
    ('{"timestamp": {"days": 99999}, "snapshot": {"days": 30}}',
     "timestamp may last 1 to 36500 days, not 99999"),
])
def test_odd_periods_are_refused(p, text, words):
    (p.online / "expiry.json").write_text(text)
    sentence = p.refuses("refresh", *p.place)
    assert f"{p.online}/expiry.json" in sentence and words in sentence


@pytest.mark.parametrize("command", ["refresh", "publish"])
def test_wrong_usage(p, command):
    help_text = f"; see holdfastctl {command} --help"
    assert ctl.refused(command, "--repo", p.repo, code=2) == "--keys is missing" + help_text
    assert ctl.refused(command, *p.place, "x", code=2) == 'unexpected argument "x"' + help_text
