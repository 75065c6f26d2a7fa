"""--json of what signs and publishes: as documented, and true to what devices find afterwards."""
import json

import pytest

import ctl
import json_schema
from ctl import Root


def report(*args, warned=False, at=None):
    outcome = ctl.run(*args, "--json", at=at)
    assert outcome.code == 0 and bool(outcome.err) == warned, outcome
    found = json.loads(outcome.out)
    json_schema.check(found, "publish-report.schema.json")
    if warned:
        assert [f"holdfastctl: {w}" for w in found["warnings"]] == outcome.err.splitlines()
    else:
        assert found["warnings"] == []
    return found


def subjects(certificates):
    return sorted(c["subject"].split("CN=")[1] for c in certificates)


@pytest.fixture
def p(tmp_path):
    publisher = ctl.Publisher(tmp_path)
    publisher.a, publisher.b = Root(tmp_path, "Root A"), Root(tmp_path, "Root B")
    publisher.add(publisher.a.file)
    return publisher


def offline(p, tmp_path):
    """The online keys are elsewhere; the folder where they are."""
    (tmp_path / "desk").mkdir(mode=0o700)
    p.online.rename(tmp_path / "desk" / "online")
    return ["--repo", p.repo, "--keys", tmp_path / "desk"]


def test_add_says_what_was_published_to_the_byte(p):
    found = report(*p.add_args(p.a.file, p.b.file))
    assert (found["outcome"], found["draft"]) == ("published", None)
    assert found["versions"] == dict(p.versions(), root=None)
    [bundle] = found["bundles"]
    assert (bundle["set"], bundle["profile"], bundle["version"], bundle["before"]) == (
        "roots", "full", 2, 1)
    listed = p.metadata("targets")["signed"]["targets"][bundle["file"]["path"]]
    assert bundle["file"]["length"] == listed["length"]
    assert bundle["file"]["sha256"] == listed["hashes"]["sha256"]
    assert (subjects(bundle["added"]), subjects(bundle["removed"])) == (["Root B"], [])
    assert {a["sha256"] for a in bundle["anchors"]} == {p.a.sha256, p.b.sha256}
    assert {a["use"] for a in bundle["anchors"]} == {"anchor"}


def test_a_first_version_follows_none_and_every_profile_is_told(p):
    found = report(*p.add_args(p.a.file, "--derive", "ecc", "--new",
                               set_name="first"))
    assert [(b["profile"], b["version"], b["before"]) for b in found["bundles"]] == [
        ("full", 1, None), ("ecc", 1, None)]
    for bundle in found["bundles"]:
        assert subjects(bundle["added"]) == subjects(bundle["anchors"]) == ["Root A"]


def test_what_went_is_told_with_its_dropped_key_and_what_lint_said(p):
    report(*p.add_args(p.a.file, p.b.file))
    found = report("bundle", "remove", *p.place, "--set", "roots", "--profile", "full", "--drop",
                   "all", "--lead", "0", "--accept", "shrinks", "Root A")
    [bundle] = found["bundles"]
    assert (subjects(bundle["removed"]), bundle["drops"]) == (["Root A"], [p.a.spki_sha256])
    assert (subjects(bundle["added"]), subjects(bundle["anchors"])) == ([], ["Root B"])
    assert "single-anchor" in {f["code"] for f in bundle["findings"]}


def test_import_says_what_came(p):
    found = report("bundle", "import", *p.place, "--set", "roots", "--profile", "full", "--lead",
                   "0", "--pin", p.b.sha256, p.b.file)
    assert subjects(found["bundles"][0]["added"]) == ["Root B"]


def test_signed_offline_it_waits_until_publish(p, tmp_path):
    desk = offline(p, tmp_path)
    found = report(*p.add_args(p.a.file, p.b.file))
    assert found["outcome"] == "waiting"
    assert found["versions"] == {"root": None, "targets": 3, "snapshot": None, "timestamp": None}
    found = report("refresh", *desk, warned=True)
    assert found["warnings"] == ["targets 3 is signed and waits for holdfastctl publish"]
    found = report("publish", *desk)
    assert (found["outcome"], found["bundles"]) == ("published", [])
    assert found["versions"] == dict(p.versions(), root=None)


def test_a_draft_is_neither_signed_nor_published(p, tmp_path):
    file = tmp_path / "targets.draft"
    before = ctl.tree(p.repo)
    found = report(*p.add_args(p.a.file, p.b.file, "--draft", file))
    assert (found["outcome"], found["draft"]) == ("drafted", str(file))
    assert found["versions"] == {"root": None, "targets": 3, "snapshot": None, "timestamp": None}
    assert ctl.tree(p.repo) == before and file.exists()


def test_refresh_signs_what_must_be_and_warns(p):
    found = report("refresh", *p.place)
    assert found["versions"] == {"root": None, "targets": None, "snapshot": None,
                                 "timestamp": p.versions()["timestamp"]}
    assert found["signatures"] is None
    found = report("refresh", *p.place, "--clock-is-right", warned=True, at="+500d")
    assert found["versions"]["snapshot"] == p.versions()["snapshot"]
    assert [w.split(" expires")[0] for w in found["warnings"]] == ["root metadata",
                                                                   "targets metadata"]


def sign(kind, p, file):
    sha256 = json.loads(ctl.ok(kind, "status", file, "--json"))["sha256"]
    ctl.ok(kind, "sign", "--draft", file, "--keys", p.keys, "--yes", sha256)


def test_root_finish_says_what_was_signed_with_it(p, tmp_path):
    file, key = tmp_path / "root.draft", tmp_path / "keys/online/next.key.json"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file)
    sign("root", p, file)
    found = report("root", "finish", *p.place, file)
    assert found["versions"] == {"root": 2, "targets": None, "snapshot": None, "timestamp": None}
    assert found["signatures"]["complete"] is True
    assert [(s["root"], s["signed"]) for s in found["signatures"]["sides"]] == [(1, 1), (2, 1)]
    file.unlink()
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file)
    ctl.ok("key", "generate", "--key", key, "--insecure-no-passphrase")
    role = ["--draft", file, "--role", "timestamp"]
    ctl.ok("root", "add-key", *role, "--key", key)
    ctl.ok("root", "remove-key", *role, "--key", p.online / "timestamp-1.key.json")
    sign("root", p, file)
    (p.online / "timestamp-1.key.json").unlink()
    found = report("root", "finish", *p.place, file)
    assert (found["outcome"], found["bridged"]) == ("published", False)
    assert found["versions"] == dict(p.versions(), targets=None)
    assert found["versions"]["root"] == 3


@pytest.mark.parametrize("is_online", [True, False])
def test_targets_finish_says_whether_devices_see_it(p, tmp_path, is_online):
    file = tmp_path / "targets.draft"
    ctl.ok("targets", "draft", *p.place, "--draft", file)
    sign("targets", p, file)
    if not is_online:
        offline(p, tmp_path)
    found = report("targets", "finish", *p.place, file)
    assert found["outcome"] == ("published" if is_online else "waiting")
    assert [s["signed"] for s in found["signatures"]["sides"]] == [1]
    if is_online:
        assert found["versions"] == dict(p.versions(), root=None)
    else:
        assert found["versions"] == {"root": None, "targets": 3, "snapshot": None,
                                     "timestamp": None}


def test_refusals_stay_sentences(p):
    assert ctl.report("publish-report", "publish", *p.place)["outcome"] == "unchanged"
    assert "expected PEM certificates" in p.refuses_to_add(p.repo / "metadata/1.root.json", "--json")
