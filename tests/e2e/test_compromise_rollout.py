"""An attacker in the place of holdfastd, while a bundle rolls out: which stages the signer signs for it, and which not."""
import datetime
import json
import threading

import pytest

from kit import clock, roots
from kit.compromise import Row
from kit.rollout import PATH, ROLE, Approver, RolloutPublisher
from kit.signer import Signer, SignerClient, encoded

rollout_row = Row("`holdfastd`, while a bundle rolls out")


class Attacker:
    """What has holdfastd's socket. A refused request may change nothing, down to the bytes of the repository."""

    def __init__(self, signer, publisher):
        self.signer, self.publisher = signer, publisher

    def sees(self):
        repo = self.publisher.repo
        files = {f.relative_to(repo): f.read_bytes() for f in repo.rglob("*") if f.is_file()}
        return self.signer.ok("signatures", after=0)["newest"], self.signer.ok("status"), files

    def message(self, **change):
        """A step that changes nothing by itself; None leaves a member out."""
        whole = {"path": PATH, "from": self.publisher.role_version, "stage": 0, "state": "open", "reason": "", **change}
        return {name: value for name, value in whole.items() if value is not None}

    def gets(self, **change):
        return self.signer.ok("step", **self.message(**change))

    def gets_none_of(self, cases):
        """Each (change, error, words) is refused with that."""
        before = self.sees()
        for change, error, words in cases:
            found, sentence = self.signer.refused("step", **self.message(**change))
            assert found == error and words in sentence, (change, found, sentence)
        assert self.sees() == before

    def waits(self, time):
        self.signer.stop()
        self.signer.start(env=clock.at(time))


@pytest.fixture
def people():
    return [Approver() for _ in range(3)]


@pytest.fixture
def start(processes, folder):
    """start(plan…): an attacker before a signer whose newest bundle has that plan and waits for its first stage."""
    made = []

    def begin(**plan):
        publisher = RolloutPublisher(folder / "publisher", **plan)
        signer = Signer(processes, folder / "signer", publisher).start()
        made.append(signer)
        return Attacker(signer, publisher)
    yield begin
    for signer in made:
        signer.hang_up()


@pytest.fixture
def attacker(start):
    return start()


@rollout_row.shows("opens stages as soon as the plan's calendar and bake times allow it, whatever devices report",
                   "a stage ahead of the plan's calendar, or before the one before it has baked")
def test_it_gets_stages_at_the_pace_of_the_plan(attacker):
    attacker.gets_none_of([({"stage": stage}, "policy", "no stage is open yet") for stage in (1, 2)])
    attacker.waits("+3h")  # by the calendar, the last stage may be open now
    attacker.gets()
    attacker.gets_none_of([({"stage": 1}, "policy", "stage 1 is open since"),
                           ({"stage": 1}, "policy", "bakes until")])
    attacker.waits("+5h")
    attacker.gets(stage=1)
    attacker.gets_none_of([({"stage": 2}, "policy", "stage 2 is open since")])
    attacker.publisher.check()


@rollout_row.shows("a stage ahead of the plan's calendar, or before the one before it has baked")
def test_it_gets_no_stage_before_the_calendar(start):
    day = (datetime.date.today() + datetime.timedelta(days=400)).isoformat()
    early = start(not_before=day)
    early.gets_none_of([({}, "policy", f"the plan opens stage 1 at {day}T00:00:00Z"),
                        ({"stage": 1}, "policy", "no stage is open yet"),
                        ({"stage": 2, "state": "complete"}, "policy", "a rollout is complete when its last stage, 3,")])


@rollout_row.shows("a stage that is skipped, or one that the plan does not have")
def test_it_skips_no_stage(attacker):
    attacker.gets()
    attacker.waits("+9h")
    attacker.gets_none_of([
        ({"stage": 2}, "policy", "stage 2 is the next one (expected that, found stage 3)"),
        ({"stage": 0}, "policy", "stage 1 is open already"),
        ({"stage": 2, "state": "complete"}, "policy", "a rollout is complete when its last stage, 3,"),
        ({"stage": 0, "state": "complete"}, "policy", "a rollout is complete when its last stage, 3,"),
        ({"stage": 1, "state": "paused"}, "policy", "expected stage 1, found stage 2"),
        ({"stage": 2, "state": "aborted"}, "policy", "expected stage 1, found stage 3"),
        *[({"stage": stage}, "policy", "the plan has stages 1 to 3") for stage in (3, 16, 1 << 40)],
        *[({"stage": stage}, "format", '"stage"') for stage in (-1, 1 << 60, "1", [], {}, None)],
        *[({"stage": stage}, "format", "") for stage in (1.5, 1e300)],
        *[({"state": state}, "format", '"state"') for state in ("OPEN", "", "open ", "resumed", "open\n", 7, [], None)]])


@rollout_row.shows("a step over another one that was signed meanwhile")
def test_a_step_is_signed_over_what_was_looked_at(attacker):
    seen = attacker.publisher.role_version
    attacker.gets()
    now = seen + 1
    attacker.gets_none_of([
        *[({"from": seen_from, "stage": stage, "state": state}, "state", f"expected version {seen_from} of the role")
          for seen_from in (seen, 0, now + 1, now + 2, 1 << 50)
          for stage, state in ((1, "open"), (0, "paused"), (0, "aborted"), (2, "complete"))],
        *[({"from": wrong}, "format", '"from"') for wrong in (-1, 1 << 60, "1", [], None)],
        ({"from": 0.5}, "format", "not whole")])


@rollout_row.shows("a step over another one that was signed meanwhile")
def test_of_steps_that_come_at_once_one_is_signed(attacker):
    attacker.gets()
    request, answers = attacker.message(state="paused", reason="all at once"), []

    def ask():
        mine = SignerClient(attacker.signer.socket)
        answers.append(mine.ask("step", **request))
        mine.hang_up()
    many = [threading.Thread(target=ask) for _ in range(6)]
    for one in many:
        one.start()
    for one in many:
        one.join()
    assert sorted(a["ok"] for a in answers) == [False] * 5 + [True]
    assert {a["error"] for a in answers if not a["ok"]} == {"state"}
    assert attacker.publisher.role_version == request["from"] + 1


@rollout_row.shows("another bundle, another hash, or a bundle without a plan")
def test_only_listed_bundles_with_a_plan_roll_out(attacker):
    attacker.publisher.add(*roots.amazon(1), set_name="factory", options=["--new", "--drop", "all"])
    sha256 = attacker.publisher.sha256()
    attacker.gets_none_of([
        *[({"path": path}, "not-found", "the repository lists no bundle") for path in (
            "amazon-iot/full/3.pem", "amazon-iot/full/02.pem", f"amazon-iot/full/{sha256}.2.pem", "", ".", "..",
            "../publisher/repository/targets/amazon-iot/full/2.pem", "amazon-iot/full/../full/2.pem",
            "/etc/passwd", "amazon-iot//full/2.pem", "amazon-iot/full/2.pem/", "AMAZON-IOT/full/2.pem",
            "amazon-iot/full/2.pem\nx", "x" * 4000, "%s%n", ROLE, "metadata/timestamp.json")],
        *[({"path": path}, "policy", "has no rollout plan") for path in ("amazon-iot/full/1.pem", "factory/full/1.pem")],
        *[({"path": path}, "format", '"path"') for path in (7, [], None)],
        ({"path": "amazon-iot/full/2.pem\0x"}, "format", "")])
    # Whatever it says of the hash decides nothing: the one that is listed is signed.
    answer = attacker.gets(sha256="00" * 32, length=1, hashes={"sha256": "00" * 32})
    assert answer["state"] == "open"
    entry = json.loads(attacker.publisher.newest_file(ROLE).read_text())["signed"]["targets"][PATH]
    listed = attacker.publisher.metadata("targets")["signed"]["targets"][PATH]
    assert (entry["hashes"], entry["length"]) == (listed["hashes"], listed["length"])


@rollout_row.shows("another bundle, another hash, or a bundle without a plan")
def test_a_version_that_a_higher_one_supersedes_does_not_go_on(attacker):
    attacker.gets()
    attacker.publisher.add_planned(*roots.amazon(1, 2, 3))
    attacker.gets_none_of([({}, "policy", "the rollout is aborted, which is final"),
                           ({"state": "paused"}, "policy", "the rollout is aborted, which is final")])
    # A version that nothing was signed for yet, either.
    attacker.publisher.add_planned(*roots.amazon(1, 2, 3, 4))
    attacker.gets_none_of([({"path": "amazon-iot/full/3.pem"}, "policy", "a higher version is listed")])


@rollout_row.shows("an aborted rollout that goes on")
def test_an_abort_is_final(attacker):
    attacker.gets()
    attacker.gets(state="aborted", reason="a bad root")
    attacker.waits("+9h")
    attacker.gets_none_of([({"stage": stage, "state": state}, "policy", "aborted, which is final")
                           for stage in (0, 1, 2) for state in ("open", "paused", "aborted", "complete")])


# ---- approvals ------------------------------------------------------------------------------------------

@pytest.fixture
def paused(start, people):
    """Two of three approvers must sign. Stage 1 is paused."""
    made = start(approval="signed", approvals=2, approvers=[p.public.hex() for p in people])
    made.gets()
    made.gets(state="paused", reason="look at this")
    return made


@rollout_row.shows("what the plan reserves for approvers, without their signatures over that very step")
def test_it_resumes_nothing_without_the_approvers(paused, people):
    alice, bob, carol = people
    stranger, publisher = Approver(), paused.publisher
    now, sha256 = publisher.role_version, publisher.sha256()
    paused_since = publisher.activation()["since"]

    def by(person, since=paused_since, stage=0, state="open", sha=sha256, path=PATH):
        return person.approve(since, stage, state, sha, path)
    good = by(alice)
    too_few, another = "the signatures of 2 approver(s)", "is by no approver of the plan, or for another step"
    wrong = [by(bob, "2026-01-01T00:00:00Z"), by(bob, now), by(bob, ""), by(bob, stage=1), by(bob, state="paused"),
             by(bob, sha="00" * 32), by(bob, path="amazon-iot/full/3.pem"), by(stranger),
             {**by(bob), "approver": encoded(stranger.public)}, {**by(stranger), "approver": encoded(bob.public)},
             {"approver": encoded(bob.public), "signature": good["signature"]},
             {"approver": encoded(bytes(32)), "signature": encoded(bytes(64))},
             {"approver": encoded(b"\x01" + bytes(31)), "signature": encoded(b"\x01" + bytes(63))}]
    paused.gets_none_of([
        ({}, "signature", f"{too_few}, 0 found"), ({"approvals": None}, "signature", f"{too_few}, 0 found"),
        ({"approvals": []}, "signature", f"{too_few}, 0 found"), ({"approvals": [good]}, "signature", "1 found"),
        ({"approvals": [good] * 8}, "signature", f"{too_few}, 1 found"),
        *[({"approvals": [good, one]}, "signature", f"approval 2 {another}") for one in wrong],
        *[({"approvals": [good, by(bob), one]}, "signature", f"approval 3 {another}") for one in wrong],
        ({"approvals": [good, by(bob), by(carol)], "stage": 1}, "policy", "paused at stage 1; resume it first"),
        ({"approvals": [good] * 9}, "limit", "expected at most 8, found 9"),
        ({"approvals": [{}] * 100}, "limit", "expected at most 8, found 100"),
        ({"approvals": [{}] * 20000}, "limit", "is refused unread"),
        *[({"approvals": [good, bad]}, "format", "") for bad in (
            {}, [], 7, "x", {**good, "approver": 7}, {**good, "approver": ""}, {**good, "approver": "!"},
            {**good, "signature": encoded(bytes(63))}, {"signature": good["signature"]})],
        ({"approvals": [good, {**good, "signature": encoded(bytes(65))}]}, "format", '"signature"'),
        *[({"approvals": bad}, "format", '"approvals" should be a list') for bad in ({}, 7, "x", True)]])
    # With both it goes on, once, however fast the next steps are.
    used = [by(bob), by(carol)]
    paused.gets(approvals=used)
    paused.gets(state="paused", reason="again")
    paused.gets_none_of([({"approvals": used}, "signature", f"approval 1 {another}"),
                         ({"from": now, "approvals": used}, "state", "another step was signed")])


@rollout_row.shows("what the plan reserves for approvers, without their signatures over that very step")
def test_it_promotes_nothing_without_the_approvers(start, people):
    attacker = start(approval="signed", approvers=[p.public.hex() for p in people])
    attacker.gets()
    attacker.waits("+2h")
    now, sha256 = attacker.publisher.activation()["since"], attacker.publisher.sha256()
    of_the_resume = people[0].approve(now, 0, "open", sha256)
    attacker.gets_none_of([({"stage": 1}, "signature", "0 found"),
                           ({"stage": 1, "approvals": [of_the_resume]}, "signature", "for another step")])
    attacker.gets(stage=1, approvals=[people[1].approve(now, 1, "open", sha256)])


# ---- what it may do ---------------------------------------------------------------------------------------

@rollout_row.shows("pauses and aborts rollouts, until the last day of the plan",
                   "resumes a rollout where the plan asks no approvers, 24 times a day at most",
                   "a full disk by pausing and resuming in turn")
def test_a_flood_of_pauses_and_resumes_ends(attacker):
    signed = 0
    files = len(list((attacker.publisher.repo / "metadata").iterdir()))
    for _ in range(100):
        for state in ("open", "paused"):
            answer = attacker.signer.ask("step", **attacker.message(state=state, reason="flood"))
            signed += answer["ok"]
            assert answer["ok"] or answer["error"] in ("limit", "policy"), answer
    assert signed == 48
    # Each is a file of the role and a snapshot, which `holdfastctl mirror` leaves out when they are old.
    assert len(list((attacker.publisher.repo / "metadata").iterdir())) == files + 2 * signed
    attacker.gets_none_of([({}, "limit", f"the quota of openings of {PATH} is used up (24 a day)"),
                           ({"state": "paused"}, "policy", "the rollout is paused already")])
    attacker.gets(state="aborted", reason="the last word is a stop")
    attacker.publisher.check()


@rollout_row.shows("pauses and aborts rollouts, until the last day of the plan")
def test_a_reason_is_one_short_line(attacker):
    attacker.gets()
    attacker.gets_none_of([
        ({"state": "paused", "reason": "x" * 501}, "limit", "expected at most 500 bytes, found 501"),
        ({"state": "paused", "reason": "x" * 100000}, "limit", "expected at most 500 bytes, found 100000"),
        ({"state": "paused", "reason": "\u00e4" * 251}, "limit", "found 502"),
        *[({"state": "paused", "reason": reason}, "format", "") for reason in (7, [], {}, None, "x\0y")]])
    hostile = "a\nb\r\x1b[2J\x07\u202e\ud7ff\x7f" + "c" * 400
    attacker.gets(state="paused", reason=hostile)
    reason = attacker.publisher.activation()["reason"]
    assert reason.startswith("a?b??[2J?") and not any(ord(c) < 32 or ord(c) in (0x7f, 0x202e) for c in reason)
    # Nor does it write lines of its own into the signer's log.
    assert "\x1b" not in attacker.signer.process.err
    assert [l for l in attacker.signer.process.err.splitlines() if "paused at stage" in l]


def test_every_statement_is_shown():
    rollout_row.check()
