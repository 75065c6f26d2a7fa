"""holdfastctl bundle unlist: versions that shall not be on offer any more."""
import functools
import json

import pytest

import agent
import ctl
import json_schema
import net_servers
from ctl import Root


@pytest.fixture
def p(tmp_path):
    """Four versions of roots/full: A, A B, A B C, A; and one of roots/ecc."""
    publisher = ctl.Publisher(tmp_path)
    publisher.a, publisher.b, c = a, b, _ = [Root(tmp_path, f"Root {x}") for x in "ABC"]
    for roots in ([a], [a, b], [a, b, c], [a]):
        publisher.add("--drop", "all", *(r.file for r in roots))
    publisher.add(a.file, profile="ecc")
    return publisher


def args(p, *more, profile="full"):
    return ["bundle", "unlist", *p.place, "--set", "roots", "--profile", profile, *more]


def listed(p, profile="full"):
    paths = p.metadata("targets")["signed"]["targets"]
    return sorted(int(x.split("/")[2][:-4]) for x in paths if x.startswith(f"roots/{profile}/"))


def gone(*versions, newest=4):
    return "".join(f"  unlisted: roots/full/{v}.pem; devices that have it keep it until they install "
                   f"version {newest}; no other device installs it\n" for v in versions)


def test_one_version_goes_and_all_else_stays(p):
    before = p.metadata("targets")["signed"]
    assert ctl.ok(*args(p, 3)) == gone(3) + f"published: targets {before['version'] + 1}\n"
    after = p.metadata("targets")["signed"]
    del before["targets"]["roots/full/3.pem"]
    assert after["targets"] == before["targets"] and listed(p) == [1, 2, 4]
    assert p.check()["updatable"] is True
    assert "roots/full/3.pem" not in ctl.ok("bundle", "list", "--repo", p.repo, "--json")


def test_several_go_and_one_given_twice_goes_once(p):
    assert ctl.ok(*args(p, 1, 3, 1)).startswith(gone(1, 3) + "published")
    assert (listed(p), listed(p, "ecc")) == ([2, 4], [1])


def test_all_but_the_newest_ones_go(p):
    assert ctl.ok(*args(p, "--keep", 2)).startswith(gone(1, 2) + "published")
    assert listed(p) == [3, 4]


@pytest.mark.parametrize("words", [["--keep", 2], [1], [2, 1]])
def test_a_second_run_changes_nothing(p, words):
    ctl.ok(*args(p, "--keep", 2))
    before = (p.repo / "metadata" / "timestamp.json").read_bytes()
    assert ctl.ok(*args(p, *words)) == (
        "nothing to unlist: the list of roots/full has none of these versions any more\n")
    report = json.loads(ctl.ok(*args(p, *words, "--json")))
    json_schema.check(report, "publish-report.schema.json")
    assert (report["outcome"], report["unlisted"]) == ("unchanged", [])
    assert (p.repo / "metadata" / "timestamp.json").read_bytes() == before


def test_the_next_version_counts_on(p):
    ctl.ok(*args(p, "--keep", 1))
    p.add(p.a.file, p.b.file)
    assert listed(p) == [4, 5]


@pytest.mark.parametrize("version", [4, "1 4"])
def test_the_newest_stays(p, version):
    assert p.refuses(*args(p, *str(version).split())) == (
        "roots/full/4.pem is the newest of its line, from which devices and later versions count; "
        "publish its successor first")


def test_what_is_not_listed_is_refused(p):
    assert p.refuses(*args(p, 7)) == (
        "version 7 of roots/full is not listed; holdfastctl bundle list shows which are")
    assert 'the repository lists no bundle of set "roots" and profile rsa' in p.refuses(
        *args(p, 1, profile="rsa"))


@pytest.mark.parametrize("words,sentence", [
    ([], "name the versions to unlist, or give --keep N"),
    (["--keep", 1, 2], "name the versions to unlist, or give --keep N"),
    (["--keep", 1001], "--keep N is 1 to 1000, not 1001"),
    (["0"], 'a version is a number above 0, not "0"'),
    (["2.pem"], 'a version is a number above 0, not "2.pem"'),
    (["99999999999999999999"], 'a version is a number above 0, not "99999999999999999999"'),
])
def test_a_line_that_makes_no_sense_is_refused(p, words, sentence):
    assert sentence in p.refuses(*args(p, *words), code=2)


def test_without_the_keys_nothing_goes(p):
    (p.offline / "targets-1.key.json").rename(p.folder / "elsewhere.json")
    before = ctl.tree(p.repo, p.keys)
    assert ctl.run(*args(p, 1)).code == 1
    assert ctl.tree(p.repo, p.keys) == before


def test_without_the_online_keys_it_waits(p):
    desk = p.folder / "desk"
    desk.mkdir(mode=0o700)
    p.online.rename(desk / "online")
    assert "signed, not published: targets 7; where the online keys are, run" in ctl.ok(*args(p, 2))
    assert "roots/full/2.pem" in json.dumps(p.check())
    ctl.ok("publish", "--repo", p.repo, "--keys", desk)
    assert "roots/full/2.pem" not in json.dumps(p.check())


def test_a_draft_is_signed_elsewhere(p):
    file = p.folder / "targets.draft"
    before = ctl.tree(p.repo, p.keys)
    assert ctl.ok(*args(p, "--draft", file, 1)).startswith(
        gone(1) + "not signed: targets 7 is a draft; let each key holder run\n")
    assert ctl.tree(p.repo, p.keys) == before
    shown = ctl.ok("targets", "status", file)
    assert "    - roots/full/1.pem" in shown and "    +" not in shown
    digest = shown.split("SHA-256")[1].split()[0]
    ctl.ok("targets", "sign", "--draft", file, "--keys", p.keys, "--yes", digest)
    assert ctl.ok("targets", "finish", *p.place, file) == "published: targets 7\n"
    assert listed(p) == [2, 3, 4]


def report(*command):
    found = json.loads(ctl.ok(*command, "--json"))
    json_schema.check(found, "publish-report.schema.json")
    return found


def test_for_scripts(p):
    found = report(*args(p, 1, 2))
    assert [(b["version"], b["path"]) for b in found["unlisted"]] == [
        (1, "roots/full/1.pem"), (2, "roots/full/2.pem")]
    assert (found["outcome"], found["bundles"]) == ("published", [])
    assert found["versions"] == dict(p.versions(), root=None)
    assert report(*args(p, "--draft", p.folder / "x.draft", 3))["outcome"] == "drafted"


def test_for_scripts_add_tells_what_is_too_old(p):
    found = report(*p.add_args("--keep=2", p.a.file))
    assert [b["version"] for b in found["unlisted"]] == [1, 2, 3] and listed(p) == [4, 5]


# ---- as devices see it ----------------------------------------------------------------------------

@pytest.fixture
def device(p):
    """With version 4, which was its first; a later one is on trial until it is told."""
    with net_servers.files(p.repo) as url:
        state = p.folder / "device"
        agent.ok("--state", state, "init", "--root", p.repo / "metadata" / "1.root.json", "--url",
                 url, "--set", "roots", "--profile", "full", "--await-confirm")
        tell = functools.partial(agent.ok, "--state", state)
        tell("update")
        yield tell


def active(device):
    return json.loads(device("status", "--json"))["active"]["version"]


def test_a_device_that_holds_it_keeps_it_until_it_takes_the_newest(p, device):
    p.add(p.a.file, p.b.file)
    ctl.ok(*args(p, 4))
    assert active(device) == 4
    assert device("update").startswith("updated roots/full 4 -> 5")
    assert device("reject", "--reason", "a test") == "rolled back\n"
    assert active(device) == 4
    assert device("update").startswith("current roots/full 4")
