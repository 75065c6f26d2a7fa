"""holdfastctl root …: a ceremony, from the draft to what devices find, and all that can go wrong."""
import json
import shutil

import pytest

import ctl
import json_schema
from ceremony import (Holder, digest, edit, finish, key_id, new_draft, new_key, pins,
                      refuses_to_finish, root_goes_last, rotate)
from ctl import Root


@pytest.fixture
def p(tmp_path):
    """Three root keys of which two must sign, and one bundle."""
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--root-keys", "3",
                              "--root-threshold", "2")
    publisher.add(Root(tmp_path, "Root A").file)
    return publisher


@pytest.fixture
def holders(p, tmp_path):
    return [Holder(tmp_path, f"holder-{n}", p.offline / f"root-{n}.key.json") for n in (1, 2, 3)]


@pytest.fixture
def draft(p, tmp_path):
    return new_draft(p, tmp_path / "root.draft")


# ---- the ceremony ---------------------------------------------------------------------------------

@pytest.mark.parametrize("name, shown", [("schlüssel", "schl??ssel"), ("schl\udcfcssel", "schl?ssel"),
                                         ("k" * 140, "k" * 128)])
def test_a_key_may_be_in_a_file_of_any_name(p, holders, draft, tmp_path, name, shown):
    public = holders[0].public.parent / f"{name}.pub"
    ctl.ok("key", "generate", "--key", tmp_path / "new.key.json", "--public", public,
           "--insecure-no-passphrase")
    assert shown in edit("add-key", draft, "root", "--key", public)
    holders[0].file.rename(holders[0].folder / f"{name}.key.json")
    holders[0].sign(draft)
    assert shown in ctl.ok("root", "status", draft)


def test_a_draft_as_it_is_renews_the_expiry(p, holders, draft):
    before = ctl.tree(p.repo)
    assert "signed by 0 of 3 keys of version 1 (2 must), 0 of 3 of version 2 (2 must)" in \
        ctl.ok("root", "status", draft)
    said = holders[0].sign(draft)
    assert "signed with 1 key(s)" in said and "carry it to the next key holder" in said
    assert "complete: run holdfastctl " in holders[2].sign(draft)
    assert ctl.tree(p.repo) == before
    assert finish(p, draft) == ("signed by 2 of 3 keys of version 1 (2 must), 2 of 3 of version 2 "
                                "(2 must)\npublished: root 2\n")
    new = p.repo / "metadata/2.root.json"
    assert set(ctl.tree(p.repo)) - set(before) == {str(new)}
    assert {k: v for k, v in ctl.tree(p.repo).items() if k != str(new)} == before
    assert p.check()["updatable"] is True


def test_the_pins_beside_the_keys_move_to_root_2_and_work_goes_on(p, holders, draft, tmp_path):
    for holder in holders[:2]:
        holder.sign(draft)
    finish(p, draft)
    new = (p.repo / "metadata/2.root.json").read_bytes()
    assert pins(p) == [new, new]
    p.add(Root(tmp_path, "Root B").file, "--drop", "all")
    ctl.ok("refresh", *p.place)
    assert p.check()["updatable"] is True
    # A repository that lost root 2 is one that these keys do not sign for any more.
    (p.repo / "metadata/2.root.json").unlink()
    assert "expected root 2" in p.refuses("refresh", *p.place)


def test_copies_signed_apart_come_together(p, holders, draft, tmp_path):
    copies = [tmp_path / "a.draft", tmp_path / "b.draft"]
    for holder, copy in zip(holders, copies):
        shutil.copy(draft, copy)
        holder.sign(copy)
    assert ctl.ok("root", "status", *copies).endswith(
        "complete: run holdfastctl root finish where the repository is\n")
    assert "published: root 2" in finish(p, *copies)
    assert pins(p)[0] == (p.repo / "metadata/2.root.json").read_bytes()


def test_a_key_that_signed_in_two_copies_counts_once(p, holders, draft, tmp_path):
    copy = tmp_path / "copy.draft"
    shutil.copy(draft, copy)
    for file in (draft, copy):
        holders[0].sign(file)
    assert "signed by 1 of 3 keys of version 1" in refuses_to_finish(p, draft, copy)


def test_what_is_signed_is_shown_key_by_key(p, holders, draft, tmp_path):
    carol = Holder(tmp_path, "carol")
    said = edit("add-key", draft, "root", "--key", carol.public, "--threshold", "3")
    assert f"+ new    ed25519 {carol.key_id}  carol.pub" in said
    assert "  root       3 of 4 keys (before: 2 of 3)" in said
    said = edit("remove-key", draft, "root", "--key", holders[1].key_id[:16])
    assert f"- goes   ed25519 {holders[1].key_id}" in said
    assert "  root       3 of 3 keys (before: 2 of 3)" in said
    assert f"stays  ed25519 {holders[0].key_id}" in said
    assert "  timestamp  1 of 1 keys, unchanged" in said
    assert "consistent snapshots: yes (before: yes)" in said
    assert holders[0].sign(draft).startswith(ctl.ok("root", "status", draft).split("signed by")[0])


def test_a_terminal_is_shown_the_difference_and_asked(p, holders, draft):
    terminal = ctl.Terminal("root", "sign", "--draft", draft, "--keys", holders[0].folder)
    terminal.expect("Sign root 2 as shown? [y/N] ")
    assert "draft of root 2, after root 1" in terminal.seen
    terminal.type("n\n")
    assert terminal.end()[0] == 1
    assert json.loads(draft.read_text())["signatures"] == []
    terminal = ctl.Terminal("root", "sign", "--draft", draft, "--keys", holders[0].folder)
    terminal.expect("[y/N] ")
    terminal.type("y\n")
    code, said = terminal.end()
    assert code == 0 and said.startswith("signed with 1 key(s)\n")  # and not shown a second time
    assert len(json.loads(draft.read_text())["signatures"]) == 1


def test_two_holders_sign_one_file_at_the_same_time(p, holders, draft):
    """Both are asked; who answers last does not write over the other's signature."""
    terminals = [ctl.Terminal("root", "sign", "--draft", draft, "--keys", h.folder)
                 for h in holders[:2]]
    for terminal in terminals:
        terminal.expect("[y/N] ")
    for terminal in terminals:
        terminal.type("y\n")
        assert terminal.end()[0] == 0
    assert {s["keyid"] for s in json.loads(draft.read_text())["signatures"]} == {
        h.key_id for h in holders[:2]}


def test_a_draft_that_is_changed_while_the_question_stands(p, holders, draft):
    terminal = ctl.Terminal("root", "sign", "--draft", draft, "--keys", holders[0].folder)
    terminal.expect("[y/N] ")
    edit("set-threshold", draft, "root", "--threshold", "3")
    changed = draft.read_bytes()
    terminal.type("y\n")
    assert terminal.end()[0] == 1
    assert "was changed after it was shown, so your signature was not added" in terminal.seen
    assert draft.read_bytes() == changed


def test_the_file_is_what_its_schema_says(holders, draft):
    schema = json_schema.load("draft.schema.json")
    assert json_schema.fault(json.loads(draft.read_text()), schema, schema) is None
    holders[0].sign(draft)
    content = json.loads(draft.read_text())
    assert json_schema.fault(content, schema, schema) is None
    assert content["names"] == {holders[0].key_id: holders[0].file.name}


# ---- signatures that are missing, too many, or of the wrong thing ----------------------------------

def test_who_is_still_to_sign_is_said(p, holders, draft):
    assert "still to sign: " in refuses_to_finish(p, draft)
    holders[0].sign(draft)
    sentence = refuses_to_finish(p, draft)
    assert sentence.startswith("signatures are missing: signed by 1 of 3 keys of version 1 (2 must)")
    who = sentence.split("still to sign: ")[1]
    assert {w[:16] for w in who.split(", ")} == {h.key_id[:16] for h in holders[1:]}


def test_a_key_signs_once(p, holders, draft):
    holders[0].sign(draft)
    assert holders[0].refused(draft).startswith(
        f"every key in {holders[0].folder} has signed this draft already, and a key counts once; "
        "still to sign: ")


def test_a_key_of_neither_root_does_not_sign(p, holders, draft, tmp_path):
    mallory = Holder(tmp_path, "mallory")
    assert mallory.refused(draft).startswith(
        f"{mallory.folder} holds no key that may sign this draft of root 2; still to sign: ")


def test_a_signature_of_neither_root_is_not_counted(p, holders, draft, tmp_path):
    mallory = Holder(tmp_path, "mallory")
    for holder in holders[:2]:
        holder.sign(draft)
    content = json.loads(draft.read_text())
    content["signatures"].append({"keyid": mallory.key_id, "sig": "00" * 64})
    draft.write_text(json.dumps(content))
    sentence = refuses_to_finish(p, draft)
    assert f"is signed by the key {mallory.key_id}, which is a root key of neither root" in sentence


def test_a_signature_under_something_else_is_found(p, holders, draft, tmp_path):
    other = new_draft(p, tmp_path / "other.draft", "--expires", "100")
    holders[0].sign(other)
    holders[1].sign(draft)
    content = json.loads(draft.read_text())
    content["signatures"] += json.loads(other.read_text())["signatures"]
    draft.write_text(json.dumps(content))
    assert f"the signature of key {holders[0].key_id} is not over this draft" in \
        refuses_to_finish(p, draft)
    assert "is not over this draft" in holders[2].refused(draft, "--yes", "0" * 16)


def test_two_drafts_are_not_mixed(p, holders, draft, tmp_path):
    other = new_draft(p, tmp_path / "other.draft", "--expires", "100")
    holders[0].sign(draft)
    holders[1].sign(other)
    assert f"{other}: it is another draft" in refuses_to_finish(p, draft, other)


def test_new_keys_alone_or_old_keys_alone_are_not_enough(p, holders, draft, tmp_path):
    new = [Holder(tmp_path, name) for name in ("carol", "dave")]
    edit("add-key", draft, "root", "--key", new[0].public, "--key", new[1].public)
    edit("remove-key", draft, "root", *[w for h in holders for w in ("--key", h.key_id)])
    copy = tmp_path / "copy.draft"
    shutil.copy(draft, copy)
    for holder in new:
        holder.sign(copy)
    assert "0 of 3 keys of version 1 (2 must), 2 of 2 of version 2" in refuses_to_finish(p, copy)
    for holder in holders[1:]:
        holder.sign(draft)
    assert "2 of 3 keys of version 1 (2 must), 0 of 2 of version 2" in refuses_to_finish(p, draft)
    assert "published: root 2" in finish(p, draft, copy)


def test_nothing_is_signed_unseen(p, holders, draft):
    assert "there is no terminal to ask on" in ctl.refused(
        "root", "sign", "--draft", draft, "--keys", holders[0].folder)
    wrong = "0123456789abcdef"
    assert holders[0].refused(draft, "--yes", wrong).startswith(
        f"--yes {wrong} is not the SHA-256 of this draft")
    agreed = digest(draft)
    edit("set-threshold", draft, "root", "--threshold", "1")
    assert "or it was changed since you looked" in holders[0].refused(draft, "--yes", agreed)


# ---- a wrong order --------------------------------------------------------------------------------

def test_a_signed_draft_is_not_changed(p, holders, draft):
    holders[0].sign(draft)
    before = draft.read_bytes()
    change = ["root", "set-threshold", "--draft", draft, "--role", "root", "--threshold", "1"]
    assert ctl.refused(*change) == (
        "1 key(s) have signed this draft, and a change would lose their signatures; give "
        "--discard-signatures if they can sign again")
    assert draft.read_bytes() == before
    ctl.ok(*change, "--discard-signatures")
    assert json.loads(draft.read_text())["signatures"] == []


def test_a_draft_that_follows_an_older_root_is_refused_everywhere(p, holders, draft, tmp_path):
    late = new_draft(p, tmp_path / "late.draft", "--expires", "100")
    for holder in holders[:2]:
        holder.sign(draft)
        holder.sign(late)
    finish(p, draft)
    again = refuses_to_finish(p, draft)
    assert again.startswith("the draft follows root 1, but root 2 is published already")
    assert refuses_to_finish(p, late) == again
    assert "root.json is root 2; start a new draft" in ctl.refused(
        "root", "sign", "--draft", late, "--keys", p.keys, "--yes", digest(late))


# ---- the record beside a holder's keys --------------------------------------------------------------

def root_file(p, version):
    return (p.repo / "metadata" / f"{version}.root.json").read_bytes()


def give_record(holder, content):
    (holder.folder / "root.json").write_bytes(content)
    return holder


def test_the_record_comes_along_with_what_its_holder_signs(p, holders, tmp_path):
    """She slept for two roots: the draft shows how the third follows, and is what she knows then."""
    alice = give_record(holders[0], root_file(p, 1))
    old = new_draft(p, tmp_path / "old.draft")
    for name in ("two", "three"):
        rotate(p, tmp_path / name)
    draft = new_draft(p, tmp_path / "four")
    assert "signed with 1 key(s)" in alice.sign(draft)
    assert (alice.folder / "root.json").read_bytes() == root_file(p, 3)
    assert "root.json is root 3; start a new draft" in alice.refused(old)
    assert (alice.folder / "root.json").read_bytes() == root_file(p, 3)


def test_the_record_beside_a_key_that_is_given_comes_along_too(p, holders, tmp_path):
    alice = give_record(holders[0], root_file(p, 1))
    rotate(p, tmp_path / "two")
    draft = new_draft(p, tmp_path / "three")
    ctl.ok("root", "sign", "--draft", draft, "--key", alice.file, "--yes", digest(draft))
    assert (alice.folder / "root.json").read_bytes() == root_file(p, 2)


def test_without_a_signature_the_record_stays(p, holders, tmp_path):
    alice = give_record(holders[0], root_file(p, 1))
    rotate(p, tmp_path / "two")
    assert "nothing was signed" in alice.refused(new_draft(p, tmp_path / "three"), "--yes", "0" * 16)
    assert (alice.folder / "root.json").read_bytes() == root_file(p, 1)


def test_a_record_is_not_made_for_who_has_none(holders, draft):
    holders[0].sign(draft)
    assert not (holders[0].folder / "root.json").exists()


def test_a_record_that_cannot_be_written_is_said_and_the_draft_is_signed(p, holders, tmp_path):
    """Where FOLDER/.new, the file that would be renamed, cannot be made."""
    alice = give_record(holders[0], root_file(p, 1))
    rotate(p, tmp_path / "two")
    draft = new_draft(p, tmp_path / "three")
    (alice.folder / ".new" / "in-the-way").mkdir(parents=True)
    outcome = ctl.run("root", "sign", "--draft", draft, "--keys", alice.folder, "--yes", digest(draft))
    assert outcome.code == 0 and "signed with 1 key(s)" in outcome.out
    assert outcome.err.startswith("holdfastctl: the draft is signed, but root.json beside the keys "
                                  "could not be updated to root 2: ")
    assert (alice.folder / "root.json").read_bytes() == root_file(p, 1)


def test_a_draft_of_another_repository_is_refused(p, draft, tmp_path):
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = ctl.Publisher(other_folder)
    foreign = new_draft(other, tmp_path / "foreign.draft")
    ctl.ok("root", "sign", "--draft", foreign, "--keys", other.keys, "--yes", digest(foreign))
    assert "follows a root 1 that" in refuses_to_finish(p, foreign)
    assert "is not the one in" in ctl.refused("root", "sign", "--draft", foreign, "--keys", p.keys,
                                              "--yes", digest(foreign))


def test_thresholds_that_nobody_can_meet_are_refused(p, draft, holders):
    before = draft.read_bytes()
    assert "4 of 3 root keys can never sign" in ctl.refused(
        "root", "set-threshold", "--draft", draft, "--role", "root", "--threshold", "4")
    assert "2 of 1 root keys can never sign" in ctl.refused(
        "root", "remove-key", "--draft", draft, "--role", "root", "--key", holders[0].key_id,
        "--key", holders[1].key_id)
    assert "1 of 0 targets keys can never sign" in ctl.refused(
        "root", "remove-key", "--draft", draft, "--role", "targets", "--key",
        p.offline / "targets-1.key.json")
    assert draft.read_bytes() == before


def test_keys_that_are_there_already_or_not_at_all(p, draft, holders):
    assert "role root has the key" in ctl.refused(
        "root", "add-key", "--draft", draft, "--role", "root", "--key", holders[0].file)
    assert "expected one key of role root whose id begins with 0123456789abcdef, found 0" in ctl.refused(
        "root", "remove-key", "--draft", draft, "--role", "root", "--key", "0123456789abcdef")
    assert "--role is root, targets, snapshot or timestamp, not boss" in ctl.refused(
        "root", "add-key", "--draft", draft, "--role", "boss", "--key", holders[0].file, code=2)


def test_a_draft_of_tomorrow_is_not_published_today(p, holders, tmp_path):
    tomorrow = new_draft(p, tmp_path / "tomorrow.draft", at="+1d")
    for holder in holders[:2]:
        holder.sign(tomorrow)
    assert "one of the two clocks is wrong" in refuses_to_finish(p, tomorrow)
    assert "published: root 2" in finish(p, tomorrow, at="+1d")


def test_a_draft_that_ran_out_is_not_published(p, holders, tmp_path):
    short = new_draft(p, tmp_path / "short.draft", "--expires", "1")
    for holder in holders[:2]:
        holder.sign(short)
    assert "expired" in refuses_to_finish(p, short, at="+2d")


def test_a_draft_is_never_overwritten(p, draft):
    before = draft.read_bytes()
    assert "exists" in ctl.refused("root", "draft", "--from", p.repo, "--draft", draft)
    assert draft.read_bytes() == before


# ---- rotation -------------------------------------------------------------------------------------

def test_online_keys_rotate_and_both_sign_the_step(p, tmp_path):
    new = new_key(p, "online", "timestamp-2")
    said = rotate(p, tmp_path / "d", ("add-key", "timestamp", "--key", new),
                  ("remove-key", "timestamp", "--key", p.online / "timestamp-1.key.json"))
    assert said.endswith("published: root 2, snapshot 3, timestamp 3\n")
    assert root_goes_last(p)
    signers = {s["keyid"] for s in p.metadata("timestamp")["signatures"]}
    assert signers == {key_id(new), key_id(p.online / "timestamp-1.key.json")}
    (p.online / "timestamp-1.key.json").unlink()
    ctl.ok("refresh", *p.place)
    assert {s["keyid"] for s in p.metadata("timestamp")["signatures"]} == {key_id(new)}
    assert p.check()["updatable"] is True


def test_a_stolen_online_key_does_not_sign_the_step(p, tmp_path):
    new = new_key(p, "online", "timestamp-2")
    stolen = p.online / "timestamp-1.key.json"
    gone = tmp_path / "stolen.key.json"
    shutil.move(stolen, gone)
    said = rotate(p, tmp_path / "d", ("add-key", "timestamp", "--key", new),
                  ("remove-key", "timestamp", "--key", gone))
    assert "a device that\nchecked during the change retries" in said
    assert not root_goes_last(p)
    assert {s["keyid"] for s in p.metadata("timestamp")["signatures"]} == {key_id(new)}
    assert p.check()["updatable"] is True


def test_targets_keys_rotate_with_the_same_content(p, tmp_path):
    new = new_key(p, "offline", "targets-2")
    before = p.metadata("targets")["signed"]
    said = rotate(p, tmp_path / "d", ("add-key", "targets", "--key", new),
                  ("remove-key", "targets", "--key", p.offline / "targets-1.key.json"))
    assert said.endswith("published: root 2, targets 3, snapshot 3, timestamp 3\n")
    after = p.metadata("targets")["signed"]
    assert (after["targets"], after["version"]) == (before["targets"], before["version"] + 1)
    (p.offline / "targets-1.key.json").unlink()
    p.add(Root(tmp_path, "Root B").file, "--drop", "all")
    assert p.newest()["version"] == 2


def test_without_the_new_online_keys_nothing_goes_out(p, tmp_path, draft):
    new = new_key(p, "online", "timestamp-2")
    edit("add-key", draft, "timestamp", "--key", new)
    edit("remove-key", draft, "timestamp", "--key", p.online / "timestamp-1.key.json")
    ctl.ok("root", "sign", "--draft", draft, "--keys", p.keys, "--yes", digest(draft))
    shutil.move(new, tmp_path / "elsewhere")
    sentence = refuses_to_finish(p, draft)
    assert sentence.startswith("under the new root, snapshot and timestamp must be signed again: ")
    assert "holds 0 of the 1 timestamp keys that root 2 asks for" in sentence
    shutil.move(tmp_path / "elsewhere", new)
    assert "published: root 2" in finish(p, draft)


def test_a_finish_that_was_cut_off_goes_on(p, tmp_path, draft):
    """The power fails after the new root was renamed, before the timestamp by the new key was."""
    new = new_key(p, "online", "timestamp-2")
    edit("add-key", draft, "timestamp", "--key", new)
    edit("remove-key", draft, "timestamp", "--key", p.online / "timestamp-1.key.json")
    (p.online / "timestamp-1.key.json").unlink()
    ctl.ok("root", "sign", "--draft", draft, "--keys", p.keys, "--yes", digest(draft))
    kept = tmp_path / "kept"
    for half in ("repo", "keys"):
        shutil.copytree(p.folder / half, kept / half)
    finish(p, draft)
    new_root = (p.repo / "metadata/2.root.json").read_bytes()
    for half in ("repo", "keys"):
        shutil.rmtree(p.folder / half)
        shutil.copytree(kept / half, p.folder / half)
    (p.repo / "metadata/2.root.json").write_bytes(new_root)
    assert ctl.run("check", "--repo", p.repo).code == 1
    assert "published: root 2" in finish(p, draft)
    assert (p.repo / "metadata/2.root.json").read_bytes() == new_root
    assert p.check()["updatable"] is True and pins(p) == [new_root, new_root]


def test_another_root_of_that_number_is_never_replaced(p, holders, draft, tmp_path):
    other = new_draft(p, tmp_path / "other.draft", "--expires", "100")
    for holder in holders[:2]:
        holder.sign(draft)
        holder.sign(other)
    kept = tmp_path / "kept"
    shutil.copytree(p.keys, kept)
    finish(p, draft)
    shutil.rmtree(p.keys)
    shutil.copytree(kept, p.keys)
    assert "has another root 2 already" in refuses_to_finish(p, other)


def test_an_expired_root_is_followed_by_the_next(p, tmp_path):
    ctl.ok("root", "draft", "--from", p.repo, "--draft", tmp_path / "d", at="+600d")
    ctl.ok("root", "sign", "--draft", tmp_path / "d", "--keys", p.keys, "--yes",
           digest(tmp_path / "d"), at="+600d")
    said = ctl.ok("root", "finish", *p.place, "--clock-is-right", tmp_path / "d", at="+601d")
    assert "published: root 2, targets 3, snapshot 3, timestamp 3" in said
    assert p.check(at="+602d")["updatable"] is True


@pytest.mark.parametrize("command", ["draft", "add-key", "remove-key", "set-threshold", "sign",
                                     "status", "merge", "finish"])
def test_each_command_teaches_itself_and_refuses_nonsense(command):
    text = ctl.ok("root", command, "--help")
    assert text.startswith(f"Usage: holdfastctl root {command} ")
    assert f"  holdfastctl root {command}" in text.split("Examples:")[1]
    assert ctl.refused("root", command, code=2).endswith(f"see holdfastctl root {command} --help")
