"""--json of what prepares, shows and signs a draft: as documented, and the same as the words say."""
import pytest

import ctl
from ctl import Root


def report(*args):
    return ctl.report("draft-report", *args)


@pytest.fixture
def p(tmp_path):
    """Two keys of root and of targets, of which both must sign, and one bundle."""
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--root-keys", "2",
                              "--root-threshold", "2", "--targets-keys", "2",
                              "--targets-threshold", "2")
    publisher.a = Root(tmp_path, "Root A")
    publisher.add(publisher.a.file)
    return publisher


@pytest.fixture
def draft(p, tmp_path):
    file = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file)
    return file


def holder(p, tmp_path, key):
    """A person who has this key of offline/ and no other."""
    folder = tmp_path / key
    folder.mkdir(mode=0o700)
    (p.offline / f"{key}.key.json").rename(folder / f"{key}.key.json")
    return folder


def signatures(found):
    return {key["name"]: (key["signed"], key["to_sign"]) for key in found["signatures"]["keys"]}


def test_status_says_what_a_draft_of_root_changes(p, draft, tmp_path):
    public = tmp_path / "new.pub"
    ctl.ok("key", "generate", "--key", tmp_path / "new.key.json", "--public", public,
           "--insecure-no-passphrase")
    ctl.ok("root", "add-key", "--draft", draft, "--role", "timestamp", "--key", public,
           "--threshold", "2")
    found = report("root", "status", draft)
    assert (found["role"], found["before"]["version"], found["after"]["version"]) == ("root", 1, 2)
    assert found["root"]["sha256"] == ctl.fingerprint(
        (p.repo / "metadata/1.root.json").read_bytes())
    roles = found["changes"]["roles"]
    assert {r for r, role in roles.items() if not role["unchanged"]} == {"timestamp"}
    assert roles["timestamp"]["threshold"] == {"before": 1, "after": 2}
    assert [(k["change"], k["name"]) for k in roles["timestamp"]["keys"]] == [
        ("stays", None), ("new", "new.pub")]
    words = ctl.ok("root", "status", draft)
    for shown in (found["sha256"], found["after"]["expires"], roles["timestamp"]["keys"][1]["key_id"]):
        assert shown in words


def test_sign_says_who_has_signed(p, draft, tmp_path):
    one, two = holder(p, tmp_path, "root-1"), holder(p, tmp_path, "root-2")
    sha256 = report("root", "status", draft)["sha256"]
    found = report("root", "sign", "--draft", draft, "--keys", one, "--yes", sha256)
    assert not found["signatures"]["complete"]
    assert signatures(found) == {"root-1.key.json": (True, False), None: (False, True)}
    assert [(s["root"], s["threshold"], s["signed"]) for s in found["signatures"]["sides"]] == [
        (1, 2, 1), (2, 2, 1)]
    found = report("root", "sign", "--draft", draft, "--keys", two, "--yes", sha256)
    assert found["signatures"]["complete"]
    assert found == report("root", "status", draft)


def test_a_refusal_is_a_sentence_also_with_json(p, draft, tmp_path):
    one = holder(p, tmp_path, "root-1")
    before = draft.read_bytes()
    sentence = ctl.refused("root", "sign", "--draft", draft, "--keys", one, "--yes", "0" * 16,
                           "--json")
    assert "is not the SHA-256 of this draft" in sentence
    assert draft.read_bytes() == before
    assert "this is a draft of root" in ctl.refused("targets", "status", draft, "--json")


def test_a_draft_of_targets_lists_certificates(p, tmp_path):
    b = Root(tmp_path, "Root B")
    file = tmp_path / "targets.draft"
    p.add(p.a.file, b.file, "--draft", file)
    found = report("targets", "status", file)
    assert found["changes"]["listed"] == {"before": 1, "after": 2}
    [added] = found["changes"]["added"]
    assert (added["path"], added["change"]) == ("roots/full/2.pem", "added")
    assert {a["sha256"] for a in added["bundle"]["anchors"]} == {p.a.sha256, b.sha256}
    assert (found["changes"]["removed"], found["changes"]["before_verified"]) == ([], True)
    found = report("targets", "sign", "--draft", file, "--keys", p.keys, "--yes", found["sha256"])
    assert found["signatures"]["complete"] and len(found["signatures"]["sides"]) == 1


def test_merge_writes_what_json_shows(p, draft, tmp_path):
    sha256 = report("root", "status", draft)["sha256"]
    copies = []
    for key in ("root-1", "root-2"):
        copies.append(tmp_path / f"{key}.draft")
        copies[-1].write_bytes(draft.read_bytes())
        report("root", "sign", "--draft", copies[-1], "--keys", holder(p, tmp_path, key), "--yes",
               sha256)
    found = report("root", "merge", "--draft", tmp_path / "whole.draft", *copies)
    assert found["signatures"]["complete"]
    assert found == report("root", "status", tmp_path / "whole.draft")


def test_what_makes_and_changes_a_draft_reports_it_too(p, tmp_path):
    file = tmp_path / "root.draft"
    made = report("root", "draft", "--from", p.repo, "--draft", file)
    assert made == report("root", "status", file)
    on_root = ["--draft", file, "--role", "targets"]
    key = ["--key", p.offline / "targets-1.key.json"]
    less = report("root", "remove-key", *on_root, *key, "--threshold", "1")
    assert [k["change"] for k in less["changes"]["roles"]["targets"]["keys"]].count("goes") == 1
    back = report("root", "add-key", *on_root, *key)
    assert {k["change"] for k in back["changes"]["roles"]["targets"]["keys"]} == {"stays"}
    whole = report("root", "set-threshold", *on_root, "--threshold", "2")
    assert whole["changes"]["roles"]["targets"]["unchanged"]


def test_targets_draft_reports_a_new_expiry_and_the_same_content(p, tmp_path):
    file = tmp_path / "targets.draft"
    made = report("targets", "draft", *p.place, "--draft", file)
    assert made == report("targets", "status", file)
    assert made["changes"]["listed"] == {"before": 1, "after": 1}
    assert made["changes"]["added"] == made["changes"]["removed"] == []
