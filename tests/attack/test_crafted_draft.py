"""An attacker gives a crafted draft to a key holder: whatever would be signed is shown, or refused."""
import json
import re
import shutil

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import ctl
import json_schema
from ctl import Root


class Holder:
    """A person with one key, and the record of the root beside it, if any."""

    def __init__(self, folder, key, pin=None):
        self.folder = folder
        self.folder.mkdir(mode=0o700)
        shutil.copy(key, self.folder)
        if pin is not None:
            (self.folder / "root.json").write_bytes(pin)

    def sign(self, draft, role="root"):
        return ctl.ok(role, "sign", "--draft", draft, "--keys", self.folder, "--yes",
                      digest(draft, role))

    def refuses(self, draft, role="root"):
        before = draft.read_bytes()
        sentence = ctl.refused(role, "sign", "--draft", draft, "--keys", self.folder, "--yes",
                               "0" * 16)
        assert draft.read_bytes() == before
        return sentence


class Key:
    """A new key, public part first."""

    def __init__(self, folder, name):
        self.file = folder / f"{name}.key.json"
        public = folder / f"{name}.pub"
        ctl.ok("key", "generate", "--key", self.file, "--public", public,
               "--insecure-no-passphrase")
        self.public = json.loads(public.read_text())
        self.key_id = ctl.ok("key", "inspect", self.file).split("key id")[1].split()[0]


def shown(draft, role="root"):
    return ctl.ok(role, "status", draft)


def report(draft, role="root"):
    found = json.loads(ctl.ok(role, "status", draft, "--json"))
    json_schema.check(found, "draft-report.schema.json")
    return found


def digest(draft, role="root"):
    return report(draft, role)["sha256"]


def craft(draft, change):
    """What an attacker who carries the file may do to it."""
    content = json.loads(draft.read_text())
    change(content)
    draft.write_text(json.dumps(content))
    return draft


@pytest.fixture
def p(tmp_path):
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--root-keys", "3",
                              "--root-threshold", "2")
    publisher.add(Root(tmp_path, "Root A").file)
    return publisher


@pytest.fixture
def alice(p, tmp_path):
    return Holder(tmp_path / "alice", p.offline / "root-1.key.json")


@pytest.fixture
def draft(p, tmp_path):
    file = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file)
    return file


@pytest.fixture
def targets_draft(p, tmp_path):
    file = tmp_path / "targets.draft"
    p.add(Root(tmp_path, "Root A").file, Root(tmp_path, "Root B").file, "--draft", file, "--drop",
          "all")
    return file


# ---- whose key is it? ------------------------------------------------------------------------------

def test_another_key_under_the_id_of_a_holders_key(alice, draft, tmp_path):
    """Carol says her key's id by telephone; the draft has that id, and Mallory's key."""
    carol, mallory = Key(tmp_path, "carol"), Key(tmp_path, "mallory")

    def swap(content):
        content["signed"]["keys"][carol.key_id] = mallory.public
        content["signed"]["roles"]["root"]["keyids"].append(carol.key_id)
        content["names"] = {carol.key_id: "carol.pub"}

    craft(draft, swap)
    for sentence in (alice.refuses(draft), ctl.refused("root", "status", draft)):
        assert f"lists a new key as {carol.key_id}, but the id of that key is {mallory.key_id}" in \
            sentence


def test_a_new_key_with_a_tail(alice, draft, tmp_path):
    carol = Key(tmp_path, "carol")

    def add(content):
        content["signed"]["keys"][carol.key_id] = carol.public | {"owner": "Carol"}
        content["signed"]["roles"]["root"]["keyids"].append(carol.key_id)

    assert "has more members than a key" in alice.refuses(craft(draft, add))


# ---- everything that is signed is shown -----------------------------------------------------------

def test_members_of_root_that_only_others_know(draft, tmp_path):
    mallory = Key(tmp_path, "mallory")

    def hide(content):
        signed = content["signed"]
        signed["spec_version"] = "1.0.99"
        signed["roles"]["root"]["x-quorum"] = 1
        signed["roles"]["mirrors"] = {"keyids": [mallory.key_id], "threshold": 1}
        signed["keys"][mallory.key_id] = mallory.public
        signed["note\u202e\u009b2J"] = "\u202e\u007f\u2066"

    craft(draft, hide)
    other = {m["member"]: m for m in report(draft)["changes"]["other_members"]}
    assert {m: o["change"] for m, o in other.items()} == {
        "spec_version": "changes", "roles.root.x-quorum": "new", "roles.mirrors": "new",
        f"keys.{mallory.key_id}": "new", "note\u202e\u009b2J": "new"}
    assert other["spec_version"]["after"] == "1.0.99"
    text = shown(draft)
    assert '! not explained: "spec_version" becomes "1.0.99", it was "1.0.' in text
    assert '! not explained: "roles.root.x-quorum" is new: 1\n' in text
    assert mallory.public["keyval"]["public"] in text
    assert text.isascii() and all(c == "\n" or c.isprintable() for c in text)


def test_a_draft_that_hides_nothing_says_so_by_silence(draft, targets_draft):
    assert "not explained" not in shown(draft) + shown(targets_draft, "targets")
    assert report(draft)["changes"]["other_members"] == []
    assert report(targets_draft, "targets")["changes"]["other_members"] == []
    [added] = report(targets_draft, "targets")["changes"]["added"]
    assert added["other_members"] == []


def delegate(targets, note):
    """Everything goes to another key; the note is what stands before it."""
    targets["x-notes"] = {"a": note, "z": "hidden note"}
    targets["delegations"] = {
        "keys": {f"{n:064x}": {"keytype": "ed25519", "scheme": "ed25519",
                               "keyval": {"public": f"{7 * n + 1:064x}"}} for n in range(6)},
        "roles": [{"name": "docs", "keyids": [f"{0:064x}"], "threshold": 1, "paths": ["docs/*"],
                   "terminating": False},
                  {"name": "hidden-role", "keyids": [f"{5:064x}"], "threshold": 1,
                   "paths": ["*/*/*"], "terminating": True}]}


def test_a_delegation_behind_a_long_harmless_text(targets_draft):
    note = "a note about the yearly renewal; " * 400
    craft(targets_draft, lambda content: delegate(content["signed"], note))
    text = shown(targets_draft, "targets")
    assert '! not explained: "delegations" is new:' in text
    assert re.search(r'^    \| +"name": "hidden-role",$', text, re.M) and f"{36:064x}" in text
    assert '"z": "hidden note"\n' in text
    assert text.count("renewal;") == 400
    members = report(targets_draft, "targets")["changes"]["other_members"]
    assert {m["member"]: m["after"] for m in members}["x-notes"]["a"] == note


def test_a_long_text_that_looks_like_ours_on_the_next_row(draft):
    """A terminal of 80 columns would begin a row with what stands behind the blanks."""
    lie = "  root       3 of 3 keys, unchanged"
    note = "harmless".ljust(40) + (lie.ljust(80) + "-") * 20
    craft(draft, lambda content: content["signed"].update({"x-note": note}))
    text = shown(draft)
    rows = [line for line in text.splitlines() if lie.strip() in line]
    assert len(rows) >= 10 and all(row.startswith("    | ") for row in rows)
    assert max(map(len, text.splitlines())) < 120


def test_a_delegation_that_the_targets_before_had_already_says_the_thief(targets_draft):
    def forge(content):
        before = json.loads(content["before"])
        for signed in (before["signed"], content["signed"]):
            delegate(signed, "a note")
        content["before"] = json.dumps(before)

    text = shown(craft(targets_draft, forge), "targets")
    assert "they prove nothing" in text and '"name": "hidden-role"' in text
    members = report(targets_draft, "targets")["changes"]["other_members"]
    assert {"delegations", "x-notes"} <= {m["member"] for m in members}


def test_a_note_among_the_hashes(targets_draft):
    def hide(content):
        [path] = content["files"]
        content["signed"]["targets"][path]["hashes"]["x-note"] = "hidden note"

    craft(targets_draft, hide)
    assert '! not explained: "hashes" is new: {"x-note":"hidden note"}\n' in shown(targets_draft,
                                                                                  "targets")
    [added] = report(targets_draft, "targets")["changes"]["added"]
    assert added["other_members"] == [{"member": "hashes", "change": "new",
                                       "after": {"x-note": "hidden note"}}]


def test_a_file_that_is_no_bundle_is_named_by_its_hash(targets_draft):
    """Other programs may read it: two holders must be able to tell whether they see the same."""
    def slip_in(content):
        data = "#!/bin/sh\n"
        content["signed"]["targets"]["tool.sh"] = {
            "length": len(data), "hashes": {"sha256": ctl.fingerprint(data.encode())}}
        content["files"]["tool.sh"] = data

    craft(targets_draft, slip_in)
    digest_of_tool = ctl.fingerprint(b"#!/bin/sh\n")
    assert f"10 bytes that are no bundle which a device can read\n        {digest_of_tool}\n" in \
        shown(targets_draft, "targets")
    added = {x["path"]: x for x in report(targets_draft, "targets")["changes"]["added"]}
    assert added["tool.sh"]["sha256"] == digest_of_tool


@pytest.mark.parametrize("more", [{f"x-{n}": n for n in range(101)}, {"x-note": "y" * 60000}])
@pytest.mark.parametrize("role", ["root", "targets"])
def test_more_than_anybody_reads_is_not_signed(p, alice, draft, targets_draft, role, more):
    file = {"root": draft, "targets": targets_draft}[role]
    craft(file, lambda content: content["signed"].update(more))
    holder = alice if role == "root" else Holder(p.folder / "bob", p.offline / "targets-1.key.json")
    before = file.read_bytes()
    sentence = ctl.refused(role, "sign", "--draft", file, "--keys", holder.folder, "--yes",
                           digest(file, role))
    assert re.match(r"the draft holds \d+ changes of \d+ characters that holdfastctl cannot explain",
                    sentence)
    assert file.read_bytes() == before


def test_what_is_not_explained_is_named_again_beside_the_question(alice, draft):
    """In full it may have left the screen."""
    craft(draft, lambda content: content["signed"].update({"x-hidden": "y " * 9000}))
    terminal = ctl.Terminal("root", "sign", "--draft", draft, "--keys", alice.folder)
    terminal.expect("[y/N] ")
    assert terminal.seen.replace("\r", "").endswith(
        '1 change(s) above are NOT explained:\n  ! "x-hidden"\nSign root 2 as shown? [y/N] ')
    terminal.type("n\n")
    assert terminal.end()[0] == 1


def test_what_is_said_about_a_bundle(targets_draft):
    def hide(content):
        [path] = [p for p in content["files"]]
        target = content["signed"]["targets"][path]
        target["custom"]["holdfast"] |= {"min_version": 9, "mandatory_from": "2020-01-01T00:00:00Z"}
        target["custom"]["x-other"] = {"deep": [1, 2]}
        target["x-more"] = True
        content["signed"]["delegations"] = {"keys": {}, "roles": []}

    craft(targets_draft, hide)
    text = shown(targets_draft, "targets")
    for words in ('"custom.holdfast.min_version" is new: 9', '"custom.x-other" is new: {"deep":[1,2]}',
                  '"custom.holdfast.mandatory_from" is new: "2020-01-01T00:00:00Z"',
                  '"x-more" is new: true', '"delegations" is new: {"keys":{},"roles":[]}'):
        assert "! not explained: " + words in text
    found = report(targets_draft, "targets")["changes"]
    assert [m["member"] for m in found["other_members"]] == ["delegations"]
    assert len(found["added"][0]["other_members"]) == 4


def test_an_intermediate_and_what_lint_said_of_it(p, tmp_path):
    a = Root(tmp_path, "Root C")
    sub = Root(tmp_path, "Sub CA", issuer=a)
    file = tmp_path / "sub.draft"
    p.add(a.file, sub.file, "--allow-intermediate", "--draft", file, "--drop", "all")
    text = shown(file, "targets")
    assert "Sub CA, until " in text and ", an INTERMEDIATE, trusted as a root\n" in text
    assert re.search(r"^      accepts lint's error no-overlap as of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", text,
                     re.M)
    assert "not explained" not in text
    [added] = report(file, "targets")["changes"]["added"]
    assert [x["use"] for x in added["bundle"]["anchors"]] == ["anchor", "intermediate"]
    assert added["bundle"]["accepted"] == ["no-overlap"]
    assert added["bundle"]["accepted_at"] is not None


def shown_with(targets_draft, said):
    def slip_in(content):
        [path] = [p for p in content["files"]]
        content["signed"]["targets"][path]["custom"]["holdfast"] |= said
    return shown(craft(targets_draft, slip_in), "targets")


def test_a_day_of_acceptance_that_is_yet_to_come(targets_draft):
    text = shown_with(targets_draft, {"accepted": ["no-successor"],
                                      "accepted_at": "2099-01-01T00:00:00Z"})
    assert "      accepts lint's error no-successor as of 2099-01-01T00:00:00Z\n" in text


@pytest.mark.parametrize("said", [{"accepted": [], "accepted_at": "2099-01-01T00:00:00Z"},
                                  {"accepted": ["no-overlap"], "accepted_at": "some day"}])
def test_a_day_of_acceptance_that_no_word_shows(targets_draft, said):
    text = shown_with(targets_draft, said)
    assert '! not explained: "custom.holdfast.accepted_at" is new: "' + said["accepted_at"] in text


def test_a_description_of_another_bundle(targets_draft):
    """Under the path of roots/full devices would pass over what says that it is something else."""
    def lie(content):
        [path] = [p for p in content["files"]]
        content["signed"]["targets"][path]["custom"]["holdfast"]["profile"] = "rsa"

    text = shown(craft(targets_draft, lie), "targets")
    assert "bytes that are no bundle which a device can read" in text
    assert '"profile": "rsa"' in text


def test_targets_before_that_nobody_signed_hide_nothing(p, targets_draft, tmp_path):
    """The forged draft says that the bundle was listed before, so it would be no difference."""
    def forge(content):
        before = json.loads(content["before"])
        before["signed"]["targets"] = content["signed"]["targets"]
        content["before"] = json.dumps(before)

    craft(targets_draft, forge)
    text = shown(targets_draft, "targets")
    assert "they prove nothing, so all that is listed is shown" in text
    assert "+ roots/full/2.pem\n" in text and "CN=Root B" in text
    assert "+ roots/full/1.pem\n      its content is not in the draft\n" in text
    assert len(report(targets_draft, "targets")["changes"]["added"]) == 2


def test_a_hash_that_targets_before_which_nobody_signed_had_already(targets_draft):
    """So its content may stay away, and holders sign for bytes that none of them saw."""
    path, evil = "amazon/full/1.pem", ctl.fingerprint(b"roots of the attacker")

    def forge(content):
        before = json.loads(content["before"])
        for signed in (before["signed"], content["signed"]):
            signed["targets"][path] = {"length": 4711,
                                       "hashes": {"sha256": evil, "sha512": "5" * 128}}
        content["before"] = json.dumps(before)

    text = shown(craft(targets_draft, forge), "targets")
    assert f"+ {path}\n      its content is not in the draft\n        4711 bytes, {evil}\n" in text
    assert '! not explained: "hashes" is new:' in text and "5" * 60 in text
    added = {x["path"]: x for x in report(targets_draft, "targets")["changes"]["added"]}
    assert (added[path]["has_content"], added[path]["length"], added[path]["sha256"]) == (
        False, 4711, evil)
    assert added["roots/full/2.pem"]["has_content"] is True


# ---- what is it compared with? ---------------------------------------------------------------------

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Attacker:
    """Signs anything, with another key."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        point = self.key.public_key().public_bytes(serialization.Encoding.Raw,
                                                   serialization.PublicFormat.Raw)
        self.public = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": point.hex()}}
        self.key_id = ctl.fingerprint(canonical(self.public))

    def made_up(self, root, **changes):
        """A root that needs only the attacker's key, with that signature."""
        signed = json.loads(json.dumps(root["signed"])) | changes
        signed["keys"][self.key_id] = self.public
        signed["roles"]["root"]["keyids"].append(self.key_id)
        signed["roles"]["root"]["threshold"] = 1
        sig = self.key.sign(canonical(signed)).hex()
        return {"signed": signed, "signatures": [{"keyid": self.key_id, "sig": sig}]}


def renew(p, tmp_path, name):
    file = tmp_path / name
    ctl.ok("root", "draft", "--from", p.repo, "--draft", file)
    ctl.ok("root", "sign", "--draft", file, "--keys", p.keys, "--yes", digest(file))
    ctl.ok("root", "finish", *p.place, file)


def pin(p, version):
    return (p.repo / f"metadata/{version}.root.json").read_bytes()


def test_a_difference_from_a_root_that_was_made_up(p, tmp_path):
    """Alice's record is of root 1. Root 2 is published. The attacker shows another root 2, which lists the attacker's key with a
    threshold of one, so the draft of root 3 seems to change nothing."""
    alice = Holder(tmp_path / "alice", p.offline / "root-1.key.json", pin(p, 1))
    renew(p, tmp_path, "renewal")
    draft = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    forged = Attacker().made_up(json.loads(pin(p, 2)))

    def lie(content):
        content["root"] = json.dumps(forged)
        content["signed"] = forged["signed"] | {"version": 3}

    craft(draft, lie)
    assert "root       1 of 4 keys, unchanged" in shown(draft)
    assert "follows a root 2 that does not follow from root 1 in" in alice.refuses(draft)


def test_a_root_further_on_that_was_made_up(p, tmp_path):
    alice = Holder(tmp_path / "alice", p.offline / "root-1.key.json", pin(p, 1))
    for name in ("one", "two"):
        renew(p, tmp_path, name)
    draft = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    attacker = Attacker()
    forged = [attacker.made_up(json.loads(pin(p, n)), version=n) for n in (2, 3)]

    def lie(content):
        content["root"] = json.dumps(forged[1])
        content["roots"][-1] = json.dumps(forged[0])
        content["signed"] = forged[1]["signed"] | {"version": 4}

    craft(draft, lie)
    assert "follows a root 3 that does not follow from root 1 in" in alice.refuses(draft)
    craft(draft, lambda content: content.pop("roots"))
    assert "the draft lacks root 2, which would show that one led to the other" in \
        alice.refuses(draft)
    assert "do not sign" not in alice.refuses(draft)


def test_a_made_up_root_below_a_draft_of_targets(p, targets_draft, tmp_path):
    """So that earlier targets, signed by the attacker, look signed."""
    alice = Holder(tmp_path / "alice", p.offline / "targets-1.key.json", pin(p, 1))
    forged = Attacker().made_up(json.loads(pin(p, 1)), version=2)
    craft(targets_draft, lambda content: content.update(root=json.dumps(forged)))
    assert "follows a root 2 that does not follow from root 1" in \
        alice.refuses(targets_draft, "targets")


def test_two_holders_are_not_shown_two_differences(p, targets_draft, tmp_path):
    """What is signed is the same in both copies; what it is compared with is not."""
    other = tmp_path / "other.draft"
    shutil.copy(targets_draft, other)
    craft(other, lambda content: content.update(before=content["before"] + "\n"))
    assert digest(other, "targets") == digest(targets_draft, "targets")
    assert "it is another draft" in ctl.refused("targets", "status", targets_draft, other)


def test_who_slept_through_rotations_signs_what_follows(p, tmp_path):
    alice = Holder(tmp_path / "alice", p.offline / "root-1.key.json", pin(p, 1))
    for name in ("one", "two", "three"):
        renew(p, tmp_path, name)
    draft = tmp_path / "root.draft"
    ctl.ok("root", "draft", "--from", p.repo, "--draft", draft)
    schema = json_schema.load("draft.schema.json")
    assert json_schema.fault(json.loads(draft.read_text()), schema, schema) is None
    assert len(json.loads(draft.read_text())["roots"]) == 3
    ctl.ok("root", "set-threshold", "--draft", draft, "--role", "root", "--threshold", "3")
    assert "signed with 1 key(s)" in alice.sign(draft)
    file = tmp_path / "targets.draft"
    ctl.ok("targets", "draft", *p.place, "--draft", file)
    bob = Holder(tmp_path / "bob", p.offline / "targets-1.key.json", pin(p, 2))
    assert "complete: run holdfastctl " in bob.sign(file, "targets")


def test_a_holder_without_a_record_is_told(alice, draft):
    terminal = ctl.Terminal("root", "sign", "--draft", draft, "--keys", alice.folder)
    terminal.expect("[y/N] ")
    assert "There is no root.json beside the keys and no --root, so the draft is not compared" in \
        terminal.seen
    terminal.type("n\n")
    assert terminal.end()[0] == 1


# ---- what can never be taken back ------------------------------------------------------------------

LAST = 2**53 - 1


def leap(content):
    content["signed"]["version"] = LAST


def leap_of_a_bundle(content):
    [path] = content["files"]
    last = f"roots/full/{LAST}.pem"
    target = content["signed"]["targets"].pop(path)
    target["custom"]["holdfast"]["version"] = LAST
    content["signed"]["targets"][last] = target
    content["files"] = {last: content["files"][path]}


@pytest.mark.parametrize("change, what", [(leap, "targets from version 2"),
                                          (leap_of_a_bundle, f"roots/full/{LAST}.pem from version 1")])
def test_a_version_that_ends_the_line(p, targets_draft, change, what):
    craft(targets_draft, change)
    for sentence in (Holder(p.folder / "alice", p.offline / "targets-1.key.json").refuses(
            targets_draft, "targets"), p.refuses("targets", "finish", *p.place, targets_draft)):
        assert f"the draft takes {what} to {LAST}; a step is 1000 at most" in sentence


@pytest.mark.parametrize("change, what", [(leap, "targets to version"),
                                          (leap_of_a_bundle, f"roots/full/{LAST}.pem to version")])
def test_a_version_that_ends_the_line_behind_another_that_nobody_signed(targets_draft, change, what):
    def forge(content):
        change(content)
        before = json.loads(content["before"])
        targets = before["signed"]["targets"]
        targets[f"roots/full/{LAST - 1}.pem"] = json.loads(json.dumps(targets["roots/full/1.pem"]))
        description = targets[f"roots/full/{LAST - 1}.pem"]["custom"]["holdfast"]
        description["version"] = LAST - 1
        if change is leap:
            before["signed"]["version"] = LAST - 1
        content["before"] = json.dumps(before)

    sentence = ctl.refused("targets", "status", craft(targets_draft, forge))
    assert f"the draft takes {what} {LAST}, and the targets before it are not signed" in sentence


@pytest.mark.parametrize("role", ["root", "targets"])
def test_a_time_of_signing_that_ends_all_others(p, alice, draft, targets_draft, role):
    """It would be the least that devices take the time to be."""
    file = {"root": draft, "targets": targets_draft}[role]
    craft(file, lambda content: content["signed"].update(signed_at="2028-01-01T00:00:00Z"))
    holder = alice if role == "root" else Holder(p.folder / "bob", p.offline / "targets-1.key.json")
    before = file.read_bytes()
    assert "no device would believe an earlier time again" in ctl.refused(
        role, "sign", "--draft", file, "--keys", holder.folder, "--yes", digest(file, role))
    assert file.read_bytes() == before


def test_consistent_snapshots_given_up(alice, draft):
    craft(draft, lambda content: content["signed"].update(consistent_snapshot=False))
    assert "gives up consistent snapshots" in alice.refuses(draft)


def test_targets_that_have_expired_do_not_wait(p, targets_draft):
    """Without the online keys nothing else would check before publish."""
    ctl.ok("targets", "sign", "--draft", targets_draft, "--keys", p.keys, "--yes",
           digest(targets_draft, "targets"))
    p.online.rename(p.folder / "elsewhere")
    assert "the draft expired at" in p.refuses("targets", "finish", *p.place, "--clock-is-right",
                                               targets_draft, at="+600d")
