"""holdfastctl rollout, bundle add --plan, init --rollout: a bundle that reaches devices in stages."""
import json
import shutil

import pytest

import ctl
from ctl import Root

PLAN = {
    "stages": [{"groups": ["lab"], "bake": "1d"}, {"share": "0.1%", "bake": "1d"}, {"share": "100%"}],
    "mandatory_after": "30d",
    "pause": {"failed": "2%"},
}


def write(folder, **changes):
    file = folder / "plan.json"
    file.write_text(json.dumps({**PLAN, **changes}))
    return file


@pytest.fixture
def p(tmp_path):
    """Version 1 without a plan, version 2 with one; the key of rollout-roots is in KEYS/online."""
    publisher = ctl.Publisher(tmp_path, "--insecure-no-passphrase", "--rollout", "roots")
    publisher.a, publisher.b = Root(tmp_path, "Root A"), Root(tmp_path, "Root B")
    publisher.add(publisher.a.file)
    publisher.add("--plan", write(tmp_path), publisher.a.file, publisher.b.file)
    return publisher


def step(p, word, *more, of="roots/full", at=None):
    return ctl.report("rollout-report", "rollout", word, *p.place, *more, of, at=at)["rollouts"]


def refuses_step(p, word, of="roots/full", at=None):
    return p.refuses("rollout", word, *p.place, of, at=at)


def show(p, *more):
    return ctl.report("rollout-report", "rollout", "show", "--repo", p.repo, *more)["rollouts"]


def roles(p):
    """The version that the snapshot names, and its targets."""
    version = p.metadata("snapshot")["signed"]["meta"]["rollout-roots.json"]["version"]
    file = p.repo / "metadata" / f"{version}.rollout-roots.json"
    return version, json.loads(file.read_text())["signed"]["targets"]


def test_a_plan_is_signed_with_the_bundle(p):
    entry = p.metadata("targets")["signed"]["targets"]["roots/full/2.pem"]
    plan = entry["custom"]["holdfast"]["rollout"]
    assert [s["ppm"] for s in plan["stages"]] == [0, 1000, 1000000]
    assert plan["stages"][0]["groups"] == ["lab"]
    assert plan["pause"] == {"failed_ppm": 20000, "silent_ppm": 30000, "min_count": 200,
                             "silent_after_s": 108000}
    assert "rollout" not in p.metadata("targets")["signed"]["targets"]["roots/full/1.pem"]["custom"][
        "holdfast"]
    delegation, = p.metadata("targets")["signed"]["delegations"]["roles"]
    assert (delegation["name"], delegation["paths"], delegation["terminating"]) == (
        "rollout-roots", ["roots/*/*.pem"], False)


def test_a_rollout_goes_from_stage_to_stage(p):
    rollout, = show(p)
    assert (rollout["state"], rollout["stage"], len(rollout["stages"])) == (None, None, 3)
    rollout, = step(p, "open")
    assert (rollout["state"], rollout["stage"], rollout["version"]) == ("open", 1, 2)
    rollout, = step(p, "step", at="+1d")
    assert rollout["stage"] == 2
    rollout, = step(p, "step", at="+2d")
    assert rollout["stage"] == 3
    rollout, = step(p, "complete", at="+2d")
    assert rollout["state"] == "complete"
    _, targets = roles(p)
    assert targets["roots/full/2.pem"]["hashes"] == p.metadata("targets")["signed"]["targets"][
        "roots/full/2.pem"]["hashes"]
    assert p.check(at="+2d")["updatable"]


def test_what_the_plan_forbids_is_refused_and_changes_nothing(p):
    assert "has not begun" in refuses_step(p, "step")
    assert "is not paused" in refuses_step(p, "resume")
    assert "its last stage, 3" in refuses_step(p, "complete")
    step(p, "open")
    assert "has begun already (it is open); `rollout step` opens its next stage" in refuses_step(p, "open")
    assert "wait until then" in refuses_step(p, "step")
    step(p, "pause")
    assert "paused already" in refuses_step(p, "pause")
    assert "resume it first" in refuses_step(p, "step", at="+2d")
    step(p, "resume", at="+2d")
    assert "bakes until" in refuses_step(p, "step", at="+2d")
    step(p, "abort", at="+2d")
    for word in ("open", "step", "pause", "resume", "abort", "complete"):
        assert "final" in refuses_step(p, word, at="+3d")
    assert "no bundle with a rollout plan" in refuses_step(p, "pause", of="roots/full/1")


def test_a_stop_says_from_when_on_devices_install_it_all_the_same(p):
    step(p, "open")
    out = ctl.ok("rollout", "pause", *p.place, "--reason", "the lab lost its endpoint", "roots")
    assert "paused at stage 1 of 3" in out and "the lab lost its endpoint" in out
    assert show(p)[0]["mandatory_from"] in out
    out = ctl.ok("rollout", "abort", *p.place, "roots/full/2")
    assert "aborted at stage 1 of 3" in out and show(p)[0]["mandatory_from"] in out


def test_a_reason_is_signed_as_typed_or_refused(p):
    step(p, "open")
    before = roles(p)
    for reason in ("two\nlines", "x" * 501):
        assert "--reason should be one line" in ctl.refused("rollout", "pause", *p.place, "--reason", reason, "roots", code=2)
    assert roles(p) == before
    assert step(p, "pause", "--reason", "é" * 250)[0]["reason"] == "é" * 250


def test_a_plan_for_the_same_content_is_not_passed_over_in_silence(p, tmp_path):
    said = p.add("--plan", "careful", p.a.file, p.b.file, again=False)
    assert "roots/full 2 has this content already; --plan changes nothing: pass --again" in said
    p.add("--plan", "careful", p.a.file, p.b.file)
    assert [len(r["stages"]) for r in show(p)] == [3, 5]


def test_a_repository_without_rollouts_says_so(tmp_path):
    p = ctl.Publisher(tmp_path)
    p.add(Root(tmp_path, "Root A").file)
    assert ctl.ok("rollout", "show", "--repo", p.repo) == "no published bundle has a rollout plan\n"


def test_a_higher_version_aborts_the_one_before(p, tmp_path):
    step(p, "open")
    out = p.add("--plan", "urgent", "--drop", "all", p.b.file)
    assert "the rollout of roots/full/2 is aborted" in out
    states = {r["version"]: (r["state"], r["superseded"]) for r in show(p)}
    assert states == {2: ("aborted", True), 3: (None, False)}


def test_an_unlisted_version_has_no_stage(p):
    step(p, "open")
    p.add("--plan", "urgent", "--drop", "all", p.b.file)
    step(p, "open")
    ctl.ok("bundle", "unlist", *p.place, "--set", "roots", "--profile", "full", "2")
    assert list(roles(p)[1]) == ["roots/full/3.pem"]
    assert p.check()["updatable"]


def test_an_unchanged_rollout_is_carried_over_and_signed_again_in_time(p):
    step(p, "open")
    version, before = roles(p)
    ctl.ok("refresh", *p.place, at="+1d")
    assert roles(p)[0] == version
    ctl.ok("refresh", *p.place, at="+25d")
    assert roles(p) == (version + 1, before)


def test_a_lost_key_holds_up_no_refresh(p, tmp_path):
    key, = p.online.glob("rollout-*.key.json")
    step(p, "open")
    key.rename(tmp_path / "away")
    assert "does not hold the key of rollout-roots" in refuses_step(p, "pause")
    ctl.ok("refresh", *p.place, at="+31d")  # what was signed of the stage has ended
    assert p.check(at="+31d")["updatable"]


def test_check_and_list_show_the_stage(p):
    step(p, "open")
    found = p.check()
    role, = found["rollout_roles"]
    assert (role["role"], role["version"]) == ("rollout-roots", roles(p)[0])
    shown = {b["version"]: b["rollout"] for b in found["bundles"]}
    assert shown[1] is None and (shown[2]["state"], shown[2]["stage"]) == ("open", 1)
    listed = ctl.report("list-report", "bundle", "list", "--repo", p.repo)["bundles"]
    assert {b["version"]: b["rollout"] for b in listed} == shown
    for words in (["check"], ["bundle", "list"]):
        out = ctl.ok(*words, "--repo", p.repo)
        assert "rollout: open at stage 1 of 3 since" in out
    ctl.ok("refresh", *p.place, at="+20d")
    assert "rollout-roots" in ctl.ok("check", "--repo", p.repo, at="+20d")


def test_a_mirror_has_the_role(p, tmp_path):
    step(p, "open")
    out = tmp_path / "mirror"
    ctl.ok("mirror", "--repo", p.repo, "--out", out)
    version, _ = roles(p)
    assert (out / "metadata" / f"{version}.rollout-roots.json").exists()
    for word in ("pause", "resume", "pause"):
        step(p, word)
        ctl.ok("mirror", "--repo", p.repo, "--out", out, "--keep", "1", "--keep-days", "0")
    assert not (out / "metadata" / f"{version}.rollout-roots.json").exists()
    assert ctl.ok("check", "--repo", out)


def test_a_repository_gets_the_delegation_later(tmp_path):
    p = ctl.Publisher(tmp_path)
    root = Root(tmp_path, "Root A")
    p.add(root.file)
    assert "rollout delegate roots" in p.refuses_to_add("--plan", "normal", root.file)
    before = ctl.tree(p.online)
    out = ctl.ok("rollout", "delegate", *p.place, "--insecure-no-passphrase", "roots")
    assert "online/rollout-roots-1.key.json" in out and "published: targets 3" in out
    assert set(before) < set(ctl.tree(p.online))
    assert "delegate to rollout-roots already" in p.refuses("rollout", "delegate", *p.place,
                                                            "--insecure-no-passphrase", "roots")
    p.add("--plan", "normal", root.file)
    assert step(p, "open")[0]["state"] == "open"
    assert p.check()["updatable"]


def test_a_draft_of_any_name_is_reported_and_the_new_key_stays(tmp_path):
    p = ctl.Publisher(tmp_path, "--insecure-no-passphrase")
    found = ctl.report("publish-report", "rollout", "delegate", *p.place, "--new", "--insecure-no-passphrase",
                       "--draft", tmp_path / "tr\udce4ger.json", "roots")
    assert found["draft"].endswith("/tr?ger.json")
    assert (p.online / "rollout-roots-1.key.json").exists()


def test_a_set_without_a_bundle_is_taken_for_a_typo(p):
    assert 'there is no set "rootz", did you mean "roots"?' in p.refuses("rollout", "delegate", *p.place,
                                                                        "--insecure-no-passphrase", "rootz")
    ctl.ok("rollout", "delegate", *p.place, "--insecure-no-passphrase", "--new", "rootz")
    assert {d["name"] for d in p.metadata("targets")["signed"]["delegations"]["roles"]} == {"rollout-roots", "rollout-rootz"}


def test_another_key_takes_over(p):
    step(p, "open")
    old, = p.online.glob("rollout-*.key.json")
    new = p.online / "rollout-roots-2.key.json"
    ctl.ok("key", "generate", "--key", new, "--insecure-no-passphrase")
    ctl.ok("rollout", "delegate", *p.place, "--online-key", new, "roots")
    away = old.rename(p.folder / "away")
    new.rename(p.folder / "new")
    # A third one, whose key is not here: what is signed cannot be published.
    third = p.folder / "third.key.json"
    ctl.ok("key", "generate", "--key", third, "--insecure-no-passphrase")
    assert "does not hold the key of rollout-roots" in p.refuses(
        "rollout", "delegate", *p.place, "--online-key", third, "roots")
    (p.folder / "new").rename(new)
    assert away.exists() and step(p, "pause")[0]["state"] == "paused"
    assert p.check()["updatable"]


@pytest.mark.parametrize("changes, sentence", [
    ({"stages": [{"share": "50%", "bake": "1d"}, {"share": "10%"}, {"share": "100%"}]}, "stage 2 shrinks (expected at least the 50% of the stage before, found 10%)"),
    ({"stages": [{"share": "50%"}]}, "the last stage should hold all devices (expected 100%, found 50%)"),
    ({"stages": [{"share": "101%"}]}, '"share" of stage 1 should be a share such as "0.1%", not "101%"'),
    ({"stages": [{"share": "0.00001%"}]}, '"share" of stage 1 should be a share'),
    ({"stages": [{"share": "100%", "bake": "1 day"}]}, '"bake" of stage 1 should be a span'),
    ({"stages": [{"share": "100%", "bakes": "1d"}]}, 'stage 1 has no member "bakes" (expected one of share, bake, groups, min_count)'),
    ({"stages": "all"}, '"stages" should be a list'),
    ({"pause": {"failed": "200%"}}, '"failed" of "pause" should be a share'),
    ({"mandatory_after": "1d"}, "before the last stage can open"),
    ({"mandatory_from": "2030-01-01"}, 'give "mandatory_from" (a date) or "mandatory_after" (a span), not both'),
    ({"not_before": "tomorrow"}, '"not_before" of the plan should be YYYY-MM-DD'),
    ({"not_before": "2020-01-01"}, '"mandatory_from" has passed'),
    ({"min_version": 9}, '"min_version" of the plan is above the version'),
    ({"approval": "signed"}, "too few approvers"),
    ({"aproval": "auto"}, 'has no member "aproval"'),
])
def test_a_plan_that_cannot_be_kept_is_refused_at_the_desk(p, changes, sentence):
    file = write(p.folder, **changes)
    assert sentence in p.refuses_to_add("--plan", file, p.a.file, p.b.file)


def test_presets(p):
    for preset, stages in (("careful", 5), ("normal", 4), ("urgent", 3)):
        p.add("--plan", preset, "--drop", "all", p.a.file)
        newest = max(show(p), key=lambda r: r["version"])
        assert len(newest["stages"]) == stages
    assert "careful, normal, urgent, or a file" in p.refuses_to_add("--plan", "fast", p.a.file)


def test_old_stages_that_are_put_back_are_refused(p):
    """A repository with an older timestamp is an old copy, to the keys and to devices."""
    step(p, "open")
    timestamp = p.repo / "metadata" / "timestamp.json"
    shutil.copy(timestamp, p.folder / "before")
    step(p, "pause")
    shutil.copy(p.folder / "before", timestamp)
    assert "old copy" in refuses_step(p, "abort")
