"""holdfastctl targets …: targets keys that lie on several machines."""
import json
import shutil

import pytest

import ctl
from ctl import Root


@pytest.fixture
def p(tmp_path):
    """Two of three targets keys must sign; none of them lies where the repository is."""
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--targets-keys", "3",
                              "--targets-threshold", "2")
    publisher.add(Root(tmp_path, "Root A").file)
    publisher.holders = []
    for number in (1, 2, 3):
        folder = tmp_path / f"holder-{number}"
        folder.mkdir(mode=0o700)
        shutil.move(publisher.offline / f"targets-{number}.key.json", folder)
        publisher.holders.append(folder)
    return publisher


@pytest.fixture
def draft(p, tmp_path):
    file = tmp_path / "targets.draft"
    ctl.ok("targets", "draft", *p.place, "--draft", file)
    return file


def digest(draft):
    return ctl.ok("targets", "status", draft).split("SHA-256")[1].split()[0]


def sign(draft, folder):
    return ctl.ok("targets", "sign", "--draft", draft, "--keys", folder, "--yes", digest(draft))


def finish(p, *drafts, at=None):
    return ctl.ok("targets", "finish", *p.place, *drafts, at=at)


def refuses_to_finish(p, *drafts):
    return p.refuses("targets", "finish", *p.place, *drafts)


def test_the_same_content_is_signed_anew(p, draft):
    before = p.metadata("targets")["signed"]
    shown = ctl.ok("targets", "status", draft)
    assert shown.startswith("draft of targets 3, after targets 2\n")
    assert "listed     1 files (before: 1)" in shown and "    +" not in shown
    assert "signed by 0 of 3 keys of version 1 (2 must)" in shown
    sign(draft, p.holders[0])
    assert "complete: run holdfastctl " in sign(draft, p.holders[2])
    assert finish(p, draft) == "published: targets 3\n"
    after = p.metadata("targets")["signed"]
    assert (after["version"], after["targets"]) == (3, before["targets"])
    assert p.check()["updatable"] is True
    ctl.ok("refresh", *p.place)


def test_copies_signed_apart_come_together(p, draft, tmp_path):
    copies = [tmp_path / "a", tmp_path / "b"]
    for folder, copy in zip(p.holders, copies):
        shutil.copy(draft, copy)
        sign(copy, folder)
    assert finish(p, *copies) == "published: targets 3\n"


def test_who_is_still_to_sign_is_said(p, draft):
    sign(draft, p.holders[0])
    sentence = refuses_to_finish(p, draft)
    assert sentence.startswith("signatures are missing: signed by 1 of 3 keys of version 1 (2 must); "
                               "still to sign: ")
    assert "has signed this draft already" in ctl.refused(
        "targets", "sign", "--draft", draft, "--keys", p.holders[0], "--yes", digest(draft))


def test_a_key_of_another_role_does_not_sign(p, draft):
    before = draft.read_bytes()
    assert "holds no key that may sign this draft of targets 3" in ctl.refused(
        "targets", "sign", "--draft", draft, "--keys", p.keys, "--yes", digest(draft))
    assert draft.read_bytes() == before


def test_a_draft_that_is_overtaken_is_refused(p, draft, tmp_path):
    late = tmp_path / "late.draft"
    p.add(Root(tmp_path, "Root B").file, "--drop", "all", "--draft", late)
    for file in (draft, late):
        for folder in p.holders[:2]:
            sign(file, folder)
    finish(p, draft)
    assert "follows targets 2, but targets 3 is signed already" in refuses_to_finish(p, late)


def test_a_draft_that_is_out_is_finished(p, draft):
    """Finished twice, or cut off at the very end."""
    for holder in p.holders[:2]:
        sign(draft, holder)
    finish(p, draft)
    assert refuses_to_finish(p, draft) == (
        "this draft of targets 3 is published already; nothing is left to do")


def test_without_online_keys_it_waits_for_publish(p, draft, tmp_path):
    for folder in p.holders[:2]:
        sign(draft, folder)
    shutil.move(p.online, tmp_path / "online")
    assert finish(p, draft).startswith("signed, not published: targets 3; run holdfastctl publish")
    assert p.versions()["timestamp"] == 2
    shutil.move(tmp_path / "online", p.online)
    assert ctl.ok("publish", *p.place).startswith("published: targets 3")


def test_a_draft_whose_content_was_changed_is_refused(p, draft):
    content = json.loads(draft.read_text())
    path = next(iter(content["signed"]["targets"]))
    content["signed"]["targets"][path]["length"] += 1
    draft.write_text(json.dumps(content))
    assert f"the draft newly lists {path} without its content" in ctl.refused(
        "targets", "status", draft)


def test_a_root_draft_is_no_targets_draft(p, draft, tmp_path):
    root = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", root)
    assert "use holdfastctl root finish" in refuses_to_finish(p, root)
    assert "use holdfastctl targets finish" in p.refuses("root", "finish", *p.place, draft)
    assert "use holdfastctl root status" in ctl.refused("targets", "status", root)
    assert "use holdfastctl targets sign" in ctl.refused("root", "sign", "--draft", draft, "--keys",
                                                         p.keys)
    assert "this is a draft of targets" in ctl.refused(
        "root", "set-threshold", "--draft", draft, "--role", "root", "--threshold", "1")


@pytest.mark.parametrize("command", ["draft", "sign", "status", "merge", "finish"])
def test_each_command_teaches_itself_and_refuses_nonsense(command):
    text = ctl.ok("targets", command, "--help")
    assert text.startswith(f"Usage: holdfastctl targets {command} ")
    assert f"  holdfastctl targets {command}" in text.split("Examples:")[1]
    assert ctl.refused("targets", command, code=2).endswith(f"see holdfastctl targets {command} --help")
