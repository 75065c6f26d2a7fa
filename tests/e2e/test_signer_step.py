"""holdfast-signer's verb `step`: the stages of a rollout, by the plan and by what is signed. What it refuses to an attacker is in
test_compromise_rollout.py."""
import hashlib

import pytest

from kit import clock
from kit.rollout import PATH, ROLE, Approver, RolloutPublisher
from kit.signer import Signer


def started(processes, folder, publisher):
    return Signer(processes, folder / "signer", publisher).start()


@pytest.fixture
def publisher(folder):
    return RolloutPublisher(folder / "publisher")


@pytest.fixture
def signer(processes, folder, publisher):
    made = started(processes, folder, publisher)
    yield made
    made.hang_up()


def again_at(signer, when):
    """The same signer, whose clock is that much later."""
    signer.stop()
    return signer.start(env=clock.at(when))


def step(signer, stage, state="open", reason="", **more):
    return signer.ok("step", path=PATH, **{"from": signer.publisher.role_version}, stage=stage,
                     state=state, reason=reason, **more)


def notes(signer):
    """What is noted of the role: (kind, subject, SHA-256)."""
    return [(n["subject"], n["sha256"]) for n in signer.ok("signatures", after=0)["signatures"]
            if n["kind"] == ROLE]


def file_sha256(publisher, version):
    return hashlib.sha256((publisher.repo / "metadata" / f"{version}.{ROLE}.json").read_bytes()).hexdigest()


def test_a_rollout_from_its_first_stage_to_its_end(signer, publisher):
    before = publisher.role_version
    answer = step(signer, 0)
    assert answer == {"version": before + 1, "stage": 0, "state": "open", "since": answer["since"]}
    assert publisher.activation() == {"stage": 0, "state": "open", "since": answer["since"], "reason": ""}
    error, sentence = signer.refused("step", path=PATH, stage=1, state="open", reason="",
                                     **{"from": before + 1})
    assert error == "policy" and "the plan opens stage 2 at" in sentence and "wait until then" in sentence
    again_at(signer, "+2h")
    assert step(signer, 1)["stage"] == 1
    again_at(signer, "+4h")
    assert step(signer, 2)["stage"] == 2
    assert step(signer, 2, "complete")["state"] == "complete"
    assert publisher.role_version == before + 4
    publisher.check("--at", publisher.activation()["since"])


def test_it_stops_and_goes_on(signer, publisher):
    step(signer, 0)
    reason = "31 of 40 devices failed: \"cannot reach home\\\"\n\x1b[31m\u2028 Ende für heute"
    assert step(signer, 0, "paused", reason)["state"] == "paused"
    assert publisher.activation()["reason"] == reason.replace("\n", "?").replace("\x1b", "?").replace(
        "\u2028", "???")
    assert step(signer, 0)["state"] == "open"
    assert step(signer, 0, "aborted", "enough")["state"] == "aborted"
    publisher.check()


def test_another_step_was_signed_meanwhile(signer, publisher):
    seen = publisher.role_version
    step(signer, 0)
    for stage, state in ((0, "open"), (0, "paused"), (1, "open"), (0, "aborted")):
        error, sentence = signer.refused("step", path=PATH, stage=stage, state=state, reason="",
                                         **{"from": seen})
        assert error == "state" and f"expected version {seen} of the role, found {seen + 1}" in sentence
    assert publisher.activation()["state"] == "open"


def test_approvers_sign_the_steps_that_open(processes, folder):
    people = [Approver() for _ in range(3)]
    publisher = RolloutPublisher(folder / "publisher", approval="signed", approvals=2,
                                 approvers=[p.public.hex() for p in people])
    signer = started(processes, folder, publisher)
    step(signer, 0)  # the plan itself is the approval of the first stage
    step(signer, 0, "paused", "look at this")
    of = publisher.activation()["since"], 0, "open", publisher.sha256()
    error, sentence = signer.refused("step", path=PATH, stage=0, state="open", reason="", **{"from": publisher.role_version})
    assert error == "signature" and "the signatures of 2 approver(s), 0 found" in sentence
    assert step(signer, 0, approvals=[people[2].approve(*of), people[0].approve(*of)])["state"] == "open"
    step(signer, 0, "aborted", "stopping needs none")


def test_what_it_signs_is_noted(signer, publisher):
    step(signer, 0)
    opened = publisher.role_version
    step(signer, 0, "paused", "a reason")
    assert notes(signer)[-2:] == [
        (f"version {opened}: {PATH}, stage 1 open", file_sha256(publisher, opened)),
        (f"version {opened + 1}: {PATH}, stage 1 paused", file_sha256(publisher, opened + 1))]
    kinds = [n["kind"] for n in signer.ok("signatures", after=0)["signatures"]]
    assert kinds[-3:] == [ROLE, "snapshot", "timestamp"]
    assert f"signed: {PATH} is paused at stage 1 of 3, version {opened + 1}" in signer.process.err
    role, = signer.ok("status")["rollouts"]
    assert (role["role"], role["version"]) == (ROLE, opened + 1)


def test_a_note_that_a_crash_prevented_is_made_at_the_next_start(processes, folder, publisher):
    """As after a crash between publishing and noting: the state folder is older than the repository."""
    signer = started(processes, folder, publisher)
    step(signer, 0)
    signer.process.signal(9)
    signer.process.wait()
    signer.hang_up()
    (signer.state / "signer.db").rename(folder / "lost")
    signer.start()
    assert notes(signer) == [(f"version {publisher.role_version}", file_sha256(publisher, publisher.role_version))]


def test_it_is_signed_again_before_it_ends(signer, publisher):
    """Months without a client: every role stays valid, and the stage what it was."""
    step(signer, 0)
    opened, activation = publisher.role_version, publisher.activation()
    for days in range(5, 95, 5):
        again_at(signer, f"+{days}d")
        role, = signer.ok("status")["rollouts"]
        ends = publisher.metadata("timestamp")["signed"]["expires"]
        assert role["expires"] >= ends
        publisher.check("--at", ends[:10])
    assert publisher.role_version >= opened + 3
    assert publisher.activation() == activation
    assert notes(signer)[-1] == (f"version {publisher.role_version}",
                                 file_sha256(publisher, publisher.role_version))


def test_stops_are_never_counted_and_openings_are(signer, publisher):
    step(signer, 0)
    for _ in range(23):
        step(signer, 0, "paused", "as often as it must be")
        step(signer, 0)
    step(signer, 0, "paused", "once more")
    before = publisher.role_version
    refusal = signer.refused("step", path=PATH, stage=0, state="open", reason="", **{"from": before})
    assert refusal[0] == "limit" and f"the quota of openings of {PATH} is used up (24 a day)" in refusal[1]
    signer.stop()
    signer.start()
    assert signer.refused("step", path=PATH, stage=0, state="open", reason="", **{"from": before}) == refusal
    assert publisher.role_version == before and publisher.activation()["state"] == "paused"
    step(signer, 0, "aborted", "and at last")


def test_a_refused_step_costs_no_quota(signer, publisher):
    for _ in range(30):
        assert signer.refused("step", path=PATH, stage=2, state="open", reason="",
                              **{"from": publisher.role_version})[0] == "policy"
    step(signer, 0)


def test_a_clock_behind_the_last_signature_is_no_other_step(signer, publisher):
    again_at(signer, "-2d")
    error, sentence = signer.refused("step", path=PATH, stage=0, state="open", reason="",
                                     **{"from": publisher.role_version})
    assert error == "policy" and "set the clock" in sentence
