"""What the desk says of a rollout plan: bundle add, bundle diff, plan, lint, targets sign, publish, refresh."""
import json

import pytest

import ctl
from ctl import DAY, NOW, Root

PLAN = {"stages": [{"groups": ["lab"], "bake": "1d"}, {"share": "0.1%", "groups": ["pilots"], "bake": "90m"},
                   {"share": "100%"}],
        "mandatory_after": "30d", "min_version": 1, "approval": "api", "approvals": 2}
WORDS = ["rolls out in 3 stages from", "every device installs it from",
         'stage 1: group "lab", not before', "for at least 1 day\n",
         'stage 2: 0.1% of the devices, group "pilots", not before', "for at least 90 minutes\n",
         "stage 3: 100% of the devices, not before",
         "holdfastctl cannot check that any device is in one",
         "more than 2% of the devices judged failed, or 3% are silent 30 hours after",
         "when 50% of the devices confirmed it and 50 are judged",
         "the next stage also needs 2 user(s) of the service who approve it",
         "devices below version 1 do not wait"]


def write(folder, **changes):
    file = folder / "plan.json"
    file.write_text(json.dumps({**PLAN, **changes}))
    return file


def says_all(text):
    for words in WORDS:
        assert words in text, words


@pytest.fixture
def p(tmp_path):
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--rollout", "roots")
    publisher.a, publisher.b = Root(tmp_path, "Root A"), Root(tmp_path, "Root B")
    publisher.add(publisher.a.file)
    return publisher


def diff(p, *options):
    return ["bundle", "diff", "--repo", p.repo, "--set", "roots", "--profile", "full", *options]


def test_add_diff_and_show_say_who_gets_it_when(p, tmp_path):
    says_all(p.add("--plan", write(tmp_path), p.a.file, p.b.file))
    says_all(ctl.ok("rollout", "show", "--repo", p.repo))
    says_all(ctl.ok(*diff(p)))
    found = ctl.report("diff-report", *diff(p))["rollout"]
    assert found["old"] is None and [s["ppm"] for s in found["new"]["stages"]] == [0, 1000, 1000000]
    p.add("--drop", "all", p.b.file)
    assert "every device installs version 3 at once: it has no rollout plan, and version 2 has one" in ctl.ok(*diff(p))
    assert "rolls out" not in ctl.ok(*diff(p, p.a.file))


def test_key_holders_see_the_plan_in_words(p, tmp_path):
    draft = tmp_path / "targets.draft"
    p.add("--plan", write(tmp_path), "--draft", draft, p.a.file, p.b.file)
    text = ctl.ok("targets", "status", draft)
    says_all(text)
    assert "ppm" not in text  # nothing is shown as raw JSON besides
    added, = ctl.report("draft-report", "targets", "status", draft)["changes"]["added"]
    assert added["bundle"]["rollout"]["approval"] == "api" and added["other_members"] == []


def test_a_plan_with_members_of_a_later_version_is_shown_raw_too(p, tmp_path):
    draft = tmp_path / "targets.draft"
    p.add("--plan", write(tmp_path), "--draft", draft, p.a.file, p.b.file)
    content = json.loads(draft.read_text())
    content["signed"]["targets"]["roots/full/2.pem"]["custom"]["holdfast"]["rollout"]["pace"] = "hasty"
    draft.write_text(json.dumps(content))
    text = ctl.ok("targets", "status", draft)
    says_all(text)
    assert "hasty" in text


def test_plan_names_what_still_rolls_out(p, tmp_path):
    p.add("--plan", write(tmp_path), p.a.file, p.b.file)
    rollout, = ctl.report("plan-report", "plan", "--repo", p.repo)["rollouts"]
    assert (rollout["set"], rollout["profile"], rollout["version"]) == ("roots", "full", 2)
    assert f"roots/full 2 rolls out from {rollout['not_before']} on: until {rollout['mandatory_from']}" in ctl.ok(
        "plan", "--repo", p.repo)
    later = ["--at", rollout["mandatory_from"]]
    assert ctl.report("plan-report", "plan", "--repo", p.repo, *later)["rollouts"] == []


def findings(p, *options):
    outcome = ctl.run("lint", "--repo", p.repo, "--set", "roots", "--lead", "0", "--json", *options)
    assert outcome.err == "", outcome
    return {f["code"]: f["sentence"] for f in json.loads(outcome.out)["findings"]}


def test_lint_finds_roots_that_end_while_devices_wait(p, tmp_path):
    soon = Root(tmp_path, "Root that ends", end=NOW + 10 * DAY)
    p.add("--drop", "all", p.a.file, soon.file)
    p.add("--drop", "all", "--plan", write(tmp_path), p.a.file, p.b.file)
    found = findings(p)
    assert "Root that ends" in found["rollout-late"] and "may wait for its successor until" in found["rollout-late"]
    assert "rollout-cuts-off" not in found
    # Nothing waits any more.
    assert "rollout-late" not in findings(p, "--at", (NOW + 31 * DAY).strftime("%Y-%m-%d"))


def test_a_plan_that_cuts_off_devices_that_wait_is_refused(p, tmp_path):
    soon = Root(tmp_path, "Root that ends", end=NOW + 10 * DAY)
    p.add("--drop", "all", soon.file)
    sentence = p.refuses_to_add("--drop", "all", "--plan", write(tmp_path), p.a.file)
    assert "rollout-cuts-off" in sentence and "no root of the version before is good until" in sentence
    p.add("--drop", "all", "--plan", write(tmp_path, mandatory_after="5d"), p.a.file)
    assert "rollout-cuts-off" not in findings(p)


def test_a_plan_of_a_version_without_new_roots_is_no_finding(p, tmp_path):
    soon = Root(tmp_path, "Root that ends", end=NOW + 10 * DAY)
    p.add("--drop", "all", p.a.file, soon.file)
    p.add("--drop", "all", "--plan", write(tmp_path), p.a.file)
    assert not {"rollout-late", "rollout-cuts-off"} & set(findings(p))


def test_publish_and_refresh_name_the_roles_that_they_sign(p, tmp_path):
    assert "rollout-roots" not in ctl.ok("refresh", *p.place)
    assert ctl.report("publish-report", "refresh", *p.place)["rollouts"] == []
    p.add("--plan", write(tmp_path), p.a.file, p.b.file)
    ctl.ok("rollout", "open", *p.place, "roots")
    before = p.metadata("rollout-roots")["signed"]["version"]
    assert f"signed again: rollout-roots {before + 1}\n" in ctl.ok("refresh", *p.place, at="+25d")
    assert ctl.report("publish-report", "refresh", *p.place, at="+49d")["rollouts"] == [
        {"role": "rollout-roots", "version": before + 2}]


def test_publish_names_a_rollout_that_it_aborts(p, tmp_path):
    p.add("--plan", write(tmp_path), p.a.file, p.b.file)
    ctl.ok("rollout", "open", *p.place, "roots")
    before = p.metadata("rollout-roots")["signed"]["version"]
    p.online.rename(tmp_path / "away")
    p.add("--drop", "all", "--plan", write(tmp_path), p.b.file)
    (tmp_path / "away").rename(p.online)
    out = ctl.ok("publish", *p.place)
    assert f"signed again: rollout-roots {before + 1}\n" in out
