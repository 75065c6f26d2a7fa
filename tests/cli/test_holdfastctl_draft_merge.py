"""holdfastctl root merge, targets merge: signed copies of one draft become one file."""
import json
import shutil

import pytest

import ctl
from ceremony import Holder, new_draft
from ctl import Root


@pytest.fixture
def p(tmp_path):
    """Two of three keys must sign root, and targets."""
    return ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--root-keys", "3",
                         "--root-threshold", "2", "--targets-keys", "3", "--targets-threshold", "2")


@pytest.fixture
def holders(p, tmp_path):
    return [Holder(tmp_path, f"holder-{n}", p.offline / f"root-{n}.key.json") for n in (1, 2, 3)]


@pytest.fixture
def draft(p, tmp_path):
    return new_draft(p, tmp_path / "root.draft")


@pytest.fixture
def copies(holders, draft, tmp_path):
    """Of the first two holders, signed."""
    return signed_copies(draft, holders[:2], tmp_path, "root")


def signed_copies(draft, holders, folder, role):
    found = [folder / f"{holder.folder.name}.draft" for holder in holders]
    for holder, copy in zip(holders, found):
        shutil.copy(draft, copy)
        holder.sign(copy, role)
    return found


def signers(file):
    return [s["keyid"] for s in json.loads(file.read_text())["signatures"]]


def refuses(*args, files):
    """Nothing is made and no file is changed; returns the sentence."""
    before = [f.read_bytes() if f.exists() else None for f in files]
    sentence = ctl.refused(*args)
    assert [f.read_bytes() if f.exists() else None for f in files] == before
    return sentence


def test_copies_become_one_file(p, holders, copies, tmp_path):
    out, before = tmp_path / "merged.draft", [c.read_bytes() for c in copies]
    said = ctl.ok("root", "merge", "--draft", out, *copies)
    assert said.startswith(f"{out}: draft of root 2, SHA-256 ")
    assert "signed by 2 of 3 keys of version 1 (2 must), 2 of 3 of version 2 (2 must)" in said
    assert said.endswith("complete: run holdfastctl root finish where the repository is\n")
    assert sorted(signers(out)) == sorted(h.key_id for h in holders[:2])
    assert [c.read_bytes() for c in copies] == before
    assert "published: root 2" in ctl.ok("root", "finish", *p.place, out)


def test_who_is_still_to_sign_is_said(holders, copies, tmp_path):
    said = ctl.ok("root", "merge", "--draft", tmp_path / "out", copies[0])
    assert said.endswith("not complete: carry it to the next key holder\n")
    assert f"signed   {holders[0].key_id}" in said and f"to sign  {holders[1].key_id}" in said


def test_a_file_that_is_there_gets_what_the_copies_have(holders, draft, copies):
    ctl.ok("root", "merge", "--draft", draft, copies[0])
    assert signers(draft) == [holders[0].key_id]
    ctl.ok("root", "merge", "--draft", draft, copies[1])
    assert sorted(signers(draft)) == sorted(h.key_id for h in holders[:2])
    # What holder 3 signed meanwhile in the file itself stays, and no signature counts twice.
    holders[2].sign(draft)
    whole = sorted(signers(draft))
    ctl.ok("root", "merge", "--draft", draft, *copies)
    assert sorted(signers(draft)) == whole and len(whole) == 3


def test_a_file_of_another_draft_stays_as_it_is(p, copies, tmp_path):
    other = new_draft(p, tmp_path / "other.draft", "--expires", "100")
    sentence = refuses("root", "merge", "--draft", other, *copies, files=[other])
    assert sentence.startswith(f"{other} exists and is unchanged: it is another draft")


def test_a_copy_of_another_draft_is_told_by_name(p, holders, copies, tmp_path):
    other, out = new_draft(p, tmp_path / "other.draft", "--expires", "100"), tmp_path / "out"
    holders[2].sign(other)
    sentence = refuses("root", "merge", "--draft", out, *copies, other, files=[out])
    assert sentence.startswith(f"{other}: it is another draft")


def test_a_copy_with_a_signature_of_something_else_is_told_by_name(holders, copies, tmp_path):
    out, content = tmp_path / "out", json.loads(copies[1].read_text())
    content["signatures"][0]["sig"] = "00" * 64
    copies[1].write_text(json.dumps(content))
    sentence = refuses("root", "merge", "--draft", out, *copies, files=[out])
    assert sentence.startswith(f"{copies[1]}: the signature of key {holders[1].key_id} is not over "
                               "this draft")


def test_what_is_no_draft_is_not_written_over(copies, tmp_path):
    out = tmp_path / "out"
    out.write_text("my notes\n")
    assert str(out) in refuses("root", "merge", "--draft", out, *copies, files=[out])


def test_of_targets_it_is_the_same(p, tmp_path):
    p.add(Root(tmp_path, "Root A").file)
    holders = [Holder(tmp_path, f"t-{n}", p.offline / f"targets-{n}.key.json") for n in (1, 3)]
    draft, out = tmp_path / "targets.draft", tmp_path / "out"
    ctl.ok("targets", "draft", *p.place, "--draft", draft)
    copies = signed_copies(draft, holders, tmp_path, "targets")
    assert "use holdfastctl targets merge" in refuses("root", "merge", "--draft", out, *copies,
                                                      files=[out])
    assert "complete: run holdfastctl targets finish" in ctl.ok("targets", "merge", "--draft", out, *copies)
    assert ctl.ok("targets", "finish", *p.place, out) == "published: targets 3\n"


def test_status_changes_nothing(draft, copies):
    before = draft.read_bytes()
    assert ctl.ok("root", "status", draft, *copies).endswith(
        "complete: run holdfastctl root finish where the repository is\n")
    assert draft.read_bytes() == before
    assert "--merge: unknown option" in ctl.refused("root", "status", draft, "--merge", "x", code=2)
