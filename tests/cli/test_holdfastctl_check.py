"""holdfastctl check: the view of a device."""
import json
import shutil

import pytest

import ctl
import json_schema
from ctl import DAY, NOW, Root


@pytest.fixture
def a(tmp_path):
    return Root(tmp_path, "Root A", end=NOW + 400 * DAY)


@pytest.fixture
def p(tmp_path, a):
    publisher = ctl.Publisher(tmp_path)
    publisher.add(a.file)
    return publisher


def not_updatable(p, *options, at=None):
    """Exit code 1 and one sentence; returns it and what was printed."""
    outcome = ctl.run("check", "--repo", p.repo, *options, at=at)
    assert outcome.code == 1
    start = "holdfastctl: no device could update: "
    assert outcome.err.startswith(start) and outcome.err.count("\n") == 1
    return outcome.err[len(start):].rstrip("\n"), outcome.out


def test_shows_roles_bundles_and_roots(p, a):
    out = ctl.ok("check", "--repo", p.repo)
    assert out.startswith(f"repository {p.repo} at ")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert rows["root"][:5] == ["root", "1", "1", "of", "1"]
    assert rows["timestamp"][:2] == ["timestamp", "2"]
    assert "bundle roots/full 1: 1 certificate(s)" in out
    assert a.sha256 in out and "CN=Root A" in out
    assert out.endswith("\nA device could update from it.\n")


def test_dates_of_a_root_are_shown(p, a):
    p.add("--distrust-after", f"{a.sha256}=2035-04-15", "--remove-after", f"{a.sha256}=2036-05-16",
          a.file)
    out = ctl.ok("check", "--repo", p.repo)
    row = next(line for line in out.splitlines() if a.sha256 in line)
    assert row.split()[2:5] == ["2035-04-15", "2036-05-16", "usable"]
    assert "bundle roots/full 1: 1 certificate(s), older, still listed" in out


def test_json_says_the_same(p, a):
    found = p.check()
    assert (found["updatable"], found["reason"]) == (True, None)
    assert found["roles"]["root"]["version"] == 1
    assert found["roles"]["targets"]["threshold"] == 1
    bundle, = found["bundles"]
    assert (bundle["set"], bundle["profile"], bundle["version"]) == ("roots", "full", 1)
    assert bundle["path"] == "roots/full/1.pem"
    anchor, = bundle["anchors"]
    assert anchor["sha256"] == a.sha256 and anchor["spki_sha256"] == a.spki_sha256
    assert anchor["state"] == "usable" and anchor["distrust_after"] is None


def test_an_empty_repository_is_nothing_to_update_from(tmp_path):
    sentence, out = not_updatable(ctl.Publisher(tmp_path))
    assert sentence == ("the repository lists no bundle yet; holdfastctl bundle add publishes one")
    assert "timestamp" in out and "A device could update" not in out


def test_at_a_later_day_the_expired_role_is_named_and_the_table_still_shown(p):
    day = (NOW + 8 * DAY).date().isoformat()
    sentence, out = not_updatable(p, "--at", day)
    assert sentence.startswith("timestamp version 2 expired at ")
    assert f"repository {p.repo} at {day}T00:00:00Z" in out and "Root A" in out
    sentence, out = not_updatable(p, "--json", "--at", day + "T00:00:00Z")
    found = json.loads(out)
    json_schema.check(found, "check-report.schema.json")
    assert (found["updatable"], found["reason"]) == (False, sentence)
    assert found["roles"]["timestamp"]["days_left"] == -1 or found["roles"]["timestamp"]["days_left"] == -2


def test_the_next_days_are_fine(p):
    ctl.ok("check", "--repo", p.repo, "--at", (NOW + 5 * DAY).date().isoformat())


def test_a_bundle_without_a_usable_root_is_nothing_to_update_to(p):
    ctl.ok("refresh", *p.place, "--clock-is-right", at="+410d")
    sentence, _ = not_updatable(p, at="+410d")
    assert sentence == ("no root of bundle roots/full/1.pem is valid at that time; "
                        "devices keep the roots that they have")


@pytest.mark.parametrize("at", ["tomorrow", "2030-13-01", "2030-01-01T00:00:00", ""])
def test_a_time_that_is_none_is_wrong_usage(p, at):
    sentence = ctl.refused("check", "--repo", p.repo, "--at", at, code=2)
    assert sentence == (f'--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not "{at}"; '
                        "see holdfastctl check --help")


def test_no_repository(tmp_path):
    outcome = ctl.run("check", "--repo", tmp_path)
    assert outcome.code == 1
    assert outcome.err == ("holdfastctl: no device could update: there is no repository in "
                           f"{tmp_path}: it lacks metadata/1.root.json; holdfastctl init makes one\n")
    assert ctl.tree(tmp_path) == {}


def test_check_writes_nothing(p):
    (p.repo / ".lock").unlink()
    before = ctl.tree(p.repo, p.keys)
    ctl.ok("check", "--repo", p.repo)
    assert ctl.tree(p.repo, p.keys) == before and not (p.repo / ".lock").exists()


def damage(p, name, how):
    file = p.repo / name
    value = json.loads(file.read_text())
    how(value)
    file.write_text(json.dumps(value))


@pytest.mark.parametrize("name", ["1.root.json", "timestamp.json", "2.snapshot.json",
                                  "2.targets.json"])
def test_a_changed_file_is_refused(p, name):
    damage(p, f"metadata/{name}", lambda v: v["signed"].update(expires="2090-01-01T00:00:00Z"))
    sentence, out = not_updatable(p)
    assert name.split(".")[-2] in sentence
    assert "SHA-256" not in out  # nothing of what was not verified


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_a_missing_file_is_named(p, name):
    (p.repo / "metadata" / name).unlink()
    assert not_updatable(p)[0] == f"there is no {p.repo}/metadata/{name}"


def test_an_old_timestamp_put_back_breaks_nothing_but_shows_the_old_state(p, a):
    old = (p.repo / "metadata/timestamp.json").read_bytes()
    p.add(a.file)
    assert p.newest()["version"] == 2
    (p.repo / "metadata/timestamp.json").write_bytes(old)
    assert p.newest()["version"] == 1


def test_a_swapped_bundle_file_is_refused(p, tmp_path):
    file, = (p.repo / "targets/roots/full").iterdir()
    shutil.copy(Root(tmp_path, "Root Evil").file, file)
    assert not_updatable(p)[0].startswith("bundle roots/full/1.pem: ")


def test_wrong_usage():
    assert ctl.refused("check", code=2) == "--repo is missing; see holdfastctl check --help"
