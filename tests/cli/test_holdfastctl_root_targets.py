"""A new root gives targets other keys, and none of them lies where the repository is: their holders
sign under the root to come, and both go out together."""
import json
import shutil

import pytest

import ctl
import json_schema
from ceremony import (Holder, digest, edit, finish, new_draft, new_key, pins, refuses_to_finish,
                      root_goes_last)
from ctl import Root


@pytest.fixture
def p(tmp_path):
    """The one targets key is with alice."""
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase")
    publisher.add(Root(tmp_path, "Root A").file)
    publisher.alice = Holder(tmp_path, "alice", publisher.offline / "targets-1.key.json")
    (publisher.offline / "targets-1.key.json").unlink()
    return publisher


@pytest.fixture
def new(tmp_path):
    """Whose keys both must sign targets from root 2 on."""
    return [Holder(tmp_path, name) for name in ("carol", "dave")]


@pytest.fixture
def root(p, new, tmp_path):
    """The signed draft of root 2."""
    return root_of_new(p, new, tmp_path / "root.draft")


@pytest.fixture
def targets(p, root, tmp_path):
    return draft_under(p, root, tmp_path / "targets.draft")


def root_of_new(p, new, file, *options):
    draft = new_draft(p, file, *options)
    edit("add-key", draft, "targets", *[w for h in new for w in ("--key", h.public)])
    edit("remove-key", draft, "targets", "--key", p.alice.file, "--threshold", "2")
    return sign_root(p, draft)


def sign_root(p, draft):
    ctl.ok("root", "sign", "--draft", draft, "--keys", p.keys, "--yes", digest(draft))
    return draft


def draft_under(p, root, file):
    ctl.ok("targets", "draft", *p.place, "--draft", file, "--under", root)
    return file


def all_sign(targets, holders):
    for holder in holders:
        holder.sign(targets, "targets")
    return targets


def signers(metadata):
    return {s["keyid"] for s in metadata["signatures"]}


# ---- both go out together --------------------------------------------------------------------------

def test_what_waits_for_the_new_keys_is_shown(p, new, root, targets):
    said = ctl.ok("targets", "status", targets)
    assert said.startswith("draft of targets 3, after targets 2\n")
    assert "not published yet: it comes after root 1, together with this draft" in said
    assert "they prove nothing" not in said
    assert "signed by 0 of 2 keys of version 2 (2 must), 0 of 1 of version 1 (1 may sign too)" in said
    for holder in new:
        assert f"to sign  {holder.key_id}  of root 2  {holder.public.name}" in said
    assert f"may sign {p.alice.key_id}  of root 1" in said
    data = json.loads(ctl.ok("targets", "status", targets, "--json"))
    schema = json_schema.load("draft-report.schema.json")
    assert json_schema.fault(data, schema, schema) is None
    assert (data["root"]["version"], data["root"]["published"]) == (2, False)
    assert [side["optional"] for side in data["signatures"]["sides"]] == [False, True]
    schema = json_schema.load("draft.schema.json")
    assert json_schema.fault(json.loads(targets.read_text()), schema, schema) is None


def test_the_new_keys_sign_where_they_are(p, new, root, targets):
    before = p.metadata("targets")["signed"]
    assert "carry it to the next key holder" in new[0].sign(targets, "targets")
    assert "complete: run holdfastctl root finish with --targets " in new[1].sign(targets, "targets")
    said = finish(p, root, "--targets", targets)
    assert "published: root 2, targets 3, snapshot 3, timestamp 3\n" in said
    assert "a device that\nchecked during the change retries" in said
    assert not root_goes_last(p)
    after = p.metadata("targets")
    assert (after["signed"]["targets"], after["signed"]["version"]) == (before["targets"], 3)
    assert signers(after) == {h.key_id for h in new}
    assert p.check()["updatable"] is True
    assert pins(p) == [(p.repo / "metadata/2.root.json").read_bytes()] * 2
    ctl.ok("refresh", *p.place)


def test_a_root_that_is_to_come_is_no_record_yet(p, new, targets):
    record = new[0].folder / "root.json"
    record.write_bytes((p.repo / "metadata/1.root.json").read_bytes())
    before = record.read_bytes()
    new[0].sign(targets, "targets")
    assert record.read_bytes() == before


def test_the_keys_before_sign_along_and_no_device_sees_a_fault(p, new, root, targets):
    all_sign(targets, [*new, p.alice])
    said = finish(p, root, "--targets", targets)
    assert "published: root 2, targets 3, snapshot 3, timestamp 3\n" in said
    assert "retries" not in said and root_goes_last(p)
    assert signers(p.metadata("targets")) == {h.key_id for h in [*new, p.alice]}
    assert p.check()["updatable"] is True
    # A device that has not seen root 2 yet finds all in order too.
    (p.repo / "metadata/2.root.json").unlink()
    assert p.check()["updatable"] is True


def test_online_keys_rotate_on_the_same_day(p, new, tmp_path):
    draft = new_draft(p, tmp_path / "root.draft")
    edit("add-key", draft, "targets", *[w for h in new for w in ("--key", h.public)])
    edit("remove-key", draft, "targets", "--key", p.alice.file)
    online = {}
    for role in ("snapshot", "timestamp"):
        online[role] = new_key(p, "online", f"{role}-2")
        old = p.online / f"{role}-1.key.json"
        edit("add-key", draft, role, "--key", online[role])
        edit("remove-key", draft, role, "--key", old)
        old.unlink()
    sign_root(p, draft)
    targets = all_sign(draft_under(p, draft, tmp_path / "targets.draft"), new)
    assert "published: root 2, targets 3, snapshot 3, timestamp 3\n" in finish(p, draft, "--targets",
                                                                          targets)
    assert p.check()["updatable"] is True
    ctl.ok("refresh", *p.place)


def test_copies_signed_apart_come_together(p, new, root, targets, tmp_path):
    copies = [tmp_path / "a", tmp_path / "b"]
    for holder, copy in zip(new, copies):
        shutil.copy(targets, copy)
        holder.sign(copy, "targets")
    given = [w for copy in copies for w in ("--targets", copy)]
    assert "published: root 2, targets 3" in finish(p, root, *given)


def test_the_root_may_have_more_signatures_than_when_targets_were_drafted(new, tmp_path):
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--root-keys", "2")
    p.add(Root(tmp_path, "Root A").file)
    p.alice = Holder(tmp_path, "alice", p.offline / "targets-1.key.json")
    second = Holder(tmp_path, "second", p.offline / "root-2.key.json")
    (p.offline / "root-2.key.json").unlink()
    root = root_of_new(p, new, tmp_path / "root.draft")
    targets = all_sign(draft_under(p, root, tmp_path / "targets.draft"), new)
    second.sign(root)
    assert "published: root 2, targets 3" in finish(p, root, "--targets", targets)
    assert len(p.metadata("root")["signatures"]) == 2


def test_targets_may_come_along_though_their_keys_stay(p, tmp_path):
    """Root is renewed, and targets with it, on one day."""
    root = sign_root(p, new_draft(p, tmp_path / "root.draft"))
    targets = all_sign(draft_under(p, root, tmp_path / "targets.draft"), [p.alice])
    said = finish(p, root, "--targets", targets)
    assert said.endswith("published: root 2, targets 3, snapshot 3, timestamp 3\n")
    assert root_goes_last(p)


def test_the_next_ceremony_goes_as_ever(p, new, root, targets, tmp_path):
    finish(p, root, "--targets", all_sign(targets, new))
    later = tmp_path / "later.draft"
    ctl.ok("targets", "draft", *p.place, "--draft", later)
    all_sign(later, new)
    assert ctl.ok("targets", "finish", *p.place, later) == "published: targets 4\n"


# ---- what is missing, or does not belong together --------------------------------------------------

def test_without_the_new_keys_it_is_said_how_they_sign(p, root):
    sentence = refuses_to_finish(p, root)
    assert sentence.startswith("under the new root, targets must be signed again, with keys that are here, or by their holders (targets draft --under the draft of root, "
                               "targets sign, root finish --targets): ")
    assert "holds 0 of the 2 targets keys that root 2 asks for" in sentence


def test_who_is_still_to_sign_targets_is_said(p, new, root, targets):
    all_sign(targets, [p.alice, new[0]])
    sentence = refuses_to_finish(p, root, "--targets", targets)
    assert sentence == (
        "signatures are missing: signed by 1 of 2 keys of version 2 (2 must), 1 of 1 of version 1 "
        f"(1 may sign too); still to sign: {new[1].public.name} {new[1].key_id[:16]}")


def test_only_a_root_that_all_have_signed_can_be_drafted_under(p, tmp_path):
    unsigned = new_draft(p, tmp_path / "root.draft")
    file = tmp_path / "targets.draft"
    assert p.refuses("targets", "draft", *p.place, "--draft", file, "--under", unsigned).startswith(
        "the draft of root must be signed first: signatures are missing: signed by 0 of 1 keys of "
        "version 1 (1 must)")
    assert not file.exists()


def test_a_draft_of_targets_is_no_root_to_come(p, targets, tmp_path):
    assert "under a draft of root, not of targets" in p.refuses(
        "targets", "draft", *p.place, "--draft", tmp_path / "new", "--under", targets)


def test_a_draft_of_root_is_no_targets_to_come(p, root):
    assert "is a draft of root, not of targets" in refuses_to_finish(p, root, "--targets", root)


def test_targets_under_another_root_of_that_number_are_refused(p, new, root, targets, tmp_path):
    other = root_of_new(p, new, tmp_path / "other.draft", "--expires", "100")
    all_sign(targets, new)
    assert refuses_to_finish(p, other, "--targets", targets) == (
        "the draft of targets is signed under another root 2 than this draft of root; start a new "
        "draft of targets (--under)")


def test_targets_under_the_published_root_are_refused(p, root, tmp_path):
    plain = tmp_path / "plain.draft"
    ctl.ok("targets", "draft", *p.place, "--draft", plain)
    p.alice.sign(plain, "targets")
    assert "is signed under root 1, not under root 2 that is to come" in \
        refuses_to_finish(p, root, "--targets", plain)


def test_without_its_root_a_draft_of_targets_is_not_published(p, new, root, targets, tmp_path):
    all_sign(targets, [*new, p.alice])
    assert p.refuses("targets", "finish", *p.place, targets).startswith(
        "the draft is signed under root 2, which is not published; publish both at once")
    # Another root 2 came instead.
    finish(p, sign_root(p, new_draft(p, tmp_path / "other.draft")))
    assert "is signed under root 2, but" in p.refuses("targets", "finish", *p.place, targets)
    assert refuses_to_finish(p, root, "--targets", targets).startswith("the draft follows root 1, but")


def test_targets_that_are_overtaken_are_refused(p, new, root, targets, tmp_path):
    plain = tmp_path / "plain.draft"
    ctl.ok("targets", "draft", *p.place, "--draft", plain)
    p.alice.sign(plain, "targets")
    ctl.ok("targets", "finish", *p.place, plain)
    all_sign(targets, new)
    assert "the draft of targets 3 follows targets 2, but targets 3 is signed already" in \
        refuses_to_finish(p, root, "--targets", targets)


def test_a_root_that_others_signed_is_no_root_to_come(p, new, targets):
    """An attacker puts another root into the draft, so that the attacker's keys must sign and not ours."""
    content = json.loads(targets.read_text())
    coming = json.loads(content["root"])
    coming["signatures"][0]["sig"] = "00" * 64
    content["root"] = json.dumps(coming)
    targets.write_text(json.dumps(content))
    assert "the root in the draft" in ctl.refused("targets", "status", targets)
    del content["root_to_come"]
    targets.write_text(json.dumps(content))
    assert "the root in the draft" in ctl.refused("targets", "status", targets)


def test_a_holder_who_knows_another_root_does_not_sign(p, new, targets, tmp_path):
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = ctl.Publisher(other_folder)
    shutil.copy(other.repo / "metadata/1.root.json", new[0].folder / "root.json")
    before = targets.read_bytes()
    assert "it is forged: do not sign" in ctl.refused(
        "targets", "sign", "--draft", targets, "--keys", new[0].folder, "--yes",
        digest(targets, "targets"))
    assert targets.read_bytes() == before
    shutil.copy(p.repo / "metadata/1.root.json", new[0].folder / "root.json")
    new[0].sign(targets, "targets")


def test_what_waits_is_not_lost_with_its_keys(p, new, tmp_path):
    """A bundle is signed and waits for publish; the root to come would end its keys."""
    waiting = tmp_path / "waiting.draft"
    ctl.ok(*p.add_args(Root(tmp_path, "Root B").file, "--drop", "all", "--draft", waiting))
    p.alice.sign(waiting, "targets")
    away = tmp_path / "online"
    shutil.move(p.online, away)
    ctl.ok("targets", "finish", *p.place, waiting)
    shutil.move(away, p.online)
    for holder in new:
        shutil.copy(holder.file, p.offline)
    root = root_of_new(p, new, tmp_path / "root.draft")
    assert refuses_to_finish(p, root).startswith(
        "targets 3 is signed and waits, and its keys are about to go; run holdfastctl publish first")
    # By way of the draft it goes out under the new keys.
    targets = all_sign(draft_under(p, root, tmp_path / "targets.draft"), new)
    assert "published: root 2, targets 4" in finish(p, root, "--targets", targets)
    assert p.newest()["version"] == 2


def test_what_waits_is_not_lost_where_the_published_targets_stay(tmp_path):
    """One of two targets keys goes. The other signed what is published, and this one what waits."""
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--targets-keys", "2")
    p.add(Root(tmp_path, "Root A").file)
    stays, goes = (p.offline / f"targets-{n}.key.json" for n in (1, 2))
    away = tmp_path / "away"
    away.mkdir()
    for file in (stays, p.online):
        shutil.move(file, away / file.name)
    p.add(Root(tmp_path, "Root B").file, "--drop", "all")
    for file in (stays, p.online):
        shutil.move(away / file.name, file)
    root = new_draft(p, tmp_path / "root.draft")
    edit("remove-key", root, "targets", "--key", goes)
    sign_root(p, root)
    assert refuses_to_finish(p, root).startswith(
        "targets 3 is signed and waits, and its keys are about to go; run holdfastctl publish first")
    ctl.ok("publish", *p.place)
    assert "published: root 2, targets 4" in finish(p, root)
    assert p.newest()["version"] == 2


def test_what_waits_and_stays_good_may_go_on_waiting(tmp_path):
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--targets-keys", "2")
    p.add(Root(tmp_path, "Root A").file)
    away = tmp_path / "online"
    shutil.move(p.online, away)
    p.add(Root(tmp_path, "Root B").file, "--drop", "all")
    shutil.move(away, p.online)
    root = new_draft(p, tmp_path / "root.draft")
    edit("remove-key", root, "targets", "--key", p.offline / "targets-2.key.json")
    finish(p, sign_root(p, root))
    assert p.newest()["version"] == 1
    ctl.ok("publish", *p.place)
    assert p.newest()["version"] == 2


def test_the_same_files_again_are_refused(p, new, root, targets):
    all_sign(targets, new)
    finish(p, root, "--targets", targets)
    assert refuses_to_finish(p, root, "--targets", targets).startswith(
        "the draft follows root 1, but root 2 is published already; nothing is left to do")
    assert "this draft of targets 3 is published already; nothing is left to do" == p.refuses(
        "targets", "finish", *p.place, targets)
