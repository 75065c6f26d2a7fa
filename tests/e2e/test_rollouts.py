"""holdfastd steers a rollout: it counts what devices report, asks the signer for the next stage or for a pause, and does
what operators want. Its devices are played by the test."""
import sqlite3

import pytest

from kit import roots
from kit.events import Stream
from kit.processes import wait_until
from kit.rollout import Approver
from kit.rollout_fleet import A, PLAN, ROLLOUT, STAGES, Fleet


@pytest.fixture
def fleet(processes, folder):
    made = Fleet(processes, folder)
    yield made
    made.stop()


def test_a_good_bundle_reaches_all(fleet):
    assert fleet.client.get("/v1/rollouts").json == {"rollouts": []}
    fleet.publish()
    at = fleet.wait("the first stage opens", state="open", stage=0)
    assert (at["is_counted"], at["counts"]["devices"], at["counts"]["waiting"]) == (True, 4, 4)
    for device in fleet.lab[:2]:
        device.says("announce")
    fleet.counts(on_trial=2)
    fleet.lab[0].says("swapped").says("confirmed")
    fleet.counts(on_trial=1, confirmed=1)
    at = fleet.rollout()
    assert (at["stage"], at["due"], at["wait"]) == (0, "nothing", "judged") and "1 of 4" in at["wait_text"]
    assert at["limits"] == {"judged": 1, "judged_needed": 2, "confirmed_needed": 2, "failed_max": 0, "silent_max": 0}
    fleet.lab[1].says("confirmed")
    fleet.wait("the second stage opens", state="open", stage=1)
    fleet.counts(devices=8, confirmed=2)
    for device in fleet.others:
        device.says("confirmed")
    fleet.wait("it is complete", state="complete", stage=1, intent=None)
    fleet.counts(confirmed=6)  # four were enough
    steps = fleet.log("rollout.found", "rollout.asked", "rollout.step", "rollout.refused", "rollout.settled")
    assert [(s["actor"], s["action"], s["details"].get("stage"), s["details"].get("state")) for s in steps] == [
        ("holdfastd", "rollout.found", None, None), ("holdfastd", "rollout.step", 0, "open"),
        ("holdfastd", "rollout.step", 1, "open"), ("holdfastd", "rollout.step", 1, "complete")]
    fleet.publisher.check()


def test_failures_pause_it_and_the_reason_names_them(fleet):
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    fleet.lab[0].says("refused", text="mqtt.example would not be reached", endpoint="mqtts://mqtt.example",
                      root="ab" * 32, root_name="CN=Old Root")
    at = fleet.wait("it pauses", state="paused", stage=0)
    assert at["reason"] == ('1 of 1 devices that began to install the bundle failed (the plan allows 0); '
                            '1 of 1 say "mqtt.example would not be reached"; '
                            'endpoint mqtts://mqtt.example; missing root "CN=Old Root"')
    assert at["wait"] == "paused" and at["counts"]["failed"] == 1
    listed = fleet.client.get(f"{ROLLOUT}/2/devices?result=failed").json["devices"]
    assert [(d["device"], d["stage"], d["text"], d["endpoint"], d["root_name"]) for d in listed] == [
        ("lab-0", 0, "mqtt.example would not be reached", "mqtts://mqtt.example", "CN=Old Root")]
    waiting = fleet.client.get(f"{ROLLOUT}/2/devices?result=waiting&limit=2")
    rest = fleet.client.get(waiting.next())
    assert [d["device"] for d in waiting.json["devices"] + rest.json["devices"]] == ["lab-1", "lab-2", "lab-3"]
    assert rest.next() is None

    def found():
        return [f for f in fleet.client.get("/v1/findings").json["findings"] if f["check"] == "ROLLOUT_PAUSED"]
    wait_until(found, "the audit finds it")
    assert found()[0]["subject"] == "amazon-iot/full/2" and "on every device installs it" in found()[0]["sentence"]
    # Only a person resumes it, and it pauses again while the device that failed counts.
    refused = fleet.act("promote")
    assert refused.status == 409 and "Resume it first" in refused.json["detail"]
    listed = fleet.client.call("POST", f"{ROLLOUT}/2/excluded", {
        "account": "pumps", "device": "lab-0", "reason": "its clock is broken"}).json["excluded"]
    assert [(e["account"], e["device"], e["reason"]) for e in listed] == [("pumps", "lab-0", "its clock is broken")]
    fleet.counts(devices=3, failed=0)
    answer = fleet.act("resume", reason="the device was excluded")
    assert (answer.status, answer.json["state"], answer.json["stage"]) == (200, "open", 0)
    assert answer.json["mandatory_from"] == at["mandatory_from"]
    fleet.wait("it is open", state="open", stage=0)
    wait_until(lambda: not found(), "the finding closes")
    etag = fleet.client.get(f"{ROLLOUT}/2").etag
    assert fleet.client.call("DELETE", f"{ROLLOUT}/2/excluded/{listed[0]['id']}", If_Match=etag).status == 204
    fleet.wait("it pauses again", state="paused")


def test_what_does_not_count(fleet):
    """A device that came after the bundle, one that is shut out, one that puts itself into a group, and one that repeats."""
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    late = fleet.reporter("late-1", "lab")
    for _ in range(3):
        late.says("rolled-back")
    fleet.others[0].says("rolled-back", groups=["lab"])
    fleet.client.change("PATCH", fleet.lab[3].credential, {"status": "REVOKED"})
    fleet.counts(devices=3, failed=0, waiting=3)
    for _ in range(5):
        fleet.lab[0].says("confirmed", text="again")
    fleet.counts(confirmed=1)
    at = fleet.rollout()
    assert (at["state"], at["stage"]) == ("open", 0)
    # The registry's group counts, from the next look on.
    assert fleet.client.change("PATCH", f"{A}/devices/pump-0", {"group": "lab"}).status == 200
    fleet.wait("it pauses", state="paused")


def test_a_fleet_that_never_reported_is_waited_for(processes, folder):
    """No group is named, so only reports say which bundle a device uses."""
    fleet = Fleet(processes, folder, lab=0, others=0)
    silent = [fleet.reporter(f"silent-{n}") for n in range(3)]
    fleet.publish(stages=[{"share": "10%", "bake": "0s"}, {"share": "100%"}])
    at = fleet.wait("the first stage waits", state="open", stage=0, wait="judged")
    assert at["wait_text"].startswith("none of 3 registered devices has ever reported")
    assert fleet.act("promote").json["stage"] == 1  # a person may
    at = fleet.wait("the last stage waits", state="open", stage=1, wait="judged")
    for device in silent:
        device.says("confirmed")
    fleet.wait("it is complete", state="complete", stage=1)
    fleet.stop()


def test_operators_stop_and_go_on(fleet):
    with_stages = [{**STAGES[0], "min_count": 4}, STAGES[1]]
    fleet.publish(stages=with_stages)
    at = fleet.wait("the first stage opens", state="open", stage=0)
    stream = Stream(fleet.client)
    stale = fleet.act("pause", **{"from": at["role_version"] - 1})
    assert stale.status == 409 and "another step was signed meanwhile" in stale.json["detail"]
    refused = fleet.act("resume")
    assert refused.status == 409 and "not paused" in refused.json["detail"]
    answer = fleet.act("pause", reason="a look is needed")
    assert answer.json == {"set": "amazon-iot", "profile": "full", "version": 2, "role_version": at["role_version"] + 1,
                           "stage": 0, "state": "paused", "since": answer.json["since"], "reason": "a look is needed",
                           "mandatory_from": at["mandatory_from"]}
    assert fleet.wait("it pauses", state="paused")["reason"] == "a look is needed"
    event = {"state": ""}
    while event["state"] != "paused":
        _, _, event = stream.next("rollout")
    assert (event["stage"], event["reason"]) == (0, "a look is needed")
    assert (event["account"], event["set"], event["profile"], event["version"]) == (None, "amazon-iot", "full", 2)
    again = fleet.act("pause")
    assert again.status == 409 and "paused already" in again.json["detail"]
    for wrong in ("", "x" * 257, "two\nlines"):
        assert fleet.act("abort", reason=wrong).status == 400
    assert fleet.act("resume").status == 200
    fleet.wait("it is open", state="open")
    assert fleet.act("promote").json["stage"] == 1
    fleet.wait("the second stage opens", state="open", stage=1)
    assert fleet.act("abort").json["state"] == "aborted"
    fleet.wait("it is aborted", state="aborted", stage=1)
    final = fleet.act("resume")
    assert final.status == 409 and fleet.act("promote").status == 409
    asked = [e for e in fleet.log("rollout.asked", "rollout.step", "rollout.refused") if e["actor"] != "holdfastd"]
    assert [(e["action"].split(".")[1], e["details"]["state"]) for e in asked] == [
        ("asked", "paused"), ("step", "paused"), ("asked", "paused"), ("refused", "paused"), ("asked", "open"),
        ("step", "open"), ("asked", "open"), ("step", "open"), ("asked", "aborted"), ("step", "aborted")]
    fleet.publisher.check()


def test_a_quota_that_is_used_up_is_said_and_ends_the_step(fleet):
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    assert fleet.act("pause").status == 200
    state = fleet.service.settings["signer"]["state"]
    with sqlite3.connect(next(state.glob("*.db")), timeout=10) as db:
        assert db.execute("UPDATE quota SET used = 1000000 WHERE what LIKE 'open %'").rowcount == 1
    db.close()
    answer = fleet.act("resume")
    assert answer.status == 429 and "is used up" in answer.json["detail"], answer.raw
    assert answer.headers["Retry-After"] == "3600"
    assert fleet.rollout()["intent"] is None
    assert "is used up" in fleet.log("rollout.refused")[-1]["details"]["sentence"]
    assert fleet.act("abort").status == 200


def test_silence_pauses_it(fleet):
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    fleet.lab[0].says("announce")
    fleet.lab[1].says("announce").says("swapped")
    fleet.counts(on_trial=2)
    fleet.service.server.stop()
    with sqlite3.connect(fleet.service.settings["database"]["path"]) as db:
        db.execute("UPDATE device_state SET result_s = result_s - 3600 WHERE result IN ('announce', 'swapped')")
    fleet.service.start_server()
    at = fleet.wait("it pauses", state="paused", stage=0)
    assert at["reason"] == "2 of 2 judged devices fell silent (the plan allows 0)" and at["counts"]["silent"] == 2
    listed = fleet.client.get(f"{ROLLOUT}/2/devices?result=silent").json["devices"]
    assert [(d["device"], d["kind"]) for d in listed] == [("lab-0", "announce"), ("lab-1", "swapped")]


def test_a_user_approves_the_next_stage(fleet):
    fleet.publish(approval="api", approvals=1)
    at = fleet.wait("the first stage opens", state="open", stage=0)
    for device in fleet.lab:
        device.says("confirmed")
    at = fleet.wait("it waits for a person", wait="approval")
    assert (at["approvals_needed"], at["approvals_given"], at["wait_text"]) == (
        1, 0, "0 of 1 approvals of stage 2 are given")
    refused = fleet.act("promote")
    assert refused.status == 409 and "1 approvals of this step, and 0 are given" in refused.json["detail"]
    step = {"since": at["since"], "stage": 1, "state": "open"}
    for wrong in ({"since": "2026-01-01T00:00:00Z"}, {"stage": 0}, {"state": "complete"}):
        refused = fleet.act("approve", **{**step, **wrong})
        assert refused.status == 409 and "this is not the next step" in refused.json["detail"]
    refused = fleet.act("approve", **step, approver="QUJD", signature="QUJD")
    assert refused.status == 409 and "asks for no signatures" in refused.json["detail"]
    approved = fleet.act("approve", **step).json
    assert [(a["kind"], a["stage"], a["approver"].split(":")[0]) for a in approved["approvals"]] == [("api", 1, "uid")]
    fleet.wait("the second stage opens", state="open", stage=1)


def test_an_approver_signs_for_the_next_stage(fleet):
    ann, eve = Approver(), Approver()
    fleet.publish(approval="signed", approvals=1, approvers=[ann.public.hex()])
    at = fleet.wait("the first stage opens", state="open", stage=0)
    step = {"since": at["since"], "stage": 1, "state": "open"}

    def approve(who, **signed):
        about = {"since": step["since"], "stage": 1, "sha256": at["sha256"], **signed}
        return fleet.act("approve", **step, **who.approve(**about))
    for refused in (approve(eve), approve(ann, stage=0), approve(ann, sha256="0" * 64), approve(ann, since="")):
        assert refused.status == 403 and "by no approver of the plan, or for another step" in refused.json["detail"]
    assert fleet.act("approve", **step).status == 400
    assert fleet.rollout()["approvals"] == []
    assert approve(ann).json["approvals_given"] == 1
    for device in fleet.lab:
        device.says("confirmed")
    fleet.wait("the second stage opens", state="open", stage=1)
    fleet.publisher.check()


def test_an_approval_outlives_a_step_of_another_profile_and_no_pause(fleet):
    ann = Approver()
    fleet.publish(approval="signed", approvals=1, approvers=[ann.public.hex()])
    at = fleet.wait("the first stage opens", state="open", stage=0)

    def approve(stage=1):
        now = fleet.rollout()
        return fleet.act("approve", since=now["since"], stage=stage, state="open",
                         **ann.approve(now["since"], stage, sha256=now["sha256"])).json
    given = approve()
    assert given["approvals_given"] == 1
    fleet.publisher.add(*roots.amazon(1), profile="rsa")
    fleet.publisher.add_planned(*roots.amazon(1, 2), profile="rsa", **PLAN)
    other = "/v1/rollouts/amazon-iot/rsa/2"
    wait_until(lambda: fleet.client.get(other).json.get("state") == "open", "the other profile's first stage opens")
    now = fleet.rollout()
    assert now["role_version"] > at["role_version"] and now["since"] == at["since"]
    assert (now["approvals_given"], now["approvals"]) == (1, given["approvals"])
    # After a pause and a resume it is another step.
    assert fleet.act("pause").status == 200
    assert approve(stage=0)["approvals_given"] == 1
    assert fleet.act("resume").status == 200
    for device in fleet.lab:
        device.says("confirmed")
    now = fleet.wait("it waits for an approval", wait="approval")
    assert (now["approvals_given"], now["approvals"]) == (0, [])
    old = fleet.act("approve", since=at["since"], stage=1, state="open", **ann.approve(at["since"], 1, sha256=at["sha256"]))
    assert old.status == 409 and "this is not the next step" in old.json["detail"]
    approve()
    fleet.wait("the second stage opens", state="open", stage=1)
    fleet.publisher.check()


def test_a_higher_version_ends_it(fleet):
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    fleet.publish(*roots.amazon(1, 2, 3))
    fleet.wait("the old one is aborted", state="aborted")
    fleet.wait("the new one opens", version=3, state="open", stage=0)
    listed = fleet.client.get("/v1/rollouts").json["rollouts"]
    assert [(r["version"], r["state"], r["is_superseded"]) for r in listed] == [(3, "open", False), (2, "aborted", True)]
    assert fleet.rollout()["counts"] is None


def test_a_restore_goes_on_from_what_is_signed(fleet):
    fleet.publish()
    fleet.wait("the first stage opens", state="open", stage=0)
    backup = fleet.folder / "backup.db"
    fleet.service.admin("backup", backup)
    for device in fleet.lab:
        device.says("confirmed")
    fleet.wait("the second stage opens", state="open", stage=1)
    assert fleet.act("pause", reason="before the restore").status == 200
    fleet.service.admin("restore", backup, "--yes")
    at = fleet.wait("it is paused still", state="paused", stage=1)
    assert at["reason"] == "before the restore"
    fleet.counts(devices=8, confirmed=0)  # their reports came after the backup
    # The way of the devices goes on, and so does that of the operator.
    for device in fleet.lab + fleet.others:
        device.seq += 100
        device.says("confirmed")
    assert fleet.act("resume").status == 200
    fleet.wait("it is complete", state="complete", stage=1)
    fleet.publisher.check()
