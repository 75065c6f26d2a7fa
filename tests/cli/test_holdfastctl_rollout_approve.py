"""holdfastctl rollout approve, and --approval: approvers sign that a rollout may go on, with keys in files and in tokens."""
import base64
import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import ctl
from ctl import Root
from softhsm import SoftHsm

OF = "roots/full"


def new_key(folder, name):
    """Its file, and its public part in hex."""
    file = folder / f"{name}.key.json"
    ctl.ok("key", "generate", "--key", file, "--insecure-no-passphrase")
    return file, ctl.report("key-report", "key", "inspect", file)["keys"][0]["public"]


class Approved(ctl.Publisher):
    """Two of three approvers must sign; version 2 is open at its first stage of three, which need not bake."""

    def __init__(self, folder, approvers, n=2, **plan):
        super().__init__(folder, "--insecure-no-passphrase", "--rollout", "roots")
        a, b = Root(folder, "Root A"), Root(folder, "Root B")
        plan_file = folder / "plan.json"
        plan_file.write_text(json.dumps({
            "stages": [{"share": "1%"}, {"share": "10%"}, {"share": "100%"}], "mandatory_after": "30d",
            "approval": "signed", "approvals": n, "approvers": approvers, **plan}))
        self.add(a.file)
        self.add("--plan", plan_file, a.file, b.file)
        self.root_b = b
        self.step("open")

    def step(self, word, *files):
        options = [o for f in files for o in ("--approval", f)]
        return ctl.report("rollout-report", "rollout", word, *self.place, *options, OF)["rollouts"][0]

    def refuses_step(self, word, *files, code=1):
        return self.refuses("rollout", word, *self.place, *[o for f in files for o in ("--approval", f)], OF,
                            code=code)

    def approve(self, key, *options, of=OF):
        """The file that it makes."""
        self.n_made = getattr(self, "n_made", 0) + 1
        out = self.folder / f"{self.n_made}.approval"
        before = ctl.tree(self.repo)
        said = ctl.ok("rollout", "approve", "--repo", self.repo, "--key", key, "--out", out, *options, of)
        assert ctl.tree(self.repo) == before
        assert said.startswith("approved: stage ")
        return out

    def refuses_to_approve(self, key, *options, of=OF, code=1):
        return self.refuses("rollout", "approve", "--repo", self.repo, "--key", key, *options, of, code=code)


@pytest.fixture
def keys(tmp_path):
    return [new_key(tmp_path, name) for name in ("alice", "bob", "carol")]


@pytest.fixture
def p(tmp_path, keys):
    return Approved(tmp_path, [public for _, public in keys])


def test_an_approval_says_and_signs_one_step(p, keys):
    file, public = keys[0]
    made = json.loads(p.approve(file).read_text())
    entry = p.metadata("targets")["signed"]["targets"]["roots/full/2.pem"]
    assert base64.b64decode(made["approver"]).hex() == public
    since = ctl.report("rollout-report", "rollout", "show", "--repo", p.repo, OF)["rollouts"][0]["since"]
    assert (made["path"], made["since"], made["stage"], made["state"]) == ("roots/full/2.pem", since, 1, "open")
    text = (f"holdfast rollout approval\npath: roots/full/2.pem\nsha256: {entry['hashes']['sha256']}\n"
            f"since: {since}\nstage: 1\nstate: open\n")
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
        base64.b64decode(made["signature"]), text.encode())
    assert json.loads(ctl.ok("rollout", "approve", "--repo", p.repo, "--key", file, OF)) == made
    assert json.loads(ctl.ok("rollout", "approve", "--repo", p.repo, "--key", file, "--stage", "3",
                             OF + "/2"))["stage"] == 2


def test_enough_approvers_open_the_next_stage(p, keys):
    alice, bob, carol = (p.approve(file) for file, _ in keys)
    assert "the signatures of 2 approver(s), 0 found" in p.refuses_step("step")
    assert "2 approver(s), 1 found" in p.refuses_step("step", alice)
    assert "2 approver(s), 1 found" in p.refuses_step("step", alice, alice)
    stepped = p.step("step", carol, alice)
    assert (stepped["stage"], stepped["approval"], stepped["approvals"]) == (2, "signed", 2)
    assert stepped["approvers"] == [public for _, public in keys]
    assert "signed in version 3 of rollout-roots" in ctl.ok("rollout", "show", "--repo", p.repo)
    # They are for that step, and for no later one.
    time.sleep(1.1)  # a stage bakes for a second at least where people approve
    assert "approval 1 is by no approver of the plan, or for another step" in p.refuses_step("step", alice, bob)


def test_a_resume_needs_approvals_of_its_own(p, keys):
    for_the_step = [p.approve(file) for file, _ in keys]
    p.step("pause")
    assert "or for another step" in p.refuses_step("resume", *for_the_step)
    for_the_resume = [p.approve(file) for file, _ in keys[:2]]
    assert [json.loads(f.read_text())["stage"] for f in for_the_resume] == [0, 0]
    assert p.step("resume", *for_the_resume)["state"] == "open"


def test_what_is_approved_is_for_one_bundle_and_one_state(p, keys, tmp_path):
    alice, bob = (p.approve(file) for file, _ in keys[:2])
    made = json.loads(alice.read_text())
    for change in ({"approver": json.loads(bob.read_text())["approver"]},
                   {"signature": base64.b64encode(bytes(64)).decode()}):
        changed = tmp_path / "changed.approval"
        changed.write_text(json.dumps({**made, **change}))
        assert "approval 1 is by no approver" in p.refuses_step("step", changed, bob)
    # What the file says beside the signature decides nothing.
    changed.write_text(json.dumps({**made, "path": "other/full/1.pem", "stage": 2}))
    p.step("step", changed, bob)


@pytest.mark.parametrize("content, sentence", [
    ("{", "is not valid JSON"), ("[]", "should be"), ("{}", '"approver"'), ('{"approver": 7}', '"approver"'),
    ('{"approver": "AAAA", "signature": "AAAA"}', '"approver"'), ("x" * 5000, "is longer than"),
])
def test_a_file_that_is_no_approval(p, tmp_path, content, sentence):
    file = tmp_path / "bad.approval"
    file.write_text(content)
    assert sentence in p.refuses_step("step", file)


def test_more_files_than_a_plan_has_approvers(p, keys):
    file = p.approve(keys[0][0])
    assert "at most 8 approvers" in p.refuses_step("step", *[file] * 9, code=2)


def test_what_cannot_be_approved(p, keys, tmp_path):
    alice = keys[0][0]
    stranger, _ = new_key(tmp_path, "mallory")
    assert "is no approver of the plan of roots/full/2;" in p.refuses_to_approve(stranger)
    assert "the plan has stages 1 to 3" in p.refuses_to_approve(alice, "--stage", "4", code=2)
    assert "--stage N is 1 to 16, not 0" in p.refuses_to_approve(alice, "--stage", "0", code=2)
    assert "name SET/PROFILE" in p.refuses_to_approve(alice, of="roots", code=2)
    assert "no bundle with a rollout plan" in p.refuses_to_approve(alice, of="roots/full/1")
    existing = p.approve(alice)
    assert "exists" in p.refuses_to_approve(alice, "--out", existing)
    p.step("abort")
    assert "is aborted at stage 1 of 3, so no step needs an approval" in p.refuses_to_approve(alice)
    # A plan that asks no approver, and one that has not begun.
    p.add("--plan", "urgent", "--drop", "all", p.root_b.file)
    assert 'asks for no approver\'s signature ("approval": "auto")' in p.refuses_to_approve(alice)
    p.add("--plan", tmp_path / "plan.json", "--drop", "all", p.root_b.file)
    assert "the first stage needs no approval" in p.refuses_to_approve(alice)


def test_an_approver_with_a_token(tmp_path, monkeypatch):
    hsm = SoftHsm(tmp_path, monkeypatch)
    uri = hsm.uri("alice")
    public = ctl.report("key-report", "key", "generate", "--key", uri)["keys"][0]["public"]
    p = Approved(tmp_path, [public], n=1)
    assert p.step("step", p.approve(uri))["stage"] == 2


def test_a_sealed_key_asks_for_its_passphrase(tmp_path):
    passphrase = tmp_path / "pass"
    passphrase.touch(mode=0o600)
    passphrase.write_text("only for a test\n")
    file = tmp_path / "alice.key.json"
    ctl.ok("key", "generate", "--key", file, "--passphrase-file", passphrase)
    public = ctl.report("key-report", "key", "inspect", file)["keys"][0]["public"]
    p = Approved(tmp_path, [public], n=1)
    assert "pass" in p.refuses_to_approve(file)  # there is no terminal to ask on
    assert p.step("step", p.approve(file, "--passphrase-file", passphrase))["stage"] == 2
