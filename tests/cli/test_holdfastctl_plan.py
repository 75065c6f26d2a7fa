"""holdfastctl plan: by which day each anchor needs a successor in the field."""
import pytest

import ctl
from ctl import DAY, NOW, Root


def plan(p, *options):
    return ctl.report("plan-report", "plan", "--repo", p.repo, *options)


def test_expiry_minus_lead_time_the_most_urgent_first(p, tmp_path):
    late = Root(tmp_path, "Late", end=NOW + 300 * DAY)
    good = Root(tmp_path, "Good", end=NOW + 900 * DAY)
    p.add(good.file, late.file)
    found = plan(p)
    assert (found["late"], found["lead_days"]) == (1, 365)
    assert [(x["sha256"], x["late"], x["because"]) for x in found["anchors"]] == [
        (late.sha256, True, "expires"), (good.sha256, False, "expires")]
    first = found["anchors"][0]
    assert first["successor_by"][:10] == (NOW - 65 * DAY).date().isoformat()
    assert first["ends"][:10] == (NOW + 300 * DAY).date().isoformat()
    assert -67 <= first["days_left"] <= -65
    assert plan(p, "--lead", "30")["late"] == 0
    assert plan(p, "--lead", "901")["late"] == 2


def test_signed_dates_come_before_expiry(p, tmp_path):
    a, b = Root(tmp_path, "A"), Root(tmp_path, "B")
    p.add("--distrust-after", f"{a.sha256}=2030-01-01", "--remove-after", f"{b.sha256}=2031-01-01",
          a.file, b.file)
    assert [(x["because"], x["ends"]) for x in plan(p)["anchors"]] == [
        ("is distrusted", "2030-01-01T23:59:59Z"), ("is removed", "2031-01-01T23:59:59Z")]


def test_what_root_programs_plan_counts(p, tmp_path):
    a = Root(tmp_path, "A")
    p.add(a.file)
    table = tmp_path / "ours.txt"
    table.write_text(f"{a.sha256} {a.spki_sha256} 2040-01-01 2029-05-01 f A\n")
    assert plan(p)["anchors"][0]["because"] == "expires"
    step, = plan(p, "--roots", table)["anchors"]
    assert (step["because"], step["ends"]) == ("is distrusted", "2029-05-01T23:59:59Z")
    assert step["successor_by"] == "2028-05-01T23:59:59Z"
    assert plan(p, "--roots", table, "--at", "2028-05-02")["late"] == 1
    assert plan(p, "--roots", table, "--at", "2028-05-01")["late"] == 0


def test_text_and_one_set_only(p, tmp_path):
    late = Root(tmp_path, "Late", end=NOW + 300 * DAY)
    p.add(late.file)
    p.add(Root(tmp_path, "Good").file, "--new", set_name="other")
    out = ctl.ok("plan", "--repo", p.repo)
    assert " LATE " in out and "roots/full 1" in out and "other/full 1" in out
    assert "1 of 2 late" in out
    assert [x["set"] for x in plan(p, "--set", "other")["anchors"]] == ["other"]


def test_only_the_newest_version_is_planned(p, tmp_path):
    a, b = Root(tmp_path, "A"), Root(tmp_path, "B")
    p.add(a.file)
    p.add(a.file, b.file)
    assert [x["version"] for x in plan(p)["anchors"]] == [2, 2]


def test_amazons_roots_are_due_years_before_they_expire(p):
    if ctl.run("bundle", "add", *p.place, "--set", "amazon-iot", "--profile", "full", "--select",
               "amazon").code != 0:
        pytest.skip("Debian's ca-certificates is not installed")
    found = {x["subject"].rsplit("CN=", 1)[-1]: x for x in plan(p)["anchors"]}
    assert found["Amazon Root CA 1"]["because"] == "is distrusted"
    assert found["Amazon Root CA 1"]["successor_by"] == "2029-05-26T23:59:59Z"


def test_wrong_usage(p):
    assert "--lead DAYS is 0 to 36500, not -1" in ctl.refused("plan", "--repo", p.repo, "--lead",
                                                              "-1", code=2)
    assert "--at wants YYYY-MM-DD" in ctl.refused("plan", "--repo", p.repo, "--at", "soon", code=2)
    assert "lists no bundle yet" in ctl.refused("plan", "--repo", p.repo)
